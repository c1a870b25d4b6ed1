/* imports_absent.c - stands in for imports*.c until they are here; every one of theirs replaces its own. */
#include "environment/imports.h"

#define WEAK __attribute__((weak))

WEAK void er_found_list_release(struct er_found_list *list)
{
        (void)list;
}

WEAK int er_imports_find(const char *project_dir, const struct er_strv *scripts, struct er_found_list *ret, struct er_err *err)
{
        (void)project_dir;
        (void)scripts;
        (void)ret;
        (void)err;
        return 0;
}

WEAK void er_imports_scripts_of(const char *project_dir, const char *workdir, const struct er_strv *command, bool shell,
                                struct er_strv *ret)
{
        (void)project_dir;
        (void)workdir;
        (void)command;
        (void)shell;
        (void)ret;
}

WEAK int er_julia_find(const char *project_dir, const struct er_strv *scripts, struct er_found_list *ret, struct er_err *err)
{
        (void)project_dir;
        (void)scripts;
        (void)ret;
        (void)err;
        return 0;
}

WEAK void er_julia_scripts_of(const char *project_dir, const char *workdir, const struct er_strv *command, bool shell,
                              struct er_strv *ret)
{
        (void)project_dir;
        (void)workdir;
        (void)command;
        (void)shell;
        (void)ret;
}

WEAK void er_inline_script_release(struct er_inline_script *script)
{
        (void)script;
}

WEAK int er_inline_script_read(const char *path, struct er_inline_script *ret, struct er_err *err)
{
        (void)path;
        (void)ret;
        (void)err;
        return 0;
}

/* inline_script.c - PEP 723: `# /// script` in comments, with TOML within. */
#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/path.h"
#include "environment/dep_table.h"
#include "environment/imports.h"
#include "environment/toml.h"

#define MAX_SCRIPT ((size_t)32 << 20)
#define MAX_REQUIREMENTS 10000

void er_inline_script_release(struct er_inline_script *script)
{
        er_strv_release(&script->requirements);
        free(script->requires_python);
        *script = (struct er_inline_script)ER_INLINE_SCRIPT_INIT;
}

struct taking {
        struct er_inline_script *script;
        const char *name;
        struct er_deps sources; /* [tool.uv.sources] */
};

static int take(void *arg, const struct er_strv *path, const char *text, bool is_string, struct er_err *err)
{
        struct taking *taking = arg;
        struct er_inline_script *script = taking->script;

        if (path->len >= 4 && er_streq(path->items[0], "tool") && er_streq(path->items[1], "uv") &&
            er_streq(path->items[2], "sources")) {
                if (!text)
                        er_deps_end(&taking->sources);
                else if (path->len == 5)
                        er_deps_take(&taking->sources, path->items[3], path->items[4], text);
        }
        if (path->len != 1)
                return 0;
        if (er_streq(path->items[0], "dependencies")) {
                if (!text || !is_string)
                        return er_err_set(err, ER_CONFIG, "%s: dependencies: expected a list of strings, not %s",
                                          taking->name, text ? text : "a table");
                if (script->requirements.len >= MAX_REQUIREMENTS)
                        return er_err_set(err, ER_CONFIG, "%s: dependencies: more than %d", taking->name,
                                          MAX_REQUIREMENTS);
                er_strv_add(&script->requirements, text);
        } else if (er_streq(path->items[0], "requires-python")) {
                if (!text || !is_string)
                        return er_err_set(err, ER_CONFIG, "%s: requires-python: expected a string, not %s",
                                          taking->name, text ? text : "a table");
                free(script->requires_python);
                script->requires_python = er_strdup(text);
        }
        return 0;
}

static struct er_sv without_cr(struct er_sv line)
{
        line.len -= line.len > 0 && line.ptr[line.len - 1] == '\r';
        return line;
}

/* Copies the block to toml, with its lines where they are in the file. 1: there is one; 0: none; -1: two, or not
   closed. */
static int block(const char *path, struct er_sv text, struct er_str *toml, struct er_err *err)
{
        struct er_sv line;
        unsigned number = 0, begun = 0, ended = 0, found = 0;
        size_t at_end = 0;

        while (er_sv_cut(&text, '\n', &line)) {
                number++;
                line = without_cr(line);
                if (!begun) {
                        if (er_sv_eq(line, ER_SV("# /// script"))) {
                                if (found)
                                        return er_err_set(
                                                err, ER_CONFIG,
                                                "%s:%u: a second block \"# /// script\"; the first is on line %u", path,
                                                number, found);
                                found = begun = number;
                                ended = 0;
                        }
                        if (!found || begun)
                                er_str_addc(toml, '\n');
                        continue;
                }
                /* The block ends with the last "# ///" before a line that is not a comment of this kind. */
                if (er_sv_eq(line, ER_SV("#")) || er_sv_starts(line, ER_SV("# "))) {
                        if (er_sv_eq(line, ER_SV("# ///"))) {
                                ended = number;
                                at_end = toml->len;
                        }
                        if (line.len > 2)
                                er_str_addn(toml, line.ptr + 2, line.len - 2);
                        er_str_addc(toml, '\n');
                        continue;
                }
                if (!ended)
                        return er_err_set(err, ER_CONFIG,
                                          "%s:%u: the block \"# /// script\" is not closed by a line \"# ///\"", path,
                                          begun);
                er_str_cut(toml, at_end);
                begun = 0;
        }
        if (begun && !ended)
                return er_err_set(err, ER_CONFIG, "%s:%u: the block \"# /// script\" is not closed by a line \"# ///\"",
                                  path, begun);
        if (begun)
                er_str_cut(toml, at_end);
        return found > 0;
}

int er_inline_script_read(const char *path, struct er_inline_script *ret, struct er_err *err)
{
        er_auto(er_inline_script) script = ER_INLINE_SCRIPT_INIT;
        er_auto(er_str) text = ER_STR_INIT, toml = ER_STR_INIT;
        er_auto(er_err) why = ER_ERR_INIT;
        struct taking taking = {.script = &script, .name = path};
        int found;

        if (er_file_read(AT_FDCWD, path, MAX_SCRIPT, &text, &why) < 0) {
                if (why.code == ER_NOT_FOUND || why.code == ER_CONFIG) /* no script, or too large a one */
                        return 0;
                return er_err_move(err, &why);
        }
        if (!memmem(text.buf, text.len, "# /// script", 12))
                return 0;
        found = block(path, er_svn(text.buf, text.len), &toml, err);
        if (found <= 0)
                return found;
        found = er_toml_read(er_svn(toml.buf, toml.len), path, take, &taking, err);
        if (found == 0) {
                er_autofree char *dir = er_path_dir(path);

                found = er_deps_lay_over(&taking.sources, dir, path, &script.requirements, err);
        }
        er_deps_release(&taking.sources);
        if (found < 0)
                return -1;
        *ret = script;
        script = (struct er_inline_script)ER_INLINE_SCRIPT_INIT;
        return 1;
}

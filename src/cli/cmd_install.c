/* cmd_install.c - errand install: adds packages to what the project declares, and installs them on its hosts. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "cli/environments.h"
#include "cli/target.h"
#include "cli/view.h"
#include "cli/words.h"
#include "environment/credentials.h"
#include "environment/edit.h"
#include "environment/imports.h"
#include "job/config.h"
#include "maestro/maestro.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)

struct install_opts {
        struct er_strv on;
        const char *environment;
        bool conda, apt, julia, no_build;
};

static const struct er_opt install_options[] = {
        {"on", 0, ER_OPT_LIST, "HOST",
         "Install on HOST (default: the one in errand.yaml, else this machine); may be repeated",
         offsetof(struct install_opts, on), ER_COMPLETE_HOST},
        {"conda", 0, ER_OPT_FLAG, NULL, "Conda packages instead of Python packages",
         offsetof(struct install_opts, conda), ER_COMPLETE_NONE},
        {"apt", 0, ER_OPT_FLAG, NULL, "Debian or Ubuntu packages", offsetof(struct install_opts, apt),
         ER_COMPLETE_NONE},
        {"julia", 0, ER_OPT_FLAG, NULL, "Julia packages", offsetof(struct install_opts, julia), ER_COMPLETE_NONE},
        {"environment", 0, ER_OPT_TEXT, "NAME", "Add to this environment in errand.yaml",
         offsetof(struct install_opts, environment), ER_COMPLETE_NONE},
        {"no-build", 0, ER_OPT_FLAG, NULL, "Only edit the file; the next job builds the environment",
         offsetof(struct install_opts, no_build), ER_COMPLETE_NONE},
};

static const char *const managers[] = {
        [ER_EDIT_PIP] = "pip", [ER_EDIT_CONDA] = "conda", [ER_EDIT_APT] = "apt", [ER_EDIT_JULIA] = "julia"};

/* --- a file that is changed, and can be as it was */

static struct change {
        char *path, *backup; /* (owned) backup is NULL if there was no file */
        bool done;
} change; /* one at a time; a signal undoes it */

static void take_back(void)
{
        if (!change.done)
                return;
        change.done = false;
        if (change.backup)
                rename(change.backup, change.path);
        else
                unlink(change.path);
}

static void on_signal(int number)
{
        take_back();
        signal(number, SIG_DFL);
        raise(number);
}

static int write_change(const char *path, const struct er_str *text, bool was_there, struct er_err *err)
{
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
        struct stat st = {.st_mode = 0644};
        er_autofree char *real = was_there ? realpath(path, NULL) : NULL; /* a symbolic link remains one */

        change.path = er_take(real);
        if (!change.path)
                change.path = er_strdup(path);
        if (was_there) {
                er_auto(er_str) before = ER_STR_INIT;

                if (stat(path, &st) < 0)
                        return er_err_errno(err, errno, "%s", path);
                change.backup = er_fmt("%s.errand-before", change.path);
                if (er_file_read(AT_FDCWD, path, FILE_MAX_BYTES, &before, err) < 0 ||
                    er_file_write(AT_FDCWD, change.backup, before.buf, before.len, st.st_mode & 0777, false, err) < 0)
                        return -1;
        }
        change.done = true;
        for (size_t i = 0; i < ER_LEN(numbers); i++)
                signal(numbers[i], on_signal);
        if (er_file_write(AT_FDCWD, change.path, text->buf, text->len, st.st_mode & 0777, false, err) == 0)
                return 0;
        take_back();
        return -1;
}

static void keep_change(void)
{
        change.done = false;
        if (change.backup)
                unlink(change.backup);
        free(change.path);
        free(change.backup);
        change = (struct change){0};
}

/* --- where it is declared */

/* What is added, and to which file. */
struct adding {
        enum er_edit_kind kind;
        const struct er_strv *items;
        const char *environment; /* the name of an environment, or NULL */
        char *dir;
        char *path;        /* (owned) the file that is changed */
        const char *shown; /* its name, for people */
};

static const struct er_strv *declared(const struct er_config *config, const struct adding *a)
{
        const struct er_declaration *software = &config->software;

        for (size_t i = 0; a->environment && i < config->software_count; i++)
                if (er_streq(config->software_named[i].name, a->environment))
                        software = &config->software_named[i];
        return a->kind == ER_EDIT_PIP     ? &software->pip
               : a->kind == ER_EDIT_CONDA ? &software->conda
               : a->kind == ER_EDIT_APT   ? &software->apt
                                          : &software->julia;
}

static void show_items(const struct er_strv *items, const char *between, struct er_str *out)
{
        for (size_t i = 0; i < items->len; i++) {
                er_str_add(out, i ? between : "");
                er_credentials_mask(items->items[i], out);
        }
}

static const char too_complex[] = "it is too complex to edit";

/* Refuses to edit a file, and says what to do instead. */
static int by_hand(const struct adding *a, const char *file, const char *why, const char *how, struct er_err *err)
{
        er_auto(er_str) items = ER_STR_INIT;

        show_items(a->items, " ", &items);
        er_err_set(err, ER_CONFIG, "cannot add packages to %s: %s", file, why);
        return er_err_hint(err, "%s: %s", how, items.buf);
}

/* A Python command without any declaration gets what it imports. It must not lose that because something else is
 * declared. */
static bool has_found(const struct er_config *config, const struct adding *a)
{
        er_auto(er_strv) scripts = ER_STRV_INIT;

        if (a->environment || !er_declaration_is_empty(&config->software))
                return false;
        er_imports_scripts_of(a->dir, config->workdir, &config->command, config->command_is_line, &scripts);
        return scripts.len > 0;
}

static bool edit_yaml(const struct er_config *config, const struct adding *a, struct er_str *text)
{
        const char *named[] = {"environments", a->environment, managers[a->kind], NULL},
                   *plain[] = {managers[a->kind], NULL};
        const char *pip[] = {"pip", NULL};
        er_auto(er_strv) automatic = ER_STRV_INIT;
        bool empty = !a->environment && er_declaration_is_empty(&config->software);

        if (a->kind != ER_EDIT_PIP && has_found(config, a)) {
                er_strv_add(&automatic, "auto");
                if (!er_edit_yaml(text, pip, ER_EDIT_PIP, NULL, &automatic))
                        return false;
        }
        return er_edit_yaml(text, a->environment ? named : plain, a->kind,
                            empty && a->kind == ER_EDIT_PIP ? "auto" : NULL, a->items);
}

/* The file that the list consists of, if packages can be added to that file. */
static const char *file_of(const struct er_strv *list, enum er_edit_kind kind)
{
        const char *item = list->len == 1 ? list->items[0] : "";

        if (kind == ER_EDIT_PIP && !strpbrk(item, " =<>@;") &&
            (er_ends(item, ".txt") || er_ends(item, ".in") || er_ends(item, "pyproject.toml") ||
             er_ends(item, "uv.lock")))
                return item;
        if (kind == ER_EDIT_CONDA && (er_ends(item, ".yml") || er_ends(item, ".yaml")))
                return item;
        return kind == ER_EDIT_JULIA && er_ends(item, "Project.toml") ? item : NULL;
}

static int edit_file(struct adding *a, const char *file, struct er_str *text, struct er_err *err)
{
        static const char *const dependencies[] = {"dependencies", NULL};
        er_autofree char *expanded = er_path_expand(file), *dir = NULL, *lock = NULL;

        a->path = er_path_join(a->dir, expanded);
        a->shown = file;
        dir = er_path_dir(a->path);
        lock = er_path_join(dir, "uv.lock");
        if (er_ends(file, "Project.toml"))
                return by_hand(a, file, "Julia itself has to change it", "use Pkg.add() in Julia", err);
        if (er_ends(file, "uv.lock") || (er_ends(file, "pyproject.toml") && er_file_exists(AT_FDCWD, lock)))
                return by_hand(a, file, "its versions are locked", "use uv add", err);
        if (er_file_read(AT_FDCWD, a->path, FILE_MAX_BYTES, text, err) < 0)
                return -1;
        if (er_ends(file, "pyproject.toml"))
                return er_edit_pyproject(text, a->items)
                               ? 0
                               : by_hand(a, file, too_complex, "add to dependencies of [project]", err);
        if (a->kind == ER_EDIT_CONDA)
                return er_edit_yaml(text, dependencies, ER_EDIT_CONDA, NULL, a->items)
                               ? 0
                               : by_hand(a, file, too_complex, "add to dependencies", err);
        return er_edit_requirements(text, a->items) ? 0
                                                    : by_hand(a, file, "it has the package with a hash or a condition",
                                                              "change its lines there", err);
}

/* True if everything that was added is there, and nothing else is gone. */
static bool is_right(const struct er_strv *before, const struct er_strv *now, const struct adding *a)
{
        for (size_t i = 0; i < a->items->len; i++)
                if (!er_strv_has(now, a->items->items[i]))
                        return false;
        for (size_t i = 0; i < before->len; i++) {
                bool there = er_strv_has(now, before->items[i]) || er_streq(before->items[i], "none");

                for (size_t k = 0; !there && k < a->items->len; k++) {
                        er_autofree char *left = er_edit_name(a->kind, before->items[i]),
                                         *right = er_edit_name(a->kind, a->items->items[k]);

                        there = er_streq(left, right);
                }
                if (!there)
                        return false;
        }
        return true;
}

/* Writes the change, then checks that it means what it should. */
static int declare(const struct er_config *config, struct adding *a, struct er_err *err)
{
        const struct er_strv *before = declared(config, a);
        const char *file = file_of(before, a->kind);
        er_auto(er_config) now = ER_CONFIG_INIT;
        er_auto(er_str) text = ER_STR_INIT;
        er_autofree char *how = er_fmt("add to %s:%s%s", managers[a->kind],
                                       a->environment ? " of the environment " : "",
                                       a->environment ? a->environment : "");
        bool was_there;

        if (file)
                return edit_file(a, file, &text, err) < 0 ? -1 : write_change(a->path, &text, true, err);
        a->path = er_path_join(a->dir, "errand.yaml");
        a->shown = "errand.yaml";
        was_there = er_file_exists(AT_FDCWD, a->path);
        if (was_there && er_file_read(AT_FDCWD, a->path, FILE_MAX_BYTES, &text, err) < 0)
                return -1;
        if (!edit_yaml(config, a, &text))
                return by_hand(a, "errand.yaml", too_complex, how, err);
        if (write_change(a->path, &text, was_there, err) < 0)
                return -1;
        if (er_config_load(a->dir, &now, NULL) == 0 && is_right(before, declared(&now, a), a))
                return 0;
        take_back();
        return by_hand(a, "errand.yaml", too_complex, how, err);
}

/* --- building */

static int build(const struct er_cli *cli, const char *host, struct er_recipe *recipe, struct er_live *live,
                 struct er_err *err)
{
        er_autoptr(er_session) session = NULL;

        if (er_target_session(cli, host, live, &session, err) < 0)
                return -1;
        return er_environments_build(session, recipe, live, err) < 0 ? er_err_wrap(err, "%s", host) : 0;
}

/* Finds the recipe of a job's environment as errand.yaml describes it now. Returns 1 if there is one, else 0. */
static int find_recipe(const struct adding *a, struct er_recipe *ret, struct er_err *err)
{
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_auto(er_spec) spec = ER_SPEC_INIT;

        if (er_config_load(a->dir, &config, err) < 0)
                return -1;
        if (config.command.len == 0)
                er_strv_add(&config.command, "true"); /* installing software needs no command */
        if (a->environment && !er_streq(config.environment, a->environment)) {
                free(config.environment);
                config.environment = er_strdup(a->environment);
        }
        if (er_config_to_spec(&config, a->dir, "", &spec, err) < 0)
                return -1;
        return er_config_recipe(&config, a->dir, &spec, ret, err);
}

static int build_all(const struct er_cli *cli, const struct adding *a, const struct er_strv *hosts,
                     struct er_str *ret_ready, struct er_err *err)
{
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;

        if (find_recipe(a, &recipe, err) < 0)
                return -1;
        for (size_t i = 0; i < hosts->len; i++) {
                if (build(cli, hosts->items[i], &recipe, live, err) < 0)
                        return -1;
                er_str_addf(ret_ready, "%s%s", i ? ", " : "", hosts->items[i]);
        }
        return 0;
}

/* --- */

static int check_items(const struct er_strv *items, enum er_edit_kind kind, struct er_err *err)
{
        for (size_t i = 0; i < items->len; i++) {
                const char *item = items->items[i];

                if (!item[0] || strpbrk(item, "\n\r\t") || item[0] == '-' || er_streq(item, "auto") ||
                    er_streq(item, "none"))
                        return er_err_set(err, ER_USAGE, "\"%s\" is not a package", item);
                if (kind == ER_EDIT_PIP && file_of(items, kind))
                        return er_err_set(err, ER_USAGE,
                                          "%s is a file, not a package: name it in errand.yaml (pip: %s)", item, item);
        }
        return 0;
}

static int take_hosts(const struct er_cli *cli, const struct install_opts *opts, const struct er_config *config,
                      struct er_strv *ret, struct er_err *err)
{
        const struct er_strv *names = opts->on.len ? &opts->on : &config->on;

        if (!opts->no_build && er_strv_has(names, "any")) {
                er_err_set(err, ER_USAGE, "the host is any, but errand install needs the name of one");
                return er_err_hint(err, "use --on HOST, once for each host, or --no-build to leave it to the next job");
        }
        for (size_t i = 0; i < names->len; i++) {
                er_auto(er_host) host = ER_HOST_INIT;

                if (er_hosts_find(cli->store, names->items[i], &host, err) < 0)
                        return -1;
                er_strv_add(ret, names->items[i]);
        }
        if (ret->len == 0)
                er_strv_add(ret, "local");
        return 0;
}

static int check_environment(const struct er_config *config, const char *name, struct er_err *err)
{
        for (size_t i = 0; name && i < config->software_count; i++)
                if (er_streq(config->software_named[i].name, name))
                        return 0;
        if (!name)
                return 0;
        er_err_set(err, ER_CONFIG, "errand.yaml declares no environment called \"%s\"", name);
        return er_err_hint(err, "add environments: {%s: {pip: [...]}} to it", name);
}

static int install(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct install_opts *opts = arg;
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_auto(er_strv) items = ER_STRV_INIT;
        er_auto(er_strv) hosts = ER_STRV_INIT;
        er_auto(er_str) ready = ER_STR_INIT;
        struct adding a = {
                .kind = opts->conda   ? ER_EDIT_CONDA
                        : opts->apt   ? ER_EDIT_APT
                        : opts->julia ? ER_EDIT_JULIA
                                      : ER_EDIT_PIP,
                .items = &items,
        };
        er_autofree char *dir = NULL, *path = NULL;
        er_auto(er_str) names = ER_STR_INIT;
        int rc;

        if (opts->conda + opts->apt + opts->julia > 1)
                return er_err_set(err, ER_USAGE, "use only one of --conda, --apt and --julia");
        er_strv_addall(&items, args, (size_t)count);
        if (check_items(&items, a.kind, err) < 0 || er_target_project(&dir, err) < 0 ||
            er_config_load(dir, &config, err) < 0 || take_hosts(cli, opts, &config, &hosts, err) < 0)
                return -1;
        a.dir = dir;
        a.environment = opts->environment ? opts->environment : config.environment;
        if (check_environment(&config, a.environment, err) < 0)
                return -1;
        rc = declare(&config, &a, err);
        path = a.path;
        if (rc == 0 && !opts->no_build)
                rc = build_all(cli, &a, &hosts, &ready, err);
        if (rc < 0) {
                if (change.done)
                        er_say(cli, "%s was restored", a.shown);
                take_back();
                keep_change();
                return -1;
        }
        keep_change();
        show_items(&items, ", ", &names);
        if (ready.len)
                er_say(cli, "%s: %s; ready on %s", a.shown, names.buf, ready.buf);
        else
                er_say(cli, "%s: %s", a.shown, names.buf);
        return 0;
}

const struct er_command er_cmd_install = {
        .name = "install",
        .group = "Run",
        .summary = "Add packages to the project and install them on its hosts",
        .arguments = "PACKAGE...",
        .description = "PACKAGE is written as in errand.yaml: a name, or a name with a version (numpy==1.26, "
                       "'torch>=2', --conda cudatoolkit=11.8, --apt ffmpeg, --julia DataFrames@1.6). It is added to "
                       "the list in errand.yaml, or to the requirements.txt, pyproject.toml or environment.yml that "
                       "errand.yaml names, replacing an entry for the same package. Comments and layout are kept. A "
                       "file that is too complex to edit is left alone, and you are told what to add. If nothing was "
                       "declared before, the packages that the scripts import are still found and installed as well.\n"
                       "\n"
                       "Then the environment is built on the hosts, so that the next job starts at once. If that "
                       "fails, the file is restored.",
        .examples = "errand install einops 'torch>=2.4'\t\n"
                    "errand install --on gpu-box --apt ffmpeg\t\n"
                    "errand install --environment eval pandas\tin one of errand.yaml's environments\n",
        .opts = install_options,
        .opt_count = ER_LEN(install_options),
        .opts_size = sizeof(struct install_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .min_args = 1,
        .max_args = -1,
        .run = install,
};

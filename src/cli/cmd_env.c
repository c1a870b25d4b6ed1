/* cmd_env.c - errand env: the software a job needs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "cli/environments.h"
#include "cli/opts.h"
#include "cli/target.h"
#include "cli/view.h"
#include "cli/words.h"
#include "environment/imports.h"
#include "job/config.h"

struct env_opts {
        bool yes;
        struct er_strv on;
};

/* The subcommands of `env`; any other word starts a command whose imports are looked for. */
struct sub {
        const char *name;
        int min_args, max_args; /* -1: no limit */
        int (*run)(struct er_cli *cli, const struct env_opts *opts, char **args, int count, struct er_err *err);
};

/* ---- What is found here */

/* A command in the project, and what it needs. */
struct look {
        char *project;
        char *workdir; /* relative to project; "" is its root */
        struct er_strv command;
        bool shell;
        struct er_strv scripts, julia_scripts;
        struct er_found_list python, julia;
};
#define LOOK_INIT {0}

static void look_release(struct look *look)
{
        free(look->project);
        free(look->workdir);
        er_strv_release(&look->command);
        er_strv_release(&look->scripts);
        er_strv_release(&look->julia_scripts);
        er_found_list_release(&look->python);
        er_found_list_release(&look->julia);
}

/* Takes the words that were given, else the command in errand.yaml; a single word with white space is a shell line. */
static int take_command(struct look *look, char **args, int count, struct er_err *err)
{
        er_auto(er_config) config = ER_CONFIG_INIT;
        char cwd[4096];

        if (er_target_project(&look->project, err) < 0)
                return -1;
        if (!getcwd(cwd, sizeof cwd))
                return er_err_errno(err, errno, "finding the current directory");
        if (er_config_load(look->project, &config, err) < 0)
                return -1;
        if (count > 0) {
                if (count == 1 && er_ends(args[0], ".py") && !strpbrk(args[0], " \t\n"))
                        er_strv_add(&look->command, "python3"); /* a script alone is run by Python */
                er_strv_addall(&look->command, args, (size_t)count);
                look->shell = count == 1 && strpbrk(args[0], " \t\n");
        } else {
                er_strv_addall(&look->command, config.command.items, config.command.len);
                look->shell = config.command_is_line ||
                              (config.command.len == 1 && strpbrk(config.command.items[0], " \t\n"));
        }
        if (config.workdir)
                look->workdir = er_strdup(config.workdir);
        else if (count > 0 && er_starts(cwd, look->project) && cwd[strlen(look->project)] == '/')
                look->workdir = er_strdup(cwd + strlen(look->project) + 1);
        else
                look->workdir = er_strdup("");
        return 0;
}

/* Reports a script that does not exist, and suggests the nearest that does. */
static int no_such(const struct look *look, const char *script, struct er_err *err)
{
        er_autofree char *path = er_path_join(look->project, script);
        er_autofree char *parent = er_path_dir(path);
        er_auto(er_strv) names = ER_STRV_INIT;
        const char *near[1];
        DIR *dir = opendir(parent);
        const struct dirent *entry;

        while (dir && (entry = readdir(dir)))
                if (er_ends(entry->d_name, ".py") || er_ends(entry->d_name, ".jl"))
                        er_strv_add(&names, entry->d_name);
        if (dir)
                closedir(dir);
        er_err_set(err, ER_NOT_FOUND, "no such script: %s", script);
        if (er_nearest(er_path_base(script), (const char *const *)names.items, names.len, near, 1))
                er_err_hint(err, "did you mean %s?", near[0]);
        return -1;
}

static int find(struct look *look, char **args, int count, struct er_err *err)
{
        if (take_command(look, args, count, err) < 0)
                return -1;
        er_imports_scripts_of(look->project, look->workdir, &look->command, look->shell, &look->scripts);
        er_julia_scripts_of(look->project, look->workdir, &look->command, look->shell, &look->julia_scripts);
        if (look->command.len > 0 && look->scripts.len == 0 && look->julia_scripts.len == 0) {
                er_auto(er_str) shown = ER_STR_INIT;

                er_quote_argv(&shown, look->command.items, look->command.len);
                er_err_set(err, ER_USAGE, "the command runs no Python or Julia script: %s",
                           look->shell ? look->command.items[0] : shown.buf);
                return er_err_hint(err, "declare what it needs in errand.yaml (pip:, conda:, apt:)");
        }
        for (size_t i = 0; i < look->scripts.len; i++) {
                er_autofree char *path = er_path_join(look->project, look->scripts.items[i]);

                if (!er_starts(look->scripts.items[i], "-") && !er_file_exists(AT_FDCWD, path))
                        return no_such(look, look->scripts.items[i], err);
        }
        if ((look->scripts.len > 0 || look->command.len == 0) &&
            er_imports_find(look->project, &look->scripts, &look->python, err) < 0)
                return -1;
        return er_julia_find(look->project, &look->julia_scripts, &look->julia, err);
}

static void add_rows(struct er_table *table, const struct er_found_list *list, const char *manager)
{
        for (size_t i = 0; i < list->count; i++) {
                const struct er_found *found = &list->items[i];
                er_autofree char *where = er_fmt("%s:%u", found->file, found->line);

                er_table_text(table, found->distribution);
                if (found->version)
                        er_table_text(table, found->version);
                else
                        er_table_none(table);
                er_table_text(table, manager);
                er_table_text(table, found->import);
                er_table_text(table, where);
                er_table_text(table, found->file);
                er_table_int(table, found->line);
                er_table_int(table, found->optional);
                er_table_text(table, found->note);
        }
}

/* PEP 723: such a script declares what it needs, and its imports do not count. */
static int say_inline(const struct er_cli *cli, const struct look *look, struct er_err *err)
{
        for (size_t i = 0; i < look->scripts.len; i++) {
                er_auto(er_inline_script) script = ER_INLINE_SCRIPT_INIT;
                er_autofree char *path = er_path_join(look->project, look->scripts.items[i]);
                er_auto(er_str) list = ER_STR_INIT;
                int found = er_inline_script_read(path, &script, err);

                if (found < 0)
                        return -1;
                if (found == 0)
                        continue;
                for (size_t k = 0; k < script.requirements.len; k++)
                        er_str_addf(&list, "%s%s", k > 0 ? ", " : "", script.requirements.items[k]);
                er_say(cli, "%s declares its own packages (# /// script): %s", look->scripts.items[i],
                       list.len ? list.buf : "nothing");
        }
        return 0;
}

static int show_found(struct er_cli *cli, char **args, int count, struct er_err *err)
{
        static const struct er_column columns[] = {
                {.title = "DISTRIBUTION", .json_key = "distribution", .type = ER_CELL_TEXT},
                {.title = "VERSION", .json_key = "version", .type = ER_CELL_TEXT},
                {.title = "FOR", .json_key = "manager", .type = ER_CELL_TEXT},
                {.title = "IMPORT", .json_key = "import", .type = ER_CELL_TEXT, .may_cut = true},
                {.title = "WHERE", .json_key = "where", .type = ER_CELL_TEXT, .may_cut = true},
                {.title = "FILE", .json_key = "file", .type = ER_CELL_TEXT, .json_only = true},
                {.title = "LINE", .json_key = "line", .type = ER_CELL_INT, .json_only = true},
                {.title = "OPTIONAL", .json_key = "optional", .type = ER_CELL_BOOL},
                {.title = "NOTE", .json_key = "note", .type = ER_CELL_TEXT, .json_only = true},
        };
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        __attribute__((cleanup(look_release))) struct look look = LOOK_INIT;

        if (find(&look, args, count, err) < 0)
                return -1;
        add_rows(table, &look.python, "pip");
        add_rows(table, &look.julia, "julia");
        if (er_out_table(cli, table, "only the standard library is imported", err) < 0)
                return -1;
        for (size_t i = 0; i < look.python.count; i++)
                if (look.python.items[i].note)
                        er_say(cli, "%s is left out: %s", look.python.items[i].distribution, look.python.items[i].note);
        return say_inline(cli, &look, err) < 0 ? -1 : 0;
}

/* ---- errand env freeze */

static void requirements_text(const struct er_found_list *list, struct er_str *out)
{
        er_str_add(out, "# Found in imports by `errand env freeze`.\n");
        for (size_t i = 0; i < list->options.len; i++)
                er_str_addf(out, "%s\n", list->options.items[i]);
        for (size_t i = 0; i < list->count; i++) {
                const struct er_found *found = &list->items[i];
                er_auto(er_str) line = ER_STR_INIT;

                er_str_add(&line, found->requirement ? found->requirement : found->distribution);
                if (found->version && !found->requirement)
                        er_str_addf(&line, "==%s", found->version);
                if (!found->optional)
                        er_str_addf(out, "%-32s # %s:%u\n", line.buf, found->file, found->line);
                else if (found->note)
                        er_str_addf(out, "# %-30s # %s:%u: %s\n", line.buf, found->file, found->line, found->note);
                else
                        er_str_addf(out, "# %-30s # %s:%u: optional\n", line.buf, found->file, found->line);
        }
}

static int freeze(struct er_cli *cli, const struct env_opts *opts, char **args, int count, struct er_err *err)
{
        __attribute__((cleanup(look_release))) struct look look = LOOK_INIT;
        er_auto(er_str) text = ER_STR_INIT;
        er_autofree char *path = NULL, *shown = NULL;
        size_t needed = 0;
        struct stat st;

        if (find(&look, NULL, 0, err) < 0)
                return -1;
        path = count > 0 ? er_path_abs(args[0]) : er_path_join(look.project, "requirements.txt");
        shown = er_view_path(path);
        if (!opts->yes && lstat(path, &st) == 0) {
                if (!er_can_ask()) {
                        er_err_set(err, ER_EXISTS, "%s already exists", shown);
                        return er_err_hint(err,
                                           "use --yes to overwrite it, or errand env freeze FILE for another name");
                }
                if (!er_ask("%s already exists. Overwrite it?", shown))
                        return er_err_set(err, ER_CANCELLED, "%s was not changed", shown);
        }
        requirements_text(&look.python, &text);
        if (er_file_write(AT_FDCWD, path, text.buf, text.len, 0644, false, err) < 0)
                return -1;
        for (size_t i = 0; i < look.python.count; i++)
                needed += !look.python.items[i].optional;
        er_str_reset(&text);
        er_view_count(&text, needed, "package");
        er_say(cli, "%s: %s", shown, text.buf);
        return 0;
}

/* ---- */

/* ---- What hosts have made */

static int list_there(struct er_cli *cli, const struct env_opts *opts, char **args, int count, struct er_err *err)
{
        er_auto(er_strv) on = ER_STRV_INIT;

        er_strv_addall(&on, opts->on.items, opts->on.len);
        er_strv_addall(&on, args, (size_t)count);
        return er_environments_list(cli, &on, err);
}

static int show_there(struct er_cli *cli, const struct env_opts *opts, char **args, int count, struct er_err *err)
{
        return er_environments_show(cli, &opts->on, args, count, err);
}

static int check_there(struct er_cli *cli, const struct env_opts *opts, char **args, int count, struct er_err *err)
{
        return er_environments_check(cli, &opts->on, args, count, err);
}

static int rm_there(struct er_cli *cli, const struct env_opts *opts, char **args, int count, struct er_err *err)
{
        return er_environments_rm(cli, &opts->on, args, count, err);
}

static const struct sub subs[] = {
        {"freeze", 0, 1, freeze},      {"list", 0, -1, list_there}, {"show", 1, -1, show_there},
        {"check", 0, -1, check_there}, {"rm", 1, -1, rm_there},
};

static const struct er_opt env_options[] = {
        {"yes", 'y', ER_OPT_FLAG, NULL, "Overwrite an existing file", offsetof(struct env_opts, yes), ER_COMPLETE_NONE},
        {"on", 0, ER_OPT_LIST, "HOST", "For list, show, check and rm: the hosts to look at (default: all known hosts)",
         offsetof(struct env_opts, on), ER_COMPLETE_HOST},
};

/* A subcommand's options may stand anywhere; those of errand env COMMAND end at COMMAND. */
static const struct er_command sub_line = {
        .name = "env",
        .opts = env_options,
        .opt_count = ER_LEN(env_options),
        .opts_size = sizeof(struct env_opts),
        .flags = ER_CMD_JSON | ER_CMD_QUIET,
        .max_args = -1,
};

static int run_sub(struct er_cli *cli, const struct sub *sub, const struct env_opts *before, char **args, int count,
                   struct er_err *err)
{
        struct er_cli with = *cli;
        struct er_common_opts common = {0};
        struct env_opts opts = {0};
        char **words = NULL;
        int words_count = 0, rc;

        if (er_opts_parse(&sub_line, args, count, &opts, &common, &words, &words_count, err) < 0)
                return -1;
        opts.yes = opts.yes || before->yes;
        er_strv_addall(&opts.on, before->on.items, before->on.len);
        with.json = with.json || common.json;
        with.quiet = with.quiet || common.quiet;
        if (words_count < sub->min_args || (sub->max_args >= 0 && words_count > sub->max_args)) {
                er_err_set(err, ER_USAGE, "errand env %s: %s", sub->name,
                           words_count < sub->min_args ? "missing argument" : "too many arguments");
                rc = er_err_hint(err, "see errand env --help");
        } else
                rc = sub->run(&with, &opts, words, words_count, err);
        free(words);
        er_opts_release(&sub_line, &opts);
        return rc;
}

static int env(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        int rc;

        for (size_t i = 0; count > 0 && i < ER_LEN(subs); i++)
                if (er_streq(args[0], subs[i].name))
                        return run_sub(cli, &subs[i], arg, args + 1, count - 1, err);
        rc = show_found(cli, args, count, err);
        if (rc < 0 && err && err->code == ER_USAGE && count == 1) {
                const char *names[ER_LEN(subs)], *near[1];

                for (size_t i = 0; i < ER_LEN(subs); i++)
                        names[i] = subs[i].name;
                if (er_nearest(args[0], names, ER_LEN(names), near, 1))
                        er_err_hint(err, "did you mean errand env %s?", near[0]);
        }
        return rc;
}

const struct er_command er_cmd_env = {
        .name = "env",
        .group = "Run",
        .summary = "Show what software a script needs, and what is built on hosts",
        .arguments = "[COMMAND... | freeze | list | show | check | rm]",
        .description = "Reads the scripts of COMMAND (default: the command in errand.yaml, else every Python file of "
                       "the project) and the project's modules that they import, and shows the distributions that the "
                       "imports come from, with the versions installed here, if any. The standard library and the "
                       "project itself are left out. An import is optional if it is only for another platform, only "
                       "for type checking, or has an alternative; optional packages are not installed.\n"
                       "\n"
                       "freeze [FILE] writes the distributions to the project's requirements.txt, or to FILE.\n"
                       "\n"
                       "list [HOST]... shows the environments that hosts have built for jobs. Each is built once, is "
                       "named by the hash of what was declared, and is used by every job that declares the same. show "
                       "NAME... shows what an environment was made from and where its log is. check [NAME]... checks "
                       "that everything declared is still there; the exit status is 1 if something is missing. rm "
                       "NAME... removes environments that no job is using; errand gc removes those not used for 30 "
                       "days. NAME may be the first few characters of a name that list shows.",
        .examples = "errand env python3 train.py\twhat train.py needs, and which line says so\n"
                    "errand env freeze\twrite requirements.txt\n"
                    "errand env list gpu-box\tthe environments on gpu-box\n",
        .opts = env_options,
        .opt_count = ER_LEN(env_options),
        .opts_size = sizeof(struct env_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_JSON | ER_CMD_QUIET,
        .stop_at_argument = true,
        .max_args = -1,
        .complete = ER_COMPLETE_COMMAND,
        .run = env,
};

/* cmd_init.c - errand init: a first errand.yaml and .errandignore, from what is found in the project. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "cli/view.h"
#include "cli/words.h"
#include "environment/imports.h"
#include "host/snapshot/project.h"
#include "job/config.h"

#define LARGE (100ull << 20)
#define SCRIPT_MAX ((size_t)4 << 20)
#define OUTPUTS_MAX 8u
#define PACKAGES_MAX 40u

struct init_opts {
        bool yes;
};

static const struct er_opt init_options[] = {
        {"yes", 'y', ER_OPT_FLAG, NULL, "Do it even in your home directory or /", offsetof(struct init_opts, yes),
         ER_COMPLETE_NONE},
};

/* What is found. */
struct found {
        const char *dir;
        char *name;
        struct er_strv command, scripts; /* scripts: others that may be meant */
        struct er_strv outputs, large;
        const char *key, *file; /* "pip", "requirements.txt": where the software is already declared */
        struct er_found_list packages;
        bool git;
};

static void found_release(struct found *f)
{
        free(f->name);
        er_strv_release(&f->command);
        er_strv_release(&f->scripts);
        er_strv_release(&f->outputs);
        er_strv_release(&f->large);
        er_found_list_release(&f->packages);
}

static bool is_there(const struct found *f, const char *name, bool dir)
{
        er_autofree char *path = er_path_join(f->dir, name);
        struct stat st;

        return stat(path, &st) == 0 && (dir ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
}

/* Names in the directory, sorted, without hidden ones. */
static void names_in(const char *dir, struct er_strv *ret)
{
        DIR *list = opendir(dir);
        const struct dirent *entry;

        while (list && (entry = readdir(list)))
                if (entry->d_name[0] != '.')
                        er_strv_add(ret, entry->d_name);
        if (list)
                closedir(list);
        er_strv_sort(ret);
}

/* --- the command */

static bool reads_as_program(const struct found *f, const char *script)
{
        er_autofree char *path = er_path_join(f->dir, script);
        er_auto(er_str) text = ER_STR_INIT;

        return er_file_read(AT_FDCWD, path, SCRIPT_MAX, &text, NULL) == 0 && strstr(text.buf, "__main__");
}

static void set_command(struct found *f, const char *program, const char *script)
{
        er_strv_add(&f->command, program);
        er_strv_add(&f->command, script);
}

static void find_command(struct found *f, const struct er_strv *names)
{
        static const struct {
                const char *program, *script;
        } usual[] = {
                {"python3", "train.py"},
                {"python3", "main.py"},
                {"python3", "run.py"},
                {"python3", "app.py"},
                {"python3", "src/train.py"},
                {"python3", "src/main.py"},
                {"python3", "scripts/train.py"},
                {"julia", "train.jl"},
                {"julia", "main.jl"},
                {"bash", "train.sh"},
                {"bash", "run.sh"},
        };
        const char *only = NULL, *program = NULL;
        size_t scripts = 0, programs = 0;

        for (size_t i = 0; i < names->len; i++) {
                const char *name = names->items[i];

                if (!er_ends(name, ".py") || er_streq(name, "setup.py") || er_streq(name, "conftest.py") ||
                    er_starts(name, "test_") || !is_there(f, name, false))
                        continue;
                scripts++;
                only = name;
                if (reads_as_program(f, name)) {
                        program = name;
                        programs++;
                        er_strv_add(&f->scripts, name);
                }
        }
        for (size_t i = 0; i < ER_LEN(usual) && f->command.len == 0; i++)
                if (is_there(f, usual[i].script, false))
                        set_command(f, usual[i].program, usual[i].script);
        for (size_t i = 0; i < names->len && f->command.len == 0; i++) {
                er_autofree char *inner = er_fmt("%s/__main__.py", names->items[i]);

                if (is_there(f, inner, false) && !strpbrk(names->items[i], "-. ")) {
                        set_command(f, "python3", "-m");
                        er_strv_add(&f->command, names->items[i]);
                }
        }
        if (f->command.len == 0 && (scripts == 1 || programs == 1))
                set_command(f, "python3", scripts == 1 ? only : program);
}

/* --- what it leaves behind */

static bool looks_like_output(const char *name, size_t len)
{
        static const char *const ends[] = {".pt",  ".pth",   ".ckpt", ".safetensors", ".csv",     ".json",
                                           ".npz", ".npy",   ".png",  ".pdf",         ".parquet", ".h5",
                                           ".pkl", ".keras", ".onnx", ".jsonl",       NULL};

        if (len == 0 || len > 100 || name[0] == '/' || strcspn(name, "{}%:*?[\\ \"'#") < len ||
            memmem(name, len, "..", 2))
                return false;
        for (const char *const *end = ends; *end; end++)
                if (len > strlen(*end) && memcmp(name + len - strlen(*end), *end, strlen(*end)) == 0)
                        return true;
        return false;
}

/* Names of files in lines that write something. */
static void find_outputs(struct found *f)
{
        static const char *const writes[] = {"save",  "dump", "to_csv", "to_parquet", "to_json", "write",
                                             "\"w\"", "'w'",  "\"wb\"", "'wb'",       NULL};
        const char *script = f->command.len == 2 ? f->command.items[1] : NULL;
        er_autofree char *path = script ? er_path_join(f->dir, script) : NULL;
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv rest, line;

        if (!path || er_file_read(AT_FDCWD, path, SCRIPT_MAX, &text, NULL) < 0)
                return;
        for (rest = er_svn(text.buf, text.len); er_sv_cut(&rest, '\n', &line) && f->outputs.len < OUTPUTS_MAX;) {
                bool written = false;

                for (const char *const *word = writes; *word; word++)
                        written = written || memmem(line.ptr, line.len, *word, strlen(*word));
                for (size_t i = 0; written && i < line.len; i++) {
                        const char *begin = line.ptr + i + 1, *end;

                        if (line.ptr[i] != '"' && line.ptr[i] != '\'')
                                continue;
                        end = memchr(begin, line.ptr[i], line.len - i - 1);
                        if (!end)
                                break;
                        if (looks_like_output(begin, (size_t)(end - begin))) {
                                er_autofree char *name = er_strndup(begin, (size_t)(end - begin));

                                if (!er_strv_has(&f->outputs, name))
                                        er_strv_add(&f->outputs, name);
                        }
                        i = (size_t)(end - line.ptr);
                }
        }
}

/* --- software */

static bool resolves(const struct found *f, const char *key, const char *file)
{
        er_auto(er_declaration) environment = ER_DECLARATION_INIT;
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        const struct er_declaration_context context = {.project_dir = f->dir, .command = &f->command};

        er_strv_add(er_streq(key, "pip")     ? &environment.pip
                    : er_streq(key, "conda") ? &environment.conda
                                             : &environment.julia,
                    file);
        return er_declaration_resolve(&environment, &context, &recipe, NULL) >= 0;
}

static void find_software(struct found *f)
{
        static const struct {
                const char *key, *file;
        } files[] = {
                {"pip", "uv.lock"},           {"pip", "requirements.txt"},
                {"conda", "environment.yml"}, {"conda", "environment.yaml"},
                {"pip", "pyproject.toml"},    {"pip", "setup.py"},
                {"julia", "Project.toml"},
        };
        er_auto(er_strv) scripts = ER_STRV_INIT;

        for (size_t i = 0; i < ER_LEN(files) && !f->key; i++)
                if (is_there(f, files[i].file, false) && resolves(f, files[i].key, files[i].file)) {
                        f->key = files[i].key;
                        f->file = files[i].file;
                }
        er_imports_scripts_of(f->dir, "", &f->command, false, &scripts);
        if (!f->key && scripts.len > 0 && er_imports_find(f->dir, &scripts, &f->packages, NULL) < 0)
                er_found_list_release(&f->packages); /* it is only a comment */
}

/* --- what is too large to travel */

static void find_large(struct found *f, const struct er_strv *names)
{
        static const char *const never[] = {"__pycache__", "node_modules", "venv", "results", NULL};

        for (size_t i = 0; i < names->len; i++) {
                er_autofree char *path = er_path_join(f->dir, names->items[i]);
                bool travels = true;
                struct stat st;

                for (const char *const *name = never; *name; name++)
                        travels = travels && !er_streq(*name, names->items[i]);
                if (!travels || lstat(path, &st) < 0 || strchr(names->items[i], '\n') ||
                    !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
                        continue;
                if ((S_ISDIR(st.st_mode) ? er_du(AT_FDCWD, path) : (uint64_t)st.st_size) > LARGE)
                        er_strv_add(&f->large, names->items[i]);
        }
}

/* --- errand.yaml */

/* Writes text so that YAML takes it for a string. */
static void yaml_text(struct er_str *out, const char *text)
{
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./ -+";
        bool word = strpbrk(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL;

        if (text[0] && isalpha((unsigned char)text[0]) && word && strspn(text, plain) == strlen(text) &&
            !er_ends(text, " ") && strcasecmp(text, "null") != 0 && strcasecmp(text, "true") != 0 &&
            strcasecmp(text, "false") != 0 && strcasecmp(text, "yes") != 0 && strcasecmp(text, "no") != 0 &&
            strcasecmp(text, "on") != 0 && strcasecmp(text, "off") != 0) {
                er_str_add(out, text);
                return;
        }
        er_str_addc(out, '"');
        for (; *text; text++) {
                if ((unsigned char)*text < ' ')
                        er_str_addf(out, "\\x%02x", (unsigned)(unsigned char)*text);
                else
                        er_str_addf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
        }
        er_str_addc(out, '"');
}

static void write_command(const struct found *f, struct er_str *out)
{
        er_str_add(out, "\n# What `errand run` runs if no command is given: a line for the shell.\n");
        if (f->command.len > 0) {
                er_auto(er_str) line = ER_STR_INIT;

                er_quote_argv(&line, f->command.items, f->command.len);
                er_str_add(out, "command: ");
                yaml_text(out, line.buf);
                er_str_addc(out, '\n');
        } else
                er_str_add(out, "# command: python3 train.py\n");
        for (size_t i = 0, any = 0; i < f->scripts.len && any < 5; i++) {
                if (f->command.len == 2 && er_streq(f->command.items[1], f->scripts.items[i]))
                        continue;
                er_str_add(out, any++ == 0 ? "# Other scripts: " : ", ");
                er_quote_show(out, f->scripts.items[i], strlen(f->scripts.items[i]));
                if (any == 5 || i + 1 == f->scripts.len ||
                    (i + 2 == f->scripts.len && f->command.len == 2 &&
                     er_streq(f->command.items[1], f->scripts.items[i + 1])))
                        er_str_addc(out, '\n');
        }
}

static void write_software(const struct found *f, struct er_str *out)
{
        size_t shown = 0;

        er_str_add(out, "\n# Software. It is installed once on each host and used by every job that needs the same.\n");
        if (f->key) {
                er_str_addf(out, "%s: %s\n", f->key, f->file);
        } else {
                er_str_add(out, "# auto: what the script and the modules it uses import");
                for (size_t i = 0; i < f->packages.count && shown < PACKAGES_MAX; i++) {
                        const struct er_found *package = &f->packages.items[i];

                        if (package->optional)
                                continue;
                        er_str_add(out, shown++ == 0 ? "; at present:\n" : "");
                        er_str_addf(out, "#   %s%s%s (", package->distribution, package->version ? "==" : "",
                                    package->version ? package->version : "");
                        er_quote_show(out, package->file, strlen(package->file));
                        er_str_addf(out, ":%u)\n", package->line);
                }
                er_str_add(out, shown ? "pip: auto\n" : ".\npip: auto\n");
        }
        er_str_add(out, "# apt: [ffmpeg]\n# container: pytorch/pytorch\n");
}

static void write_yaml(const struct found *f, struct er_str *out)
{
        er_str_add(out,
                   "# How errand runs this project. All keys are optional; errand.yaml(5) describes them.\n\nname: ");
        yaml_text(out, f->name);
        er_str_addc(out, '\n');
        write_command(f, out);
        er_str_add(out, "\n# Where it runs: hosts to try in this order (`errand hosts` lists them), or any. Default: "
                        "this machine.\n"
                        "# on: [gpu-box, any]\n"
                        "\n# What it needs. With gpus: N it has N for itself; without, it sees those that nobody has "
                        "reserved.\n"
                        "# cpus: 4\n# memory: 16G\n# gpus: 1\n# time_limit: 4h\n");
        write_software(f, out);
        er_str_add(out, "\n# What is brought back into results/JOB/ at the end. If a pattern matches nothing, the job "
                        "has failed.\n");
        if (f->outputs.len == 0)
                er_str_add(out, "# outputs:\n#   - out/*.pt\n");
        else {
                er_str_add(out, "# (The script mentions these files; uncomment the ones you want.)\n# outputs:\n");
                for (size_t i = 0; i < f->outputs.len; i++)
                        er_str_addf(out, "#   - %s\n", f->outputs.items[i]);
        }
        er_str_add(
                out,
                "\n# Variables, and secrets: variables whose values come from your environment and are never stored.\n"
                "# env: {OMP_NUM_THREADS: 4}\n# secrets: [WANDB_API_KEY]\n");
}

/* --- .errandignore */

/* Writes a name as a pattern that matches only that name. */
static void ignore_name(struct er_str *out, const char *name, bool dir)
{
        size_t len = strlen(name);

        er_str_addc(out, '/');
        for (size_t i = 0; i < len; i++)
                er_str_addf(out, strchr("*?[\\", name[i]) || (name[i] == ' ' && i + 1 == len) ? "\\%c" : "%c", name[i]);
        er_str_add(out, dir ? "/\n" : "\n");
}

static void write_ignore(const struct found *f, struct er_str *out)
{
        static const char *const runs[] = {"wandb", "mlruns", "lightning_logs", "runs", NULL};

        er_str_add(out, "# Files that do not travel to hosts, in the syntax of .gitignore.");
        er_str_add(out, f->git ? " Files that git ignores never do.\n" : "\n");
        er_str_add(out, "\n# Results that errand brings back.\n/results/\n");
        for (size_t i = 0, any = 0; runs[i]; i++)
                if (is_there(f, runs[i], true)) {
                        er_str_add(out, any++ == 0 ? "\n# Left by earlier runs.\n" : "");
                        ignore_name(out, runs[i], true);
                }
        if (f->large.len == 0) {
                er_str_add(out, "\n# Copy large data to a host once instead: errand data PATH --on HOST\n# /data/\n");
                return;
        }
        er_str_add(out, "\n# Larger than 100 MB. Copy it to a host once with errand data PATH --on HOST, and jobs find "
                        "it as\n# data/NAME. Or remove the line here, and it travels with every run.\n");
        for (size_t i = 0; i < f->large.len; i++)
                ignore_name(out, f->large.items[i], is_there(f, f->large.items[i], true));
}

/* --- */

/* Returns 1 if the file was written, 0 if it exists already. */
static int write_new(const struct er_cli *cli, const struct found *f, const char *name, const struct er_str *text,
                     struct er_err *err)
{
        er_autofree char *path = er_path_join(f->dir, name);
        er_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        int why = errno;

        if (fd < 0 && why == EEXIST) {
                er_say(cli, "%s already exists and was not changed", name);
                return 0;
        }
        if (fd < 0)
                return er_err_errno(err, why, "writing %s", path);
        if (er_write_full(fd, text->buf, text->len) < 0) {
                why = errno;
                unlink(path);
                return er_err_errno(err, why, "writing %s", path);
        }
        return 1;
}

/* errand run must be able to read what has been written. */
static int check(const struct found *f, struct er_err *err)
{
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        er_auto(er_spec) spec = ER_SPEC_INIT;

        if (er_config_load(f->dir, &config, err) < 0)
                return -1;
        if (config.command.len == 0)
                return 0;
        if (er_config_to_spec(&config, f->dir, "", &spec, err) < 0)
                return -1;
        return er_config_recipe(&config, f->dir, &spec, &recipe, err) < 0 ? -1 : 0;
}

/* The home directory or / is hardly meant to be a project. */
static int ask_first(const struct init_opts *opts, const char *dir, struct er_err *err)
{
        er_autofree char *home = er_dir_home();
        struct stat left, right;
        bool is_home = stat(home, &left) == 0 && stat(dir, &right) == 0 && left.st_ino == right.st_ino &&
                       left.st_dev == right.st_dev;

        if (opts->yes || !(is_home || er_streq(dir, "/")))
                return 0;
        if (er_can_ask() &&
            er_ask("%s is %s. Make all of it a project?", dir, is_home ? "your home directory" : "the root directory"))
                return 0;
        er_err_set(err, er_can_ask() ? ER_CANCELLED : ER_CONFIG, "%s is %s, not a project", dir,
                   is_home ? "your home directory" : "the root directory");
        return er_err_hint(err, "change to the directory of your code, or use --yes");
}

static void say_next(const struct er_cli *cli, const struct found *f)
{
        er_auto(er_str) line = ER_STR_INIT;

        er_quote_argv(&line, f->command.items, f->command.len);
        if (f->command.len > 0) {
                er_say(cli, "errand.yaml: the command is %s", line.buf);
                er_say_more(cli, "errand run --dry-run shows what would happen; errand run runs it here, errand run "
                                 "--on HOST there");
        } else
                er_say(cli, "errand.yaml has no command, since no script is clearly the main one; add command: to it, "
                            "or use errand run COMMAND");
        for (size_t i = 0; i < f->large.len; i++)
                er_say_more(cli, "%s is large and does not travel; errand data %s --on HOST copies it to a host",
                            f->large.items[i], f->large.items[i]);
        er_say_more(cli, "errand hosts add NAME user@host adds a host");
}

static int init(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        __attribute__((cleanup(found_release))) struct found f = {0};
        er_auto(er_strv) names = ER_STRV_INIT;
        er_auto(er_str) yaml = ER_STR_INIT;
        er_auto(er_str) ignore = ER_STR_INIT;
        er_auto(er_config) none = ER_CONFIG_INIT;
        er_autofree char *git = NULL;
        char cwd[4096];
        int rc;

        (void)args;
        (void)count;
        if (!getcwd(cwd, sizeof cwd))
                return er_err_errno(err, errno, "finding the current directory");
        f.dir = cwd;
        if (ask_first(arg, cwd, err) < 0)
                return -1;
        f.name = er_config_project(&none, cwd);
        git = er_git_top(cwd);
        f.git = git != NULL;
        names_in(cwd, &names);
        find_command(&f, &names);
        find_outputs(&f);
        find_software(&f);
        find_large(&f, &names);
        write_ignore(&f, &ignore);
        if (write_new(cli, &f, ".errandignore", &ignore, err) < 0)
                return -1;
        write_yaml(&f, &yaml);
        rc = write_new(cli, &f, "errand.yaml", &yaml, err);
        if (rc <= 0)
                return rc;
        if (check(&f, err) < 0) {
                er_say(cli, "errand.yaml was written, but this stands in the way of a run:");
                return -1;
        }
        say_next(cli, &f);
        return 0;
}

const struct er_command er_cmd_init = {
        .name = "init",
        .group = "Run",
        .summary = "Write a first errand.yaml and .errandignore for the project",
        .description = "Run it in the root directory of the project. errand.yaml gets the project's name, the most "
                       "likely command (train.py, main.py, a package with a __main__, or the only script), its "
                       "software (the requirements.txt, pyproject.toml, environment.yml or Project.toml that declares "
                       "it, else what the script imports), and the other keys as comments. .errandignore gets "
                       "everything larger than 100 MB, which would otherwise travel with every run.\n"
                       "\n"
                       "Existing files are not changed.",
        .examples = "errand init && errand run --dry-run\t\n",
        .opts = init_options,
        .opt_count = ER_LEN(init_options),
        .opts_size = sizeof(struct init_opts),
        .flags = ER_CMD_QUIET,
        .run = init,
};

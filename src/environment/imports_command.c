/* imports_command.c - which scripts a command line runs. What is not understood is taken for no script. */
#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "environment/imports.h"

#define MAX_LINE ((size_t)1 << 20)
#define MAX_DEPTH 4

enum language { PYTHON, JULIA };
struct commands {
        const char *project_dir;
        enum language language;
        char *dir; /* the directory of the command, relative to the project; changed by cd */
        struct er_strv *ret;
        unsigned depth; /* how deep scripts run scripts */
};

static void shell_text(struct commands *c, struct er_sv text);

static void add(struct commands *c, const char *script)
{
        if (!er_strv_has(c->ret, script))
                er_strv_add(c->ret, script);
}

/* `path` as the command sees it, relative to the project; NULL outside of it (owned). */
static char *in_project(const struct commands *c, const char *path)
{
        er_autofree char *root = er_path_abs(c->project_dir), *whole = NULL, *clean = NULL;
        size_t len = strlen(root);

        if (path[0] == '/')
                whole = er_strdup(path);
        else if (er_starts(path, "~"))
                whole = er_path_expand(path);
        else
                whole = er_fmt("%s/%s/%s", root, c->dir, path);
        clean = er_path_abs(whole);
        if (len > 1 && root[len - 1] == '/')
                len--;
        if (strncmp(clean, root, len) != 0 || (clean[len] != '/' && clean[len] != '\0'))
                return NULL;
        return er_strdup(clean + len + (clean[len] == '/'));
}

static bool is_file(const struct commands *c, const char *path)
{
        er_autofree char *whole = er_path_join(c->project_dir, path);

        return er_file_exists(AT_FDCWD, whole);
}

static void add_file(struct commands *c, const char *path)
{
        er_autofree char *found = in_project(c, path);

        if (found && found[0])
                add(c, found);
}

/* pkg.train: pkg/train.py or pkg/train/__main__.py below the directory of the command, with the packages around it. */
static void add_module(struct commands *c, const char *module)
{
        static const char *const roots[] = {"", "src/"};
        er_autofree char *slashes = er_strdup(module);
        er_autofree char *name = er_fmt("-m %s", module);

        for (char *p = slashes; *p; p++) {
                if (!isalnum((unsigned char)*p) && *p != '_' && *p != '.' && (unsigned char)*p < 0x80)
                        return;
                if (*p == '.')
                        *p = '/';
        }
        for (size_t i = 0; i < ER_LEN(roots); i++) {
                er_autofree char *main_file = er_fmt("%s%s/__main__.py", roots[i], slashes),
                                 *file = er_fmt("%s%s.py", roots[i], slashes);
                er_autofree char *as_main = in_project(c, main_file), *as_file = in_project(c, file);
                char *script = as_main && is_file(c, as_main)   ? as_main
                               : as_file && is_file(c, as_file) ? as_file
                                                                : NULL;

                if (!script)
                        continue;
                add(c, script);
                for (char *slash = slashes + strlen(slashes); slash > slashes; slash--) {
                        er_autofree char *init = NULL, *found = NULL;

                        if (*slash != '/' && *slash != '\0')
                                continue;
                        *slash = '\0';
                        init = er_fmt("%s%s/__init__.py", roots[i], slashes);
                        found = in_project(c, init);
                        if (found && is_file(c, found))
                                add(c, found);
                }
                return;
        }
        add(c, name);
}

/* ---- Programs that run programs: which of their options take a word */

struct runner {
        const char *name;
        const char *values; /* " -x --long ": options that take a value */
        const char *word;   /* a word that must follow first ("launch", "run"), or NULL */
        const char *module; /* what the program itself needs, or NULL */
        bool script;        /* runs a Python file, not a command */
};
static const struct runner runners[] = {
        {"accelerate",
         " --config_file --num_processes --num_machines --machine_rank --main_process_ip --main_process_port "
         "--mixed_precision --gpu_ids --dynamo_backend --num_cpu_threads_per_process --deepspeed_config_file "
         "--rdzv_backend --zero_stage ",
         "launch", "accelerate", true},
        {"chrt", " ", NULL, NULL, false},
        {"chronic", " ", NULL, NULL, false},
        {"command", " ", NULL, NULL, false},
        {"conda", " -n --name -p --prefix --cwd ", "run", NULL, false},
        {"coverage", " --rcfile --source --omit --include --data-file ", "run", "coverage", true},
        {"deepspeed",
         " -H --hostfile -i --include -e --exclude --num_nodes --num_gpus --master_port --master_addr --launcher "
         "--launcher_args ",
         NULL, "deepspeed", true},
        {"env", " -u --unset -C --chdir ", NULL, NULL, false},
        {"exec", " -a ", NULL, NULL, false},
        {"horovodrun", " -np -H -p --hostfile ", NULL, "horovod", false},
        {"ionice", " -c -n -p ", NULL, NULL, false},
        {"ipython", " --profile ", NULL, "IPython", true},
        {"kernprof", " -o -s ", NULL, "line_profiler", true},
        {"micromamba", " -n --name -p --prefix ", "run", NULL, false},
        {"mpiexec", " -n -np -H --host -hostfile --hostfile -x --map-by --bind-to ", NULL, NULL, false},
        {"mpirun", " -n -np -H --host -hostfile --hostfile -x --map-by --bind-to ", NULL, NULL, false},
        {"nice", " -n --adjustment ", NULL, NULL, false},
        {"nohup", " ", NULL, NULL, false},
        {"numactl", " -C -N -m -i ", NULL, NULL, false},
        {"pdm", " -p --project ", "run", NULL, false},
        {"pipenv", " ", "run", NULL, false},
        {"poetry", " -C --directory -P --project ", "run", NULL, false},
        {"setsid", " ", NULL, NULL, false},
        {"srun", " -n -N -c -p -t -J -G --ntasks --nodes --cpus-per-task --partition --time --gres --mem ", NULL, NULL,
         false},
        {"stdbuf", " -i -o -e ", NULL, NULL, false},
        {"streamlit", " ", "run", "streamlit", true},
        {"sudo", " -u -g ", NULL, NULL, false},
        {"taskset", " ", NULL, NULL, false},
        {"time", " -f -o --format --output ", NULL, NULL, false},
        {"torchrun",
         " --nnodes --nproc-per-node --nproc_per_node --rdzv-backend --rdzv_backend --rdzv-endpoint --rdzv_endpoint "
         "--rdzv-id --rdzv_id --rdzv-conf --rdzv_conf --max-restarts --max_restarts --monitor-interval "
         "--monitor_interval --start-method --start_method --role --log-dir --log_dir -r --redirects -t --tee "
         "--node-rank --node_rank --master-addr --master_addr --master-port --master_port --local-addr --local_addr "
         "--local-ranks-filter --logs-specs ",
         NULL, "torch", true},
        {"uv",
         " --with --with-editable --with-requirements --extra --group --python -p --env-file --index --index-url "
         "--project --directory --package ",
         "run", NULL, true},
        {"uvx", " --from --with --python ", NULL, NULL, false},
        {"watch", " -n ", NULL, NULL, false},
        {"xvfb-run", " -n -s ", NULL, NULL, false},
        {"timeout", " -s --signal -k --kill-after ", NULL, NULL, false},
};

static bool is_value_option(const char *values, const char *word)
{
        er_autofree char *padded = er_fmt(" %s ", word);

        return strstr(values, padded) != NULL;
}

static bool is_assignment(const char *word)
{
        size_t len = 0;

        while (isalnum((unsigned char)word[len]) || word[len] == '_')
                len++;
        return len > 0 && !isdigit((unsigned char)word[0]) && word[len] == '=';
}

static bool is_python(const char *base)
{
        size_t len;

        if (er_starts(base, "python"))
                base += 6;
        else if (er_starts(base, "pypy"))
                base += 4;
        else
                return false;
        len = strspn(base, "0123456789.");
        return base[len] == '\0' || er_streq(base + len, "t"); /* without the GIL */
}

static bool is_shell(const char *base)
{
        return er_streq(base, "bash") || er_streq(base, "sh") || er_streq(base, "dash") || er_streq(base, "zsh") ||
               er_streq(base, "ksh");
}

/* ---- Interpreters */

static void simple_command(struct commands *c, char *const *words, size_t count);
static void run_runner(struct commands *c, const struct runner *runner, char *const *words, size_t count);
static void known_program(struct commands *c, const char *base, char *const *words, size_t count);

/* Modules of Python itself, and some like them, that run a script or a module. */
static const struct {
        const char *name;
        const char *values; /* options that take a value */
        const char *needs;  /* itself a package, or NULL */
} launchers[] = {
        {"cProfile", " -o --outfile -s --sort ", NULL},
        {"profile", " -o --outfile -s --sort ", NULL},
        {"pdb", " -c --command ", NULL},
        {"ipdb", " -c --command ", "ipdb"},
        {"trace", " -f --file -C --coverdir --ignore-module --ignore-dir ", NULL},
        {"doctest", " -o --option ", NULL},
        {"unittest", " -k -s --start-directory -p --pattern -t --top-level-directory ", NULL},
        {"runpy", " ", NULL},
        {"debugpy", " --listen --connect --configure-subProcess ", "debugpy"},
        {"memory_profiler", " -o --pdb-mmem --backend ", "memory_profiler"},
        {"pyinstrument", " -o -r -i ", "pyinstrument"},
        {"scalene", " --outfile ", "scalene"},
        {"viztracer", " -o --output_file ", "viztracer"},
        {"torch.distributed.run", " --nnodes --nproc-per-node --nproc_per_node --master_port --master_addr ",
         "torch.distributed.run"},
};

/* The tests below a directory: "-t DIR". */
static void add_tests(struct commands *c, const char *dir)
{
        er_autofree char *found = in_project(c, dir);
        er_autofree char *whole = found ? er_path_join(c->project_dir, found[0] ? found : ".") : NULL;
        er_autofree char *tests = er_fmt("-t %s", found ? found : "");
        struct stat st;

        if (found && stat(whole, &st) == 0 && S_ISDIR(st.st_mode))
                add(c, tests);
}

/* What follows "-m MODULE"; false: it is not one of those that run others. */
static bool launch(struct commands *c, const char *module, char *const *args, size_t count)
{
        size_t which = 0, i = 0;
        bool unittest = er_streq(module, "unittest"), any = false, as_module = false;

        while (which < ER_LEN(launchers) && !er_streq(launchers[which].name, module))
                which++;
        if (which == ER_LEN(launchers))
                return false;
        if (launchers[which].needs)
                add_module(c, launchers[which].needs);
        if (unittest && count > 0 && er_streq(args[0], "discover")) {
                for (i = 1; i + 1 < count && !er_streq(args[i], "-s"); i++)
                        ;
                add_tests(c, i + 1 < count ? args[i + 1] : count > 1 && args[1][0] != '-' ? args[1] : ".");
                return true;
        }
        for (; i < count; i++) {
                if (er_streq(args[i], "-m") || er_streq(args[i], "--module")) {
                        as_module = true;
                        continue;
                }
                if (args[i][0] == '-') {
                        if (!strchr(args[i], '=') && is_value_option(launchers[which].values, args[i]))
                                i++;
                        continue;
                }
                any = true;
                if (as_module && !launch(c, args[i], args + i + 1, count - i - 1)) {
                        add_module(c, args[i]);
                } else if (!as_module && unittest && !er_ends(args[i], ".py")) {
                        er_autofree char *first = er_strdup(args[i]);

                        /* tests.test_x.Case.test_y: as much of it as is a file */
                        while (strchr(first, '.')) {
                                er_autofree char *slashes = er_strdup(first);
                                er_autofree char *file = NULL, *found = NULL;

                                for (char *p = slashes; *p; p++)
                                        if (*p == '.')
                                                *p = '/';
                                file = er_fmt("%s.py", slashes);
                                found = in_project(c, file);
                                if (found && is_file(c, found))
                                        break;
                                *strrchr(first, '.') = '\0';
                        }
                        add_module(c, first);
                        continue;
                } else if (!as_module) {
                        add_file(c, args[i]);
                }
                if (!unittest && !er_streq(module, "doctest"))
                        break; /* the rest are the script's own */
        }
        if (unittest && !any)
                add_tests(c, ".");
        return true;
}

static void python_args(struct commands *c, char *const *args, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                const char *arg = args[i] ? args[i] : "";

                if (arg[0] != '-' || !arg[1]) {
                        if (arg[0] != '-')
                                add_file(c, arg);
                        return;
                }
                if (er_starts(arg, "--")) {
                        i += er_streq(arg, "--check-hash-based-pycs");
                        continue;
                }
                for (const char *letter = arg + 1; *letter; letter++) { /* flags may be bundled: -um pkg */
                        const char *value = letter[1] ? letter + 1 : i + 1 < count ? args[i + 1] : NULL;

                        if (*letter == 'c' && value) {
                                er_autofree char *code = er_fmt("-c %s", value);

                                add(c, code);
                                return;
                        }
                        if (*letter == 'm' && value) {
                                size_t rest = i + (letter[1] ? 1 : 2);

                                if (launch(c, value, args + rest, count - rest))
                                        return;
                                for (size_t k = 0; k < ER_LEN(runners); k++)
                                        if (runners[k].script && er_streq(runners[k].name, value)) {
                                                run_runner(c, &runners[k], args + rest - 1, count - rest + 1);
                                                return;
                                        }
                                add_module(c, value);
                                known_program(c, value, args + rest - 1, count - rest + 1);
                                return;
                        }
                        if (*letter == 'W' || *letter == 'X') {
                                i += !letter[1];
                                break;
                        }
                }
        }
}

static void julia_args(struct commands *c, char *const *args, size_t count)
{
        static const char *const values = " -e --eval -E --print -L --load -J --sysimage -p --procs -t --threads "
                                          "--machine-file --project -H --home -C ";

        for (size_t i = 0; i < count; i++) {
                if (args[i][0] != '-') {
                        add_file(c, args[i]);
                        return;
                }
                if (i + 1 < count &&
                    (er_streq(args[i], "-e") || er_streq(args[i], "--eval") || er_streq(args[i], "-E"))) {
                        er_autofree char *code = er_fmt("-e %s", args[i + 1]);

                        add(c, code);
                }
                if (i + 1 < count && (er_streq(args[i], "-L") || er_streq(args[i], "--load")))
                        add_file(c, args[i + 1]);
                if (er_streq(args[i], "--project")) /* its value only comes with '=' */
                        continue;
                if (!strchr(args[i], '=') && is_value_option(values, args[i]))
                        i++;
        }
}

/* A file whose first line names its interpreter. */
static void run_file(struct commands *c, const char *word, bool shell)
{
        er_autofree char *path = in_project(c, word), *whole = NULL;
        er_auto(er_str) text = ER_STR_INIT;
        const char *newline;
        size_t first;

        if (!path || !path[0] || c->depth >= MAX_DEPTH)
                return;
        whole = er_path_join(c->project_dir, path);
        if (er_file_read(AT_FDCWD, whole, MAX_LINE, &text, NULL) < 0)
                return;
        newline = memchr(text.buf, '\n', text.len);
        first = newline ? (size_t)(newline - text.buf) : text.len;
        if (!shell && !er_starts(text.buf, "#!"))
                return;
        if (!shell) {
                if (memmem(text.buf, first, c->language == PYTHON ? "python" : "julia",
                           c->language == PYTHON ? 6 : 5) ||
                    (c->language == PYTHON && memmem(text.buf, first, "uv run", 6))) {
                        add(c, path);
                        return;
                }
                if (first < 2 || memcmp(text.buf + first - 2, "sh", 2) != 0)
                        return;
        }
        c->depth++;
        shell_text(c, er_svn(text.buf, text.len));
        c->depth--;
}

static void shell_args(struct commands *c, char *const *args, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                if (args[i][0] != '-' && args[i][0] != '+') {
                        run_file(c, args[i], true);
                        return;
                }
                if (args[i][0] == '-' && args[i][1] != '-' && strchr(args[i], 'c')) {
                        if (i + 1 < count && c->depth < MAX_DEPTH) {
                                c->depth++;
                                shell_text(c, er_sv(args[i + 1]));
                                c->depth--;
                        }
                        return;
                }
                i += er_streq(args[i], "-o") || er_streq(args[i], "-O");
        }
}

static void run_runner(struct commands *c, const struct runner *runner, char *const *words, size_t count)
{
        size_t i = 1;
        bool module = false;

        if (runner->word) {
                while (i < count && !er_streq(words[i], runner->word))
                        i++;
                if (i++ == count)
                        return;
        }
        for (; i < count; i++) {
                if (er_streq(words[i], "-m") && runner->script) {
                        module = true;
                        continue;
                }
                if (er_streq(words[i], "--")) {
                        i++;
                        break;
                }
                if (words[i][0] != '-' && !(er_streq(runner->name, "env") && is_assignment(words[i])))
                        break;
                if (!strchr(words[i], '=') && is_value_option(runner->values, words[i]))
                        i++;
        }
        if (i < count &&
            (er_streq(runner->name, "timeout") || er_streq(runner->name, "taskset") || er_streq(runner->name, "chrt")))
                i++; /* the time, the mask, the priority */
        if (i >= count)
                return;
        if (runner->module && c->language == PYTHON) {
                er_autofree char *needed = er_fmt("-m %s", runner->module);

                add(c, needed);
        }
        if (module)
                add_module(c, words[i]);
        else if (runner->script && c->language == PYTHON && (er_ends(words[i], ".py") || !er_streq(runner->name, "uv")))
                add_file(c, words[i]);
        else
                simple_command(c, words + i, count - i);
}

/* Programs that come with a distribution and load code of the project in other ways. */
static void known_program(struct commands *c, const char *base, char *const *words, size_t count)
{
        static const struct {
                const char *name, *module;
                bool app; /* takes MODULE:NAME */
        } programs[] = {
                {"celery", "celery", false},
                {"flask", "flask", false},
                {"gunicorn", "gunicorn", true},
                {"hypercorn", "hypercorn", true},
                {"jupyter", "jupyter", false},
                {"jupyter-lab", "jupyterlab", false},
                {"mlflow", "mlflow", false},
                {"optuna", "optuna", false},
                {"papermill", "papermill", false},
                {"papermill", "ipykernel", false}, /* the kernel that it starts */
                {"py.test", "pytest", false},
                {"pytest", "pytest", false},
                {"ray", "ray", false},
                {"scrapy", "scrapy", false},
                {"snakemake", "snakemake", false},
                {"tensorboard", "tensorboard", false},
                {"uvicorn", "uvicorn", true},
                {"vllm", "vllm", false},
                {"wandb", "wandb", false},
        };
        bool known = false;

        for (size_t i = 0; i < ER_LEN(programs); i++) {
                er_autofree char *module = NULL;

                if (!er_streq(base, programs[i].name))
                        continue;
                known = true;
                module = er_fmt("-m %s", programs[i].module);
                add(c, module);
                for (size_t k = 1; programs[i].app && k < count; k++) {
                        const char *colon = strchr(words[k], ':');
                        er_autofree char *app = colon ? er_strndup(words[k], (size_t)(colon - words[k])) : NULL;

                        if (app && words[k][0] != '-' && !strchr(app, '/') && app[0] && !isdigit((unsigned char)app[0]))
                                add_module(c, app);
                }
        }
        if (er_streq(base, "pytest") || er_streq(base, "py.test")) {
                bool named = false;

                for (size_t k = 1; k < count; k++) {
                        er_autofree char *path = er_strndup(words[k], strcspn(words[k], ":")); /* a.py::test_b */

                        if (words[k][0] == '-')
                                continue;
                        if (er_ends(path, ".py")) {
                                er_autofree char *found_file = in_project(c, path);

                                named = true;
                                if (found_file && is_file(c, found_file))
                                        add(c, found_file);
                        } else {
                                er_autofree char *found_dir = in_project(c, path);
                                er_autofree char *whole = found_dir ? er_path_join(c->project_dir, found_dir) : NULL;
                                struct stat st;

                                if (whole && stat(whole, &st) == 0 && S_ISDIR(st.st_mode)) {
                                        named = true;
                                        add_tests(c, path);
                                }
                        }
                }
                if (!named)
                        add_tests(c, ".");
                return;
        }
        for (size_t k = 1; known && k < count; k++) /* notebooks and tests that are named */
                if (words[k][0] != '-' && (er_ends(words[k], ".ipynb") || er_ends(words[k], ".py"))) {
                        er_autofree char *path = in_project(c, words[k]);

                        if (path && is_file(c, path))
                                add(c, path);
                }
}

static void simple_command(struct commands *c, char *const *words, size_t count)
{
        const char *base;

        while (count > 0 && (is_assignment(words[0]) || er_streq(words[0], "!") || er_streq(words[0], "then") ||
                             er_streq(words[0], "do") || er_streq(words[0], "else") || er_streq(words[0], "if") ||
                             er_streq(words[0], "while"))) {
                words++;
                count--;
        }
        if (count == 0)
                return;
        base = er_path_base(words[0]);
        if (er_streq(words[0], "cd") && count > 1) {
                char *dir = in_project(c, words[1]);

                if (dir) {
                        free(c->dir);
                        c->dir = dir;
                }
                return;
        }
        if (c->language == PYTHON && is_python(base)) {
                python_args(c, words + 1, count - 1);
                return;
        }
        if (c->language == JULIA && er_starts(base, "julia")) {
                julia_args(c, words + 1, count - 1);
                return;
        }
        if (is_shell(base)) {
                shell_args(c, words + 1, count - 1);
                return;
        }
        if ((er_streq(words[0], ".") || er_streq(words[0], "source")) && count > 1) {
                run_file(c, words[1], true);
                return;
        }
        for (size_t i = 0; i < ER_LEN(runners); i++)
                if (er_streq(base, runners[i].name)) {
                        run_runner(c, &runners[i], words, count);
                        return;
                }
        if (strchr(words[0], '/'))
                run_file(c, words[0], false);
        if (c->language == PYTHON)
                known_program(c, base, words, count);
}

/* ---- Shell lines */

/* From the '<<' of a here document to the end of its text. */
static void skip_here(struct er_sv *text)
{
        er_autofree char *mark = NULL;
        struct er_sv line;
        size_t i = 2, begin;

        while (i < text->len &&
               (text->ptr[i] == '-' || text->ptr[i] == ' ' || text->ptr[i] == '\'' || text->ptr[i] == '"'))
                i++;
        begin = i;
        while (i < text->len && (isalnum((unsigned char)text->ptr[i]) || text->ptr[i] == '_'))
                i++;
        mark = er_strndup(text->ptr + begin, i - begin);
        (void)er_sv_cut(text, '\n', &line);
        while (text->ptr && er_sv_cut(text, '\n', &line))
                if (er_sv_eq(er_sv_trim(line), er_sv(mark)))
                        break;
        if (!text->ptr)
                *text = er_svn("", 0);
}

static void end_word(struct er_strv *words, struct er_str *word, bool *in_word, bool *skip)
{
        if (*in_word && !*skip)
                er_strv_take(words, er_str_detach(word));
        if (*in_word)
                *skip = false;
        er_str_reset(word);
        *in_word = false;
}

static void end_command(struct commands *c, struct er_strv *words)
{
        if (words->len > 0)
                simple_command(c, words->items, words->len);
        er_strv_release(words);
        *words = (struct er_strv)ER_STRV_INIT;
}

/* Splits as a shell does, without expanding anything. */
static void shell_text(struct commands *c, struct er_sv text)
{
        er_auto(er_strv) words = ER_STRV_INIT;
        er_auto(er_str) word = ER_STR_INIT;
        bool in_word = false, skip = false; /* skip: the next word is a redirection's file */
        char quote = '\0';

        while (text.len > 0) {
                char ch = text.ptr[0], next = text.len > 1 ? text.ptr[1] : '\0';
                size_t taken = 1;

                if (quote) {
                        if (ch == quote)
                                quote = '\0';
                        else if (quote == '"' && ch == '\\' && (next == '"' || next == '\\' || next == '$')) {
                                er_str_addc(&word, next);
                                taken = 2;
                        } else
                                er_str_addc(&word, ch);
                } else if (ch == '\'' || ch == '"') {
                        quote = ch;
                        in_word = true;
                } else if (ch == '\\' && next) {
                        if (next != '\n') {
                                er_str_addc(&word, next);
                                in_word = true;
                        }
                        taken = 2;
                } else if (ch == '#' && !in_word) {
                        const char *newline = memchr(text.ptr, '\n', text.len);

                        taken = newline ? (size_t)(newline - text.ptr) : text.len;
                } else if (ch == '<' && next == '<') {
                        end_word(&words, &word, &in_word, &skip);
                        skip_here(&text);
                        end_command(c, &words);
                        continue;
                } else if (ch == '<' || ch == '>') {
                        if (in_word && word.len > 0 && strspn(word.buf, "0123456789") == word.len)
                                er_str_reset(&word), in_word = false; /* 2> */
                        end_word(&words, &word, &in_word, &skip);
                        skip = true;
                        while (taken < text.len && strchr(">&|", text.ptr[taken]))
                                taken++;
                } else if (ch == '&' && next == '>') {
                        end_word(&words, &word, &in_word, &skip);
                } else if (strchr("\n;&|(){}`", ch) && !(ch == '{' && in_word) && !(ch == '}' && in_word)) {
                        end_word(&words, &word, &in_word, &skip);
                        skip = false;
                        end_command(c, &words);
                } else if (isspace((unsigned char)ch))
                        end_word(&words, &word, &in_word, &skip);
                else {
                        er_str_addc(&word, ch);
                        in_word = true;
                }
                text = er_svn(text.ptr + taken, text.len - taken);
        }
        end_word(&words, &word, &in_word, &skip);
        end_command(c, &words);
}

static void scripts_of(enum language language, const char *project_dir, const char *workdir,
                       const struct er_strv *command, bool shell, struct er_strv *ret)
{
        struct commands c = {.project_dir = project_dir, .language = language, .ret = ret};

        if (!command || command->len == 0)
                return;
        c.dir = er_strdup(workdir ? workdir : "");
        if (shell)
                shell_text(&c, er_sv(command->items[0]));
        else
                simple_command(&c, command->items, command->len);
        free(c.dir);
}

void er_imports_scripts_of(const char *project_dir, const char *workdir, const struct er_strv *command, bool shell,
                           struct er_strv *ret)
{
        scripts_of(PYTHON, project_dir, workdir, command, shell, ret);
}

void er_julia_scripts_of(const char *project_dir, const char *workdir, const struct er_strv *command, bool shell,
                         struct er_strv *ret)
{
        scripts_of(JULIA, project_dir, workdir, command, shell, ret);
}

/* cmd_run.c - errand run: a command, its files, a host; its output here, its results back. */
#include <errno.h>
#include <unistd.h>
#include "base/path.h"
#include "cli/dry_run.h"
#include "cli/follow.h"
#include "cli/secrets.h"
#include "cli/snapshot_view.h"
#include "job/config.h"
#include "maestro/request.h"

struct run_opts {
        struct er_strv on, env, secrets, outputs;
        int64_t cpus, gpus, retries, memory, time_limit_ms, grace_ms;
        const char *env_file, *name, *workdir;
        bool detach, no_sync, yes, dry_run;
        /* its environment */
        struct er_strv pip, apt, conda, channels, julia, setup;
        const char *container, *python, *environment, *fetch;
};

#define OPT(name, letter, type, value, member, complete, help)                                                         \
        {name, letter, type, value, help, offsetof(struct run_opts, member), complete}

static const struct er_opt run_options[] = {
        OPT("on", 0, ER_OPT_LIST, "HOST", on, ER_COMPLETE_HOST,
            "Host to run on: local, a name, user@host[:port], or any (known host); may be repeated: the first with "
            "room"),
        OPT("cpus", 'c', ER_OPT_COUNT, "N", cpus, ER_COMPLETE_NONE, "CPUs the job needs (default: 1)"),
        OPT("memory", 'm', ER_OPT_SIZE, "SIZE", memory, ER_COMPLETE_NONE, "Memory it needs, for example 16G"),
        OPT("gpus", 'g', ER_OPT_COUNT, "N", gpus, ER_COMPLETE_NONE,
            "GPUs it needs for itself (default: it sees those that nobody has reserved; 0: none)"),
        OPT("time-limit", 't', ER_OPT_DURATION, "TIME", time_limit_ms, ER_COMPLETE_NONE,
            "End it after this long, for example 2h30m"),
        OPT("grace", 0, ER_OPT_DURATION, "TIME", grace_ms, ER_COMPLETE_NONE,
            "Time to tidy up, from TERM to KILL, at the time limit and when it is cancelled (default: 10s)"),
        OPT("retries", 0, ER_OPT_COUNT, "N", retries, ER_COMPLETE_NONE,
            "Try again up to N times if its host loses it; a job that fails is not retried"),
        OPT("env", 'e', ER_OPT_LIST, "NAME[=VALUE]", env, ER_COMPLETE_NONE,
            "Set a variable; without a value, copy it from your environment"),
        OPT("env-file", 0, ER_OPT_TEXT, "FILE", env_file, ER_COMPLETE_FILE,
            "Set the variables that FILE lists as NAME=VALUE lines"),
        OPT("secret", 's', ER_OPT_LIST, "NAME", secrets, ER_COMPLETE_NONE,
            "Pass on this variable of your environment; its value is never stored"),
        OPT("output", 'o', ER_OPT_LIST, "PATTERN", outputs, ER_COMPLETE_FILE,
            "Bring matching files back into results/JOB/; they must exist when the job ends"),
        OPT("workdir", 'C', ER_OPT_TEXT, "DIR", workdir, ER_COMPLETE_DIR, "Run it in directory DIR of the project"),
        OPT("no-sync", 0, ER_OPT_FLAG, NULL, no_sync, ER_COMPLETE_NONE, "Send no files"),
        OPT("pip", 0, ER_OPT_LIST, "PACKAGE", pip, ER_COMPLETE_FILE,
            "Python packages it needs: names with versions, requirements.txt, pyproject.toml, a venv's directory, auto "
            "or none"),
        OPT("apt", 0, ER_OPT_LIST, "PACKAGE", apt, ER_COMPLETE_NONE, "Debian or Ubuntu packages it needs"),
        OPT("conda", 0, ER_OPT_LIST, "SPEC", conda, ER_COMPLETE_FILE,
            "Conda packages it needs, environment.yml, or a conda environment's directory"),
        OPT("channel", 0, ER_OPT_LIST, "CHANNEL", channels, ER_COMPLETE_NONE,
            "Channel for conda packages (default: conda-forge)"),
        OPT("julia", 0, ER_OPT_LIST, "PACKAGE", julia, ER_COMPLETE_FILE, "Julia packages it needs, or Project.toml"),
        OPT("setup", 0, ER_OPT_LIST, "LINE", setup, ER_COMPLETE_NONE, "Shell line that prepares the host; run once"),
        OPT("container", 0, ER_OPT_TEXT, "IMAGE", container, ER_COMPLETE_NONE,
            "Run it in this image, with docker, podman or apptainer, whichever the host has"),
        OPT("python", 0, ER_OPT_TEXT, "VERSION", python, ER_COMPLETE_NONE, "Python version it needs, for example 3.11"),
        OPT("environment", 0, ER_OPT_TEXT, "NAME", environment, ER_COMPLETE_NONE,
            "Use this environment from errand.yaml"),
        OPT("fetch", 0, ER_OPT_TEXT, "auto|host|here", fetch, ER_COMPLETE_NONE,
            "Who downloads packages: the host, or this machine for it (auto: the host if it can)"),
        OPT("name", 'n', ER_OPT_TEXT, "NAME", name, ER_COMPLETE_NONE, "Name the run NAME instead of PROJECT-NUMBER"),
        OPT("detach", 'd', ER_OPT_FLAG, NULL, detach, ER_COMPLETE_NONE,
            "Return once the job is on its host, and print its name"),
        OPT("dry-run", 0, ER_OPT_FLAG, NULL, dry_run, ER_COMPLETE_NONE,
            "Show what would be sent and run; start nothing"),
        OPT("yes", 'y', ER_OPT_FLAG, NULL, yes, ER_COMPLETE_NONE, "Do not ask before sending more than 1 GB"),
};

/* The current directory relative to the project's root; "" at the root itself. */
static int find_subdir(const char *root, char **ret, struct er_err *err)
{
        char cwd[4096];
        size_t len = strlen(root);

        if (!getcwd(cwd, sizeof cwd))
                return er_err_errno(err, errno, "finding the current directory");
        if (er_starts(cwd, root) && cwd[len] == '/')
                *ret = er_strdup(cwd + len + 1);
        else
                *ret = er_strdup("");
        return 0;
}

static void take_options(const struct run_opts *opts, char **args, int count, struct er_config *config)
{
        config->cpus = opts->cpus;
        config->gpus = opts->gpus;
        config->retries = opts->retries;
        config->memory = opts->memory;
        config->time_limit_ms = opts->time_limit_ms;
        config->grace_ms = opts->grace_ms;
        config->sync = opts->no_sync ? 0 : -1;
        config->workdir = opts->workdir ? er_strdup(opts->workdir) : NULL;
        if (opts->env_file) { /* relative to the current directory; the one in errand.yaml is relative to the project */
                er_autofree char *path = er_path_expand(opts->env_file);

                config->env_file = er_path_abs(path);
        }
        er_strv_addall(&config->command, args, (size_t)count);
        er_strv_addall(&config->on, opts->on.items, opts->on.len);
        er_strv_addall(&config->env, opts->env.items, opts->env.len);
        er_strv_addall(&config->secrets, opts->secrets.items, opts->secrets.len);
        er_strv_addall(&config->outputs, opts->outputs.items, opts->outputs.len);
}

static int take_software(const struct run_opts *opts, struct er_config *config, struct er_err *err)
{
        struct er_declaration *software = &config->software_options;

        er_strv_addall(&software->pip, opts->pip.items, opts->pip.len);
        er_strv_addall(&software->apt, opts->apt.items, opts->apt.len);
        er_strv_addall(&software->conda, opts->conda.items, opts->conda.len);
        er_strv_addall(&software->channels, opts->channels.items, opts->channels.len);
        er_strv_addall(&software->julia, opts->julia.items, opts->julia.len);
        er_strv_addall(&software->setup, opts->setup.items, opts->setup.len);
        software->container = opts->container ? er_strdup(opts->container) : NULL;
        software->python = opts->python ? er_strdup(opts->python) : NULL;
        config->environment = opts->environment ? er_strdup(opts->environment) : NULL;
        software->fetch = opts->fetch ? er_fetch_of(opts->fetch) : ER_FETCH_UNSAID;
        if (opts->fetch && software->fetch == ER_FETCH_UNSAID) {
                er_err_set(err, ER_USAGE, "--fetch: \"%s\" is not a way to fetch packages", opts->fetch);
                return er_err_hint(err, "use auto, host or here");
        }
        return 0;
}

/* Combines the options with errand.yaml. */
static int make_request(const struct er_cli *cli, const struct run_opts *opts, char **args, int count,
                        struct er_request *ret, struct er_err *err)
{
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_auto(er_config) over = ER_CONFIG_INIT;
        er_autofree char *dir = NULL, *subdir = NULL;

        if (er_target_project(&dir, err) < 0 || find_subdir(dir, &subdir, err) < 0 ||
            er_config_load(dir, &config, err) < 0)
                return -1;
        take_options(opts, args, count, &over);
        if (take_software(opts, &over, err) < 0)
                return -1;
        er_config_overlay(&config, &over);
        if (er_request_make(&config, dir, subdir, opts->name, ret, err) < 0)
                return -1;
        return er_request_check_hosts(cli->store, ret, err);
}

static int run(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct run_opts *opts = arg;
        er_auto(er_request) request = ER_REQUEST_INIT;
        er_autoptr(er_snapshot) snapshot = NULL;
        er_auto(er_run) run = {0};

        if (make_request(cli, opts, args, count, &request, err) < 0)
                return -1;
        if (!opts->dry_run && er_secrets_ask(&request.spec.secrets, err) < 0)
                return -1;
        if (request.spec.sync && opts->dry_run &&
            er_snapshot_view_sizes(cli, request.project_dir, request.spec.project, &snapshot, err) < 0)
                return -1;
        if (request.spec.sync && !opts->dry_run &&
            er_snapshot_view_take(cli, request.project_dir, request.spec.project, !opts->yes, &snapshot, err) < 0)
                return -1;
        if (opts->dry_run)
                return er_dry_run_show(cli, &request, snapshot, err);
        if (er_follow_store(cli, &request, snapshot, &run, err) < 0)
                return -1;
        return er_follow_run(cli, &(struct er_follow){.run = &run, .snapshot = snapshot, .detach = opts->detach}, err);
}

const struct er_command er_cmd_run = {
        .name = "run",
        .group = "Run",
        .summary = "Run a command on any host and bring its results back",
        .arguments = "[[--] COMMAND [ARG]...]",
        .description =
                "The project's files travel with the command: in a git repository, all files that git tracks or does "
                "not ignore; elsewhere, everything except the usual caches. Files listed in .errandignore, which has "
                "the syntax of .gitignore, are left out; a pattern there after ! brings files that git ignores. The "
                "command runs in a directory of its own, on a copy of the files as they are now; nothing it does "
                "there changes the files here. What --output names is brought back into results/JOB/ when the job "
                "ends, even if it fails.\n"
                "\n"
                "Options end at the command: everything after it belongs to the command. Its words are passed on "
                "exactly as typed. A single argument that contains spaces is run by the shell, as with ssh:\n"
                "  errand run 'python3 prepare.py && python3 train.py'\n"
                "\n"
                "The job's output appears here as it is written, with standard output and standard error kept apart. "
                "errand's own messages go to standard error; --quiet suppresses all but errors. The job's standard "
                "input is empty.\n"
                "\n"
                "Ctrl-C leaves the job running and says how to follow it; a second Ctrl-C within two seconds cancels "
                "it. Closing the terminal also leaves it running. If the job's files are still being sent at that "
                "moment, sending continues in the background. Do not change the files until errand jobs shows the job "
                "as queued or running; if you do, the job fails rather than run with other files.\n"
                "\n"
                "The project's errand.yaml (command, on, cpus, outputs and more; see errand.yaml(5)) applies unless an "
                "option says otherwise. If neither --on nor errand.yaml names a host, the command runs on this "
                "machine.\n"
                "\n"
                "Without --gpus, the job sees the GPUs of its host that nobody has reserved when it starts; a line "
                "says "
                "which. Other jobs may see and even reserve them later. With --gpus N, it gets N for itself, those "
                "that "
                "no other program uses first, and waits until there are so many. In both cases the host's own "
                "CUDA_VISIBLE_DEVICES limits what is there. --gpus 0 hides them all.\n"
                "\n"
                "The exit status is the job's: 128+N if signal N ended it, 124 if it reached the time limit, 137 if it "
                "ran out of memory, 220 if an output is missing, 221 if its host lost it, 222 if it ended for another "
                "reason. errand's own failures are above 200 too; errand(1) lists them. 216 means that you left while "
                "the job goes on.\n"
                "\n"
                "With --json, the result is printed as one JSON object on standard output, with the keys of errand "
                "show and results_dir; the job's own output then goes to standard error.",
        .examples = "errand run python3 train.py --lr 0.1\ton this machine\n"
                    "errand run --on gpu-box --gpus 1 -o 'out/*.pt' python3 train.py\ton a host; results come back\n"
                    "errand run --on any --memory 32G -d ./simulate\tin the background, on any host with room\n"
                    "errand run --dry-run true\tonly show which files would be sent\n",
        .opts = run_options,
        .opt_count = ER_LEN(run_options),
        .opts_size = sizeof(struct run_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_JSON | ER_CMD_QUIET,
        .stop_at_argument = true,
        .max_args = -1,
        .complete = ER_COMPLETE_COMMAND,
        .run = run,
};

/* cmd_exec.c - errand exec: a command at once, in the environment of a job or of the project, outside the queue. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "base/parse.h"
#include "base/term.h"
#include "cli/environments.h"
#include "cli/where.h"
#include "host/connect/agent_program.h"
#include "host/connect/ssh.h"
#include "job/config.h"
#include "maestro/maestro.h"

struct exec_opts {
        const char *environment;
        bool tty;
};

static const struct er_opt exec_options[] = {
        {"environment", 0, ER_OPT_TEXT, "NAME", "Use this environment from errand.yaml",
         offsetof(struct exec_opts, environment), ER_COMPLETE_NONE},
        {"tty", 't', ER_OPT_FLAG, NULL, "Give COMMAND a terminal even if its output is redirected",
         offsetof(struct exec_opts, tty), ER_COMPLETE_NONE},
};

/* Finds the recipe of the environment that `errand run` would give the command. Returns 1 if there is one, else 0. */
static int find_recipe(const struct exec_opts *opts, char **args, int count, struct er_recipe *ret, struct er_err *err)
{
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_auto(er_config) over = ER_CONFIG_INIT;
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_autofree char *dir = NULL;

        if (er_target_project(&dir, err) < 0 || er_config_load(dir, &config, err) < 0)
                return -1;
        er_strv_addall(&over.command, args, (size_t)count);
        over.environment = opts->environment ? er_strdup(opts->environment) : NULL;
        er_config_overlay(&config, &over);
        if (er_config_to_spec(&config, dir, "", &spec, err) < 0)
                return -1;
        return er_config_recipe(&config, dir, &spec, ret, err);
}

/* Adds the arguments of errand-agent. */
static void add_words(const struct er_cli *cli, const struct er_where *where, const struct er_recipe *recipe,
                      char **args, int count, struct er_strv *argv)
{
        er_strv_add(argv, "exec");
        if (where->is_job) {
                er_autofree char *key = er_job_key(cli->store, &where->job);

                er_strv_add(argv, "--job");
                er_strv_add(argv, key);
                er_strv_addf(argv, "%u", (unsigned)where->job.attempt);
        }
        if (recipe) {
                char hex[2 * ER_ENV_HASH + 1];

                er_fmt_hex(recipe->hash, ER_ENV_HASH, hex);
                er_strv_add(argv, "--environment");
                er_strv_add(argv, hex);
        }
        if (count == 1 && strpbrk(args[0], " \t\n")) /* a line for the shell, as in errand run */
                er_strv_add(argv, "--line");
        er_strv_add(argv, "--");
        er_strv_addall(argv, args, (size_t)count);
}

static int become(const struct er_host *host, const struct er_strv *words, bool tty, struct er_err *err)
{
        er_auto(er_strv) agent = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;

        er_agent_argv(host, &agent);
        er_strv_addall(&agent, words->items, words->len);
        if (host->kind == ER_HOST_LOCAL)
                er_strv_addall(&argv, agent.items, agent.len);
        else {
                er_auto(er_str) line = ER_STR_INIT;

                er_str_add(&line, "exec ");
                er_quote_argv(&line, agent.items, agent.len);
                if (er_ssh_argv_for_user(host, tty, &argv, err) < 0)
                        return -1;
                er_strv_add(&argv, line.buf);
        }
        signal(SIGPIPE, SIG_DFL);
        execvp(argv.items[0], argv.items);
        return er_err_errno(err, errno, "starting %s", argv.items[0]);
}

/* Connects, installs the agent if necessary, and builds the environment if it is one of the project's. */
static int prepare(const struct er_cli *cli, const struct er_where *where, struct er_recipe *recipe, struct er_err *err)
{
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        er_autoptr(er_session) session = NULL;
        const struct er_hello *hello;

        if (er_target_session(cli, where->host.name, live, &session, err) < 0 ||
            er_session_hello(session, &hello, err) < 0)
                return -1;
        er_live_clear(live);
        if (recipe && er_environments_build(session, recipe, live, err) < 0)
                return er_err_wrap(err, "%s: environment", where->host.name);
        return 0;
}

static int exec_command(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct exec_opts *opts = arg;
        er_auto(er_where) where = ER_WHERE_INIT;
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        er_auto(er_strv) words = ER_STRV_INIT;
        int has_recipe = 0;

        if (er_where_find(cli, args[0], &where, err) < 0)
                return -1;
        args++;
        count--;
        if (er_streq(args[0], "--")) {
                args++;
                count--;
        }
        if (count == 0) {
                er_err_set(err, ER_USAGE, "no command given");
                return er_err_hint(err, "for a shell there, use errand ssh %s",
                                   where.is_job ? where.job.name : where.host.name);
        }
        if (where.is_job && (!where.job.host || where.job.attempt == 0))
                return er_err_set(err, ER_STATE, "%s is not on a host yet", where.job.name);
        /* A job has its own environment, unless the user names another one. */
        if (!where.is_job || opts->environment)
                has_recipe = find_recipe(opts, args, count, &recipe, err);
        if (has_recipe < 0 || prepare(cli, &where, has_recipe ? &recipe : NULL, err) < 0)
                return -1;
        add_words(cli, &where, has_recipe ? &recipe : NULL, args, count, &words);
        return become(&where.host, &words, opts->tty || (er_term_is(STDIN_FILENO) && er_term_is(STDOUT_FILENO)), err);
}

const struct er_command er_cmd_exec = {
        .name = "exec",
        .group = "Run",
        .summary = "Run a command right away in the environment of a job or project",
        .arguments = "HOST|JOB [--] COMMAND [ARG]...",
        .description = "The command starts at once: it does not queue, takes no CPUs or GPUs from the queue, and is "
                       "not recorded anywhere. It ends with the connection. Use it to look around, to debug, or for a "
                       "shell beside a job.\n"
                       "\n"
                       "Given a job, the command runs in the directory that the job's command runs in, with the job's "
                       "variables, its environment and the GPUs it has or had, even after the job has ended. The job's "
                       "secrets are missing, as they are never stored. Given a host, the command runs in the home "
                       "directory there, in the environment that errand run would give it (built first if necessary), "
                       "with all GPUs; the project's files are not sent. In a container, the directory is "
                       "~/.errand/exec/work instead of the home directory.\n"
                       "\n"
                       "On a terminal, COMMAND gets one too. Standard input is passed on. A single argument that "
                       "contains spaces is run by the shell. Options of errand exec come before HOST. The exit status "
                       "is the command's; 255 means that the connection broke.",
        .examples = "errand exec mnist-12 python3 look.py model.pt\tbeside a job\n"
                    "errand exec gpu-box nvidia-smi\ton a host\n"
                    "errand exec mnist-12 bash\ta shell in the job's environment\n",
        .opts = exec_options,
        .opt_count = ER_LEN(exec_options),
        .opts_size = sizeof(struct exec_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .stop_at_argument = true,
        .min_args = 2,
        .max_args = -1,
        .complete = ER_COMPLETE_HOST,
        .run = exec_command,
};

/* exec.c - see exec.h */
#include "agent/serve/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/attempt/job.h"
#include "agent/outside.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"

#define CANNOT 126
#define USAGE (200 + ER_USAGE)

struct wish {
        const char *key, *environment;
        uint64_t attempt;
        bool line;
        char **argv;
        int count;
};

static int say(const struct er_err *err, int status)
{
        er_autofree char *text = er_fmt("errand: %s\n%s%s%s", err->message, err->hint ? "        " : "",
                                        err->hint ? err->hint : "", err->hint ? "\n" : "");

        er_write_full(2, text, strlen(text));
        return status;
}

static int read_wish(char **args, int count, struct wish *ret, struct er_err *err)
{
        int i = 0;

        for (; i < count && !er_streq(args[i], "--"); i++) {
                if (er_streq(args[i], "--line"))
                        ret->line = true;
                else if (er_streq(args[i], "--environment") && i + 1 < count)
                        ret->environment = args[++i];
                else if (er_streq(args[i], "--job") && i + 2 < count) {
                        ret->key = args[++i];
                        if (er_parse_u64(args[++i], UINT32_MAX, &ret->attempt, err) < 0)
                                return -1;
                } else
                        return er_err_set(err, ER_USAGE, "errand-agent exec: unknown option %s", args[i]);
        }
        ret->argv = args + i + 1;
        ret->count = count - i - 1;
        return ret->count > 0 ? 0 : er_err_set(err, ER_USAGE, "errand-agent exec: no command was given");
}

static int read_hex(const char *text, unsigned char ret[ER_ENV_HASH], struct er_err *err)
{
        return er_parse_hex(er_sv(text), ret, ER_ENV_HASH)
                       ? 0
                       : er_err_set(err, ER_USAGE, "%s is not an environment", text);
}

/* Reads the activation of the environment that was asked for, or of the job's own. */
static int take_environment(struct er_charge *charge, struct er_err *err)
{
        const struct er_spec *spec = &charge->info.spec;

        if (!spec->has_environment)
                return 0;
        if (er_envdir_open(charge->agent, spec->environment, ER_ENVDIR_WANT, &charge->env, err) < 0)
                return er_err_hint(err, "it was removed: a new run, or errand exec HOST, builds it again");
        if (!er_activation_read(charge->agent, charge->env.fd, &charge->activation)) {
                er_err_set(err, ER_STATE, "environment %.12s is not ready%s", charge->env.hex,
                           er_envdir_is_building(&charge->env) ? ": it is still being built" : "");
                return -1;
        }
        er_envdir_mark_used(&charge->env);
        /* The command holds the lock: an environment in use is never removed. */
        fcntl(charge->env.lock_fd, F_SETFD, 0);
        return 0;
}

static int take_job(struct er_charge *charge, const struct wish *wish, struct er_job_start *start,
                    struct er_str *gpus_value, struct er_err *err)
{
        er_auto(er_status) status = ER_STATUS_INIT;
        er_autofree struct er_gpus *gpus = er_new(struct er_gpus);

        if (er_adir_open(charge->agent, er_sv(wish->key), (uint32_t)wish->attempt, &charge->dir, err) < 0 ||
            er_adir_info(&charge->dir, &charge->info, err) < 0)
                return er_err_hint(err, "its directory is no longer on this host");
        er_adir_status(&charge->dir, &status);
        start->gpu_mask = status.gpu_mask;
        if (status.gpu_mask)
                er_gpu_look(charge->agent, INT64_MAX, NULL, NULL, gpus);
        er_gpus_value(gpus, status.gpu_mask, 0, gpus_value);
        if (status.gpu_mask || status.gpu_shared || charge->info.spec.no_gpus)
                start->gpus = gpus_value->buf;
        return 0;
}

/* A container gets a directory of its own instead of the home directory. */
static int take_home(struct er_charge *charge, struct er_err *err)
{
        er_autoclose int work = -1;

        charge->dir.path = er_path_join(charge->agent->root, "exec");
        if (charge->activation.wrap.len > 0)
                return er_agent_dir(charge->agent, "exec/work", true, &work, err);
        charge->info.spec.workdir = er_strdup(charge->agent->home);
        return 0;
}

/* A container outlives the program that started it, so this process stays to stop it. */
static int wait_and_end(const struct er_charge *charge, pid_t child)
{
        er_auto(er_strv) words = ER_STRV_INIT;
        er_auto(er_str) said = ER_STR_INIT;
        int status = 0;

        signal(SIGINT, SIG_IGN);
        signal(SIGQUIT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
        er_job_list_end(charge, &words);
        er_outside_end(&words, &said);
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int er_exec(const struct er_agent *agent, char **args, int count)
{
        struct er_charge charge = ER_CHARGE_INIT;
        struct er_job_start start = {.charge = &charge, .out_fd = -1, .err_fd = -1};
        struct er_str gpus = ER_STR_INIT; /* (lives as long as this process) */
        struct wish wish = {0};
        struct er_err err = ER_ERR_INIT;
        struct er_spec *spec = &charge.info.spec;
        char id[ER_RANDOM_HEX];
        pid_t child;
        int status;

        charge.agent = agent;
        if (read_wish(args, count, &wish, &err) < 0)
                return say(&err, USAGE);
        if (wish.key && take_job(&charge, &wish, &start, &gpus, &err) < 0)
                return say(&err, er_code_exit_status(err.code));
        spec->has_environment |= wish.environment != NULL;
        if ((wish.environment && read_hex(wish.environment, spec->environment, &err) < 0) ||
            take_environment(&charge, &err) < 0 || (!wish.key && take_home(&charge, &err) < 0))
                return say(&err, er_code_exit_status(err.code));
        /* The command is not one of the job's processes, which are identified by this and end with the job. */
        er_random_hex(id);
        free(charge.info.id);
        charge.info.id = er_strdup(id);
        er_strv_release(&spec->argv);
        spec->shell = wish.line;
        er_strv_addall(&spec->argv, wish.argv, (size_t)wish.count);
        child = charge.activation.end.len > 0 ? fork() : 0;
        if (child > 0)
                return wait_and_end(&charge, child);
        if (child < 0) {
                er_err_errno(&err, errno, "fork");
                return say(&err, CANNOT);
        }
        er_job_become(&start, &status, &err);
        return say(&err, status);
}

/* cmd_ssh.c - errand ssh: a shell on a host, or in the directory of a job. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "base/parse.h"
#include "base/path.h"
#include "base/term.h"
#include "cli/where.h"
#include "host/connect/ssh.h"
#include "maestro/maestro.h"
#include "proto/spec.h"

struct ssh_opts {
        bool tty;
};

static const struct er_opt ssh_options[] = {
        {"tty", 't', ER_OPT_FLAG, NULL, "Give COMMAND a terminal, as ssh -t", offsetof(struct ssh_opts, tty),
         ER_COMPLETE_NONE},
};

/* Finds the directory on its host that the job's command runs in (owned). */
static int job_dir(const struct er_cli *cli, const struct er_job *job, char **ret, struct er_err *err)
{
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_autofree char *work = NULL;
        struct er_attempt *attempts = NULL;
        size_t count = 0;

        if (er_spec_decode(er_svn(job->spec.buf, job->spec.len), &spec, err) < 0 ||
            er_store_attempts(cli->store, job->id, &attempts, &count, err) < 0)
                return -1;
        for (size_t i = 0; i < count; i++) {
                if (i + 1 == count && attempts[i].dir)
                        work = er_path_join(attempts[i].dir, "work");
                er_attempt_release(&attempts[i]);
        }
        free(attempts);
        if (!work)
                return er_err_set(err, ER_STATE, "%s is not on a host yet", job->name);
        *ret = spec.workdir ? er_path_join(work, spec.workdir) : er_take(work);
        return 0;
}

/* The line for the shell there: change to the directory, then become a login shell or the command. */
static void remote_line(struct er_str *out, const char *dir, char **args, int count)
{
        if (dir) {
                er_str_add(out, "cd ");
                er_quote_sh(out, dir);
                er_str_add(out, " && ");
        }
        if (count == 0)
                er_str_add(out, "exec \"${SHELL:-/bin/sh}\" -l");
        else if (count == 1 && strpbrk(args[0], " \t\n")) /* a line for the shell, as in errand run */
                er_str_add(out, args[0]);
        else {
                er_str_add(out, "exec ");
                er_quote_argv(out, args, (size_t)count);
        }
}

static int exec_argv(const struct er_strv *argv, struct er_err *err)
{
        signal(SIGPIPE, SIG_DFL);
        execvp(argv->items[0], argv->items);
        return er_err_errno(err, errno, "starting %s", argv->items[0]);
}

static int shell_here(const char *dir, char **args, int count, struct er_err *err)
{
        er_auto(er_strv) argv = ER_STRV_INIT;
        const char *shell = getenv("SHELL");

        if (dir && chdir(dir) < 0)
                return er_err_errno(err, errno, "going to %s", dir);
        if (count == 0)
                er_strv_add(&argv, shell && shell[0] ? shell : "/bin/sh");
        else if (count == 1 && strpbrk(args[0], " \t\n")) {
                er_strv_add(&argv, "/bin/sh");
                er_strv_add(&argv, "-c");
                er_strv_add(&argv, args[0]);
        } else
                er_strv_addall(&argv, args, (size_t)count);
        return exec_argv(&argv, err);
}

static int shell_there(const struct er_host *host, const char *dir, bool tty, char **args, int count,
                       struct er_err *err)
{
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_str) line = ER_STR_INIT;

        if (er_ssh_argv_for_user(host, tty || (count == 0 && er_term_is(STDIN_FILENO)), &argv, err) < 0)
                return -1;
        if (dir || count > 0) {
                remote_line(&line, dir, args, count);
                er_strv_add(&argv, line.buf);
        }
        return exec_argv(&argv, err);
}

static int ssh(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct ssh_opts *opts = arg;
        er_auto(er_where) where = ER_WHERE_INIT;
        er_autofree char *dir = NULL;

        if (er_where_find(cli, args[0], &where, err) < 0)
                return -1;
        if (where.is_job && job_dir(cli, &where.job, &dir, err) < 0)
                return -1;
        args++;
        count--;
        if (count > 0 && er_streq(args[0], "--")) {
                args++;
                count--;
        }
        if (where.host.kind == ER_HOST_LOCAL)
                return shell_here(dir, args, count, err);
        return shell_there(&where.host, dir, opts->tty, args, count, err);
}

const struct er_command er_cmd_ssh = {
        .name = "ssh",
        .group = "Hosts",
        .summary = "Open a shell on a host, or in a job's directory",
        .arguments = "HOST|JOB [COMMAND [ARG]...]",
        .description = "Given a job, opens a shell on its host, in the directory that its command runs in, even after "
                       "the job has ended. COMMAND is run there instead of a shell; its words are passed on as in "
                       "errand run. Options of errand ssh come before HOST.",
        .examples = "errand ssh mnist-12\tlook around in a job's directory\n"
                    "errand ssh gpu-box nvidia-smi\t\n",
        .opts = ssh_options,
        .opt_count = ER_LEN(ssh_options),
        .opts_size = sizeof(struct ssh_opts),
        .needs = ER_NEED_STORE,
        .stop_at_argument = true,
        .min_args = 1,
        .max_args = -1,
        .complete = ER_COMPLETE_HOST,
        .run = ssh,
};

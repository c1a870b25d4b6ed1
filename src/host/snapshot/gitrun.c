/* gitrun.c - see gitrun.h */
#include "host/snapshot/gitrun.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include "base/io.h"

extern char **environ;

#define OUT_MAX ((size_t)1 << 30) /* names of more files than anybody sends */
#define ERROUT_MAX 65536u
#define ASK_TIMEOUT_MS 600000
#define ARGS_MAX 32u

/* What `git rev-parse --local-env-vars` lists: set by a hook or an alias that we run in, these would name another
   repository. */
static const char *const local_variables[] = {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES=",
        "GIT_CONFIG=",
        "GIT_OBJECT_DIRECTORY=",
        "GIT_DIR=",
        "GIT_WORK_TREE=",
        "GIT_IMPLICIT_WORK_TREE=",
        "GIT_GRAFT_FILE=",
        "GIT_INDEX_FILE=",
        "GIT_NO_REPLACE_OBJECTS=",
        "GIT_REPLACE_REF_BASE=",
        "GIT_PREFIX=",
        "GIT_SHALLOW_FILE=",
        "GIT_COMMON_DIR=",
        "GIT_NAMESPACE=",
        "GIT_INTERNAL_SUPER_PREFIX=",
        "GIT_LITERAL_PATHSPECS=",
        "GIT_GLOB_PATHSPECS=",
        "GIT_NOGLOB_PATHSPECS=",
        "GIT_ICASE_PATHSPECS=",
        "GIT_TRACE=",
        "LC_ALL=",
        "GIT_OPTIONAL_LOCKS=",
};

static void make_environment(struct er_strv *env)
{
        for (char **item = environ; *item; item++) {
                bool local = false;

                for (size_t i = 0; i < ER_LEN(local_variables) && !local; i++)
                        local = er_starts(*item, local_variables[i]);
                if (!local)
                        er_strv_add(env, *item);
        }
        er_strv_add(env, "GIT_OPTIONAL_LOCKS=0");
        er_strv_add(env, "LC_ALL=C"); /* we search its messages for words */
}

static void make_argv(const struct er_git *git, struct er_strv *argv)
{
        er_strv_add(argv, "git");
        er_strv_add(argv, "-c");
        er_strv_add(argv, "core.quotePath=false");
        er_strv_add(argv, "-c");
        er_strv_add(argv,
                    "core.fsmonitor=false"); /* a program that the repository names must not run just for a look */
        for (size_t i = 0; git->args[i] && i < ARGS_MAX; i++)
                er_strv_add(argv, git->args[i]);
}

void er_git_release(struct er_git *git)
{
        er_str_release(&git->out);
        er_str_release(&git->errout);
        er_proc_release(&git->proc);
}

/* Reads what is there. Closes at the end; what exceeds max is dropped (er_git_finish notices). */
static void drain(int *fd, struct er_str *into, size_t max)
{
        ssize_t n;

        if (into->len >= max) {
                char waste[4096];

                n = read(*fd, waste, sizeof waste);
        } else {
                if (into->cap - into->len < 65536)
                        er_str_reserve(into, into->len + 65536 < OUT_MAX ? into->len + 65536 : 65536);
                n = read(*fd, into->buf + into->len, 65536);
                if (n > 0) {
                        into->len += (size_t)n;
                        into->buf[into->len] = '\0';
                }
        }
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                er_close(fd);
}

int er_git_start(struct er_git *git, const char *cwd, struct er_err *err)
{
        er_auto(er_strv) env = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;
        struct er_proc_opts opts = {
                .cwd = cwd,
                .io = {ER_PROC_NULL, ER_PROC_PIPE, ER_PROC_PIPE},
                .die_with_us = true,
        };

        make_environment(&env);
        make_argv(git, &argv);
        opts.argv = argv.items;
        opts.env = env.items;
        if (er_proc_start(&opts, &git->proc, err) < 0)
                return -1;
#ifdef F_SETPIPE_SZ
        /* It may go on writing while we are busy with another one's answer. */
        fcntl(git->proc.io[1], F_SETPIPE_SZ, 1 << 20);
#endif
        er_set_nonblock(git->proc.io[1], true);
        er_set_nonblock(git->proc.io[2], true);
        return 0;
}

int er_git_finish(struct er_git *git, const char *cwd, struct er_cancel *cancel, struct er_err *err)
{
        int *io = git->proc.io;

        while (io[1] >= 0 || io[2] >= 0) {
                struct pollfd polls[3] = {
                        {.fd = io[1], .events = POLLIN},
                        {.fd = io[2], .events = POLLIN},
                        {.fd = cancel ? cancel->fds[0] : -1, .events = POLLIN},
                };

                if (poll(polls, 3, -1) < 0 && errno != EINTR)
                        return er_err_errno(err, errno, "wait for git");
                if (polls[2].revents)
                        return er_err_set(err, ER_CANCELLED, "cancelled while listing the project's files");
                if (io[1] >= 0 && polls[0].revents)
                        drain(&io[1], &git->out, OUT_MAX);
                if (io[2] >= 0 && polls[1].revents)
                        drain(&io[2], &git->errout, ERROUT_MAX);
        }
        if (git->out.len >= OUT_MAX)
                return er_err_set(err, ER_STATE, "%s: too many files to list", cwd);
        return er_proc_wait(&git->proc, ER_NEVER, &git->status, err);
}

int er_git_run(struct er_git *git, const char *cwd, struct er_cancel *cancel, struct er_err *err)
{
        if (er_git_start(git, cwd, err) < 0)
                return -1;
        return er_git_finish(git, cwd, cancel, err);
}

int er_git_ask(struct er_git *git, const char *cwd, struct er_sv input, struct er_err *err)
{
        er_auto(er_strv) env = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;
        struct er_proc_opts opts = {.cwd = cwd, .die_with_us = true};

        make_environment(&env);
        make_argv(git, &argv);
        opts.argv = argv.items;
        opts.env = env.items;
        return er_proc_run(&opts, input, &git->out, &git->errout, OUT_MAX, er_deadline_in(ASK_TIMEOUT_MS), &git->status,
                           err);
}

int er_git_failed(const struct er_git *git, const char *cwd, struct er_err *err)
{
        struct er_sv rest = er_svn(git->errout.buf, git->errout.len), line;
        struct er_sv first = ER_SV("");

        if (strstr(git->errout.buf, "dubious ownership")) {
                er_err_set(err, ER_CONFIG, "git does not read the repository in %s: it belongs to another user", cwd);
                return er_err_hint(err, "if you trust it, run: git config --global --add safe.directory %s", cwd);
        }
        while (er_sv_cut(&rest, '\n', &line)) {
                if (first.len == 0)
                        first = line;
                if (er_sv_starts(line, ER_SV("fatal: "))) {
                        first = er_svn(line.ptr + 7, line.len - 7);
                        break;
                }
        }
        er_err_set(err, ER_CONFIG, "git cannot list the files in %s: %.*s (status %d)", cwd, (int)first.len, first.ptr,
                   git->status);
        return er_err_hint(err, "see what `git status` says there");
}

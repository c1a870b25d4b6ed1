/* guard.c - see guard.h */
#include "agent/attempt/guard.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/attempt/container.h"
#include "agent/attempt/supervise.h"
#include "agent/attempt/work_files.h"
#include "agent/ptree.h"
#include "base/io.h"

/* What cannot be killed in this time is stuck in the kernel, and the record says so. */
#define KILL_PATIENCE_MS 20000
#define DEAD "the supervisor on the host was killed"

static void write_lost(struct er_charge *charge, bool all_dead, const struct er_str *outside)
{
        er_auto(er_status) status = ER_STATUS_INIT;

        er_adir_status(&charge->dir, &status);
        status.end = ER_END_LOST;
        status.reason = ER_REASON_KILLED;
        free(status.detail);
        status.detail = er_strdup(outside    ? outside->buf
                                  : all_dead ? DEAD
                                             : DEAD ", and some processes of the job could not be killed");
        status.ended_ms = status.time_ms = er_now_ms();
        if (er_exit_write(&charge->dir, &status, NULL) == 0)
                er_exit_sync(&charge->dir);
}

static _Noreturn void guard(struct er_charge *charge, pid_t supervisor)
{
        er_auto(er_status) status = ER_STATUS_INIT;
        er_auto(er_str) said = ER_STR_INIT;
        bool dead = true, told;

        prctl(PR_SET_NAME, "errand-guard");
        /* The supervisor handles these signals and ends in order; the guard stays. */
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        er_close(&charge->ctl_fd);
        er_ainfo_release(&charge->info);
        malloc_trim(0);
        for (;;) {
                pid_t pid = waitpid(-1, NULL, __WALL);

                if (pid == supervisor || (pid < 0 && errno != EINTR))
                        break;
        }
        told = er_exit_read(&charge->dir, &status);
        /* Even when there is a record: the supervisor may have been killed after writing it. But a job that never began
           has left nothing, and a builder started for it may serve others too. */
        if (!told || status.started_ms > 0)
                dead = er_ptree_kill(er_deadline_in(KILL_PATIENCE_MS), NULL, NULL);
        if (!told) {
                bool ended = er_container_insist(&charge->dir, &said);

                er_ticket_leave(&charge->ticket);
                write_lost(charge, dead, ended ? NULL : &said);
        }
        er_ticket_close(&charge->ticket);
        er_envdir_release(&charge->env);
        er_close(&charge->lock_fd);
        prctl(PR_SET_NAME, "errand-spare");
        signal(SIGTERM, SIG_DFL);
        er_work_files_spare(charge->agent, &charge->dir);
        _exit(0);
}

int er_guard_start(struct er_charge *charge, void (*forget)(void *arg), void *arg, struct er_err *err)
{
        int keep[] = {charge->dir.fd,    charge->lock_fd, charge->ctl_fd,
                      charge->ticket.fd, charge->env.fd,  charge->env.lock_fd};
        pid_t pid = fork();

        if (pid < 0)
                return er_err_errno(err, errno, "start a process");
        if (pid > 0)
                return 0;
        setsid();
        if (chdir("/") < 0) {
                /* it stays where it is */
        }
        er_close_all_but(keep, ER_LEN(keep));
        er_null_stdio();
        if (forget)
                forget(arg);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        signal(SIGCHLD, SIG_DFL);
        signal(SIGPIPE, SIG_IGN);
        pid = fork();
        if (pid == 0)
                er_supervise(charge);
        if (pid < 0) {
                write_lost(charge, true, NULL);
                _exit(1);
        }
        er_strv_wipe(&charge->secrets);
        guard(charge, pid);
}

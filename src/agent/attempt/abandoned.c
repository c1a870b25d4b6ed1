/* abandoned.c - see abandoned.h */
#include "agent/attempt/abandoned.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "agent/attempt/container.h"
#include "agent/ptree.h"
#include "base/clock.h"
#include "base/io.h"

#define USAGE_MAX (64u * 1024)

/* Guard and supervisor were killed, so nothing holds the job's processes together any more. */
static void kill_what_is_left(const struct er_adir *dir, const char *id, const struct er_status *last)
{
        er_auto(er_status) usage = ER_STATUS_INIT;
        er_auto(er_str) text = ER_STR_INIT;
        struct er_traces traces = {.id = id, .session = (pid_t)last->pid, .session_start = last->pid_start};
        char link[64], path[4096];
        ssize_t len;

        if (er_file_read(dir->fd, "usage", USAGE_MAX, &text, NULL) == 0)
                er_status_decode(er_svn(text.buf, text.len), &usage);
        /* The supervisor looked every 2 s, and process numbers are not reused that fast. */
        traces.session_seen_ms = (usage.time_ms > last->time_ms ? usage.time_ms : last->time_ms) + 3000;
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir->fd); /* as the kernel names it: without symlinks */
        len = readlink(link, path, sizeof path - 6);
        if (len > 0) {
                memcpy(path + len, "/work", 6);
                traces.dir = path;
        }
        er_ptree_kill_traces(&traces);
}

/* Starts a process that stops the container and then writes `end` as the record. It holds the attempt's lock until
   then, so the attempt counts as alive. */
static int settle_later(const struct er_adir *dir, int lock_fd, struct er_status *end, struct er_err *err)
{
        const int keep[] = {dir->fd, lock_fd};
        er_auto(er_str) said = ER_STR_INIT;
        pid_t pid = fork();

        if (pid < 0)
                return er_err_errno(err, errno, "start a process");
        if (pid > 0)
                return 0;
        prctl(PR_SET_NAME, "errand-guard");
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGCHLD, SIG_DFL);
        setsid();
        er_close_all_but(keep, ER_LEN(keep));
        er_null_stdio();
        if (!er_container_insist(dir, &said)) {
                free(end->detail);
                end->detail = er_strdup(said.buf);
        }
        end->seq = 0;
        end->ended_ms = end->time_ms = er_now_ms();
        if (er_exit_write(dir, end, NULL) == 0)
                er_exit_sync(dir);
        _exit(0);
}

int er_abandoned_settle(const struct er_agent *agent, const struct er_adir *dir, bool *ret_never_began,
                        struct er_err *err)
{
        er_auto(er_status) last = ER_STATUS_INIT;
        er_auto(er_ainfo) info = ER_AINFO_INIT;
        er_autoclose int lock_fd = -1;
        bool rebooted, known, outside;
        int rc;

        if (ret_never_began)
                *ret_never_began = false;
        if (er_exit_read(dir, &last))
                return 1;
        if (er_adir_is_alive(dir))
                return 0;
        known = er_adir_info(dir, &info, NULL) == 0;
        if (known && er_ainfo_is_foreign(agent, &info))
                return 0;
        rc = er_alock_take(dir->fd, &lock_fd);
        if (er_adir_is_gone(dir)) {
                if (ret_never_began)
                        *ret_never_began = true;
                return 0;
        }
        if (rc != 1)
                return 0;
        if (er_exit_read(dir, &last)) /* it ended between the two looks */
                return 1;
        if (!known)
                known = er_adir_info(dir, &info, NULL) == 0;
        rebooted = known && info.boot_id && info.boot_id[0] && agent->boot_id[0] &&
                   !er_streq(info.boot_id, agent->boot_id);
        er_events_last(dir, &last);
        if (last.state == 0 && !rebooted) {
                if (ret_never_began)
                        *ret_never_began = true;
                return 0;
        }
        if (known && info.id && !rebooted)
                kill_what_is_left(dir, info.id, &last);
        outside = !rebooted && er_container_noted(dir);
        er_status_release(&last);
        er_adir_status(dir, &last);
        last.end = ER_END_LOST;
        last.reason = rebooted ? ER_REASON_REBOOT : ER_REASON_KILLED;
        free(last.detail);
        last.detail = er_strdup(rebooted ? "the host was restarted during the job"
                                         : "errand's processes on the host were killed");
        if (outside)
                return settle_later(dir, lock_fd, &last, err);
        last.ended_ms = last.time_ms = er_now_ms();
        if (er_exit_write(dir, &last, err) < 0)
                return -1;
        er_exit_sync(dir);
        return 1;
}

bool er_abandoned_claim(const struct er_adir *dir, int *ret_lock_fd)
{
        er_auto(er_status) last = ER_STATUS_INIT;
        er_autoclose int fd = -1;

        if (er_alock_take(dir->fd, &fd) != 1)
                return er_adir_is_gone(dir);
        er_events_last(dir, &last);
        if (last.state != 0)
                return false;
        *ret_lock_fd = er_take_fd(&fd);
        return true;
}

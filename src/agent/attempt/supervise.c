/* supervise.c - see supervise.h */
#include "agent/attempt/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/attempt/capture.h"
#include "agent/attempt/container.h"
#include "agent/attempt/job.h"
#include "agent/attempt/usage.h"
#include "agent/attempt/work_files.h"
#include "agent/environment/build_wait.h"
#include "agent/glob_walk.h"
#include "agent/outside.h"
#include "agent/ptree.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"

#define LEFTOVER_GRACE_MS 2000 /* the same for what a job left behind */
#define KILL_PATIENCE_MS 20000
#define NO_CTL_LOOK_MS 100
#define LOOK_MS 2000
#define NEWS_MS 10 /* a change of state waits this long for the next, so that those of a short job arrive together */
#define WATCHERS_MAX 64
#define CANCEL_LEN 9 /* 'c' and an i64 */

enum why { GO_ON, CANCEL, TIME_UP, SHUTDOWN, VANISHED };

struct watcher {
        int fd;
        unsigned char buf[CANCEL_LEN]; /* a cancel that arrives in parts */
        size_t len;
};

struct super {
        struct er_charge *charge;
        int signal_fd;
        struct watcher watchers[WATCHERS_MAX];
        size_t watcher_count;
        bool news;            /* watchers must be told */
        er_deadline news_due; /* ... by then at the latest */
        bool hurry;           /* a watcher wants to be told everything at once */
        struct er_capture capture;
        struct er_usage usage;
        bool poked;           /* its turn may have come */
        er_deadline look_due; /* at the directory */
        pid_t job;
        bool job_ended;
        int job_status;
        bool childless; /* nothing of the job is left */
        enum why why;   /* why the job must end early */
        er_deadline time_up, kill_at;
        int64_t grace_ms; /* what kill_at allows */
        int64_t started_ms;
        struct er_gpus gpus;      /* as seen last, by ... */
        er_deadline gpus_fresh;   /* ... so long ago that another look is due */
        er_deadline gpus_silence; /* until then a tool that gives no answer is waited for */
        uint64_t gpu_mask;
        bool gpu_shared; /* they are only seen */
        struct er_str detail;
};

/* --- what comes in */

/* For news that somebody may be waiting for: output, the end. */
static void tell_now(struct super *s)
{
        s->news = true;
        s->news_due = 0;
}

static void tell_soon(struct super *s)
{
        if (s->hurry)
                tell_now(s);
        else if (!s->news)
                s->news_due = er_deadline_in(NEWS_MS);
        s->news = true;
}

static void tell_watchers(struct super *s)
{
        if (!s->news || er_deadline_poll_ms(s->news_due) != 0)
                return;
        s->news = false;
        s->news_due = ER_NEVER;
        for (size_t i = 0; i < s->watcher_count; i++)
                send(s->watchers[i].fd, "n", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* full: it has enough to wake it */
}

static void add_event_with(struct super *s, enum er_state state, char *detail)
{
        struct er_status event = ER_STATUS_INIT;

        event.state = state;
        event.detail = detail;
        event.gpu_mask = s->gpu_mask;
        event.gpu_shared = s->gpu_shared;
        if (state == ER_STATE_RUNNING) {
                event.started_ms = event.time_ms = s->started_ms;
                event.pid = s->job;
                event.pid_start = er_process_start(s->job);
        }
        er_events_append(&s->charge->dir, &event, NULL);
        tell_soon(s);
}

static void add_event(struct super *s, enum er_state state)
{
        add_event_with(s, state, NULL);
}

/* grace_ms: negative for the spec's own, by which a cancel or the time limit changes nothing where the time runs
   already. Of cancels that name a time, the last counts; other reasons only shorten it. */
static void begin_end(struct super *s, enum why why, int64_t grace_ms)
{
        bool own = grace_ms < 0;

        if (s->why == GO_ON && !s->job_ended) /* a reason that comes too late only speeds up the rest */
                s->why = why;
        if (own)
                grace_ms = s->charge->info.spec.grace_ms > 0 ? s->charge->info.spec.grace_ms : ER_SPEC_GRACE_MS;
        if (s->kill_at == ER_NEVER || (why == CANCEL && !own) ||
            (why != CANCEL && why != TIME_UP && er_deadline_in(grace_ms) < s->kill_at)) {
                s->kill_at = er_deadline_in(grace_ms);
                s->grace_ms = grace_ms;
        }
        if (s->job > 0)
                er_ptree_signal(getpid(), SIGTERM);
}

static int64_t get_i64(const unsigned char *p)
{
        uint64_t v = 0;

        for (unsigned i = 0; i < 8; i++)
                v |= (uint64_t)p[i] << (8 * i);
        return (int64_t)v;
}

static void drop_watcher(struct super *s, size_t i)
{
        er_close(&s->watchers[i].fd);
        s->watchers[i] = s->watchers[--s->watcher_count];
}

static void hear_watcher(struct super *s, size_t i)
{
        struct watcher *w = &s->watchers[i];
        unsigned char bytes[64];
        ssize_t n = recv(w->fd, bytes, sizeof bytes, MSG_DONTWAIT);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                drop_watcher(s, i);
                return;
        }
        for (ssize_t k = 0; k < n; k++) {
                if (w->len == 0 && bytes[k] == 'h') {
                        s->hurry = true;
                        tell_soon(s);
                }
                if (w->len == 0 && bytes[k] != 'c')
                        continue;
                w->buf[w->len++] = bytes[k];
                if (w->len == CANCEL_LEN) {
                        w->len = 0;
                        begin_end(s, CANCEL, get_i64(w->buf + 1));
                }
        }
}

static void accept_watcher(struct super *s)
{
        int fd = accept4(s->charge->ctl_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
                return;
        if (s->watcher_count == WATCHERS_MAX)
                drop_watcher(s, 0); /* it will see EOF, find us alive and reconnect */
        s->watchers[s->watcher_count++] = (struct watcher){.fd = fd};
        /* It read the files when it connected, and we may have written since. */
        if (s->capture.size > 0)
                tell_now(s);
        else
                tell_soon(s);
        hear_watcher(s, s->watcher_count - 1);
}

/* Looks for a cancel from somebody who cannot reach our socket (no sockets, or another machine with the same home), and
   whether the directory still exists. Without it, nobody can ever learn of the attempt. */
static void look_into_dir(struct super *s)
{
        unsigned char bytes[8];
        er_autoclose int fd = -1;
        struct stat st;

        if (er_deadline_poll_ms(s->look_due) != 0)
                return;
        s->look_due = er_deadline_in(s->charge->ctl_fd < 0 ? NO_CTL_LOOK_MS : LOOK_MS);
        if (s->why != VANISHED && fstat(s->charge->dir.fd, &st) == 0 && st.st_nlink == 0) {
                begin_end(s, VANISHED, LEFTOVER_GRACE_MS);
                return;
        }
        fd = openat(s->charge->dir.fd, "cancel", O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && er_read_full(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes) {
                unlinkat(s->charge->dir.fd, "cancel", 0);
                begin_end(s, CANCEL, get_i64(bytes));
        }
}

static void reaped(void *arg, pid_t pid, int status)
{
        struct super *s = arg;

        if (pid == s->job) {
                s->job_ended = true;
                s->job_status = status;
        }
}

static void reap_all(struct super *s)
{
        for (;;) {
                int status;
                struct rusage use;
                pid_t pid = wait4(-1, &status, WNOHANG | __WALL, &use);

                if (pid > 0) {
                        er_usage_reaped(&s->usage, pid, &use);
                        reaped(s, pid, status);
                } else if (pid == 0 || errno != EINTR) {
                        s->childless = pid < 0;
                        return;
                }
        }
}

static void hear_signals(struct super *s)
{
        struct signalfd_siginfo info;

        while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
                if (info.ssi_signo != SIGCHLD)
                        begin_end(s, SHUTDOWN, -1);
        }
        if (s->job > 0)
                reap_all(s);
}

/* Waits until something happens, until the deadline at most, and deals with it. */
static void turn(struct super *s, er_deadline deadline)
{
        struct pollfd p[6 + WATCHERS_MAX];
        size_t count = s->watcher_count;
        er_deadline times[] = {deadline, er_usage_due(&s->usage), s->look_due, s->time_up, s->kill_at, s->news_due};
        er_deadline due = ER_NEVER;

        tell_watchers(s);
        p[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
        p[1] = (struct pollfd){.fd = s->charge->ctl_fd, .events = POLLIN};
        p[2] = (struct pollfd){.fd = s->capture.pipes[0], .events = POLLIN};
        p[3] = (struct pollfd){.fd = s->capture.pipes[1], .events = POLLIN};
        p[4] = (struct pollfd){.fd = s->charge->ticket.poke_fd, .events = POLLIN};
        p[5] = (struct pollfd){.fd = s->usage.gpus.fd, .events = POLLIN};
        for (size_t i = 0; i < count; i++)
                p[6 + i] = (struct pollfd){.fd = s->watchers[i].fd, .events = POLLIN};
        for (size_t i = 0; i < ER_LEN(times); i++)
                if (times[i] < due)
                        due = times[i];
        if (poll(p, 6 + count, er_deadline_poll_ms(due)) < 0)
                return;
        for (int i = 0; i < 2; i++)
                if (p[2 + i].revents && er_capture_move(&s->capture, i))
                        tell_now(s);
        if (p[4].revents) {
                er_ticket_hear(&s->charge->ticket);
                s->poked = true;
        }
        if (p[5].revents)
                er_gpu_meter_ready(&s->usage.gpus);
        for (size_t i = count; i-- > 0;)
                if (p[6 + i].revents)
                        hear_watcher(s, i);
        if (p[1].revents)
                accept_watcher(s);
        if (p[0].revents)
                hear_signals(s);
        er_usage_tick(&s->usage, &s->charge->dir);
        look_into_dir(s);
}

/* Called between two steps of something long. */
static bool still_wanted(void *arg)
{
        struct super *s = arg;

        turn(s, 0);
        return s->why == GO_ON;
}

/* --- the end */

static void add_detail(struct super *s, const char *text)
{
        er_str_addf(&s->detail, "%s%s", s->detail.len ? "; " : "", text);
}

/* Whoever set a grace period for a checkpoint must learn that it was too short. */
static void say_killed(struct super *s)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (s->grace_ms == 0 || (s->why != CANCEL && s->why != TIME_UP))
                return;
        er_str_add(&text, s->job_ended ? "some of its processes had not ended " : "it had not ended ");
        er_fmt_duration(&text, s->grace_ms);
        er_str_add(&text, " after TERM, and got KILL");
        add_detail(s, text.buf);
}

/* Everything that is left is killed before the end is reported; at once when `kill_at` has passed. */
static void end_tree(struct super *s)
{
        er_usage_end(&s->usage);
        reap_all(s);
        if (s->childless)
                return;
        if (s->kill_at == ER_NEVER) { /* the job has ended and left processes behind */
                int64_t grace = s->charge->info.spec.grace_ms;

                s->kill_at = er_deadline_in(grace > 0 && grace < LEFTOVER_GRACE_MS ? grace : LEFTOVER_GRACE_MS);
                er_ptree_signal(getpid(), SIGTERM);
        }
        while (!s->childless && er_deadline_poll_ms(s->kill_at) != 0) {
                turn(s, er_deadline_in(50));
                reap_all(s);
        }
        if (!s->childless)
                say_killed(s);
        s->kill_at = ER_NEVER;
        if (!er_ptree_kill(er_deadline_in(KILL_PATIENCE_MS), reaped, s))
                add_detail(s, "some processes of the job are stuck in the kernel and could not be killed");
}

/* A container keeps running without the program that started it. A cancel does not wait for ever for an engine that is
   gone. */
static void end_outside(struct super *s)
{
        er_auto(er_strv) words = ER_STRV_INIT;
        er_auto(er_str) said = ER_STR_INIT;

        er_job_list_end(s->charge, &words);
        if (words.len == 0)
                return;
        if (s->why == CANCEL)
                s->kill_at = er_deadline_in(ER_CONTAINER_PATIENCE_MS);
        while (!er_outside_end(&words, &said)) {
                er_deadline again = er_deadline_in(ER_CONTAINER_RETRY_MS);

                if (er_deadline_poll_ms(s->kill_at) == 0) {
                        add_detail(s, said.buf);
                        break;
                }
                er_container_tell(&s->charge->dir, &said);
                tell_now(s);
                while (er_deadline_poll_ms(again) != 0 && er_deadline_poll_ms(s->kill_at) != 0)
                        turn(s, again);
        }
        s->kill_at = ER_NEVER;
}

/* A link that leads to nothing, or out of the job's directory, is no output. */
static void say_missing(struct super *s, int dir_fd, const char *pattern)
{
        er_autofree char *said = NULL;
        char target[1024];
        ssize_t len = readlinkat(dir_fd, pattern, target, sizeof target);

        if (len > 0)
                said = er_fmt("%s, a link to %.*s, which is not in the job's directory", pattern, (int)len, target);
        add_detail(s, said ? said : pattern);
}

static bool check_outputs(struct super *s)
{
        const struct er_spec *spec = &s->charge->info.spec;
        er_autoclose int fd = -1;

        if (spec->outputs.len == 0)
                return true;
        if (er_command_dir(&s->charge->dir, spec, &fd, NULL, NULL) < 0) {
                add_detail(s, spec->outputs.items[0]);
                return false;
        }
        for (size_t i = 0; i < spec->outputs.len; i++) {
                if (!er_glob_any(fd, spec->outputs.items[i], true)) {
                        say_missing(s, fd, spec->outputs.items[i]);
                        return false;
                }
        }
        return true;
}

/* Decides what the end of the process means for the job. */
static void judge(struct super *s, struct er_status *status)
{
        bool killed = WIFSIGNALED(s->job_status);

        if (s->job_ended) {
                if (killed)
                        status->signal = WTERMSIG(s->job_status);
                else
                        status->exit_code = WEXITSTATUS(s->job_status);
        }
        status->end = ER_END_FAILED;
        switch (s->why) {
        case CANCEL:
                status->end = ER_END_CANCELLED;
                status->reason = ER_REASON_USER;
                return;
        case TIME_UP:
                status->reason = ER_REASON_TIME_LIMIT;
                return;
        case VANISHED: /* there is nowhere to write a record */
                status->end = ER_END_LOST;
                status->reason = ER_REASON_GONE;
                return;
        case SHUTDOWN:
                status->end = ER_END_LOST;
                status->reason = ER_REASON_KILLED;
                add_detail(s, "the supervisor was told to end: the host is shutting down, or its user was logged out");
                return;
        case GO_ON:
                break;
        }
        if ((status->signal == SIGKILL || status->exit_code == 128 + SIGKILL) && er_usage_oom(&s->usage)) {
                status->reason = ER_REASON_OOM;
        } else if (killed) {
                status->reason = ER_REASON_SIGNAL;
        } else if (status->exit_code != 0) {
                status->reason = ER_REASON_EXIT;
        } else if (!check_outputs(s)) {
                status->reason = ER_REASON_MISSING_OUTPUT;
        } else if (s->capture.dropped > 0 && s->charge->info.spec.strict_log) {
                status->reason = ER_REASON_LOG;
        } else {
                status->end = ER_END_DONE;
                status->reason = ER_REASON_NONE;
        }
}

static _Noreturn void finish(struct super *s, struct er_status *status)
{
        struct er_err err = ER_ERR_INIT;

        er_ticket_leave(&s->charge->ticket); /* before the end is reported: whoever hears of it may submit the next job
                                                at once */
        if (s->capture.dropped > 0) {
                er_auto(er_str) note = ER_STR_INIT;

                er_fmt_size(&note, s->capture.dropped);
                er_str_addf(&note, " of output could not be kept: %s", strerror(s->capture.lost_errno));
                add_detail(s, note.buf);
        }
        status->key = er_strdup(s->charge->dir.key);
        status->attempt = s->charge->dir.attempt;
        status->ended_ms = status->time_ms = er_now_ms();
        status->started_ms = s->started_ms;
        status->log_size = s->capture.size;
        if (s->job > 0)
                er_usage_fill(&s->usage, status);
        status->gpu_mask = s->gpu_mask;
        status->gpu_shared = s->gpu_shared;
        if (s->detail.len)
                status->detail = er_str_detach(&s->detail);
        if (er_exit_write(&s->charge->dir, status, &err) < 0)
                er_debug("agent", "the record of %s: %s", s->charge->dir.path, err.message);
        tell_now(s);
        tell_watchers(s);
        er_exit_sync(&s->charge->dir);
        _exit(0);
}

/* The attempt never got as far as running its command. */
static _Noreturn void finish_early(struct super *s, enum er_reason reason, int exit_code, struct er_err *err)
{
        struct er_status status = ER_STATUS_INIT;

        if (s->why != GO_ON) {
                judge(s, &status);
        } else {
                status.end = ER_END_FAILED;
                status.reason = reason;
                status.exit_code = exit_code;
                if (err && err->message)
                        add_detail(s, err->message);
        }
        finish(s, &status);
}

/* --- the life */

/* The attempt's log becomes the line that says what failed, followed by the build's log. */
static _Noreturn void fail_for_environment(struct super *s, const struct er_build_failure *failure)
{
        struct er_err err = ER_ERR_INIT;
        er_auto(er_str) text = ER_STR_INIT;
        er_autoclose int log_fd = openat(s->charge->env.fd, "log", O_RDONLY | O_CLOEXEC);

        er_str_addf(&text, "%s%s%s", failure->message, failure->hint ? "\n" : "", failure->hint ? failure->hint : "");
        er_err_set(&err, ER_STATE, "%s", text.buf);
        er_str_add(&text, "\n\nThe log of the build:\n");
        er_capture_open(&s->capture, s->charge->dir.fd);
        er_capture_text(&s->capture, ER_STDERR, text.buf, text.len);
        if (log_fd >= 0)
                er_capture_file(&s->capture, ER_STDERR, log_fd);
        er_capture_finish(&s->capture);
        finish_early(s, ER_REASON_ENVIRONMENT, -1, &err);
}

static void enter_queue(struct super *s)
{
        const struct er_spec *spec = &s->charge->info.spec;
        const struct er_needs needs = {.cpus = spec->cpus, .memory = spec->memory, .gpus = spec->gpus};
        struct er_err err = ER_ERR_INIT;
        struct er_capacity capacity;

        if (s->charge->ticket.fd >= 0)
                return;
        er_capacity_read(&capacity);
        if (er_ticket_enter(s->charge->agent, &needs, &capacity, &s->charge->ticket, &err) < 0)
                finish_early(s, ER_REASON_ROOM, -1, &err);
}

/* Usually it is ready, which costs one look. */
static void wait_for_environment(struct super *s)
{
        struct er_charge *charge = s->charge;
        struct er_build_wait wait;
        enum er_build_news news;

        if (!charge->info.spec.has_environment)
                return;
        er_build_wait_begin(&wait, &charge->env, NULL, charge->env_failures);
        while (s->why == GO_ON && !er_activation_read(charge->agent, charge->env.fd, &charge->activation)) {
                er_activation_release(&charge->activation);
                news = er_build_wait_look(&wait);
                if (news == ER_BUILD_FAILED)
                        fail_for_environment(s, &wait.failure);
                if (news == ER_BUILD_PROGRESS)
                        add_event_with(s, ER_STATE_WAITING, wait.progress);
                if (news != ER_BUILD_READY)
                        turn(s, er_deadline_in(wait.pause_ms));
        }
        er_build_wait_release(&wait);
        if (s->why != GO_ON)
                finish_early(s, ER_REASON_NONE, -1, NULL);
        er_envdir_mark_used(&charge->env);
        enter_queue(s);
}

#define GPUS_AGE_MS 10000 /* for a job that asked for none, so old may a look at the GPUs be */
#define GPUS_FRESH_MS 1000
/* So long a job that is to have GPUs waits for a tool that gives no answer. */
#define GPUS_SILENCE_MS (10 * 60 * 1000)

/* What there is and who uses it changes while a job waits: so it is looked at just before it starts. */
static void look_at_gpus(struct super *s)
{
        const struct er_spec *spec = &s->charge->info.spec;
        struct er_ticket *ticket = &s->charge->ticket;
        struct er_err err = ER_ERR_INIT;

        er_gpu_look(s->charge->agent, spec->gpus > 0 ? 0 : GPUS_AGE_MS, still_wanted, s, &s->gpus);
        s->gpus_fresh = er_deadline_in(GPUS_FRESH_MS);
        er_capacity_gpus(&ticket->capacity, &s->gpus);
        if (spec->gpus == 0) {
                const char *chosen = er_strv_value(&spec->env, "CUDA_VISIBLE_DEVICES");

                ticket->needs.see = s->gpus.len > 0;
                if (chosen)
                        ticket->capacity.gpu_mask = er_gpus_visible(&s->gpus, chosen);
        } else if (s->gpus.silent && er_deadline_poll_ms(s->gpus_silence) != 0) {
                s->gpus_fresh = er_deadline_in(GPUS_AGE_MS); /* no answer is no news: it waits for one */
        } else if (s->why == GO_ON &&
                   er_capacity_check(&ticket->needs, &ticket->capacity, s->charge->agent->hostname, &err) < 0) {
                finish_early(s, ER_REASON_ROOM, -1, &err);
        }
}

static void wait_for_turn(struct super *s)
{
        const struct er_spec *spec = &s->charge->info.spec;
        bool look = spec->gpus > 0 || (!spec->no_gpus && er_gpu_likely(s->charge->agent));
        int retry_ms = 1000;
        er_deadline due;

        s->gpus_silence = er_deadline_in(GPUS_SILENCE_MS);
        if (look)
                look_at_gpus(s);
        while (s->why == GO_ON) {
                if (look && spec->gpus > 0 && s->gpus.silent) {
                        due = s->gpus_fresh;
                        do
                                turn(s, due);
                        while (s->why == GO_ON && er_deadline_poll_ms(due) != 0);
                        if (s->why == GO_ON)
                                look_at_gpus(s);
                        continue;
                }
                if (look && er_deadline_poll_ms(s->gpus_fresh) == 0 && er_ticket_fits(&s->charge->ticket)) {
                        look_at_gpus(s);
                        continue;
                }
                if (er_ticket_try(&s->charge->ticket, &s->gpu_mask, &retry_ms))
                        break;
                if (s->charge->ticket.poke_fd < 0) {
                        er_ticket_listen(&s->charge->ticket);
                        if (s->charge->ticket.poke_fd >= 0)
                                continue; /* somebody may have poked us before we listened */
                }
                due = er_deadline_in(retry_ms);
                s->poked = false;
                do
                        turn(s, due);
                while (s->why == GO_ON && !s->poked && er_deadline_poll_ms(due) != 0);
        }
        s->gpu_shared = s->why == GO_ON && s->charge->ticket.needs.see;
}

/* The job's CUDA_VISIBLE_DEVICES; false when it keeps what the login gave it. */
static bool show_gpus(const struct super *s, struct er_str *value)
{
        const struct er_spec *spec = &s->charge->info.spec;

        /* Of those that others may use, the ones that are in use come last: programs begin with the first. */
        if (s->gpus.len > 0)
                er_gpus_value(&s->gpus, s->gpu_mask, s->gpu_shared ? s->charge->ticket.capacity.gpu_used : 0, value);
        return spec->no_gpus || spec->gpus > 0 || s->gpu_shared;
}

static void start(struct super *s)
{
        struct er_job_start job = {.charge = s->charge, .gpu_mask = s->gpu_mask};
        er_auto(er_str) gpus = ER_STR_INIT;
        er_auto(er_strv) end = ER_STRV_INIT;
        struct er_err err = ER_ERR_INIT;
        int fds[2], exit_code;

        er_capture_open(&s->capture, s->charge->dir.fd);
        if (er_work_files_make(s->charge->agent, &s->charge->dir, &s->charge->info.spec, still_wanted, s, &err) < 0)
                finish_early(s, ER_REASON_FILES, -1, &err);
        for (size_t i = 0; i < s->charge->activation.say.len; i++) {
                er_autofree char *line = er_fmt("errand: %s\n", s->charge->activation.say.items[i]);

                er_capture_text(&s->capture, ER_STDERR, line, strlen(line));
        }
        malloc_trim(0);
        if (er_capture_pipes(&s->capture, fds) < 0) {
                er_err_errno(&err, errno, "make a pipe");
                finish_early(s, ER_REASON_START, -1, &err);
        }
        turn(s, 0);
        if (s->why != GO_ON)
                finish_early(s, ER_REASON_NONE, -1, NULL);
        job.out_fd = fds[0];
        job.err_fd = fds[1];
        if (show_gpus(s, &gpus))
                job.gpus = gpus.buf;
        exit_code = -1;
        er_job_list_end(s->charge, &end);
        if (er_container_note(&s->charge->dir, &end, &err) < 0 || er_job_spawn(&job, &s->job, &exit_code, &err) < 0) {
                s->job = 0;
                finish_early(s, ER_REASON_START, exit_code, &err);
        }
        s->started_ms = er_now_ms();
        close(fds[0]);
        close(fds[1]);
        er_strv_wipe(&s->charge->secrets);
}

static void run(struct super *s)
{
        add_event(s, ER_STATE_RUNNING);
        er_usage_begin(&s->usage, s->gpu_shared ? 0 : s->gpu_mask);
        if (s->charge->info.spec.time_limit_ms > 0)
                s->time_up = er_deadline_in(s->charge->info.spec.time_limit_ms);
        while (!s->job_ended) {
                turn(s, ER_NEVER);
                if (er_deadline_poll_ms(s->time_up) == 0) {
                        s->time_up = ER_NEVER;
                        begin_end(s, TIME_UP, -1);
                }
                if (er_deadline_poll_ms(s->kill_at) == 0)
                        break; /* end_tree does the rest */
        }
        s->time_up = ER_NEVER;
        end_tree(s);
        end_outside(s);
        er_capture_finish(&s->capture);
}

_Noreturn void er_supervise(struct er_charge *charge)
{
        static struct super state; /* zeroed, and not on the stack: pages are used only as needed */
        struct super *s = &state;
        struct er_status status = ER_STATUS_INIT;
        sigset_t set;

        prctl(PR_SET_NAME, "errand-super");
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        s->charge = charge;
        s->capture = (struct er_capture)ER_CAPTURE_INIT;
        s->usage = (struct er_usage)ER_USAGE_INIT;
        s->time_up = s->kill_at = s->news_due = ER_NEVER;
        s->look_due = charge->ctl_fd >= 0 ? er_deadline_in(LOOK_MS) : 0;
        er_str_init(&s->detail);
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        wait_for_environment(s);
        add_event(s, ER_STATE_QUEUED);
        wait_for_turn(s);
        if (s->why != GO_ON)
                finish_early(s, ER_REASON_NONE, -1, NULL);
        add_event(s, ER_STATE_STARTING);
        start(s);
        run(s);
        judge(s, &status);
        finish(s, &status);
}

/* cmd_logs.c - errand logs: prints a job's log, or follows it. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>
#include "cli/filter.h"
#include "cli/target.h"
#include "cli/view.h"
#include "cli/words.h"
#include "host/attempt.h"
#include "maestro/maestro.h"

#define TICK_MS 50
#define RETRY_MAX_MS 10000
#define TRIES 3 /* to read a log that is not followed, if the connection breaks */

struct logs_opts {
        bool follow;
        const char *since, *grep;
        int64_t tail, every_ms, attempt;
};

static const struct er_opt logs_options[] = {
        {"follow", 'f', ER_OPT_FLAG, NULL, "Keep printing as the log grows, until the job ends",
         offsetof(struct logs_opts, follow), ER_COMPLETE_NONE},
        {"tail", 'n', ER_OPT_COUNT, "N", "Print only the last N lines (with -f: and what follows)",
         offsetof(struct logs_opts, tail), ER_COMPLETE_NONE},
        {"since", 0, ER_OPT_TEXT, "TIME", "Print only what was printed since TIME: 10m (ago), 14:30, 2026-11-21 14:30",
         offsetof(struct logs_opts, since), ER_COMPLETE_NONE},
        {"grep", 'g', ER_OPT_TEXT, "RE", "Print only lines that match this extended regular expression",
         offsetof(struct logs_opts, grep), ER_COMPLETE_NONE},
        {"every", 0, ER_OPT_DURATION, "SECONDS", "Print at most one line, the newest, in this many seconds",
         offsetof(struct logs_opts, every_ms), ER_COMPLETE_NONE},
        {"attempt", 0, ER_OPT_COUNT, "N", "Print the log of attempt N instead of the latest",
         offsetof(struct logs_opts, attempt), ER_COMPLETE_NONE},
};

struct reader {
        const struct er_cli *cli;
        const struct logs_opts *opts;
        struct er_live *live;
        struct er_filter *filter;
        int64_t since_ms;
        uint64_t offset, seq; /* seen so far, of the attempt being read */
        bool begun;           /* offset is valid */
        bool caught_up;       /* the existing log has been read: what comes now is new */
        enum er_end end;
        struct er_str remark; /* on the end of the job being read */
        int output_errno;
};

static int write_out(void *arg, int stream, struct er_sv data)
{
        struct reader *r = arg;

        if (er_live_write(r->live, stream == 2 ? STDERR_FILENO : STDOUT_FILENO, data) == 0)
                return 0;
        r->output_errno = errno;
        return -1;
}

static int on_log(void *arg, int stream, uint64_t offset, int64_t time_ms, struct er_sv data, struct er_err *err)
{
        struct reader *r = arg;

        if (r->begun && offset < r->offset) { /* seen before the connection broke */
                size_t known = r->offset - offset < data.len ? (size_t)(r->offset - offset) : data.len;

                data = er_svn(data.ptr + known, data.len - known);
                offset += known;
        }
        if (data.len == 0)
                return 0;
        r->begun = true;
        r->offset = offset + data.len;
        if (er_filter_add(r->filter, stream, time_ms, data) == 0)
                return 0;
        return er_err_errno(err, r->output_errno, "writing to standard output");
}

/* What is said of an end that the job itself made: that a part of its output is missing. */
static void note_remark(struct reader *r, enum er_reason reason, const char *detail)
{
        er_str_reset(&r->remark);
        if (detail && (reason == ER_REASON_NONE || reason == ER_REASON_EXIT || reason == ER_REASON_SIGNAL ||
                       reason == ER_REASON_LOG))
                er_str_addn(&r->remark, detail, strcspn(detail, "\n"));
}

static int on_event(void *arg, const struct er_status *status, struct er_err *err)
{
        struct reader *r = arg;

        (void)err;
        if (status->seq > r->seq)
                r->seq = status->seq;
        if (status->state == ER_STATE_ENDED) {
                r->end = (enum er_end)status->end;
                note_remark(r, (enum er_reason)status->reason, status->detail);
        }
        return 0;
}

/* One try over one connection, starting where the last one stopped. */
static int read_some(struct reader *r, const struct er_job *job, const struct er_attempt *attempt, struct er_err *err)
{
        er_autoptr(er_session) session = NULL;
        er_autofree char *key = er_job_key(r->cli->store, job);
        bool by_grep = r->opts->grep != NULL; /* then the last lines are found here, among those that match */
        bool part = r->opts->tail >= 0 || r->since_ms > 0;
        const struct er_watch watch = {.key = key,
                                       .attempt = attempt->number,
                                       .seq = r->seq,
                                       .log = true,
                                       .on_event = on_event,
                                       .on_log = on_log,
                                       .arg = r};
        struct er_watch from;

        if (er_target_session(r->cli, attempt->host, r->live, &session, err) < 0)
                return -1;
        if (!r->caught_up && (part || !r->opts->follow)) {
                struct er_log_range range = {.offset = r->offset, .tail = -1};
                uint64_t next = 0;

                if (!r->begun) {
                        range.tail = by_grep ? -1 : r->opts->tail;
                        range.since_ms = r->since_ms;
                }
                if (er_attempt_log(session, key, attempt->number, &range, on_log, r, &next, err) < 0)
                        return -1;
                if (next > r->offset)
                        r->offset = next;
                r->begun = true;
        }
        r->caught_up = true;
        if (!r->opts->follow)
                return 0;
        if (er_filter_live(r->filter) < 0)
                return er_err_errno(err, r->output_errno, "writing to standard output");
        er_live_clear(r->live);
        from = watch;
        from.offset = r->offset;
        return er_attempt_watch(session, &from, err);
}

static int read_attempt(struct reader *r, const struct er_job *job, const struct er_attempt *attempt,
                        struct er_err *err)
{
        int64_t pause = 250;
        bool said = false;

        for (int tries = 1;; tries++) {
                er_auto(er_err) why = ER_ERR_INIT;
                uint64_t before = r->offset;

                if (read_some(r, job, attempt, &why) == 0)
                        return 0;
                if (r->output_errno == EPIPE)
                        _exit(141); /* as cat and ssh do when their reader is gone */
                if (r->output_errno || !why.retryable || (!r->opts->follow && tries >= TRIES))
                        return er_err_move(err, &why);
                if (r->offset > before) {
                        pause = 250;
                        said = false;
                }
                if (!said && r->opts->follow)
                        er_live_say(r->live, "%s; trying again", why.message ? why.message : "lost contact");
                said = true;
                poll(NULL, 0, (int)pause);
                pause = pause * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : pause * 2;
        }
}

/* --- which attempt */

static int find_attempt(const struct er_cli *cli, const struct er_job *job, int64_t number, struct er_attempt *ret,
                        bool *ret_found, struct er_err *err)
{
        struct er_attempt *attempts = NULL;
        size_t count = 0;

        *ret_found = false;
        if (er_store_attempts(cli->store, job->id, &attempts, &count, err) < 0)
                return -1;
        for (size_t i = 0; i < count; i++) {
                if (!*ret_found && attempts[i].number == number) {
                        *ret = attempts[i];
                        *ret_found = true;
                } else
                        er_attempt_release(&attempts[i]);
        }
        free(attempts);
        return 0;
}

/* Waits until the store has news, and makes sure that somebody carries the run meanwhile. */
static void await_news(const struct er_cli *cli, int64_t *version, int *rounds)
{
        if ((*rounds)++ % 100 == 0)
                er_target_adopt(cli);
        for (int i = 0; i < 4 && er_store_version(cli->store) == *version; i++)
                poll(NULL, 0, 25);
        *version = er_store_version(cli->store);
}

static int nothing_yet(const struct reader *r, const struct er_job *job)
{
        er_auto(er_str) state = ER_STR_INIT;

        er_view_state(&state, job, er_now_ms());
        if (er_job_state_ended(job->state))
                er_live_say(r->live, "%s never started: %s", job->name, state.buf);
        else
                er_live_say(r->live, "%s has printed nothing yet: %s", job->name, state.buf);
        return 0;
}

/* Reads one attempt after another (another may follow one that was lost), until the job has ended. */
static int read_job(struct reader *r, struct er_job *job, struct er_err *err)
{
        int64_t number = r->opts->attempt > 0 ? r->opts->attempt : 0, version = -1;
        int rounds = 0;

        for (;;) {
                er_auto(er_attempt) attempt = {0};
                struct er_job fresh = ER_JOB_INIT;
                int64_t wanted = number > 0 ? number : job->attempt;
                bool found = false;

                if (wanted > 0 && find_attempt(r->cli, job, wanted, &attempt, &found, err) < 0)
                        return -1;
                if (!found && r->opts->attempt > 0)
                        return er_err_set(err, ER_NOT_FOUND, "%s has no attempt %lld", job->name,
                                          (long long)r->opts->attempt);
                if (found && attempt.submitted) {
                        int64_t done = attempt.number;

                        if (read_attempt(r, job, &attempt, err) < 0)
                                return err && err->code == ER_NOT_FOUND && !err->hint
                                               ? er_err_hint(err,
                                                             "its files on %s have been removed, perhaps by errand gc",
                                                             attempt.host)
                                               : -1;
                        if (!r->opts->follow || r->opts->attempt > 0 ||
                            (r->end != ER_END_LOST && r->end != ER_END_PREEMPTED))
                                return 0;
                        number = done + 1;
                        r->offset = r->seq = 0;
                        r->begun = true;
                        r->end = ER_END_NONE;
                        er_live_say(r->live, "attempt %lld of %s was lost", (long long)done, job->name);
                } else if (!r->opts->follow || er_job_state_ended(job->state))
                        return r->offset == 0 && number <= 1 ? nothing_yet(r, job) : 0;
                else {
                        er_live_set(r->live, "%s: %s", job->name, er_job_state_name(job->state));
                        await_news(r->cli, &version, &rounds);
                }
                if (er_store_job(r->cli->store, job->id, &fresh, err) < 0)
                        return -1;
                er_job_release(job);
                *job = fresh;
        }
}

/* --- the lines held back by --every come also when the job is silent */

struct ticker {
        struct er_filter *filter;
        pthread_t thread;
        pthread_mutex_t lock;
        bool stop, running;
};

static void *tick(void *arg)
{
        struct ticker *t = arg;
        bool stop = false;

        while (!stop) {
                poll(NULL, 0, TICK_MS);
                if (er_filter_tick(t->filter, er_now_ms()) < 0)
                        return NULL; /* writing the next piece of the log will fail too, and report it */
                pthread_mutex_lock(&t->lock);
                stop = t->stop;
                pthread_mutex_unlock(&t->lock);
        }
        return NULL;
}

static void ticker_stop(struct ticker *t)
{
        if (!t->running)
                return;
        pthread_mutex_lock(&t->lock);
        t->stop = true;
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
}

static int read_jobs(struct reader *r, struct er_jobs *jobs, struct er_err *err)
{
        struct ticker ticker = {.filter = r->filter, .lock = PTHREAD_MUTEX_INITIALIZER};
        er_auto(er_strv) remarks = ER_STRV_INIT;
        int rc = 0;

        if (r->opts->follow && r->opts->every_ms >= 0)
                ticker.running = pthread_create(&ticker.thread, NULL, tick, &ticker) == 0;
        for (size_t i = 0; rc == 0 && i < jobs->len; i++) {
                r->offset = r->seq = 0;
                r->begun = r->caught_up = false;
                r->end = ER_END_NONE;
                er_str_reset(&r->remark);
                if (er_job_state_ended(jobs->items[i].state))
                        note_remark(r, jobs->items[i].reason, jobs->items[i].detail);
                rc = read_job(r, &jobs->items[i], err);
                if (rc == 0 && r->remark.len > 0)
                        er_strv_addf(&remarks, "%s: %s", jobs->items[i].name, r->remark.buf);
        }
        ticker_stop(&ticker);
        if (rc == 0 && er_filter_end(r->filter) < 0) {
                if (r->output_errno == EPIPE)
                        _exit(141);
                rc = er_err_errno(err, r->output_errno, "writing to standard output");
        }
        for (size_t i = 0; rc == 0 && i < remarks.len; i++) /* behind the log */
                er_live_say(r->live, "%s", remarks.items[i]);
        er_str_release(&r->remark);
        return rc;
}

static int logs(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct logs_opts *opts = arg;
        er_auto(er_jobs) jobs = ER_JOBS_INIT;
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        er_autoptr(er_filter) filter = NULL;
        struct reader r = {.cli = cli, .opts = opts, .live = live, .remark = ER_STR_INIT};
        struct er_filter_opts how = {.grep = opts->grep,
                                     .every_ms = opts->every_ms,
                                     .tail = opts->grep ? opts->tail : -1,
                                     .write = write_out,
                                     .arg = &r};

        if (opts->since && er_parse_since(opts->since, er_now_ms(), &r.since_ms, err) < 0)
                return er_err_wrap(err, "--since");
        if (er_filter_new(&how, &filter, err) < 0 || er_target_jobs(cli, args, count, &jobs, err) < 0)
                return -1;
        if (opts->follow && jobs.len > 1) {
                er_err_set(err, ER_USAGE, "%s has %zu jobs", jobs.items[0].run, jobs.len);
                return er_err_hint(err, "follow one of them, for example %s", jobs.items[0].name);
        }
        r.filter = filter;
        return read_jobs(&r, &jobs, err);
}

const struct er_command er_cmd_logs = {
        .name = "logs",
        .group = "Follow",
        .summary = "Print what a job printed, or follow it",
        .arguments = "[JOB]",
        .description = "The job's standard output goes to standard output and its standard error to standard error, as "
                       "with errand run. Without JOB, the log of the latest run of this project is printed. If the "
                       "connection breaks, it is made again and the log continues where it stopped.\n"
                       "\n"
                       "With --every, only the newest line of each interval is printed, to see a long training run at "
                       "a glance.",
        .examples = "errand logs -f\tthe latest job, until it ends\n"
                    "errand logs mnist-12 --grep 'loss|acc' --tail 5\tthe last five lines that match\n"
                    "errand logs -f --every 30\tone line every half minute\n",
        .opts = logs_options,
        .opt_count = ER_LEN(logs_options),
        .opts_size = sizeof(struct logs_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .max_args = 1,
        .complete = ER_COMPLETE_JOB,
        .run = logs,
};

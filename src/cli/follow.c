/* follow.c - see follow.h */
#include "cli/follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include "base/io.h"
#include "base/json.h"
#include "base/term.h"
#include "cli/secrets.h"
#include "cli/view.h"
#include "cli/words.h"
#include "maestro/maestro.h"

#define AGAIN_MS 2000 /* a second Ctrl-C within this time cancels */

struct watcher {
        const struct er_cli *cli;
        const struct er_follow *follow;
        struct er_live *live;
        struct er_cancel stop;   /* the first signal, or whatever --detach waits for */
        struct er_cancel again;  /* the second Ctrl-C */
        enum er_job_state state; /* last seen */
        bool said_start;         /* the line with the job's name and host */
        bool said_gpus;          /* the line with those it sees without having asked */
        bool uploading;          /* files have been on their way */
        bool output_gone;
        int output_errno; /* 0, or why our own output failed */
};

/* What the signal handler can reach. */
static struct watcher *signalled;
static volatile sig_atomic_t interrupts, ended_by_others;

static void on_signal(int number)
{
        int why = errno;

        if (number != SIGINT)
                ended_by_others = 1;
        else if (interrupts < 2)
                interrupts++;
        if (number == SIGINT && interrupts == 2)
                er_cancel_fire(&signalled->again);
        else
                er_cancel_fire(&signalled->stop);
        errno = why;
}

/* A signal that was ignored when we were started (by nohup, or as a shell's background job) stays ignored. */
static void catch_signals(struct watcher *w, bool on)
{
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
        static struct sigaction before[ER_LEN(numbers)];

        if (on)
                signalled = w;
        for (size_t i = 0; i < ER_LEN(numbers); i++) {
                struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

                sigemptyset(&action.sa_mask);
                if (!on)
                        sigaction(numbers[i], &before[i], NULL);
                else if (sigaction(numbers[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
                        sigaction(numbers[i], &action, NULL);
        }
}

/* --- what the maestro tells */

static int on_log(void *arg, const struct er_job *job, int stream, struct er_sv data)
{
        struct watcher *w = arg;
        int fd = stream == STDERR_FILENO || w->cli->json ? STDERR_FILENO : STDOUT_FILENO;

        (void)job;
        if (w->output_gone)
                return -1;
        if (er_live_write(w->live, fd, data) == 0 || fd == STDERR_FILENO)
                return 0;
        w->output_gone = true; /* the job goes on: its outputs are still wanted */
        w->output_errno = errno == EPIPE ? 0 : errno;
        return -1;
}

/* Once for a run: its jobs are alike. */
static void say_gpus(struct watcher *w, const struct er_job *job)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (w->said_gpus || !job->gpu_shared || w->follow->detach)
                return;
        w->said_gpus = true;
        er_view_gpus(&text, job->gpu_mask);
        if (job->gpu_mask)
                er_live_say(w->live, "%s sees GPU %s (shared); --gpus N reserves N, --gpus 0 hides them", job->name,
                            text.buf);
        else
                er_live_say(w->live, "%s sees no GPU: all are reserved; --gpus N waits for N", job->name);
}

static void on_state(void *arg, const struct er_job *job)
{
        struct watcher *w = arg;

        w->state = job->state;
        if (w->follow->detach && job->state >= ER_JOB_QUEUED)
                er_cancel_fire(&w->stop);
        if (job->state == ER_JOB_QUEUED)
                er_live_set(w->live, "%s: waiting for its turn on %s", job->name, job->host ? job->host : "its host");
        else if (job->state == ER_JOB_STARTING || job->state == ER_JOB_RUNNING)
                er_live_clear(w->live);
        else if (job->state == ER_JOB_WAITING)
                er_live_set(w->live, "%s: waiting", job->name);
        if (job->state >= ER_JOB_STARTING && job->host && !er_job_state_ended(job->state) && !w->said_start &&
            !w->follow->detach) {
                w->said_start = true;
                er_live_say(w->live, "%s on %s", job->name, job->host);
        }
        say_gpus(w, job);
}

static void on_note(void *arg, const struct er_job *job, const char *text)
{
        struct watcher *w = arg;

        (void)job;
        if (w->state < ER_JOB_STARTING || er_job_state_ended(w->state)) /* later, the job itself speaks */
                er_live_note(w->live, text);
}

static void on_transfer(void *arg, const struct er_job *job, const char *what, const struct er_transfer *transfer)
{
        struct watcher *w = arg;

        (void)job;
        w->uploading |= er_streq(what, "uploading");
        er_live_transfer(w->live, what, transfer);
}

static void on_warn(void *arg, const struct er_job *job, const struct er_err *err)
{
        struct watcher *w = arg;

        er_live_say(w->live, "%s: %s", job->name, err->message ? err->message : er_code_name(err->code));
        if (err->hint)
                er_live_more(w->live, "%s", err->hint);
        if (w->follow->detach)
                er_cancel_fire(&w->stop);
}

/* --- the end */

/* True if --quiet must not hide the end: the job never began, or was lost. A job that ended otherwise has said so
 * itself. */
static bool is_errands_own(const struct er_job *job)
{
        return job->state == ER_JOB_FAILED && job->reason != ER_REASON_START &&
               (job->started_ms == 0 || job->reason == ER_REASON_GONE || job->reason == ER_REASON_REBOOT);
}

static bool has_entries(const char *dir)
{
        DIR *list = opendir(dir);
        const struct dirent *entry;
        bool found = false;

        while (list && !found && (entry = readdir(list)))
                found = !er_streq(entry->d_name, ".") && !er_streq(entry->d_name, "..");
        if (list)
                closedir(list);
        return found;
}

/* If no host took the job, the host's name may be misspelt. */
static void say_meant(struct watcher *w, const struct er_job *job)
{
        er_auto(er_spec) spec = ER_SPEC_INIT;

        if (job->reason != ER_REASON_HOST || job->attempt > 0 ||
            er_spec_decode(er_svn(job->spec.buf, job->spec.len), &spec, NULL) < 0)
                return;
        for (size_t i = 0; i < spec.hosts.len; i++) {
                er_auto(er_str) meant = ER_STR_INIT;

                if (er_target_host_meant(w->cli->store, spec.hosts.items[i], &meant))
                        er_live_more(w->live, "%s: %s", spec.hosts.items[i], meant.buf);
        }
}

static int finish(struct watcher *w, struct er_jobs *jobs, struct er_err *err)
{
        const struct er_cli *cli = w->cli;
        const struct er_job *unfetched = NULL;
        int status = 0;

        if (er_jobs_reload(cli, jobs, err) < 0)
                return -1;
        for (size_t i = 0; i < jobs->len; i++) {
                const struct er_job *job = &jobs->items[i];
                er_auto(er_str) line = ER_STR_INIT;
                er_autofree char *dir = er_job_results_dir(job), *shown = er_view_path(dir);
                bool outputs = job->outputs_fetched && has_entries(dir);

                if (er_job_state_ended(job->state) && !job->outputs_fetched)
                        unfetched = job;
                if (status == 0)
                        status = job->exit_status;
                er_target_result(&line, job);
                if (!w->said_start && job->host && job->started_ms > 0) /* it was too quick for its own line */
                        er_str_addf(&line, " on %s", job->host);
                if (outputs)
                        er_str_addf(&line, "%s outputs in %s/", job->state == ER_JOB_DONE ? "," : ";", shown);
                er_live_say(w->live, "%s", line.buf);
                if (er_view_hint(job))
                        er_live_more(w->live, "%s", er_view_hint(job));
                if (cli->quiet && is_errands_own(job)) {
                        er_auto(er_err) own = ER_ERR_INIT;

                        er_err_set(&own, ER_STATE, "%s", line.buf);
                        if (er_view_hint(job))
                                er_err_hint(&own, "%s", er_view_hint(job));
                        er_say_err(&own);
                }
                if (job->state == ER_JOB_FAILED)
                        say_meant(w, job);
                if (job->state == ER_JOB_FAILED && job->attempt > 0 && job->started_ms > 0)
                        er_live_more(w->live, "its log: errand logs %s    again: errand rerun %s", job->name,
                                     job->name);
                else if (job->state == ER_JOB_FAILED)
                        er_live_more(w->live, "more: errand show %s    again: errand rerun %s", job->name, job->name);
                if (cli->json) {
                        json_t *json = er_view_job(job, er_now_ms());
                        int rc;

                        json_object_set_new(json, "results_dir", outputs ? er_json_text(dir) : json_null());
                        rc = er_out_json(json, err);
                        json_decref(json);
                        if (rc < 0)
                                return -1;
                }
        }
        if (w->output_errno)
                return er_err_errno(err, w->output_errno, "writing the job's output");
        if (status < 0)
                return er_err_set(err, ER_INTERNAL, "%s has not ended", jobs->items[0].name);
        if (status == 0 && unfetched) { /* a script that went on would not find them */
                er_err_set(err, ER_IO, "the outputs of %s are not here; they are still on %s", unfetched->name,
                           unfetched->host ? unfetched->host : "its host");
                return er_err_hint(err,
                                   "errand wait %s tries again to fetch them; errand pull puts them somewhere else",
                                   unfetched->name);
        }
        return status;
}

static const char *subject(const struct er_jobs *jobs)
{
        return jobs->len == 1 ? jobs->items[0].name : jobs->items[0].run;
}

/* From here on, a background process carries the run. */
static void hand_over(struct watcher *w)
{
        er_auto(er_err) err = ER_ERR_INIT;

        if (er_maestro_adopt(w->cli->store, w->cli->program, &err) < 0) {
                er_err_wrap(&err, "starting a background process for the run");
                er_err_hint(&err, "the job goes on; errand jobs tries again");
                er_say_err(&err);
        }
}

static int cancel_now(struct watcher *w, struct er_jobs *jobs, struct er_err *err)
{
        bool ended = false;
        char seen[16];

        er_live_echoed(w->live);
        er_live_say(w->live, "cancelling %s (Ctrl-C again leaves that to the background)", subject(jobs));
        interrupts = 1; /* the next one counts as the second again; this one is removed from the pipe */
        if (read(w->again.fds[0], &seen, sizeof seen) < 0)
                return er_err_errno(err, errno, "reading a pipe");
        for (size_t i = 0; i < jobs->len; i++)
                if (er_maestro_cancel(w->cli->store, &jobs->items[i].id, 1, err) < 0)
                        return -1;
        er_live_set(w->live, "waiting for %s to end", subject(jobs));
        if (er_target_wait(w->cli, jobs, ER_NEVER, w->again.fds[0], &ended, err) < 0)
                return -1;
        er_live_clear(w->live);
        return ended ? finish(w, jobs, err) : er_code_exit_status(ER_DETACHED);
}

static int detached(struct watcher *w, struct er_jobs *jobs, struct er_err *err)
{
        struct pollfd again = {.fd = w->again.fds[0], .events = POLLIN};
        er_deadline until = er_deadline_in(AGAIN_MS);

        er_live_clear(w->live);
        hand_over(w);
        if (interrupts > 0)
                er_live_echoed(w->live);
        er_live_say(w->live, "detached; %s goes on", subject(jobs));
        if (er_jobs_reload(w->cli, jobs, err) < 0)
                return -1;
        if (w->uploading && jobs->items[0].state == ER_JOB_WAITING)
                er_live_more(
                        w->live,
                        "its files are still being sent: do not change them until errand jobs shows it on its host");
        er_live_more(w->live, "follow it: errand logs -f %s", subject(jobs));
        er_live_more(w->live, "cancel it: errand cancel %s%s", subject(jobs),
                     ended_by_others ? "" : ", or Ctrl-C again now");
        while (!ended_by_others && er_mono_ms() < until) {
                int rc = poll(&again, 1, er_deadline_poll_ms(until));

                if (rc > 0)
                        return cancel_now(w, jobs, err);
        }
        return er_code_exit_status(ER_DETACHED);
}

/* --detach: we are done as soon as the job is on its host, or is known to have to wait for it. */
static int left(struct watcher *w, struct er_jobs *jobs, struct er_err *err)
{
        bool never_started = false;

        er_live_clear(w->live);
        hand_over(w);
        if (er_jobs_reload(w->cli, jobs, err) < 0)
                return -1;
        for (size_t i = 0; i < jobs->len; i++) {
                const struct er_job *job = &jobs->items[i];
                json_t *json;
                int rc;

                never_started |= job->state == ER_JOB_FAILED && job->started_ms == 0;
                if (w->follow->silent)
                        continue;
                if (!w->cli->json) {
                        if (er_out_line(err, "%s", job->name) < 0)
                                return -1;
                        continue;
                }
                json = er_view_job(job, er_now_ms());
                rc = er_out_json(json, err);
                json_decref(json);
                if (rc < 0)
                        return -1;
        }
        if (never_started) {
                struct watcher quiet = *w; /* the JSON has been printed */
                struct er_cli cli = *w->cli;

                cli.json = false;
                quiet.cli = &cli;
                return finish(&quiet, jobs, err);
        }
        if (!w->follow->silent)
                er_live_say(w->live, "follow it: errand logs -f %s", subject(jobs));
        return 0;
}

static int carry(struct watcher *w, struct er_jobs *jobs, struct er_err *err)
{
        struct er_maestro_opts opts = {
                .store = w->cli->store,
                .interactive = er_term_is(STDERR_FILENO),
                .follow = !w->follow->detach,
                .snapshot = w->follow->snapshot,
                .stop = &w->stop,
                .ui =
                        {
                                .arg = w,
                                .log = on_log,
                                .state = on_state,
                                .note = on_note,
                                .transfer = on_transfer,
                                .warn = on_warn,
                        },
        };
        er_auto(er_err) why = ER_ERR_INIT;
        size_t skipped = 0;
        int rc;

        er_live_set(w->live, "%s: starting", subject(jobs));
        rc = er_maestro_carry(&opts, &w->follow->run->id, 1, &skipped, &why);
        er_live_clear(w->live);
        if (rc < 0 && why.code != ER_DETACHED)
                return er_err_move(err, &why);
        if (w->follow->detach)
                return left(w, jobs, err);
        if (rc < 0)
                return detached(w, jobs, err);
        if (skipped > 0) { /* another maestro was quicker, so the store tells us about the end */
                bool ended;

                if (er_target_wait(w->cli, jobs, ER_NEVER, w->stop.fds[0], &ended, err) < 0)
                        return -1;
                if (!ended)
                        return detached(w, jobs, err);
        }
        return finish(w, jobs, err);
}

static int add_id(void *arg, const struct er_job *job, struct er_err *err)
{
        (void)err;
        er_str_addn(arg, &job->id, sizeof job->id);
        return 0;
}

/* The run's jobs, first one first. */
static int load_jobs(const struct er_cli *cli, int64_t run_id, struct er_jobs *ret, struct er_err *err)
{
        const struct er_job_filter filter = {.run_id = run_id, .without_spec = true};
        er_auto(er_str) ids = ER_STR_INIT;

        if (er_store_each_job(cli->store, &filter, add_id, &ids, err) < 0)
                return -1;
        for (size_t at = ids.len; at >= sizeof(int64_t); at -= sizeof(int64_t)) {
                struct er_job job = ER_JOB_INIT;
                int64_t id;

                memcpy(&id, ids.buf + at - sizeof id, sizeof id);
                if (er_store_job(cli->store, id, &job, err) < 0)
                        return -1;
                er_jobs_add(ret, &job);
        }
        if (ret->len == 0)
                return er_err_set(err, ER_INTERNAL, "run %lld has no jobs", (long long)run_id);
        return 0;
}

/* An error, and yet the job is stored: the next errand carries it on. */
static void say_stored(const struct er_cli *cli, const struct er_jobs *jobs, struct er_err *err)
{
        er_auto(er_job) job = ER_JOB_INIT;

        if (er_store_job(cli->store, jobs->items[0].id, &job, NULL) < 0 || !er_job_state_ended(job.state))
                er_err_hint(err, "%s is stored, and the next errand jobs goes on with it; cancel it: errand cancel %s",
                            subject(jobs), subject(jobs));
}

int er_follow_run(const struct er_cli *cli, const struct er_follow *follow, struct er_err *err)
{
        er_auto(er_jobs) jobs = ER_JOBS_INIT;
        struct watcher w = {.cli = cli, .follow = follow};
        int rc;

        if (load_jobs(cli, follow->run->id, &jobs, err) < 0)
                return -1;
        if (er_cancel_init(&w.stop) < 0) {
                er_err_errno(err, errno, "making a pipe");
                say_stored(cli, &jobs, err);
                return -1;
        }
        if (er_cancel_init(&w.again) < 0) {
                er_err_errno(err, errno, "making a pipe");
                say_stored(cli, &jobs, err);
                er_cancel_release(&w.stop);
                return -1;
        }
        w.live = er_live_new(cli->quiet);
        catch_signals(&w, true);
        rc = carry(&w, &jobs, err);
        catch_signals(&w, false);
        if (rc < 0)
                say_stored(cli, &jobs, err);
        er_live_free(w.live);
        er_cancel_release(&w.stop);
        er_cancel_release(&w.again);
        return rc;
}

int er_follow_store(const struct er_cli *cli, struct er_request *request, const struct er_snapshot *snapshot,
                    struct er_run *ret, struct er_err *err)
{
        if (er_secrets_keep(&request->recipe.values, err) < 0)
                return -1;
        return er_request_store(cli->store, request, snapshot, ret, err);
}

/* The loop: what has come back is noted, the planner asked, work handed out, the store kept up to date. */
#include "maestro/carry.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include "base/crash.h"
#include "base/io.h"
#include "base/log.h"

#define LOOK_MS 200 /* how often the store is looked at for cancels */
#define STORE_AGAIN_MS 500
#define STORE_GIVE_UP_MS 10000
#define SLICE_MS 2000 /* a watch may be interrupted after this when others wait for a thread */
#define NEWS_MS 60000 /* of a job that only runs on, the time of the last news is written so often */

bool er_carry_mark(struct er_carry *m)
{
        bool first = !m->woken;
        m->woken = true;
        return first;
}

void er_carry_ring(struct er_carry *m)
{
        ssize_t n = write(m->wake[1], "w", 1);
        (void)n;
}

void er_carry_dirty(struct er_carried *j, bool attempt)
{
        if (!j->job_dirty && !j->attempt_dirty)
                j->dirty_ms = er_mono_ms();
        j->job_dirty = true;
        j->attempt_dirty |= attempt;
}

/* Beginning */

struct loading {
        struct er_carry *m;
        size_t cap;
};

static void free_carried(struct er_carried *j)
{
        er_job_release(&j->row);
        er_job_release(&j->view);
        er_attempt_release(&j->at);
        er_spec_release(&j->spec);
        er_host_release(&j->host);
        er_err_release(&j->warning);
        free(j->key);
        free(j);
}

static int load_attempt(struct er_carry *m, struct er_carried *j, struct er_err *err)
{
        struct er_attempt *attempts = NULL;
        size_t count = 0;
        if (j->row.attempt == 0)
                return 0;
        if (er_store_attempts(m->opts->store, j->row.id, &attempts, &count, err) < 0)
                return -1;
        if (count > 0) {
                j->at = attempts[--count];
                j->has_host = er_hosts_find(m->opts->store, j->at.host, &j->host, err) == 0;
        }
        for (size_t i = 0; i < count; i++)
                er_attempt_release(&attempts[i]);
        free(attempts);
        return j->has_host || !j->at.id ? 0 : -1;
}

/* A job this build cannot read is left alone: the others must not suffer. */
static int load_job(void *arg, const struct er_job *row, struct er_err *err)
{
        struct loading *loading = arg;
        struct er_carry *m = loading->m;
        struct er_carried *j = er_new(struct er_carried);
        er_auto(er_err) why = ER_ERR_INIT;
        (void)err;
        j->row = *row;
        j->row.spec = (struct er_str)ER_STR_INIT;
        j->row.name = er_strdup(row->name);
        j->row.run = er_strdup(row->run);
        j->row.project = er_strdup(row->project);
        j->row.project_dir = er_strdup(row->project_dir);
        j->row.command = row->command ? er_strdup(row->command) : NULL;
        j->row.host = row->host ? er_strdup(row->host) : NULL;
        j->row.detail = row->detail ? er_strdup(row->detail) : NULL;
        j->spec = (struct er_spec)ER_SPEC_INIT;
        j->key = er_job_key(m->opts->store, row);
        er_tell_init(j);
        if (er_spec_decode(er_svn(row->spec.buf, row->spec.len), &j->spec, &why) < 0 || load_attempt(m, j, &why) < 0) {
                er_err_wrap(&why, "%s is left as it is", row->name);
                er_tell_warn(m, j, &why, true);
                free_carried(j);
                return 0;
        }
        if (!j->spec.run)
                j->spec.run = er_strdup(row->run);
        m->jobs = er_grow(m->jobs, &loading->cap, m->job_count + 1, sizeof(struct er_carried *));
        m->jobs[m->job_count++] = j;
        return 0;
}

static int by_id(const void *a, const void *b)
{
        const struct er_carried *x = *(struct er_carried *const *)a, *y = *(struct er_carried *const *)b;
        return x->row.id < y->row.id ? -1 : x->row.id > y->row.id;
}

static int load(struct er_carry *m, const int64_t *run_ids, size_t count, struct er_err *err)
{
        struct loading loading = {.m = m};
        for (size_t i = 0; i < count; i++) {
                const struct er_job_filter filter = {.run_id = run_ids[i], .active_only = true};
                if (er_store_each_job(m->opts->store, &filter, load_job, &loading, err) < 0)
                        return -1;
        }
        if (m->job_count > 1)
                qsort(m->jobs, m->job_count, sizeof *m->jobs, by_id);
        m->plans = er_calloc(m->job_count + 1, sizeof *m->plans);
        m->actions = er_calloc(2 * m->job_count + 2, sizeof *m->actions);
        return 0;
}

/* The store */

/* A full disk or a locked file may pass; what is not written stays noted as such. */
static void store_failed(struct er_carry *m, struct er_err *why)
{
        int64_t now = er_mono_ms();
        er_debug("maestro", "store: %s", why->message ? why->message : "?");
        if (!m->trouble_ms)
                m->trouble_ms = now;
        else if (now - m->trouble_ms > STORE_GIVE_UP_MS && !m->fatal.code)
                er_err_move(&m->fatal, why);
}

static void remember_host(struct er_carry *m, struct er_carried *j)
{
        j->host_new = false;
        if (j->host.kind == ER_HOST_LOCAL)
                return;
        struct er_host_row row = {0};
        if (er_store_host(m->opts->store, j->host.name, &row, NULL) == 0) {
                er_host_row_release(&row);
                return;
        }
        row = (struct er_host_row){.name = j->host.name,
                                   .target = j->host.target,
                                   .identity = j->host.identity,
                                   .jump = j->host.jump,
                                   .root = j->host.root,
                                   .port = j->host.port,
                                   .used_ms = er_now_ms()};
        er_store_put_host(m->opts->store, &row, NULL);
}

static int write_job(struct er_carry *m, struct er_carried *j)
{
        er_auto(er_err) why = ER_ERR_INIT;
        if (!j->job_dirty && !j->attempt_dirty)
                return 0;
        er_crashpoint_named("flush");
        if (er_store_update(m->opts->store, j->job_dirty ? &j->row : NULL, j->attempt_dirty ? &j->at : NULL, &why) <
            0) {
                store_failed(m, &why);
                return -1;
        }
        er_crashpoint_named("flushed");
        j->job_dirty = j->attempt_dirty = false;
        m->trouble_ms = 0;
        if (j->host_new)
                remember_host(m, j);
        return 0;
}

/* While a watch is up the session asks the host for a sign of life, so no news from the job is news all the same. */
static void note_news(struct er_carried *j, int64_t now)
{
        if (!j->work || !j->work->heard || er_job_state_ended(j->row.state))
                return;
        if (j->news_due_ms && j->news_due_ms <= now) {
                j->row.news_ms = er_now_ms();
                er_carry_dirty(j, false);
        }
        if (j->news_due_ms <= now)
                j->news_due_ms = now + NEWS_MS;
}

/* Writes what has waited long enough; returns when the next one is due. */
static int64_t flush(struct er_carry *m, bool all)
{
        int64_t now = er_mono_ms(), next = INT64_MAX;
        for (size_t i = 0; i < m->job_count; i++) {
                struct er_carried *j = m->jobs[i];
                note_news(j, now);
                if (!j->job_dirty && !j->attempt_dirty)
                        continue;
                int64_t due = j->dirty_ms + ER_FLUSH_MS;
                if (all || due <= now) {
                        if (write_job(m, j) == 0)
                                continue;
                        j->dirty_ms = now + STORE_AGAIN_MS - ER_FLUSH_MS;
                        due = now + STORE_AGAIN_MS;
                }
                if (due < next)
                        next = due;
        }
        return next;
}

static struct er_carried *find_job(struct er_carry *m, int64_t id)
{
        size_t low = 0, high = m->job_count;
        while (low < high) {
                size_t mid = (low + high) / 2;
                if (m->jobs[mid]->row.id < id)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low < m->job_count && m->jobs[low]->row.id == id ? m->jobs[low] : NULL;
}

/* Whoever wants to cancel writes it into the store. */
static void look_for_cancels(struct er_carry *m)
{
        int64_t now = er_mono_ms();
        if (now - m->looked_ms < LOOK_MS)
                return;
        m->looked_ms = now;
        int64_t version = er_store_version(m->opts->store);
        int64_t *ids = NULL;
        size_t count = 0;
        if (version == m->version || er_store_cancels(m->opts->store, &ids, &count, NULL) < 0)
                return;
        m->version = version;
        for (size_t i = 0; i < count; i++) {
                struct er_carried *j = find_job(m, ids[i]);
                if (!j || j->row.cancel_asked)
                        continue;
                j->row.cancel_asked = true;
                j->plan.retry_at_ms = 0;
                j->warned = ER_OK;
                /* An upload, or the wait for a connection, need not be finished first. */
                if (j->work && !j->work->watching && (j->work->kind == ER_ACT_PLACE || j->work->kind == ER_ACT_SETTLE))
                        er_conn_stop(m, j->work);
        }
        free(ids);
}

/* Acting */

static bool is_watch(const struct er_work *work)
{
        return work && (work->kind == ER_ACT_PLACE || work->kind == ER_ACT_WATCH || work->kind == ER_ACT_SETTLE);
}

/* Watches take a thread each, for as long as their jobs run; with more jobs than threads they take turns. Looked at
   once per round of planning. */
static size_t count_watches(const struct er_carry *m)
{
        size_t watches = 0;
        for (size_t i = 0; i < m->job_count; i++)
                watches += is_watch(m->jobs[i]->work);
        return watches;
}

static void make_room(struct er_carry *m)
{
        int64_t now = er_mono_ms();
        struct er_work *oldest = NULL;
        for (size_t i = 0; i < m->job_count; i++) {
                struct er_work *work = m->jobs[i]->work;
                if (is_watch(work) && work->stop)
                        return; /* one is about to make room */
                if (is_watch(work) && work->watching && now - work->started_ms > SLICE_MS &&
                    (!oldest || work->started_ms < oldest->started_ms))
                        oldest = work;
        }
        if (oldest && !m->opts->follow) {
                oldest->sliced = true;
                er_conn_stop(m, oldest);
        }
}

/* 1: under way; 0: no thread for it now. */
static int start(struct er_carry *m, struct er_carried *j, enum er_action_kind kind, struct er_err *err)
{
        bool watches = kind == ER_ACT_PLACE || kind == ER_ACT_WATCH || kind == ER_ACT_SETTLE;
        if (watches && m->watches >= ER_WORKERS_MAX - ER_WORKERS_SPARE) {
                if (!m->crowded)
                        make_room(m);
                m->crowded = true;
                return 0;
        }
        if (kind == ER_ACT_PLACE) {
                /* The end of the attempt before must be in the store before there is another. */
                if (j->row.state != ER_JOB_WAITING) {
                        j->row.state = ER_JOB_WAITING;
                        er_carry_dirty(j, false);
                }
                if (write_job(m, j) < 0)
                        return 0;
        }
        struct er_work *work = er_work_new(kind, j);
        if (kind == ER_ACT_WATCH)
                work->watching = true;
        if (er_pool_give(m, work, err) < 0)
                return -1;
        er_debug("maestro", "%s: action %d", j->row.name, (int)kind);
        m->watches += watches;
        if (kind == ER_ACT_CANCEL)
                j->cancel = work;
        else
                j->work = work;
        return 1;
}

static bool is_closed(const struct er_carried *j)
{
        return er_job_state_ended(j->row.state) && !j->work && !j->cancel &&
               (j->row.outputs_fetched || j->plan.fetch_waits) && !j->job_dirty && !j->attempt_dirty;
}

/* Asks the planner until it has nothing more to finish. Returns when to ask again though nothing happens. */
static int64_t plan_and_act(struct er_carry *m)
{
        int64_t now = er_mono_ms(), wake;
        bool again;
        do {
                size_t open = 0;
                again = false;
                m->crowded = false;
                m->watches = count_watches(m);
                for (size_t i = 0; i < m->job_count; i++) {
                        struct er_carried *j = m->jobs[i];
                        j->closed = j->closed || is_closed(j);
                        if (j->closed)
                                continue;
                        er_apply_plan(j);
                        m->plans[open++] = j->plan;
                }
                size_t count = er_plan(m->plans, open, now, m->actions, &wake);
                for (size_t i = 0; i < count; i++) {
                        er_auto(er_err) why = ER_ERR_INIT;
                        const struct er_action *action = &m->actions[i];
                        struct er_carried *j = find_job(m, m->plans[action->job].job_id);
                        if (!j)
                                continue;
                        if (action->kind != ER_ACT_FINISH) {
                                int rc = start(m, j, action->kind, &why);
                                if (rc < 0 && !m->fatal.code)
                                        er_err_move(&m->fatal, &why);
                                if (rc == 0 && now + STORE_AGAIN_MS < wake)
                                        wake = now + STORE_AGAIN_MS;
                        } else if (er_apply_finish(m, j, action, &why) < 0) {
                                store_failed(m, &why);
                                if (now + STORE_AGAIN_MS < wake)
                                        wake = now + STORE_AGAIN_MS;
                        } else {
                                m->trouble_ms = 0;
                                again = true;
                                if (j->host_new) /* over so soon that nothing was written in between */
                                        remember_host(m, j);
                        }
                }
        } while (again);
        return wake;
}

static void stop_all(struct er_carry *m)
{
        m->stopping = true;
        for (size_t i = 0; i < m->job_count; i++) {
                if (m->jobs[i]->work)
                        er_conn_stop(m, m->jobs[i]->work);
                if (m->jobs[i]->cancel)
                        er_conn_stop(m, m->jobs[i]->cancel);
        }
}

static void take_results(struct er_carry *m)
{
        struct er_work *list = NULL;
        while (m->done) { /* newest first: turn it round */
                struct er_work *work = m->done;
                m->done = work->next;
                work->next = list;
                list = work;
        }
        while (list) {
                struct er_work *work = list;
                list = work->next;
                m->busy--;
                er_apply_work(m, work);
                er_work_free(work);
        }
}

/* What front ends have to hear. Without waiting for one that is busy; true when all was told. */
static bool tell(struct er_carry *m, bool wait)
{
        bool all = true;
        for (size_t i = 0; i < m->job_count; i++) {
                struct er_carried *j = m->jobs[i];
                er_auto(er_err) warning = ER_ERR_INIT;
                pthread_mutex_lock(&m->lock);
                bool changed = j->row.state != j->told || j->row.attempt != j->told_attempt;
                if (j->warning.code)
                        er_err_move(&warning, &j->warning);
                pthread_mutex_unlock(&m->lock);
                if (warning.code && !er_tell_warn(m, j, &warning, wait)) {
                        pthread_mutex_lock(&m->lock);
                        if (!j->warning.code)
                                er_err_move(&j->warning, &warning);
                        pthread_mutex_unlock(&m->lock);
                        all = false;
                }
                if (changed && !er_tell_state(m, j, wait))
                        all = false;
        }
        return all;
}

static bool all_closed(const struct er_carry *m)
{
        for (size_t i = 0; i < m->job_count; i++)
                if (!m->jobs[i]->closed)
                        return false;
        return true;
}

static void wait_for_news(struct er_carry *m, int64_t until)
{
        bool quiet;
        struct pollfd fds[2] = {
                {.fd = m->wake[0], .events = POLLIN},
                {.fd = m->opts->stop && !m->stopping ? m->opts->stop->fds[0] : -1, .events = POLLIN},
        };
        int64_t left = until - er_mono_ms();
        quiet = poll(fds, 2, left <= 0 ? 0 : (int)left) == 0 && left >= LOOK_MS / 2;
        if (quiet) {
                pthread_mutex_lock(&m->lock);
                er_store_tidy(m->opts->store);
                pthread_mutex_unlock(&m->lock);
        }
}

static void drain_wake(struct er_carry *m)
{
        char buf[64];
        if (m->woken && read(m->wake[0], buf, sizeof buf) > 0)
                m->woken = false;
}

static int loop(struct er_carry *m, er_deadline until, struct er_err *err)
{
        bool detached = false, late = false;
        for (;;) {
                int64_t now = er_mono_ms(), wake = now + LOOK_MS;
                pthread_mutex_lock(&m->lock);
                drain_wake(m);
                take_results(m);
                detached |= m->opts->stop && er_cancel_fired(m->opts->stop);
                late |= now >= until;
                if (!m->stopping && (detached || late || m->fatal.code))
                        stop_all(m);
                if (!m->stopping) {
                        look_for_cancels(m);
                        int64_t again = plan_and_act(m);
                        wake = again < wake ? again : wake;
                }
                int64_t due = flush(m, m->stopping && m->busy == 0);
                wake = due < wake ? due : wake;
                bool over = m->busy == 0 && (m->stopping || all_closed(m));
                pthread_mutex_unlock(&m->lock);
                if (!tell(m, over) && now + ER_FLUSH_MS < wake)
                        wake = now + ER_FLUSH_MS;
                if (over)
                        break;
                wait_for_news(m, wake);
        }
        if (m->fatal.code)
                return er_err_move(err, &m->fatal);
        if (all_closed(m))
                return 0;
        if (late && !detached)
                return er_err_set(err, ER_TIMEOUT, "not all jobs have ended yet");
        return er_err_set(err, ER_DETACHED, "left while jobs go on");
}

static void release(struct er_carry *m)
{
        er_pool_close(m);
        while (m->conns) {
                m->conns->user = NULL;
                er_cancel_fire(&m->conns->cancel); /* so that it is not kept */
                er_conn_put(m, m->conns, false);
        }
        er_travel_release(m);
        for (size_t i = 0; i < m->job_count; i++)
                free_carried(m->jobs[i]);
        free(m->jobs);
        free(m->plans);
        free(m->actions);
        er_close(&m->wake[0]);
        er_close(&m->wake[1]);
        er_err_release(&m->fatal);
        pthread_mutex_destroy(&m->lock);
        pthread_mutex_destroy(&m->ui_lock);
        pthread_mutex_destroy(&m->snap_lock);
}

static int carry_owned(const struct er_maestro_opts *opts, const int64_t *run_ids, size_t count, er_deadline until,
                       struct er_err *err)
{
        struct er_carry m = {.opts = opts, .wake = {-1, -1}, .version = -1};
        pthread_mutex_init(&m.lock, NULL);
        pthread_mutex_init(&m.ui_lock, NULL);
        pthread_mutex_init(&m.snap_lock, NULL);
        m.looked_ms = er_mono_ms();
        int rc = er_pool_open(&m, err);
        if (rc == 0 && er_pipe(m.wake) < 0)
                rc = er_err_errno(err, errno, "making a pipe");
        if (rc == 0) {
                er_set_nonblock(m.wake[0], true);
                er_set_nonblock(m.wake[1], true);
                m.version = er_store_version(opts->store);
                rc = load(&m, run_ids, count, err);
        }
        if (rc == 0)
                rc = loop(&m, until, err);
        release(&m);
        return rc;
}

int er_carry_runs(const struct er_maestro_opts *opts, const int64_t *run_ids, size_t count, er_deadline until,
                  size_t *ret_skipped, struct er_err *err)
{
        er_autofree int64_t *owned = er_calloc(count + 1, sizeof *owned);
        size_t owned_count = 0, skipped = 0;
        int rc = 0;
        for (size_t i = 0; i < count && rc == 0; i++) {
                int taken = er_run_take(opts->store, run_ids[i], err);
                if (taken == 1)
                        owned[owned_count++] = run_ids[i];
                else if (taken == 0)
                        skipped++;
                else
                        rc = -1;
        }
        er_crashpoint("leases taken");
        if (rc == 0 && owned_count > 0)
                rc = carry_owned(opts, owned, owned_count, until, err);
        er_crashpoint("carried");
        for (size_t i = 0; i < owned_count; i++)
                er_run_drop(opts->store, owned[i]);
        if (ret_skipped && rc == 0)
                *ret_skipped = skipped;
        return rc;
}

int er_maestro_carry(const struct er_maestro_opts *opts, const int64_t *run_ids, size_t count, size_t *ret_skipped,
                     struct er_err *err)
{
        return er_carry_runs(opts, run_ids, count, opts->until ? opts->until : ER_NEVER, ret_skipped, err);
}

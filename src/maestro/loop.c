/* loop.c - see loop.h. Each round notes what has come back, asks the planner, hands out work and updates the store. */
#include "maestro/loop.h"

#include <errno.h>
#include <poll.h>
#include "base/crash.h"
#include "base/log.h"
#include "maestro/act.h"
#include "maestro/apply.h"
#include "maestro/carry.h"
#include "maestro/leases.h"
#include "maestro/pool.h"

#define LOOK_MS 200 /* how often to look into the store for cancels */
#define FLUSH_MS 50 /* how long news may wait for more news before it is written */
#define STORE_AGAIN_MS 500
#define STORE_GIVE_UP_MS 10000
#define SLICE_MS 2000 /* a watch may be interrupted after this if others need a thread */
#define NEWS_MS 60000 /* how often to write the time of the last news of a job that just runs */

struct loop {
        struct er_carry carry; /* what the workers see */
        struct er_pool pool;

        struct er_carried **jobs; /* by id */
        size_t job_count, job_cap;
        struct er_plan_job *plans;
        struct er_action *actions;

        bool stopping;
        size_t watches;     /* in progress, as of this round */
        bool crowded;       /* one had to wait for a thread in this round */
        int64_t trouble_ms; /* since when the store cannot be written (monotonic); 0: it can */
        int64_t looked_ms;  /* the last look for cancels (monotonic) */
        int64_t version;    /* er_store_version at that look */
        struct er_err fatal;
};

static struct er_store *store_of(const struct loop *l)
{
        return l->carry.opts->store;
}

/* Beginning */

/* A job that this build cannot read is left alone: the others must not suffer. */
static int load_job(void *arg, const struct er_job *row, struct er_err *err)
{
        struct loop *l = arg;
        const struct er_maestro_ui *ui = &l->carry.opts->ui;
        er_auto(er_err) why = ER_ERR_INIT;
        struct er_carried *j = er_carried_load(store_of(l), row, &why);

        (void)err;
        if (!j) {
                er_err_wrap(&why, "%s is left alone", row->name);
                if (ui->warn)
                        ui->warn(ui->arg, row, &why);
                return 0;
        }
        l->jobs = er_grow(l->jobs, &l->job_cap, l->job_count + 1, sizeof(struct er_carried *));
        l->jobs[l->job_count++] = j;
        return 0;
}

static int by_id(const void *a, const void *b)
{
        const struct er_carried *x = *(struct er_carried *const *)a, *y = *(struct er_carried *const *)b;

        return x->row.id < y->row.id ? -1 : x->row.id > y->row.id;
}

static int load(struct loop *l, const int64_t *run_ids, size_t count, struct er_err *err)
{
        for (size_t i = 0; i < count; i++) {
                const struct er_job_filter filter = {.run_id = run_ids[i], .active_only = true};

                if (er_store_each_job(store_of(l), &filter, load_job, l, err) < 0)
                        return -1;
        }
        if (l->job_count > 1)
                qsort(l->jobs, l->job_count, sizeof *l->jobs, by_id);
        l->plans = er_calloc(l->job_count + 1, sizeof *l->plans);
        l->actions = er_calloc(2 * l->job_count + 2, sizeof *l->actions);
        return 0;
}

/* The store */

/* A full disk or a locked file may pass. What has not been written stays marked. */
static void store_failed(struct loop *l, struct er_err *why)
{
        int64_t now = er_mono_ms();

        er_debug("maestro", "store: %s", why->message ? why->message : "?");
        if (!l->trouble_ms)
                l->trouble_ms = now;
        else if (now - l->trouble_ms > STORE_GIVE_UP_MS && !l->fatal.code)
                er_err_move(&l->fatal, why);
}

static void remember_host(struct loop *l, struct er_carried *j)
{
        struct er_host_row row = {0};

        j->host_new = false;
        if (j->host.kind == ER_HOST_LOCAL)
                return;
        if (er_store_host(store_of(l), j->host.name, &row, NULL) == 0) {
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
        er_store_put_host(store_of(l), &row, NULL);
}

static int write_job(struct loop *l, struct er_carried *j)
{
        er_auto(er_err) why = ER_ERR_INIT;

        if (!j->job_dirty && !j->attempt_dirty)
                return 0;
        er_crashpoint_named("flush");
        if (er_store_update(store_of(l), j->job_dirty ? &j->row : NULL, j->attempt_dirty ? &j->at : NULL, &why) < 0) {
                store_failed(l, &why);
                return -1;
        }
        er_crashpoint_named("flushed");
        j->job_dirty = j->attempt_dirty = false;
        l->trouble_ms = 0;
        if (j->host_new)
                remember_host(l, j);
        return 0;
}

/* During a watch the session asks the host for signs of life, so no news of the job is news of the host. */
static void note_news(struct er_carried *j, int64_t now)
{
        if (!j->work || j->work->phase < ER_PHASE_HEARD || er_job_state_ended(j->row.state))
                return;
        if (j->news_due_ms && j->news_due_ms <= now) {
                j->row.news_ms = er_now_ms();
                er_carried_dirty(j, false);
        }
        if (j->news_due_ms <= now)
                j->news_due_ms = now + NEWS_MS;
}

/* Writes what has waited long enough. Returns when the next write is due. */
static int64_t flush(struct loop *l, bool all)
{
        int64_t now = er_mono_ms(), next = INT64_MAX;

        for (size_t i = 0; i < l->job_count; i++) {
                struct er_carried *j = l->jobs[i];
                int64_t due;

                note_news(j, now);
                if (!j->job_dirty && !j->attempt_dirty)
                        continue;
                due = j->dirty_ms + FLUSH_MS;
                if (all || due <= now) {
                        if (write_job(l, j) == 0)
                                continue;
                        j->dirty_ms = now + STORE_AGAIN_MS - FLUSH_MS;
                        due = now + STORE_AGAIN_MS;
                }
                if (due < next)
                        next = due;
        }
        return next;
}

static struct er_carried *find_job(struct loop *l, int64_t id)
{
        size_t low = 0, high = l->job_count;

        while (low < high) {
                size_t mid = (low + high) / 2;

                if (l->jobs[mid]->row.id < id)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low < l->job_count && l->jobs[low]->row.id == id ? l->jobs[low] : NULL;
}

static bool is_watch_kind(enum er_action_kind kind)
{
        return kind == ER_ACT_PLACE || kind == ER_ACT_WATCH || kind == ER_ACT_SETTLE;
}

static bool is_watch(const struct er_work *work)
{
        return work && is_watch_kind(work->kind);
}

/* Whoever wants to cancel writes it into the store. */
static void look_for_cancels(struct loop *l)
{
        int64_t now = er_mono_ms(), version;
        er_autofree int64_t *ids = NULL;
        size_t count = 0;

        if (now - l->looked_ms < LOOK_MS)
                return;
        l->looked_ms = now;
        version = er_store_version(store_of(l));
        if (version == l->version || er_store_cancels(store_of(l), &ids, &count, NULL) < 0)
                return;
        l->version = version;
        for (size_t i = 0; i < count; i++) {
                struct er_carried *j = find_job(l, ids[i]);

                if (!j || j->row.cancel_asked)
                        continue;
                j->row.cancel_asked = true;
                j->plan.retry_at_ms = 0;
                j->warned = ER_OK;
                /* An upload, or waiting for a connection, need not be finished first. */
                if (j->work && j->work->phase == ER_PHASE_BEGUN && is_watch(j->work))
                        er_conn_stop(&l->carry.conns, j->work, ER_STOP_NOW);
        }
}

/* Acting */

/* A watch takes a thread for as long as its job runs. If there are more jobs than threads, they take turns. */
static size_t count_watches(const struct loop *l)
{
        size_t watches = 0;

        for (size_t i = 0; i < l->job_count; i++)
                watches += is_watch(l->jobs[i]->work);
        return watches;
}

static void make_room(struct loop *l)
{
        int64_t now = er_mono_ms();
        struct er_work *oldest = NULL;

        for (size_t i = 0; i < l->job_count; i++) {
                struct er_work *work = l->jobs[i]->work;

                if (is_watch(work) && work->stop != ER_STOP_NONE)
                        return; /* that one is about to make room */
                if (is_watch(work) && work->phase >= ER_PHASE_WATCHING && now - work->started_ms > SLICE_MS &&
                    (!oldest || work->started_ms < oldest->started_ms))
                        oldest = work;
        }
        if (oldest && !l->carry.opts->follow)
                er_conn_stop(&l->carry.conns, oldest, ER_STOP_TURN);
}

/* 1: started; 0: no thread for it now; -1: error. */
static int start(struct loop *l, struct er_carried *j, enum er_action_kind kind, struct er_err *err)
{
        bool watches = is_watch_kind(kind);
        struct er_work *work;

        if (watches && l->watches >= ER_WORKERS_MAX - ER_WORKERS_SPARE) {
                if (!l->crowded)
                        make_room(l);
                l->crowded = true;
                return 0;
        }
        if (kind == ER_ACT_PLACE) {
                /* The end of the last attempt must be in the store before there is another. */
                if (j->row.state != ER_JOB_WAITING) {
                        j->row.state = ER_JOB_WAITING;
                        er_carried_dirty(j, false);
                }
                if (write_job(l, j) < 0)
                        return 0;
        }
        work = er_work_new(kind, j);
        if (er_pool_give(&l->pool, work, err) < 0)
                return -1;
        er_debug("maestro", "%s: action %d", j->row.name, (int)kind);
        l->watches += watches;
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

/* Fills the plans of open jobs; returns how many. */
static size_t gather(struct loop *l)
{
        size_t open = 0;

        l->crowded = false;
        l->watches = count_watches(l);
        for (size_t i = 0; i < l->job_count; i++) {
                struct er_carried *j = l->jobs[i];

                j->closed = j->closed || is_closed(j);
                if (j->closed)
                        continue;
                er_apply_plan(j);
                l->plans[open++] = j->plan;
        }
        return open;
}

/* 1: a job has been finished; 0: done; -1: not possible now. */
static int act(struct loop *l, const struct er_action *action)
{
        struct er_carried *j = find_job(l, l->plans[action->job].job_id);
        er_auto(er_err) why = ER_ERR_INIT;
        int rc;

        if (!j)
                return 0;
        if (action->kind != ER_ACT_FINISH) {
                rc = start(l, j, action->kind, &why);
                if (rc < 0 && !l->fatal.code)
                        er_err_move(&l->fatal, &why);
                return rc == 0 ? -1 : 0;
        }
        if (er_apply_finish(store_of(l), j, action, &why) < 0) {
                store_failed(l, &why);
                return -1;
        }
        l->trouble_ms = 0;
        if (j->host_new) /* over so soon that nothing was written in between */
                remember_host(l, j);
        return 1;
}

/* Asks the planner until there is nothing more to finish. Returns when to ask again even if nothing happens. */
static int64_t plan_and_act(struct loop *l)
{
        int64_t now = er_mono_ms(), wake;
        bool again;

        do {
                size_t count = er_plan(l->plans, gather(l), now, l->actions, &wake);

                again = false;
                for (size_t i = 0; i < count; i++) {
                        int rc = act(l, &l->actions[i]);

                        again |= rc > 0;
                        if (rc < 0 && now + STORE_AGAIN_MS < wake)
                                wake = now + STORE_AGAIN_MS;
                }
        } while (again);
        return wake;
}

static void stop_all(struct loop *l)
{
        l->stopping = true;
        for (size_t i = 0; i < l->job_count; i++) {
                if (l->jobs[i]->work)
                        er_conn_stop(&l->carry.conns, l->jobs[i]->work, ER_STOP_NOW);
                if (l->jobs[i]->cancel)
                        er_conn_stop(&l->carry.conns, l->jobs[i]->cancel, ER_STOP_NOW);
        }
}

static void take_results(struct loop *l)
{
        struct er_work *work;

        while ((work = er_pool_take(&l->pool))) {
                er_apply_work(work, &l->fatal);
                er_work_free(work);
        }
}

/* Tells front ends what has changed, without waiting for one that is busy. True if all was told. */
static bool tell(struct loop *l, bool wait)
{
        struct er_teller *teller = &l->carry.teller;
        pthread_mutex_t *lock = &l->carry.lock;
        bool all = true;

        for (size_t i = 0; i < l->job_count; i++) {
                struct er_carried *j = l->jobs[i];
                er_auto(er_err) warning = ER_ERR_INIT;
                bool changed;

                pthread_mutex_lock(lock);
                changed = j->row.state != j->told || j->row.attempt != j->told_attempt;
                if (j->warning.code)
                        er_err_move(&warning, &j->warning);
                pthread_mutex_unlock(lock);
                if (warning.code && !er_tell_warn(teller, j, &warning, wait)) {
                        pthread_mutex_lock(lock);
                        if (!j->warning.code)
                                er_err_move(&j->warning, &warning);
                        pthread_mutex_unlock(lock);
                        all = false;
                }
                if (changed && !er_tell_state(teller, j, wait))
                        all = false;
        }
        return all;
}

static bool all_closed(const struct loop *l)
{
        for (size_t i = 0; i < l->job_count; i++)
                if (!l->jobs[i]->closed)
                        return false;
        return true;
}

static void wait_for_news(struct loop *l, int64_t until)
{
        const struct er_cancel *stop = l->carry.opts->stop;
        struct pollfd fds[2] = {
                {.fd = l->carry.bell.fds[0], .events = POLLIN},
                {.fd = stop && !l->stopping ? stop->fds[0] : -1, .events = POLLIN},
        };
        int64_t left = until - er_mono_ms();

        if (poll(fds, 2, left <= 0 ? 0 : (int)left) == 0 && left >= LOOK_MS / 2) {
                pthread_mutex_lock(&l->carry.lock);
                er_store_tidy(store_of(l));
                pthread_mutex_unlock(&l->carry.lock);
        }
}

static int loop(struct loop *l, er_deadline until, struct er_err *err)
{
        const struct er_cancel *stop = l->carry.opts->stop;
        bool detached = false, late = false, over = false;

        while (!over) {
                int64_t now = er_mono_ms(), wake = now + LOOK_MS, due;

                pthread_mutex_lock(&l->carry.lock);
                er_bell_quiet(&l->carry.bell);
                take_results(l);
                detached |= stop && er_cancel_fired(stop);
                late |= now >= until;
                if (!l->stopping && (detached || late || l->fatal.code))
                        stop_all(l);
                if (!l->stopping) {
                        look_for_cancels(l);
                        due = plan_and_act(l);
                        wake = due < wake ? due : wake;
                }
                due = flush(l, l->stopping && l->pool.busy == 0);
                wake = due < wake ? due : wake;
                over = l->pool.busy == 0 && (l->stopping || all_closed(l));
                pthread_mutex_unlock(&l->carry.lock);
                if (!tell(l, over) && now + FLUSH_MS < wake)
                        wake = now + FLUSH_MS;
                if (!over)
                        wait_for_news(l, wake);
        }
        if (l->fatal.code)
                return er_err_move(err, &l->fatal);
        if (all_closed(l))
                return 0;
        if (late && !detached)
                return er_err_set(err, ER_TIMEOUT, "not all jobs have ended yet");
        return er_err_set(err, ER_DETACHED, "detached; the jobs keep running");
}

static void do_work(void *arg, struct er_work *work)
{
        er_act(arg, work);
}

static int begin(struct loop *l, const int64_t *run_ids, size_t count, struct er_err *err)
{
        struct er_carry *m = &l->carry;

        m->teller.ui = &m->opts->ui;
        m->teller.carry_lock = &m->lock;
        m->conns.lock = &m->lock;
        m->conns.teller = &m->teller;
        m->conns.interactive = m->opts->interactive;
        m->snaps.given = m->opts->snapshot;
        pthread_mutex_init(&m->lock, NULL);
        pthread_mutex_init(&m->teller.lock, NULL);
        pthread_mutex_init(&m->snaps.lock, NULL);
        l->pool.lock = &m->lock;
        l->pool.bell = &m->bell;
        l->pool.act = do_work;
        l->pool.arg = m;
        l->looked_ms = er_mono_ms();
        if (er_pool_open(&l->pool, err) < 0 || er_bell_open(&m->bell, err) < 0)
                return -1;
        l->version = er_store_version(store_of(l));
        return load(l, run_ids, count, err);
}

static void end(struct loop *l)
{
        struct er_carry *m = &l->carry;

        er_pool_close(&l->pool);
        er_conns_close(&m->conns);
        er_snaps_release(&m->snaps);
        for (size_t i = 0; i < l->job_count; i++)
                er_carried_free(l->jobs[i]);
        free(l->jobs);
        free(l->plans);
        free(l->actions);
        er_bell_close(&m->bell);
        er_err_release(&l->fatal);
        pthread_mutex_destroy(&m->lock);
        pthread_mutex_destroy(&m->teller.lock);
        pthread_mutex_destroy(&m->snaps.lock);
}

static int carry_owned(const struct er_maestro_opts *opts, const int64_t *run_ids, size_t count, er_deadline until,
                       struct er_err *err)
{
        struct loop l = {.carry = {.opts = opts, .bell = ER_BELL_INIT}, .version = -1};
        int rc = begin(&l, run_ids, count, err);

        if (rc == 0)
                rc = loop(&l, until, err);
        end(&l);
        return rc;
}

int er_loop_carry(const struct er_maestro_opts *opts, const int64_t *run_ids, size_t count, er_deadline until,
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
        return er_loop_carry(opts, run_ids, count, opts->until ? opts->until : ER_NEVER, ret_skipped, err);
}

/*
 * carry.h - inside of the maestro: what its loop and its workers share.
 *
 * One lock guards the store handle, the jobs' members and the lists here; workers hold it for moments only, never while
 * they talk to a host. The loop (carry.c) plans, hands out work, writes to the store; a worker (act.c) does one action
 * as blocking code, notes what it learns in its job, and gives the work back with an outcome, which the loop applies
 * (apply.c).
 */
#ifndef ER_MAESTRO_CARRY_H
#define ER_MAESTRO_CARRY_H

#include <pthread.h>
#include "host/attempt.h"
#include "host/environment.h"
#include "host/probe.h"
#include "maestro/maestro.h"
#include "maestro/plan.h"
#include "proto/status.h"

#define ER_WORKERS_MAX 64  /* threads */
#define ER_WORKERS_SPARE 8 /* of them never used for watching, so that cancels and results always get through */
#define ER_FLUSH_MS 50     /* news may wait so long for more of it before it is written */

enum er_outcome {
        ER_OUT_OK,      /* done: the attempt has ended, the outputs are here, the cancel was delivered */
        ER_OUT_BROKEN,  /* the connection broke or never came up; nobody knows more than before: try again later */
        ER_OUT_REFUSED, /* it will not work, and nothing was started: the job fails with `reason` and the error's
                           message */
        ER_OUT_GONE,    /* the host knows nothing of the attempt it had */
        ER_OUT_AGAIN,   /* interrupted, or to be gone on with at once: plan anew */
        ER_OUT_FATAL,   /* trouble of this machine: the carrying ends */
};

struct er_carried;

/* One action under way. */
struct er_work {
        enum er_action_kind kind;
        struct er_carried *job;
        struct er_work *next;
        bool stop;       /* under the lock: end as soon as possible */
        bool sliced;     /* under the lock: stopped because others wait for a thread */
        bool watching;   /* under the lock: past the submission */
        bool heard;      /* under the lock: the host answers; the session finds out when it no longer does */
        bool unattended; /* ssh must not ask the user */
        bool reused;     /* the connection came from the pool and may have been dead: a failure says nothing yet */
        int64_t started_ms;
        enum er_outcome outcome;
        enum er_reason reason;
        struct er_err err;
};

/* A job that is carried. Guarded by the lock but for the members of its watch. */
struct er_carried {
        struct er_job row;
        struct er_attempt at; /* the latest; id 0: none yet */
        struct er_spec spec;
        char *key;
        bool has_host;
        struct er_host host; /* of the latest attempt */

        struct er_plan_job plan;
        struct er_work *work, *cancel; /* under way; a cancel runs beside a watch */
        bool closed;

        bool job_dirty, attempt_dirty; /* differ from the store */
        int64_t dirty_ms;              /* since when (monotonic) */
        int64_t news_due_ms;           /* when the time of the last news is written again (monotonic) */
        bool verdict; /* a try at a new attempt failed for good before there was one, for this reason: */
        enum er_reason verdict_reason;
        bool host_new; /* used now for the first time: to be remembered */

        unsigned failures;   /* in a row */
        int64_t failing_ms;  /* since when; 0: all is well (monotonic) */
        enum er_code warned; /* what the user was told about this outage */

        struct er_err warning; /* for the user, not told yet */

        /* Only touched by the one watch there is. */
        uint64_t log_offset;
        bool log_gone;

        /* What front ends are shown: changed only under the ui lock. */
        struct er_job view;
        enum er_job_state told;
        uint32_t told_attempt;
};

struct er_conn {
        struct er_carry *carry;
        struct er_session *session;
        struct er_cancel cancel;
        char *host;
        struct er_work *user; /* NULL: idle */
        bool used_before;
        struct er_conn *next;
};

struct er_snap { /* a snapshot taken here */
        char *project_dir;
        struct er_snapshot *snapshot;
        bool stale;
        struct er_snap *next;
};

struct er_carry {
        const struct er_maestro_opts *opts;
        pthread_mutex_t lock, ui_lock, snap_lock;

        struct er_carried **jobs;
        size_t job_count;
        struct er_plan_job *plans;
        struct er_action *actions;

        pthread_cond_t more; /* work for the threads */
        struct er_work *todo, **todo_end;
        struct er_work *done;
        pthread_t threads[ER_WORKERS_MAX];
        size_t thread_count, idle, busy;
        bool closing;

        int wake[2];
        bool woken;

        struct er_conn *conns;
        struct er_snap *snaps;
        bool snapshot_stale; /* opts->snapshot is no longer what the files are */

        bool stopping;
        size_t watches;     /* under way, as of this round of planning */
        bool crowded;       /* one had to wait for a thread in this round */
        int64_t trouble_ms; /* the store cannot be written since (monotonic); 0: it can */
        int64_t looked_ms;  /* the last look for cancels (monotonic) */
        struct er_err fatal;
        int64_t version; /* er_store_version at the last look for cancels */
};

/* carry.c */
int er_carry_runs(const struct er_maestro_opts *opts, const int64_t *run_ids, size_t count, er_deadline until,
                  size_t *ret_skipped, struct er_err *err);
/* The loop is to look again. _mark under the lock; when it says so _ring after it was let go, so that the loop does not
   wake only to wait for it. */
bool er_carry_mark(struct er_carry *m);
void er_carry_ring(struct er_carry *m);
void er_carry_dirty(struct er_carried *j, bool attempt); /* under the lock */

/* pool.c */
int er_pool_open(struct er_carry *m, struct er_err *err);
int er_pool_give(struct er_carry *m, struct er_work *work, struct er_err *err); /* under the lock; (moved) */
void er_pool_close(struct er_carry *m);
struct er_work *er_work_new(enum er_action_kind kind, struct er_carried *job);
void er_work_free(struct er_work *work);

/* conn.c: connections, kept for the next action on the same host. */
int er_conn_get(struct er_carry *m, struct er_work *work, const struct er_host *host, int64_t connect_ms,
                struct er_conn **ret, struct er_err *err);
void er_conn_put(struct er_carry *m, struct er_conn *conn, bool sound);
void er_conn_stop(struct er_carry *m, struct er_work *work); /* under the lock: whatever it does returns ER_CANCELLED */
bool er_work_stopped(struct er_carry *m, struct er_work *work);

/* act.c */
void er_act(struct er_carry *m, struct er_work *work);

/* choose.c: the host of a new attempt. */
int er_choose_host(struct er_carry *m, struct er_work *work, struct er_host *ret, struct er_err *err);

/* travel.c: files of the job. Both return -1 with work->outcome, reason and err set. */
int er_travel_tree(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_err *err);
/* setup (may be NULL): a build under way, whose progress is told beside that of the files. */
int er_travel_send(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_environment_request *setup,
                   struct er_err *err);
/* Has the host begin with the job's environment. */
int er_travel_setup(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_environment_request *ret,
                    struct er_err *err);
int er_travel_fetch(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_err *err);
void er_travel_release(struct er_carry *m);

/* apply.c: what was learned, into the job; all under the lock. */
/* True when the loop has to hear of it now: it does by itself a little later of what comes right after. */
bool er_apply_status(struct er_carried *j, const struct er_status *status, bool event);
void er_apply_end(struct er_carried *j, enum er_end end, enum er_reason reason, const char *detail);
void er_apply_work(struct er_carry *m, struct er_work *work);
int er_apply_finish(struct er_carry *m, struct er_carried *j, const struct er_action *action, struct er_err *err);
void er_apply_plan(struct er_carried *j); /* fills j->plan from the rest */

/* tell.c: what front ends hear. Not under the lock. */
void er_tell_init(struct er_carried *j);
bool er_tell_state(struct er_carry *m, struct er_carried *j, bool wait); /* false: the front end is busy, try again */
int er_tell_log(struct er_carry *m, struct er_carried *j, int stream, struct er_sv data);
void er_tell_note(struct er_carry *m, struct er_carried *j, const char *fmt, ...) ER_PRINTF(3, 4);
bool er_tell_warn(struct er_carry *m, struct er_carried *j, const struct er_err *err, bool wait);
void er_tell_transfer(struct er_carry *m, struct er_carried *j, const char *what, const struct er_transfer *transfer);
void er_tell_fetched(struct er_carry *m, struct er_carried *j, const char *dir, const struct er_transfer *transfer);

/* leases.c: one table for this process. 1: ours now; 0: somebody else's; -1: error. */
int er_run_take(struct er_store *store, int64_t run_id, struct er_err *err);
void er_run_drop(struct er_store *store, int64_t run_id);

#endif

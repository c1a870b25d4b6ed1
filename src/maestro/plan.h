/*
 * plan.h - what to do next: a pure function of what the store says, what has been observed, and the time. It never
 * calls out, so that simulations can test it against the promises of the design.
 */
#ifndef ER_MAESTRO_PLAN_H
#define ER_MAESTRO_PLAN_H

#include "store/store.h"

/*
 * The way of a job:
 *      PLACE -> (submitted) WATCH ... -> the attempt ends -> FINISH -> FETCH -> closed
 *      an attempt that was intended, and perhaps never sent -> SETTLE -> submitted, or submitted again
 *      lost or preempted, with retries left -> PLACE, as a new attempt
 * A new attempt is placed only after the end of the last one is in the store. The job's end is written before its
 * outputs are fetched, so that everybody sees it at once; the run stays open until they are here.
 */

/* What the maestro knows of one open job. Plain data. */
struct er_plan_job {
        int64_t job_id;
        enum er_job_state state;
        bool cancel_asked;
        bool outputs_declared, outputs_fetched;
        uint32_t retries;  /* new attempts allowed after lost ones */
        uint32_t attempts; /* made so far */
        bool submitted;    /* the host has the attempt for certain */
        bool attempt_open; /* the latest attempt exists and has not ended */
        enum er_end
                attempt_end; /* of the latest attempt, or the verdict if there could not be one (no host, no secret) */
        enum er_reason attempt_reason;
        bool busy;        /* an action other than a watch is in progress: placing, settling, cancelling, fetching */
        bool watching;    /* a watch is in progress (the only action that may run beside a cancel) */
        bool fetch_waits; /* outputs cannot be fetched now (disk full here): left to a later maestro */
        bool cancel_sent;
        int64_t retry_at_ms; /* after a broken connection: not before this; 0: at once */
};

enum er_action_kind {
        ER_ACT_PLACE,  /* in one go: choose a host, take the snapshot, write the attempt (intended), submit, watch */
        ER_ACT_WATCH,  /* submitted: watch it again */
        ER_ACT_SETTLE, /* intended, and perhaps submitted: ask the host, then watch or submit */
        ER_ACT_CANCEL, /* tell the host */
        ER_ACT_FETCH,  /* outputs */
        ER_ACT_FINISH, /* write the job's end: state, reason */
};
struct er_action {
        enum er_action_kind kind;
        size_t job;              /* index into the jobs given */
        enum er_job_state state; /* for FINISH */
        enum er_reason reason;
};

/* Fills ret, which has room for 2 * count actions. Returns the number of actions; *ret_wake_ms is when to ask again
   even if nothing happens (INT64_MAX: never). */
size_t er_plan(const struct er_plan_job *jobs, size_t count, int64_t now_ms, struct er_action *ret,
               int64_t *ret_wake_ms);

#endif

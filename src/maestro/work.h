/*
 * work.h - one action of the planner while a worker thread does it.
 */
#ifndef ER_MAESTRO_WORK_H
#define ER_MAESTRO_WORK_H

#include "base/err.h"
#include "maestro/plan.h"

/* How it came out. */
enum er_outcome {
        ER_OUT_OK,      /* done: the attempt has ended, the outputs are here, the cancel has been delivered */
        ER_OUT_BROKEN,  /* the connection broke or never came up; nothing new is known: try again later */
        ER_OUT_REFUSED, /* it will not work, and nothing was started: the job fails with `reason` and `err` */
        ER_OUT_GONE,    /* the host does not know the attempt that it had */
        ER_OUT_AGAIN,   /* interrupted, or to be continued at once: plan again */
        ER_OUT_FATAL,   /* trouble of this machine: stop carrying */
};

/* Told to stop? */
enum er_stop {
        ER_STOP_NONE,
        ER_STOP_NOW,
        ER_STOP_TURN, /* others need its thread: it gets another turn later */
};

/* How far a watch has come. Only moves forward. */
enum er_phase {
        ER_PHASE_BEGUN,
        ER_PHASE_WATCHING, /* past the submission */
        ER_PHASE_HEARD,    /* the host answers; the session notices when it stops doing so */
};

struct er_carried;

struct er_work {
        enum er_action_kind kind;
        struct er_carried *job;
        int64_t started_ms; /* (monotonic) */
        struct er_work *next;

        /* Under the lock. */
        enum er_stop stop;   /* set by er_conn_stop() */
        enum er_phase phase; /* set by the worker */

        /* The result. */
        enum er_outcome outcome;
        enum er_reason reason;
        struct er_err err;
        bool reused; /* it used a connection that may have been dead for long: a failure means nothing yet */
};

struct er_work *er_work_new(enum er_action_kind kind, struct er_carried *job);
void er_work_free(struct er_work *work);

#endif

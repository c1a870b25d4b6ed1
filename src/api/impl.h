/*
 * impl.h - inside of the public API: the handle, and the threads that carry its runs.
 */
#ifndef ER_API_IMPL_H
#define ER_API_IMPL_H

#include <pthread.h>
#include "base/cancel.h"
#include "errand/errand.h"
#include "maestro/maestro.h"

struct er_carrier {
        struct errand *errand;
        int64_t run_id;
        pthread_t thread;
        struct er_cancel stop;
        struct er_strv secrets; /* "NAME=value"; wiped */
        bool over;              /* under the lock: to be joined */
        struct er_carrier *next;
};

struct errand {
        pthread_mutex_t lock;
        pthread_cond_t changed; /* a job of ours got further */
        struct er_store *store; /* under the lock */
        struct er_carrier *carriers;
};

/* Gives the internal error out, and empties it. Returns -1. */
int er_api_fail(struct errand_error *error, struct er_err *err);

/* carrier.c; all under the lock but _stop_all. secrets (moved) may be NULL. */
int er_carrier_start(struct errand *errand, int64_t run_id, struct er_strv *secrets, struct er_err *err);
void er_carrier_reap(struct errand *errand);
void er_carrier_stop_all(struct errand *errand);
/* Starts one when nobody carries the run. */
int er_carrier_ensure(struct errand *errand, int64_t run_id, struct er_err *err);
/* Until something changes, or a moment passes. */
void er_carrier_wait(struct errand *errand, er_deadline deadline);

/* look.c: the job of that name, under the lock. */
int er_api_find(struct errand *errand, const char *name, struct er_job *ret, struct er_err *err);

#endif

/*
 * impl.h - inside of the public API: the handle, and the threads that look after its runs.
 */
#ifndef ER_API_IMPL_H
#define ER_API_IMPL_H

#include <pthread.h>
#include "errand/errand.h"
#include "maestro/maestro.h"

struct er_carrier;

struct errand {
        pthread_mutex_t lock;
        pthread_cond_t changed; /* something happened to a job that a carrier of ours has */
        struct er_store *store; /* under the lock */
        struct er_carrier *carriers;
};

/* Moves the internal error into the caller's, which may be NULL. Returns -1. */
int er_api_fail(struct errand_error *error, struct er_err *err);

/* carrier.c: all under the lock, but for _stop_all. secrets (moved; may be NULL): "NAME=value". */
int er_carrier_start(struct errand *errand, int64_t run_id, struct er_strv *secrets, struct er_err *err);
void er_carrier_reap(struct errand *errand);
void er_carrier_stop_all(struct errand *errand);
/* Starts a carrier unless somebody carries the run already. */
int er_carrier_ensure(struct errand *errand, int64_t run_id, struct er_err *err);
/* Waits until something changes, or for a moment. */
void er_carrier_wait(struct errand *errand, er_deadline deadline);

/* look.c, under the lock: the one job that a name means. ER_USAGE: it is a run with several. */
int er_api_find(struct errand *errand, const char *name, struct er_job *ret, struct er_err *err);

#endif

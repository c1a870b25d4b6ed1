/*
 * pool.h - threads for blocking work, started as they are needed.
 */
#ifndef ER_MAESTRO_POOL_H
#define ER_MAESTRO_POOL_H

#include <pthread.h>
#include "maestro/bell.h"
#include "maestro/work.h"

#define ER_WORKERS_MAX 64  /* threads */
#define ER_WORKERS_SPARE 8 /* of them never used for watching, so that cancels and results always get through */

struct er_pool {
        pthread_mutex_t *lock; /* (borrowed) that of the carry; guards all of this */
        struct er_bell *bell;  /* (borrowed) rung when work is done */
        void (*act)(void *arg, struct er_work *work);
        void *arg;

        pthread_cond_t more;
        struct er_work *todo, **todo_end;
        struct er_work *done, **done_end;
        pthread_t threads[ER_WORKERS_MAX];
        size_t thread_count, idle, busy; /* busy: given and not taken back */
        bool closing;
};

/* lock, bell, act and arg are set. */
int er_pool_open(struct er_pool *pool, struct er_err *err);
int er_pool_give(struct er_pool *pool, struct er_work *work, struct er_err *err); /* under the lock; (moved) */
/* One piece of work that is done, oldest first; NULL: none. Under the lock. */
struct er_work *er_pool_take(struct er_pool *pool);
/* Waits for the threads to end. */
void er_pool_close(struct er_pool *pool);

#endif

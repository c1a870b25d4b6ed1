/* pool.c - see pool.h */
#include "maestro/pool.h"

#include <signal.h>

static void *thread_main(void *arg)
{
        struct er_pool *pool = arg;

        pthread_mutex_lock(pool->lock);
        for (;;) {
                struct er_work *work;

                while (!pool->todo && !pool->closing) {
                        pool->idle++;
                        pthread_cond_wait(&pool->more, pool->lock);
                        pool->idle--;
                }
                work = pool->todo;
                if (!work)
                        break;
                pool->todo = work->next;
                if (!pool->todo)
                        pool->todo_end = &pool->todo;
                pthread_mutex_unlock(pool->lock);
                pool->act(pool->arg, work);
                pthread_mutex_lock(pool->lock);
                work->next = NULL;
                *pool->done_end = work;
                pool->done_end = &work->next;
                if (er_bell_mark(pool->bell)) {
                        pthread_mutex_unlock(pool->lock);
                        er_bell_ring(pool->bell);
                        pthread_mutex_lock(pool->lock);
                }
        }
        pthread_mutex_unlock(pool->lock);
        return NULL;
}

int er_pool_open(struct er_pool *pool, struct er_err *err)
{
        int rc = pthread_cond_init(&pool->more, NULL);

        pool->todo_end = &pool->todo;
        pool->done_end = &pool->done;
        return rc ? er_err_errno(err, rc, "making threads") : 0;
}

/* Signals are for the thread that called us, which waits for them. */
static int start_thread(struct er_pool *pool, struct er_err *err)
{
        sigset_t all, before;
        int rc;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        rc = pthread_create(&pool->threads[pool->thread_count], NULL, thread_main, pool);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc) {
                if (pool->thread_count > 0)
                        return 0; /* the others will get to it */
                return er_err_errno(err, rc, "starting a thread");
        }
        pool->thread_count++;
        return 0;
}

int er_pool_give(struct er_pool *pool, struct er_work *work, struct er_err *err)
{
        if (pool->idle > 0)
                pthread_cond_signal(&pool->more);
        if (pool->busy >= pool->thread_count && pool->thread_count < ER_WORKERS_MAX && start_thread(pool, err) < 0) {
                er_work_free(work);
                return -1;
        }
        pool->busy++;
        work->next = NULL;
        *pool->todo_end = work;
        pool->todo_end = &work->next;
        return 0;
}

struct er_work *er_pool_take(struct er_pool *pool)
{
        struct er_work *work = pool->done;

        if (!work)
                return NULL;
        pool->done = work->next;
        if (!pool->done)
                pool->done_end = &pool->done;
        pool->busy--;
        return work;
}

void er_pool_close(struct er_pool *pool)
{
        pthread_mutex_lock(pool->lock);
        pool->closing = true;
        pthread_cond_broadcast(&pool->more);
        pthread_mutex_unlock(pool->lock);
        for (size_t i = 0; i < pool->thread_count; i++)
                pthread_join(pool->threads[i], NULL);
        pthread_cond_destroy(&pool->more);
}

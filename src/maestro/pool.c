/* Threads for blocking work, made as they are needed. */
#include "maestro/carry.h"

#include <signal.h>

struct er_work *er_work_new(enum er_action_kind kind, struct er_carried *job)
{
        struct er_work *work = er_new(struct er_work);
        work->kind = kind;
        work->job = job;
        work->started_ms = er_mono_ms();
        return work;
}

void er_work_free(struct er_work *work)
{
        if (work)
                er_err_release(&work->err);
        free(work);
}

static void *thread_main(void *arg)
{
        struct er_carry *m = arg;
        pthread_mutex_lock(&m->lock);
        for (;;) {
                while (!m->todo && !m->closing) {
                        m->idle++;
                        pthread_cond_wait(&m->more, &m->lock);
                        m->idle--;
                }
                struct er_work *work = m->todo;
                if (!work)
                        break;
                m->todo = work->next;
                if (!m->todo)
                        m->todo_end = &m->todo;
                pthread_mutex_unlock(&m->lock);
                er_act(m, work);
                pthread_mutex_lock(&m->lock);
                work->next = m->done;
                m->done = work;
                if (er_carry_mark(m)) {
                        pthread_mutex_unlock(&m->lock);
                        er_carry_ring(m);
                        pthread_mutex_lock(&m->lock);
                }
        }
        pthread_mutex_unlock(&m->lock);
        return NULL;
}

int er_pool_open(struct er_carry *m, struct er_err *err)
{
        m->todo_end = &m->todo;
        int rc = pthread_cond_init(&m->more, NULL);
        return rc ? er_err_errno(err, rc, "making threads") : 0;
}

/* Signals are for the thread that called us: it waits for them. */
static int start_thread(struct er_carry *m, struct er_err *err)
{
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        int rc = pthread_create(&m->threads[m->thread_count], NULL, thread_main, m);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc) {
                if (m->thread_count > 0)
                        return 0; /* the others will get to it */
                return er_err_errno(err, rc, "starting a thread");
        }
        m->thread_count++;
        return 0;
}

int er_pool_give(struct er_carry *m, struct er_work *work, struct er_err *err)
{
        if (m->idle > 0)
                pthread_cond_signal(&m->more);
        if (m->busy >= m->thread_count && m->thread_count < ER_WORKERS_MAX && start_thread(m, err) < 0) {
                er_work_free(work);
                return -1;
        }
        m->busy++;
        work->next = NULL;
        *m->todo_end = work;
        m->todo_end = &work->next;
        return 0;
}

void er_pool_close(struct er_carry *m)
{
        pthread_mutex_lock(&m->lock);
        m->closing = true;
        pthread_cond_broadcast(&m->more);
        pthread_mutex_unlock(&m->lock);
        for (size_t i = 0; i < m->thread_count; i++)
                pthread_join(m->threads[i], NULL);
        pthread_cond_destroy(&m->more);
}

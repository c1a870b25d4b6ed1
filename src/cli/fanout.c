/* fanout.c - see fanout.h */
#include "cli/fanout.h"

#include <pthread.h>
#include <time.h>
#include "base/mem.h"

#define THREADS_MAX 64u

struct er_fanout {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        pthread_t threads[THREADS_MAX];
        size_t thread_count, count, next, done;
        void (*work)(void *arg, size_t index);
        void *arg;
};

static void *serve(void *arg)
{
        struct er_fanout *f = arg;

        pthread_mutex_lock(&f->lock);
        while (f->next < f->count) {
                size_t index = f->next++;

                pthread_mutex_unlock(&f->lock);
                f->work(f->arg, index);
                pthread_mutex_lock(&f->lock);
                f->done++;
                pthread_cond_signal(&f->changed);
        }
        pthread_mutex_unlock(&f->lock);
        return NULL;
}

struct er_fanout *er_fanout_start(size_t count, void (*work)(void *arg, size_t index), void *arg)
{
        struct er_fanout *f = er_new(struct er_fanout);

        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->changed, NULL);
        f->count = count;
        f->work = work;
        f->arg = arg;
        while (f->thread_count < count && f->thread_count < THREADS_MAX)
                if (pthread_create(&f->threads[f->thread_count], NULL, serve, f) == 0)
                        f->thread_count++;
                else
                        break;
        if (f->thread_count == 0)
                serve(f); /* no thread could be started: do one after another here */
        return f;
}

size_t er_fanout_wait(struct er_fanout *f, int timeout_ms)
{
        struct timespec until;
        size_t done;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += timeout_ms % 1000 * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
                until.tv_nsec -= 1000000000L;
                until.tv_sec++;
        }
        pthread_mutex_lock(&f->lock);
        done = f->done;
        while (f->done < f->count && (timeout_ms < 0 || f->done == done)) {
                if (timeout_ms < 0)
                        pthread_cond_wait(&f->changed, &f->lock);
                else if (pthread_cond_timedwait(&f->changed, &f->lock, &until) != 0)
                        break;
        }
        done = f->done;
        pthread_mutex_unlock(&f->lock);
        return done;
}

void er_fanout_free(struct er_fanout *f)
{
        if (!f)
                return;
        for (size_t i = 0; i < f->thread_count; i++)
                pthread_join(f->threads[i], NULL);
        pthread_cond_destroy(&f->changed);
        pthread_mutex_destroy(&f->lock);
        free(f);
}

/* queue.c - see queue.h */
#include "base/queue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include "base/io.h"

struct er_queue {
        pthread_mutex_t lock;
        pthread_cond_t filled;
        void **items; /* a ring of cap places, len taken from head on */
        size_t head;
        size_t len;
        size_t cap;
};

struct er_queue *er_queue_new(void)
{
        struct er_queue *queue = er_new(struct er_queue);
        pthread_condattr_t attr;

        pthread_mutex_init(&queue->lock, NULL);
        pthread_condattr_init(&attr);
#ifndef __APPLE__
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
#endif
        pthread_cond_init(&queue->filled, &attr);
        pthread_condattr_destroy(&attr);
        return queue;
}

void er_queue_free(struct er_queue *queue)
{
        if (!queue)
                return;
        pthread_cond_destroy(&queue->filled);
        pthread_mutex_destroy(&queue->lock);
        free(queue->items);
        free(queue);
}

void er_queue_push(struct er_queue *queue, void *item)
{
        pthread_mutex_lock(&queue->lock);
        if (queue->len == queue->cap) {
                size_t cap = queue->cap ? queue->cap * 2 : 64;
                void **items = er_calloc(cap, sizeof *items);

                for (size_t i = 0; i < queue->len; i++)
                        items[i] = queue->items[(queue->head + i) % queue->cap];
                free(queue->items);
                queue->items = items;
                queue->cap = cap;
                queue->head = 0;
        }
        queue->items[(queue->head + queue->len++) % queue->cap] = item;
        pthread_cond_signal(&queue->filled);
        pthread_mutex_unlock(&queue->lock);
}

/* Waits for a signal; false when the deadline is past. Called with the lock held. */
static bool wait_filled(struct er_queue *queue, er_deadline deadline)
{
        struct timespec ts;

        if (deadline == ER_NEVER)
                return pthread_cond_wait(&queue->filled, &queue->lock) == 0;
#ifdef __APPLE__
        int left = er_deadline_poll_ms(deadline);

        ts = (struct timespec){left / 1000, (left % 1000) * 1000000L};
        return left > 0 && pthread_cond_timedwait_relative_np(&queue->filled, &queue->lock, &ts) == 0;
#else
        if (deadline <= 0)
                return false;
        ts = (struct timespec){(time_t)(deadline / 1000), (long)(deadline % 1000) * 1000000L};
        return pthread_cond_timedwait(&queue->filled, &queue->lock, &ts) == 0;
#endif
}

void *er_queue_pop(struct er_queue *queue, er_deadline deadline)
{
        void *item = NULL;

        pthread_mutex_lock(&queue->lock);
        while (queue->len == 0 && wait_filled(queue, deadline))
                ;
        if (queue->len > 0) {
                item = queue->items[queue->head];
                queue->head = (queue->head + 1) % queue->cap;
                queue->len--;
        }
        pthread_mutex_unlock(&queue->lock);
        return item;
}

int er_cancel_init(struct er_cancel *cancel)
{
        cancel->fds[0] = cancel->fds[1] = -1;
        if (er_pipe(cancel->fds) < 0)
                return -1;
        er_set_nonblock(cancel->fds[1], true); /* firing twice, or a million times, never blocks */
        return 0;
}

void er_cancel_release(struct er_cancel *cancel)
{
        er_close(&cancel->fds[0]);
        er_close(&cancel->fds[1]);
}

void er_cancel_fire(struct er_cancel *cancel)
{
        int saved = errno;

        if (write(cancel->fds[1], "", 1) < 0) {
                /* full: it is readable already */
        }
        errno = saved;
}

bool er_cancel_fired(const struct er_cancel *cancel)
{
        struct pollfd p = {.fd = cancel->fds[0], .events = POLLIN};

        return poll(&p, 1, 0) > 0;
}

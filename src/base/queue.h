/*
 * queue.h - where worker threads and the loop that owns the state meet: an unbounded queue of pointers.
 */
#ifndef ER_BASE_QUEUE_H
#define ER_BASE_QUEUE_H

#include "base/clock.h"

struct er_queue;
struct er_queue *er_queue_new(void);
void er_queue_free(struct er_queue *queue); /* what is in it is the caller's to have drained */
void er_queue_push(struct er_queue *queue, void *item);
/* The oldest item, or NULL at the deadline. */
void *er_queue_pop(struct er_queue *queue, er_deadline deadline);
ER_DEFINE_AUTOPTR(er_queue)

/* A cancellation that blocking code can wait for: a descriptor becomes readable. Thread-safe. */
struct er_cancel {
        int fds[2]; /* a pipe: poll fds[0] */
};
int er_cancel_init(struct er_cancel *cancel);
void er_cancel_release(struct er_cancel *cancel);
void er_cancel_fire(struct er_cancel *cancel); /* async-signal-safe */
bool er_cancel_fired(const struct er_cancel *cancel);

#endif

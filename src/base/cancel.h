/*
 * cancel.h - tells blocking code to stop: a descriptor that it polls becomes readable. Thread-safe.
 */
#ifndef ER_BASE_CANCEL_H
#define ER_BASE_CANCEL_H

#include <stdbool.h>
#include "base/mem.h"

struct er_cancel {
        int fds[2]; /* a pipe: poll fds[0] */
};
/* 0, or -1 with errno. */
int er_cancel_init(struct er_cancel *cancel);
void er_cancel_release(struct er_cancel *cancel);
/* For good: it cannot be taken back. Async-signal-safe. */
void er_cancel_fire(struct er_cancel *cancel);
bool er_cancel_fired(const struct er_cancel *cancel);

#endif

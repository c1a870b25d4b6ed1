/*
 * bell.h - wakes the loop. Ringing takes two steps: er_bell_mark() under the lock of the carry and, if it returns true,
 * er_bell_ring() after the lock has been released, so that the loop does not wake up only to wait for the lock.
 */
#ifndef ER_MAESTRO_BELL_H
#define ER_MAESTRO_BELL_H

#include "base/err.h"

struct er_bell {
        int fds[2]; /* a pipe: poll fds[0] */
        bool marked;
};
#define ER_BELL_INIT {.fds = {-1, -1}}

int er_bell_open(struct er_bell *bell, struct er_err *err);
void er_bell_close(struct er_bell *bell);
bool er_bell_mark(struct er_bell *bell);
void er_bell_ring(struct er_bell *bell);
/* The loop is awake. Under the lock. */
void er_bell_quiet(struct er_bell *bell);

#endif

/*
 * fanout.h - the same work for many things at once, with a thread for each (at most 64 at a time).
 */
#ifndef ER_CLI_FANOUT_H
#define ER_CLI_FANOUT_H

#include <stdbool.h>
#include <stddef.h>

struct er_fanout;
/* Calls work(arg, i) for every i < count, on threads. `arg` must live until er_fanout_free. */
struct er_fanout *er_fanout_start(size_t count, void (*work)(void *arg, size_t index), void *arg);
/* Waits at most timeout_ms for one more to be done (-1: for all). Returns how many are done. */
size_t er_fanout_wait(struct er_fanout *fanout, int timeout_ms);
/* Waits for all, then frees. */
void er_fanout_free(struct er_fanout *fanout);

#endif

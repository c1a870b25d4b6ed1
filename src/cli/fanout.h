/*
 * fanout.h - the same work for many things at once, a thread each (at most 64 at a time).
 */
#ifndef ER_CLI_FANOUT_H
#define ER_CLI_FANOUT_H

#include <stdbool.h>
#include <stddef.h>

struct er_fanout;
/* Calls work(arg, i) for every i < count, on threads. `arg` must live until er_fanout_free. */
struct er_fanout *er_fanout_start(size_t count, void (*work)(void *arg, size_t index), void *arg);
/* How many are done; waits at most so long for another one. -1: until all are. */
size_t er_fanout_wait(struct er_fanout *fanout, int timeout_ms);
/* Waits for all. */
void er_fanout_free(struct er_fanout *fanout);

#endif

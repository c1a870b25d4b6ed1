/*
 * ptree.h - a tree of processes seen through /proc: what is below us, what it uses, and its end. Whoever kills a tree is
 * a "child subreaper", so nothing leaves it by forking twice or by setsid.
 */
#ifndef ER_AGENT_PTREE_H
#define ER_AGENT_PTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/clock.h"

struct er_pids {
        pid_t *items; /* (owned) */
        size_t len, cap;
};
#define ER_PIDS_INIT {0}
void er_pids_release(struct er_pids *pids);

/* All descendants of root, itself not. */
void er_ptree_list(pid_t root, struct er_pids *ret);
/* Sends a signal to all descendants; returns how many there were. */
size_t er_ptree_signal(pid_t root, int sig);
/* Stops, then kills all of ours until none is left (also fork bombs), reaping them. reaped (may be NULL) is told of each.
   False when some are left at the deadline (stuck in the kernel). */
bool er_ptree_kill(er_deadline deadline, void (*reaped)(void *arg, pid_t pid, int status), void *arg);

struct er_ptree_use {
        uint64_t cpu_ms; /* of those alive now, with their waited-for children */
        uint64_t rss;    /* bytes, the sum */
        size_t count;
};
void er_ptree_measure(pid_t root, struct er_ptree_use *ret);

/* Kills every process of ours whose environment has ERRAND_ATTEMPT_ID=<id>, wherever it is. */
void er_ptree_kill_marked(const char *id);

#endif

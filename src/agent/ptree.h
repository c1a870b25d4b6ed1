/*
 * ptree.h - process trees, seen through /proc: what is below us, what it uses, and how it is killed. Whoever kills a
 * tree is a "child subreaper", so nothing escapes by forking twice or by setsid.
 */
#ifndef ER_AGENT_PTREE_H
#define ER_AGENT_PTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/clock.h"

/* Sends a signal to all descendants; returns how many there were. */
size_t er_ptree_signal(pid_t root, int sig);
/* Stops, then kills all our descendants (fork bombs too) and reaps them, until none is left. `reaped` (may be NULL) is
   called for each. False when some are left at the deadline, stuck in the kernel. */
bool er_ptree_kill(er_deadline deadline, void (*reaped)(void *arg, pid_t pid, int status), void *arg);

struct er_ptree_use {
        uint64_t cpu_ms; /* of those alive now and of their reaped children */
        uint64_t rss;    /* bytes, summed */
        size_t count;
};
/* Of all descendants but this one. */
void er_ptree_measure(pid_t root, pid_t except, struct er_ptree_use *ret);

/* When a process started, in kernel ticks since boot; 0: no such process. */
uint64_t er_process_start(pid_t pid);

/* What identifies a process of an attempt when whoever started it is gone. */
struct er_traces {
        const char *id;  /* ERRAND_ATTEMPT_ID in its environment */
        const char *dir; /* its working directory is this or below, and it has no terminal (a person's shell has one);
                            or NULL */
        pid_t session;   /* its session or process group: that of the job's first process; 0: not known */
        uint64_t session_start;  /* er_process_start of that one */
        int64_t session_seen_ms; /* by the clock: until then the number cannot have been reused */
};
/* Kills every process of ours that shows one of these traces, wherever it is in the tree. */
void er_ptree_kill_traces(const struct er_traces *traces);

#endif

/*
 * ptree.h - a tree of processes seen through /proc: what is below us, what it uses, and its end. Whoever kills a tree
 * is a "child subreaper", so nothing leaves it by forking twice or by setsid.
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
/* Stops, then kills all of ours until none is left (also fork bombs), reaping them. reaped (may be NULL) is told of
   each. False when some are left at the deadline (stuck in the kernel). */
bool er_ptree_kill(er_deadline deadline, void (*reaped)(void *arg, pid_t pid, int status), void *arg);

struct er_ptree_use {
        uint64_t cpu_ms; /* of those alive now, with their waited-for children */
        uint64_t rss;    /* bytes, the sum */
        size_t count;
};
void er_ptree_measure(pid_t root, struct er_ptree_use *ret);

/* When a process started, in the kernel's ticks since the boot; 0: there is none. */
uint64_t er_process_start(pid_t pid);

/* By what a process of an attempt is known when nobody is left who started it. */
struct er_traces {
        const char *id;  /* ERRAND_ATTEMPT_ID in its environment */
        const char *dir; /* its directory is this or below, and it has no terminal (that would be a person's shell); or
                            NULL */
        pid_t session;   /* its session or process group, that of the job's first process; 0: not known */
        uint64_t session_start;  /* er_process_start of that one */
        int64_t session_seen_ms; /* clock: till then its number cannot have become another's */
};
/* Kills every process of ours that has one of them, wherever it is. */
void er_ptree_kill_traces(const struct er_traces *traces);

#endif

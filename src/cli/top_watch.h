/*
 * top_watch.h - hosts watched for errand top: a thread each asks its host again and again what it has and what runs
 * there. A host that is slow or gone holds up nobody.
 */
#ifndef ER_CLI_TOP_WATCH_H
#define ER_CLI_TOP_WATCH_H

#include "host/probe.h"
#include "proto/status.h"

struct er_top_job {
        struct er_status status; /* (owned) */
        int cpu_percent;         /* of one cpu; -1: not known yet */
};
/* What is known of a host now. */
struct er_top_host {
        struct er_host host;
        bool asked;   /* it has answered, or failed to */
        bool settled; /* ... often enough for cpu_percent, or failed */
        char *error;  /* (owned) the last try failed so; what is below is then of before */
        bool has_probe;
        struct er_probe probe;
        int cpu_percent;         /* of all its cpus; -1: not known yet */
        struct er_top_job *jobs; /* (owned) */
        size_t job_count;
        int64_t asked_ms; /* of the last answer */
};

struct er_top_watch;
/* hosts: (moved, the array stays the caller's). */
struct er_top_watch *er_top_watch_start(struct er_host *hosts, size_t count, int64_t every_ms);
/* Waits until something has changed since the last call, or for so long; then calls fn for each host, in order, with
   nobody changing it. Returns true when all have settled. */
bool er_top_watch_look(struct er_top_watch *watch, int timeout_ms,
                       void (*fn)(void *arg, const struct er_top_host *host), void *arg);
/* Ends all threads, also those that wait for a host. */
void er_top_watch_free(struct er_top_watch *watch);

#endif

/*
 * top_watch.h - hosts watched for errand top: one thread per host asks again and again what the host has and what runs
 * there. A host that is slow or gone delays no other.
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
        bool asked;   /* it has answered or failed */
        bool settled; /* it has answered often enough for cpu_percent, or failed */
        char *error;  /* (owned) why the last try failed; what is below is then older */
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
/* Waits until something has changed since the last call, but at most for timeout_ms; then calls fn for each host, in
 * order, while nothing changes it. Returns true if all have settled. */
bool er_top_watch_look(struct er_top_watch *watch, int timeout_ms,
                       void (*fn)(void *arg, const struct er_top_host *host), void *arg);
/* Ends all threads, even those that are waiting for a host. */
void er_top_watch_free(struct er_top_watch *watch);

#endif

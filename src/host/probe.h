/*
 * probe.h - what a host has and what is free there.
 */
#ifndef ER_HOST_PROBE_H
#define ER_HOST_PROBE_H

#include "host/connect/session.h"

struct er_gpu {
        unsigned index;
        char *name;
        int64_t memory, memory_free; /* bytes; -1: not known */
        int util;                    /* percent; -1 */
        bool taken;                  /* by an attempt */
};
struct er_probe {
        char *machine; /* er_session_machine */
        char *hostname, *arch, *kernel, *os, *user, *root;
        unsigned cpus, cpus_free;
        uint64_t memory, memory_free, memory_unreserved, disk, disk_free;
        double load;
        unsigned running, queued, gpus_free;
        struct er_gpu *gpus;
        size_t gpu_count;
        struct er_strv absent; /* programs that are missing */
        bool writable, noexec;
        int64_t clock_skew_ms;
        int64_t latency_us; /* of a PING */
        uint64_t cpu_busy_ms,
                cpu_total_ms; /* of all CPUs since boot: two probes tell how busy they were in between; 0: unknown */
};
#define ER_PROBE_INIT {0}
void er_probe_release(struct er_probe *probe);
int er_host_probe(struct er_session *session, struct er_probe *ret, struct er_err *err);
/* The spec could run now / could ever run there. */
bool er_probe_has_room(const struct er_probe *probe, const struct er_spec *spec);
bool er_probe_could_fit(const struct er_probe *probe, const struct er_spec *spec);
/* For the store's cache: a JSON text (owned), and back (ER_STATE when damaged). */
char *er_probe_to_json(const struct er_probe *probe);
int er_probe_from_json(const char *text, struct er_probe *ret, struct er_err *err);

#endif

/*
 * status.h - what a host knows of an attempt: the payload of EVENT and STATUS, and the records in its files `events`,
 * `usage` and `exit`. The fields are those of messages (enum er_tag).
 */
#ifndef ER_PROTO_STATUS_H
#define ER_PROTO_STATUS_H

#include "base/str.h"
#include "proto/wire.h"

struct er_status {
        char *key; /* job key; NULL in an event */
        uint32_t attempt;
        uint64_t seq;    /* of an event; else the last event's */
        unsigned state;  /* enum er_state */
        unsigned end;    /* enum er_end */
        unsigned reason; /* enum er_reason */
        int exit_code;   /* -1: none */
        int signal;      /* 0: none */
        char *detail;
        int64_t time_ms;              /* of the event */
        int64_t started_ms, ended_ms; /* 0: not yet */
        uint64_t cpu_ms, max_rss;
        uint64_t rss; /* while it runs: bytes at used_ms, when cpu_ms was measured too; 0: not known */
        int64_t used_ms;
        uint64_t gpu_mask; /* GPUs given, bit n = index n */
        bool gpu_shared;   /* they are only seen: nobody has reserved them */
        int gpu_util;      /* percent, mean; -1: not known */
        int gpu_util_max;  /* the same, peak */
        int64_t gpu_mem;   /* bytes, peak of the sum; -1: not known */
        uint64_t log_size;
        int64_t pid;        /* of the job's first process */
        uint64_t pid_start; /* when it started, in the kernel's ticks since the boot; 0: not known */
};
#define ER_STATUS_INIT {.exit_code = -1, .gpu_util = -1, .gpu_util_max = -1, .gpu_mem = -1}

void er_status_release(struct er_status *status);
void er_status_encode(const struct er_status *status, struct er_str *out);
/* Never fails: fields that are missing or damaged are as in ER_STATUS_INIT, unknown numbers become known ones. */
void er_status_decode(struct er_sv data, struct er_status *ret);
/* The exit status of `errand run` for it: the job's own, 128+n for a signal, 124 for the time limit, 137 for OOM, 220
 * for a missing output, 221 if it was lost, else 222. */
int er_status_exit(const struct er_status *status);

#endif

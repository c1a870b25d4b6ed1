/*
 * gpu_meter.h - what a running job uses of the GPUs it has for itself: their load and memory, as one nvidia-smi tells
 * that repeats its lines every second, after a minute every 5 s. It is started again when it dies, a few times.
 * rocm-smi cannot repeat and is slow: it is run every 15 s.
 */
#ifndef ER_AGENT_ATTEMPT_GPU_METER_H
#define ER_AGENT_ATTEMPT_GPU_METER_H

#include <sys/resource.h>
#include "agent/attempt/gpu.h"
#include "base/clock.h"
#include "proto/status.h"

struct er_gpu_meter {
        uint64_t mask;
        int fd;    /* the tool's output, to be polled; -1: it does not run */
        pid_t pid; /* the tool; 0: it does not run */
        er_deadline due;
        er_deadline slow_due; /* when it is to repeat less often */
        bool amd, slow;
        unsigned deaths;
        struct er_str text; /* what came, up to a whole line */

        /* The round of lines that is coming in: a line for each GPU. */
        uint64_t seen;
        uint64_t mem, util;
        unsigned mems, utils;

        int64_t mem_max;                 /* bytes; -1: nothing measured */
        int util_max;                    /* percent; -1 */
        uint64_t util_sum, util_time_ms; /* the load's sum over that time */

        /* What the tool itself used, as a child of ours. */
        uint64_t own_cpu_us;
};
#define ER_GPU_METER_INIT                                                                                              \
        {.fd = -1, .due = ER_NEVER, .slow_due = ER_NEVER, .text = ER_STR_INIT, .mem_max = -1, .util_max = -1}
void er_gpu_meter_begin(struct er_gpu_meter *meter, uint64_t mask);
er_deadline er_gpu_meter_due(const struct er_gpu_meter *meter);
void er_gpu_meter_tick(struct er_gpu_meter *meter);  /* when that has come */
void er_gpu_meter_ready(struct er_gpu_meter *meter); /* fd is readable */
/* Somebody else reaped `pid`, which used this. */
void er_gpu_meter_reaped(struct er_gpu_meter *meter, pid_t pid, const struct rusage *use);
void er_gpu_meter_end(struct er_gpu_meter *meter);
void er_gpu_meter_fill(const struct er_gpu_meter *meter, struct er_status *status);

#endif

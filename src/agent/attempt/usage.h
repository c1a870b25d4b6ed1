/*
 * usage.h - what a running job uses, sampled now and then: the cpu time and memory of its tree, and for a job with GPUs
 * of its own what gpu_meter.h says of them.
 */
#ifndef ER_AGENT_ATTEMPT_USAGE_H
#define ER_AGENT_ATTEMPT_USAGE_H

#include "agent/attempt/adir.h"
#include "agent/attempt/gpu_meter.h"

struct er_usage {
        uint64_t max_rss;
        struct er_gpu_meter gpus;
        er_deadline due;        /* of the next sample */
        uint64_t cpu_ms_before; /* of our children before the job began */
        uint64_t oom_before;    /* the kernel's count of OOM kills at the start */
};
#define ER_USAGE_INIT {.gpus = ER_GPU_METER_INIT, .due = ER_NEVER}
/* gpu_mask: those it has for itself. */
void er_usage_begin(struct er_usage *usage, uint64_t gpu_mask);
/* Takes the samples that are due, and writes the `usage` file. */
void er_usage_tick(struct er_usage *usage, const struct er_adir *dir);
er_deadline er_usage_due(const struct er_usage *usage);
/* A child was reaped, which used this. */
void er_usage_reaped(struct er_usage *usage, pid_t pid, const struct rusage *use);
/* No more samples. */
void er_usage_end(struct er_usage *usage);
/* Puts the facts so far into a status, including reaped children. */
void er_usage_fill(const struct er_usage *usage, struct er_status *status);
/* The kernel has killed something for lack of memory since the job began. */
bool er_usage_oom(const struct er_usage *usage);

#endif

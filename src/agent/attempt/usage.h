/*
 * usage.h - what a running job uses, sampled now and then: the cpu time and memory of its tree, and for a job with GPUs
 * their load, by nvidia-smi in a child process that must answer in time.
 */
#ifndef ER_AGENT_ATTEMPT_USAGE_H
#define ER_AGENT_ATTEMPT_USAGE_H

#include "agent/attempt/adir.h"
#include "base/clock.h"

struct er_usage {
        uint64_t max_rss;
        uint64_t gpu_mask;
        uint64_t gpu_mem; /* peak of the sum, bytes */
        uint64_t gpu_util_sum;
        unsigned gpu_samples;
        er_deadline due; /* of the next sample */
        er_deadline gpu_due;
        pid_t gpu_pid; /* running nvidia-smi; 0: none */
        int gpu_fd;    /* its output */
        bool gpu_amd;
        struct er_str gpu_text;
        uint64_t oom_before; /* the kernel's count of OOM kills at the start */
};
#define ER_USAGE_INIT {.due = ER_NEVER, .gpu_due = ER_NEVER, .gpu_fd = -1, .gpu_text = ER_STR_INIT}
void er_usage_begin(struct er_usage *usage, uint64_t gpu_mask);
/* Takes the samples that are due, and writes the `usage` file. */
void er_usage_tick(struct er_usage *usage, const struct er_adir *dir);
er_deadline er_usage_due(const struct er_usage *usage);
void er_usage_gpu_ready(struct er_usage *usage); /* gpu_fd is readable */
/* Stops a sample in progress. */
void er_usage_end(struct er_usage *usage);
/* Puts the facts so far into a status, including reaped children. */
void er_usage_fill(const struct er_usage *usage, struct er_status *status);
/* The kernel has killed something for lack of memory since the job began. */
bool er_usage_oom(const struct er_usage *usage);

#endif

/*
 * gpu.h - the GPUs of this machine, as reported by nvidia-smi or rocm-smi; which of them a job gets is decided in
 * ledger.c. Indices are those of CUDA_VISIBLE_DEVICES with CUDA_DEVICE_ORDER=PCI_BUS_ID; at most 64 GPUs.
 */
#ifndef ER_AGENT_ATTEMPT_GPU_H
#define ER_AGENT_ATTEMPT_GPU_H

#include "agent/agent.h"

#define ER_GPUS_MAX 64u

struct er_gpu {
        unsigned index;
        char name[64];
        uint64_t memory, memory_used; /* bytes */
        unsigned util;                /* percent */
};
struct er_gpus {
        struct er_gpu items[ER_GPUS_MAX];
        size_t len;
        bool amd;
};

/* Asks the tool, and waits 10 s at most. None found: len 0. */
void er_gpu_query(struct er_gpus *ret);
/* The indices that exist. The answer is cached beside the ledger until the next reboot. */
uint64_t er_gpu_mask(const struct er_agent *agent);
/* Does this machine seem to have GPUs? Runs no program. */
bool er_gpu_likely(const struct er_agent *agent);
bool er_gpu_is_amd(void);

/* The tool's command, for a supervisor that samples: a NULL-terminated argv; false when there is no tool. er_gpu_parse
   reads what it prints. */
#define ER_GPU_ARGV 8
bool er_gpu_command(char *ret_argv[ER_GPU_ARGV], bool *ret_amd); /* argv[0] is (owned) */
void er_gpu_parse(struct er_sv text, bool amd, struct er_gpus *ret);

#endif

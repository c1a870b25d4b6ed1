/*
 * gpu.h - the GPUs of this machine, as nvidia-smi or rocm-smi tells. Indices are those CUDA_VISIBLE_DEVICES takes with
 * CUDA_DEVICE_ORDER=PCI_BUS_ID; up to 64 of them.
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

/* Asks the tool, with patience of 10 s. None found: len 0. */
void er_gpu_query(struct er_gpus *ret);
/* The indices there are; the answer is kept for this boot beside the ledger. */
uint64_t er_gpu_mask(const struct er_agent *agent);
/* Without running anything: does it look as if this machine had GPUs? */
bool er_gpu_likely(const struct er_agent *agent);
bool er_gpu_is_amd(void);

/* The command that is asked, for a supervisor that samples: argv of 5 at most, NULL-terminated; false when there is no
   tool. er_gpu_parse reads what it prints. */
#define ER_GPU_ARGV 8
bool er_gpu_command(char *ret_argv[ER_GPU_ARGV], bool *ret_amd); /* argv[0] is (owned) */
void er_gpu_parse(struct er_sv text, bool amd, struct er_gpus *ret);

#endif

/*
 * gpu.h - the GPUs of this machine, as reported by nvidia-smi or rocm-smi; which of them a job gets is decided in
 * ledger.c. Indices are those of nvidia-smi, which are CUDA's with CUDA_DEVICE_ORDER=PCI_BUS_ID; at most 64 GPUs. A GPU
 * that is split (MIG) is not listed itself: its parts are, numbered from the highest index on, and known to CUDA by
 * UUID alone.
 */
#ifndef ER_AGENT_ATTEMPT_GPU_H
#define ER_AGENT_ATTEMPT_GPU_H

#include "agent/agent.h"

#define ER_GPUS_MAX 64u
#define ER_GPU_UNKNOWN UINT64_MAX

struct er_gpu {
        unsigned index;
        char name[64];                /* "": not known */
        char uuid[80];                /* the same */
        uint64_t memory, memory_used; /* bytes, or ER_GPU_UNKNOWN */
        int util;                     /* percent, -1: not known */
        bool split;                   /* MIG is on */
        bool part;                    /* a part of one that is */
        unsigned whole;               /* ... with this index ... */
        char whole_uuid[80];          /* ... and this UUID */
};
struct er_gpus {
        struct er_gpu items[ER_GPUS_MAX];
        size_t len;
        bool amd;
        bool silent; /* the tool was asked in vain: it did not answer in time */
        bool asked;  /* just now */
};

/* Called now and then while the tool is waited for; false: wait no longer. */
typedef bool (*er_gpu_wanted_fn)(void *arg);

/* The GPUs there are, and what is used of them. An answer at most max_age_ms old will do (0: ask now); it is kept
   beside the ledger until the next boot. Waits 10 s at most for the tool. None found: len 0. */
void er_gpu_look(const struct er_agent *agent, int64_t max_age_ms, er_gpu_wanted_fn wanted, void *arg,
                 struct er_gpus *ret);
/* Does this machine seem to have GPUs? Runs no program. */
bool er_gpu_likely(const struct er_agent *agent);
bool er_gpu_is_amd(void);

/* Those that a value of CUDA_VISIBLE_DEVICES lets through, as CUDA reads it: indices or UUIDs (or their beginnings), up
   to the first word that is neither; NULL: all. */
uint64_t er_gpus_visible(const struct er_gpus *gpus, const char *value);
/* The other way: a value that shows these; those of `last` come last. */
void er_gpus_value(const struct er_gpus *gpus, uint64_t mask, uint64_t last, struct er_str *out);
/* Those that something uses, ours or not, judged by memory and load. ret_rank (by index): the less used, the smaller.
 */
uint64_t er_gpus_used(const struct er_gpus *gpus, uint8_t ret_rank[ER_GPUS_MAX]);

/* The tool's command: a NULL-terminated argv; false when there is no tool. loop_ms > 0: nvidia-smi repeats its lines
   that often until it is killed (rocm-smi cannot). er_gpu_parse reads what it prints. */
#define ER_GPU_ARGV 8
bool er_gpu_command(int loop_ms, char *ret_argv[ER_GPU_ARGV], bool *ret_amd); /* argv[0] is (owned) */
void er_gpu_parse(struct er_sv text, bool amd, struct er_gpus *ret);
/* Reads `nvidia-smi -L`: puts the parts of split GPUs in their place. */
void er_gpu_parse_parts(struct er_sv text, struct er_gpus *gpus);

#endif

/*
 * ledger.h - who uses what on this machine: the cpus, memory and GPUs shared by all attempts on it, whoever submitted
 * them. Here an attempt waits its turn and is given its GPUs (er_ticket_try).
 *
 * A file in memory, open to all users of the machine: the first that works of $ERRAND_LEDGER, /dev/shm/errand/ledger,
 * /tmp/errand/ledger and <root>/ledger (machine_dir.h). 64 bytes of header { u64 magic | u64 next number | u64 slots |
 * zeros }, then slots of 64 bytes { u64 number | u32 state | u32 cpus | u64 memory | u64 GPU mask | u32 gpus | u32 pid
 * | u64 mask of shared GPUs | u64 mask of those it could have, 0: any | zeros }. All little-endian. Whoever reads or
 * writes it holds a write lock (F_OFD_SETLK) on byte 0. The owner of slot n holds one on byte 4096 + n for as long as
 * it lives, so what a killed process had becomes free.
 *
 * GPUs: who asks for some reserves them, and nobody else gets those. Who asks for none may see all that are not
 * reserved when it starts, and keeps seeing them: shared. A GPU is reserved all the same while others share it, but one
 * that nothing uses is taken first (memory and load, also of what is not ours), then one that nobody shares.
 *
 * Order: a ticket starts when its needs fit into what is left after all that run and all that came earlier and still
 * wait. So no ticket is overtaken by one that takes what it waits for.
 */
#ifndef ER_AGENT_ATTEMPT_LEDGER_H
#define ER_AGENT_ATTEMPT_LEDGER_H

#include "agent/agent.h"
#include "agent/attempt/gpu.h"

struct er_needs {
        uint32_t cpus;
        uint64_t memory; /* 0: none reserved */
        uint32_t gpus;
        bool see; /* with gpus 0: those that are not reserved */
};
struct er_capacity {
        uint32_t cpus;
        uint64_t memory;
        uint64_t gpu_mask;    /* bit n: index n is there, and the login's CUDA_VISIBLE_DEVICES does not hide it */
        uint64_t gpu_used;    /* those that something uses */
        unsigned gpus_hidden; /* how many that hides */
        bool gpus_silent;     /* the tool that should tell gives no answer */
        uint8_t gpu_rank[ER_GPUS_MAX]; /* the less used, the smaller */
};
/* What this machine has, but for its GPUs. */
void er_capacity_read(struct er_capacity *ret);
/* Those too, as somebody saw them last (er_gpu_look). */
void er_capacity_gpus(struct er_capacity *capacity, const struct er_gpus *gpus);
/* ER_CAPACITY, with what the host has, when the needs could never fit. */
int er_capacity_check(const struct er_needs *needs, const struct er_capacity *capacity, const char *hostname,
                      struct er_err *err);

struct er_ticket {
        int fd;      /* shared by guard and supervisor */
        int poke_fd; /* readable when another try is worthwhile; -1 until er_ticket_listen */
        uint32_t slot;
        uint64_t number;
        struct er_needs needs;
        struct er_capacity capacity;
};
#define ER_TICKET_INIT {.fd = -1, .poke_fd = -1}
/* Joins the queue. Without a usable ledger the ticket has fd -1 and everything starts at once. */
int er_ticket_enter(const struct er_agent *agent, const struct er_needs *needs, const struct er_capacity *capacity,
                    struct er_ticket *ret, struct er_err *err);
/* Would er_ticket_try let it start? */
bool er_ticket_fits(struct er_ticket *ticket);
/* 1: may start, and the GPUs in *ret_gpu_mask are ours, or those it sees; 0: wait, and ask again after *ret_retry_ms or
   a poke. */
int er_ticket_try(struct er_ticket *ticket, uint64_t *ret_gpu_mask, int *ret_retry_ms);
void er_ticket_listen(struct er_ticket *ticket);
void er_ticket_hear(struct er_ticket *ticket); /* reads the pokes */
/* Gives everything back, and pokes the tickets that may start now. */
void er_ticket_leave(struct er_ticket *ticket);
/* Closes only our copy: the other process that has the ticket keeps it. */
void er_ticket_close(struct er_ticket *ticket);

struct er_ledger_use {
        unsigned running, queued;
        uint64_t cpus, memory, gpu_mask; /* taken by those that run */
};
void er_ledger_look(const struct er_agent *agent, struct er_ledger_use *ret);

#endif

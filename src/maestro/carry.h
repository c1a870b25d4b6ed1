/*
 * carry.h - what the workers of one carry share. The loop (loop.c) plans, hands out work and writes to the store. A
 * worker (act.c) does one action as blocking code, notes in its job what it learns, and returns the work with an
 * outcome; the loop applies that (apply.c).
 *
 * One lock guards the store handle, the jobs and the lists. Workers hold it for moments only, never while they talk to
 * a host.
 */
#ifndef ER_MAESTRO_CARRY_H
#define ER_MAESTRO_CARRY_H

#include "maestro/bell.h"
#include "maestro/conn.h"
#include "maestro/maestro.h"
#include "maestro/snaps.h"
#include "maestro/tell.h"

struct er_carry {
        const struct er_maestro_opts *opts; /* (borrowed) */
        pthread_mutex_t lock;
        struct er_bell bell;
        struct er_teller teller;
        struct er_conns conns;
        struct er_snaps snaps;
};

#endif

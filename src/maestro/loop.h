/* loop.h - carries runs: takes their leases, plans, hands out work and applies what comes of it. */
#ifndef ER_MAESTRO_LOOP_H
#define ER_MAESTRO_LOOP_H

#include "maestro/maestro.h"

/* As er_maestro_carry(), until the deadline: then ER_TIMEOUT. */
int er_loop_carry(const struct er_maestro_opts *opts, const int64_t *run_ids, size_t count, er_deadline until,
                  size_t *ret_skipped, struct er_err *err);

#endif

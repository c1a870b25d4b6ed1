/*
 * leases.h - who carries a run. The kernel takes a lease from a process that ends (base/lock.h); within this process,
 * one thread has it.
 */
#ifndef ER_MAESTRO_LEASES_H
#define ER_MAESTRO_LEASES_H

#include "store/store.h"

/* 1: it is ours now; 0: somebody else has it; -1: error. */
int er_run_take(struct er_store *store, int64_t run_id, struct er_err *err);
void er_run_drop(struct er_store *store, int64_t run_id);

#endif

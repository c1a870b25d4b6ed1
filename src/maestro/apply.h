/* apply.h - writes what was learned into a job. All of it under the lock of the carry. */
#ifndef ER_MAESTRO_APPLY_H
#define ER_MAESTRO_APPLY_H

#include "maestro/carried.h"
#include "proto/status.h"

/* What the host says of the attempt. True if the loop must hear of it now; otherwise it will anyway, a little later. */
bool er_apply_status(struct er_carried *j, const struct er_status *status, bool event);
void er_apply_end(struct er_carried *j, enum er_end end, enum er_reason reason, const char *detail);
/* What came of an action. *fatal (if not set before): trouble of this machine. */
void er_apply_work(struct er_work *work, struct er_err *fatal);
/* Writes the job's end to the store. */
int er_apply_finish(struct er_store *store, struct er_carried *j, const struct er_action *action, struct er_err *err);
/* Brings j->plan up to date with the rest. */
void er_apply_plan(struct er_carried *j);

#endif

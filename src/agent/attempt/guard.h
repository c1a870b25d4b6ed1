/*
 * guard.h - the parent of the supervisor. It holds the attempt's lock and waits. When the supervisor is killed, the
 * guard inherits everything it started, kills it, and records that the attempt is lost.
 */
#ifndef ER_AGENT_ATTEMPT_GUARD_H
#define ER_AGENT_ATTEMPT_GUARD_H

#include "agent/attempt/charge.h"

/* Starts guard and supervisor. forget (may be NULL) is called in them first, to free memory of the caller that they do
   not need. */
int er_guard_start(struct er_charge *charge, void (*forget)(void *arg), void *arg, struct er_err *err);

#endif

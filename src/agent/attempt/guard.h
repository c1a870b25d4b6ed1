/*
 * guard.h - the parent of the supervisor, which holds the attempt's lock and waits. When the supervisor is killed,
 * everything it started falls to the guard, which ends it and records that the attempt is lost.
 */
#ifndef ER_AGENT_ATTEMPT_GUARD_H
#define ER_AGENT_ATTEMPT_GUARD_H

#include "agent/attempt/charge.h"

/* Starts guard and supervisor. forget (may be NULL) is called in them first: memory of the caller that they do not
 * need. */
int er_guard_start(struct er_charge *charge, void (*forget)(void *arg), void *arg, struct er_err *err);

#endif

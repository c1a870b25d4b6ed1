/*
 * supervise.h - the process that looks after one attempt: it waits for the environment and for the attempt's turn,
 * starts the job, keeps its output and records its end. Above it is its guard (guard.h).
 */
#ifndef ER_AGENT_ATTEMPT_SUPERVISE_H
#define ER_AGENT_ATTEMPT_SUPERVISE_H

#include "agent/attempt/charge.h"

/* The supervisor's whole life. Never returns. */
_Noreturn void er_supervise(struct er_charge *charge);

#endif

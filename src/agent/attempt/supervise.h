/*
 * supervise.h - the process that looks after one attempt: it waits for the environment and for the attempt's turn,
 * starts the job, captures its output and records how it ended. Its parent is the guard (guard.h).
 */
#ifndef ER_AGENT_ATTEMPT_SUPERVISE_H
#define ER_AGENT_ATTEMPT_SUPERVISE_H

#include "agent/attempt/charge.h"

/* The supervisor's whole life. Never returns. */
_Noreturn void er_supervise(struct er_charge *charge);

#endif

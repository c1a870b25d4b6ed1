/*
 * dial.h - `errand-agent dial`: a connection to a port of this machine, over standard input and output. It ends with
 * the connection over which it was started.
 */
#ifndef ER_AGENT_SERVE_DIAL_H
#define ER_AGENT_SERVE_DIAL_H

#include "agent/agent.h"

/* Argument: PORT. Prints "ok", "refused", "none" (not a port) or "fail TEXT" on a line of its own. After "ok" it
   carries bytes between standard input and output and that port of this machine, until both directions have ended. */
int er_dial(char **args, int count);

#endif

/*
 * dial.h - `errand-agent dial`: a connection to a port of this machine, over standard input and output. It ends with
 * the connection that it was started over.
 */
#ifndef ER_AGENT_SERVE_DIAL_H
#define ER_AGENT_SERVE_DIAL_H

#include "agent/agent.h"

/* Says "ok", "refused", "none" (no such port) or "fail TEXT" on a line of its own; after "ok" carries bytes between its
   standard input and output and that port of this machine, until both ways have ended. */
int er_dial(char **args, int count);

#endif

/*
 * exec.h - `errand-agent exec`: a command beside a job or on the host, at once, outside the queue and without a
 * supervisor. ssh starts it (or errand itself on its own machine), and it ends with that.
 */
#ifndef ER_AGENT_SERVE_EXEC_H
#define ER_AGENT_SERVE_EXEC_H

#include "agent/agent.h"

/*
 * [--job KEY ATTEMPT] [--environment HEX] [--line] -- COMMAND [ARG]...
 * --job: in the directory of that attempt, with its variables (not its secrets) and its environment. Without: in the
 * home.
 * --environment: in that one instead. --line: COMMAND is one line for the shell.
 * Becomes the command; comes back with an exit status only when that cannot be, and has said why.
 */
int er_exec(const struct er_agent *agent, char **args, int count);

#endif

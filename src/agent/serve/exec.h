/*
 * exec.h - `errand-agent exec`: runs a command beside a job or on the host, at once, outside the queue and without a
 * supervisor. ssh starts it (or errand, on its own machine), and it ends with that connection.
 */
#ifndef ER_AGENT_SERVE_EXEC_H
#define ER_AGENT_SERVE_EXEC_H

#include "agent/agent.h"

/*
 * Arguments: [--job KEY ATTEMPT] [--environment HEX] [--line] -- COMMAND [ARG]...
 *
 * --job: in the directory of that attempt, with its variables (but not its secrets) and its environment. Without it: in
 * the home directory. --environment: in that environment instead. --line: COMMAND is one line for the shell.
 *
 * Becomes the command. Returns, with an exit status, only when that fails, and has then said why.
 */
int er_exec(const struct er_agent *agent, char **args, int count);

#endif

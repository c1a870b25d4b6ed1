/*
 * exec.h - what runs on a host at once, outside the queue and without a supervisor: `errand-agent exec` for a command
 * beside a job or on the host, `errand-agent checkout` for files a person works on, and `errand-agent dial` for a
 * connection to something that listens there. All are started by ssh (or by errand itself on its own machine) and end
 * with it.
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

/* [--fresh] PROJECT HASH: the files of a snapshot that is here into projects/PROJECT, where they stay. Says "made
   PATH", or "kept PATH" where that is there already (--fresh: puts it aside under another name). HASH "-" only looks:
   "kept PATH" or "none PATH". */
int er_checkout(const struct er_agent *agent, char **args, int count);

/* Says "ok", "refused", "none" (no such port) or "fail TEXT" on a line of its own; after "ok" carries bytes between its
   standard input and output and that port of this machine, until both ways have ended. */
int er_dial(char **args, int count);

#endif

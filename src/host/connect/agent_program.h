/*
 * agent_program.h - errand-agent as a program: the copies of it that errand carries, where it lies on a host, and the
 * words that start it.
 */
#ifndef ER_HOST_CONNECT_AGENT_PROGRAM_H
#define ER_HOST_CONNECT_AGENT_PROGRAM_H

#include "base/str.h"
#include "host/host.h"

/* The embedded agent for an architecture ("x86_64", "aarch64", as uname says); len 0: there is none. */
struct er_sv er_agent_for(const char *arch);
/* Where errand keeps its things on this machine: host->root, $ERRAND_HOME/agent or ~/.errand (owned, absolute). */
char *er_local_root(const struct er_host *host);
/* The same on a host reached over ssh, relative to the login directory, where both the shell and the agent start: a
   root
   "~/x" is "x" (borrowed from host). */
const char *er_agent_remote_root(const struct er_host *host);
/* The words that start errand-agent there, without what it is to do; over ssh in the login directory. A session to the
   host has put it in place. */
void er_agent_argv(const struct er_host *host, struct er_strv *ret);
/* The line for the login shell that starts `errand-agent serve` (owned). */
char *er_agent_command(const struct er_host *host);

#endif

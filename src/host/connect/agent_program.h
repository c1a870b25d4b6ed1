/*
 * agent_program.h - errand-agent as a program: the copies that errand carries, its path on a host, and the command that
 * starts it.
 */
#ifndef ER_HOST_CONNECT_AGENT_PROGRAM_H
#define ER_HOST_CONNECT_AGENT_PROGRAM_H

#include "base/str.h"
#include "host/host.h"

/* The embedded agent for an architecture ("x86_64", "aarch64", as uname says); len 0: there is none. */
struct er_sv er_agent_for(const char *arch);
/* Where errand keeps its things on this machine: host->root, $ERRAND_HOME/agent or ~/.errand (owned, absolute). */
char *er_local_root(const struct er_host *host);
/* The same for a host reached over ssh, relative to the login directory, where both the shell and the agent start:
   for a root "~/x" it is "x" (borrowed from host). */
const char *er_agent_remote_root(const struct er_host *host);
/* The arguments that start errand-agent there, without a command for it; over ssh they are relative to the login
   directory. Opening a session to the host installs it. */
void er_agent_argv(const struct er_host *host, struct er_strv *ret);
/* The line for the login shell that starts `errand-agent serve` (owned). */
char *er_agent_command(const struct er_host *host);

#endif

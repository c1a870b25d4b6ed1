/*
 * machine_dir.h - the directory for facts about this machine, open to all its users and in memory where possible: the
 * first of $ERRAND_LEDGER's directory, /dev/shm/errand, /tmp/errand and the root in which the ledger can be opened.
 */
#ifndef ER_AGENT_ATTEMPT_MACHINE_DIR_H
#define ER_AGENT_ATTEMPT_MACHINE_DIR_H

#include "agent/agent.h"

/* Opens the ledger, and creates it when missing; *ret_dir (may be NULL) is its directory (owned). -1: none of the
   directories works. */
int er_machine_dir_ledger(const struct er_agent *agent, char **ret_dir);
/* The directory (owned), or NULL. */
char *er_machine_dir(const struct er_agent *agent);

#endif

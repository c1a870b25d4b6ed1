/*
 * machine_dir.h - the directory for facts about this machine, open to all its users and in memory where possible:
 * $ERRAND_LEDGER's, /dev/shm/errand, /tmp/errand or the root, the first in which the file `ledger` can be opened.
 */
#ifndef ER_AGENT_ATTEMPT_MACHINE_DIR_H
#define ER_AGENT_ATTEMPT_MACHINE_DIR_H

#include "agent/agent.h"

/* Opens the ledger, which is made when missing; *ret_dir (may be NULL) is its directory (owned). -1: no directory will
   do. */
int er_machine_dir_ledger(const struct er_agent *agent, char **ret_dir);
/* The directory (owned), or NULL. */
char *er_machine_dir(const struct er_agent *agent);

#endif

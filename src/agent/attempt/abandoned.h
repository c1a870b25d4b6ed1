/*
 * abandoned.h - attempts that nobody looks after: their guard and supervisor were killed, or the host was rebooted.
 */
#ifndef ER_AGENT_ATTEMPT_ABANDONED_H
#define ER_AGENT_ATTEMPT_ABANDONED_H

#include "agent/attempt/adir.h"

/*
 * Makes sure that an abandoned attempt has its record: kills what is left of it and records that it was lost. Returns 1
 * when the attempt is over, 0 when it is alive or never began (*ret_never_began, may be NULL; set also when the
 * directory has been removed). An attempt that may have left a container (container.h) is alive until that has been
 * stopped. One that another machine made, in a home shared by several, counts as alive: the locks of its processes may
 * not be visible here.
 */
int er_abandoned_settle(const struct er_agent *agent, const struct er_adir *dir, bool *ret_never_began,
                        struct er_err *err);
/* For an attempt that never began and is about to be removed: takes its lock, so that no SUBMIT starts it meanwhile.
   False: one did. */
bool er_abandoned_claim(const struct er_adir *dir, int *ret_lock_fd);

#endif

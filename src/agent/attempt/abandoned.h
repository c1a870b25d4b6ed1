/*
 * abandoned.h - attempts that nobody looks after: their guard and supervisor were killed, or the host was restarted.
 */
#ifndef ER_AGENT_ATTEMPT_ABANDONED_H
#define ER_AGENT_ATTEMPT_ABANDONED_H

#include "agent/attempt/adir.h"

/*
 * Makes sure that an attempt nobody looks after any more has its record: kills what is left of it and writes that it
 * was lost. Returns 1 when it is over, 0 when it is alive, or never began (*ret_never_began, may be NULL; also when the
 * directory has been removed). One that may have left something outside (container.h) is alive until that has been
 * ended. An attempt that another machine made (a home that several share) counts as alive: the locks of its processes
 * need not be seen here.
 */
int er_abandoned_settle(const struct er_agent *agent, const struct er_adir *dir, bool *ret_never_began,
                        struct er_err *err);
/* One that never began, and is to be removed: takes its lock, so that no SUBMIT begins it meanwhile. False: one did. */
bool er_abandoned_claim(const struct er_adir *dir, int *ret_lock_fd);

#endif

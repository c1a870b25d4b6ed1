/*
 * tombstone.h - <root>/gone/<key>.<attempt>: an empty file where an attempt was removed, so that a SUBMIT which comes
 * again (from a copy of a store, or one that was restored) does not start the job a second time. It stays for 30 days.
 */
#ifndef ER_AGENT_ATTEMPT_TOMBSTONE_H
#define ER_AGENT_ATTEMPT_TOMBSTONE_H

#include "agent/attempt/adir.h"

/* Before the attempt is removed. False: there is no room for it; try again when the attempt has been removed. */
bool er_tombstone_put(const struct er_agent *agent, const struct er_adir *dir);
bool er_tombstone_is_there(const struct er_agent *agent, struct er_sv key, uint32_t attempt);
/* Removes those older than 30 days. */
void er_tombstones_collect(const struct er_agent *agent);

#endif

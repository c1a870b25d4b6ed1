/*
 * container.h - the container of a job, which is not below us in the process tree (agent/outside.h). The command that
 * ends it is the attempt's file `end`. An attempt is not over while its container runs, as a job must not run twice at
 * once: while the engine cannot be reached, the agent keeps trying. Only after a cancel, when nothing will be run
 * again, does it give up at some point.
 */
#ifndef ER_AGENT_ATTEMPT_CONTAINER_H
#define ER_AGENT_ATTEMPT_CONTAINER_H

#include "agent/attempt/adir.h"

#define ER_CONTAINER_PATIENCE_MS 20000 /* after a cancel */
#define ER_CONTAINER_RETRY_MS 1000

/* Writes the words of the command down, before the job starts. */
int er_container_note(const struct er_adir *dir, const struct er_strv *words, struct er_err *err);
bool er_container_noted(const struct er_adir *dir);
/* Appends the event that says why it could not be ended, unless the last event did. */
void er_container_tell(const struct er_adir *dir, const struct er_str *said);
/* Ends it, trying until that succeeds. False: the job was cancelled or its directory removed, and it was tried long
   enough; *said is what the command said (one line, for a person). */
bool er_container_insist(const struct er_adir *dir, struct er_str *said);

#endif

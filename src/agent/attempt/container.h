/*
 * container.h - the container of a job, which runs outside our process tree (agent/outside.h). The attempt's file `end`
 * holds the command that stops it. An attempt is not over while its container runs, because a job must not run twice at
 * once: while the engine does not answer, the agent keeps trying. Only after a cancel, when nothing will run again,
 * does it give up in the end.
 */
#ifndef ER_AGENT_ATTEMPT_CONTAINER_H
#define ER_AGENT_ATTEMPT_CONTAINER_H

#include "agent/attempt/adir.h"

#define ER_CONTAINER_PATIENCE_MS 20000 /* after a cancel */
#define ER_CONTAINER_RETRY_MS 1000

/* Writes the words of that command to the file, before the job starts. */
int er_container_note(const struct er_adir *dir, const struct er_strv *words, struct er_err *err);
bool er_container_noted(const struct er_adir *dir);
/* Appends an event that says why the container could not be stopped, unless the last event says the same. */
void er_container_tell(const struct er_adir *dir, const struct er_str *said);
/* Stops the container, however many tries that takes. False: the job was cancelled or its directory removed, and we
   have tried long enough; *said is what the command said (one line, for a person). */
bool er_container_insist(const struct er_adir *dir, struct er_str *said);

#endif

/*
 * outside.h - what a job has that is not below us in the process tree: a container, which its engine's daemon keeps.
 * The words of the command that ends it lie in the attempt's directory (`end`) before the job starts, so that whoever
 * finds the attempt abandoned can run them. The command succeeds when nothing is left; it may be run again. An attempt
 * is not over before that, as a job must not run twice at once: who cannot reach the engine tries until it can. Only
 * after a cancel, when nothing will be run again, it does not wait for ever.
 */
#ifndef ER_AGENT_ATTEMPT_OUTSIDE_H
#define ER_AGENT_ATTEMPT_OUTSIDE_H

#include "agent/attempt/adir.h"

#define ER_OUTSIDE_PATIENCE_MS 20000 /* after a cancel */
#define ER_OUTSIDE_RETRY_MS 1000

/* Writes the words down. */
int er_outside_note(const struct er_adir *dir, const struct er_strv *words, struct er_err *err);
/* Runs the command once, for half a minute at most. False: it did not succeed, and *said is what it said (one line, for
   a person). A program that is no longer there ends nothing: true. SIGCHLD must not be ignored. */
bool er_outside_end(const struct er_strv *words, struct er_str *said);
/* The same with words that lie in a file, each ending in NUL; true when there is none. */
bool er_outside_end_of(int at, const char *path, struct er_str *said);
/* The event that says so, unless the last one did. */
void er_outside_tell(const struct er_adir *dir, const struct er_str *said);
/* Until it succeeds; false: the job has been cancelled, or its directory removed, and it was tried long enough; *said
 * as above. */
bool er_outside_insist(const struct er_adir *dir, struct er_str *said);
/* For an attempt that was abandoned: a process that insists, and then writes the record `end`. It has the attempt's
   lock until then, so the attempt counts as alive. */
int er_outside_settle(const struct er_adir *dir, int lock_fd, struct er_status *end, struct er_err *err);

#endif

/*
 * outside.h - what is not below us in the process tree: a container, which its engine's daemon keeps. It is ended by a
 * command, whose words (each ending in NUL) lie in a file before the container starts, so that whoever finds it
 * abandoned can run them. The command succeeds when nothing is left, and may be run again.
 */
#ifndef ER_AGENT_OUTSIDE_H
#define ER_AGENT_OUTSIDE_H

#include <stdbool.h>
#include "base/str.h"

/* The words in a file; false when there are none. */
bool er_outside_read(int at, const char *path, struct er_strv *ret);
/* Runs the command once, for half a minute at most. False: it did not succeed, and *said is what it said (one line, for
   a person). A program that is no longer there ends nothing: true. SIGCHLD must not be ignored. */
bool er_outside_end(const struct er_strv *words, struct er_str *said);
/* The same with the words in a file; true when there are none. */
bool er_outside_end_of(int at, const char *path, struct er_str *said);

#endif

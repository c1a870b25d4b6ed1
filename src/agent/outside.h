/*
 * outside.h - what runs outside our process tree: a container, which belongs to its engine's daemon. A command stops
 * it. The words of that command (each ending in NUL) are written to a file before the container starts, so that whoever
 * finds it abandoned can run them. The command succeeds when nothing is left, and may be run again.
 */
#ifndef ER_AGENT_OUTSIDE_H
#define ER_AGENT_OUTSIDE_H

#include <stdbool.h>
#include "base/str.h"

/* Reads the words from a file; false when there are none. */
bool er_outside_read(int at, const char *path, struct er_strv *ret);
/* Runs the command once, for half a minute at most. False: it failed, and *said is what it said (one line, for a
   person). True also when the program no longer exists. SIGCHLD must not be ignored. */
bool er_outside_end(const struct er_strv *words, struct er_str *said);
/* The same with the words from a file; true when there are none. */
bool er_outside_end_of(int at, const char *path, struct er_str *said);

#endif

/*
 * glob.h - patterns of output files: `*`, `?`, `[a-z]`, `[!a-z]`, a backslash makes the next byte literal, `**` as a
 * whole component crosses directories. Matching is by bytes, and a leading dot is nothing special. A name that is
 * exactly the pattern's text matches too.
 */
#ifndef ER_AGENT_GLOB_H
#define ER_AGENT_GLOB_H

#include <stdbool.h>
#include <sys/stat.h>
#include "base/err.h"
#include "base/str.h"

/* Matches one component (no slashes in either). */
bool er_glob_match(const char *pattern, const char *name);

/* Calls fn for each path below dir_fd that matches, and for everything below a directory that matches; path is relative
   to dir_fd. With `**` before the last component a path may come twice. Symlinks are followed only where the pattern
   names them literally, and never out of the directory. When fn returns -1, the walk stops and returns -1. */
typedef int (*er_glob_fn)(void *arg, int dir_fd, const char *name, const char *path, const struct stat *st,
                          struct er_err *err);
int er_glob_walk(int dir_fd, const char *pattern, er_glob_fn fn, void *arg, struct er_err *err);
/* The same for everything below a directory, without the directory itself. */
int er_glob_below(int dir_fd, const char *path, er_glob_fn fn, void *arg, struct er_err *err);
bool er_glob_any(int dir_fd, const char *pattern);
/* Opens a path without leaving dir_fd; symlinks that stay inside are followed. -1 with errno. */
int er_open_beneath(int dir_fd, const char *path, int flags);

#endif

/*
 * glob.h - patterns of output files: `*`, `?`, `[a-z]`, `[!a-z]`, a backslash takes the next byte as it is, `**` as a
 * whole part crosses directories. Bytes are compared, a leading dot is nothing special. A name that exists exactly as
 * the pattern is written matches too.
 */
#ifndef ER_AGENT_GLOB_H
#define ER_AGENT_GLOB_H

#include <stdbool.h>
#include <sys/stat.h>
#include "base/err.h"
#include "base/str.h"

/* One part (no slashes in either). */
bool er_glob_match(const char *pattern, const char *name);

/* Calls fn for each path below dir_fd that matches, and for all below a directory that matches; path is relative to
   dir_fd. With `**` before the last part a path may come twice. -1 from fn stops. Symlinks are followed only where the
   pattern names them in plain, and never out of the directory. Returns -1 when fn did. */
typedef int (*er_glob_fn)(void *arg, int dir_fd, const char *name, const char *path, const struct stat *st,
                          struct er_err *err);
int er_glob_walk(int dir_fd, const char *pattern, er_glob_fn fn, void *arg, struct er_err *err);
/* All below a directory (itself not). */
int er_glob_below(int dir_fd, const char *path, er_glob_fn fn, void *arg, struct er_err *err);
bool er_glob_any(int dir_fd, const char *pattern);
/* Opens a path without leaving dir_fd; symlinks that stay inside are followed. -1 with errno. */
int er_open_beneath(int dir_fd, const char *path, int flags);

#endif

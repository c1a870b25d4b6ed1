/*
 * glob_walk.h - the files that a pattern (base/glob.h) names.
 */
#ifndef ER_AGENT_GLOB_WALK_H
#define ER_AGENT_GLOB_WALK_H

#include <stdbool.h>
#include <sys/stat.h>
#include "base/err.h"
#include "base/glob.h"
#include "base/str.h"

/* Calls fn for each path below dir_fd that matches, and for everything below a directory that matches; path is relative
   to dir_fd. With `**` before the last component a path may come twice. Symlinks are followed only where the pattern
   names them literally, and never out of the directory. When fn returns -1, the walk stops and returns -1. */
typedef int (*er_glob_fn)(void *arg, int dir_fd, const char *name, const char *path, const struct stat *st,
                          struct er_err *err);
int er_glob_walk(int dir_fd, const char *pattern, er_glob_fn fn, void *arg, struct er_err *err);
/* The same for everything below a directory, without the directory itself. */
int er_glob_below(int dir_fd, const char *path, er_glob_fn fn, void *arg, struct er_err *err);
/* Anything matches. files: a symlink counts only when er_resolve_beneath finds something behind it. */
bool er_glob_any(int dir_fd, const char *pattern, bool files);
/* Opens a path without leaving dir_fd; symlinks that stay inside are followed. -1 with errno. */
int er_open_beneath(int dir_fd, const char *path, int flags);
/* Where a symlink leads, if that is inside dir_fd, also by an absolute path: *ret_real is the path relative to dir_fd.
   False when it leads elsewhere or to nothing. */
bool er_resolve_beneath(int dir_fd, const char *path, struct er_str *ret_real, struct stat *ret_st);

#endif

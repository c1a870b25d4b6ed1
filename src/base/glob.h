/*
 * glob.h - patterns of files: `*`, `?`, `[a-z]`, `[!a-z]`, a backslash makes the next byte literal, `**` as a whole
 * component crosses directories. Matching is by bytes, and a leading dot is nothing special. A name that is exactly the
 * pattern's text matches too.
 */
#ifndef ER_BASE_GLOB_H
#define ER_BASE_GLOB_H

#include "base/str.h"

/* Matches one component (no slashes in either). */
bool er_glob_match(const char *pattern, const char *name);
bool er_glob_is_plain(const char *pattern);
/* A whole relative path: true when the pattern matches it or a directory that it is below. At most in length times
 * length. */
bool er_glob_match_path(const char *pattern, const char *path);

#endif

/*
 * toml.h - reads a TOML file as a stream of leaves: enough for pyproject.toml, with inline tables and all kinds of
 * strings. Bytes from outside: depth and sizes are capped.
 */
#ifndef ER_ENVIRONMENT_TOML_H
#define ER_ENVIRONMENT_TOML_H

#include "base/err.h"
#include "base/str.h"

/* path: the keys from the root ("project", "dependencies"); items of an array all have the array's path, also where
   they are tables. text: a string's value, or the source of anything else (numbers, true);
   NULL: the end of an inline table. -1 ends the reading. */
typedef int (*er_toml_visit)(void *arg, const struct er_strv *path, const char *text, bool is_string,
                             struct er_err *err);

/* ER_CONFIG "name:line: ..." if it is malformed. */
int er_toml_read(struct er_sv text, const char *name, er_toml_visit visit, void *arg, struct er_err *err);

#endif

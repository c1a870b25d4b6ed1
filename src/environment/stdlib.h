/*
 * stdlib.h - the modules that come with Python.
 */
#ifndef ER_ENVIRONMENT_STDLIB_H
#define ER_ENVIRONMENT_STDLIB_H

#include "base/str.h"

/* `name` is the first part of an import: "os" of "os.path". */
bool er_stdlib_has(struct er_sv name);
/* Not in every Python in use (tomllib): a fallback beside it is needed. */
bool er_stdlib_is_recent(struct er_sv name);
/* The table, sorted: for its test. */
size_t er_stdlib_count(void);
const char *er_stdlib_at(size_t i);

#endif

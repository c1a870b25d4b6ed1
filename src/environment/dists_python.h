/*
 * dists_python.h - where the local Python keeps its packages.
 */
#ifndef ER_ENVIRONMENT_DISTS_PYTHON_H
#define ER_ENVIRONMENT_DISTS_PYTHON_H

#include "base/str.h"

/* The directories of installed packages, in the order in which Python looks into them. */
void er_dists_python_paths(const char *project_dir, struct er_strv *ret);

#endif

/*
 * installed.h - what is declared by pointing at something that exists: the root of a virtual environment, the root of a
 * conda environment, an environment.yml. All local; nothing is executed.
 */
#ifndef ER_ENVIRONMENT_INSTALLED_H
#define ER_ENVIRONMENT_INSTALLED_H

#include "base/err.h"
#include "base/str.h"
#include "environment/requirements.h"

bool er_is_venv(const char *dir);  /* it has pyvenv.cfg */
bool er_is_conda(const char *dir); /* it has conda-meta/ */

/* "name==version" of each distribution, as pip freeze would list them, without the tools themselves (pip, setuptools,
   wheel). One that was installed from a directory or repository is refused, with what to write instead, if it cannot
   be had elsewhere. ret_python: "3.11", or NULL. */
int er_venv_list(const char *dir, struct er_strv *ret, char **ret_python, struct er_err *err);
/* "name=version" of each conda package, "name==version" of what pip put there, and the channels they came from. */
int er_conda_list(const char *dir, struct er_strv *ret_conda, struct er_strv *ret_pip, struct er_strv *ret_channels,
                  struct er_err *err);
/* environment.yml: dependencies, channels, and the lines of its pip: section into requirements. */
int er_condafile_read(const char *path, const struct er_req_origin *from, struct er_strv *conda,
                      struct er_strv *channels, struct er_requirements *requirements, struct er_err *err);

#endif

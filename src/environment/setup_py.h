/*
 * setup_py.h - what the setup() of a setup.py says, where it stands there in plain literals. It is never executed. What
 * is computed is not guessed at: it is said to be unclear, with its line.
 */
#ifndef ER_ENVIRONMENT_SETUP_PY_H
#define ER_ENVIRONMENT_SETUP_PY_H

#include "base/err.h"
#include "base/str.h"

struct er_setup_py {
        char *name, *python_requires; /* (owned) or NULL */
        struct er_strv
                requires;       /* install_requires, with those of the extras that were asked for */
        struct er_strv files;   /* requirement files that it reads in their place, relative to its directory */
        struct er_strv offered; /* the extras there are, in the form of names */
        struct er_strv scripts; /* "name=module:function" */
        bool found;             /* it says something about dependencies */
        bool extensions;        /* it builds modules of C and the like */
        const char *unclear;    /* the argument that is computed, or NULL */
        unsigned line;          /* of what is unclear */
};
#define ER_SETUP_PY_INIT {0}
void er_setup_py_release(struct er_setup_py *setup);

/* extras: in the form of names. */
void er_setup_py_read(struct er_sv text, const struct er_strv *extras, struct er_setup_py *ret);

#endif

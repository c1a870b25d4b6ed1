/*
 * pyproject.h - what a Python project says it needs: pyproject.toml (PEP 621, Poetry), setup.cfg, and of setup.py what
 * stands there in plain literals (setup_py.h); what is computed there is refused. Nothing is executed, and nothing is
 * said about what a requirement means. Extras that name the project itself are its own.
 */
#ifndef ER_ENVIRONMENT_PYPROJECT_H
#define ER_ENVIRONMENT_PYPROJECT_H

#include "base/err.h"
#include "base/str.h"

/* A requirement as it is written there. */
struct er_pyproject_item {
        char *text;       /* (owned) */
        const char *file; /* (borrowed) from the project's files */
        unsigned line;    /* 0: not known */
};

struct er_pyproject {
        char *dir;                       /* (owned) as it was given */
        const char *file;                /* the last one that was read; NULL: the directory holds no project */
        struct er_strv files;            /* those that were read, as the user calls them */
        struct er_pyproject_item *items; /* (owned) */
        size_t count, cap;
        struct er_strv requirement_files; /* relative to dir, named instead of requirements (setuptools) */
        struct er_strv index_urls;
        struct er_strv scripts; /* "name=module:function" */
        char *requires_python;  /* (owned) or NULL */
        bool extensions;        /* it builds modules of C and the like: importing its directory is not enough */
        bool is_poetry;         /* requires_python is Poetry's, which says less than [project] */
        char *source;           /* (owned) the directory to import from, as the user calls it */
};
#define ER_PYPROJECT_INIT {0}
void er_pyproject_release(struct er_pyproject *project);

/* dir is absolute; shown is how the user calls it ("." is the project). With the requirements of the extras ("dev,test"
   or empty). ER_CONFIG and ER_IO name the file. */
int er_pyproject_read(const char *dir, const char *shown, struct er_sv extras, struct er_pyproject *ret,
                      struct er_err *err);

#endif

/*
 * imports.h - which distributions a Python script needs, found by reading it and the modules of the project it reaches.
 * Nothing is executed but, at most once, the local Python for its own list of what is installed.
 */
#ifndef ER_ENVIRONMENT_IMPORTS_H
#define ER_ENVIRONMENT_IMPORTS_H

#include "base/err.h"
#include "base/str.h"

struct er_found {
        char *import;       /* "sklearn.linear_model" as written first */
        char *distribution; /* "scikit-learn" */
        char *version;      /* of the local installation, or NULL: any */
        char *requirement;  /* as a notebook's `pip install` has it ("timm>=0.9", "x @ git+https://..."), or NULL */
        char *file;         /* where it was found first: relative to the project */
        unsigned line;      /* from 1 */
        bool optional; /* only in try/except ImportError, under TYPE_CHECKING or for another platform: not declared */
        char *note;    /* why no index has it ("installed here from file:///home/x/lib"); it is optional then */
};
struct er_found_list {
        struct er_found *items;
        size_t count, cap;
        struct er_strv options; /* of a notebook's `pip install`: "-r FILE" (relative to the project), "-i URL", ... */
};
#define ER_FOUND_LIST_INIT {0}
void er_found_list_release(struct er_found_list *list);

/* scripts: the entry points, relative to project_dir, and "-c CODE", "-m MODULE" or "-t DIR" (the tests below it) for
   what has no file; empty: every .py and .ipynb file of the project. Sorted by distribution (as
   PEP 503 normalises it, without the extras of a `!pip install x[y]`), each once. -1: ER_IO. What cannot be read or
   parsed is skipped. */
int er_imports_find(const char *project_dir, const struct er_strv *scripts, struct er_found_list *ret,
                    struct er_err *err);
/* The Python files that a command line runs ("python3 -u train.py --lr 1", "python -m pkg.train", "torchrun x.py",
   a shell line with "&&"): relative to project_dir, into ret; "-c CODE" and "-m MODULE" where there is no file in the
   project ("python -m pytest"), "-t DIR" for the tests below a directory. None: not a Python command. */
void er_imports_scripts_of(const char *project_dir, const char *workdir, const struct er_strv *command, bool shell,
                           struct er_strv *ret);
/* The same for Julia: `using`, `import` and `Pkg.add` of the script and what it includes. */
int er_julia_find(const char *project_dir, const struct er_strv *scripts, struct er_found_list *ret,
                  struct er_err *err);
void er_julia_scripts_of(const char *project_dir, const char *workdir, const struct er_strv *command, bool shell,
                         struct er_strv *ret);

/* PEP 723: the requirements of `# /// script`, and requires-python. 1: there is a block; 0: none; -1: malformed
 * (ER_CONFIG). */
struct er_inline_script {
        struct er_strv requirements;
        char *requires_python; /* or NULL */
};
#define ER_INLINE_SCRIPT_INIT {0}
void er_inline_script_release(struct er_inline_script *script);
int er_inline_script_read(const char *path, struct er_inline_script *ret, struct er_err *err);

#endif

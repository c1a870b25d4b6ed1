/*
 * requirements.h - what pip is asked for, from requirement files, single lines and pyproject.toml. Bytes from outside:
 * sizes, depth and counts are capped, and what is not a requirement is reported with its file and line.
 *
 * Items do not depend on a directory: a local wheel is in `files` and its item begins with "${ERRAND_FILES}/", which
 * both pip and uv expand on the host. A local directory ("-e .") is never packed: its dependencies are items, and the
 * directory is in `sources`, to be imported from the snapshot of each attempt. So editing the source does not make a
 * new environment, as with an editable installation.
 */
#ifndef ER_ENVIRONMENT_REQUIREMENTS_H
#define ER_ENVIRONMENT_REQUIREMENTS_H

#include "base/err.h"
#include "base/str.h"

struct er_requirements {
        struct er_strv items;       /* canonical: "numpy[extra]==1.26 ; marker --hash=..." */
        struct er_strv constraints; /* the same form */
        struct er_strv options;     /* "--no-binary x": kept as lines of the file */
        struct er_strv extra_index_urls, find_links, trusted_hosts;
        char *index_url;
        char *requires_python; /* of a pyproject.toml, or NULL */
        bool no_index, pre;
        struct er_strv sources; /* directories to import from, relative to the project ("." is the project) */
        struct er_strv scripts; /* "name=module:function": commands that those sources bring */
        struct er_strv notes;   /* what the user should know, for the log of the build */
        struct er_strv files;   /* absolute: wheels and archives of this machine */
        struct er_strv read;    /* absolute: the files that were read already (each once) */
};
#define ER_REQUIREMENTS_INIT {0}
void er_requirements_release(struct er_requirements *r);

/* Where a line comes from, for messages and for the names in it. */
struct er_req_origin {
        const char *project_dir;
        const char *dir;  /* of the file; names in it are tried below the project first, as pip run there would */
        const char *file; /* as the user calls it: "requirements.txt"; "pip" for what is in errand.yaml */
        unsigned line;    /* 0: none */
        unsigned depth;
        bool constraint; /* a file named by -c */
};

/* A requirements file. ER_CONFIG "requirements.txt:3: ...", ER_NOT_FOUND, ER_IO. */
int er_requirements_read(const char *path, const struct er_req_origin *from, struct er_requirements *ret,
                         struct er_err *err);
/* The text of one. */
int er_requirements_parse(struct er_sv text, const struct er_req_origin *from, struct er_requirements *ret,
                          struct er_err *err);
/* One logical line: a requirement or an option. */
int er_requirements_add(struct er_sv line, const struct er_req_origin *origin, struct er_requirements *ret,
                        struct er_err *err);

/* What a Python project in a directory depends on (pyproject.h), with those of the extras ("dev,test" or empty); its
   source directory too. */
int er_requirements_read_project(const char *dir, struct er_sv extras, const struct er_req_origin *from,
                                 struct er_requirements *ret, struct er_err *err);

#endif

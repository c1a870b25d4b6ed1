/*
 * dep_table.h - dependencies that are tables of their own in a pyproject.toml: those of Poetry, and the sources of uv
 * ([tool.uv.sources]). Each becomes a line as pip reads it.
 */
#ifndef ER_ENVIRONMENT_DEP_TABLE_H
#define ER_ENVIRONMENT_DEP_TABLE_H

#include "base/err.h"
#include "base/str.h"

struct er_dep {
        char *name; /* as written */
        char *version, *python, *markers, *platform;
        char *git, *ref, *subdirectory, *url, *path;
        struct er_strv extras;
        bool optional, workspace;
};
struct er_deps {
        struct er_dep *items;
        size_t count, cap;
        bool open; /* the last one may get more keys */
};
#define ER_DEPS_INIT {0}
void er_deps_release(struct er_deps *deps);

/* One leaf of the dependency `name`; key NULL: its version alone. */
void er_deps_take(struct er_deps *deps, const char *name, const char *key, const char *text);
/* The end of an inline table: what follows under the same name is another one of several. */
void er_deps_end(struct er_deps *deps);

/* It comes from somewhere else than an index. */
bool er_dep_has_source(const struct er_dep *dep);
/* Adds "name[extras]>=1,<2 ; marker", "name @ git+... ; marker" or "/dir/path[extras] ; marker". dir: of the file.
   extras and marker are what is said elsewhere ("[a,b]" and a condition; may be NULL). ER_CONFIG: a version that pip
   cannot say. */
int er_dep_line(const struct er_dep *dep, const char *dir, const char *extras, const char *marker, struct er_str *out,
                struct er_err *err);

/* In place of the lines ("six[x]>=1 ; marker") of the same names: those that say where it comes from, with their extras
   and markers. Others stay as they are. */
int er_deps_lay_over(const struct er_deps *deps, const char *dir, const char *file, struct er_strv *lines,
                     struct er_err *err);

/* Poetry's version ("^1.2", "~1.2", "1.*") as pip's. False: alternatives ("^1 || ^2"). */
bool er_poetry_version(const char *text, struct er_str *out);

#endif

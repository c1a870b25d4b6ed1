/*
 * imports_tree.h - the project's directories as imports see them. Each is listed once, when it is first needed.
 */
#ifndef ER_ENVIRONMENT_IMPORTS_TREE_H
#define ER_ENVIRONMENT_IMPORTS_TREE_H

#include "base/err.h"
#include "base/map.h"
#include "base/str.h"

enum er_entry {
        ER_ENTRY_NONE = 0,
        ER_ENTRY_FILE,
        ER_ENTRY_DIR,
        ER_ENTRY_COMPILED /* a stem with a .so, .pyx or .pyd */
};

struct er_project {
        int fd;
        struct er_map dirs; /* path -> listing */
};
#define ER_PROJECT_INIT {.fd = -1}
int er_project_open(struct er_project *project, const char *dir, struct er_err *err);
void er_project_release(struct er_project *project);

/* What `name` is in `dir` (relative to the project, "" its root). */
enum er_entry er_project_look(struct er_project *project, const char *dir, const char *name, size_t len);
/* Does it hold .py files itself? */
bool er_project_has_code(struct er_project *project, const char *dir);
/* Every .py and .ipynb file of the project, sorted; not those of virtual environments, builds and hidden directories.
 */
void er_project_files(struct er_project *project, struct er_strv *ret);

#endif

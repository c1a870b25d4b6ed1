/*
 * dists.h - distributions: which one an import comes from, by what the local Python has installed (its own metadata,
 * read as files) and by a table of well-known names. No index is asked.
 */
#ifndef ER_ENVIRONMENT_DISTS_H
#define ER_ENVIRONMENT_DISTS_H

#include "base/err.h"
#include "base/str.h"

struct er_dist {
        char *name;    /* as PEP 503 normalises it */
        char *version; /* the version that an index has; NULL where it may have none */
        char *note;    /* why it cannot come from an index, or NULL */
};

/* What is installed for the Python a command of this project would use: $VIRTUAL_ENV, $CONDA_PREFIX, .venv or venv of
   the project, else python3 in PATH, which is run once and its answer kept in the cache directory. Nothing is read
   before the first question; no Python at all is as if nothing were installed. */
struct er_dists;
struct er_dists *er_dists_new(const char *project_dir);
void er_dists_free(struct er_dists *dists);
ER_DEFINE_AUTOPTR(er_dists)

/* The installed distribution that has this module ("google.cloud.storage.blob": by the longest part that is a module),
   or NULL (borrowed until the next question). */
const struct er_dist *er_dists_find(struct er_dists *dists, struct er_sv import);

/* The table: the distribution of the import or of its nearest parent that is in it, or NULL. */
const char *er_dist_known(struct er_sv import);
/* Is it a package that many distributions share ("google", "azure")? */
bool er_dist_is_space(struct er_sv import);
/* What the table says, else the name itself (owned). NULL if that is no distribution: "google" alone. */
char *er_dist_guess(struct er_sv import);

/* The table, sorted by import: for its test. */
size_t er_dist_table_count(void);
void er_dist_table_at(size_t i, const char **ret_import, const char **ret_distribution);

#endif

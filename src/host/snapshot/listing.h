/*
 * listing.h - which files of a project travel, by name only: what git tracks or does not ignore, or everything but the
 * usual caches; without what .errandignore excludes, results/ and errand's own directories. Private to src/host.
 *
 * A listing also records what it was made from (its watches): every directory that was read, every .gitignore, git's
 * index and configuration. While all of those keep their stat data, the listing holds, and git need not be asked again:
 * that is what makes an unchanged project cheap.
 */
#ifndef ER_HOST_SNAPSHOT_LISTING_H
#define ER_HOST_SNAPSHOT_LISTING_H

#include <stdbool.h>
#include "base/err.h"
#include "base/cancel.h"
#include "host/snapshot/file_stat.h"
#include "host/snapshot/names.h"

struct er_listing_item {
        const char *path; /* relative to the project, NUL-terminated, (borrowed) from the listing's names */
        uint32_t len;
        char type; /* 'f': lstat will say; 'd': a directory with nothing in it that travels */
};
struct er_listing_watch {
        const char *path; /* relative to the project, or absolute; "." for the project itself */
        struct er_file_stat stat;
};
struct er_listing {
        struct er_names names;
        struct er_listing_item *items; /* (owned) in order of path by memcmp, no path twice */
        size_t len, cap;
        struct er_listing_watch *watches; /* (owned) */
        size_t watch_len, watch_cap;
        bool watched; /* the watches are all there is to watch */
};
#define ER_LISTING_INIT {0}
void er_listing_release(struct er_listing *listing);

/* dir is absolute, root_fd is open on it. ER_CONFIG if git refuses, or if .errandignore needs a git that is not
   installed. */
int er_listing_make(const char *dir, int root_fd, struct er_cancel *cancel, struct er_listing *ret, struct er_err *err);
/* True if nothing has changed there. */
struct er_steps;
bool er_listing_holds(const struct er_listing_watch *watch, struct er_steps *steps);
/* What else the answer depends on: git's variables, whether there is a repository. Only for comparing. */
uint64_t er_listing_setting(const char *dir);

#endif

/*
 * listing.h - which files of a project travel, by name only: what git tracks and does not ignore, or everything but the
 * usual caches; less what .errandignore takes away, results/ and errand's own directories. Private to src/host.
 *
 * A listing also says what it was made from (its watches): every directory that was read, every .gitignore, git's index
 * and configuration. While all of those have the stat data they had, the listing is what it was, and nobody needs to be
 * asked again: that is what makes an unchanged project cheap.
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

/* dir is absolute, root_fd is open on it. ER_CONFIG when git refuses or .errandignore needs a git that is not there. */
int er_listing_make(const char *dir, int root_fd, struct er_cancel *cancel, struct er_listing *ret, struct er_err *err);
/* Nothing has changed there. */
struct er_steps;
bool er_listing_holds(const struct er_listing_watch *watch, struct er_steps *steps);
/* What else the answer depends on: git's environment, whether there is a repository. For comparing only. */
uint64_t er_listing_setting(const char *dir);

#endif

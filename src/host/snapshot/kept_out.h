/*
 * kept_out.h - what git keeps out of a snapshot: the files in the project that it ignores. For --dry-run, as finding
 * them means to look into every directory.
 */
#ifndef ER_HOST_SNAPSHOT_KEPT_OUT_H
#define ER_HOST_SNAPSHOT_KEPT_OUT_H

#include "host/snapshot/snapshot.h"

#define ER_KEPT_OUT_MAX 5u

struct er_kept_out {
        uint64_t files, bytes;
        struct er_dir_size largest[ER_KEPT_OUT_MAX]; /* at the top of the project; a directory ends with a slash */
        size_t largest_len;
};
void er_kept_out_release(struct er_kept_out *kept);
/* All zero outside a repository, or when git does not say. results/ is not counted. */
void er_kept_out_find(const char *dir, const struct er_snapshot *snapshot, struct er_kept_out *ret);

#endif

/*
 * scan.h - from names to facts: stat data, link targets, and hashes of the files that differ from what the stat cache
 * knows, by several threads. Private to snapshot.c.
 */
#ifndef ER_HOST_SNAPSHOT_SCAN_H
#define ER_HOST_SNAPSHOT_SCAN_H

#include "base/cancel.h"
#include "base/err.h"
#include "host/snapshot/file_stat.h"
#include "host/snapshot/names.h"
#include "proto/tree.h"

struct er_scan_file {
        const char *path; /* NUL-terminated, (borrowed) */
        uint32_t path_len;
        char type; /* before: of the listing. After: 'f', 'l', 'd', or 0 when it is not there or cannot travel */
        bool same; /* the stat cache had the same for it */
        const char *target; /* of a symlink, (borrowed) from the scan's names */
        uint32_t target_len;
        struct er_file_stat stat;         /* as the file was when it was hashed; of 'd' only the type */
        const struct er_file_stat *known; /* what the stat cache has, if it can be trusted; or NULL */
        unsigned char hash[ER_TREE_HASH]; /* in: that of the known one */
};

struct er_scan {
        const char *dir; /* for messages */
        int root_fd;
        int64_t taken_ns;
        bool sizes_only;                                             /* read no contents: hashes stay zero */
        struct er_cancel *cancel;                                    /* may be NULL */
        void (*progress)(void *arg, uint64_t files, uint64_t bytes); /* may be NULL; from the calling thread only */
        void *arg;
        struct er_names names; /* out: the targets */
        uint64_t hashed;       /* out: files that were read */
};
int er_scan_run(struct er_scan *scan, struct er_scan_file *files, size_t len, struct er_err *err);

#endif

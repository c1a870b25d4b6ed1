/* snapshot_impl.h - what snapshot.c and send.c share. */
#ifndef ER_HOST_SNAPSHOT_SNAPSHOT_IMPL_H
#define ER_HOST_SNAPSHOT_SNAPSHOT_IMPL_H

#include "host/snapshot/scan.h"
#include "host/snapshot/snapshot.h"
#include "host/snapshot/statcache.h"

struct er_snapshot {
        struct er_listing listing; /* names of the files, unless they are the cache's */
        struct er_statcache cache;
        struct er_names targets;
        struct er_scan_file *files; /* (owned) in order of path */
        size_t len;
        int64_t taken_ns;
        uint64_t file_count, bytes;
        unsigned char hash[ER_TREE_HASH];
        struct er_str packed; /* all entries, if they were packed for the hash and are not too many; or empty */
};

/* Bytes of all entries, packed. */
size_t er_snapshot_packed_size(const struct er_snapshot *snapshot);

#endif

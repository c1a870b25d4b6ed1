/*
 * statcache.h - what the last snapshot of a directory saw: the stat data and hash of each file, and what the listing
 * was made from. One file per directory below the cache directory, written beside and renamed, mapped to read. It may
 * be lost at any time; a damaged one is as good as none. Private to snapshot.c.
 *
 *      header | file records | watch records | names, each ended by NUL
 *
 * in the byte order of the machine (the header's magic number tells). Records are in order of path.
 */
#ifndef ER_HOST_SNAPSHOT_STATCACHE_H
#define ER_HOST_SNAPSHOT_STATCACHE_H

#include "host/snapshot/listing.h"
#include "host/snapshot/scan.h"

struct er_stat_record {
        struct er_file_stat stat;
        unsigned char hash[ER_TREE_HASH];
        uint32_t path; /* offset in the names */
        uint32_t path_len;
};

struct er_statcache {
        void *map; /* (owned) */
        size_t map_len;
        const struct er_stat_record *files, *watches;
        size_t file_count, watch_count;
        const char *names;
        int64_t taken_ns; /* when that snapshot was begun: later changes may hide behind equal stat data */
        uint64_t setting; /* er_listing_setting then */
        bool watched;     /* the watches decide whether the list of files holds still */
        unsigned char tree[ER_TREE_HASH];
};
#define ER_STATCACHE_INIT {0}
void er_statcache_release(struct er_statcache *cache);

/* For our own files: against flipped bits, not against people. */
uint64_t er_cache_checksum(const void *data, size_t len);

/* False if there is no sound one. */
bool er_statcache_load(const char *dir, struct er_statcache *ret);
/* Views into the bytes of such a file, its checksum unchecked. False if anything in it is out of place. */
bool er_statcache_parse(const void *data, size_t len, const char *dir, struct er_statcache *ret);
/* Only taken_ns, setting, watched and tree of `facts` are read. */
int er_statcache_save(const char *dir, const struct er_statcache *facts, const struct er_scan_file *files,
                      size_t file_count, const struct er_listing_watch *watches, size_t watch_count,
                      struct er_err *err);

#endif

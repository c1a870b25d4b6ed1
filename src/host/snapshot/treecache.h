/*
 * treecache.h - the lists of files that were recently sent to hosts, so that the next one can be sent as a difference.
 * A few per project below the cache directory; any may be lost at any time. Private to send.c.
 */
#ifndef ER_HOST_SNAPSHOT_TREECACHE_H
#define ER_HOST_SNAPSHOT_TREECACHE_H

#include "base/str.h"
#include "proto/tree.h"

struct er_treecache {
        void *map; /* (owned) */
        size_t map_len;
        struct er_sv packed; /* entries */
        uint64_t sum;        /* of their er_tree_entry_sum */
};
#define ER_TREECACHE_INIT {0}
void er_treecache_release(struct er_treecache *tree);
/* False if it does not exist, or is not what its name says. */
bool er_treecache_load(const char *project, const unsigned char hash[ER_TREE_HASH], struct er_treecache *ret);
/* Marks it as just used. False if it does not exist. */
bool er_treecache_touch(const char *project, const unsigned char hash[ER_TREE_HASH]);
/* Keeps it, and drops the least recently used. Failing is no error: it is a cache. */
void er_treecache_save(const char *project, const unsigned char hash[ER_TREE_HASH], struct er_sv packed, uint64_t sum);

#endif

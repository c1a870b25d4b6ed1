/*
 * treecache.h - the lists of files that were brought to hosts lately, so that the next one can be sent as a difference.
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
/* False when it is not there, or is not what its name says. */
bool er_treecache_load(const char *project, const unsigned char hash[ER_TREE_HASH], struct er_treecache *ret);
/* Marks it as used just now. False when it is not there. */
bool er_treecache_touch(const char *project, const unsigned char hash[ER_TREE_HASH]);
/* Keeps it, and drops those not used for the longest time. Failing is no error: it is a cache. */
void er_treecache_save(const char *project, const unsigned char hash[ER_TREE_HASH], struct er_sv packed, uint64_t sum);

#endif

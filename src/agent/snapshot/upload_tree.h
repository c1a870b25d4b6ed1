/*
 * upload_tree.h - the tree that an upload produces: its base with the difference applied, in memory until it is
 * written.
 */
#ifndef ER_AGENT_SNAPSHOT_UPLOAD_TREE_H
#define ER_AGENT_SNAPSHOT_UPLOAD_TREE_H

#include "agent/snapshot/upload_contents.h"

struct er_merge {
        struct er_str body;
        uint32_t count;
        uint64_t sum, bytes;
        uint64_t *needs; /* (owned) by pack: bytes needed of it; 0: none */
        uint32_t packs;
};
void er_merge_release(struct er_merge *merge);
/* To be called when all contents are known. ER_NOT_FOUND "snapshot" when the result is not the tree that was
   announced. */
int er_merge_make(const struct er_upload *up, struct er_merge *ret, struct er_err *err);
/* To be called when the packs are in place. Reduces up->packs to those that the tree needs. */
int er_merge_write(struct er_upload *up, struct er_merge *merge, struct er_err *err);

#endif

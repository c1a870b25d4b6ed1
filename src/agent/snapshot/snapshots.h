/*
 * snapshots.h - the snapshots on this host: lists of files (trees) over contents (packs).
 *
 * snapshots/<project>/
 *      lock            shared by those who add or use, exclusive for garbage collection
 *      trees/<hex>     one list; the name is the tree's hash
 *      packs/<..>.pack  contents, append-only while named `.part`, never changed afterwards
 *      spare/          see worktree.h
 *
 * A pack is "ERPACK1\n", then for each content: 32 bytes hash | u64 size | data. Data of 64 KiB or more begins at a
 * multiple of 4096, so that copy_file_range(2) can share its blocks on file systems that support it.
 *
 * A tree file is "ERTREE2\n" | u32 entries | u32 packs | u64 checksum | u64 bytes of all contents | u32 synced | u32 0
 * | 40 bytes boot id | packs x { 88 bytes name | u64 minimum size } | body. For each entry, the body has its packed
 * form (proto/tree.h), then u32 pack | u32 0 | u64 offset. An empty file, a symlink and a directory have pack
 * 0xffffffff.
 *
 * Every pack in the list is needed by some entry. A tree is usable when it is complete: its packs exist and are as
 * large as needed, since a pack is renamed into place before its tree. Neither waits for the disk: a child of the agent
 * calls fsync on all its packs afterwards and then sets `synced`. A tree that is not synced and was written before the
 * last boot counts as absent, and is sent again.
 */
#ifndef ER_AGENT_SNAPSHOT_SNAPSHOTS_H
#define ER_AGENT_SNAPSHOT_SNAPSHOTS_H

#include "base/err.h"
#include "base/str.h"
#include "proto/tree.h"

#define ER_TREE_HEX (2 * ER_TREE_HASH + 1)
#define ER_NO_PACK 0xffffffffu

void er_tree_hex(const unsigned char hash[ER_TREE_HASH], char ret[ER_TREE_HEX]);
/* "snapshots/<project made safe>" relative to the root (owned). */
char *er_snapshots_dir(const char *project);
/* Keeps garbage collection away from the project while the returned descriptor is open (a shared lock). SUBMIT holds it
   from looking for the tree until the attempt's spec is in place. -1 with err on failure. */
int er_snapshots_hold(int root, const char *project, struct er_err *err);
bool er_snapshots_have(int root, const char *project, const unsigned char hash[ER_TREE_HASH]);
/* Appends TREE tags, newest first, at most max. */
void er_snapshots_list(int root, const char *project, size_t max, struct er_str *out);

/* An open tree: read-only memory of its file. */
struct er_tree_file {
        const unsigned char *map; /* (owned) mmap */
        size_t size;
        uint32_t count, packs;
        uint64_t checksum, bytes;
        struct er_sv body;
};
#define ER_TREE_FILE_INIT {0}
/* ER_NOT_FOUND with provider code "snapshot" when the tree is absent or damaged, lacks a pack, or may have been lost in
   a power cut. */
int er_tree_file_open(int root, const char *project, const unsigned char hash[ER_TREE_HASH], struct er_tree_file *ret,
                      struct er_err *err);
void er_tree_file_release(struct er_tree_file *tree);
const char *er_tree_file_pack(const struct er_tree_file *tree, uint32_t pack); /* its file name; NULL out of range */
/* For a tree that turned out to be damaged: it counts as absent from now on. */
void er_tree_file_condemn(int root, const char *project, const unsigned char hash[ER_TREE_HASH]);
struct er_pack_location {
        uint32_t pack;
        uint64_t offset;
};
/* The next entry of a body: 1; 0 at the end; -1 when damaged. */
int er_tree_file_next(struct er_sv *rest, struct er_tree_entry *ret, struct er_pack_location *ret_where,
                      struct er_err *err);
/* The same, by er_tree_skip. */
int er_tree_file_skip(struct er_sv *rest, struct er_tree_packed *ret, struct er_pack_location *ret_where,
                      struct er_err *err);

struct er_snapshots_gc {
        uint64_t freed, trees, packs;
};
/* Removes trees that needed() does not claim (except the newest of each project), packs that no tree needs, and stale
   leftovers. needed() is called while nobody can add to the project, and must read the attempts' specs then, not
   before. Projects in use are skipped. */
int er_snapshots_collect(int root, bool (*needed)(void *arg, const char *dir, const char *hex), void *arg, bool dry,
                         struct er_snapshots_gc *gc, struct er_err *err);

#endif

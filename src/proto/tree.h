/*
 * tree.h - a snapshot's list of files: entries sorted by path (memcmp), no path twice, no absolute path, no "..".
 *
 * A packed entry is  u8 type | u8 0 | u16 mode | u32 path length | u64 size | 32 bytes hash | path  where for a symlink
 * ('l') size is the length of its target and the target follows the path; a directory ('d', only an empty one is
 * listed) has size 0; the hash of 'l' and 'd' is zero. mode keeps only the executable bit: 0644 or 0755.
 * The tree's hash is the SHA-256 of all packed entries in order.
 */
#ifndef ER_PROTO_TREE_H
#define ER_PROTO_TREE_H

#include "base/err.h"
#include "base/str.h"
#include "proto/spec.h"

#define ER_TREE_PATH_MAX 4096u

struct er_tree_entry {
        char type; /* 'f', 'l', 'd' */
        uint16_t mode;
        uint64_t size;
        unsigned char hash[ER_TREE_HASH];
        struct er_sv path;
        struct er_sv target; /* of a symlink */
};

void er_tree_pack(struct er_str *out, const struct er_tree_entry *entry);
/* Takes one entry off *rest: 1, 0 at the end, -1 when damaged or unsafe (ER_REMOTE). Views point into rest. */
int er_tree_unpack(struct er_sv *rest, struct er_tree_entry *ret, struct er_err *err);
/* GONE lists: u32 length | path ... */
void er_tree_pack_path(struct er_str *out, struct er_sv path);
int er_tree_unpack_path(struct er_sv *rest, struct er_sv *ret, struct er_err *err);
/* Order-independent: the sum over entries of er_hash64(packed entry). A difference applied to the wrong base is noticed. */
uint64_t er_tree_entry_sum(const struct er_tree_entry *entry);

#endif

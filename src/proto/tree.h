/*
 * tree.h - a snapshot's list of files: entries sorted by path (memcmp), without duplicates, absolute paths and "..".
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
#define ER_TREE_PACKED_MIN 48u /* of a packed entry, without path and target */

struct er_tree_entry {
        char type; /* 'f', 'l', 'd' */
        uint16_t mode;
        uint64_t size;
        unsigned char hash[ER_TREE_HASH];
        struct er_sv path;
        struct er_sv target; /* of a symlink */
};

void er_tree_pack(struct er_str *out, const struct er_tree_entry *entry);
/* Takes one entry off *rest: 1; 0 at the end; -1 when damaged or unsafe (ER_REMOTE). Views point into rest. */
int er_tree_unpack(struct er_sv *rest, struct er_tree_entry *ret, struct er_err *err);
/*
 * For going through a long list of which little matters: the bytes of the next entry, unparsed. Two entries are equal
 * if and only if their bytes are. 1; 0 at the end; -1 when the lengths do not fit. Anything used for more than
 * comparing must go through er_tree_unpack.
 */
struct er_tree_packed {
        struct er_sv all;
        struct er_sv path;
};
int er_tree_skip(struct er_sv *rest, struct er_tree_packed *ret, struct er_err *err);
/* False unless it is a file; then its size and hash (ER_TREE_HASH bytes, borrowed). */
bool er_tree_packed_file(const struct er_tree_packed *packed, uint64_t *ret_size, const unsigned char **ret_hash);
/* Compares paths in the order of a list. */
int er_tree_path_compare(struct er_sv a, struct er_sv b);
/* GONE lists: u32 length | path ... */
void er_tree_pack_path(struct er_str *out, struct er_sv path);
int er_tree_unpack_path(struct er_sv *rest, struct er_sv *ret, struct er_err *err);
/* The sum over entries of er_hash64(packed entry), independent of their order. It shows when a difference was applied
   to the wrong base. */
uint64_t er_tree_entry_sum(const struct er_tree_entry *entry);

#endif

/*
 * tree_format.h - the bytes of tree files and packs (snapshots.h describes them), for the files that read and write
 * them. Hosts are little-endian; both agents' architectures are.
 */
#ifndef ER_AGENT_SNAPSHOT_TREE_FORMAT_H
#define ER_AGENT_SNAPSHOT_TREE_FORMAT_H

#include <stdint.h>
#include "base/str.h"
#include "proto/spec.h"

#define ER_TREE_MAGIC "ERTREE2\n"
#define ER_PACK_MAGIC "ERPACK1\n"
#define ER_PACK_NAME 88u /* NUL-padded, at least one */
#define ER_BOOT_ID 40u
#define ER_TREE_FILE_MAX ((uint64_t)4 << 30)
#define ER_PACK_ALIGN_FROM ((uint64_t)64 << 10)
#define ER_PACK_ALIGN ((uint64_t)4096)

struct er_tree_header {
        char magic[8];
        uint32_t count, packs;
        uint64_t checksum, bytes, body;
        uint32_t synced, reserved;
        char boot_id[ER_BOOT_ID];
};
struct er_tree_pack {
        char name[ER_PACK_NAME];
        uint64_t size; /* its minimum size */
};
struct er_pack_location_record {
        uint32_t pack, reserved;
        uint64_t offset;
};
struct er_pack_record {
        unsigned char hash[ER_TREE_HASH];
        uint64_t size;
};

/* Where the data of a record begins, when its header ends at `at`. */
static inline uint64_t er_pack_data_offset(uint64_t at, uint64_t size)
{
        return size >= ER_PACK_ALIGN_FROM ? (at + ER_PACK_ALIGN - 1) & ~(ER_PACK_ALIGN - 1) : at;
}

/* Writes a tree to the disk, in a child so that nobody waits: contents first, then the list, then the mark that it is
   synced. packs: a struct er_tree_pack for each pack the list needs. */
void er_tree_sync(int root, const char *dir, const char *hex, const struct er_str *packs);

/* The kernel's boot id, NUL-padded; $ERRAND_BOOT_ID replaces it in tests. */
void er_boot_id(char ret[ER_BOOT_ID]);

#endif

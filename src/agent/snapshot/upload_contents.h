/*
 * upload_contents.h - what has come of an upload (upload.h): its entries, which contents they want, and where those
 * are.
 */
#ifndef ER_AGENT_SNAPSHOT_UPLOAD_CONTENTS_H
#define ER_AGENT_SNAPSHOT_UPLOAD_CONTENTS_H

#include "agent/snapshot/snapshots.h"
#include "agent/snapshot/tree_format.h"

enum { CONTENT_NONE, CONTENT_KNOWN, CONTENT_WANTED };

/* One entry that was sent; sorted by path as they came. */
struct item {
        uint32_t at; /* of its packed form in `list` */
        uint8_t state;
        struct er_pack_location where; /* KNOWN: final; WANTED: pack ER_NO_PACK until its data has come */
        uint32_t same_as;              /* WANTED: the first item with this content */
};

struct er_upload {
        int root;
        int hold; /* shared lock of the project */
        char *project, *dir, *part_path;
        unsigned char hash[ER_TREE_HASH];
        char hex[ER_TREE_HEX];
        uint32_t count;
        uint64_t checksum;
        bool has_base, listed, present, failed;
        struct er_tree_file base;

        struct er_str list; /* packed entries */
        struct er_str gone; /* packed paths */
        struct item *items;
        size_t item_count, item_cap;
        uint32_t *table; /* open addressing over contents: item + 1; 0: free */
        size_t table_size;
        size_t resolved; /* wanted contents that were found or have come */
        size_t wanted;

        struct er_str packs; /* struct er_tree_pack, the base's first; their sizes are those that the new tree needs,
                                known at the end */
        bool has_own_pack;
        uint32_t own_pack; /* index of what the part becomes in them */
        int part;
        uint64_t part_size; /* with what is in `pending` */
        struct er_str pending;
        uint32_t open_item; /* whose data is coming */
        uint64_t open_done;
        uint64_t open_at; /* of its record in the part */
};
#define NO_ITEM 0xffffffffu

/* Entry of the item; views into the list. */
void er_upload_entry(const struct er_upload *up, size_t index, struct er_tree_entry *ret);

/* The list is whole: says of each item whether its content is another one's too. */
void er_upload_index(struct er_upload *up);
/* Looks for wanted contents in the trees that are here. */
void er_upload_look(struct er_upload *up);
/* The item (+ 1) whose content is wanted or known, or 0. */
uint32_t er_upload_find(const struct er_upload *up, const unsigned char *hash, uint64_t size);
void er_upload_found(struct er_upload *up, const unsigned char *hash, uint64_t size, uint32_t pack, uint64_t offset);

uint32_t er_upload_packs(const struct er_upload *up);
struct er_tree_pack er_upload_pack(const struct er_upload *up, uint32_t pack);
uint32_t er_upload_add_pack(struct er_upload *up, const char *name); /* its number, also if it is there already */

#endif

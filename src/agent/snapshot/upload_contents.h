/*
 * upload_contents.h - what has arrived of an upload (upload.h): its entries, the contents they want, and where those
 * are.
 */
#ifndef ER_AGENT_SNAPSHOT_UPLOAD_CONTENTS_H
#define ER_AGENT_SNAPSHOT_UPLOAD_CONTENTS_H

#include "agent/snapshot/snapshots.h"
#include "agent/snapshot/tree_format.h"

enum { CONTENT_NONE, CONTENT_KNOWN, CONTENT_WANTED };

/* One entry, in the order of arrival, which is sorted by path. */
struct item {
        uint32_t at; /* where its packed form is in `list` */
        uint8_t state;
        struct er_pack_location where; /* KNOWN: final; WANTED: pack ER_NO_PACK until its data arrives */
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
        size_t resolved; /* wanted contents that were found or have arrived */
        size_t wanted;

        struct er_str packs; /* struct er_tree_pack, the base's first; sizes are set at the end */
        bool has_own_pack;
        uint32_t own_pack; /* index in them of the pack that the part becomes */
        int part;
        uint64_t part_size; /* including `pending` */
        struct er_str pending;
        uint32_t open_item; /* whose data is arriving */
        uint64_t open_done;
        uint64_t open_at; /* of its record in the part */
};
#define NO_ITEM 0xffffffffu

/* The entry of an item; views into the list. */
void er_upload_entry(const struct er_upload *up, size_t index, struct er_tree_entry *ret);

/* The list is complete: finds out which items share their content. */
void er_upload_index(struct er_upload *up);
/* Looks for wanted contents in the trees on this host. */
void er_upload_look(struct er_upload *up);
/* The item (+ 1) with this content, wanted or known; 0: none. */
uint32_t er_upload_find(const struct er_upload *up, const unsigned char *hash, uint64_t size);
void er_upload_found(struct er_upload *up, const unsigned char *hash, uint64_t size, uint32_t pack, uint64_t offset);

uint32_t er_upload_packs(const struct er_upload *up);
struct er_tree_pack er_upload_pack(const struct er_upload *up, uint32_t pack);
uint32_t er_upload_add_pack(struct er_upload *up, const char *name); /* its number, also if it was already there */

#endif

/* upload_contents.c - see upload_contents.h */
#include "agent/snapshot/upload_contents.h"

#include "proto/msg.h"

#define OTHER_TREES 3u /* searched for contents, besides the base */
/* Up to this many bytes, sending again is cheaper than searching trees other than the base. */
#define LITTLE ((uint64_t)64 << 10)

void er_upload_entry(const struct er_upload *up, size_t index, struct er_tree_entry *ret)
{
        struct er_sv rest = er_svn(up->list.buf + up->items[index].at, up->list.len - up->items[index].at);

        (void)er_tree_unpack(&rest, ret, NULL); /* was checked when it arrived */
}

static uint64_t content_key(const unsigned char *hash)
{
        uint64_t key;

        memcpy(&key, hash, sizeof key);
        return key;
}

/* The table's slot for this content: that of the item with it, or a free one. */
static uint32_t *find_slot(const struct er_upload *up, const unsigned char *hash, uint64_t size)
{
        for (size_t i = content_key(hash) & (up->table_size - 1);; i = (i + 1) & (up->table_size - 1)) {
                struct er_tree_entry entry;

                if (!up->table[i])
                        return &up->table[i];
                er_upload_entry(up, up->table[i] - 1, &entry);
                if (entry.size == size && memcmp(entry.hash, hash, ER_TREE_HASH) == 0)
                        return &up->table[i];
        }
}

void er_upload_index(struct er_upload *up)
{
        up->table_size = 16;
        while (up->table_size < up->item_count * 2)
                up->table_size *= 2;
        up->table = er_calloc(up->table_size, sizeof *up->table);
        for (size_t i = 0; i < up->item_count; i++) {
                struct er_tree_entry entry;
                uint32_t *slot;

                if (up->items[i].state != CONTENT_WANTED)
                        continue;
                er_upload_entry(up, i, &entry);
                slot = find_slot(up, entry.hash, entry.size);
                if (!*slot) {
                        *slot = (uint32_t)i + 1;
                        up->wanted++;
                }
                up->items[i].same_as = *slot - 1;
        }
}

uint32_t er_upload_packs(const struct er_upload *up)
{
        return (uint32_t)(up->packs.len / sizeof(struct er_tree_pack));
}

struct er_tree_pack er_upload_pack(const struct er_upload *up, uint32_t pack)
{
        struct er_tree_pack ret;

        memcpy(&ret, up->packs.buf + (size_t)pack * sizeof ret, sizeof ret);
        return ret;
}

uint32_t er_upload_add_pack(struct er_upload *up, const char *name)
{
        struct er_tree_pack pack = {0};
        uint32_t count = er_upload_packs(up);

        for (uint32_t i = 0; i < count; i++) {
                pack = er_upload_pack(up, i);
                if (strncmp(pack.name, name, sizeof pack.name) == 0)
                        return i;
        }
        pack = (struct er_tree_pack){0};
        memcpy(pack.name, name, strnlen(name, sizeof pack.name - 1));
        er_str_addn(&up->packs, &pack, sizeof pack);
        return count;
}

void er_upload_found(struct er_upload *up, const unsigned char *hash, uint64_t size, uint32_t pack, uint64_t offset)
{
        uint32_t *slot = find_slot(up, hash, size);
        struct item *item = *slot ? &up->items[*slot - 1] : NULL;

        if (!item || item->state == CONTENT_KNOWN)
                return;
        item->state = CONTENT_KNOWN;
        item->where = (struct er_pack_location){.pack = pack, .offset = offset};
        up->resolved++;
}

uint32_t er_upload_find(const struct er_upload *up, const unsigned char *hash, uint64_t size)
{
        return *find_slot(up, hash, size);
}

static void look_through(struct er_upload *up, const struct er_tree_file *tree)
{
        struct er_sv rest = tree->body;
        struct er_tree_packed packed;
        struct er_pack_location where;

        while (up->resolved < up->wanted && er_tree_file_skip(&rest, &packed, &where, NULL) == 1) {
                const unsigned char *hash;
                const char *name;
                uint64_t size;

                if (where.pack == ER_NO_PACK || !er_tree_packed_file(&packed, &size, &hash) ||
                    !*find_slot(up, hash, size))
                        continue;
                name = er_tree_file_pack(tree, where.pack);
                if (name)
                        er_upload_found(up, hash, size, er_upload_add_pack(up, name), where.offset);
        }
}

static uint64_t wanted_bytes(const struct er_upload *up)
{
        struct er_tree_entry entry;
        uint64_t bytes = 0;

        for (size_t i = 0; i < up->item_count; i++) {
                if (up->items[i].state != CONTENT_WANTED || up->items[i].same_as != i)
                        continue;
                er_upload_entry(up, i, &entry);
                bytes += entry.size;
        }
        return bytes;
}

void er_upload_look(struct er_upload *up)
{
        er_auto(er_str) hashes = ER_STR_INIT;
        struct er_sv rest;
        struct er_field field;

        if (up->has_base)
                look_through(up, &up->base);
        /* Searching long lists takes longer than sending a little data. */
        if (up->resolved == up->wanted || (up->has_base && wanted_bytes(up) <= LITTLE))
                return;
        er_snapshots_list(up->root, up->project, OTHER_TREES, &hashes);
        rest = er_svn(hashes.buf, hashes.len);
        while (up->resolved < up->wanted && er_msg_next(&rest, &field)) {
                struct er_tree_file tree = ER_TREE_FILE_INIT;

                if (er_tree_file_open(up->root, up->project, (const unsigned char *)field.value.ptr, &tree, NULL) == 0)
                        look_through(up, &tree);
                er_tree_file_release(&tree);
        }
}

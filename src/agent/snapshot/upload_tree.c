/* upload_tree.c - see upload_tree.h */
#include "agent/snapshot/upload_tree.h"

#include "base/io.h"
#include "base/map.h"
#include "base/path.h"

void er_merge_release(struct er_merge *merge)
{
        er_str_release(&merge->body);
        free(merge->needs);
}

/* Notes that the tree needs these bytes. False: there is no such pack. */
static bool need(struct er_merge *merge, uint64_t size, struct er_pack_location where)
{
        if (where.pack == ER_NO_PACK)
                return true;
        if (where.pack >= merge->packs || where.offset > INT64_MAX || size > INT64_MAX)
                return false;
        if (merge->needs[where.pack] < where.offset + size)
                merge->needs[where.pack] = where.offset + size;
        return true;
}

static void add_item(const struct er_upload *up, size_t index, struct er_merge *merge)
{
        const struct item *item = &up->items[index];
        struct er_pack_location where = item->state == CONTENT_WANTED ? up->items[item->same_as].where : item->where;
        struct er_pack_location_record record = {.pack = where.pack, .offset = where.offset};
        struct er_tree_entry entry;

        er_upload_entry(up, index, &entry);
        (void)need(merge, entry.size, where); /* we made this location ourselves */
        er_tree_pack(&merge->body, &entry);
        er_str_addn(&merge->body, &record, sizeof record);
        merge->count++;
        merge->sum += er_tree_entry_sum(&entry);
        merge->bytes += entry.type == 'f' ? entry.size : 0;
}

static void drop(struct er_merge *merge, const struct er_tree_packed *old)
{
        const unsigned char *hash;
        uint64_t size;

        merge->count--;
        merge->sum -= er_hash64(old->all.ptr, old->all.len); /* er_tree_entry_sum */
        if (er_tree_packed_file(old, &size, &hash))
                merge->bytes -= size;
}

/* The next path that arrived, or that is gone; path.ptr is NULL at the end. */
struct next {
        size_t item;
        struct er_sv path;
};

static void find_next_item(const struct er_upload *up, struct next *next)
{
        struct er_tree_entry entry;

        next->path = er_svn(NULL, 0);
        if (next->item == up->item_count)
                return;
        er_upload_entry(up, next->item, &entry);
        next->path = entry.path;
}

static void next_gone(struct er_sv *gone, struct er_sv *ret_path)
{
        if (er_tree_unpack_path(gone, ret_path, NULL) != 1)
                *ret_path = er_svn(NULL, 0);
}

/* Merges, in order, the base without what is gone or replaced, and the entries that arrived. What stays is usually
   nearly all of a long list, so its entries are only skipped over and copied in long runs. */
static int merge_base(const struct er_upload *up, struct er_merge *merge, struct er_err *err)
{
        struct er_sv rest = up->base.body, gone = er_svn(up->gone.buf, up->gone.len), gone_path;
        const char *kept = rest.ptr; /* start of the run to be copied */
        struct er_tree_packed old;
        struct er_pack_location where;
        struct next next = {0};
        int more;

        next_gone(&gone, &gone_path);
        find_next_item(up, &next);
        for (;;) {
                const char *begin = rest.ptr;
                const unsigned char *hash;
                uint64_t size = 0;
                int order = -1;

                if ((more = er_tree_file_skip(&rest, &old, &where, err)) != 1)
                        break;
                while (gone_path.ptr && er_tree_path_compare(gone_path, old.path) < 0)
                        next_gone(&gone, &gone_path);
                while (next.path.ptr && (order = er_tree_path_compare(old.path, next.path)) > 0) {
                        er_str_addn(&merge->body, kept, (size_t)(begin - kept));
                        kept = begin;
                        add_item(up, next.item++, merge);
                        find_next_item(up, &next);
                }
                if (!(next.path.ptr && order == 0) && !(gone_path.ptr && er_sv_eq(gone_path, old.path))) {
                        if (where.pack != ER_NO_PACK &&
                            (!er_tree_packed_file(&old, &size, &hash) || !need(merge, size, where)))
                                return er_err_set(err, ER_REMOTE, "a damaged list of files");
                        continue;
                }
                er_str_addn(&merge->body, kept, (size_t)(begin - kept)); /* replaced, or gone */
                kept = rest.ptr;
                drop(merge, &old);
        }
        if (kept)
                er_str_addn(&merge->body, kept, (size_t)(rest.ptr - kept));
        for (; next.item < up->item_count; next.item++)
                add_item(up, next.item, merge);
        return more;
}

int er_merge_make(const struct er_upload *up, struct er_merge *ret, struct er_err *err)
{
        ret->packs = er_upload_packs(up);
        ret->needs = er_calloc(ret->packs + 1, sizeof *ret->needs);
        ret->count = up->base.count;
        ret->sum = up->base.checksum;
        ret->bytes = up->base.bytes;
        er_str_reserve(&ret->body,
                       up->base.body.len + up->list.len + up->item_count * sizeof(struct er_pack_location_record));
        if (merge_base(up, ret, err) < 0)
                return -1;
        if (ret->count == up->count && ret->sum == up->checksum)
                return 0;
        er_err_set(err, ER_NOT_FOUND, "the difference does not match the snapshot it was made for");
        if (err)
                err->provider_code = er_strdup("snapshot");
        return -1;
}

/* Only packs that some entry needs stay in the list: the tree must not depend on the others. */
static int choose_packs(struct er_upload *up, struct er_merge *merge, struct er_err *err)
{
        er_autofree uint32_t *numbers = er_calloc(merge->packs + 1, sizeof *numbers);
        er_auto(er_str) chosen = ER_STR_INIT;
        struct er_sv rest = er_svn(merge->body.buf, merge->body.len);
        struct er_pack_location_record record;
        struct er_tree_packed packed;
        struct er_pack_location where;
        uint32_t count = 0;
        int more = 0;

        for (uint32_t i = 0; i < merge->packs; i++) {
                struct er_tree_pack pack = er_upload_pack(up, i);

                pack.size = merge->needs[i];
                numbers[i] = count;
                if (pack.size == 0)
                        continue;
                er_str_addn(&chosen, &pack, sizeof pack);
                count++;
        }
        while (count < merge->packs && (more = er_tree_file_skip(&rest, &packed, &where, err)) == 1) {
                size_t at = merge->body.len - rest.len - sizeof record;

                if (where.pack == ER_NO_PACK || numbers[where.pack] == where.pack)
                        continue;
                record = (struct er_pack_location_record){.pack = numbers[where.pack], .offset = where.offset};
                memcpy(merge->body.buf + at, &record, sizeof record);
        }
        er_str_reset(&up->packs);
        er_str_addn(&up->packs, chosen.buf, chosen.len);
        return more;
}

int er_merge_write(struct er_upload *up, struct er_merge *merge, struct er_err *err)
{
        struct er_tree_header header = {
                .count = merge->count,
                .checksum = merge->sum,
                .bytes = merge->bytes,
                .body = merge->body.len,
        };
        er_autofree char *dir = er_fmt("%s/trees", up->dir);
        er_autofree char *path = er_fmt("%s/%s", dir, up->hex);
        er_auto(er_str) file = ER_STR_INIT;

        if (choose_packs(up, merge, err) < 0)
                return -1;
        header.packs = er_upload_packs(up);
        memcpy(header.magic, ER_TREE_MAGIC, sizeof header.magic);
        er_boot_id(header.boot_id);
        er_str_reserve(&file, sizeof header + up->packs.len + merge->body.len);
        er_str_addn(&file, &header, sizeof header);
        er_str_addn(&file, up->packs.buf, up->packs.len);
        er_str_addn(&file, merge->body.buf, merge->body.len);
        if (er_mkdir_p(up->root, dir, 0700, err) < 0)
                return -1;
        return er_file_write(up->root, path, file.buf, file.len, 0600, false, err);
}

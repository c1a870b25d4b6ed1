/* upload.c - see upload.h */
#include "agent/snapshot/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/snapshot/upload_tree.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/path.h"
#include "proto/msg.h"

#define LIST_MAX ((size_t)1 << 30)   /* bytes of one list of files */
#define FLUSH_AT ((size_t)512 << 10) /* of pack data held back to make larger writes */

/* ---- The list */

int er_upload_begin(int root, struct er_sv fields, struct er_upload **ret, struct er_err *err)
{
        er_autoptr(er_upload) up = er_new(struct er_upload);
        struct er_sv tree = er_msg_get(fields, ER_T_TREE), base = er_msg_get(fields, ER_T_BASE);
        char boot[ER_BOOT_ID];

        up->root = root;
        up->hold = up->part = -1;
        up->open_item = NO_ITEM;
        up->list = up->gone = up->packs = up->pending = (struct er_str)ER_STR_INIT;
        up->project = er_msg_dup(fields, ER_T_PROJECT);
        if (!up->project || tree.len != ER_TREE_HASH || (base.ptr && base.len != ER_TREE_HASH))
                return er_err_set(err, ER_REMOTE, "a damaged request to store a snapshot");
        memcpy(up->hash, tree.ptr, ER_TREE_HASH);
        er_tree_hex(up->hash, up->hex);
        up->dir = er_snapshots_dir(up->project);
        /* Its name has the boot in it: nothing in it has been synced, so after a power cut it may hold zeros. */
        er_boot_id(boot);
        up->part_path = er_fmt("%s/packs/%s.%.8s.part", up->dir, up->hex, boot);
        up->count = (uint32_t)er_msg_get_u64(fields, ER_T_COUNT, 0);
        up->checksum = er_msg_get_u64(fields, ER_T_CHECKSUM, 0);
        up->hold = er_snapshots_hold(root, up->project, err);
        if (up->hold < 0)
                return -1;
        up->present = er_snapshots_have(root, up->project, up->hash);
        up->has_base = base.ptr != NULL;
        if (up->has_base && er_tree_file_open(root, up->project, (const unsigned char *)base.ptr, &up->base, err) < 0)
                return -1;
        *ret = er_take(up);
        return 0;
}

void er_upload_free(struct er_upload *up)
{
        if (!up)
                return;
        if (up->part >= 0 && up->pending.len && !up->failed) /* keep what has arrived for the next try */
                (void)er_write_full(up->part, up->pending.buf, up->pending.len);
        er_close(&up->part);
        er_close(&up->hold);
        er_tree_file_release(&up->base);
        er_str_release(&up->list);
        er_str_release(&up->gone);
        er_str_release(&up->packs);
        er_str_release(&up->pending);
        free(up->items);
        free(up->table);
        free(up->project);
        free(up->dir);
        free(up->part_path);
        free(up);
}

int er_upload_part(struct er_upload *up, struct er_sv fields, struct er_err *err)
{
        struct er_sv entries = er_msg_get(fields, ER_T_ENTRIES), gone = er_msg_get(fields, ER_T_GONE), rest, path;
        struct er_tree_entry entry, last;
        size_t begin = up->list.len;
        int more;

        if (up->listed || up->list.len + entries.len > LIST_MAX || up->gone.len + gone.len > LIST_MAX)
                return er_err_set(err, ER_REMOTE, "a list of files that is too long or comes too late");
        for (rest = gone; (more = er_tree_unpack_path(&rest, &path, err)) == 1;)
                ;
        if (more < 0)
                return -1;
        er_str_addn(&up->gone, gone.ptr, gone.len);
        for (rest = entries; (more = er_tree_unpack(&rest, &entry, err)) == 1;)
                ;
        if (more < 0)
                return -1;
        er_str_addn(&up->list, entries.ptr, entries.len);
        rest = er_svn(up->list.buf + begin, up->list.len - begin);
        while (rest.len) {
                size_t at = up->list.len - rest.len;

                (void)er_tree_unpack(&rest, &entry, NULL);
                if (up->item_count) {
                        er_upload_entry(up, up->item_count - 1, &last);
                        if (er_tree_path_compare(last.path, entry.path) >= 0)
                                return er_err_set(err, ER_REMOTE, "a list of files that is not sorted");
                }
                up->items = er_grow(up->items, &up->item_cap, up->item_count + 1, sizeof *up->items);
                up->items[up->item_count++] = (struct item){
                        .at = (uint32_t)at,
                        .state = entry.type == 'f' && entry.size ? CONTENT_WANTED : CONTENT_NONE,
                        .where = {.pack = ER_NO_PACK},
                };
        }
        return 0;
}

/* ---- The part: an interrupted upload of the same tree is continued */

static int fail_io(struct er_upload *up, int errnum, const char *what, struct er_err *err)
{
        struct statvfs fs;

        up->failed = true;
        er_err_errno(err, errnum, "%s %s", what, up->part_path);
        if (errnum == ENOSPC || errnum == EDQUOT) { /* what has arrived is useless, and its space is needed */
                (void)!ftruncate(up->part, 0);
                (void)unlinkat(up->root, up->part_path, 0);
        }
        if (errnum == ENOSPC && fstatvfs(up->root, &fs) == 0)
                er_err_hint(err,
                            "%llu MB are free there: make room with `errand gc`, or keep errand's files elsewhere with "
                            "`errand hosts add NAME ... --root DIR`",
                            (unsigned long long)((uint64_t)fs.f_bavail * fs.f_frsize >> 20));
        return -1;
}

/* Finds what the part already holds. A record that is cut short (only the last can be) stays open and is continued. */
static void read_part(struct er_upload *up, const unsigned char *map, uint64_t size, uint32_t *ret_open,
                      uint64_t *ret_open_at)
{
        uint64_t at = sizeof ER_PACK_MAGIC - 1;

        *ret_open = NO_ITEM;
        while (size - at >= sizeof(struct er_pack_record)) {
                struct er_pack_record record;
                uint64_t data;
                uint32_t slot;

                memcpy(&record, map + at, sizeof record);
                data = er_pack_data_offset(at + sizeof record, record.size);
                slot = er_upload_find(up, record.hash, record.size);
                if (record.size > INT64_MAX / 2 || data > size || !slot || size - data < record.size) {
                        if (slot && data <= size && up->items[slot - 1].state != CONTENT_KNOWN) {
                                *ret_open = slot - 1;
                                *ret_open_at = at;
                                return; /* continued at the end of the file */
                        }
                        break;
                }
                er_upload_found(up, record.hash, record.size, up->own_pack, data);
                at = data + record.size;
        }
        up->part_size = at;
}

static int open_part(struct er_upload *up, struct er_err *err)
{
        er_autofree char *packs = er_fmt("%s/packs", up->dir);
        uint32_t open = NO_ITEM;
        uint64_t open_at = 0;
        struct stat st;

        if (er_mkdir_p(up->root, packs, 0700, err) < 0)
                return -1;
        up->part = openat(up->root, up->part_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (up->part < 0)
                return fail_io(up, errno, "make", err);
        if (flock(up->part, LOCK_EX | LOCK_NB) < 0) {
                er_close(&up->part);
                return errno == EWOULDBLOCK ? 1 : fail_io(up, errno, "lock", err);
        }
        if (fstat(up->part, &st) < 0)
                return fail_io(up, errno, "look at", err);
        up->part_size = 0;
        if (st.st_size > (off_t)sizeof ER_PACK_MAGIC) {
                void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, up->part, 0);

                if (map != MAP_FAILED) {
                        if (memcmp(map, ER_PACK_MAGIC, sizeof ER_PACK_MAGIC - 1) == 0)
                                read_part(up, map, (uint64_t)st.st_size, &open, &open_at);
                        munmap(map, (size_t)st.st_size);
                }
        }
        if (open != NO_ITEM) {
                struct er_tree_entry entry;

                er_upload_entry(up, open, &entry);
                up->part_size = (uint64_t)st.st_size;
                up->open_item = open;
                up->open_at = open_at;
                up->open_done = up->part_size -
                                er_pack_data_offset(open_at + sizeof(struct er_pack_record), entry.size);
        }
        if (ftruncate(up->part, (off_t)up->part_size) < 0 || lseek(up->part, (off_t)up->part_size, SEEK_SET) < 0)
                return fail_io(up, errno, "continue", err);
        if (up->part_size == 0) {
                er_str_add(&up->pending, ER_PACK_MAGIC);
                up->part_size = up->pending.len;
        }
        return 0;
}

static void need_add(struct er_str *need, uint32_t index, uint64_t offset)
{
        er_str_addn(need, &index, sizeof index);
        er_str_addn(need, &offset, sizeof offset);
}

/* Starts with the content that is half there, since its data must follow the end of the part. */
static void make_need(const struct er_upload *up, struct er_str *need)
{
        if (up->open_item != NO_ITEM)
                need_add(need, up->open_item, up->open_done);
        for (size_t i = 0; i < up->item_count; i++)
                if (up->items[i].state == CONTENT_WANTED && up->items[i].same_as == i && i != up->open_item)
                        need_add(need, (uint32_t)i, 0);
}

int er_upload_list(struct er_upload *up, struct er_str *need, struct er_err *err)
{
        int result;

        if (!up->listed) {
                up->listed = true;
                er_upload_index(up);
                if (up->has_base)
                        er_str_addn(&up->packs, up->base.map + sizeof(struct er_tree_header),
                                    (size_t)up->base.packs * sizeof(struct er_tree_pack));
        }
        if (!up->present)
                up->present = er_snapshots_have(up->root, up->project, up->hash); /* the other upload completed it */
        if (up->present)
                return 0;
        er_upload_look(up);
        if (up->resolved == up->wanted)
                return 0;
        if (!up->has_own_pack) {
                er_autofree char *name = er_fmt("%s.pack", up->hex);
                er_autofree char *path = er_fmt("%s/packs/%s", up->dir, name);

                /* Other trees may still use a pack of that name. */
                for (unsigned n = 2; er_file_exists(up->root, path); n++) {
                        free(name);
                        free(path);
                        name = er_fmt("%s-%u.pack", up->hex, n);
                        path = er_fmt("%s/packs/%s", up->dir, name);
                }
                up->own_pack = er_upload_add_pack(up, name);
                up->has_own_pack = true;
        }
        result = open_part(up, err);
        if (result != 0)
                return result;
        make_need(up, need);
        return 0;
}

/* ---- Data */

static int flush(struct er_upload *up, struct er_err *err)
{
        if (up->pending.len && er_write_full(up->part, up->pending.buf, up->pending.len) < 0)
                return fail_io(up, errno, "write", err);
        er_str_reset(&up->pending);
        return 0;
}

static int take_back(struct er_upload *up, struct er_err *err)
{
        if (flush(up, err) < 0)
                return -1;
        if (up->open_item != NO_ITEM &&
            (ftruncate(up->part, (off_t)up->open_at) < 0 || lseek(up->part, (off_t)up->open_at, SEEK_SET) < 0))
                return fail_io(up, errno, "shorten", err);
        up->failed = true;
        return er_err_set(err, ER_STATE, "a file changed while it was being sent");
}

static void begin_content(struct er_upload *up, uint32_t index, const struct er_tree_entry *entry)
{
        struct er_pack_record record = {.size = entry->size};
        uint64_t end;

        memcpy(record.hash, entry->hash, sizeof record.hash);
        up->open_item = index;
        up->open_done = 0;
        up->open_at = up->part_size;
        er_str_addn(&up->pending, &record, sizeof record);
        up->part_size += sizeof record;
        end = er_pack_data_offset(up->part_size, entry->size);
        for (; up->part_size < end; up->part_size++)
                er_str_addc(&up->pending, '\0');
}

int er_upload_blob(struct er_upload *up, struct er_sv fields, struct er_err *err)
{
        uint64_t index = er_msg_get_u64(fields, ER_T_INDEX, UINT64_MAX),
                 offset = er_msg_get_u64(fields, ER_T_OFFSET, 0);
        struct er_sv data = er_msg_get(fields, ER_T_DATA);
        struct er_tree_entry entry;

        if (up->failed || !up->listed || up->present || up->part < 0 || index >= up->item_count ||
            up->items[index].state != CONTENT_WANTED || up->items[index].same_as != index)
                return er_err_set(err, ER_REMOTE, "data for a file that was not asked for");
        er_upload_entry(up, index, &entry);
        if (data.len == 0)
                return take_back(up, err);
        if (up->open_item == NO_ITEM && offset == 0)
                begin_content(up, (uint32_t)index, &entry);
        if (up->open_item != index || up->open_done != offset || data.len > entry.size - offset) {
                up->failed = true;
                er_err_set(err, ER_STATE, "data of %.*s arrived at the wrong offset", (int)entry.path.len,
                           entry.path.ptr);
                if (err)
                        err->provider_code = er_strdup("offset");
                return -1;
        }
        er_str_addn(&up->pending, data.ptr, data.len);
        up->part_size += data.len;
        up->open_done += data.len;
        if (up->pending.len >= FLUSH_AT && flush(up, err) < 0)
                return -1;
        if (up->open_done == entry.size) {
                er_upload_found(up, entry.hash, entry.size, up->own_pack, up->part_size - entry.size);
                up->open_item = NO_ITEM;
        }
        return 0;
}

int er_upload_finish(struct er_upload *up, struct er_err *err)
{
        er_auto(er_merge) merge = {.body = ER_STR_INIT};
        int result;

        if (!up->listed || up->failed)
                return er_err_set(err, ER_REMOTE, "a snapshot that was not sent completely");
        if (up->present)
                return 0;
        if (up->resolved != up->wanted)
                return er_err_set(err, ER_REMOTE, "a snapshot with %zu missing contents", up->wanted - up->resolved);
        if (er_merge_make(up, &merge, err) < 0)
                return -1;
        result = up->part >= 0 ? flush(up, err) : 0;
        if (result == 0 && up->part >= 0) {
                struct er_tree_pack own = er_upload_pack(up, up->own_pack);
                er_autofree char *path = er_fmt("%s/packs/%s", up->dir, own.name);

                if (renameat(up->root, up->part_path, up->root, path) < 0)
                        result = fail_io(up, errno, "rename", err);
        }
        if (result == 0)
                result = er_merge_write(up, &merge, err);
        if (result < 0)
                return -1;
        er_close(&up->hold); /* everything is in place; the child must not block garbage collection */
        er_tree_sync(up->root, up->dir, up->hex, &up->packs);
        return 0;
}

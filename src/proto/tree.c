/* tree.c - see tree.h */
#include "proto/tree.h"

#include "base/map.h"
#include "base/path.h"

#define HEADER ER_TREE_PACKED_MIN /* u8 type | u8 0 | u16 mode | u32 path length | u64 size | 32 bytes hash */

static void put(unsigned char *p, uint64_t value, size_t bytes)
{
        for (size_t i = 0; i < bytes; i++)
                p[i] = (unsigned char)(value >> (8 * i));
}

/* Written out, because compilers recognize this as one load. */
static uint32_t get32(const unsigned char *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const unsigned char *p)
{
        return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

void er_tree_pack(struct er_str *out, const struct er_tree_entry *entry)
{
        unsigned char header[HEADER] = {0};

        header[0] = (unsigned char)entry->type;
        put(header + 2, entry->mode, 2);
        put(header + 4, entry->path.len, 4);
        put(header + 8, entry->type == 'l' ? entry->target.len : entry->size, 8);
        if (entry->type == 'f')
                memcpy(header + 16, entry->hash, ER_TREE_HASH);
        er_str_reserve(out, sizeof header + entry->path.len);
        er_str_addn(out, header, sizeof header);
        er_str_addn(out, entry->path.ptr, entry->path.len);
        if (entry->type == 'l')
                er_str_addn(out, entry->target.ptr, entry->target.len);
}

static int damaged(struct er_err *err)
{
        return er_err_set(err, ER_REMOTE, "damaged list of files");
}

static bool is_zero(const unsigned char *p, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (p[i])
                        return false;
        return true;
}

int er_tree_unpack(struct er_sv *rest, struct er_tree_entry *ret, struct er_err *err)
{
        const unsigned char *p = (const unsigned char *)rest->ptr;
        struct er_tree_entry e = {0};
        uint64_t path_len;
        size_t used;

        if (rest->len == 0)
                return 0;
        if (rest->len < HEADER || p[1] != 0)
                return damaged(err);
        e.type = (char)p[0];
        e.mode = (uint16_t)(p[2] | p[3] << 8);
        path_len = get32(p + 4);
        e.size = get64(p + 8);
        memcpy(e.hash, p + 16, ER_TREE_HASH);
        used = HEADER;
        if (path_len == 0 || path_len > ER_TREE_PATH_MAX || path_len > rest->len - used || e.size > INT64_MAX)
                return damaged(err);
        e.path = er_svn(p + used, (size_t)path_len);
        used += (size_t)path_len;
        if (!er_path_is_safe(e.path.ptr, e.path.len))
                return er_err_set(err, ER_REMOTE, "unsafe path in a list of files");
        switch (e.type) {
        case 'f':
                if (e.mode != 0644 && e.mode != 0755)
                        return damaged(err);
                break;
        case 'l':
                if (e.size == 0 || e.size > ER_TREE_PATH_MAX || e.size > rest->len - used ||
                    !is_zero(p + 16, ER_TREE_HASH) || memchr(p + used, '\0', (size_t)e.size))
                        return damaged(err);
                e.target = er_svn(p + used, (size_t)e.size);
                used += (size_t)e.size;
                break;
        case 'd':
                if (e.size != 0 || !is_zero(p + 16, ER_TREE_HASH))
                        return damaged(err);
                break;
        default:
                return damaged(err);
        }
        rest->ptr += used;
        rest->len -= used;
        *ret = e;
        return 1;
}

int er_tree_skip(struct er_sv *rest, struct er_tree_packed *ret, struct er_err *err)
{
        const unsigned char *p = (const unsigned char *)rest->ptr;
        uint64_t path_len, target_len;

        if (rest->len == 0)
                return 0;
        if (rest->len < HEADER)
                return damaged(err);
        path_len = get32(p + 4);
        target_len = p[0] == 'l' ? get64(p + 8) : 0;
        if (path_len > rest->len - HEADER || target_len > rest->len - HEADER - path_len)
                return damaged(err);
        ret->all = er_svn(rest->ptr, HEADER + (size_t)(path_len + target_len));
        ret->path = er_svn(rest->ptr + HEADER, (size_t)path_len);
        rest->ptr += ret->all.len;
        rest->len -= ret->all.len;
        return 1;
}

bool er_tree_packed_file(const struct er_tree_packed *packed, uint64_t *ret_size, const unsigned char **ret_hash)
{
        const unsigned char *p = (const unsigned char *)packed->all.ptr;

        if (p[0] != 'f')
                return false;
        *ret_size = get64(p + 8);
        *ret_hash = p + 16;
        return true;
}

int er_tree_path_compare(struct er_sv a, struct er_sv b)
{
        int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

        return order ? order : (a.len > b.len) - (a.len < b.len);
}

void er_tree_pack_path(struct er_str *out, struct er_sv path)
{
        unsigned char header[4];

        put(header, path.len, sizeof header);
        er_str_addn(out, header, sizeof header);
        er_str_addn(out, path.ptr, path.len);
}

int er_tree_unpack_path(struct er_sv *rest, struct er_sv *ret, struct er_err *err)
{
        uint64_t len;

        if (rest->len == 0)
                return 0;
        if (rest->len < 4)
                return damaged(err);
        len = get32((const unsigned char *)rest->ptr);
        if (len == 0 || len > ER_TREE_PATH_MAX || len > rest->len - 4)
                return damaged(err);
        *ret = er_svn(rest->ptr + 4, (size_t)len);
        rest->ptr += 4 + len;
        rest->len -= 4 + (size_t)len;
        return 1;
}

uint64_t er_tree_entry_sum(const struct er_tree_entry *entry)
{
        er_auto(er_str) packed = ER_STR_INIT;

        er_tree_pack(&packed, entry);
        return er_hash64(packed.buf, packed.len);
}

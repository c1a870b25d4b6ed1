/* statcache.c - see statcache.h */
#include "host/snapshot/statcache.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/path.h"

#define MAGIC 0x3165686361637245u /* "Ercache1" on a little-endian machine; count up when anything below changes */
#define CACHE_MAX ((size_t)1 << 30)

struct header {
        uint64_t magic;
        uint64_t checksum; /* of everything behind it */
        uint64_t size;     /* of the whole file */
        int64_t taken_ns;
        uint64_t setting;
        uint64_t file_count;
        uint64_t watch_count;
        uint64_t names_size;
        uint32_t watched;
        uint32_t dir_len; /* the directory is the first of the names */
        unsigned char tree[ER_TREE_HASH];
};
_Static_assert(sizeof(struct header) == 104 && sizeof(struct er_stat_record) == 80, "no holes in what is written");

/* Four lanes, since each multiplication has to wait for the one before. */
uint64_t er_cache_checksum(const void *data, size_t len)
{
        const unsigned char *p = data;
        uint64_t lanes[4] = {1, 2, 3, 4}, word;

        for (; len >= 32; p += 32, len -= 32)
                for (size_t i = 0; i < 4; i++) {
                        memcpy(&word, p + 8 * i, 8);
                        lanes[i] = (lanes[i] ^ word) * 0x9e3779b97f4a7c15u;
                        lanes[i] ^= lanes[i] >> 29;
                }
        for (size_t i = 0; i < 4; i++)
                lanes[0] = lanes[0] * 31 + lanes[i];
        return lanes[0] ^ er_hash64(p, len);
}

static char *cache_path(const char *dir)
{
        er_autofree char *cache = er_dir_cache();

        return er_fmt("%s/snapshots/%016llx", cache, (unsigned long long)er_hash64(dir, strlen(dir)));
}

void er_statcache_release(struct er_statcache *cache)
{
        if (cache->map)
                munmap(cache->map, cache->map_len);
        *cache = (struct er_statcache)ER_STATCACHE_INIT;
}

static bool record_is_sound(const struct er_stat_record *record, const char *names, size_t names_size)
{
        return record->path < names_size && record->path_len > 0 && record->path_len < names_size - record->path &&
               names[record->path + record->path_len] == '\0';
}

static int compare(const char *names, const struct er_stat_record *a, const struct er_stat_record *b)
{
        int order = memcmp(names + a->path, names + b->path, a->path_len < b->path_len ? a->path_len : b->path_len);

        return order ? order : (a->path_len > b->path_len) - (a->path_len < b->path_len);
}

bool er_statcache_parse(const void *data, size_t len, const char *dir, struct er_statcache *ret)
{
        struct header header;
        const char *base = data;
        struct er_statcache cache = ER_STATCACHE_INIT;
        size_t names_size;

        if (len < sizeof header)
                return false;
        memcpy(&header, base, sizeof header);
        if (header.magic != MAGIC || header.size != len || header.watched > 1 ||
            header.file_count > len / sizeof(struct er_stat_record) ||
            header.watch_count > len / sizeof(struct er_stat_record) || header.names_size > len ||
            sizeof header + (header.file_count + header.watch_count) * sizeof(struct er_stat_record) +
                            header.names_size !=
                    len)
                return false;
        names_size = (size_t)header.names_size;
        cache.files = (const struct er_stat_record *)(const void *)(base + sizeof header);
        cache.file_count = (size_t)header.file_count;
        cache.watches = cache.files + cache.file_count;
        cache.watch_count = (size_t)header.watch_count;
        cache.names = (const char *)(cache.watches + cache.watch_count);
        cache.taken_ns = header.taken_ns;
        cache.setting = header.setting;
        cache.watched = header.watched == 1;
        memcpy(cache.tree, header.tree, sizeof cache.tree);
        if (names_size == 0 || cache.names[names_size - 1] != '\0' || header.dir_len != strlen(dir) ||
            header.dir_len >= names_size || memcmp(cache.names, dir, header.dir_len + 1) != 0)
                return false;
        for (size_t i = 0; i < cache.file_count; i++) {
                if (!record_is_sound(&cache.files[i], cache.names, names_size) ||
                    !er_path_is_safe(cache.names + cache.files[i].path, cache.files[i].path_len) ||
                    (i > 0 && compare(cache.names, &cache.files[i - 1], &cache.files[i]) >= 0))
                        return false;
        }
        for (size_t i = 0; i < cache.watch_count; i++)
                if (!record_is_sound(&cache.watches[i], cache.names, names_size))
                        return false;
        *ret = cache;
        return true;
}

bool er_statcache_load(const char *dir, struct er_statcache *ret)
{
        er_autofree char *path = cache_path(dir);
        er_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        const size_t behind = offsetof(struct header, size);
        const struct header *header;
        int flags = MAP_PRIVATE;
        struct stat st;
        void *map;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size < sizeof(struct header) ||
            (size_t)st.st_size > CACHE_MAX)
                return false;
#ifdef MAP_POPULATE
        flags |= MAP_POPULATE; /* all of it will be read, and page faults cost more */
#endif
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, flags, fd, 0);
        if (map == MAP_FAILED)
                return false;
        header = map;
        if (header->magic != MAGIC ||
            header->checksum != er_cache_checksum((const char *)map + behind, (size_t)st.st_size - behind) ||
            !er_statcache_parse(map, (size_t)st.st_size, dir, ret)) {
                er_debug("snapshot", "%s is not the stat cache of %s, or is damaged: ignored", path, dir);
                munmap(map, (size_t)st.st_size);
                return false;
        }
        ret->map = map;
        ret->map_len = (size_t)st.st_size;
        return true;
}

/* Writes a name behind the others and returns its offset. */
static uint32_t put_name(char *names, size_t *at, const char *text, size_t len)
{
        size_t offset = *at;

        memcpy(names + offset, text, len);
        names[offset + len] = '\0';
        *at += len + 1;
        return (uint32_t)offset;
}

int er_statcache_save(const char *dir, const struct er_statcache *facts, const struct er_scan_file *files,
                      size_t file_count, const struct er_listing_watch *watches, size_t watch_count, struct er_err *err)
{
        er_autofree char *path = cache_path(dir);
        er_autofree char *parent = er_path_dir(path);
        er_autofree char *data = NULL;
        size_t dir_len = strlen(dir), names_size = dir_len + 1, at = 0, size;
        struct header *header;
        struct er_stat_record *record;
        char *names;

        if (!facts->watched)
                watch_count = 0;
        for (size_t i = 0; i < file_count; i++)
                names_size += files[i].path_len + 1;
        for (size_t i = 0; i < watch_count; i++)
                names_size += strlen(watches[i].path) + 1;
        size = sizeof *header + (file_count + watch_count) * sizeof *record + names_size;
        if (size > CACHE_MAX)
                return er_err_set(err, ER_STATE, "%s: too many files for a stat cache", dir);
        if (er_mkdir_p(AT_FDCWD, parent, 0700, err) < 0)
                return -1;
        data = er_malloc(size);
        header = (struct header *)(void *)data;
        record = (struct er_stat_record *)(void *)(data + sizeof *header);
        names = (char *)(record + file_count + watch_count);
        *header = (struct header){
                .magic = MAGIC,
                .size = size,
                .taken_ns = facts->taken_ns,
                .setting = facts->setting,
                .file_count = file_count,
                .watch_count = watch_count,
                .names_size = names_size,
                .watched = facts->watched,
                .dir_len = (uint32_t)dir_len,
        };
        memcpy(header->tree, facts->tree, sizeof header->tree);
        put_name(names, &at, dir, dir_len);
        for (size_t i = 0; i < file_count; i++, record++) {
                record->stat = files[i].stat;
                memcpy(record->hash, files[i].hash, sizeof record->hash);
                record->path = put_name(names, &at, files[i].path, files[i].path_len);
                record->path_len = files[i].path_len;
        }
        for (size_t i = 0; i < watch_count; i++, record++) {
                *record = (struct er_stat_record){.stat = watches[i].stat};
                record->path_len = (uint32_t)strlen(watches[i].path);
                record->path = put_name(names, &at, watches[i].path, record->path_len);
        }
        header->checksum = er_cache_checksum(data + offsetof(struct header, size),
                                             size - offsetof(struct header, size));
        return er_file_write(AT_FDCWD, path, data, size, 0600, false, err);
}

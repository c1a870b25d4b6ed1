/* treecache.c - see treecache.h */
#include "host/snapshot/treecache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"
#include "host/snapshot/statcache.h"

#define KEPT 8u
#define TREE_MAX ((size_t)1 << 30)
#define MAGIC 0x3165657274727245u /* "Errtree1" on a little-endian machine */

/* Stands before the entries. Their SHA-256 would say the same as the checksum, and takes ten times as long. */
struct header {
        uint64_t magic;
        uint64_t checksum; /* of everything behind it */
        uint64_t sum;
        unsigned char tree[ER_TREE_HASH];
};

/* The project's name may be anything; its hash is a valid file name. */
static char *project_dir(const char *project)
{
        er_autofree char *cache = er_dir_cache();

        return er_fmt("%s/trees/%016llx", cache, (unsigned long long)er_hash64(project, strlen(project)));
}

static char *tree_path(const char *project, const unsigned char hash[ER_TREE_HASH])
{
        er_autofree char *dir = project_dir(project);
        char hex[ER_HASH_HEX];

        er_fmt_hex(hash, ER_TREE_HASH, hex);
        return er_fmt("%s/%s", dir, hex);
}

void er_treecache_release(struct er_treecache *tree)
{
        if (tree->map)
                munmap(tree->map, tree->map_len);
        *tree = (struct er_treecache)ER_TREECACHE_INIT;
}

static bool is_sound(const unsigned char *map, size_t len, const unsigned char hash[ER_TREE_HASH])
{
        size_t behind = offsetof(struct header, sum);
        struct header header;

        memcpy(&header, map, sizeof header);
        return header.magic == MAGIC && memcmp(header.tree, hash, ER_TREE_HASH) == 0 &&
               header.checksum == er_cache_checksum(map + behind, len - behind);
}

bool er_treecache_load(const char *project, const unsigned char hash[ER_TREE_HASH], struct er_treecache *ret)
{
        er_autofree char *path = tree_path(project, hash);
        er_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        int flags = MAP_PRIVATE;
        struct header header;
        struct stat st;
        void *map;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > TREE_MAX)
                return false;
#ifdef MAP_POPULATE
        flags |= MAP_POPULATE; /* all of it will be read */
#endif
        map = (size_t)st.st_size < sizeof header ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ, flags, fd, 0);
        if (map != MAP_FAILED && is_sound(map, (size_t)st.st_size, hash)) {
                memcpy(&header, map, sizeof header);
                *ret = (struct er_treecache){
                        .map = map,
                        .map_len = (size_t)st.st_size,
                        .packed = er_svn((const char *)map + sizeof header, (size_t)st.st_size - sizeof header),
                        .sum = header.sum,
                };
                return true;
        }
        if (map != MAP_FAILED)
                munmap(map, (size_t)st.st_size);
        er_debug("snapshot", "%s is damaged, or from another version: removed", path);
        unlink(path);
        return false;
}

bool er_treecache_touch(const char *project, const unsigned char hash[ER_TREE_HASH])
{
        er_autofree char *path = tree_path(project, hash);

        return utimensat(AT_FDCWD, path, NULL, 0) == 0;
}

struct kept {
        char name[ER_HASH_HEX];
        struct timespec used;
};

/* Removes the oldest if there are too many. Other processes may be doing the same. */
static void prune(const char *dir)
{
        struct kept kept[KEPT];
        size_t len = 0;
        DIR *stream = opendir(dir);
        struct dirent *entry;

        while (stream && (entry = readdir(stream))) {
                struct kept item, out;
                struct stat st;

                /* Also what a killed process left half written: its name is longer. */
                if (entry->d_name[0] == '.' || fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                if (strlen(entry->d_name) != ER_HASH_HEX - 1) {
                        if (time(NULL) - st.st_mtime > 3600)
                                unlinkat(dirfd(stream), entry->d_name, 0);
                        continue;
                }
                memcpy(item.name, entry->d_name, sizeof item.name);
#ifdef __APPLE__
                item.used = st.st_mtimespec;
#else
                item.used = st.st_mtim;
#endif
                if (len < KEPT) {
                        kept[len++] = item;
                        continue;
                }
                out = item;
                for (size_t i = 0; i < KEPT; i++) {
                        struct kept other = kept[i];

                        if (other.used.tv_sec < out.used.tv_sec ||
                            (other.used.tv_sec == out.used.tv_sec && other.used.tv_nsec < out.used.tv_nsec)) {
                                kept[i] = out;
                                out = other;
                        }
                }
                unlinkat(dirfd(stream), out.name, 0);
        }
        if (stream)
                closedir(stream);
}

void er_treecache_save(const char *project, const unsigned char hash[ER_TREE_HASH], struct er_sv packed, uint64_t sum)
{
        er_autofree char *path = tree_path(project, hash);
        er_autofree char *dir = er_path_dir(path);
        er_auto(er_str) file = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        struct header header = {.magic = MAGIC, .sum = sum};

        if (packed.len > TREE_MAX - sizeof header)
                return;
        memcpy(header.tree, hash, sizeof header.tree);
        er_str_reserve(&file, sizeof header + packed.len);
        er_str_addn(&file, &header, sizeof header);
        er_str_addn(&file, packed.ptr, packed.len);
        header.checksum = er_cache_checksum(file.buf + offsetof(struct header, sum),
                                            file.len - offsetof(struct header, sum));
        memcpy(file.buf, &header, sizeof header);
        if (er_mkdir_p(AT_FDCWD, dir, 0700, &err) < 0 ||
            er_file_write(AT_FDCWD, path, file.buf, file.len, 0600, false, &err) < 0) {
                er_debug("snapshot", "the list of files is not kept: %s", err.message);
                return;
        }
        prune(dir);
}

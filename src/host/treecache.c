/* treecache.c - see treecache.h */
#include "host/treecache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/path.h"

#define KEPT 8u
#define TREE_MAX ((size_t)1 << 30)

/* The project's name may be anything; its hash is a name of a file. */
static char *project_dir(const char *project)
{
        er_autofree char *cache = er_dir_cache();

        return er_fmt("%s/trees/%016llx", cache, (unsigned long long)er_hash64(project, strlen(project)));
}

static char *tree_path(const char *project, const unsigned char hash[ER_TREE_HASH])
{
        er_autofree char *dir = project_dir(project);
        char hex[ER_HASH_HEX];
        struct er_hash copy;

        memcpy(copy.bytes, hash, sizeof copy.bytes);
        er_hash_hex(&copy, hex);
        return er_fmt("%s/%s", dir, hex);
}

bool er_treecache_load(const char *project, const unsigned char hash[ER_TREE_HASH], struct er_str *ret)
{
        er_autofree char *path = tree_path(project, hash);
        er_auto(er_hasher) hasher = {NULL};
        struct er_hash found;

        if (!er_file_exists(AT_FDCWD, path) || er_file_read(AT_FDCWD, path, TREE_MAX, ret, NULL) < 0 ||
            er_hasher_init(&hasher, NULL) < 0)
                return false;
        er_hasher_begin(&hasher);
        er_hasher_add(&hasher, ret->buf, ret->len);
        er_hasher_end(&hasher, &found);
        if (memcmp(found.bytes, hash, ER_TREE_HASH) == 0)
                return true;
        er_debug("snapshot", "%s is damaged: removed", path);
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

/* Removes the oldest when there are too many. Others may be doing the same. */
static void prune(const char *dir)
{
        struct kept kept[KEPT];
        size_t len = 0;
        DIR *stream = opendir(dir);
        struct dirent *entry;

        while (stream && (entry = readdir(stream))) {
                struct kept item, out;
                struct stat st;

                /* Also what a process that was killed left half written: its name is longer. */
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

void er_treecache_save(const char *project, const unsigned char hash[ER_TREE_HASH], struct er_sv packed)
{
        er_autofree char *path = tree_path(project, hash);
        er_autofree char *dir = er_path_dir(path);
        er_auto(er_err) err = ER_ERR_INIT;

        if (packed.len > TREE_MAX)
                return;
        if (er_mkdir_p(AT_FDCWD, dir, 0700, &err) < 0 ||
            er_file_write(AT_FDCWD, path, packed.ptr, packed.len, 0600, false, &err) < 0) {
                er_debug("snapshot", "the list of files is not kept: %s", err.message);
                return;
        }
        prune(dir);
}

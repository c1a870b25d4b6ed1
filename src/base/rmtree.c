/* rmtree.c - removes and measures directory trees that others filled: of any depth and any mode, never through a
 * symlink.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/map.h"
#include "base/path.h"

/* Each level costs a descriptor, so what lies deeper is moved up first. */
#define DEPTH_MAX 64
#define MOVED_PREFIX ".errand-rm-"

struct removal {
        int top_fd;
        uint64_t moved; /* directories moved up to the top so far */
        uint64_t bytes;
};

static uint64_t disk_bytes(const struct stat *st)
{
        return st->st_blocks > 0 ? (uint64_t)st->st_blocks * 512 : 0;
}

static int open_dir(int at, const char *path)
{
        return openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens what fstatat said is a directory. Gives ourselves permission if we lack it. */
static int open_forced(int at, const char *name)
{
        int fd = open_dir(at, name);

        if (fd < 0 && errno == EACCES && fchmodat(at, name, 0700, 0) == 0)
                fd = open_dir(at, name);
        return fd;
}

static int unlink_forced(int dir_fd, const char *name, int flags)
{
        if (unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT)
                return 0;
        if (errno != EACCES && errno != EPERM)
                return -1;
        if (fchmod(dir_fd, 0700) < 0) {
                errno = EACCES;
                return -1;
        }
        return unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT ? 0 : -1;
}

static int empty_dir(struct removal *removal, int fd, int depth);

/* Sets errno on failure. */
static int remove_entry(struct removal *removal, int dir_fd, const char *name, int depth)
{
        struct stat st;
        int fd, rc, saved;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno != EACCES || fchmod(dir_fd, 0700) < 0 || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return errno == ENOENT ? 0 : -1;
        }
        if (!S_ISDIR(st.st_mode)) {
                if (unlink_forced(dir_fd, name, 0) < 0)
                        return -1;
                if (st.st_nlink <= 1) /* a file with other names still takes up its space */
                        removal->bytes += disk_bytes(&st);
                return 0;
        }
        if (depth >= DEPTH_MAX) {
                char moved[64];

                snprintf(moved, sizeof moved, MOVED_PREFIX "%llu", (unsigned long long)removal->moved++);
                if (renameat(dir_fd, name, removal->top_fd, moved) == 0)
                        return 0;
                /* Its ".." changes, so it must be writable itself, not only its parent. */
                if (errno != EACCES || fchmod(dir_fd, 0700) < 0 || fchmodat(dir_fd, name, 0700, 0) < 0)
                        return -1;
                return renameat(dir_fd, name, removal->top_fd, moved);
        }
        fd = open_forced(dir_fd, name);
        if (fd < 0)
                return errno == ENOENT ? 0 : -1;
        rc = empty_dir(removal, fd, depth + 1);
        saved = errno;
        close(fd);
        errno = saved;
        if (rc < 0 || unlink_forced(dir_fd, name, AT_REMOVEDIR) < 0)
                return -1;
        removal->bytes += disk_bytes(&st);
        return 0;
}

/* Removes what is in a directory. Reads it again until it is empty: entries may be moved into it meanwhile. */
static int empty_dir(struct removal *removal, int fd, int depth)
{
        int saved = 0;
        DIR *dir;
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0)
                return -1;
        dir = fdopendir(copy);
        if (!dir) {
                saved = errno;
                close(copy);
                errno = saved;
                return -1;
        }
        for (bool any = true; any && saved == 0;) {
                const struct dirent *entry;

                any = false;
                rewinddir(dir);
                while (errno = 0, (entry = readdir(dir))) {
                        if (er_streq(entry->d_name, ".") || er_streq(entry->d_name, ".."))
                                continue;
                        any = true;
                        if (remove_entry(removal, fd, entry->d_name, depth) < 0) {
                                saved = errno ? errno : EIO;
                                break;
                        }
                }
                if (!entry && errno != 0)
                        saved = errno;
        }
        closedir(dir);
        errno = saved;
        return saved ? -1 : 0;
}

int er_rmtree(int at, const char *path, uint64_t *ret_bytes, struct er_err *err)
{
        struct removal removal = {.top_fd = -1};
        er_autoclose int fd = -1;
        struct stat st;
        bool is_dir;

        if (fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno == ENOENT)
                        return 0;
                return er_err_errno(err, errno, "remove %s", path);
        }
        is_dir = S_ISDIR(st.st_mode);
        if (is_dir) {
                fd = open_forced(at, path);
                if (fd < 0)
                        return errno == ENOENT ? 0 : er_err_errno(err, errno, "remove %s", path);
                removal.top_fd = fd;
                if (empty_dir(&removal, fd, 1) < 0)
                        return er_err_errno(err, errno, "remove what is in %s", path);
        }
        if (unlinkat(at, path, is_dir ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
                return er_err_errno(err, errno, "remove %s", path);
        if (is_dir || st.st_nlink <= 1)
                removal.bytes += disk_bytes(&st);
        if (ret_bytes)
                *ret_bytes += removal.bytes;
        return 0;
}

/* A file with several names counts once. */
static uint64_t measure(int at, const char *name, struct er_map *seen, int depth)
{
        struct stat st;
        uint64_t bytes;
        const struct dirent *entry;
        DIR *dir;
        int fd;

        if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        bytes = disk_bytes(&st);
        if (!S_ISDIR(st.st_mode)) {
                uint64_t id[2] = {(uint64_t)st.st_dev, (uint64_t)st.st_ino};

                if (st.st_nlink > 1 && er_map_set(seen, id, sizeof id, seen))
                        return 0;
                return bytes;
        }
        /* Anything deeper is a mistake; the sum is only for people to read. */
        if (depth > 4 * DEPTH_MAX)
                return bytes;
        fd = open_dir(at, name);
        if (fd < 0)
                return bytes;
        dir = fdopendir(fd);
        if (!dir) {
                close(fd);
                return bytes;
        }
        while ((entry = readdir(dir)))
                if (!er_streq(entry->d_name, ".") && !er_streq(entry->d_name, ".."))
                        bytes += measure(dirfd(dir), entry->d_name, seen, depth + 1);
        closedir(dir);
        return bytes;
}

uint64_t er_du(int at, const char *path)
{
        er_auto(er_map) seen = ER_MAP_INIT;

        return measure(at, path, &seen, 0);
}

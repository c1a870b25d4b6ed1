/* dest.c - see dest.h */
#include "host/dest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define NOT_A_DIR "a symbolic link, or something else that is not a directory, is in the way of "
#define MODE_BITS 0777u /* no set-user-id from another machine */

/* Marks a part as ours: its access time is the time of the version plus this fraction of a millisecond, which writing
   does not change. */
#define MARK_NS 123000

/* One step down without following a symlink, creating what is missing. -1 with errno. */
static int step(int at, const char *part)
{
        int fd = openat(at, part, DIR_FLAGS);

        if (fd >= 0 || errno != ENOENT)
                return fd;
        if (mkdirat(at, part, 0777) < 0 && errno != EEXIST)
                return -1;
        return openat(at, part, DIR_FLAGS);
}

/* The whole way down from a directory. -1 with errno. */
static int descend(int at, struct er_sv path)
{
        er_autoclose int fd = -1;
        struct er_sv part;

        while (er_sv_cut(&path, '/', &part)) {
                er_autofree char *name = er_sv_dup(part);
                int next = step(fd >= 0 ? fd : at, name);

                if (next < 0)
                        return -1;
                er_close(&fd);
                fd = next;
        }
        return er_take_fd(&fd);
}

/* The rest of a path below `within`, or NULL. */
static const char *below(const char *path, const char *within)
{
        size_t len = within ? strlen(within) : 0;

        while (len > 1 && within[len - 1] == '/')
                len--;
        return len > 0 && strncmp(path, within, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

int er_dest_open(struct er_dest *dest, const char *path, const char *within, struct er_err *err)
{
        const char *rest = below(path, within);
        er_autoclose int top = -1;
        int fd;

        if (rest) {
                top = open(within, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (top < 0)
                        return er_err_errno(err, errno, "open the directory %s", within);
                fd = descend(top, er_sv(rest));
                if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
                        er_err_set(err, ER_EXISTS,
                                   "%s: a symbolic link, or something else that is not a directory, is in its way",
                                   path);
                        return er_err_hint(err, "links in a project are not followed when results are written, since "
                                                "they may have come with it; make results/ a directory (or a bind "
                                                "mount), or choose another directory: errand pull JOB --to DIR");
                }
        } else {
                if (er_mkdir_p(AT_FDCWD, path, 0777, err) < 0)
                        return -1;
                fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        if (fd < 0)
                return er_err_errno(err, errno, "open the directory %s", path);
        dest->fd = fd;
        dest->name = er_strdup(path);
        dest->mask = er_umask();
        return 0;
}

void er_dest_release(struct er_dest *dest)
{
        er_close(&dest->fd);
        er_close(&dest->last_fd);
        free(dest->name);
        dest->name = NULL;
        er_str_release(&dest->last);
}

static int fail(const struct er_dest *dest, const char *path, int errnum, const char *doing, struct er_err *err)
{
        er_auto(er_str) shown = ER_STR_INIT;

        er_quote_show(&shown, path, strlen(path));
        if (errnum == ELOOP || errnum == ENOTDIR)
                return er_err_set(err, ER_EXISTS, NOT_A_DIR "%s/%s", dest->name, shown.buf);
        return er_err_errno(err, errnum, "%s %s/%s", doing, dest->name, shown.buf);
}

/* Walks to a directory, creating what is missing. dest->last_fd keeps the descriptor. -1 with errno. */
static int walk(struct er_dest *dest, const char *dir, size_t len)
{
        int fd;

        if (dest->last_fd >= 0 && dest->last.len == len && memcmp(dest->last.buf, dir, len) == 0)
                return dest->last_fd;
        fd = descend(dest->fd, er_svn(dir, len));
        if (fd < 0)
                return -1;
        er_close(&dest->last_fd);
        dest->last_fd = fd;
        er_str_reset(&dest->last);
        er_str_addn(&dest->last, dir, len);
        return dest->last_fd;
}

static int refuse(const char *path, struct er_err *err)
{
        er_auto(er_str) shown = ER_STR_INIT;

        er_quote_show(&shown, path, strlen(path));
        er_err_set(err, ER_REMOTE, "the host sends a file named %s, which leads out of the directory", shown.buf);
        return -1;
}

/* The directory a path is in; *ret_base is its last part (borrowed). The descriptor is (borrowed) until the next call.
 */
static int parent_of(struct er_dest *dest, const char *path, int *ret_fd, const char **ret_base, struct er_err *err)
{
        const char *slash = strrchr(path, '/');
        int fd = dest->fd;

        if (!er_path_is_safe(path, strlen(path)))
                return refuse(path, err);
        if (slash)
                fd = walk(dest, path, (size_t)(slash - path));
        if (fd < 0)
                return fail(dest, path, errno, "create the directory of", err);
        *ret_fd = fd;
        *ret_base = slash ? slash + 1 : path;
        return 0;
}

int er_dest_mkdir(struct er_dest *dest, const char *path, struct er_err *err)
{
        if (!er_path_is_safe(path, strlen(path)))
                return refuse(path, err);
        if (walk(dest, path, strlen(path)) < 0)
                return fail(dest, path, errno, "create the directory", err);
        return 0;
}

void er_dest_chmod_dir(struct er_dest *dest, const char *path, unsigned mode)
{
        int fd = er_path_is_safe(path, strlen(path)) ? walk(dest, path, strlen(path)) : -1;

        if (fd >= 0)
                (void)fchmod(fd, mode & MODE_BITS & ~dest->mask);
}

static int64_t ms_of(const struct timespec *time)
{
        return (int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000;
}

static struct timespec time_of(int64_t ms)
{
        struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

        if (time.tv_nsec < 0) {
                time.tv_nsec += 1000000000;
                time.tv_sec--;
        }
        return time;
}

#ifdef __APPLE__
#define st_atim st_atimespec
#define st_mtim st_mtimespec
#endif

bool er_dest_has(struct er_dest *dest, const char *path, uint64_t size, int64_t mtime_ms)
{
        const char *base;
        struct stat st;
        int fd;

        return parent_of(dest, path, &fd, &base, NULL) == 0 && fstatat(fd, base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               S_ISREG(st.st_mode) && (uint64_t)st.st_size == size && ms_of(&st.st_mtim) == mtime_ms;
}

static char *part_name(const char *base)
{
        return er_fmt("%s" ER_PART_SUFFIX, base);
}

int er_dest_begin(struct er_dest *dest, const char *path, int64_t mtime_ms, int *ret_fd, uint64_t *ret_offset,
                  struct er_err *err)
{
        er_autofree char *part = NULL;
        er_autoclose int fd = -1;
        struct timespec times[2] = {time_of(mtime_ms), {.tv_nsec = UTIME_OMIT}};
        const char *base;
        struct stat st;
        int dir;

        times[0].tv_nsec += MARK_NS;
        if (parent_of(dest, path, &dir, &base, err) < 0)
                return -1;
        part = part_name(base);
        fd = openat(dir, part, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (fd < 0 && (errno == ELOOP || errno == EACCES || errno == ENXIO)) {
                /* Whatever that is, it is not a part of ours. */
                unlinkat(dir, part, 0);
                fd = openat(dir, part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        }
        if (fd < 0)
                return fail(dest, path, errno, "write", err);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return fail(dest, path, EEXIST, "write", err);
        if (st.st_nlink != 1 || st.st_uid != geteuid()) { /* another name of some file: not to be written to */
                er_close(&fd);
                unlinkat(dir, part, 0);
                fd = openat(dir, part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd < 0 || fstat(fd, &st) < 0)
                        return fail(dest, path, errno, "write", err);
        }
        if (st.st_size > 0 && (st.st_atim.tv_sec != times[0].tv_sec || st.st_atim.tv_nsec != times[0].tv_nsec)) {
                if (ftruncate(fd, 0) < 0)
                        return fail(dest, path, errno, "write", err);
                st.st_size = 0;
        }
        (void)futimens(fd, times); /* where times are coarser, a part is never continued */
        *ret_offset = (uint64_t)st.st_size;
        *ret_fd = er_take_fd(&fd);
        return 0;
}

int er_dest_finish(struct er_dest *dest, const char *path, int fd, unsigned mode, int64_t mtime_ms, struct er_err *err)
{
        struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, time_of(mtime_ms)};
        er_autofree char *part = NULL;
        const char *base;
        int dir;

        if (parent_of(dest, path, &dir, &base, err) < 0)
                return -1;
        part = part_name(base);
        (void)fchmod(fd, mode & MODE_BITS & ~dest->mask); /* FAT and the like have no modes */
        (void)futimens(fd, times);
        if (renameat(dir, part, dir, base) < 0)
                return fail(dest, path, errno == EISDIR ? EEXIST : errno, "put in place", err);
        return 0;
}

void er_dest_discard(struct er_dest *dest, const char *path)
{
        er_autofree char *part = NULL;
        const char *base;
        int dir;

        if (parent_of(dest, path, &dir, &base, NULL) < 0)
                return;
        part = part_name(base);
        unlinkat(dir, part, 0);
}

int er_dest_symlink(struct er_dest *dest, const char *path, const char *target, struct er_err *err)
{
        er_autofree char *part = NULL;
        char there[4096];
        const char *base;
        ssize_t len;
        int dir;

        if (parent_of(dest, path, &dir, &base, err) < 0)
                return -1;
        len = readlinkat(dir, base, there, sizeof there);
        if (len >= 0 && (size_t)len == strlen(target) && memcmp(there, target, (size_t)len) == 0)
                return 0;
        part = part_name(base);
        unlinkat(dir, part, 0);
        if (symlinkat(target, dir, part) < 0)
                return fail(dest, path, errno, "create the link", err);
        if (renameat(dir, part, dir, base) < 0) {
                int errnum = errno;

                unlinkat(dir, part, 0);
                return fail(dest, path, errnum, "create the link", err);
        }
        return 0;
}

/* glob_walk.c - see glob_walk.h */
#include "agent/glob_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/io.h"
#include "base/path.h"

#define DEPTH_MAX 200

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

int er_open_beneath(int dir_fd, const char *path, int flags)
{
        struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
        er_autofree char *copy = NULL;
        er_autoclose int at = -1;
        struct er_sv rest, part;
        long fd;

        if (!er_path_is_safe(path, strlen(path)) && !er_streq(path, ".")) {
                errno = ENOENT;
                return -1;
        }
        for (int tries = 0; tries < 8; tries++) {
                fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
                if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
                        break;
        }
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
                return (int)fd;
        /* Before Linux 5.6: one component at a time, following no symlinks. */
        rest = er_sv(path);
        while (er_sv_cut(&rest, '/', &part)) {
                int next;

                free(copy);
                copy = er_sv_dup(part);
                next = openat(at >= 0 ? at : dir_fd, copy,
                              (rest.ptr ? O_RDONLY | O_DIRECTORY : flags) | O_NOFOLLOW | O_CLOEXEC);
                er_close(&at);
                if (next < 0)
                        return -1;
                at = next;
        }
        return er_take_fd(&at);
}

struct walk {
        int top_fd;
        struct er_strv parts;
        er_glob_fn fn;
        void *arg;
};

static char *below(const char *path, const char *name)
{
        return path[0] ? er_path_join(path, name) : er_strdup(name);
}

static int step(const struct walk *walk, int dir_fd, const char *path, size_t part, int depth, struct er_err *err);

static DIR *list(int dir_fd)
{
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir && fd >= 0)
                close(fd);
        return dir;
}

static bool is_dots(const char *name)
{
        return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int below_step(int dir_fd, const char *path, int depth, er_glob_fn fn, void *arg, struct er_err *err)
{
        const struct dirent *entry;
        int rc = 0;
        DIR *dir = depth > DEPTH_MAX ? NULL : list(dir_fd);

        if (!dir)
                return 0;
        while (rc == 0 && (entry = readdir(dir))) {
                er_autofree char *full = NULL;
                struct stat st;

                if (is_dots(entry->d_name) || fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                full = below(path, entry->d_name);
                rc = fn(arg, dir_fd, entry->d_name, full, &st, err);
                if (rc == 0 && S_ISDIR(st.st_mode)) {
                        er_autoclose int fd = openat(dir_fd, entry->d_name,
                                                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

                        if (fd >= 0)
                                rc = below_step(fd, full, depth + 1, fn, arg, err);
                }
        }
        closedir(dir);
        return rc;
}

/* A name that matches component number `part`. */
static int enter(const struct walk *walk, int dir_fd, const char *path, const char *name, size_t part, int depth,
                 bool plain, struct er_err *err)
{
        er_autofree char *full = below(path, name);
        er_autoclose int fd = -1;
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        if (part + 1 == walk->parts.len) {
                if (walk->fn(walk->arg, dir_fd, name, full, &st, err) < 0)
                        return -1;
                if (!S_ISDIR(st.st_mode))
                        return 0;
                fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                return fd < 0 ? 0 : below_step(fd, full, depth + 1, walk->fn, walk->arg, err);
        }
        if (S_ISLNK(st.st_mode) && plain)
                fd = er_open_beneath(walk->top_fd, full, O_RDONLY | O_DIRECTORY);
        else if (S_ISDIR(st.st_mode))
                fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? 0 : step(walk, fd, full, part + 1, depth + 1, err);
}

static int step(const struct walk *walk, int dir_fd, const char *path, size_t part, int depth, struct er_err *err)
{
        const char *pattern = walk->parts.items[part];
        bool deep = er_streq(pattern, "**");
        const struct dirent *entry;
        DIR *dir;
        int rc = 0;

        if (depth > DEPTH_MAX)
                return 0;
        if (er_glob_is_plain(pattern))
                return enter(walk, dir_fd, path, pattern, part, depth, true, err);
        if (faccessat(dir_fd, pattern, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
            enter(walk, dir_fd, path, pattern, part, depth, true, err) < 0)
                return -1;
        if (deep && part + 1 < walk->parts.len && step(walk, dir_fd, path, part + 1, depth, err) < 0)
                return -1; /* no directory at all between */
        dir = list(dir_fd);
        if (!dir)
                return 0;
        while (rc == 0 && (entry = readdir(dir))) {
                if (is_dots(entry->d_name))
                        continue;
                if (!deep) {
                        if (!er_streq(pattern, entry->d_name) && er_glob_match(pattern, entry->d_name))
                                rc = enter(walk, dir_fd, path, entry->d_name, part, depth, false, err);
                } else if (part + 1 == walk->parts.len) {
                        rc = enter(walk, dir_fd, path, entry->d_name, part, depth, false, err);
                } else {
                        er_autofree char *full = below(path, entry->d_name);
                        er_autoclose int fd = openat(dir_fd, entry->d_name,
                                                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

                        if (fd >= 0)
                                rc = step(walk, fd, full, part, depth + 1, err);
                }
        }
        closedir(dir);
        return rc;
}

int er_glob_walk(int dir_fd, const char *pattern, er_glob_fn fn, void *arg, struct er_err *err)
{
        struct walk walk = {.top_fd = dir_fd, .fn = fn, .arg = arg};
        struct er_sv rest = er_sv(pattern), part;
        int rc = 0;

        while (er_sv_cut(&rest, '/', &part)) {
                if (part.len == 0 || er_sv_eq(part, ER_SV(".")))
                        continue; /* "out/", "./out" */
                if (er_sv_eq(part, ER_SV(".."))) {
                        er_strv_release(&walk.parts);
                        return 0; /* nothing outside matches */
                }
                er_strv_addn(&walk.parts, part.ptr, part.len);
        }
        if (pattern[0] != '/' && walk.parts.len == 0)
                rc = er_glob_below(dir_fd, "", fn, arg, err); /* "." */
        else if (pattern[0] != '/')
                rc = step(&walk, dir_fd, "", 0, 0, err);
        er_strv_release(&walk.parts);
        return rc;
}

int er_glob_below(int dir_fd, const char *path, er_glob_fn fn, void *arg, struct er_err *err)
{
        er_autoclose int fd = -1;

        if (er_streq(path, "."))
                path = "";
        fd = path[0] ? openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                     : fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? 0 : below_step(fd, path, 0, fn, arg, err);
}

/* The path of an open directory or file as the kernel knows it now. */
static ssize_t path_of(int fd, char *ret, size_t size)
{
        char link[64];
        ssize_t len;

        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        len = readlink(link, ret, size - 1);
        if (len >= 0)
                ret[len] = '\0';
        return len;
}

bool er_resolve_beneath(int dir_fd, const char *path, struct er_str *ret_real, struct stat *ret_st)
{
        char top[4096], real[4096];
        ssize_t top_len = path_of(dir_fd, top, sizeof top);
        /* Followed wherever it leads, but opened for no more than its name: that decides. */
        er_autoclose int fd = openat(dir_fd, path, O_PATH | O_CLOEXEC);
        struct stat st;

        if (top_len <= 0 || fd < 0 || fstat(fd, &st) < 0 || path_of(fd, real, sizeof real) <= top_len ||
            strncmp(real, top, (size_t)top_len) != 0 || real[top_len] != '/')
                return false;
        er_str_reset(ret_real);
        er_str_add(ret_real, real + top_len + 1);
        *ret_st = st;
        return true;
}

struct search {
        int top_fd;
        bool files, any;
};

static int found(void *arg, int dir_fd, const char *name, const char *path, const struct stat *st, struct er_err *err)
{
        struct search *search = arg;
        er_auto(er_str) real = ER_STR_INIT;
        struct stat behind;

        (void)dir_fd, (void)name, (void)err;
        if (search->files && S_ISLNK(st->st_mode) && !er_resolve_beneath(search->top_fd, path, &real, &behind))
                return 0;
        search->any = true;
        return -1;
}

bool er_glob_any(int dir_fd, const char *pattern, bool files)
{
        struct search search = {.top_fd = dir_fd, .files = files};

        er_glob_walk(dir_fd, pattern, found, &search, NULL);
        return search.any;
}

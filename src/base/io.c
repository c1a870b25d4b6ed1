/* io.c - see io.h */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/map.h"
#include "base/path.h"

/* Waits until a non-blocking descriptor is ready. */
static void wait_ready(int fd, short events)
{
        struct pollfd p = {.fd = fd, .events = events};

        while (poll(&p, 1, -1) < 0 && errno == EINTR)
                ;
}

static bool would_block(int errnum)
{
        return errnum == EAGAIN || errnum == EWOULDBLOCK;
}

ssize_t er_read_full(int fd, void *buf, size_t len)
{
        size_t done = 0;

        while (done < len) {
                ssize_t n = read(fd, (char *)buf + done, len - done);

                if (n == 0)
                        break;
                if (n > 0)
                        done += (size_t)n;
                else if (would_block(errno))
                        wait_ready(fd, POLLIN);
                else if (errno != EINTR)
                        return -1;
        }
        return (ssize_t)done;
}

ssize_t er_pread_full(int fd, void *buf, size_t len, off_t offset)
{
        size_t done = 0;

        while (done < len) {
                ssize_t n = pread(fd, (char *)buf + done, len - done, offset + (off_t)done);

                if (n == 0)
                        break;
                if (n > 0)
                        done += (size_t)n;
                else if (errno != EINTR)
                        return -1;
        }
        return (ssize_t)done;
}

int er_write_full(int fd, const void *data, size_t len)
{
        const char *p = data;

        while (len > 0) {
                ssize_t n = write(fd, p, len);

                if (n >= 0) {
                        p += n;
                        len -= (size_t)n;
                } else if (would_block(errno)) {
                        wait_ready(fd, POLLOUT);
                } else if (errno != EINTR) {
                        return -1;
                }
        }
        return 0;
}

int er_pwrite_full(int fd, const void *data, size_t len, off_t offset)
{
        const char *p = data;

        while (len > 0) {
                ssize_t n = pwrite(fd, p, len, offset);

                if (n >= 0) {
                        p += n;
                        offset += n;
                        len -= (size_t)n;
                } else if (errno != EINTR) {
                        return -1;
                }
        }
        return 0;
}

static int open_retry(int at, const char *path, int flags, mode_t mode)
{
        int fd;

        do
                fd = openat(at, path, flags | O_CLOEXEC, mode);
        while (fd < 0 && errno == EINTR);
        return fd;
}

static int too_large(const char *path, size_t max, struct er_err *err)
{
        return er_err_set(err, ER_CONFIG, "%s: larger than %zu bytes, which is the limit", path, max);
}

static int read_file(int at, const char *path, int flags, size_t max, struct er_str *ret, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;
        er_autoclose int fd = -1;
        struct stat st;
        size_t room;

        fd = open_retry(at, path, O_RDONLY | flags, 0);
        if (fd < 0)
                return er_err_errno(err, errno, "open %s", path);
        if (fstat(fd, &st) < 0)
                return er_err_errno(err, errno, "stat %s", path);
        if (flags & O_NONBLOCK && !S_ISREG(st.st_mode))
                return er_err_set(err, ER_CONFIG, "%s is not a regular file", path);
        if (S_ISREG(st.st_mode) && st.st_size > 0 && (uint64_t)st.st_size > max)
                return too_large(path, max, err);
        room = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 4095;
        for (;;) {
                ssize_t n;

                if (room > max - text.len)
                        room = max - text.len;
                er_str_reserve(&text, room + 1); /* one more, to see whether it is too large */
                n = er_read_full(fd, text.buf + text.len, room + 1);
                if (n < 0)
                        return er_err_errno(err, errno, "read %s", path);
                text.len += (size_t)n;
                text.buf[text.len] = '\0';
                if (text.len > max)
                        return too_large(path, max, err);
                if ((size_t)n < room + 1)
                        break;
                room = text.len;
        }
        er_str_release(ret);
        *ret = text;
        er_str_init(&text);
        return 0;
}

int er_file_read(int at, const char *path, size_t max, struct er_str *ret, struct er_err *err)
{
        return read_file(at, path, 0, max, ret, err);
}

int er_file_read_regular(int at, const char *path, size_t max, struct er_str *ret, struct er_err *err)
{
        return read_file(at, path, O_NONBLOCK, max, ret, err);
}

/* "<path>.tmp-<random>"; a name near the limit of 255 bytes is shortened to make room. */
static char *temp_name(const char *path)
{
        static atomic_uint counter;
        const char *base = er_path_base(path);
        size_t dir_len = (size_t)(base - path), base_len = strlen(base);
        struct {
                int64_t now, pid;
                uint64_t count;
        } seed = {er_mono_us() ^ er_now_ms(), getpid(), atomic_fetch_add(&counter, 1)};

        if (base_len > 230)
                base_len = 230;
        return er_fmt("%.*s.tmp-%08x", (int)(dir_len + base_len), path, (unsigned int)er_hash64(&seed, sizeof seed));
}

int er_file_write(int at, const char *path, const void *data, size_t len, mode_t mode, bool durable, struct er_err *err)
{
        er_autofree char *temp = NULL;
        er_autoclose int fd = -1;
        int saved;

        do {
                free(temp);
                temp = temp_name(path);
                fd = open_retry(at, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
        } while (fd < 0 && errno == EEXIST);
        if (fd < 0)
                return er_err_errno(err, errno, "create %s", temp);
        if (er_write_full(fd, data, len) < 0)
                goto failed;
        if (durable && fsync(fd) < 0)
                goto failed;
        /* Some network file systems report a full disk only here. */
        if (close(er_take_fd(&fd)) < 0 && errno != EINTR)
                goto failed;
        if (renameat(at, temp, at, path) < 0)
                goto failed;
        if (durable && er_fsync_parent(at, path) < 0)
                return er_err_errno(err, errno, "fsync the directory of %s", path);
        return 0;
failed:
        saved = errno;
        unlinkat(at, temp, 0);
        return er_err_errno(err, saved, "write %s", path);
}

bool er_file_exists(int at, const char *path)
{
        struct stat st;

        return fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int er_set_nonblock(int fd, bool on)
{
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0)
                return -1;
        flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
        return fcntl(fd, F_SETFL, flags) < 0 ? -1 : 0;
}

#ifndef __linux__
static void set_cloexec(const int fds[2])
{
        fcntl(fds[0], F_SETFD, FD_CLOEXEC);
        fcntl(fds[1], F_SETFD, FD_CLOEXEC);
}
#endif

int er_pipe(int ret_fds[2])
{
#ifdef __linux__
        return pipe2(ret_fds, O_CLOEXEC);
#else
        if (pipe(ret_fds) < 0)
                return -1;
        set_cloexec(ret_fds);
        return 0;
#endif
}

int er_socketpair(int ret_fds[2])
{
#ifdef __linux__
        return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds);
#else
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ret_fds) < 0)
                return -1;
        set_cloexec(ret_fds);
        return 0;
#endif
}

void er_close(int *fd)
{
        er_closep(fd);
}

int er_fsync_parent(int at, const char *path)
{
        er_autofree char *dir = er_path_dir(path);
        er_autoclose int fd = open_retry(at, dir, O_RDONLY | O_DIRECTORY, 0);

        if (fd < 0)
                return -1;
        /* File systems that cannot sync a directory say EINVAL. */
        if (fsync(fd) < 0 && errno != EINVAL)
                return -1;
        return 0;
}

mode_t er_umask(void)
{
        er_auto(er_str) text = ER_STR_INIT;
        const char *line;
        mode_t mask = 0;

        /* umask() only tells it by changing it. */
        if (er_file_read(AT_FDCWD, "/proc/self/status", 1u << 20, &text, NULL) == 0 &&
            (line = strstr(text.buf, "\nUmask:\t"))) {
                for (line += strlen("\nUmask:\t"); *line >= '0' && *line <= '7'; line++)
                        mask = mask * 8 + (mode_t)(*line - '0');
                return mask & 0777;
        }
        mask = umask(077);
        umask(mask);
        return mask;
}

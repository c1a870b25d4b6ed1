/* capture.c - see capture.h */
#include "agent/attempt/capture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"

#define PIPE_LARGE (1 << 20) /* for a job that fills the usual 64 KiB */
#define PIPE_USUAL (64 * 1024)
#define MOVE_MAX (8u << 20) /* at a time, so that others get their turn */
#define COPY_SIZE (64u * 1024)
#define SAME_RECORD_MS 50

void er_capture_open(struct er_capture *c, int dir_fd)
{
        c->dir_fd = dir_fd;
}

/* Only once there is output: creating files is much of the cost of a short job. */
static void make_log(struct er_capture *c)
{
        c->log_fd = openat(c->dir_fd, "log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (c->log_fd < 0)
                c->lost_errno = errno;
}

int er_capture_pipes(struct er_capture *c, int ret_write[2])
{
        for (int i = 0; i < 2; i++) {
                int fds[2];

                if (er_pipe(fds) < 0)
                        return -1;
                er_set_nonblock(fds[0], true);
                c->pipes[i] = fds[0];
                ret_write[i] = fds[1];
        }
        return 0;
}

static void put_record(struct er_capture *c, unsigned stream)
{
        int64_t now = er_now_ms(), time = c->record_ms;
        uint64_t number = c->records; /* from 1 */
        struct {
                uint64_t end, time;
                uint32_t stream, zero;
        } record;

        _Static_assert(sizeof record == ER_LOG_RECORD, "the index's layout");
        /* Bytes whose record could not be written (a full disk) belong to no later record. */
        if (c->records == 0 || stream != c->record_stream || now - c->record_ms >= SAME_RECORD_MS ||
            now < c->record_ms) {
                number++;
                time = now;
        }
        record.end = htole64(c->size);
        record.time = htole64((uint64_t)time);
        record.stream = htole32(stream);
        record.zero = 0;
        if (c->idx_fd < 0)
                c->idx_fd = openat(c->dir_fd, "log.idx", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (c->idx_fd < 0 ||
            er_pwrite_full(c->idx_fd, &record, sizeof record, (off_t)((number - 1) * sizeof record)) < 0)
                return; /* the record is not there: the next one starts as if this had not happened */
        c->records = number;
        c->record_stream = stream;
        c->record_ms = time;
}

static void write_some(struct er_capture *c, const char *data, size_t len)
{
        size_t done = 0;

        while (c->log_fd >= 0 && c->lost_errno == 0 && done < len) {
                ssize_t w = pwrite(c->log_fd, data + done, len - done, (off_t)(c->size + done));

                if (w < 0 && errno == EINTR)
                        continue;
                if (w <= 0)
                        c->lost_errno = w < 0 ? errno : ENOSPC;
                else
                        done += (size_t)w;
        }
        c->size += done;
        c->dropped += len - done;
}

static ssize_t copy_some(struct er_capture *c, int fd)
{
        ssize_t n;

        if (!c->buf)
                c->buf = er_malloc(COPY_SIZE);
        n = read(fd, c->buf, COPY_SIZE);
        if (n > 0)
                write_some(c, c->buf, (size_t)n);
        return n;
}

void er_capture_text(struct er_capture *c, unsigned stream, const char *text, size_t len)
{
        if (c->log_fd < 0)
                make_log(c);
        write_some(c, text, len);
        put_record(c, stream);
}

void er_capture_file(struct er_capture *c, unsigned stream, int fd)
{
        if (c->log_fd < 0)
                make_log(c);
        while (copy_some(c, fd) > 0)
                put_record(c, stream);
}

static ssize_t move_some(struct er_capture *c, int fd)
{
        loff_t offset = (loff_t)c->size;
        ssize_t n;

        int waiting = 0;

        if (c->log_fd < 0 && c->lost_errno == 0 &&
            (ioctl(fd, FIONREAD, &waiting) < 0 || waiting > 0)) /* otherwise the end of the stream */
                make_log(c);
        if (c->no_splice || c->log_fd < 0 || c->lost_errno)
                return copy_some(c, fd);
        n = splice(fd, NULL, c->log_fd, &offset, PIPE_LARGE, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (n > 0) {
                c->size += (uint64_t)n;
        } else if (n < 0 && (errno == EINVAL || errno == ENOSYS)) {
                c->no_splice = true;
                return copy_some(c, fd);
        } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
                /* The disk is full, or broken. The job goes on and its output is only counted. A log with a gap would
                   be misleading, so nothing more is written to it. */
                c->lost_errno = errno;
                return copy_some(c, fd);
        }
        return n;
}

bool er_capture_move(struct er_capture *c, int i)
{
        uint64_t before = c->size, moved = 0;

        while (c->pipes[i] >= 0 && moved < MOVE_MAX) {
                uint64_t size = c->size;
                ssize_t n = move_some(c, c->pipes[i]);

                if (n == 0) {
                        er_close(&c->pipes[i]);
                } else if (n > 0) {
                        moved += (uint64_t)n;
                        if (c->size > size)
                                put_record(c, i == 0 ? ER_STDOUT : ER_STDERR);
                        if (n < PIPE_USUAL)
                                break; /* probably all there was: poll will tell */
                        if (!c->enlarged[i]) {
                                c->enlarged[i] = true;
                                fcntl(c->pipes[i], F_SETPIPE_SZ, PIPE_LARGE);
                        }
                } else if (errno != EINTR) {
                        if (errno != EAGAIN)
                                er_close(&c->pipes[i]);
                        break;
                }
        }
        return c->size > before;
}

void er_capture_finish(struct er_capture *c)
{
        for (int i = 0; i < 2; i++) {
                uint64_t size, dropped;

                if (c->pipes[i] < 0)
                        continue;
                do {
                        size = c->size;
                        dropped = c->dropped;
                        er_capture_move(c, i);
                } while (c->pipes[i] >= 0 && (c->size > size || c->dropped > dropped));
                er_close(&c->pipes[i]);
        }
        er_close(&c->log_fd);
        er_close(&c->idx_fd);
        free(c->buf);
        c->buf = NULL;
}

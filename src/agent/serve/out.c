/* out.c - see out.h */
#include "agent/serve/out.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include "base/io.h"

#define PIPE_LARGE (1 << 20)  /* for large output: fewer switches between us and the reader */
#define KEEP_MAX (64u * 1024) /* a larger buffer is freed once it is empty */

void er_out_init(struct er_out *out, int fd)
{
        *out = (struct er_out)ER_OUT_INIT;
        out->fd = fd;
}

void er_out_release(struct er_out *out)
{
        er_close(&out->file_fd);
        er_str_release(&out->head);
        er_str_release(&out->tail);
}

struct er_str *er_out_buf(struct er_out *out)
{
        return er_out_is_plain(out) ? &out->head : &out->tail;
}

void er_out_file(struct er_out *out, int fd, off_t offset, uint64_t len)
{
        if (!out->enlarged)
                fcntl(out->fd, F_SETPIPE_SZ, PIPE_LARGE); /* not a pipe: just as good */
        out->enlarged = true;
        out->file_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        out->file_offset = offset;
        out->file_left = len;
}

size_t er_out_waiting(const struct er_out *out)
{
        return out->head.len - out->sent + out->tail.len;
}

/* 1: some was sent; 0: no room now. */
static int after_call(struct er_out *out, ssize_t n)
{
        if (n >= 0 || errno == EINTR)
                return 1;
        if (errno == EAGAIN)
                return 0;
        out->broken = true;
        return 0;
}

static int send_zeros(struct er_out *out)
{
        static const char zeros[4096];
        ssize_t n = write(out->fd, zeros, out->file_left < sizeof zeros ? (size_t)out->file_left : sizeof zeros);

        if (n > 0)
                out->file_left -= (uint64_t)n;
        return after_call(out, n);
}

static int copy_piece(struct er_out *out)
{
        char buf[16384];
        size_t want = out->file_left < sizeof buf ? (size_t)out->file_left : sizeof buf;
        ssize_t n = out->file_fd < 0 ? 0 : pread(out->file_fd, buf, want, out->file_offset);

        if (n <= 0)
                return n < 0 && errno == EINTR ? 1 : send_zeros(out);
        n = write(out->fd, buf, (size_t)n);
        if (n > 0) {
                out->file_left -= (uint64_t)n;
                out->file_offset += n;
        }
        return after_call(out, n);
}

static int send_file(struct er_out *out)
{
        ssize_t n;

        if (out->no_sendfile || out->file_fd < 0)
                return copy_piece(out);
        n = sendfile(out->fd, out->file_fd, &out->file_offset, out->file_left);
        if (n < 0 && (errno == EINVAL || errno == ENOSYS || errno == EIO)) {
                out->no_sendfile = true;
                return 1;
        }
        if (n == 0)
                return send_zeros(out);
        if (n > 0)
                out->file_left -= (uint64_t)n;
        return after_call(out, n);
}

static void swap_buffers(struct er_out *out)
{
        struct er_str empty = out->head;

        er_str_reset(&empty);
        if (empty.cap > KEEP_MAX)
                er_str_release(&empty);
        out->head = out->tail;
        out->tail = empty;
        out->sent = 0;
}

void er_out_flush(struct er_out *out)
{
        while (!out->broken) {
                if (out->sent < out->head.len) {
                        ssize_t n = write(out->fd, out->head.buf + out->sent, out->head.len - out->sent);

                        if (n > 0)
                                out->sent += (size_t)n;
                        if (!after_call(out, n))
                                return;
                } else if (out->file_left > 0) {
                        if (!send_file(out))
                                return;
                } else {
                        er_close(&out->file_fd);
                        swap_buffers(out);
                        if (out->head.len == 0)
                                return;
                }
        }
}

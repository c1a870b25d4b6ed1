/* mux.c - see mux.h */
#include "host/connect/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/io.h"
#include "base/log.h"

/* "11. Protocol numbers" of PROTOCOL.mux */
#define MUX_VERSION 4u
#define MUX_MSG_HELLO 0x00000001u
#define MUX_C_NEW_SESSION 0x10000002u
#define MUX_C_OPEN_FWD 0x10000006u
#define MUX_C_NEW_STDIO_FWD 0x10000008u
#define MUX_S_OK 0x80000001u
#define MUX_S_PERMISSION_DENIED 0x80000002u
#define MUX_S_FAILURE 0x80000003u
#define MUX_S_EXIT_MESSAGE 0x80000004u
#define MUX_S_SESSION_OPENED 0x80000006u

#define MUX_FORWARD_LOCAL 1u
#define MUX_PORT_PATH ((uint32_t)-2) /* PORT_STREAMLOCAL in its sources: the host is a path */
#define MUX_NO_ESCAPE 0xffffffffu
#define MUX_REQUEST 0u
#define MUX_FRAME_MAX (256u * 1024) /* ssh's own limit */

static void put_u32(struct er_str *out, uint32_t value)
{
        unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                  (unsigned char)(value >> 8), (unsigned char)value};

        er_str_addn(out, bytes, sizeof bytes);
}

static uint32_t read_u32(const char *data)
{
        const unsigned char *p = (const unsigned char *)data;

        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static void put_text(struct er_str *out, const char *text)
{
        size_t len = strlen(text);

        put_u32(out, (uint32_t)len);
        er_str_addn(out, text, len);
}

static void put_frame(struct er_str *out, const struct er_str *body)
{
        put_u32(out, (uint32_t)body->len);
        er_str_addn(out, body->buf, body->len);
}

/* Sent together with the request: the master reads frame by frame, and so never past the descriptors that follow. */
static void put_hello(struct er_str *out)
{
        er_auto(er_str) body = ER_STR_INIT;

        put_u32(&body, MUX_MSG_HELLO);
        put_u32(&body, MUX_VERSION);
        put_frame(out, &body);
}

static void put_forward(struct er_str *out, const char *host, uint16_t port)
{
        er_auto(er_str) body = ER_STR_INIT;

        put_u32(&body, MUX_C_NEW_STDIO_FWD);
        put_u32(&body, MUX_REQUEST);
        put_text(&body, ""); /* reserved */
        put_text(&body, host);
        put_u32(&body, port); /* PROTOCOL.mux says string, ssh reads a number */
        put_frame(out, &body);
}

static void put_listen(struct er_str *out, const char *here, const char *there)
{
        er_auto(er_str) body = ER_STR_INIT;

        put_u32(&body, MUX_C_OPEN_FWD);
        put_u32(&body, MUX_REQUEST);
        put_u32(&body, MUX_FORWARD_LOCAL);
        put_text(&body, here);
        put_u32(&body, MUX_PORT_PATH);
        put_text(&body, there);
        put_u32(&body, MUX_PORT_PATH);
        put_frame(out, &body);
}

static void put_session(struct er_str *out, const char *command)
{
        er_auto(er_str) body = ER_STR_INIT;

        put_u32(&body, MUX_C_NEW_SESSION);
        put_u32(&body, MUX_REQUEST);
        put_text(&body, ""); /* reserved */
        put_u32(&body, 0);   /* terminal */
        put_u32(&body, 0);   /* X11 */
        put_u32(&body, 0);   /* agent */
        put_u32(&body, 0);   /* subsystem */
        put_u32(&body, MUX_NO_ESCAPE);
        put_text(&body, ""); /* $TERM */
        put_text(&body, command);
        put_frame(out, &body);
}

int er_mux_connect(const char *path, er_deadline deadline)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        size_t len = strlen(path);
        int pause_ms = 1;
        er_autoclose int fd = -1;

        if (len >= sizeof addr.sun_path) {
                errno = ENAMETOOLONG;
                return -1;
        }
        memcpy(addr.sun_path, path, len + 1);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || er_set_nonblock(fd, true) < 0)
                return -1;
        while (connect(fd, (const struct sockaddr *)&addr, sizeof addr) < 0) {
                int left = er_deadline_poll_ms(deadline);

                if (errno == EISCONN)
                        break;
                /* EAGAIN: the listener's queue is full, as when hundreds connect at once. */
                if ((errno != EAGAIN && errno != EINTR && errno != EALREADY && errno != EINPROGRESS) || left == 0)
                        return -1;
                poll(NULL, 0, left > 0 && left < pause_ms ? left : pause_ms);
                if (pause_ms < 20)
                        pause_ms *= 2;
        }
#ifdef SO_NOSIGPIPE
        setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
        return er_take_fd(&fd);
}

bool er_mux_listens(const char *path, int *ret_errno)
{
        er_autoclose int fd = er_mux_connect(path, er_deadline_in(1000));

        if (fd < 0 && ret_errno)
                *ret_errno = errno;
        return fd >= 0;
}

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* Waits until the socket can be read or written; then OPENED. */
static enum er_mux_answer wait_for(int fd, short events, er_deadline deadline, const struct er_cancel *cancel)
{
        for (;;) {
                struct pollfd p[2] = {{.fd = fd, .events = events},
                                      {.fd = cancel ? cancel->fds[0] : -1, .events = POLLIN}};
                int left = er_deadline_poll_ms(deadline), n = poll(p, 2, left);

                if (n > 0)
                        return p[1].revents ? ER_MUX_CANCELLED : ER_MUX_OPENED;
                if (n == 0 && left == 0)
                        return ER_MUX_SILENT;
                if (n < 0 && errno != EINTR)
                        return ER_MUX_DEAD;
        }
}

static enum er_mux_answer send_all(int fd, const struct er_str *data, er_deadline deadline,
                                   const struct er_cancel *cancel)
{
        size_t done = 0;

        while (done < data->len) {
                ssize_t n = send(fd, data->buf + done, data->len - done, MSG_NOSIGNAL);
                enum er_mux_answer answer;

                if (n >= 0) {
                        done += (size_t)n;
                        continue;
                }
                if (errno == EINTR)
                        continue;
                if (errno != EAGAIN && errno != EWOULDBLOCK)
                        return ER_MUX_DEAD;
                answer = wait_for(fd, POLLOUT, deadline, cancel);
                if (answer != ER_MUX_OPENED)
                        return answer;
        }
        return ER_MUX_OPENED;
}

/* Each descriptor travels with one byte of its own: the master reads them so (mm_receive_fd in its sources). */
static enum er_mux_answer send_fd(int fd, int passed, er_deadline deadline, const struct er_cancel *cancel)
{
        union {
                struct cmsghdr head;
                char room[CMSG_SPACE(sizeof(int))];
        } control = {.room = {0}};
        char byte = 0;
        struct iovec part = {.iov_base = &byte, .iov_len = 1};
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);

        head->cmsg_len = CMSG_LEN(sizeof(int));
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(head), &passed, sizeof passed);
        for (;;) {
                enum er_mux_answer answer;

                if (sendmsg(fd, &message, MSG_NOSIGNAL) == 1)
                        return ER_MUX_OPENED;
                if (errno == EINTR)
                        continue;
                if (errno != EAGAIN && errno != EWOULDBLOCK)
                        return ER_MUX_DEAD;
                answer = wait_for(fd, POLLOUT, deadline, cancel);
                if (answer != ER_MUX_OPENED)
                        return answer;
        }
}

/* Reads what is there. OPENED if something arrived or nothing was there. */
static enum er_mux_answer fill(struct er_mux *mux)
{
        char buf[4096];
        ssize_t n = recv(mux->fd, buf, sizeof buf, 0);

        if (n > 0)
                er_str_addn(&mux->in, buf, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
                return ER_MUX_DEAD;
        return ER_MUX_OPENED;
}

/* A whole frame at the start of mux->in: 1, its size in *ret_size; 0: more is needed; -1: not this protocol. */
static int whole_frame(const struct er_mux *mux, size_t *ret_size)
{
        uint32_t len;

        if (mux->in.len < 4)
                return 0;
        len = read_u32(mux->in.buf);
        if (len < 4 || len > MUX_FRAME_MAX)
                return -1;
        if (mux->in.len - 4 < len)
                return 0;
        *ret_size = 4 + (size_t)len;
        return 1;
}

/* Waits for the next frame; it is at the start of mux->in, and the caller drops it. */
static enum er_mux_answer next_frame(struct er_mux *mux, er_deadline deadline, const struct er_cancel *cancel,
                                     size_t *ret_size)
{
        for (;;) {
                int whole = whole_frame(mux, ret_size);
                enum er_mux_answer answer;

                if (whole != 0)
                        return whole > 0 ? ER_MUX_OPENED : ER_MUX_ODD;
                answer = wait_for(mux->fd, POLLIN, deadline, cancel);
                if (answer == ER_MUX_OPENED)
                        answer = fill(mux);
                if (answer != ER_MUX_OPENED)
                        return answer;
        }
}

/* The reason in a refusal: u32 type | u32 request | string. */
static void keep_reason(struct er_mux *mux, size_t size)
{
        uint32_t len;

        er_str_reset(&mux->said);
        if (size < 16)
                return;
        len = read_u32(mux->in.buf + 12);
        if (len <= size - 16)
                er_str_addn(&mux->said, mux->in.buf + 16, len);
}

static enum er_mux_answer read_answer(struct er_mux *mux, er_deadline deadline, const struct er_cancel *cancel)
{
        bool greeted = false;

        for (;;) {
                size_t size = 0;
                enum er_mux_answer answer = next_frame(mux, deadline, cancel, &size);
                uint32_t type;

                if (answer != ER_MUX_OPENED)
                        return answer;
                type = read_u32(mux->in.buf + 4);
                if (!greeted) {
                        if (type != MUX_MSG_HELLO || size < 12 || read_u32(mux->in.buf + 8) != MUX_VERSION)
                                return ER_MUX_ODD;
                        greeted = true;
                } else if (type == MUX_S_SESSION_OPENED && size >= 16) {
                        mux->session = read_u32(mux->in.buf + 12);
                        er_str_drop(&mux->in, size);
                        return ER_MUX_OPENED;
                } else if (type == MUX_S_OK) {
                        er_str_drop(&mux->in, size);
                        return ER_MUX_OPENED;
                } else if (type == MUX_S_FAILURE) {
                        /* "Session open refused by peer": the only failure that is about room. */
                        keep_reason(mux, size);
                        return strstr(mux->said.buf, "refused") ? ER_MUX_FULL : ER_MUX_ODD;
                } else if (type == MUX_S_PERMISSION_DENIED) {
                        keep_reason(mux, size);
                        return ER_MUX_DENIED;
                } else {
                        return ER_MUX_ODD;
                }
                er_str_drop(&mux->in, size);
        }
}

static enum er_mux_answer ask(struct er_mux *mux, const char *path, const struct er_str *request, const int *fds,
                              int fd_count, er_deadline deadline, const struct er_cancel *cancel)
{
        enum er_mux_answer answer;

        er_str_reset(&mux->in);
        er_str_reset(&mux->said);
        mux->exit_status = -1;
        mux->fd = er_mux_connect(path, deadline);
        if (mux->fd < 0)
                return errno == EAGAIN ? ER_MUX_SILENT : ER_MUX_DEAD;
        answer = send_all(mux->fd, request, deadline, cancel);
        for (int i = 0; i < fd_count && answer == ER_MUX_OPENED; i++)
                answer = send_fd(mux->fd, fds[i], deadline, cancel);
        if (answer == ER_MUX_OPENED)
                answer = read_answer(mux, deadline, cancel);
        er_debug("host", "mux %s: answer %d %s", path, (int)answer, mux->said.buf);
        if (answer != ER_MUX_OPENED)
                er_close(&mux->fd);
        return answer;
}

enum er_mux_answer er_mux_open(struct er_mux *mux, const char *path, const char *command, const int fds[3],
                               er_deadline deadline, const struct er_cancel *cancel)
{
        er_auto(er_str) request = ER_STR_INIT;

        put_hello(&request);
        put_session(&request, command);
        return ask(mux, path, &request, fds, 3, deadline, cancel);
}

enum er_mux_answer er_mux_forward(struct er_mux *mux, const char *path, const char *host, uint16_t port,
                                  const int fds[2], er_deadline deadline, const struct er_cancel *cancel)
{
        er_auto(er_str) request = ER_STR_INIT;

        put_hello(&request);
        put_forward(&request, host, port);
        return ask(mux, path, &request, fds, 2, deadline, cancel);
}

enum er_mux_answer er_mux_listen(struct er_mux *mux, const char *path, const char *here, const char *there,
                                 er_deadline deadline, const struct er_cancel *cancel)
{
        er_auto(er_str) request = ER_STR_INIT;

        put_hello(&request);
        put_listen(&request, here, there);
        return ask(mux, path, &request, NULL, 0, deadline, cancel);
}

int er_mux_exit(struct er_mux *mux, er_deadline deadline)
{
        while (mux->fd >= 0 && mux->exit_status < 0) {
                size_t size = 0;

                if (next_frame(mux, deadline, NULL, &size) != ER_MUX_OPENED)
                        break;
                if (read_u32(mux->in.buf + 4) == MUX_S_EXIT_MESSAGE && size >= 16 &&
                    read_u32(mux->in.buf + 8) == mux->session)
                        mux->exit_status = (int)(read_u32(mux->in.buf + 12) & 0xff);
                er_str_drop(&mux->in, size);
        }
        return mux->exit_status;
}

void er_mux_release(struct er_mux *mux)
{
        er_close(&mux->fd);
        er_str_release(&mux->in);
        er_str_release(&mux->said);
}

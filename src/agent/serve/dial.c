/* dial.c - see dial.h */
#include "agent/serve/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"

#define CHUNK (64u * 1024)

struct way {
        int from, to; /* -1: closed */
        size_t len, done;
        char buf[CHUNK];
};

static int tell(const char *text)
{
        return er_write_full(1, text, strlen(text));
}

static int connect_to(const struct sockaddr *addr, socklen_t len)
{
        int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd >= 0 && connect(fd, addr, len) < 0)
                er_close(&fd);
        return fd;
}

/* A server on localhost nearly always listens on 127.0.0.1, and now and then only on ::1. */
static int dial(uint16_t port)
{
        struct sockaddr_in four = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_in6 six = {
                .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        int fd = connect_to((const struct sockaddr *)&four, sizeof four), why = errno;

        if (fd < 0 && why == ECONNREFUSED)
                fd = connect_to((const struct sockaddr *)&six, sizeof six);
        if (fd < 0)
                errno = why;
        return fd;
}

/* Passes the end of one direction on; the other direction may still have something to send. */
static void end_way(struct way *way, bool is_socket)
{
        if (is_socket)
                shutdown(way->to, SHUT_WR);
        else {
                close(1);
                close(2); /* sshd reports the end only when both are closed */
        }
        way->from = way->to = -1;
}

static void move(struct way *way, short readable, short writable, bool to_socket)
{
        ssize_t n;

        if (way->len == way->done && readable) {
                n = read(way->from, way->buf, sizeof way->buf);
                if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                        end_way(way, to_socket);
                        return;
                }
                way->done = 0;
                way->len = n > 0 ? (size_t)n : 0;
                writable = POLLOUT;
        }
        if (way->len > way->done && writable) {
                n = write(way->to, way->buf + way->done, way->len - way->done);
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        end_way(way, to_socket);
                else if (n > 0)
                        way->done += (size_t)n;
        }
}

static void carry(int fd)
{
        static struct way up, down;

        up.from = 0, up.to = fd;
        down.from = fd, down.to = 1;
        signal(SIGPIPE, SIG_IGN);
        er_set_nonblock(fd, true);
        er_set_nonblock(0, true);
        er_set_nonblock(1, true);
        while (up.from >= 0 || down.from >= 0) {
                bool up_full = up.len > up.done, down_full = down.len > down.done;
                struct pollfd p[4] = {
                        {.fd = up_full ? -1 : up.from, .events = POLLIN},
                        {.fd = up_full ? fd : -1, .events = POLLOUT}, /* else -1: it would report its end for ever */
                        {.fd = down_full ? -1 : down.from, .events = POLLIN},
                        {.fd = down.to, .events = down_full ? POLLOUT : 0},
                };

                if (poll(p, 4, -1) < 0 && errno != EINTR)
                        return;
                /* Reset, or nobody reads what comes from there. */
                if (p[1].revents & POLLERR || p[3].revents & (POLLERR | POLLHUP))
                        return;
                move(&up, p[0].revents, p[1].revents, true);
                move(&down, p[2].revents, p[3].revents, false);
        }
}

int er_dial(char **args, int count)
{
        struct er_err err = ER_ERR_INIT;
        uint64_t port = 0;
        int fd;

        if (count != 1 || er_parse_u64(args[0], 65535, &port, &err) < 0 || port == 0)
                return tell("none\n") < 0 ? 1 : 2;
        fd = dial((uint16_t)port);
        if (fd < 0) {
                er_autofree char *text = errno == ECONNREFUSED ? er_strdup("refused\n")
                                                               : er_fmt("fail %s\n", strerror(errno));

                return tell(text) < 0 ? 1 : 3;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (tell("ok\n") == 0)
                carry(fd);
        close(fd);
        return 0;
}

/* forward.c - see forward.h */
#include "host/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "host/connect/agent_program.h"
#include "host/connect/control.h"
#include "host/connect/ssh_explain.h"
#include "host/connect/ssh_open.h"

#define LISTENERS_MAX 64u
#define CONNECTIONS_MAX 512u
#define NEXT_MAX 50u       /* ports tried above one that is taken */
#define ANSWER_MS 5000     /* a master that takes longer has lost its connection */
#define CONNECT_MS 20000   /* for a new connection to the host */
#define PATIENCE_MS 120000 /* how long a connection waits for a host that is out of reach */
#define LOOK_MS 3000       /* between checks for contact */
#define PAUSE_MS 1000
#define LINGER_MS 5000
#define CHUNK (64u * 1024)
#define STACK (256u * 1024)

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

struct listener {
        int fd;
        uint16_t port, local;
        bool refused; /* under the lock: the last try found nobody, and that was reported */
};

struct er_forward {
        struct er_host host;
        er_forward_fn on_news;
        void *arg;
        struct listener listeners[LISTENERS_MAX];
        size_t count;
        struct er_cancel stop;
        pthread_t acceptor, watcher;
        bool started;
        pthread_mutex_t lock;
        pthread_cond_t fewer;
        size_t open;           /* connections under way */
        atomic_bool lost;      /* that was reported */
        atomic_bool dial_only; /* sshd there forbids forwarding */
};

struct connection {
        struct er_forward *forward;
        struct listener *listener;
        int client;
        struct er_link link; /* transport NULL: a connection of this machine, `to` and `from` are one socket */
};

/* --- news */

static void news(struct er_forward *f, enum er_forward_news what, const char *text) /* under the lock */
{
        if (f->on_news)
                f->on_news(f->arg, what, text);
}

static void say_lost(struct er_forward *f, const struct er_err *why)
{
        pthread_mutex_lock(&f->lock);
        if (!f->lost && !er_cancel_fired(&f->stop)) {
                er_autofree char *text = er_fmt("no contact with %s: %s", f->host.name, why->message);

                f->lost = true;
                news(f, ER_FORWARD_LOST, text);
        }
        pthread_mutex_unlock(&f->lock);
}

static void say_back(struct er_forward *f)
{
        pthread_mutex_lock(&f->lock);
        if (f->lost) {
                er_autofree char *text = er_fmt("%s is back", f->host.name);

                f->lost = false;
                news(f, ER_FORWARD_BACK, text);
        }
        pthread_mutex_unlock(&f->lock);
}

static void say_refused(struct er_forward *f, struct listener *listener)
{
        pthread_mutex_lock(&f->lock);
        if (!listener->refused) {
                er_autofree char *text = er_fmt("nothing listens on port %u of %s", listener->port, f->host.name);

                listener->refused = true;
                news(f, ER_FORWARD_REFUSED, text);
        }
        pthread_mutex_unlock(&f->lock);
}

static void say_failed(struct er_forward *f, const struct er_err *why)
{
        pthread_mutex_lock(&f->lock);
        news(f, ER_FORWARD_FAILED, why->message);
        pthread_mutex_unlock(&f->lock);
}

/* --- ways there */

/* 1: open; 0: nobody listens there; -1 with err. */
static int open_here(uint16_t port, struct er_link *ret, struct er_err *err)
{
        struct sockaddr_in four = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_in6 six = {
                .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        const struct {
                const struct sockaddr *addr;
                socklen_t len;
        } places[] = {{(const struct sockaddr *)&four, sizeof four}, {(const struct sockaddr *)&six, sizeof six}};
        int why = 0;

        for (size_t i = 0; i < ER_LEN(places); i++) {
                er_autoclose int fd = socket(places[i].addr->sa_family, SOCK_STREAM, 0);

                if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || connect(fd, places[i].addr, places[i].len) < 0) {
                        why = i == 0 ? errno : why;
                        continue;
                }
#ifdef SO_NOSIGPIPE
                setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
                er_set_nonblock(fd, true);
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
                ret->to = ret->from = er_take_fd(&fd);
                return 1;
        }
        if (why == ECONNREFUSED)
                return 0;
        return er_err_errno(err, why, "connecting to port %u of this machine", port);
}

static enum er_mux_answer open_slot(struct er_forward *f, const char *path, uint16_t port, struct er_link *ret,
                                    struct er_err *err)
{
        int theirs[3];
        enum er_mux_answer answer;

        if (er_link_pipes(ret, theirs, err) < 0)
                return ER_MUX_ODD;
        answer = er_mux_forward(&ret->mux, path, "127.0.0.1", port, theirs, er_deadline_in(ANSWER_MS), &f->stop);
        for (int i = 0; i < 3; i++)
                er_close(&theirs[i]);
        er_close(&ret->errs);
        if (answer == ER_MUX_OPENED)
                ret->transport = &er_transport_mux;
        else
                er_link_release(ret);
        return answer;
}

/* Over an existing connection. 1: open; 0: it takes another way (*ret_refused: because sshd refused). */
static int open_shared(struct er_forward *f, uint16_t port, struct er_link *ret, bool *ret_refused, struct er_err *err)
{
        for (int slot = 0; slot < ER_SLOTS && !f->dial_only; slot++) {
                er_autofree char *path = er_control_path(&f->host, slot);
                enum er_mux_answer answer;

                if (!path)
                        return 0;
                if (slot > 0 && access(path, F_OK) < 0)
                        continue;
                answer = open_slot(f, path, port, ret, err);
                if (answer == ER_MUX_OPENED)
                        return 1;
                if (answer == ER_MUX_FULL) {
                        *ret_refused = true;
                        return 0;
                }
                if (answer == ER_MUX_CANCELLED)
                        return er_err_set(err, ER_CANCELLED, "cancelled");
        }
        return 0;
}

/* Reads the first line of `dial`, and nothing after it. */
static int read_line(struct er_forward *f, struct er_link *link, struct er_str *ret, struct er_err *err)
{
        er_deadline deadline = er_deadline_in(CONNECT_MS);
        char c = 0;

        while (ret->len < 512) {
                struct pollfd p[2] = {{.fd = link->from, .events = POLLIN}, {.fd = f->stop.fds[0], .events = POLLIN}};
                ssize_t n = read(link->from, &c, 1);

                if (n == 1 && c == '\n')
                        return 0;
                if (n == 1) {
                        er_str_addc(ret, c);
                        er_close(&link->turn);
                        continue;
                }
                if (n == 0)
                        break;
                if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
                        break;
                if (poll(p, 2, er_deadline_poll_ms(deadline)) == 0) {
                        er_err_set(err, ER_TIMEOUT, "%s does not answer", f->host.name);
                        return er_err_retry(err);
                }
                if (p[1].revents)
                        return er_err_set(err, ER_CANCELLED, "cancelled");
        }
        er_link_drain_errs(link, er_deadline_in(1000));
        er_ssh_explain(&f->host, false, link->said.buf, link->transport->status(link, er_deadline_in(2000)), err);
        return -1;
}

/* Port 0 only checks for contact; the answer is 0. */
static int open_dialled(struct er_forward *f, uint16_t port, struct er_link *ret, struct er_err *err)
{
        const struct er_connect connect = {.host = &f->host, .patience_ms = CONNECT_MS, .cancel = &f->stop};
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_str) command = ER_STR_INIT;
        er_auto(er_str) line = ER_STR_INIT;

        er_agent_argv(&f->host, &argv);
        er_strv_add(&argv, "dial");
        er_strv_addf(&argv, "%u", port);
        er_str_add(&command, "exec ");
        er_quote_argv(&command, argv.items, argv.len);
        if (er_ssh_open(&connect, command.buf, ret, err) < 0)
                return -1;
        if (read_line(f, ret, &line, err) < 0) {
                er_link_release(ret);
                return -1;
        }
        if (er_streq(line.buf, "ok"))
                return 1;
        er_link_release(ret);
        if (er_streq(line.buf, "refused") || er_streq(line.buf, "none"))
                return 0;
        return er_err_set(err, ER_REMOTE, "port %u of %s: %s", port, f->host.name,
                          er_starts(line.buf, "fail ") ? line.buf + 5 : line.buf);
}

static int open_there(struct er_forward *f, uint16_t port, struct er_link *ret, struct er_err *err)
{
        bool refused = false;
        int rc;

        if (f->host.kind == ER_HOST_LOCAL)
                return open_here(port, ret, err);
        rc = open_shared(f, port, ret, &refused, err);
        if (rc != 0)
                return rc;
        rc = open_dialled(f, port, ret, err);
        /* The host can be reached, yet sshd refused: it forbids forwarding (or the service listens on ::1 only). */
        if (rc == 1 && refused)
                f->dial_only = true;
        return rc;
}

/* --- a connection */

struct way {
        int from, to; /* -1: at its end */
        size_t len, done;
        char *buf; /* (owned) CHUNK bytes */
};

static void move(struct way *way, bool readable)
{
        ssize_t n;

        if (way->len == way->done && readable) {
                n = read(way->from, way->buf, CHUNK);
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
                        return;
                if (n <= 0) {
                        shutdown(way->to, SHUT_WR);
                        way->from = -1;
                        return;
                }
                way->done = 0;
                way->len = (size_t)n;
        }
        if (way->len > way->done) {
                n = send(way->to, way->buf + way->done, way->len - way->done, MSG_NOSIGNAL);
                if (n > 0)
                        way->done += (size_t)n;
                else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
                        way->from = -1; /* nobody reads it any more */
        }
}

/* The last bytes are still on their way when both sides have ended: closing now would discard them. */
static void linger(struct connection *c)
{
        struct pollfd p[2] = {{.fd = c->link.mux.fd, .events = POLLIN},
                              {.fd = c->forward->stop.fds[0], .events = POLLIN}};
        int status;

        if (c->link.mux.fd >= 0)
                poll(p, 2, LINGER_MS);
        else if (c->link.proc.pid > 0)
                er_proc_wait(&c->link.proc, er_deadline_in(LINGER_MS), &status, NULL);
}

/* Until both sides have finished sending, or one is gone. */
static void carry(struct connection *c)
{
        struct way up = {.from = c->client, .to = c->link.to, .buf = er_malloc(CHUNK)};
        struct way down = {.from = c->link.from, .to = c->client, .buf = er_malloc(CHUNK)};

        while (up.from >= 0 || down.from >= 0) {
                bool up_full = up.len > up.done, down_full = down.len > down.done;
                struct pollfd p[4] = {
                        {.fd = c->client,
                         .events = (short)((up.from >= 0 && !up_full ? POLLIN : 0) | (down_full ? POLLOUT : 0))},
                        {.fd = up.from >= 0 || up_full ? c->link.to : -1, .events = up_full ? POLLOUT : 0},
                        {.fd = down.from >= 0 && !down_full ? down.from : -1, .events = POLLIN},
                        {.fd = c->forward->stop.fds[0], .events = POLLIN},
                };

                if (poll(p, ER_LEN(p), -1) < 0 && errno != EINTR)
                        break;
                if (p[3].revents || p[0].revents & (POLLERR | POLLNVAL))
                        break;
                /* The master has closed it: what has arrived from there is still delivered. */
                if (p[1].revents & (POLLERR | POLLHUP) && c->link.from != c->link.to)
                        up.from = -1;
                if (p[1].revents & POLLERR && c->link.from == c->link.to)
                        break;
                move(&up, up.from >= 0 && p[0].revents & (POLLIN | POLLHUP));
                move(&down, p[2].revents);
                if (down.from < 0 && p[1].revents & POLLHUP)
                        break;
        }
        if (up.from < 0 && down.from < 0 && up.len == up.done)
                linger(c);
        free(up.buf);
        free(down.buf);
}

/* False if the client has gone, or everything is to end. */
static bool pause_for(const struct connection *c, int64_t ms)
{
        struct pollfd p[2] = {{.fd = c->forward->stop.fds[0], .events = POLLIN}, {.fd = c->client, .events = 0}};

        return poll(p, 2, (int)ms) == 0;
}

static bool may_pass(const struct er_err *err)
{
        return err->retryable || err->code == ER_NET || err->code == ER_TIMEOUT || err->code == ER_TRANSPORT ||
               err->code == ER_CAPACITY;
}

static void serve(struct connection *c)
{
        struct er_forward *f = c->forward;
        er_deadline patience = er_deadline_in(PATIENCE_MS);

        for (;;) {
                er_auto(er_err) err = ER_ERR_INIT;
                int rc = open_there(f, c->listener->port, &c->link, &err);

                if (rc >= 0)
                        say_back(f);
                if (rc == 0)
                        say_refused(f, c->listener);
                if (rc == 1) {
                        pthread_mutex_lock(&f->lock);
                        c->listener->refused = false;
                        pthread_mutex_unlock(&f->lock);
                        carry(c);
                }
                if (rc >= 0 || err.code == ER_CANCELLED)
                        return;
                if (!may_pass(&err)) {
                        say_failed(f, &err);
                        return;
                }
                say_lost(f, &err);
                if (er_deadline_poll_ms(patience) == 0 || !pause_for(c, PAUSE_MS))
                        return;
        }
}

static void *connection_thread(void *arg)
{
        struct connection *c = arg;
        struct er_forward *f = c->forward;

        serve(c);
        if (!c->link.transport && c->link.to >= 0)
                c->link.from = -1; /* the same socket */
        er_link_release(&c->link);
        close(c->client);
        free(c);
        pthread_mutex_lock(&f->lock);
        f->open--;
        pthread_cond_signal(&f->fewer);
        pthread_mutex_unlock(&f->lock);
        return NULL;
}

static int start_thread(pthread_t *ret, void *(*run)(void *), void *arg, bool detached)
{
        pthread_attr_t attr;
        int rc = pthread_attr_init(&attr);

        if (rc)
                return rc;
        pthread_attr_setstacksize(&attr, STACK);
        if (detached)
                pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        rc = pthread_create(ret, &attr, run, arg);
        pthread_attr_destroy(&attr);
        return rc;
}

static void take_client(struct er_forward *f, struct listener *listener)
{
        int fd = accept(listener->fd, NULL, NULL);
        struct connection *c;
        pthread_t thread;
        bool room;

        if (fd < 0)
                return;
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        er_set_nonblock(fd, true);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
#ifdef SO_NOSIGPIPE
        setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
        pthread_mutex_lock(&f->lock);
        room = f->open < CONNECTIONS_MAX;
        if (room)
                f->open++;
        pthread_mutex_unlock(&f->lock);
        if (!room) {
                close(fd);
                return;
        }
        c = er_new(struct connection);
        *c = (struct connection){.forward = f, .listener = listener, .client = fd, .link = ER_LINK_INIT};
        if (start_thread(&thread, connection_thread, c, true) == 0)
                return;
        close(fd);
        free(c);
        pthread_mutex_lock(&f->lock);
        f->open--;
        pthread_mutex_unlock(&f->lock);
}

static void *acceptor_thread(void *arg)
{
        struct er_forward *f = arg;

        for (;;) {
                struct pollfd p[LISTENERS_MAX + 1] = {{.fd = f->stop.fds[0], .events = POLLIN}};

                for (size_t i = 0; i < f->count; i++)
                        p[i + 1] = (struct pollfd){.fd = f->listeners[i].fd, .events = POLLIN};
                if (poll(p, (nfds_t)f->count + 1, -1) < 0 && errno != EINTR)
                        return NULL;
                if (p[0].revents)
                        return NULL;
                for (size_t i = 0; i < f->count; i++)
                        if (p[i + 1].revents)
                                take_client(f, &f->listeners[i]);
        }
}

/* --- contact */

static bool has_master(const struct er_forward *f)
{
        for (int slot = 0; slot < ER_SLOTS; slot++) {
                er_autofree char *path = er_control_path(&f->host, slot);

                if (!path)
                        return true; /* there can be none: connections will tell */
                if (er_mux_listens(path, NULL))
                        return true;
        }
        return false;
}

/* Reports that the host is gone even while nobody needs it, and reconnects for whoever comes next. */
static void *watcher_thread(void *arg)
{
        struct er_forward *f = arg;
        struct pollfd stop = {.fd = f->stop.fds[0], .events = POLLIN};

        if (f->host.kind == ER_HOST_LOCAL)
                return NULL;
        while (poll(&stop, 1, LOOK_MS) <= 0) {
                er_auto(er_err) err = ER_ERR_INIT;
                struct er_link link = ER_LINK_INIT;

                if (has_master(f) && !f->lost)
                        continue;
                if (open_dialled(f, 0, &link, &err) >= 0)
                        say_back(f);
                else if (may_pass(&err))
                        say_lost(f, &err);
                else
                        er_debug("forward", "%s: %s", f->host.name, err.message);
                er_link_release(&link);
        }
        return NULL;
}

/* --- life */

int er_forward_open(const struct er_host *host, er_forward_fn on_news, void *arg, struct er_forward **ret,
                    struct er_err *err)
{
        struct er_forward *f = er_new(struct er_forward);

        if (er_cancel_init(&f->stop) < 0) {
                free(f);
                return er_err_errno(err, errno, "making a pipe");
        }
        er_host_copy(host, &f->host);
        f->on_news = on_news;
        f->arg = arg;
        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->fewer, NULL);
        *ret = f;
        return 0;
}

/* A listening socket on 127.0.0.1, or -1 with errno. */
static int listen_on(uint16_t port, uint16_t *ret_port)
{
        struct sockaddr_in addr = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof addr;
        er_autoclose int fd = socket(AF_INET, SOCK_STREAM, 0);

        if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
            bind(fd, (const struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 128) < 0 ||
            er_set_nonblock(fd, true) < 0 || getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
                return -1;
        *ret_port = ntohs(addr.sin_port);
        return er_take_fd(&fd);
}

int er_forward_add(struct er_forward *f, uint16_t port, uint16_t local, bool exact, uint16_t *ret_local,
                   struct er_err *err)
{
        struct listener *listener = &f->listeners[f->count];
        uint32_t last = exact || local == 0 ? local : local + NEXT_MAX;
        int fd = -1;

        if (f->count == LISTENERS_MAX)
                return er_err_set(err, ER_USAGE, "at most %u ports at once", LISTENERS_MAX);
        for (uint32_t at = local; fd < 0 && at <= last && at <= 65535; at++) {
                fd = listen_on((uint16_t)at, &listener->local);
                /* Ports below 1024 are root's: any free port is taken for them, not one a little above. */
                if (fd < 0 && (exact || (errno != EADDRINUSE && errno != EACCES && errno != EPERM)))
                        break;
        }
        if (fd < 0 && !exact)
                fd = listen_on(0, &listener->local);
        if (fd < 0 && errno == EADDRINUSE) {
                er_err_set(err, ER_EXISTS, "port %u of this machine is taken", local);
                return er_err_hint(err, "name just %u, and the next free port is used", port);
        }
        if (fd < 0)
                return er_err_errno(err, errno, "listening on port %u of this machine", local);
        listener->fd = fd;
        listener->port = port;
        f->count++;
        *ret_local = listener->local;
        return 0;
}

int er_forward_start(struct er_forward *f, struct er_err *err)
{
        int rc = start_thread(&f->acceptor, acceptor_thread, f, false);

        if (rc == 0) {
                rc = start_thread(&f->watcher, watcher_thread, f, false);
                if (rc) {
                        er_cancel_fire(&f->stop);
                        pthread_join(f->acceptor, NULL);
                }
        }
        if (rc)
                return er_err_errno(err, rc, "starting a thread");
        f->started = true;
        return 0;
}

bool er_forward_answers(struct er_forward *f, uint16_t port)
{
        struct er_link link = ER_LINK_INIT;
        bool there = f->host.kind == ER_HOST_LOCAL ? open_here(port, &link, NULL) == 1
                                                   : open_dialled(f, port, &link, NULL) == 1;

        if (!link.transport && link.to >= 0)
                link.from = -1;
        er_link_release(&link);
        return there;
}

void er_forward_free(struct er_forward *f)
{
        if (!f)
                return;
        er_cancel_fire(&f->stop);
        if (f->started) {
                pthread_join(f->acceptor, NULL);
                pthread_join(f->watcher, NULL);
        }
        pthread_mutex_lock(&f->lock);
        while (f->open > 0)
                pthread_cond_wait(&f->fewer, &f->lock);
        pthread_mutex_unlock(&f->lock);
        for (size_t i = 0; i < f->count; i++)
                close(f->listeners[i].fd);
        pthread_cond_destroy(&f->fewer);
        pthread_mutex_destroy(&f->lock);
        er_cancel_release(&f->stop);
        er_host_release(&f->host);
        free(f);
}

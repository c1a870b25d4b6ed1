/* link.c - see link.h */
#include "host/connect/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/io.h"
#include "proto/recipe.h"

extern char **environ;

#define PIPE_SIZE (1 << 20)

/* How long a process of ours may take to end by itself after losing its input. */
#define END_MS 200

/* Leaves out the passwords of package addresses, which reach a host in ENV: what we start may outlive us. */
void er_link_vars(struct er_strv *ret)
{
        for (char *const *item = environ; *item; item++)
                if (!er_starts(*item, ER_RECIPE_AUTH))
                        er_strv_add(ret, *item);
}

int er_link_pipes(struct er_link *ret, int theirs[3], struct er_err *err)
{
        int in[2] = {-1, -1}, out[2] = {-1, -1}, errs[2] = {-1, -1};

        /* A socket for what we write: only to a socket can one write without risking SIGPIPE. */
        if (er_socketpair(in) < 0 || er_pipe(out) < 0 || er_pipe(errs) < 0) {
                er_err_errno(err, errno, "create a channel");
                for (int i = 0; i < 2; i++) {
                        er_close(&in[i]);
                        er_close(&out[i]);
                        er_close(&errs[i]);
                }
                return -1;
        }
#ifdef F_SETPIPE_SZ
        fcntl(out[0], F_SETPIPE_SZ, PIPE_SIZE); /* if the user's limit is reached, it stays small */
#endif
#ifdef SO_NOSIGPIPE
        setsockopt(in[0], SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
        er_set_nonblock(in[0], true);
        er_set_nonblock(out[0], true);
        er_set_nonblock(errs[0], true);
        ret->to = in[0];
        ret->from = out[0];
        ret->errs = errs[0];
        theirs[0] = in[1];
        theirs[1] = out[1];
        theirs[2] = errs[1];
        return 0;
}

void er_link_read_errs(struct er_link *link)
{
        char buf[4096];

        while (link->errs >= 0) {
                ssize_t n = read(link->errs, buf, sizeof buf);

                if (n > 0) {
                        er_str_addn(&link->said, buf, (size_t)n);
                        if (link->said.len > ER_SAID_MAX)
                                er_str_drop(&link->said, link->said.len - ER_SAID_MAX);
                } else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
                        er_close(&link->errs);
                } else if (errno != EINTR) {
                        break;
                }
        }
}

void er_link_drain_errs(struct er_link *link, er_deadline deadline)
{
        for (;;) {
                struct pollfd p = {.fd = link->errs, .events = POLLIN};
                int left = er_deadline_poll_ms(deadline);

                er_link_read_errs(link);
                p.fd = link->errs;
                if (link->errs < 0 || left == 0)
                        return;
                poll(&p, 1, left);
        }
}

void er_link_release(struct er_link *link)
{
        int status;

        er_close(&link->to);
        er_close(&link->from);
        er_close(&link->errs);
        er_close(&link->turn);
        er_mux_release(&link->mux);
        if (link->proc.pid > 0)
                er_proc_wait(&link->proc, er_deadline_in(END_MS), &status, NULL);
        er_proc_release(&link->proc);
        er_str_release(&link->said);
        link->transport = NULL;
        link->slot = -1;
}

/* cancel.c - see cancel.h */
#include "base/cancel.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include "base/io.h"

int er_cancel_init(struct er_cancel *cancel)
{
        cancel->fds[0] = cancel->fds[1] = -1;
        if (er_pipe(cancel->fds) < 0)
                return -1;
        er_set_nonblock(cancel->fds[1], true); /* firing twice, or a million times, never blocks */
        return 0;
}

void er_cancel_release(struct er_cancel *cancel)
{
        er_close(&cancel->fds[0]);
        er_close(&cancel->fds[1]);
}

void er_cancel_fire(struct er_cancel *cancel)
{
        int saved = errno;

        if (write(cancel->fds[1], "", 1) < 0) {
                /* full: it is readable already */
        }
        errno = saved;
}

bool er_cancel_fired(const struct er_cancel *cancel)
{
        struct pollfd p = {.fd = cancel->fds[0], .events = POLLIN};

        return poll(&p, 1, 0) > 0;
}

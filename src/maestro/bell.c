/* bell.c - see bell.h */
#include "maestro/bell.h"

#include <errno.h>
#include <unistd.h>
#include "base/io.h"

int er_bell_open(struct er_bell *bell, struct er_err *err)
{
        if (er_pipe(bell->fds) < 0)
                return er_err_errno(err, errno, "making a pipe");
        er_set_nonblock(bell->fds[0], true);
        er_set_nonblock(bell->fds[1], true);
        return 0;
}

void er_bell_close(struct er_bell *bell)
{
        er_close(&bell->fds[0]);
        er_close(&bell->fds[1]);
}

bool er_bell_mark(struct er_bell *bell)
{
        bool first = !bell->marked;

        bell->marked = true;
        return first;
}

void er_bell_ring(struct er_bell *bell)
{
        ssize_t n = write(bell->fds[1], "w", 1);

        (void)n;
}

void er_bell_quiet(struct er_bell *bell)
{
        char buf[64];

        if (bell->marked && read(bell->fds[0], buf, sizeof buf) > 0)
                bell->marked = false;
}

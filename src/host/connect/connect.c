/* connect.c - see connect.h */
#include "host/connect/connect.h"

#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>
#include "base/map.h"
#include "base/str.h"

void er_connect_note(const struct er_connect *connect, const char *fmt, ...)
{
        er_auto(er_str) text = ER_STR_INIT;
        va_list args;

        if (!connect->note)
                return;
        va_start(args, fmt);
        er_str_addv(&text, fmt, args);
        va_end(args);
        connect->note(connect->note_arg, text.buf);
}

uint32_t er_random_below(uint32_t limit)
{
        static atomic_ullong count;
        uint64_t seed[3] = {(uint64_t)er_mono_us(), (uint64_t)getpid(), (uint64_t)atomic_fetch_add(&count, 1)};

        return (uint32_t)(er_hash64(seed, sizeof seed) % limit);
}

bool er_connect_cancelled(const struct er_connect *connect, struct er_err *err)
{
        if (!connect->cancel || !er_cancel_fired(connect->cancel))
                return false;
        er_err_set(err, ER_CANCELLED, "%s: cancelled", connect->host->name);
        return true;
}

int er_connect_pause(const struct er_connect *connect, int64_t ms, struct er_err *err)
{
        struct pollfd p = {.fd = connect->cancel ? connect->cancel->fds[0] : -1, .events = POLLIN};

        poll(&p, 1, (int)(ms / 2 + er_random_below((uint32_t)ms + 1)));
        return er_connect_cancelled(connect, err) ? -1 : 0;
}

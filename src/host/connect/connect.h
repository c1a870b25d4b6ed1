/*
 * connect.h - how to connect to a host: how long to try, whom to tell, when to stop; and waiting by those rules.
 */
#ifndef ER_HOST_CONNECT_CONNECT_H
#define ER_HOST_CONNECT_CONNECT_H

#include "base/clock.h"
#include "base/err.h"
#include "base/cancel.h"
#include "host/host.h"

struct er_connect {
        const struct er_host *host; /* (borrowed) */
        bool interactive;
        int64_t patience_ms;                       /* for one connection */
        const struct er_cancel *cancel;            /* (borrowed, may be NULL) */
        void (*note)(void *arg, const char *text); /* may be NULL */
        void *note_arg;
};

/* Passes a message to connect->note, if there is one. */
void er_connect_note(const struct er_connect *connect, const char *fmt, ...) ER_PRINTF(2, 3);
/* Waits for ms, give or take a half, so that many who wait do not come back together. -1: cancelled (err is set). */
int er_connect_pause(const struct er_connect *connect, int64_t ms, struct er_err *err);
bool er_connect_cancelled(const struct er_connect *connect, struct er_err *err);
uint32_t er_random_below(uint32_t limit); /* not for secrets */

#endif

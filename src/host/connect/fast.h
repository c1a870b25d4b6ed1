/*
 * fast.h - the way to a host that was used a moment ago: its listener, reached through a master's connection without a
 * session (PROTOCOL.md, Hello). The master listens on a socket here for that, so that to go there is to connect to it.
 * What is known of it lies in a small file in the runtime directory, for all processes of the user. That file is never
 * trusted for more than a try: whatever it says, a session is opened when the try fails. Private to src/host.
 */
#ifndef ER_HOST_CONNECT_FAST_H
#define ER_HOST_CONNECT_FAST_H

#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"
#include "host/host.h"

#define ER_FAST_PATH_MAX 108u /* what an address of a unix socket holds on Linux */

#define ER_FAST_NAME 25u /* 96 bits and the NUL */

struct er_fast {
        char *path;                    /* (owned) of the file; NULL: there is no such way to this host */
        int64_t linger_ms;             /* what HELLO asks for; 0: nothing */
        char name[ER_FAST_NAME];       /* ... and the name our listeners there are to have: nobody else can guess it */
        int slot;                      /* the master whose connection leads there */
        char socket[ER_FAST_PATH_MAX]; /* the listener there; "": none is known */
        bool proven;                   /* a client has got through */
        int64_t when_ms;               /* er_mono_ms of what is known */
};
#define ER_FAST_INIT {.slot = -1}

/* Reads what is known, and leaves word that a session is opened now. */
void er_fast_init(struct er_fast *fast, const struct er_host *host);
/* The socket here behind which the master of its slot leads to the listener (owned), or NULL. */
char *er_fast_socket(const struct er_fast *fast, const struct er_host *host);
void er_fast_release(struct er_fast *fast);
/* A session over the master of a slot was told of a listener. */
void er_fast_told(struct er_fast *fast, const struct er_host *host, int slot, struct er_sv socket);
/* The agent has answered over that way. */
void er_fast_worked(struct er_fast *fast);
/* It could not be used: it is not tried again for a while. */
void er_fast_failed(struct er_fast *fast);

#endif

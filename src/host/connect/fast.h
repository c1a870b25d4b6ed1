/*
 * fast.h - the quick way to a host that was used a moment ago: its listener (PROTOCOL.md, Hello), reached through a
 * master's connection without opening a session. For this the master listens on a socket here; connecting to that
 * socket is all it takes. What is known about the listener is kept in a small file in the runtime directory, for all
 * processes of the user. The file is only a hint: if it is wrong, the try fails and a session is opened instead.
 * Private to src/host.
 */
#ifndef ER_HOST_CONNECT_FAST_H
#define ER_HOST_CONNECT_FAST_H

#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"
#include "host/host.h"

#define ER_FAST_PATH_MAX 108u /* size of sun_path on Linux */

#define ER_FAST_NAME 25u /* 96 bits and the NUL */

struct er_fast {
        char *path;                    /* (owned) path of the file; NULL: this host cannot be reached that way */
        int64_t linger_ms;             /* what HELLO asks for; 0: nothing */
        char name[ER_FAST_NAME];       /* ... and the name our listeners there get, which nobody else can guess */
        int slot;                      /* the master whose connection leads there */
        char socket[ER_FAST_PATH_MAX]; /* the listener there; "": none is known */
        bool proven;                   /* a client has reached it */
        int64_t when_ms;               /* when that was noted (er_mono_ms) */
};
#define ER_FAST_INIT {.slot = -1}

/* Reads the file, and notes in it that a session is being opened. */
void er_fast_init(struct er_fast *fast, const struct er_host *host);
/* The socket here through which the master of its slot leads to the listener (owned), or NULL. */
char *er_fast_socket(const struct er_fast *fast, const struct er_host *host);
void er_fast_release(struct er_fast *fast);
/* A session over the master of a slot has been told of a listener. */
void er_fast_told(struct er_fast *fast, const struct er_host *host, int slot, struct er_sv socket);
/* The agent has answered through the listener. */
void er_fast_worked(struct er_fast *fast);
/* The listener could not be reached; it is not tried again for a while. */
void er_fast_failed(struct er_fast *fast);

#endif

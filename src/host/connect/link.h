/*
 * link.h - a channel to a program on a host, and what all kinds of channels share. There are four kinds (struct
 * er_transport): a child process (local.h); a session on ssh's control socket, an ssh process, a connection to a
 * listener (ssh_open.h). Private to src/host.
 */
#ifndef ER_HOST_CONNECT_LINK_H
#define ER_HOST_CONNECT_LINK_H

#include "base/clock.h"
#include "base/err.h"
#include "base/proc.h"
#include "base/str.h"
#include "host/connect/mux.h"

struct er_link;

struct er_transport {
        const char *name;
        bool remote; /* a login shell starts the agent; its exit status tells what went wrong */
        /* The program's exit status once `from` is at its end: 0..255, or -1 if it is unknown because the connection
           itself broke. Waits until the deadline at most. */
        int (*status)(struct er_link *link, er_deadline deadline);
};

/* An open channel. The caller reads and writes; nothing happens in the background. */
struct er_link {
        const struct er_transport *transport; /* NULL: closed */
        int to;                               /* its stdin: a non-blocking socket; write with send() and MSG_NOSIGNAL */
        int from;                             /* its stdout, non-blocking */
        int errs;                             /* its stderr, non-blocking, or -1 */
        int slot;                             /* the master it goes through, or -1 */
        int turn; /* the lock that limits how many log in at once, or -1; closed once the first byte has arrived */
        struct er_str said; /* the last ER_SAID_MAX bytes of its stderr, at most */
        struct er_mux mux;
        struct er_proc proc;
};
#define ER_SAID_MAX 8192u
#define ER_LINK_INIT                                                                                                   \
        {.to = -1,                                                                                                     \
         .from = -1,                                                                                                   \
         .errs = -1,                                                                                                   \
         .slot = -1,                                                                                                   \
         .turn = -1,                                                                                                   \
         .said = ER_STR_INIT,                                                                                          \
         .mux = ER_MUX_INIT,                                                                                           \
         .proc = ER_PROC_INIT}

/* The environment variables for a program that connects us to a host. */
void er_link_vars(struct er_strv *ret);
/* Makes a program's stdin, stdout and stderr: its ends are put into theirs[], ours into *ret. -1 with err. */
int er_link_pipes(struct er_link *ret, int theirs[3], struct er_err *err);
/* Reads what has arrived on stderr into link->said; closes errs at its end. */
void er_link_read_errs(struct er_link *link);
/* Reads stderr to its end, but not past the deadline. */
void er_link_drain_errs(struct er_link *link, er_deadline deadline);
/* Closes the channel; a process of ours gets a moment to end by itself. */
void er_link_release(struct er_link *link);

#endif

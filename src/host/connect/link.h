/*
 * link.h - a program on a host at the other end of two descriptors, and what all ways to have one share. There are four
 * ways (struct er_transport): a child of ours (local.h); a session on ssh's control socket, an ssh process, a
 * connection to a listener there (ssh_open.h). Private to src/host.
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
        bool remote; /* the agent is started by a login shell, which tells by the exit status what went wrong */
        /* Exit status of the program once `from` is at its end: 0..255, -1 when unknown: the connection itself broke.
           Waits until the deadline at most. */
        int (*status)(struct er_link *link, er_deadline deadline);
};

/* An open channel. The caller reads and writes; nothing here works in the background. */
struct er_link {
        const struct er_transport *transport; /* NULL: closed */
        int to;             /* its stdin: a socket, non-blocking; written with send(), so that no signal comes */
        int from;           /* its stdout, non-blocking */
        int errs;           /* its stderr, non-blocking, or -1 */
        int slot;           /* the master it goes through, or -1 */
        int turn;           /* a lock that limits how many log in at once, or -1; closed when the first byte has come */
        struct er_str said; /* the end of its stderr, at most ER_SAID_MAX bytes */
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

/* The environment of a program that takes us to a host. */
void er_link_vars(struct er_strv *ret);
/* The three channels of a program: theirs[] is what it gets, ours are put into *ret. -1 with err. */
int er_link_pipes(struct er_link *ret, int theirs[3], struct er_err *err);
/* Reads what is on stderr now into link->said; closes errs at its end. */
void er_link_read_errs(struct er_link *link);
/* Reads stderr to its end, but no longer than the deadline. */
void er_link_drain_errs(struct er_link *link, er_deadline deadline);
/* Closes; a process of ours gets a moment to end by itself. */
void er_link_release(struct er_link *link);

#endif

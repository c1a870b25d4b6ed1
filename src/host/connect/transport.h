/*
 * transport.h - ways to have a program on a host at the other end of two descriptors. Four of them: a child of ours
 * (local), a session on ssh's control socket (mux), a listener there reached through that socket (fast), an ssh
 * process. Private to src/host.
 */
#ifndef ER_HOST_CONNECT_TRANSPORT_H
#define ER_HOST_CONNECT_TRANSPORT_H

#include "base/clock.h"
#include "base/proc.h"
#include "base/cancel.h"
#include "host/connect/fast.h"
#include "host/host.h"
#include "host/connect/mux.h"

/* What is wanted of a connection, and how long. */
struct er_connect {
        const struct er_host *host; /* (borrowed) */
        bool interactive;
        int64_t patience_ms;                       /* for one connection */
        const struct er_cancel *cancel;            /* (borrowed, may be NULL) */
        void (*note)(void *arg, const char *text); /* may be NULL */
        void *note_arg;
        const struct er_fast *fast; /* (borrowed, may be NULL) of the agent: is tried first where a listener is known */
};

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

extern const struct er_transport er_transport_local, er_transport_mux, er_transport_fast, er_transport_process;

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

/* Starts `errand-agent serve` on the host. Over ssh only the end of the stream tells that it is not there. */
int er_link_open_agent(const struct er_connect *connect, struct er_link *ret, struct er_err *err);

/* local.c: the agent as a child of ours; it is put in place when it is missing. */
int er_local_open_agent(const struct er_connect *connect, struct er_link *ret, struct er_err *err);
/* Where errand keeps its things on this machine: host->root, $ERRAND_HOME/agent or ~/.errand (owned, absolute). */
char *er_local_root(const struct er_host *host);
/* The embedded agent for an architecture ("x86_64", "aarch64", as uname says); len 0: there is none. */
struct er_sv er_agent_for(const char *arch);

/* ssh.c: a line for the login shell there, over a control socket or an ssh process. */
int er_ssh_open(const struct er_connect *connect, const char *command, struct er_link *ret, struct er_err *err);
/* ssh.c: the listener that connect->fast knows. False: it cannot be had. */
bool er_ssh_open_fast(const struct er_connect *connect, struct er_link *ret);

/* install.c: puts the agent in place over ssh. */
int er_install(const struct er_connect *connect, struct er_err *err);
/* The line that starts the agent over ssh (owned). */
char *er_agent_command(const struct er_host *host);

void er_connect_note(const struct er_connect *connect, const char *fmt, ...) ER_PRINTF(2, 3);
/* Waits for ms, less or more by up to a half so that many who wait do not come back together. -1: cancelled (err is
 * set). */
int er_connect_pause(const struct er_connect *connect, int64_t ms, struct er_err *err);
bool er_connect_cancelled(const struct er_connect *connect, struct er_err *err);
uint32_t er_random_below(uint32_t limit); /* not for secrets */

#endif

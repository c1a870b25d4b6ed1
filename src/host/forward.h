/*
 * forward.h - ports of a host, on this machine: we listen on 127.0.0.1 and carry every connection to 127.0.0.1 of the
 * host, through ssh's control socket (mux.h); where sshd forwards nothing, or there is no control socket, through
 * `errand-agent dial`.
 *
 * A connection that comes while the host is out of reach waits for it with patience; those that were open when the
 * contact broke are closed, as whoever opened them expects. This side may say its last word first and still hear the
 * answer; when the other does so, ssh's control socket ends both ways ("force input close" in its sources), and `dial`
 * does not. Threads: one that accepts, one that looks whether the host is there, one for each connection.
 */
#ifndef ER_HOST_FORWARD_H
#define ER_HOST_FORWARD_H

#include "host/connect/session.h"

struct er_forward;

enum er_forward_news {
        ER_FORWARD_LOST,    /* no contact; it is tried again */
        ER_FORWARD_BACK,    /* contact again */
        ER_FORWARD_REFUSED, /* nothing listens on that port there; said again only after it did */
        ER_FORWARD_FAILED,  /* a connection could not be made for another reason */
};
/* Called from any thread, one at a time. */
typedef void (*er_forward_fn)(void *arg, enum er_forward_news news, const char *text);

/* For a host to which a session has been opened: the agent is there, and whoever is asked for a password has been.
   on_news may be NULL. */
int er_forward_open(const struct er_host *host, er_forward_fn on_news, void *arg, struct er_forward **ret,
                    struct er_err *err);
/* Listens for connections to `port` there. local 0: any free port. exact: that one or ER_EXISTS; else the next free
 * one. */
int er_forward_add(struct er_forward *forward, uint16_t port, uint16_t local, bool exact, uint16_t *ret_local,
                   struct er_err *err);
/* From now on connections are taken; nothing is added after that. */
int er_forward_start(struct er_forward *forward, struct er_err *err);
/* True when something listens on that port there now; false also when that cannot be found out. */
bool er_forward_answers(struct er_forward *forward, uint16_t port);
/* Ends all connections. */
void er_forward_free(struct er_forward *forward);
ER_DEFINE_AUTOPTR(er_forward)

#endif

/*
 * forward.h - ports of a host, on this machine: we listen on 127.0.0.1 and carry every connection to 127.0.0.1 of the
 * host, through ssh's control socket (mux.h); where sshd forbids forwarding, or there is no control socket, through
 * `errand-agent dial`.
 *
 * A connection made while the host is out of reach waits for it; those that were open when contact was lost are closed,
 * as their owners expect. This side may finish sending first and still hear the answer; if the other side finishes
 * first, ssh's control socket closes both directions ("force input close" in its sources), and `dial` does not.
 * Threads: one that accepts, one that checks whether the host is reachable, one for each connection.
 */
#ifndef ER_HOST_FORWARD_H
#define ER_HOST_FORWARD_H

#include "host/connect/session.h"

struct er_forward;

enum er_forward_news {
        ER_FORWARD_LOST,    /* no contact; trying again */
        ER_FORWARD_BACK,    /* contact again */
        ER_FORWARD_REFUSED, /* nothing listens on that port there; reported again only after something did */
        ER_FORWARD_FAILED,  /* a connection could not be made for another reason */
};
/* Called from any thread, one at a time. */
typedef void (*er_forward_fn)(void *arg, enum er_forward_news news, const char *text);

/* The host must have had a session: then the agent is there, and any password has been asked for. on_news may be
   NULL. */
int er_forward_open(const struct er_host *host, er_forward_fn on_news, void *arg, struct er_forward **ret,
                    struct er_err *err);
/* Listens for connections to `port` there. local 0: on any free port. exact: on that one, or ER_EXISTS; else on the
   next free one. */
int er_forward_add(struct er_forward *forward, uint16_t port, uint16_t local, bool exact, uint16_t *ret_local,
                   struct er_err *err);
/* Starts taking connections; no port can be added after that. */
int er_forward_start(struct er_forward *forward, struct er_err *err);
/* True if something listens on that port there now; false also if that cannot be found out. */
bool er_forward_answers(struct er_forward *forward, uint16_t port);
/* Closes all connections. */
void er_forward_free(struct er_forward *forward);
ER_DEFINE_AUTOPTR(er_forward)

#endif

/*
 * conn.h - connections to hosts. One that worked is kept for the next action on the same host: fetching after watching,
 * the next job.
 */
#ifndef ER_MAESTRO_CONN_H
#define ER_MAESTRO_CONN_H

#include <pthread.h>
#include "base/cancel.h"
#include "host/connect/session.h"
#include "maestro/work.h"

struct er_teller;

struct er_conns {
        pthread_mutex_t *lock; /* (borrowed) that of the carry */
        struct er_teller *teller;
        bool interactive; /* ssh may ask on the terminal */
        struct er_conn *list;
};

struct er_conn {
        struct er_conns *conns;
        struct er_session *session;
        struct er_cancel cancel;
        char *host;
        struct er_work *user; /* NULL: idle */
        bool used_before;
        struct er_conn *next;
};

struct er_conn_opts {
        int64_t connect_ms; /* how long to try; 0: as long as a session does */
        bool unattended;    /* ssh must not ask, even if the carry is interactive */
};

/* For the work, until _put(). ER_CANCELLED if it has been told to stop. */
int er_conn_get(struct er_conns *conns, struct er_work *work, const struct er_host *host,
                const struct er_conn_opts *opts, struct er_conn **ret, struct er_err *err);
/* Gives it back (NULL: nothing); it is kept if sound. */
void er_conn_put(struct er_conns *conns, struct er_conn *conn, bool sound);
/* Tells the work to stop: what it does on a connection fails with ER_CANCELLED. Under the lock. */
void er_conn_stop(struct er_conns *conns, struct er_work *work, enum er_stop why);
/* Has the work been told to? */
bool er_conn_stopped(struct er_conns *conns, const struct er_work *work);
void er_conns_close(struct er_conns *conns);

#endif

/* conn.c - see conn.h */
#include "maestro/conn.h"

#include "maestro/tell.h"

#define IDLE_PER_HOST 4

static void unlink_conn(struct er_conns *conns, struct er_conn *conn)
{
        struct er_conn **at = &conns->list;

        while (*at && *at != conn)
                at = &(*at)->next;
        if (*at)
                *at = conn->next;
}

static void free_conn(struct er_conn *conn)
{
        er_session_free(conn->session);
        er_cancel_release(&conn->cancel);
        free(conn->host);
        free(conn);
}

bool er_conn_stopped(struct er_conns *conns, const struct er_work *work)
{
        bool stopped;

        pthread_mutex_lock(conns->lock);
        stopped = work->stop != ER_STOP_NONE;
        pthread_mutex_unlock(conns->lock);
        return stopped;
}

/* Only called by the thread that uses the connection. */
static void on_note(void *arg, const char *text)
{
        struct er_conn *conn = arg;

        er_tell_note(conn->conns->teller, conn->user->job, "%s", text);
}

static struct er_conn *find_idle(const struct er_conns *conns, const char *host)
{
        for (struct er_conn *conn = conns->list; conn; conn = conn->next)
                if (!conn->user && er_streq(conn->host, host))
                        return conn;
        return NULL;
}

/* An idle connection, or a new one without a session. Under the lock. */
static struct er_conn *reserve(struct er_conns *conns, struct er_work *work, const char *host, struct er_err *err)
{
        struct er_conn *conn = find_idle(conns, host);

        if (work->stop != ER_STOP_NONE) {
                er_err_set(err, ER_CANCELLED, "stopped");
                return NULL;
        }
        if (conn) {
                conn->used_before = true;
        } else {
                conn = er_new(struct er_conn);
                if (er_cancel_init(&conn->cancel) < 0) {
                        free(conn);
                        er_err_set(err, ER_TRANSPORT, "no descriptors left for a connection to %s", host);
                        return NULL;
                }
                conn->conns = conns;
                conn->host = er_strdup(host);
                conn->next = conns->list;
                conns->list = conn;
        }
        conn->user = work;
        return conn;
}

int er_conn_get(struct er_conns *conns, struct er_work *work, const struct er_host *host,
                const struct er_conn_opts *opts, struct er_conn **ret, struct er_err *err)
{
        struct er_session_opts session_opts = {
                .interactive = conns->interactive && !opts->unattended,
                .connect_ms = opts->connect_ms,
                .note = conns->teller->ui->note ? on_note : NULL,
        };
        struct er_conn *conn;

        pthread_mutex_lock(conns->lock);
        conn = reserve(conns, work, host->name, err);
        pthread_mutex_unlock(conns->lock);
        if (!conn)
                return -1;
        if (!conn->session) {
                session_opts.cancel = &conn->cancel;
                session_opts.note_arg = conn;
                if (er_session_open(host, &session_opts, &conn->session, err) < 0) {
                        er_conn_put(conns, conn, false);
                        return -1;
                }
        }
        *ret = conn;
        return 0;
}

void er_conn_put(struct er_conns *conns, struct er_conn *conn, bool sound)
{
        size_t idle = 0;

        if (!conn)
                return;
        pthread_mutex_lock(conns->lock);
        for (struct er_conn *c = conns->list; c; c = c->next)
                idle += !c->user && er_streq(c->host, conn->host);
        if (er_cancel_fired(&conn->cancel) || idle >= IDLE_PER_HOST)
                sound = false;
        conn->user = NULL;
        if (!sound)
                unlink_conn(conns, conn);
        pthread_mutex_unlock(conns->lock);
        if (!sound)
                free_conn(conn);
}

void er_conn_stop(struct er_conns *conns, struct er_work *work, enum er_stop why)
{
        work->stop = why;
        for (struct er_conn *conn = conns->list; conn; conn = conn->next)
                if (conn->user == work)
                        er_cancel_fire(&conn->cancel);
}

void er_conns_close(struct er_conns *conns)
{
        while (conns->list) {
                struct er_conn *conn = conns->list;

                conns->list = conn->next;
                er_cancel_fire(&conn->cancel);
                free_conn(conn);
        }
}

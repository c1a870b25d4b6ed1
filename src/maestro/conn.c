/* Connections. What worked is kept for the next action on that host: fetching after watching, the next job. */
#include "maestro/carry.h"

#define IDLE_PER_HOST 4

static void unlink_conn(struct er_carry *m, struct er_conn *conn)
{
        struct er_conn **at = &m->conns;
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

bool er_work_stopped(struct er_carry *m, struct er_work *work)
{
        pthread_mutex_lock(&m->lock);
        bool stop = work->stop;
        pthread_mutex_unlock(&m->lock);
        return stop;
}

/* Only called by the thread that uses the connection. */
static void on_note(void *arg, const char *text)
{
        struct er_conn *conn = arg;
        er_tell_note(conn->carry, conn->user->job, "%s", text);
}

int er_conn_get(struct er_carry *m, struct er_work *work, const struct er_host *host, int64_t connect_ms,
                struct er_conn **ret, struct er_err *err)
{
        pthread_mutex_lock(&m->lock);
        if (work->stop) {
                pthread_mutex_unlock(&m->lock);
                return er_err_set(err, ER_CANCELLED, "stopped");
        }
        for (struct er_conn *conn = m->conns; conn; conn = conn->next)
                if (!conn->user && er_streq(conn->host, host->name)) {
                        conn->user = work;
                        conn->used_before = true;
                        pthread_mutex_unlock(&m->lock);
                        *ret = conn;
                        return 0;
                }
        struct er_conn *conn = er_new(struct er_conn);
        if (er_cancel_init(&conn->cancel) < 0) {
                pthread_mutex_unlock(&m->lock);
                free(conn);
                return er_err_set(err, ER_TRANSPORT, "no descriptors left for a connection to %s", host->name);
        }
        conn->carry = m;
        conn->host = er_strdup(host->name);
        conn->user = work;
        conn->next = m->conns;
        m->conns = conn;
        pthread_mutex_unlock(&m->lock);

        struct er_session_opts opts = {
                .interactive = m->opts->interactive && !work->unattended,
                .connect_ms = connect_ms,
                .cancel = &conn->cancel,
                .note = m->opts->ui.note ? on_note : NULL,
                .note_arg = conn,
        };
        if (er_session_open(host, &opts, &conn->session, err) == 0) {
                *ret = conn;
                return 0;
        }
        er_conn_put(m, conn, false);
        return -1;
}

void er_conn_put(struct er_carry *m, struct er_conn *conn, bool sound)
{
        if (!conn)
                return;
        pthread_mutex_lock(&m->lock);
        size_t idle = 0;
        for (struct er_conn *c = m->conns; c; c = c->next)
                idle += !c->user && er_streq(c->host, conn->host);
        if (er_cancel_fired(&conn->cancel) || idle >= IDLE_PER_HOST)
                sound = false;
        conn->user = NULL;
        if (!sound)
                unlink_conn(m, conn);
        pthread_mutex_unlock(&m->lock);
        if (!sound)
                free_conn(conn);
}

void er_conn_stop(struct er_carry *m, struct er_work *work)
{
        work->stop = true;
        for (struct er_conn *conn = m->conns; conn; conn = conn->next)
                if (conn->user == work)
                        er_cancel_fire(&conn->cancel);
}

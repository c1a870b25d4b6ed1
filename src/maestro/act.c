/*
 * act.c - what the workers do. Nothing here decides what comes next; it only reports how an action came out.
 *
 * The one rule behind all of it: once SUBMIT may have left this machine, only the host can tell whether the attempt is
 * there. A failure means "nothing was started" only where that is certain: the connection never came up, or the agent
 * itself said so.
 */
#include "maestro/act.h"

#include "base/crash.h"
#include "base/log.h"
#include "host/attempt.h"
#include "maestro/apply.h"
#include "maestro/carry.h"
#include "maestro/choose.h"
#include "maestro/delivery.h"
#include "maestro/secrets.h"

#define AGAIN_MS 15000 /* how long to try for a connection if there was one before */
#define COLD_MS 30     /* a connection that took longer to open was made just now */

struct watching {
        struct er_carry *m;
        struct er_work *work;
        struct er_conn *conn;
        bool heard; /* the host has said something about the attempt */
};

static bool host_says_unknown(const struct er_err *err)
{
        return err->code == ER_NOT_FOUND && er_streq(err->provider_code, "attempt");
}

/* The agent's own answer, and asking again would not change it: a name it does not take, a request it does not know. */
static bool is_final(const struct er_conn *conn, const struct er_err *err)
{
        return er_session_is_sound(conn->session) && !err->retryable &&
               (err->code == ER_REMOTE || err->code == ER_USAGE || err->code == ER_CONFIG);
}

/* Not a refusal: the same may work a moment later. A wrong name, port or key is better reported at once. */
static bool may_pass(const struct er_err *err)
{
        return err->code == ER_TRANSPORT || err->code == ER_CANCELLED ||
               (err->retryable && err->code != ER_NET && err->code != ER_AUTH && err->code != ER_HOSTKEY &&
                err->code != ER_TIMEOUT);
}

/* No connection, so nothing was sent over it. */
static void unreached(struct er_carry *m, struct er_work *work, bool may_refuse)
{
        const struct er_err *err = &work->err;

        if (work->outcome == ER_OUT_FATAL)
                return;
        if (er_conn_stopped(&m->conns, work))
                work->outcome = ER_OUT_AGAIN;
        else if (!may_refuse || may_pass(err))
                work->outcome = ER_OUT_BROKEN;
        else {
                work->outcome = ER_OUT_REFUSED;
                work->reason = ER_REASON_HOST;
        }
}

/* The watch */

/* The host speaks of the attempt for the first time: it is there. */
static void note_host(struct watching *w)
{
        struct er_carried *j = w->work->job;
        const struct er_hello *hello = NULL;

        if (er_session_hello(w->conn->session, &hello, NULL) < 0)
                hello = NULL;
        er_crashpoint("first word");
        w->heard = true;
        pthread_mutex_lock(&w->m->lock);
        w->work->phase = ER_PHASE_HEARD;
        j->host_new = true;
        if (hello && !j->at.boot_id) {
                j->at.boot_id = er_strdup(hello->boot_id);
                j->at.dir = er_fmt("%s/jobs/%s/%u", hello->root, j->key, (unsigned)j->at.number);
        }
        pthread_mutex_unlock(&w->m->lock);
}

static int on_event(void *arg, const struct er_status *status, struct er_err *err)
{
        struct watching *w = arg;
        struct er_carried *j = w->work->job;
        bool ring;

        (void)err;
        if (!w->heard)
                note_host(w);
        if (status->state == ER_STATE_WAITING && status->detail)
                er_tell_note(&w->m->teller, j, "environment: %s", status->detail);
        if (status->state == ER_STATE_RUNNING && status->detail)
                er_tell_note(&w->m->teller, j, "%s", status->detail);
        if (status->state == ER_STATE_ENDED)
                er_crashpoint("end heard");
        else
                er_crashpoint_named("event");
        pthread_mutex_lock(&w->m->lock);
        ring = er_apply_status(j, status, true) && er_bell_mark(&w->m->bell);
        pthread_mutex_unlock(&w->m->lock);
        if (ring)
                er_bell_ring(&w->m->bell);
        return 0;
}

static int on_log(void *arg, int stream, uint64_t offset, int64_t time_ms, struct er_sv data, struct er_err *err)
{
        struct watching *w = arg;
        struct er_carried *j = w->work->job;
        size_t known;
        int rc;

        (void)time_ms;
        if (offset + data.len <= j->log_offset)
                return 0; /* known from before the connection broke */
        if (offset > j->log_offset) {
                /* It is damaged there, and asking again would not help. Follow the job without it. */
                er_auto(er_err) why = ER_ERR_INIT;

                er_err_set(&why, ER_REMOTE,
                           "its log on %s is damaged and no longer followed: byte %llu comes after %llu", w->conn->host,
                           (unsigned long long)offset, (unsigned long long)j->log_offset);
                er_err_hint(&why, "`errand logs %s` shows what is there", j->row.name);
                er_tell_warn(&w->m->teller, j, &why, true);
                j->log_gone = true;
                return er_err_set(err, ER_DETACHED, "a damaged log");
        }
        known = (size_t)(j->log_offset - offset);
        rc = er_tell_log(&w->m->teller, j, stream, er_svn(data.ptr + known, data.len - known));
        j->log_offset = offset + data.len;
        if (rc < 0) {
                j->log_gone = true;
                return er_err_set(err, ER_DETACHED, "nobody reads the output any more");
        }
        return 0;
}

static struct er_watch make_watch(struct watching *w)
{
        struct er_carried *j = w->work->job;
        struct er_watch watch;

        pthread_mutex_lock(&w->m->lock);
        watch = (struct er_watch){
                .key = j->key,
                .attempt = j->at.number,
                .seq = j->at.seq,
                .offset = j->log_offset,
                .log = w->m->opts->follow && !j->log_gone,
                .on_event = on_event,
                .on_log = on_log,
                .arg = w,
        };
        pthread_mutex_unlock(&w->m->lock);
        return watch;
}

/* What it means when a submission or a watch ends early. `greeted`: the agent has spoken on this connection. */
static void judge(struct er_carry *m, struct er_work *work, struct er_conn *conn)
{
        struct er_carried *j = work->job;
        const struct er_err *err = &work->err;
        const struct er_hello *hello;
        bool greeted = er_session_hello(conn->session, &hello, NULL) == 0, submitted, stopped;

        pthread_mutex_lock(&m->lock);
        submitted = j->at.submitted;
        stopped = work->stop != ER_STOP_NONE;
        pthread_mutex_unlock(&m->lock);
        er_debug("maestro", "%s: %s: %s (%s, %s)", j->row.name, er_code_name(err->code),
                 err->message ? err->message : "", submitted ? "submitted" : "not known to be submitted",
                 greeted ? "greeted" : "not greeted");

        work->outcome = ER_OUT_BROKEN;
        if (stopped || err->code == ER_DETACHED) {
                work->outcome = ER_OUT_AGAIN;
                return;
        }
        if (err->code == ER_NOT_FOUND && er_streq(err->provider_code, "gone")) {
                work->outcome = ER_OUT_GONE; /* whether it ran there, nobody knows any more */
                return;
        }
        if (submitted) {
                if (host_says_unknown(err))
                        work->outcome = ER_OUT_GONE;
                if (is_final(conn, err)) {
                        work->outcome = ER_OUT_REFUSED;
                        work->reason = ER_REASON_HOST;
                }
                return;
        }
        if (err->code == ER_TIMEOUT || may_pass(err))
                return;
        if (greeted) {
                /* The agent refuses. Does it know the attempt anyway? */
                er_auto(er_err) why = ER_ERR_INIT;
                er_auto(er_status) status = ER_STATUS_INIT;

                if (er_attempt_stat(conn->session, j->key, j->at.number, &status, &why) == 0 ||
                    (!host_says_unknown(&why) && !is_final(conn, &why)))
                        return;
        }
        work->outcome = ER_OUT_REFUSED;
        work->reason = err->code == ER_CAPACITY                                   ? ER_REASON_ROOM
                       : greeted && (err->code == ER_IO || err->code == ER_STATE) ? ER_REASON_FILES
                                                                                  : ER_REASON_HOST;
}

static void watched(struct er_carry *m, struct er_work *work, struct er_conn *conn, int rc)
{
        bool over;

        pthread_mutex_lock(&m->lock);
        over = work->job->at.end != ER_END_NONE;
        pthread_mutex_unlock(&m->lock);
        if (rc == 0 && !over)
                rc = er_err_set(&work->err, ER_TRANSPORT, "%s stopped reporting before the job had ended", conn->host);
        if (rc == 0)
                work->outcome = ER_OUT_OK;
        else
                judge(m, work, conn);
}

/* Secrets */

static int find_secrets(struct er_carry *m, struct er_work *work, struct er_strv *ret)
{
        const char *missing = er_secrets_find(&work->job->spec.secrets, m->opts->secrets, ret);

        if (!missing)
                return 0;
        er_err_set(&work->err, ER_CONFIG, "the secret %s has no value here", missing);
        er_err_hint(&work->err, "export %s before `errand run` or `errand rerun`", missing);
        work->outcome = ER_OUT_REFUSED;
        work->reason = ER_REASON_SECRET;
        return -1;
}

/* Submission */

static bool cancel_asked(struct er_carry *m, const struct er_carried *j)
{
        bool asked;

        pthread_mutex_lock(&m->lock);
        asked = j->row.cancel_asked;
        pthread_mutex_unlock(&m->lock);
        return asked;
}

/* Writes the attempt to the store, before its host can hear of it. */
static int intend(struct er_carry *m, struct er_work *work, const struct er_host *host)
{
        struct er_carried *j = work->job;
        int64_t id = 0;
        uint32_t number;
        int rc = 0;

        er_crashpoint("before intent");
        pthread_mutex_lock(&m->lock);
        number = j->row.attempt + 1;
        if (work->stop != ER_STOP_NONE || j->row.cancel_asked) {
                work->outcome = ER_OUT_AGAIN;
                rc = -1;
        } else if (er_store_add_attempt(m->opts->store, j->row.id, number, host->name, er_now_ms(), &id, &work->err) <
                   0) {
                work->outcome = ER_OUT_FATAL;
                rc = -1;
        } else {
                er_attempt_release(&j->at);
                j->at = (struct er_attempt){
                        .id = id,
                        .job_id = j->row.id,
                        .number = number,
                        .host = er_strdup(host->name),
                        .state = ER_STATE_WAITING,
                        .exit_code = -1,
                        .gpu_mem = -1,
                        .gpu_util = -1,
                        .gpu_util_max = -1,
                };
                j->attempt_dirty = false;
                j->row.attempt = number;
                free(j->row.host);
                j->row.host = er_strdup(host->name);
                er_host_release(&j->host);
                er_host_copy(host, &j->host);
                j->has_host = true;
                j->plan.cancel_sent = false;
                j->log_offset = 0;
        }
        pthread_mutex_unlock(&m->lock);
        er_crashpoint("attempt intended");
        return rc;
}

static bool host_lacks(const struct er_work *work, int rc, const char *what)
{
        return rc < 0 && work->err.code == ER_NOT_FOUND && er_streq(work->err.provider_code, what);
}

/* Submits the intended attempt, and watches it to its end. */
static void submit(struct er_carry *m, struct er_work *work, struct er_conn *conn)
{
        struct er_carried *j = work->job;
        struct watching w = {.m = m, .work = work, .conn = conn};
        er_auto(er_environment_request) build = ER_ENVIRONMENT_REQUEST_INIT;
        bool asked = false;

        for (;;) {
                struct er_strv secrets = ER_STRV_INIT;
                struct er_submit request = {.key = j->key, .spec = &j->spec, .secrets = &secrets};
                struct er_watch watch = make_watch(&w);
                bool files, environment;
                int rc;

                if (find_secrets(m, work, &secrets) < 0) {
                        er_strv_wipe(&secrets);
                        return;
                }
                request.attempt = j->at.number;
                request.has_failures = asked;
                request.failures = build.failures;
                er_crashpoint("submit");
                rc = er_attempt_run(conn->session, &request, &watch, &work->err);
                er_crashpoint("submitted and watched");
                er_strv_wipe(&secrets);
                files = j->spec.has_tree && host_lacks(work, rc, "snapshot");
                environment = j->spec.has_environment && !asked && host_lacks(work, rc, "environment");
                if (!files && !environment) {
                        watched(m, work, conn, rc);
                        return;
                }
                er_err_clear(&work->err);
                asked |= environment;
                rc = environment ? er_delivery_ask_environment(m, work, conn, &build, &work->err)
                                 : er_delivery_send_tree(m, work, conn, asked ? &build : NULL, &work->err);
                if (rc < 0) {
                        if (er_conn_stopped(&m->conns, work))
                                work->outcome = ER_OUT_AGAIN;
                        else if (work->outcome == ER_OUT_BROKEN)
                                judge(m, work, conn);
                        return;
                }
        }
}

static void place(struct er_carry *m, struct er_work *work)
{
        er_auto(er_host) host = ER_HOST_INIT;
        struct er_conn *conn = NULL;
        const struct er_hello *hello;
        int64_t began;
        bool cold, ready;

        if (er_choose_host(m, work, &host, &work->err) < 0)
                return;
        began = er_mono_ms();
        if (host.kind == ER_HOST_SSH)
                er_tell_note(&m->teller, work->job, "connecting to %s", host.name);
        if (er_conn_get(&m->conns, work, &host, &(struct er_conn_opts){0}, &conn, &work->err) < 0) {
                unreached(m, work, true);
                return;
        }
        work->reused = conn->used_before;
        /* Ask one more question on a new connection that took its time or is not up yet, so that whatever is wrong with
           it shows before anything can have been started. A warm one is not slowed down. */
        cold = !conn->used_before && (er_mono_ms() - began > COLD_MS || !er_session_is_logged_in(conn->session));
        if (cold && er_session_hello(conn->session, &hello, &work->err) < 0) {
                er_conn_put(&m->conns, conn, false);
                unreached(m, work, true);
                return;
        }
        ready = er_delivery_name_tree(m, work, conn, &work->err) == 0 && intend(m, work, &host) == 0;
        if (ready)
                submit(m, work, conn);
        else if (er_conn_stopped(&m->conns, work))
                work->outcome = ER_OUT_AGAIN;
        er_conn_put(&m->conns, conn, work->outcome == ER_OUT_OK || !ready);
}

static int reconnect(struct er_carry *m, struct er_work *work, struct er_conn **ret)
{
        const struct er_conn_opts opts = {.connect_ms = AGAIN_MS};

        if (er_conn_get(&m->conns, work, &work->job->host, &opts, ret, &work->err) < 0) {
                unreached(m, work, false);
                return -1;
        }
        work->reused = (*ret)->used_before;
        return 0;
}

static void follow(struct er_carry *m, struct er_work *work, struct er_conn *conn)
{
        struct watching w = {.m = m, .work = work, .conn = conn};
        struct er_watch watch = make_watch(&w);

        er_crashpoint("watch");
        watched(m, work, conn, er_attempt_watch(conn->session, &watch, &work->err));
}

static void watch(struct er_carry *m, struct er_work *work)
{
        struct er_conn *conn = NULL;

        if (reconnect(m, work, &conn) < 0)
                return;
        follow(m, work, conn);
        er_conn_put(&m->conns, conn, work->outcome == ER_OUT_OK);
}

/* An attempt was intended and perhaps submitted. Only the host knows. */
static void settle(struct er_carry *m, struct er_work *work)
{
        struct er_carried *j = work->job;
        struct er_conn *conn = NULL;
        er_auto(er_status) status = ER_STATUS_INIT;
        int rc;

        if (reconnect(m, work, &conn) < 0)
                return;
        er_crashpoint("settle");
        rc = er_attempt_stat(conn->session, j->key, j->at.number, &status, &work->err);
        if (rc == 0) {
                bool ring;

                pthread_mutex_lock(&m->lock);
                ring = er_apply_status(j, &status, false) && er_bell_mark(&m->bell);
                pthread_mutex_unlock(&m->lock);
                if (ring)
                        er_bell_ring(&m->bell);
                er_crashpoint("settled");
                follow(m, work, conn);
        } else if (!host_says_unknown(&work->err)) {
                bool final = is_final(conn, &work->err);

                work->outcome = er_conn_stopped(&m->conns, work) ? ER_OUT_AGAIN
                                : final                          ? ER_OUT_REFUSED
                                                                 : ER_OUT_BROKEN;
                work->reason = ER_REASON_HOST;
        } else if (cancel_asked(m, j)) {
                er_err_clear(&work->err);
                pthread_mutex_lock(&m->lock);
                er_apply_end(j, ER_END_CANCELLED, ER_REASON_USER, NULL);
                pthread_mutex_unlock(&m->lock);
                work->outcome = ER_OUT_OK;
        } else if (er_conn_stopped(&m->conns, work)) {
                work->outcome = ER_OUT_AGAIN;
        } else {
                er_err_clear(&work->err);
                submit(m, work, conn);
        }
        er_conn_put(&m->conns, conn, work->outcome == ER_OUT_OK);
}

static void cancel(struct er_carry *m, struct er_work *work)
{
        struct er_carried *j = work->job;
        struct er_conn *conn = NULL;
        int rc;

        if (reconnect(m, work, &conn) < 0)
                return;
        er_crashpoint("cancel");
        rc = er_attempt_cancel(conn->session, j->key, j->at.number, -1, &work->err);
        er_crashpoint("cancelled");
        /* If the host does not know it any more, the watch will find out too. */
        if (rc < 0 && !host_says_unknown(&work->err))
                work->outcome = er_conn_stopped(&m->conns, work) ? ER_OUT_AGAIN : ER_OUT_BROKEN;
        er_conn_put(&m->conns, conn, rc == 0);
}

static void fetch(struct er_carry *m, struct er_work *work)
{
        const struct er_err *err = &work->err;
        struct er_conn *conn = NULL;

        if (reconnect(m, work, &conn) < 0)
                return;
        if (er_delivery_fetch(m, work, conn, &work->err) < 0) {
                if (er_conn_stopped(&m->conns, work))
                        work->outcome = ER_OUT_AGAIN;
                else if (host_says_unknown(err))
                        work->outcome = ER_OUT_GONE;
                else if (err->code == ER_TRANSPORT || err->code == ER_NET || err->code == ER_TIMEOUT || err->retryable)
                        work->outcome = ER_OUT_BROKEN;
                else
                        work->outcome = ER_OUT_REFUSED;
        }
        er_conn_put(&m->conns, conn, work->outcome == ER_OUT_OK);
}

void er_act(struct er_carry *m, struct er_work *work)
{
        static void (*const actions[])(struct er_carry *, struct er_work *) = {
                [ER_ACT_PLACE] = place,   [ER_ACT_WATCH] = watch, [ER_ACT_SETTLE] = settle,
                [ER_ACT_CANCEL] = cancel, [ER_ACT_FETCH] = fetch,
        };

        if ((size_t)work->kind < ER_LEN(actions) && actions[work->kind])
                actions[work->kind](m, work);
}

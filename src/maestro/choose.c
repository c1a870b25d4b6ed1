/*
 * choose.c - see choose.h. If the user named one host, it is that one, busy or not: it has its own queue. If several,
 * or "any", all are asked at once what is free there. The first with room in the user's order is taken, or else the
 * first that could ever fit. A host that does not answer in time is passed over.
 */
#include "maestro/choose.h"

#include <time.h>
#include "host/probe.h"
#include "maestro/carried.h"
#include "maestro/carry.h"

#define ASK_MS 10000

struct asked {
        struct er_carry *m;
        struct er_work *work;
        struct ask *ask;
        struct er_host host;
        pthread_t thread;
        struct er_work probe_work; /* of its own, so that one question can be stopped without the others */
        bool started, answered, room, fits;
        struct er_err err;
};

/* What the questions share. */
struct ask {
        pthread_mutex_t lock;
        pthread_cond_t news;
        struct asked *hosts;
        size_t count;
};

static void remember(struct er_carry *m, const char *host, const char *probe, const char *error)
{
        pthread_mutex_lock(&m->lock);
        er_store_set_probe(m->opts->store, host, probe, error, er_now_ms(), NULL);
        pthread_mutex_unlock(&m->lock);
}

static void *ask_host(void *arg)
{
        struct asked *a = arg;
        struct er_conn *conn = NULL;
        er_auto(er_probe) probe = ER_PROBE_INIT;
        /* Many at once cannot all ask for a password. */
        const struct er_conn_opts opts = {.connect_ms = ASK_MS, .unattended = true};
        bool room = false, fits = false;
        int rc = er_conn_get(&a->m->conns, &a->probe_work, &a->host, &opts, &conn, &a->err);

        if (rc == 0)
                rc = er_host_probe(conn->session, &probe, &a->err);
        if (rc == 0) {
                er_autofree char *json = er_probe_to_json(&probe);

                room = er_probe_has_room(&probe, &a->work->job->spec);
                fits = er_probe_could_fit(&probe, &a->work->job->spec);
                remember(a->m, a->host.name, json, NULL);
        }
        er_conn_put(&a->m->conns, conn, rc == 0);
        pthread_mutex_lock(&a->ask->lock);
        a->answered = true;
        a->room = room;
        a->fits = fits;
        pthread_cond_signal(&a->ask->news);
        pthread_mutex_unlock(&a->ask->lock);
        return NULL;
}

/* The first with room, as soon as those before it are known to have none. Under ask->lock. */
static struct asked *settled(const struct ask *ask, bool *ret_all)
{
        *ret_all = true;
        for (size_t i = 0; i < ask->count; i++) {
                if (!ask->hosts[i].answered) {
                        *ret_all = false;
                        return NULL;
                }
                if (ask->hosts[i].room)
                        return &ask->hosts[i];
        }
        return NULL;
}

static struct asked *wait_for_answers(struct er_carry *m, struct ask *ask, struct er_work *work)
{
        er_deadline deadline = er_deadline_in(ASK_MS);
        struct asked *best = NULL;
        bool all = false;

        pthread_mutex_lock(&ask->lock);
        while (!(best = settled(ask, &all)) && !all) {
                struct timespec until;
                int64_t ns;

                if (er_mono_ms() >= deadline || er_conn_stopped(&m->conns, work))
                        break;
                clock_gettime(CLOCK_REALTIME, &until);
                ns = until.tv_nsec + 100 * 1000000; /* then looks for a stop again */
                until.tv_sec += (time_t)(ns / 1000000000);
                until.tv_nsec = (long)(ns % 1000000000);
                pthread_cond_timedwait(&ask->news, &ask->lock, &until);
        }
        /* At the deadline, a host with room further down the list is better than one that does not answer. */
        for (size_t i = 0; i < ask->count && !best; i++)
                if (ask->hosts[i].answered && ask->hosts[i].room)
                        best = &ask->hosts[i];
        for (size_t i = 0; i < ask->count && !best; i++)
                if (ask->hosts[i].answered && ask->hosts[i].fits)
                        best = &ask->hosts[i];
        pthread_mutex_unlock(&ask->lock);
        return best;
}

/* Why a host is not taken, without its name, which many errors begin with: the caller adds it. */
static const char *why_not(const struct asked *a)
{
        const char *why = a->err.message ? a->err.message : "it does not have what the job asks for";
        size_t len = strlen(a->host.name);

        return er_starts(why, a->host.name) && er_starts(why + len, ": ") ? why + len + 2 : why;
}

static int none(const struct ask *ask, enum er_reason *ret_reason, struct er_err *err)
{
        er_auto(er_str) list = ER_STR_INIT;
        bool answered = false;

        for (size_t i = 0; i < ask->count; i++) {
                const struct asked *a = &ask->hosts[i];

                answered |= a->answered && !a->err.message;
                er_str_addf(&list, "%s%s: %s", i ? "; " : "", a->host.name, why_not(a));
        }
        *ret_reason = answered ? ER_REASON_ROOM : ER_REASON_HOST;
        er_err_set(err, answered ? ER_CAPACITY : ER_NET, "none of %zu hosts can take it: %s", ask->count, list.buf);
        return er_err_hint(err,
                           "`errand hosts` shows what they have; --cpus, --memory and --gpus set what the job needs");
}

static void ask_all(struct er_carry *m, struct er_work *work, struct ask *ask)
{
        for (size_t i = 0; i < ask->count; i++) {
                struct asked *a = &ask->hosts[i];

                a->m = m;
                a->work = work;
                a->ask = ask;
                a->probe_work.job = work->job;
                a->started = pthread_create(&a->thread, NULL, ask_host, a) == 0;
                if (!a->started) {
                        a->answered = true;
                        er_err_set(&a->err, ER_INTERNAL, "cannot start a thread to ask it");
                }
        }
}

static void stop_asking(struct er_carry *m, struct ask *ask)
{
        pthread_mutex_lock(&m->lock);
        for (size_t i = 0; i < ask->count; i++)
                er_conn_stop(&m->conns, &ask->hosts[i].probe_work, ER_STOP_NOW);
        pthread_mutex_unlock(&m->lock);
        for (size_t i = 0; i < ask->count; i++)
                if (ask->hosts[i].started)
                        pthread_join(ask->hosts[i].thread, NULL);
}

/* What is remembered and said of the hosts that did not answer or failed. */
static void note_failures(struct er_carry *m, struct er_work *work, struct ask *ask, const struct er_strv *late,
                          const struct asked *best, bool stopped)
{
        for (size_t i = 0; i < ask->count; i++) {
                struct asked *a = &ask->hosts[i];
                er_auto(er_err) skipped = ER_ERR_INIT;

                if (!a->err.code)
                        continue;
                if (er_strv_has(late, a->host.name)) {
                        if (best)
                                continue; /* not needed any more */
                        er_err_clear(&a->err);
                        er_err_set(&a->err, ER_TIMEOUT, "no answer within %d s", ASK_MS / 1000);
                }
                if (stopped)
                        continue;
                remember(m, a->host.name, NULL, a->err.message);
                if (!best)
                        continue;
                er_err_set(&skipped, a->err.code, "%s is passed over: %s", a->host.name, why_not(a));
                er_tell_warn(&m->teller, work->job, &skipped, true);
        }
}

static int choose_among(struct er_carry *m, struct er_work *work, struct er_host *hosts, size_t count,
                        struct er_host *ret, struct er_err *err)
{
        struct ask ask = {.count = count, .hosts = er_calloc(count, sizeof *ask.hosts)};
        er_auto(er_strv) late = ER_STRV_INIT;
        const struct asked *best;
        bool stopped;
        int rc = 0;

        pthread_mutex_init(&ask.lock, NULL);
        pthread_cond_init(&ask.news, NULL);
        for (size_t i = 0; i < count; i++) {
                ask.hosts[i].host = hosts[i];
                hosts[i] = (struct er_host)ER_HOST_INIT;
        }
        er_tell_note(&m->teller, work->job, "asking %zu hosts what is free", count);
        ask_all(m, work, &ask);
        best = wait_for_answers(m, &ask, work);
        /* Those that were too slow will now fail as cancelled, which says nothing. */
        pthread_mutex_lock(&ask.lock);
        for (size_t i = 0; i < count; i++)
                if (!ask.hosts[i].answered)
                        er_strv_add(&late, ask.hosts[i].host.name);
        pthread_mutex_unlock(&ask.lock);
        stop_asking(m, &ask);

        stopped = er_conn_stopped(&m->conns, work);
        note_failures(m, work, &ask, &late, best, stopped);
        if (best) {
                er_host_copy(&best->host, ret);
        } else if (stopped) {
                work->outcome = ER_OUT_AGAIN;
                rc = er_err_set(err, ER_CANCELLED, "stopped");
        } else {
                work->outcome = ER_OUT_REFUSED;
                rc = none(&ask, &work->reason, err);
        }
        for (size_t i = 0; i < count; i++) {
                er_host_release(&ask.hosts[i].host);
                er_err_release(&ask.hosts[i].err);
        }
        free(ask.hosts);
        pthread_cond_destroy(&ask.news);
        pthread_mutex_destroy(&ask.lock);
        return rc;
}

static bool has_host(const struct er_host *hosts, size_t count, const char *name)
{
        for (size_t i = 0; i < count; i++)
                if (er_streq(hosts[i].name, name))
                        return true;
        return false;
}

/* The user's list, with all known hosts in place of "any", each host once. Under the lock. */
static int candidates(struct er_carry *m, const struct er_strv *asked, struct er_host **hosts, size_t *count,
                      size_t *cap, struct er_err *err)
{
        for (size_t i = 0; i < asked->len; i++) {
                struct er_host *found = NULL;
                size_t found_count = 0;

                if (er_streq(asked->items[i], "any")) {
                        if (er_hosts_known(m->opts->store, &found, &found_count, err) < 0)
                                return -1;
                } else {
                        found = er_new(struct er_host);
                        if (er_hosts_find(m->opts->store, asked->items[i], found, err) < 0) {
                                free(found);
                                return -1;
                        }
                        found_count = 1;
                }
                for (size_t k = 0; k < found_count; k++) {
                        if (has_host(*hosts, *count, found[k].name)) {
                                er_host_release(&found[k]);
                                continue;
                        }
                        *hosts = er_grow(*hosts, cap, *count + 1, sizeof **hosts);
                        (*hosts)[(*count)++] = found[k];
                }
                free(found);
        }
        return 0;
}

int er_choose_host(struct er_carry *m, struct er_work *work, struct er_host *ret, struct er_err *err)
{
        char local[] = "local";
        char *only_local[] = {local, NULL};
        const struct er_strv none_asked = {.items = only_local, .len = 1};
        const struct er_strv *asked = work->job->spec.hosts.len ? &work->job->spec.hosts : &none_asked;
        struct er_host *hosts = NULL;
        size_t count = 0, cap = 0;
        int rc;

        pthread_mutex_lock(&m->lock);
        rc = candidates(m, asked, &hosts, &count, &cap, err);
        pthread_mutex_unlock(&m->lock);
        if (rc < 0) {
                work->outcome = ER_OUT_REFUSED;
                work->reason = ER_REASON_HOST;
        } else if (count == 1) {
                *ret = hosts[0];
                hosts[0] = (struct er_host)ER_HOST_INIT;
        } else {
                rc = choose_among(m, work, hosts, count, ret, err);
        }
        for (size_t i = 0; i < count; i++)
                er_host_release(&hosts[i]);
        free(hosts);
        return rc;
}

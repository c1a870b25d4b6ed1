/* top_watch.c - see top_watch.h */
#include "cli/top_watch.h"

#include <poll.h>
#include <pthread.h>
#include <time.h>
#include "base/clock.h"
#include "host/attempt.h"

#define CONNECT_MS 10000
#define FIRST_MS 400       /* between the first two looks, from which CPU use is computed */
#define RETRY_MAX_MS 10000 /* a host that is gone is tried again, at growing intervals up to this */

struct watched {
        struct er_top_watch *watch;
        struct er_top_host shown;
        uint64_t busy_ms, total_ms; /* of the last probe */
        pthread_t thread;
        bool started;
};
struct er_top_watch {
        pthread_mutex_t lock; /* protects what is shown */
        pthread_cond_t changed;
        unsigned news;
        struct er_cancel stop;
        int64_t every_ms;
        size_t count;
        struct watched *items; /* (owned) */
};

static void release_jobs(struct er_top_job *jobs, size_t count)
{
        for (size_t i = 0; i < count; i++)
                er_status_release(&jobs[i].status);
        free(jobs);
}

static const struct er_top_job *find(const struct er_top_host *host, const struct er_status *status)
{
        for (size_t i = 0; i < host->job_count; i++)
                if (host->jobs[i].status.attempt == status->attempt && er_streq(host->jobs[i].status.key, status->key))
                        return &host->jobs[i];
        return NULL;
}

/* CPU use since the last look, or since the job started if this is the first one. */
static int job_percent(const struct er_top_host *host, const struct er_status *now)
{
        const struct er_top_job *before = find(host, now);
        int64_t passed = now->used_ms - now->started_ms;
        uint64_t used = now->cpu_ms;

        if (now->used_ms == 0 || now->started_ms == 0)
                return -1;
        if (before && before->status.used_ms == now->used_ms)
                return before->cpu_percent;
        if (before && before->status.used_ms > 0) {
                passed = now->used_ms - before->status.used_ms;
                used = now->cpu_ms > before->status.cpu_ms ? now->cpu_ms - before->status.cpu_ms : 0;
        }
        return passed > 0 ? (int)(used * 100 / (uint64_t)passed) : -1;
}

static int by_start(const void *a, const void *b)
{
        const struct er_status *left = &((const struct er_top_job *)a)->status,
                               *right = &((const struct er_top_job *)b)->status;
        int64_t x = left->started_ms ? left->started_ms : INT64_MAX,
                y = right->started_ms ? right->started_ms : INT64_MAX;

        return x < y ? -1 : x > y ? 1 : left->key && right->key ? strcmp(left->key, right->key) : 0;
}

static void take(struct watched *w, struct er_probe *probe, struct er_status *jobs, size_t count)
{
        struct er_top_job *fresh = er_calloc(count + 1, sizeof *fresh);
        uint64_t passed = probe->cpu_total_ms - w->total_ms;

        for (size_t i = 0; i < count; i++)
                fresh[i] = (struct er_top_job){.status = jobs[i], .cpu_percent = job_percent(&w->shown, &jobs[i])};
        if (count > 1)
                qsort(fresh, count, sizeof *fresh, by_start);
        if (w->total_ms > 0 && probe->cpu_total_ms > w->total_ms && probe->cpu_busy_ms >= w->busy_ms)
                w->shown.cpu_percent = (int)((probe->cpu_busy_ms - w->busy_ms) * 100 / passed);
        w->shown.settled = w->shown.settled || w->total_ms > 0 || probe->cpu_total_ms == 0;
        w->busy_ms = probe->cpu_busy_ms;
        w->total_ms = probe->cpu_total_ms;
        release_jobs(w->shown.jobs, w->shown.job_count);
        w->shown.jobs = fresh;
        w->shown.job_count = count;
        er_probe_release(&w->shown.probe);
        w->shown.probe = *probe;
        w->shown.has_probe = true;
        w->shown.asked_ms = er_now_ms();
        free(w->shown.error);
        w->shown.error = NULL;
}

static int ask(struct watched *w, struct er_session **session, struct er_err *err)
{
        const struct er_session_opts opts = {.connect_ms = CONNECT_MS, .cancel = &w->watch->stop};
        struct er_probe probe = ER_PROBE_INIT;
        struct er_status *jobs = NULL;
        size_t count = 0;

        if (!*session && er_session_open(&w->shown.host, &opts, session, err) < 0)
                return -1;
        if (er_host_probe(*session, &probe, err) < 0)
                return -1;
        if (er_attempt_active(*session, &jobs, &count, err) < 0) {
                er_probe_release(&probe);
                return -1;
        }
        pthread_mutex_lock(&w->watch->lock);
        take(w, &probe, jobs, count);
        pthread_mutex_unlock(&w->watch->lock);
        free(jobs);
        return 0;
}

static void *serve(void *arg)
{
        struct watched *w = arg;
        struct er_top_watch *watch = w->watch;
        struct er_session *session = NULL;
        int failures = 0, looks = 0;

        while (!er_cancel_fired(&watch->stop)) {
                struct pollfd stop = {.fd = watch->stop.fds[0], .events = POLLIN};
                er_auto(er_err) err = ER_ERR_INIT;
                int64_t pause = watch->every_ms, begun = er_mono_ms();
                int rc = ask(w, &session, &err);

                pthread_mutex_lock(&watch->lock);
                w->shown.asked = true;
                if (rc < 0 && err.code != ER_CANCELLED) {
                        free(w->shown.error);
                        w->shown.error = er_strdup(err.message ? err.message : er_code_name(err.code));
                        w->shown.settled = true;
                }
                watch->news++;
                pthread_cond_signal(&watch->changed);
                pthread_mutex_unlock(&watch->lock);
                if (rc < 0) {
                        er_session_free(session);
                        session = NULL;
                        pause = watch->every_ms * (failures < 4 ? 1 << failures : 16);
                        pause = pause > RETRY_MAX_MS && pause > watch->every_ms ? RETRY_MAX_MS : pause;
                        failures++;
                } else {
                        failures = 0;
                        if (looks++ == 0 && pause > FIRST_MS)
                                pause = FIRST_MS;
                        else
                                pause -= er_mono_ms() - begun;
                }
                poll(&stop, 1, pause > 0 ? (int)pause : 0);
        }
        er_session_free(session);
        return NULL;
}

struct er_top_watch *er_top_watch_start(struct er_host *hosts, size_t count, int64_t every_ms)
{
        struct er_top_watch *watch = er_new(struct er_top_watch);

        pthread_mutex_init(&watch->lock, NULL);
        pthread_cond_init(&watch->changed, NULL);
        er_cancel_init(&watch->stop);
        watch->every_ms = every_ms;
        watch->count = count;
        watch->items = er_calloc(count + 1, sizeof *watch->items);
        for (size_t i = 0; i < count; i++) {
                struct watched *w = &watch->items[i];

                w->watch = watch;
                w->shown = (struct er_top_host){.host = hosts[i], .cpu_percent = -1};
                hosts[i] = (struct er_host)ER_HOST_INIT;
                w->started = pthread_create(&w->thread, NULL, serve, w) == 0;
                if (!w->started) {
                        w->shown.asked = w->shown.settled = true;
                        w->shown.error = er_strdup("could not start a thread for it");
                }
        }
        return watch;
}

bool er_top_watch_look(struct er_top_watch *watch, int timeout_ms,
                       void (*fn)(void *arg, const struct er_top_host *host), void *arg)
{
        struct timespec until;
        bool settled = true;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += timeout_ms % 1000 * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
                until.tv_nsec -= 1000000000L;
                until.tv_sec++;
        }
        pthread_mutex_lock(&watch->lock);
        while (watch->news == 0 && timeout_ms > 0)
                if (pthread_cond_timedwait(&watch->changed, &watch->lock, &until) != 0)
                        break;
        watch->news = 0;
        for (size_t i = 0; i < watch->count; i++) {
                settled = settled && watch->items[i].shown.settled;
                if (fn)
                        fn(arg, &watch->items[i].shown);
        }
        pthread_mutex_unlock(&watch->lock);
        return settled;
}

void er_top_watch_free(struct er_top_watch *watch)
{
        if (!watch)
                return;
        er_cancel_fire(&watch->stop);
        for (size_t i = 0; i < watch->count; i++) {
                struct er_top_host *shown = &watch->items[i].shown;

                if (watch->items[i].started)
                        pthread_join(watch->items[i].thread, NULL);
                er_host_release(&shown->host);
                er_probe_release(&shown->probe);
                release_jobs(shown->jobs, shown->job_count);
                free(shown->error);
        }
        free(watch->items);
        er_cancel_release(&watch->stop);
        pthread_cond_destroy(&watch->changed);
        pthread_mutex_destroy(&watch->lock);
        free(watch);
}

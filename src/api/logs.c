/* logs.c - a job's log, as it is or as it grows. */
#include "api/impl.h"

#include "host/attempt.h"

#define AGAIN_MS 500

struct reader {
        int (*fn)(void *arg, int stream, const void *data, size_t len);
        void *arg;
        uint64_t next; /* offset in the log of the attempt that is being read */
        bool stopped;
};

static int on_log(void *arg, int stream, uint64_t offset, int64_t time_ms, struct er_sv data, struct er_err *err)
{
        struct reader *r = arg;
        size_t known = offset < r->next ? (size_t)(r->next - offset) : 0;

        (void)time_ms;
        if (known >= data.len)
                return 0;
        r->next = offset + data.len;
        if (r->fn(r->arg, stream, data.ptr + known, data.len - known) == 0)
                return 0;
        r->stopped = true;
        return er_err_set(err, ER_CANCELLED, "stopped by the caller");
}

static int on_event(void *arg, const struct er_status *status, struct er_err *err)
{
        (void)arg, (void)status, (void)err;
        return 0;
}

/* The job's latest attempt; number 0: there is none that its host is known to have. Under the lock. */
static int latest(struct errand *errand, const struct er_job *job, struct er_host *ret_host, uint32_t *ret_number,
                  struct er_err *err)
{
        struct er_attempt *attempts = NULL;
        size_t count = 0;
        int rc = 0;

        *ret_number = 0;
        if (er_store_attempts(errand->store, job->id, &attempts, &count, err) < 0)
                return -1;
        if (count > 0 && attempts[count - 1].submitted) {
                rc = er_hosts_find(errand->store, attempts[count - 1].host, ret_host, err);
                *ret_number = attempts[count - 1].number;
        }
        for (size_t i = 0; i < count; i++)
                er_attempt_release(&attempts[i]);
        free(attempts);
        return rc;
}

static int read_log(const struct er_host *host, const char *key, uint32_t number, bool follow, struct reader *r,
                    struct er_err *err)
{
        er_autoptr(er_session) session = NULL;
        const struct er_session_opts opts = {0};
        const struct er_log_range range = {.offset = r->next, .tail = -1};
        const struct er_watch watch = {.key = key,
                                       .attempt = number,
                                       .offset = r->next,
                                       .log = true,
                                       .on_event = on_event,
                                       .on_log = on_log,
                                       .arg = r};

        if (er_session_open(host, &opts, &session, err) < 0)
                return -1;
        return follow ? er_attempt_watch(session, &watch, err)
                      : er_attempt_log(session, key, number, &range, on_log, r, NULL, err);
}

/* One look: reads what there is to read. 1: that was all; 0: look again; -1: error. Takes the lock itself. */
static int step(struct errand *errand, const char *name, bool follow, uint32_t *done, struct reader *r,
                struct er_err *err)
{
        er_auto(er_job) job = ER_JOB_INIT;
        er_auto(er_host) host = ER_HOST_INIT;
        er_autofree char *key = NULL;
        uint32_t number = 0;
        bool ended, fresh;
        int rc;

        pthread_mutex_lock(&errand->lock);
        rc = er_api_find(errand, name, &job, err);
        if (rc == 0)
                rc = latest(errand, &job, &host, &number, err);
        if (rc == 0)
                key = er_job_key(errand->store, &job);
        ended = rc == 0 && er_job_state_ended(job.state);
        if (rc == 0 && follow && !ended)
                rc = er_carrier_ensure(errand, job.run_id, err);
        fresh = number > *done;
        if (rc == 0 && !fresh && !ended && follow)
                er_carrier_wait(errand, ER_NEVER);
        pthread_mutex_unlock(&errand->lock);
        if (rc < 0)
                return -1;
        if (!fresh)
                return ended || !follow;
        if (*done > 0)
                r->next = 0; /* a new attempt has a new log */
        if (read_log(&host, key, number, follow, r, err) < 0)
                return -1;
        *done = number;
        return ended || !follow;
}

int errand_logs(errand_t *errand, const char *name, uint64_t offset, int follow,
                int (*fn)(void *arg, int stream, const void *data, size_t len), void *arg, uint64_t *ret_next,
                struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        struct reader r = {.fn = fn, .arg = arg, .next = offset};
        uint32_t done = 0;
        int rc;

        while ((rc = step(errand, name, follow != 0, &done, &r, &err)) <= 0 && !r.stopped) {
                if (rc == 0)
                        continue;
                if (!follow || err.code != ER_TRANSPORT)
                        return er_api_fail(error, &err);
                er_err_clear(&err);
                nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000L}, NULL);
        }
        er_err_clear(&err);
        if (ret_next)
                *ret_next = r.next;
        return 0;
}

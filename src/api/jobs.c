/* jobs.c - what is known of jobs, waiting for them, and cancelling them. */
#include "api/impl.h"

#include "api/sized.h"

#define FIRST_SIZE ER_SIZE_UPTO(struct errand_job, news_ms)

/* The members that a job owns. */
static const size_t owned[] = {
        offsetof(struct errand_job, name),        offsetof(struct errand_job, run),
        offsetof(struct errand_job, project_dir), offsetof(struct errand_job, command),
        offsetof(struct errand_job, host),        offsetof(struct errand_job, reason),
        offsetof(struct errand_job, detail),      offsetof(struct errand_job, results_dir),
};

const char *errand_state_name(int state)
{
        return er_job_state_name((enum er_job_state)state);
}

/* Frees what lies between these two offsets. */
static void free_owned(struct errand_job *job, size_t from, size_t to)
{
        for (size_t i = 0; i < ER_LEN(owned); i++) {
                char *text;

                if (owned[i] < from || owned[i] + sizeof text > to)
                        continue;
                memcpy(&text, (char *)job + owned[i], sizeof text);
                free(text);
        }
}

void errand_job_clear(struct errand_job *job)
{
        const struct errand_job empty = ERRAND_JOB_INIT;

        if (job->size < FIRST_SIZE)
                return;
        free_owned(job, 0, job->size);
        er_sized_write(&empty, sizeof empty, job);
}

static void fill(const struct er_job *job, struct errand_job *ret)
{
        *ret = (struct errand_job){
                .size = sizeof *ret,
                .name = er_strdup(job->name),
                .run = er_strdup(job->run),
                .project_dir = er_strdup(job->project_dir),
                .command = er_strdup(job->command),
                .host = er_strdup(job->host),
                .state = (int)job->state,
                .reason = job->reason == ER_REASON_NONE ? NULL : er_strdup(er_reason_name(job->reason)),
                .detail = er_strdup(job->detail),
                .exit_status = job->exit_status,
                .attempt = job->attempt,
                .cancel_asked = job->cancel_asked,
                .outputs_fetched = job->outputs_fetched,
                .results_dir = er_job_results_dir(job),
                .created_ms = job->created_ms,
                .started_ms = job->started_ms,
                .ended_ms = job->ended_ms,
                .news_ms = job->news_ms,
        };
}

/* Fills the caller's job, as far as it goes. */
static void give(const struct er_job *job, struct errand_job *ret)
{
        struct errand_job ours;

        fill(job, &ours);
        er_sized_write(&ours, sizeof ours, ret);
        free_owned(&ours, ret->size, sizeof ours);
}

static int check_size(const struct errand_job *ret, struct er_err *err)
{
        return ret ? er_sized_check(ret, FIRST_SIZE, "ERRAND_JOB_INIT", err) : 0;
}

/* The ids of the job, or of the run's jobs. Under the lock. */
static int resolve(struct errand *errand, const char *name, int64_t **ret_ids, size_t *ret_count, struct er_err *err)
{
        if (!name)
                return er_err_set(err, ER_USAGE, "the name of a job is missing");
        return er_store_resolve(errand->store, name, NULL, ret_ids, ret_count, err);
}

static int several(const char *name, size_t count, const char *hint, struct er_err *err)
{
        er_err_set(err, ER_USAGE, "%s has %zu jobs", name, count);
        return er_err_hint(err, "%s", hint);
}

int er_api_find(struct errand *errand, const char *name, struct er_job *ret, struct er_err *err)
{
        er_autofree int64_t *ids = NULL;
        er_autofree char *hint = NULL;
        size_t count = 0;

        if (resolve(errand, name, &ids, &count, err) < 0 || er_store_job(errand->store, ids[0], ret, err) < 0)
                return -1;
        if (count == 1)
                return 0;
        hint = er_fmt("name one of them, such as %s", ret->name);
        return several(name, count, hint, err);
}

int errand_job(errand_t *errand, const char *name, struct errand_job *ret, struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_job) job = ER_JOB_INIT;
        int rc;

        if (check_size(ret, &err) < 0)
                return er_api_fail(error, &err);
        pthread_mutex_lock(&errand->lock);
        rc = er_api_find(errand, name, &job, &err);
        pthread_mutex_unlock(&errand->lock);
        if (rc < 0)
                return er_api_fail(error, &err);
        if (ret)
                give(&job, ret);
        return 0;
}

struct listing {
        struct errand_job *jobs;
        size_t count, cap;
};

static int add_job(void *arg, const struct er_job *job, struct er_err *err)
{
        struct listing *list = arg;

        (void)err;
        list->jobs = er_grow(list->jobs, &list->cap, list->count + 1, sizeof *list->jobs);
        fill(job, &list->jobs[list->count++]);
        return 0;
}

/* Collects them first: fn may call us again. */
int errand_jobs(errand_t *errand, int active_only, size_t limit, int (*fn)(void *arg, const struct errand_job *job),
                void *arg, struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        const struct er_job_filter filter = {.active_only = active_only != 0, .limit = limit, .without_spec = true};
        struct listing list = {0};
        bool more;
        int rc;

        pthread_mutex_lock(&errand->lock);
        rc = er_store_each_job(errand->store, &filter, add_job, &list, &err);
        pthread_mutex_unlock(&errand->lock);
        more = rc == 0;
        for (size_t i = 0; i < list.count; i++) {
                more = more && fn(arg, &list.jobs[i]) == 0;
                errand_job_clear(&list.jobs[i]);
        }
        free(list.jobs);
        return rc < 0 ? er_api_fail(error, &err) : 0;
}

/* 1: it is over; 0: look again later. Under the lock. */
static int look(struct errand *errand, int64_t id, bool *carried, struct er_job *job, struct er_err *err)
{
        er_job_release(job);
        er_carrier_reap(errand);
        if (er_store_job(errand->store, id, job, err) < 0)
                return -1;
        if (er_job_state_ended(job->state) && job->outputs_fetched)
                return 1;
        if (er_maestro_is_carried(errand->store, job->run_id)) {
                *carried = true;
                return 0;
        }
        /* It has ended, and whoever carried it could not fetch the outputs: waiting does not help. */
        if (er_job_state_ended(job->state) && *carried)
                return 1;
        *carried = true;
        return er_carrier_ensure(errand, job->run_id, err) < 0 ? -1 : 0;
}

/* Waits for one job after the other; *job is then the last one. Under the lock. */
static int wait_for_each(struct errand *errand, const int64_t *ids, size_t count, er_deadline deadline,
                         struct er_job *job, struct er_err *err)
{
        for (size_t i = 0; i < count; i++) {
                bool carried = false;
                int rc;

                while ((rc = look(errand, ids[i], &carried, job, err)) == 0) {
                        if (er_mono_ms() >= deadline)
                                return er_err_set(err, ER_TIMEOUT, "%s is still %s", job->name,
                                                  er_job_state_name(job->state));
                        er_carrier_wait(errand, deadline);
                }
                if (rc < 0)
                        return -1;
        }
        return 0;
}

int errand_wait(errand_t *errand, const char *name, int64_t timeout_ms, struct errand_job *ret,
                struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_job) job = ER_JOB_INIT;
        er_autofree int64_t *ids = NULL;
        er_deadline deadline = timeout_ms < 0 ? ER_NEVER : er_deadline_in(timeout_ms);
        size_t count = 0;
        int rc;

        if (check_size(ret, &err) < 0)
                return er_api_fail(error, &err);
        pthread_mutex_lock(&errand->lock);
        rc = resolve(errand, name, &ids, &count, &err);
        if (rc == 0 && ret && count > 1)
                rc = several(name, count, "ret takes a single job: pass NULL to wait for all of them", &err);
        if (rc == 0)
                rc = wait_for_each(errand, ids, count, deadline, &job, &err);
        pthread_mutex_unlock(&errand->lock);
        if (rc < 0)
                return er_api_fail(error, &err);
        if (ret)
                give(&job, ret);
        return 0;
}

int errand_cancel(errand_t *errand, const char *name, struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        er_autofree int64_t *ids = NULL;
        er_autofree char *dir = NULL;
        struct er_store *store = NULL;
        size_t count = 0;
        int rc;

        pthread_mutex_lock(&errand->lock);
        dir = er_strdup(er_store_dir(errand->store));
        rc = resolve(errand, name, &ids, &count, &err);
        pthread_mutex_unlock(&errand->lock);
        /* Over a connection of its own: a carrier only notices what others write to the store. */
        if (rc == 0)
                rc = er_store_open(dir, &store, &err);
        if (rc == 0)
                rc = er_maestro_cancel(store, ids, count, &err);
        er_store_close(store);
        return rc < 0 ? er_api_fail(error, &err) : 0;
}

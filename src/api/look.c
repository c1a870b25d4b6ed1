/* What is known of jobs, waiting for them, and ending them. */
#include "api/impl.h"

const char *errand_state_name(int state)
{
        return er_job_state_name((enum er_job_state)state);
}

void errand_job_clear(struct errand_job *job)
{
        free(job->name);
        free(job->run);
        free(job->project_dir);
        free(job->command);
        free(job->host);
        free(job->reason);
        free(job->detail);
        free(job->results_dir);
        *job = (struct errand_job)ERRAND_JOB_INIT;
}

static char *dup_or_null(const char *text)
{
        return text ? er_strdup(text) : NULL;
}

static void give(const struct er_job *job, struct errand_job *ret)
{
        *ret = (struct errand_job){
                .size = sizeof *ret,
                .name = dup_or_null(job->name),
                .run = dup_or_null(job->run),
                .project_dir = dup_or_null(job->project_dir),
                .command = dup_or_null(job->command),
                .host = dup_or_null(job->host),
                .state = (int)job->state,
                .reason = job->reason == ER_REASON_NONE ? NULL : er_strdup(er_reason_name(job->reason)),
                .detail = dup_or_null(job->detail),
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

static int check_size(const struct errand_job *ret, struct er_err *err)
{
        if (!ret || ret->size == sizeof *ret)
                return 0;
        return er_err_set(err, ER_USAGE, "the job's size is not that of this library: begin with ERRAND_JOB_INIT");
}

int er_api_find(struct errand *errand, const char *name, struct er_job *ret, struct er_err *err)
{
        er_autofree int64_t *ids = NULL;
        size_t count = 0;
        if (!name)
                return er_err_set(err, ER_USAGE, "no job is named");
        if (er_store_resolve(errand->store, name, NULL, &ids, &count, err) < 0)
                return -1;
        return er_store_job(errand->store, ids[0], ret, err);
}

int errand_job(errand_t *errand, const char *name, struct errand_job *ret, struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_job) job = ER_JOB_INIT;
        if (check_size(ret, &err) < 0)
                return er_api_fail(error, &err);
        pthread_mutex_lock(&errand->lock);
        int rc = er_api_find(errand, name, &job, &err);
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
        give(job, &list->jobs[list->count++]);
        return 0;
}

/* Collected first: fn may call us again. */
int errand_jobs(errand_t *errand, int active_only, size_t limit, int (*fn)(void *arg, const struct errand_job *job),
                void *arg, struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        const struct er_job_filter filter = {.active_only = active_only != 0, .limit = limit, .without_spec = true};
        struct listing list = {0};
        pthread_mutex_lock(&errand->lock);
        int rc = er_store_each_job(errand->store, &filter, add_job, &list, &err);
        pthread_mutex_unlock(&errand->lock);
        bool more = rc == 0;
        for (size_t i = 0; i < list.count; i++) {
                more = more && fn(arg, &list.jobs[i]) == 0;
                errand_job_clear(&list.jobs[i]);
        }
        free(list.jobs);
        return rc < 0 ? er_api_fail(error, &err) : 0;
}

/* Under the lock. 1: over; 0: look again later. */
static int look(struct errand *errand, const char *name, bool *carried, struct er_job *job, struct er_err *err)
{
        er_job_release(job);
        er_carrier_reap(errand);
        if (er_api_find(errand, name, job, err) < 0)
                return -1;
        if (er_job_state_ended(job->state) && job->outputs_fetched)
                return 1;
        if (er_maestro_is_carried(errand->store, job->run_id)) {
                *carried = true;
                return 0;
        }
        /* It has ended, and whoever had it could not bring the outputs: waiting does not help. */
        if (er_job_state_ended(job->state) && *carried)
                return 1;
        *carried = true;
        return er_carrier_ensure(errand, job->run_id, err) < 0 ? -1 : 0;
}

int errand_wait(errand_t *errand, const char *name, int64_t timeout_ms, struct errand_job *ret,
                struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_job) job = ER_JOB_INIT;
        er_deadline deadline = timeout_ms < 0 ? ER_NEVER : er_deadline_in(timeout_ms);
        bool carried = false;
        if (check_size(ret, &err) < 0)
                return er_api_fail(error, &err);
        pthread_mutex_lock(&errand->lock);
        int rc;
        while ((rc = look(errand, name, &carried, &job, &err)) == 0) {
                if (er_mono_ms() >= deadline) {
                        rc = er_err_set(&err, ER_TIMEOUT, "%s is still %s", job.name, er_job_state_name(job.state));
                        break;
                }
                er_carrier_wait(errand, deadline);
        }
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
        er_auto(er_job) job = ER_JOB_INIT;
        struct er_store *store = NULL;
        pthread_mutex_lock(&errand->lock);
        er_autofree char *dir = er_strdup(er_store_dir(errand->store));
        int rc = er_api_find(errand, name, &job, &err);
        pthread_mutex_unlock(&errand->lock);
        /* A connection of its own to the store: those who carry notice what others write. */
        if (rc == 0)
                rc = er_store_open(dir, &store, &err);
        if (rc == 0)
                rc = er_maestro_cancel(store, job.id, &err);
        er_store_close(store);
        return rc < 0 ? er_api_fail(error, &err) : 0;
}

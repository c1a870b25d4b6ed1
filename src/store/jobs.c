/* jobs.c - runs and jobs; see store.h */
#include "store/db.h"

#include <unistd.h>
#include "base/crash.h"
#include "base/parse.h"

void er_run_release(struct er_run *run)
{
        free(run->name);
        free(run->project);
        free(run->project_dir);
        *run = (struct er_run){0};
}

void er_job_release(struct er_job *job)
{
        free(job->name);
        free(job->run);
        free(job->project);
        free(job->project_dir);
        free(job->detail);
        if (job->spec.cap)
                er_str_release(&job->spec);
        free(job->command);
        free(job->host);
        *job = (struct er_job){.spec = ER_STR_INIT};
}

/* Adding */

static int insert_job(struct er_store *store, const struct er_run *run, size_t index, const struct er_new_job *job,
                      struct er_err *err)
{
        sqlite3_stmt *stmt;
        er_autofree char *name = er_fmt("%s.%zu", run->name, index);
        int64_t id;

        if (er_db_stmt(store,
                       "INSERT INTO job(run_id, idx, name, state, command, created_ms) VALUES(?1,?2,?3,?4,?5,?6)",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, run->id);
        er_db_bind_int(stmt, 2, (int64_t)index);
        er_db_bind_text(stmt, 3, name);
        er_db_bind_int(stmt, 4, ER_JOB_WAITING);
        er_db_bind_text(stmt, 5, job->command ? job->command : "");
        er_db_bind_int(stmt, 6, run->created_ms);
        if (er_db_run(store, stmt, err) < 0)
                return -1;
        id = sqlite3_last_insert_rowid(store->db);
        if (er_store_keep_environment(store, job, run->created_ms, err) < 0)
                return -1;
        if (er_db_stmt(store, "INSERT INTO spec(job_id, data, environment) VALUES(?1, ?2, ?3)", &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, id);
        er_db_bind_blob(stmt, 2, job->spec);
        if (job->environment.ptr)
                er_db_bind_blob(stmt, 3, job->environment);
        else
                sqlite3_bind_null(stmt, 3);
        return er_db_run(store, stmt, err);
}

static int insert_run(struct er_store *store, struct er_run *run, const char *name, const struct er_new_job *jobs,
                      size_t count, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_store_next_name(store, run->project, name, &run->name, &run->number, err) < 0)
                return -1;
        if (er_db_stmt(store,
                       "INSERT INTO run(name, project, project_dir, number, created_ms, creator) "
                       "VALUES(?1,?2,?3,?4,?5,?6)",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_text(stmt, 1, run->name);
        er_db_bind_text(stmt, 2, run->project);
        er_db_bind_text(stmt, 3, run->project_dir);
        er_db_bind_int(stmt, 4, run->number);
        er_db_bind_int(stmt, 5, run->created_ms);
        er_db_bind_int(stmt, 6, getpid());
        if (er_db_run(store, stmt, err) < 0)
                return -1;
        run->id = sqlite3_last_insert_rowid(store->db);
        er_crashpoint("store run half");
        for (size_t i = 0; i < count; i++)
                if (insert_job(store, run, i, &jobs[i], err) < 0)
                        return -1;
        return 0;
}

int er_store_add_run(struct er_store *store, const char *project, const char *project_dir, const char *name,
                     const struct er_new_job *jobs, size_t count, int64_t now_ms, struct er_run *ret,
                     struct er_err *err)
{
        er_auto(er_run)
                run = {.project = er_strdup(project), .project_dir = er_strdup(project_dir), .created_ms = now_ms};
        er_crashpoint("store run");
        if (er_db_begin(store, err) < 0)
                return er_err_wrap(err, "storing the run");
        if (er_store_read_owners(store, err) < 0 || insert_run(store, &run, name, jobs, count, err) < 0) {
                er_db_rollback(store);
                return er_err_wrap(err, "storing the run");
        }
        if (er_db_commit(store, err) < 0)
                return er_err_wrap(err, "storing the run");
        er_crashpoint("store run made");
        *ret = run;
        run = (struct er_run){0};
        return 0;
}

/* Reading */

int er_store_run_creator(struct er_store *store, int64_t id, pid_t *ret_pid, int64_t *ret_created_ms,
                         struct er_err *err)
{
        sqlite3_stmt *stmt;
        int rc;

        if (er_db_stmt(store, "SELECT creator, created_ms FROM run WHERE id = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, id);
        rc = er_db_step(store, stmt, err);
        if (rc < 0)
                return -1;
        *ret_pid = rc == 1 ? (pid_t)er_db_int(stmt, 0) : 0;
        *ret_created_ms = rc == 1 ? er_db_int(stmt, 1) : 0;
        sqlite3_reset(stmt);
        return 0;
}

#define JOB_COLUMNS                                                                                                    \
        "job.id, job.run_id, job.idx, job.name, run.name, run.project, run.project_dir, job.state, job.reason, "       \
        "job.detail,"                                                                                                  \
        " job.exit_status, job.command, job.host, job.attempt, job.cancel_asked, job.outputs_fetched, job.created_ms," \
        " job.started_ms, job.ended_ms, job.news_ms"
#define JOB_SPEC_COLUMN 20

static void read_job(sqlite3_stmt *stmt, bool with_spec, struct er_job *ret)
{
        *ret = (struct er_job){
                .id = er_db_int(stmt, 0),
                .run_id = er_db_int(stmt, 1),
                .index = (uint32_t)er_db_int(stmt, 2),
                .name = er_db_text(stmt, 3),
                .run = er_db_text(stmt, 4),
                .project = er_db_text(stmt, 5),
                .project_dir = er_db_text(stmt, 6),
                .state = (enum er_job_state)er_db_int(stmt, 7),
                .reason = (enum er_reason)er_db_int(stmt, 8),
                .detail = er_db_text(stmt, 9),
                .exit_status = (int)er_db_int(stmt, 10),
                .spec = ER_STR_INIT,
                .command = er_db_text(stmt, 11),
                .host = er_db_text(stmt, 12),
                .attempt = (uint32_t)er_db_int(stmt, 13),
                .cancel_asked = er_db_int(stmt, 14) != 0,
                .outputs_fetched = er_db_int(stmt, 15) != 0,
                .created_ms = er_db_int(stmt, 16),
                .started_ms = er_db_int(stmt, 17),
                .ended_ms = er_db_int(stmt, 18),
                .news_ms = er_db_int(stmt, 19),
        };
        if (with_spec) {
                const void *data = sqlite3_column_blob(stmt, JOB_SPEC_COLUMN);
                int len = sqlite3_column_bytes(stmt, JOB_SPEC_COLUMN);

                if (data && len > 0)
                        er_str_addn(&ret->spec, data, (size_t)len);
        }
}

int er_store_job(struct er_store *store, int64_t id, struct er_job *ret, struct er_err *err)
{
        sqlite3_stmt *stmt;
        int rc;

        if (er_db_stmt(store,
                       "SELECT " JOB_COLUMNS ", spec.data FROM job JOIN run ON run.id = job.run_id"
                       " LEFT JOIN spec ON spec.job_id = job.id WHERE job.id = ?1",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, id);
        rc = er_db_step(store, stmt, err);
        if (rc < 0)
                return -1;
        if (rc == 0)
                return er_err_set(err, ER_NOT_FOUND, "the job is no longer in the store");
        read_job(stmt, true, ret);
        sqlite3_reset(stmt);
        return 0;
}

/* Which index is best depends on what is asked for, so the statement is put together. */
static void list_sql(const struct er_job_filter *filter, struct er_str *sql)
{
        bool by_run = filter->project && !filter->run_id;
        bool recent = !filter->active_only && filter->ended_since_ms;

        er_str_addf(sql, "SELECT " JOB_COLUMNS "%s FROM ", filter->without_spec ? "" : ", spec.data");
        if (recent)
                er_str_add(sql,
                           "(SELECT id AS wanted FROM job INDEXED BY job_open WHERE state < 5 OR outputs_fetched = 0"
                           " UNION SELECT id FROM job WHERE ended_ms > 0 AND ended_ms >= ?3)"
                           " CROSS JOIN job ON job.id = wanted CROSS JOIN run ON run.id = job.run_id");
        else
                er_str_add(sql, by_run ? "run CROSS JOIN job ON job.run_id = run.id"
                                       : "job CROSS JOIN run ON run.id = job.run_id");
        if (!filter->without_spec)
                er_str_add(sql, " LEFT JOIN spec ON spec.job_id = job.id");
        er_str_add(sql, " WHERE 1");
        if (filter->run_id)
                er_str_add(sql, " AND job.run_id = ?1");
        if (filter->project)
                er_str_add(sql, " AND run.project_dir = ?2");
        if (filter->active_only && by_run)
                er_str_add(sql, " AND run.id IN (SELECT run_id FROM job INDEXED BY job_open WHERE state < 5 OR "
                                "outputs_fetched = 0)");
        if (filter->active_only)
                er_str_add(sql, by_run || filter->run_id
                                        ? " AND (job.state < 5 OR job.outputs_fetched = 0)"
                                        : " AND job.id IN (SELECT id FROM job INDEXED BY job_open WHERE state < 5 OR"
                                          " outputs_fetched = 0)");
        er_str_add(sql, by_run           ? " ORDER BY run.id DESC, job.idx DESC"
                        : filter->run_id ? " ORDER BY job.idx DESC"
                                         : " ORDER BY job.id DESC");
        if (filter->limit)
                er_str_add(sql, " LIMIT ?4");
}

int er_store_each_job(struct er_store *store, const struct er_job_filter *filter, er_job_fn fn, void *arg,
                      struct er_err *err)
{
        er_auto(er_str) sql = ER_STR_INIT;
        sqlite3_stmt *stmt = NULL; /* a statement of its own, since fn may use the store */
        int rc;
        int result = 0;

        list_sql(filter, &sql);
        rc = sqlite3_prepare_v2(store->db, sql.buf, -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return er_db_fail(store, rc, "listing jobs", err);
        er_db_bind_int(stmt, 1, filter->run_id);
        er_db_bind_text(stmt, 2, filter->project);
        er_db_bind_int(stmt, 3, filter->ended_since_ms);
        er_db_bind_int(stmt, 4, (int64_t)filter->limit);
        while (result == 0) {
                er_auto(er_job) job = {.spec = ER_STR_INIT};

                rc = sqlite3_step(stmt);
                if (rc == SQLITE_DONE)
                        break;
                if (rc != SQLITE_ROW) {
                        result = er_db_fail(store, rc, "listing jobs", err);
                        break;
                }
                read_job(stmt, !filter->without_spec, &job);
                result = fn(arg, &job, err) < 0 ? -1 : 0;
        }
        sqlite3_finalize(stmt);
        return result;
}

static int collect_ids(struct er_store *store, sqlite3_stmt *stmt, int64_t **ret_ids, size_t *ret_count,
                       struct er_err *err)
{
        er_autofree int64_t *ids = NULL;
        size_t count = 0, cap = 0;
        int rc;

        while ((rc = er_db_step(store, stmt, err)) == 1) {
                ids = er_grow(ids, &cap, count + 1, sizeof *ids);
                ids[count++] = er_db_int(stmt, 0);
        }
        if (rc < 0)
                return -1;
        *ret_ids = er_take(ids);
        *ret_count = count;
        return 0;
}

int er_store_open_runs(struct er_store *store, int64_t **ret_ids, size_t *ret_count, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store,
                       "SELECT DISTINCT run_id FROM job INDEXED BY job_open WHERE state < 5 OR outputs_fetched = 0"
                       " ORDER BY run_id",
                       &stmt, err) < 0)
                return -1;
        return collect_ids(store, stmt, ret_ids, ret_count, err);
}

int er_store_cancels(struct er_store *store, int64_t **ret_ids, size_t *ret_count, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store,
                       "SELECT id FROM job INDEXED BY job_open WHERE (state < 5 OR outputs_fetched = 0) AND state < 5"
                       " AND cancel_asked = 1 ORDER BY id",
                       &stmt, err) < 0)
                return -1;
        return collect_ids(store, stmt, ret_ids, ret_count, err);
}

int er_store_job_names(struct er_store *store, size_t max, struct er_strv *ret, struct er_err *err)
{
        sqlite3_stmt *stmt;
        int rc;
        size_t added = 0;

        if (er_db_stmt(store,
                       "SELECT run.name, job.name, job.idx FROM job JOIN run ON run.id = job.run_id ORDER BY "
                       "job.run_id DESC,"
                       " job.idx LIMIT ?1",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, (int64_t)max);
        while ((rc = er_db_step(store, stmt, err)) == 1 && added < max) {
                if (er_db_int(stmt, 2) == 0) {
                        er_strv_add(ret, (const char *)sqlite3_column_text(stmt, 0));
                        added++;
                }
                if (added < max) {
                        er_strv_add(ret, (const char *)sqlite3_column_text(stmt, 1));
                        added++;
                }
        }
        sqlite3_reset(stmt);
        return rc < 0 ? -1 : 0;
}

static int not_found(struct er_store *store, const char *name, struct er_err *err)
{
        er_auto(er_strv) names = ER_STRV_INIT;
        const char *near[3];
        size_t count = 0;
        er_auto(er_str) hint = ER_STR_INIT;

        if (er_store_job_names(store, 1000, &names, NULL) == 0 && names.len)
                count = er_nearest(name, (const char *const *)names.items, names.len, near, ER_LEN(near));
        er_err_set(err, ER_NOT_FOUND, "no such job or run: %s", name);
        if (count == 0)
                return er_err_hint(err, names.len ? "`errand jobs --all` lists them" : "nothing has been run yet");
        er_str_add(&hint, "did you mean ");
        for (size_t i = 0; i < count; i++)
                er_str_addf(&hint, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", near[i]);
        er_str_addc(&hint, '?');
        return er_err_hint(err, "%s", hint.buf);
}

int er_store_resolve(struct er_store *store, const char *name, const char *project_dir, int64_t **ret_ids,
                     size_t *ret_count, struct er_err *err)
{
        sqlite3_stmt *stmt;
        er_autofree int64_t *ids = NULL;
        size_t count = 0;

        if (!name) {
                if (er_db_stmt(store,
                               "SELECT id FROM job WHERE run_id = (SELECT max(id) FROM run WHERE project_dir = ?1)"
                               " ORDER BY idx",
                               &stmt, err) < 0)
                        return -1;
                er_db_bind_text(stmt, 1, project_dir);
        } else {
                if (er_db_stmt(store, "SELECT id FROM job WHERE name = ?1", &stmt, err) < 0)
                        return -1;
                er_db_bind_text(stmt, 1, name);
        }
        if (collect_ids(store, stmt, &ids, &count, err) < 0)
                return -1;
        if (name && count == 0) {
                free(er_take(ids));
                if (er_db_stmt(store,
                               "SELECT id FROM job WHERE run_id = (SELECT id FROM run WHERE name = ?1) ORDER BY idx",
                               &stmt, err) < 0)
                        return -1;
                er_db_bind_text(stmt, 1, name);
                if (collect_ids(store, stmt, &ids, &count, err) < 0)
                        return -1;
        }
        if (count == 0) {
                if (name)
                        return not_found(store, name, err);
                er_err_set(err, ER_NOT_FOUND, "nothing has been run in %s yet", project_dir);
                return er_err_hint(err, "name a job; `errand jobs --all` lists the jobs of all projects");
        }
        *ret_ids = er_take(ids);
        *ret_count = count;
        return 0;
}

/* Changing */

int er_store_ask_cancel(struct er_store *store, int64_t job_id, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store, "UPDATE job SET cancel_asked = 1 WHERE id = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, job_id);
        return er_db_run(store, stmt, err);
}

int er_store_set_tree(struct er_store *store, int64_t job_id, struct er_sv spec, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store, "UPDATE spec SET data = ?2 WHERE job_id = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, job_id);
        er_db_bind_blob(stmt, 2, spec);
        return er_db_run(store, stmt, err);
}

static int remove_in_tx(struct er_store *store, int64_t job_id, struct er_err *err)
{
        sqlite3_stmt *stmt;
        int rc;
        enum er_job_state state;
        int64_t run_id;
        er_autofree char *name = NULL;

        if (er_db_stmt(store, "SELECT state, run_id, name FROM job WHERE id = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, job_id);
        rc = er_db_step(store, stmt, err);
        if (rc < 0)
                return -1;
        if (rc == 0)
                return er_err_set(err, ER_NOT_FOUND, "the job is no longer in the store");
        state = (enum er_job_state)er_db_int(stmt, 0);
        run_id = er_db_int(stmt, 1);
        name = er_db_text(stmt, 2);
        sqlite3_reset(stmt);
        if (!er_job_state_ended(state)) {
                er_err_set(err, ER_STATE, "%s has not ended: it is %s", name, er_job_state_name(state));
                return er_err_hint(err, "`errand cancel %s` ends it", name);
        }
        if (er_store_drop_environment(store, job_id, err) < 0 ||
            er_db_stmt(store, "DELETE FROM job WHERE id = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, job_id);
        if (er_db_run(store, stmt, err) < 0)
                return -1;
        if (er_db_stmt(store, "DELETE FROM run WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM job WHERE run_id = ?1)",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, run_id);
        return er_db_run(store, stmt, err);
}

int er_store_remove_job(struct er_store *store, int64_t job_id, struct er_err *err)
{
        if (er_db_begin(store, err) < 0)
                return -1;
        if (remove_in_tx(store, job_id, err) < 0) {
                er_db_rollback(store);
                return -1;
        }
        return er_db_commit(store, err);
}

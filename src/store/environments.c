/*
 * environments.c - the recipes of the environments that jobs name; see store.h and db.h.
 *
 * A recipe is stored exactly as long as a job names it: it comes with the first such job and goes with the last, in the
 * transaction that adds or removes that job.
 */
#include "store/db.h"

static int put(struct er_store *store, const struct er_new_job *job, int64_t now_ms, struct er_err *err)
{
        sqlite3_stmt *stmt;

        /* Keep the newest: a newer errand may build the same declaration differently. */
        if (er_db_stmt(store,
                       "INSERT INTO environment(hash, recipe, stored_ms) VALUES(?1, ?2, ?3)"
                       " ON CONFLICT(hash) DO UPDATE SET recipe = ?2, stored_ms = ?3",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_blob(stmt, 1, job->environment);
        er_db_bind_blob(stmt, 2, job->recipe);
        er_db_bind_int(stmt, 3, now_ms);
        return er_db_run(store, stmt, err);
}

/* The recipe of another job, which may have been removed since our caller read it. */
static int expect(struct er_store *store, struct er_sv hash, struct er_err *err)
{
        sqlite3_stmt *stmt;
        int rc;

        if (er_db_stmt(store, "SELECT 1 FROM environment WHERE hash = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_blob(stmt, 1, hash);
        rc = er_db_step(store, stmt, err);
        if (rc < 0)
                return -1;
        sqlite3_reset(stmt);
        if (rc == 1)
                return 0;
        er_err_set(err, ER_NOT_FOUND, "the job whose environment it uses has been removed");
        return er_err_hint(err, "run it again from the project, with `errand run`");
}

int er_store_keep_environment(struct er_store *store, const struct er_new_job *job, int64_t now_ms, struct er_err *err)
{
        if (!job->environment.ptr)
                return 0;
        return job->recipe.ptr ? put(store, job, now_ms, err) : expect(store, job->environment, err);
}

int er_store_environment(struct er_store *store, struct er_sv hash, struct er_str *ret, struct er_err *err)
{
        sqlite3_stmt *stmt;
        int rc;

        if (er_db_stmt(store, "SELECT recipe FROM environment WHERE hash = ?1", &stmt, err) < 0)
                return -1;
        er_db_bind_blob(stmt, 1, hash);
        rc = er_db_step(store, stmt, err);
        if (rc < 0)
                return -1;
        if (rc == 0)
                return er_err_set(err, ER_NOT_FOUND, "the recipe of the job's environment is not in the store");
        er_str_addn(ret, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
        sqlite3_reset(stmt);
        return 0;
}

int er_store_drop_environment(struct er_store *store, int64_t job_id, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store,
                       "DELETE FROM environment WHERE hash = (SELECT environment FROM spec WHERE job_id = ?1)"
                       " AND NOT EXISTS (SELECT 1 FROM spec WHERE environment = hash AND job_id <> ?1)",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, job_id);
        return er_db_run(store, stmt, err);
}

/* environments.c - recipes of environments that jobs name; see store.h and db.h. */
#include "store/db.h"

#define FRESH_MS (24 * 3600 * 1000LL) /* the job that names it may not be stored yet */

int er_store_put_environment(struct er_store *store, struct er_sv hash, struct er_sv recipe, int64_t now_ms,
                             struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store,
                       "INSERT INTO environment(hash, recipe, stored_ms) VALUES(?1, ?2, ?3)"
                       " ON CONFLICT(hash) DO UPDATE SET recipe = ?2, stored_ms = ?3",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_blob(stmt, 1, hash);
        er_db_bind_blob(stmt, 2, recipe);
        er_db_bind_int(stmt, 3, now_ms);
        return er_db_run(store, stmt, err);
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
                return er_err_set(err, ER_NOT_FOUND, "the recipe of the job's environment is no longer in the store");
        er_str_addn(ret, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
        sqlite3_reset(stmt);
        return 0;
}

int er_store_forget_environments(struct er_store *store, int64_t now_ms, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store,
                       "DELETE FROM environment WHERE stored_ms < ?1"
                       " AND hash NOT IN (SELECT environment FROM spec WHERE environment IS NOT NULL)",
                       &stmt, err) < 0)
                return -1;
        er_db_bind_int(stmt, 1, now_ms - FRESH_MS);
        return er_db_run(store, stmt, err);
}

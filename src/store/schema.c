/*
 * schema.c - migrations. To add a column or a table, append an entry with the next number. Never change one that was
 * released. Each runs in one transaction together with the new user_version.
 */
#include "store/db.h"

#include "base/crash.h"
#include "base/lock.h"

struct migration {
        int version;
        const char *sql;
};

/*
 * job: has all that a list shows (name, host, attempt), so that `errand jobs` reads one table. Specs, which may be
 * large, have a table of their own. The partial index job_open is all that is read to find the jobs that are not
 * finished. run: an id is never used twice, since it is also the number of the run's lease. counter: base is a project
 * or an explicit name; last is the highest number used so far; taken means that the name itself was used, without a
 * number. There are few indexes: each costs a page of the log per write, and the first process to open the store reads
 * the whole log.
 */
static const struct migration migrations[] = {
        {1,
         "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
         "CREATE TABLE counter(base TEXT PRIMARY KEY, last INTEGER NOT NULL, taken INTEGER NOT NULL DEFAULT 0)"
         " STRICT, WITHOUT ROWID;"
         "CREATE TABLE run(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, project TEXT NOT NULL,"
         " project_dir TEXT NOT NULL, number INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
         " creator INTEGER NOT NULL) STRICT;"
         "CREATE INDEX run_project ON run(project_dir);"
         "CREATE TABLE job(id INTEGER PRIMARY KEY,"
         " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, idx INTEGER NOT NULL, name TEXT NOT NULL "
         "UNIQUE,"
         " state INTEGER NOT NULL, reason INTEGER NOT NULL DEFAULT 0, detail TEXT, exit_status INTEGER NOT NULL "
         "DEFAULT -1,"
         " command TEXT NOT NULL, host TEXT, attempt INTEGER NOT NULL DEFAULT 0, cancel_asked INTEGER NOT NULL DEFAULT "
         "0,"
         " outputs_fetched INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL "
         "DEFAULT 0,"
         " ended_ms INTEGER NOT NULL DEFAULT 0, news_ms INTEGER NOT NULL DEFAULT 0, UNIQUE(run_id, idx)) STRICT;"
         "CREATE INDEX job_open ON job(id) WHERE state < 5 OR outputs_fetched = 0;"
         "CREATE INDEX job_ended ON job(ended_ms) WHERE ended_ms > 0;"
         "CREATE TABLE spec(job_id INTEGER PRIMARY KEY REFERENCES job(id) ON DELETE CASCADE, data BLOB NOT NULL) "
         "STRICT;"
         "CREATE TABLE attempt(id INTEGER PRIMARY KEY,"
         " job_id INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE, number INTEGER NOT NULL, host TEXT NOT NULL,"
         " boot_id TEXT, dir TEXT, submitted INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL,"
         " \"end\" INTEGER NOT NULL DEFAULT 0, reason INTEGER NOT NULL DEFAULT 0, exit_code INTEGER NOT NULL DEFAULT "
         "-1,"
         " signal INTEGER NOT NULL DEFAULT 0, detail TEXT, created_ms INTEGER NOT NULL, queued_ms INTEGER NOT NULL "
         "DEFAULT 0,"
         " started_ms INTEGER NOT NULL DEFAULT 0, ended_ms INTEGER NOT NULL DEFAULT 0, cpu_ms INTEGER NOT NULL DEFAULT "
         "0,"
         " max_rss INTEGER NOT NULL DEFAULT 0, gpu_mem INTEGER NOT NULL DEFAULT 0, gpu_mask INTEGER NOT NULL DEFAULT 0,"
         " gpu_util INTEGER NOT NULL DEFAULT -1, seq INTEGER NOT NULL DEFAULT 0, log_size INTEGER NOT NULL DEFAULT 0,"
         " UNIQUE(job_id, number)) STRICT;"
         "CREATE TABLE host(name TEXT PRIMARY KEY, target TEXT, port INTEGER NOT NULL DEFAULT 0, identity TEXT, jump "
         "TEXT,"
         " root TEXT, added INTEGER NOT NULL DEFAULT 0, probe TEXT, probed_ms INTEGER NOT NULL DEFAULT 0, error TEXT,"
         " used_ms INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
         "INSERT INTO meta VALUES('id', substr(lower(hex(randomblob(3))), 1, 6));"},
        {2, "CREATE TABLE environment(hash BLOB PRIMARY KEY, recipe BLOB NOT NULL, stored_ms INTEGER NOT NULL) STRICT;"
            "ALTER TABLE spec ADD COLUMN environment BLOB;"},
        /* Until version 2, recipes were never removed. The index tells whether a job still names one. */
        {3, "CREATE INDEX spec_environment ON spec(environment) WHERE environment IS NOT NULL;"
            "DELETE FROM environment WHERE hash NOT IN (SELECT environment FROM spec WHERE environment IS NOT NULL);"},
        {4, "ALTER TABLE attempt ADD COLUMN gpu_shared INTEGER NOT NULL DEFAULT 0;"
            "ALTER TABLE attempt ADD COLUMN gpu_util_max INTEGER NOT NULL DEFAULT -1;"
            "UPDATE attempt SET gpu_mem = -1 WHERE gpu_util = -1;"},
        /* Until version 4, a copied store went on with the id of the original. */
        {5, "CREATE TABLE owner(since INTEGER PRIMARY KEY, id TEXT NOT NULL, inode INTEGER NOT NULL, machine TEXT NOT "
            "NULL)"
            " STRICT;"
            "INSERT INTO owner SELECT 0, value, 0, '' FROM meta WHERE key = 'id';"
            "DELETE FROM meta WHERE key = 'id';"},
};

const int er_schema_version = (int)ER_LEN(migrations);

static int read_version(struct er_store *store, int *ret, struct er_err *err)
{
        sqlite3_stmt *stmt;
        int rc;

        if (er_db_stmt(store, "PRAGMA user_version", &stmt, err) < 0)
                return -1;
        rc = er_db_step(store, stmt, err);
        if (rc < 0)
                return -1;
        *ret = rc == 1 ? (int)er_db_int(stmt, 0) : 0;
        sqlite3_reset(stmt);
        return 0;
}

static int apply(struct er_store *store, const struct migration *migration, struct er_err *err)
{
        er_autofree char *version = er_fmt("PRAGMA user_version=%d", migration->version);

        if (er_db_begin(store, err) < 0)
                return -1;
        er_crashpoint_named("store migrate");
        if (er_db_exec(store, migration->sql, err) < 0 || er_db_exec(store, version, err) < 0) {
                er_db_rollback(store);
                return er_err_wrap(err, "bringing the store to version %d", migration->version);
        }
        return er_db_commit(store, err);
}

int er_schema_update(struct er_store *store, struct er_err *err)
{
        int version;
        er_autofree char *lock_path = NULL;
        er_autoclose int lock = -1;

        if (read_version(store, &version, err) < 0)
                return -1;
        if (version == er_schema_version)
                return 0;
        if (version > er_schema_version) {
                er_err_set(err, ER_STATE, "the store %s has version %d; this errand supports versions up to %d",
                           store->path, version, er_schema_version);
                return er_err_hint(
                        err, "a newer errand has used it: update this one, or use another directory with --state-dir");
        }
        /* Only one process migrates: switching to WAL needs exclusive access to the file. */
        lock_path = er_fmt("%s/store.lock", store->dir);
        if (er_lock_file(lock_path, er_deadline_in(ER_STORE_BUSY_MS), &lock, err) < 0)
                return er_err_wrap(err, "waiting for another errand to set up the store");
        if (read_version(store, &version, err) < 0)
                return -1;
        if (version > er_schema_version)
                return er_schema_update(store, err);
        if (er_db_exec(store, "PRAGMA journal_mode=WAL", err) < 0)
                return -1;
        for (int i = version; i < er_schema_version; i++)
                if (apply(store, &migrations[i], err) < 0)
                        return -1;
        return 0;
}

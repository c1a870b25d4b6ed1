/* db.c - see db.h */
#include "store/db.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"

/* Renames the damaged file to "store.db.corrupt-20261121-100000". Returns that name (owned), or NULL if the file is not
 * the one we opened: another process was faster. */
static char *set_aside(struct er_store *store)
{
        struct stat st;
        time_t now;
        struct tm tm;
        char stamp[32];
        er_autofree char *aside = NULL;
        static const char *const companions[] = {"-wal", "-shm"};

        if (stat(store->path, &st) < 0 || st.st_dev != store->dev || st.st_ino != store->ino)
                return NULL;
        now = (time_t)(er_now_ms() / 1000);
        gmtime_r(&now, &tm);
        strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
        aside = er_fmt("%s.corrupt-%s", store->path, stamp);
        for (int n = 2; access(aside, F_OK) == 0 && n < 100; n++) {
                free(aside);
                aside = er_fmt("%s.corrupt-%s-%d", store->path, stamp, n);
        }
        if (rename(store->path, aside) < 0)
                return NULL;
        for (size_t i = 0; i < ER_LEN(companions); i++) {
                er_autofree char *from = er_fmt("%s%s", store->path, companions[i]);
                er_autofree char *to = er_fmt("%s%s", aside, companions[i]);

                rename(from, to);
        }
        return er_take(aside);
}

static int fail_corrupt(struct er_store *store, struct er_err *err)
{
        er_autofree char *aside = set_aside(store);

        if (!aside) {
                er_err_set(err, ER_STATE, "the store %s is damaged", store->path);
                return er_err_hint(err,
                                   "run the command again: another errand has set the damaged file aside, or it could "
                                   "not be renamed; see %s",
                                   store->dir);
        }
        er_err_set(err, ER_STATE, "the store %s is damaged; it was kept aside as %s", store->path, aside);
        return er_err_hint(err,
                           "the next start makes a new store. Jobs that were running continue on their hosts, where "
                           "their files are "
                           "in ~/.errand/jobs. `sqlite3 %s .recover` may recover what was known about them",
                           aside);
}

int er_db_fail(struct er_store *store, int rc, const char *what, struct er_err *err)
{
        int sys = store->db ? sqlite3_system_errno(store->db) : 0;

        switch (rc & 0xff) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return fail_corrupt(store, err);
        case SQLITE_FULL:
                er_err_set(err, ER_IO, "%s: no space left on the disk of %s", what, store->dir);
                return er_err_hint(
                        err, "free some space there, or use another directory with --state-dir; nothing was lost");
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                er_err_set(err, ER_STATE, "%s: the store %s was busy for %d s", what, store->path,
                           ER_STORE_BUSY_MS / 1000);
                er_err_hint(err, "another errand is stuck while writing, or the disk is very slow; try again");
                return er_err_retry(err);
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH:
                er_err_set(err, ER_AUTH, "%s: the store %s cannot be written", what, store->path);
                return er_err_hint(err,
                                   "make the directory writable, or use another one with --state-dir or ERRAND_HOME");
        case SQLITE_CANTOPEN:
                if (sys == ENOSPC || sys == EDQUOT)
                        return er_db_fail(store, SQLITE_FULL, what, err);
                if (sys)
                        er_err_errno(err, sys, "open the store %s", store->path);
                else
                        er_err_set(err, ER_IO, "cannot open the store %s", store->path);
                return er_err_hint(err, "check that its directory exists and is writable, or use another one with "
                                        "--state-dir or ERRAND_HOME");
        case SQLITE_IOERR:
                if (sys == ENOSPC || sys == EDQUOT)
                        return er_db_fail(store, SQLITE_FULL, what, err);
                er_err_errno(err, sys ? sys : EIO, "%s: read or write the store %s", what, store->path);
                if (err)
                        err->code = ER_IO;
                return -1;
        default:
                return er_err_set(err, ER_INTERNAL, "%s: SQLite says: %s", what,
                                  store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc));
        }
}

int er_db_exec(struct er_store *store, const char *sql, struct er_err *err)
{
        int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

        return rc == SQLITE_OK ? 0 : er_db_fail(store, rc, "setting up the store", err);
}

int er_db_stmt(struct er_store *store, const char *sql, sqlite3_stmt **ret, struct er_err *err)
{
        sqlite3_stmt *stmt = NULL;
        int rc;

        for (size_t i = 0; i < store->stmt_count; i++)
                if (store->stmts[i].sql == sql) {
                        sqlite3_reset(store->stmts[i].stmt);
                        sqlite3_clear_bindings(store->stmts[i].stmt);
                        *ret = store->stmts[i].stmt;
                        return 0;
                }
        if (store->stmt_count == ER_LEN(store->stmts))
                return er_err_set(err, ER_INTERNAL, "the store's statement cache is too small");
        rc = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
        if (rc != SQLITE_OK)
                return er_db_fail(store, rc, "reading the store", err);
        store->stmts[store->stmt_count++] = (struct er_db_stmt){sql, stmt};
        *ret = stmt;
        return 0;
}

int er_db_step(struct er_store *store, sqlite3_stmt *stmt, struct er_err *err)
{
        int rc = sqlite3_step(stmt);
        int result;

        if (rc == SQLITE_ROW)
                return 1;
        result = rc == SQLITE_DONE ? 0 : er_db_fail(store, rc, "reading the store", err);
        sqlite3_reset(stmt);
        return result;
}

int er_db_run(struct er_store *store, sqlite3_stmt *stmt, struct er_err *err)
{
        int rc = sqlite3_step(stmt);
        int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : er_db_fail(store, rc, "writing to the store", err);

        sqlite3_reset(stmt);
        return result;
}

static int control(struct er_store *store, const char *sql, struct er_err *err)
{
        sqlite3_stmt *stmt;

        if (er_db_stmt(store, sql, &stmt, err) < 0)
                return -1;
        return er_db_run(store, stmt, err);
}

int er_db_begin(struct er_store *store, struct er_err *err)
{
        if (control(store, "BEGIN IMMEDIATE", err) < 0)
                return -1;
        store->in_tx = true;
        return 0;
}

int er_db_commit(struct er_store *store, struct er_err *err)
{
        if (control(store, "COMMIT", err) < 0) {
                er_db_rollback(store);
                return -1;
        }
        store->in_tx = false;
        return 0;
}

void er_db_rollback(struct er_store *store)
{
        if (!store->in_tx)
                return;
        store->in_tx = false;
        /* After a full disk or an I/O error, SQLite may have rolled back by itself. */
        if (!sqlite3_get_autocommit(store->db))
                control(store, "ROLLBACK", NULL);
}

void er_db_bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
        if (text)
                sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
        else
                sqlite3_bind_null(stmt, index);
}

void er_db_bind_int(sqlite3_stmt *stmt, int index, int64_t value)
{
        sqlite3_bind_int64(stmt, index, value);
}

void er_db_bind_u64(sqlite3_stmt *stmt, int index, uint64_t value)
{
        sqlite3_bind_int64(stmt, index, (sqlite3_int64)value);
}

void er_db_bind_blob(sqlite3_stmt *stmt, int index, struct er_sv data)
{
        sqlite3_bind_blob64(stmt, index, data.ptr ? data.ptr : "", data.len, SQLITE_STATIC);
}

char *er_db_text(sqlite3_stmt *stmt, int column)
{
        const unsigned char *text = sqlite3_column_text(stmt, column);

        return text ? er_strdup((const char *)text) : NULL;
}

int64_t er_db_int(sqlite3_stmt *stmt, int column)
{
        return sqlite3_column_int64(stmt, column);
}

uint64_t er_db_u64(sqlite3_stmt *stmt, int column)
{
        return (uint64_t)sqlite3_column_int64(stmt, column);
}

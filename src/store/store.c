/* store.c - opening and closing; see store.h */
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/path.h"

/* Waits a short random time at first: a write takes a tenth of a millisecond. With SQLite's own handler, whose steps
 * are fixed, many writers would collide again and again. */
static int on_busy(void *arg, int count)
{
        struct er_store *store = arg;
        int64_t now = er_mono_ms();
        long most_us, us;

        if (count == 0)
                store->busy_since_ms = now;
        if (now - store->busy_since_ms >= ER_STORE_BUSY_MS)
                return 0;
        store->jitter ^= store->jitter << 13;
        store->jitter ^= store->jitter >> 7;
        store->jitter ^= store->jitter << 17;
        most_us = count < 6 ? 100L << count : 5000L;
        us = 50 + (long)(store->jitter % (uint64_t)most_us);
        nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
        return 1;
}

/*
 * When to checkpoint the WAL. That costs two fsyncs, so not while somebody waits: a maestro does it while its job runs
 * (er_store_tidy), and closing does it only if the log is long. But the first process to open the store reads the whole
 * log, which takes about 4 us per page.
 */
#define TIDY_PAGES 64
#define CLOSE_PAGES 400
#define COMMIT_PAGES 2000 /* at this length, any commit does */

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
        struct er_store *store = arg;

        store->log_pages = pages;
        if (pages >= COMMIT_PAGES)
                sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        return SQLITE_OK;
}

static void checkpoint(struct er_store *store, int least_pages)
{
        if (!store->db || store->in_tx || store->log_pages < least_pages)
                return;
        /* Truncate the log: who opens the store next cannot know what was copied. If other processes are in the way,
         * one of them will do it. */
        sqlite3_busy_handler(store->db, NULL, NULL);
        sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        sqlite3_busy_handler(store->db, on_busy, store);
        store->log_pages = 0;
}

void er_store_tidy(struct er_store *store)
{
        checkpoint(store, TIDY_PAGES);
}

static int make_file(struct er_store *store, struct er_err *err)
{
        er_autoclose int fd = -1;

        if (er_mkdir_p(AT_FDCWD, store->dir, 0700, err) < 0) {
                er_err_wrap(err, "making the state directory");
                return er_err_hint(err, "use another directory with --state-dir or ERRAND_HOME");
        }
        fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
                er_err_errno(err, errno, "open the store %s", store->path);
                if (errno == EROFS || errno == EACCES)
                        er_err_hint(err, "use another directory with --state-dir or ERRAND_HOME");
                return -1;
        }
        return 0;
}

static int open_db(struct er_store *store, struct er_err *err)
{
        int rc = SQLITE_OK;

        for (int tries = 0; tries < 2; tries++) {
                struct stat st;

                if (stat(store->path, &st) < 0) {
                        if (make_file(store, err) < 0)
                                return -1;
                        if (stat(store->path, &st) < 0)
                                return er_err_errno(err, errno, "stat %s", store->path);
                }
                if (!S_ISREG(st.st_mode))
                        return er_err_set(err, ER_STATE, "%s is not a regular file", store->path);
                store->dev = st.st_dev;
                store->ino = st.st_ino;
                rc = sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
                if (rc == SQLITE_OK)
                        break;
                er_db_fail(store, rc, "opening", err);
                sqlite3_close(store->db);
                store->db = NULL;
                if ((rc & 0xff) != SQLITE_CANTOPEN || tries == 1)
                        return -1;
                er_err_clear(err);
        }
        sqlite3_extended_result_codes(store->db, 1);
        sqlite3_busy_handler(store->db, on_busy, store);
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_wal_hook(store->db, on_commit, store);
        return 0;
}

int er_store_open(const char *dir, struct er_store **ret, struct er_err *err)
{
        struct er_store *store = er_new(struct er_store);

        store->dir = er_path_abs(dir);
        store->path = er_fmt("%s/store.db", store->dir);
        store->jitter = (uint64_t)er_mono_us() * 2654435761u + (uint64_t)getpid() + 1;
        if (open_db(store, err) < 0 || er_db_exec(store, "PRAGMA synchronous=NORMAL", err) < 0 ||
            er_schema_update(store, err) < 0 || er_store_find_owner(store, err) < 0) {
                er_store_close(store);
                return -1;
        }
        *ret = store;
        return 0;
}

void er_store_close(struct er_store *store)
{
        if (!store)
                return;
        er_db_rollback(store);
        checkpoint(store, CLOSE_PAGES);
        for (size_t i = 0; i < store->stmt_count; i++)
                sqlite3_finalize(store->stmts[i].stmt);
        sqlite3_close(store->db);
        free(store->dir);
        free(store->path);
        free(store);
}

const char *er_store_dir(const struct er_store *store)
{
        return store->dir;
}

int64_t er_store_version(struct er_store *store)
{
        sqlite3_stmt *stmt;
        int64_t version = -1;

        if (er_db_stmt(store, "PRAGMA data_version", &stmt, NULL) == 0 && er_db_step(store, stmt, NULL) == 1) {
                version = er_db_int(stmt, 0);
                sqlite3_reset(stmt);
        }
        return version;
}

const char *er_job_state_name(enum er_job_state state)
{
        static const char *const names[] = {
                [ER_JOB_WAITING] = "waiting",     [ER_JOB_QUEUED] = "queued", [ER_JOB_STARTING] = "starting",
                [ER_JOB_RUNNING] = "running",     [ER_JOB_DONE] = "done",     [ER_JOB_FAILED] = "failed",
                [ER_JOB_CANCELLED] = "cancelled",
        };

        return (size_t)state < ER_LEN(names) && names[state] ? names[state] : "unknown";
}

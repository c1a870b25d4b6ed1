/*
 * db.h - inside the store: an SQLite connection with its statements, transactions and errors. Only src/store uses it.
 */
#ifndef ER_STORE_DB_H
#define ER_STORE_DB_H

#include <sqlite3.h>
#include <sys/types.h>
#include "store/store.h"

#define ER_STORE_BUSY_MS 10000 /* how long a writer waits for others */

struct er_db_stmt {
        const char *sql; /* the literal itself: its address is the key */
        sqlite3_stmt *stmt;
};

#define ER_STORE_ID 6u /* hex digits */
#define ER_STORE_OWNERS 64u

/* Runs from this id on have that owner in their jobs' keys (owner.c). */
struct er_store_owner {
        int64_t since;
        char id[ER_STORE_ID + 1];
        uint64_t inode; /* of the store; 0: not known yet */
        char machine[64];
};

struct er_store {
        sqlite3 *db;
        char *dir, *path;
        struct er_store_owner owners[ER_STORE_OWNERS]; /* in order; the last one is that of new runs */
        size_t owner_count;
        dev_t dev; /* of the file that was opened; only that one may be set aside */
        ino_t ino;
        int64_t busy_since_ms;
        uint64_t jitter;
        struct er_db_stmt stmts[64];
        size_t stmt_count;
        bool in_tx;
        int log_pages; /* in the WAL after our last commit; 0: we have written nothing */
};

/* Turns a result other than OK, ROW and DONE into an error. Sets a damaged file aside. Returns -1. */
int er_db_fail(struct er_store *store, int rc, const char *what, struct er_err *err);
int er_db_exec(struct er_store *store, const char *sql, struct er_err *err);
/* A prepared statement, reset and unbound. It is kept for the next call with the same literal, so it cannot be used
 * within itself. */
int er_db_stmt(struct er_store *store, const char *sql, sqlite3_stmt **ret, struct er_err *err);
/* 1: a row; 0: done; -1: error. Resets the statement unless there is a row. */
int er_db_step(struct er_store *store, sqlite3_stmt *stmt, struct er_err *err);
/* For statements without rows. */
int er_db_run(struct er_store *store, sqlite3_stmt *stmt, struct er_err *err);

/* Takes the write lock at once, so that the transaction cannot fail halfway because another process writes. */
int er_db_begin(struct er_store *store, struct er_err *err);
int er_db_commit(struct er_store *store, struct er_err *err);
void er_db_rollback(struct er_store *store); /* does nothing outside a transaction; does not touch err */

void er_db_bind_text(sqlite3_stmt *stmt, int index, const char *text); /* NULL: null */
void er_db_bind_int(sqlite3_stmt *stmt, int index, int64_t value);
void er_db_bind_u64(sqlite3_stmt *stmt, int index, uint64_t value); /* the same 64 bits */
void er_db_bind_blob(sqlite3_stmt *stmt, int index, struct er_sv data);
char *er_db_text(sqlite3_stmt *stmt, int column); /* (owned), NULL for null */
int64_t er_db_int(sqlite3_stmt *stmt, int column);
uint64_t er_db_u64(sqlite3_stmt *stmt, int column);

/* Reads which runs have which owner. In the transaction that adds a run, so that its jobs' keys are the same for all
   processes: another one may have noticed meanwhile that this is a copy. */
int er_store_read_owners(struct er_store *store, struct er_err *err);
/* The same at opening, where a copy is noticed. */
int er_store_find_owner(struct er_store *store, struct er_err *err);
/* Brings the schema to the version of this build. */
int er_schema_update(struct er_store *store, struct er_err *err);
extern const int er_schema_version;

/* In a transaction: chooses and reserves the name of a new run. *ret_number is 0 if that is an explicit name as given.
 */
int er_store_next_name(struct er_store *store, const char *project, const char *name, char **ret_name,
                       int64_t *ret_number, struct er_err *err);

/* In the transaction that adds a job: stores its recipe; where the caller has none, ER_NOT_FOUND unless it is there. */
int er_store_keep_environment(struct er_store *store, const struct er_new_job *job, int64_t now_ms, struct er_err *err);
/* In the transaction that removes a job, before that: drops its recipe unless another job names it. */
int er_store_drop_environment(struct er_store *store, int64_t job_id, struct er_err *err);

#endif

/*
 * store.h - what errand knows of runs, jobs, attempts and hosts: an SQLite database in the state directory. Only
 * src/store contains SQL. The database is in WAL mode; user_version counts the migrations.
 *
 * A store of a newer version is refused (ER_STATE). A damaged one is renamed to store.db.corrupt-<time>, never deleted;
 * error and hint say so, and the next start makes a new one.
 *
 * One thread at a time uses a handle. Several processes share the file.
 */
#ifndef ER_STORE_STORE_H
#define ER_STORE_STORE_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"
#include "proto/wire.h"

struct er_store;

/* Opens <dir>/store.db, and creates it if it does not exist. */
int er_store_open(const char *dir, struct er_store **ret, struct er_err *err);
void er_store_close(struct er_store *store);
/* To be called when nobody waits: moves the log into the database if it is long enough to be worth the fsync. */
void er_store_tidy(struct er_store *store);
/* 6 hex digits: the owner part of the keys of jobs that are added now. A copy of a store gets another id when it is
   opened (owner.c); runs that were there keep the one they were submitted with. */
const char *er_store_id(const struct er_store *store);
/* All it has had, oldest first; NULL past the last. */
const char *er_store_owner_at(const struct er_store *store, size_t index);
const char *er_store_owner_of(const struct er_store *store, int64_t run_id);
const char *er_store_dir(const struct er_store *store);

/* States as the user sees them. The numbers are stored: never change one, append. */
enum er_job_state {
        ER_JOB_WAITING = 1,
        ER_JOB_QUEUED = 2,
        ER_JOB_STARTING = 3,
        ER_JOB_RUNNING = 4,
        ER_JOB_DONE = 5,
        ER_JOB_FAILED = 6,
        ER_JOB_CANCELLED = 7,
};
const char *er_job_state_name(enum er_job_state state);
static inline bool er_job_state_ended(enum er_job_state state)
{
        return state >= ER_JOB_DONE;
}

struct er_run {
        int64_t id;
        char *name;        /* "mnist-12" */
        char *project;     /* "mnist" */
        char *project_dir; /* absolute path of the project here */
        int64_t number;
        int64_t created_ms;
};
void er_run_release(struct er_run *run);

struct er_job {
        int64_t id, run_id;
        uint32_t index; /* the n of <run>.<n> */
        char *name;     /* "mnist-12.0" */
        char *run;      /* "mnist-12" */
        char *project, *project_dir;
        enum er_job_state state;
        enum er_reason reason;
        char *detail;
        int exit_status;    /* of `errand run` for it; -1: it has not ended */
        struct er_str spec; /* er_spec_encode */
        char *command;      /* for people: quoted argv, at most 200 bytes */
        char *host;         /* of the latest attempt, or NULL */
        uint32_t attempt;   /* number of the latest attempt; 0: none yet */
        bool cancel_asked;
        bool outputs_fetched; /* nothing is left to be fetched */
        int64_t created_ms, started_ms, ended_ms;
        int64_t news_ms;   /* when its host last told us about it; 0: never */
        uint64_t gpu_mask; /* of the latest attempt, as there; only in what a maestro tells: not stored here */
        bool gpu_shared;
};
#define ER_JOB_INIT {0}
void er_job_release(struct er_job *job);

struct er_attempt {
        int64_t id, job_id;
        uint32_t number;
        char *host;     /* name */
        char *boot_id;  /* of the host when it was submitted, or NULL */
        char *dir;      /* absolute, on the host, or NULL */
        bool submitted; /* the host certainly has it; false: it is intended, and the host may have it */
        enum er_state state;
        enum er_end end;
        enum er_reason reason;
        int exit_code, signal;
        char *detail;
        int64_t queued_ms, started_ms, ended_ms;
        uint64_t cpu_ms, max_rss;
        uint64_t gpu_mask;          /* GPUs it was given, or with gpu_shared those it saw */
        int64_t gpu_mem;            /* -1: not known */
        int gpu_util, gpu_util_max; /* the same */
        bool gpu_shared;
        uint64_t seq;      /* of the last event that we got */
        uint64_t log_size; /* when it ended */
};
void er_attempt_release(struct er_attempt *attempt);

/* Runs and jobs. er_store_add_run stores the run with its number, its name and its jobs (index = position) in one
 * transaction. */
struct er_new_job {
        struct er_sv spec;
        const char *command;
        struct er_sv environment; /* the hash in spec; ptr NULL: none */
        struct er_sv recipe;      /* of it; ptr NULL: that of an earlier job (ER_NOT_FOUND if it has gone) */
};
int er_store_add_run(struct er_store *store, const char *project, const char *project_dir,
                     const char *name /* NULL: "<project>-<n>" */, const struct er_new_job *jobs, size_t count,
                     int64_t now_ms, struct er_run *ret, struct er_err *err);
/* The process that added the run, and when. That process is about to carry it, so nobody else adopts a fresh run. */
int er_store_run_creator(struct er_store *store, int64_t id, pid_t *ret_pid, int64_t *ret_created_ms,
                         struct er_err *err);
int er_store_job(struct er_store *store, int64_t id, struct er_job *ret, struct er_err *err);

/* Calls fn with each job (borrowed), newest first; -1 from fn stops. */
typedef int (*er_job_fn)(void *arg, const struct er_job *job, struct er_err *err);
struct er_job_filter {
        int64_t run_id;         /* 0: any */
        const char *project;    /* project_dir; NULL: any */
        bool active_only;       /* not ended, or with outputs to fetch */
        int64_t ended_since_ms; /* 0: any; else active, or ended since then */
        size_t limit;           /* 0: all */
        bool without_spec;      /* faster; lists do not need it */
};
int er_store_each_job(struct er_store *store, const struct er_job_filter *filter, er_job_fn fn, void *arg,
                      struct er_err *err);

/* The ids of the jobs that a name stands for, in order: "mnist-12.0", or "mnist-12" for all jobs of that run; NULL is
 * the latest run of project_dir. ER_NOT_FOUND quotes the name, and the hint has the nearest existing ones. */
int er_store_resolve(struct er_store *store, const char *name, const char *project_dir, int64_t **ret_ids,
                     size_t *ret_count, struct er_err *err);
/* The names of all jobs and runs, newest first, at most max: for completion and hints. */
int er_store_job_names(struct er_store *store, size_t max, struct er_strv *ret, struct er_err *err);

/* Runs that are not finished (jobs that have not ended, outputs to fetch), oldest first. */
int er_store_open_runs(struct er_store *store, int64_t **ret_ids, size_t *ret_count, struct er_err *err);

/* Attempts */
int er_store_add_attempt(struct er_store *store, int64_t job_id, uint32_t number, const char *host, int64_t now_ms,
                         int64_t *ret_id, struct er_err *err);
/* All attempts of a job, in order (owned array; er_attempt_release each). */
int er_store_attempts(struct er_store *store, int64_t job_id, struct er_attempt **ret, size_t *ret_count,
                      struct er_err *err);
/* Stores the job and all of the attempt but id, job_id and number, in one transaction. Either may be NULL. What has
 * ended stays so, and neither a wish to cancel nor "outputs fetched" is taken back. */
int er_store_update(struct er_store *store, const struct er_job *job, const struct er_attempt *attempt,
                    struct er_err *err);
/* Jobs that the user wants to cancel and that have not ended, in order. */
int er_store_cancels(struct er_store *store, int64_t **ret_ids, size_t *ret_count, struct er_err *err);
int er_store_ask_cancel(struct er_store *store, int64_t job_id, struct er_err *err);
int er_store_set_tree(struct er_store *store, int64_t job_id, struct er_sv spec, struct er_err *err);
/* Appends the recipe of an environment. It is stored with the jobs that name it, so that whoever takes over such a job
 * can send it to a host. ER_NOT_FOUND. */
int er_store_environment(struct er_store *store, struct er_sv hash, struct er_str *ret, struct er_err *err);
/* Forgets a job that has ended (else ER_STATE). Its run goes with its last job, and so does the recipe of its
 * environment. */
int er_store_remove_job(struct er_store *store, int64_t job_id, struct er_err *err);
/* Changes with every write through another handle; cheap to ask for (PRAGMA data_version). */
int64_t er_store_version(struct er_store *store);

/* Hosts */
struct er_host_row {
        char *name, *target, *identity, *jump, *root;
        int port;
        bool added;  /* by `errand hosts add`; else it was only used */
        char *probe; /* er_probe_to_json() of the last probe that worked, or NULL */
        int64_t probed_ms;
        char *error; /* why the last probe failed, or NULL */
        int64_t used_ms;
};
void er_host_row_release(struct er_host_row *row);
int er_store_hosts(struct er_store *store, struct er_host_row **ret, size_t *ret_count, struct er_err *err);
int er_store_host(struct er_store *store, const char *name, struct er_host_row *ret,
                  struct er_err *err); /* ER_NOT_FOUND */
int er_store_put_host(struct er_store *store, const struct er_host_row *row,
                      struct er_err *err); /* adds it, or replaces the one of that name */
int er_store_remove_host(struct er_store *store, const char *name, struct er_err *err);
int er_store_set_probe(struct er_store *store, const char *name, const char *probe, const char *error, int64_t now_ms,
                       struct er_err *err);

#endif

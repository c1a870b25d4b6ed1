/*
 * maestro.h - carries runs to their end. The loop owns the state (a view of the store), asks the pure planner (plan.h)
 * what to do, and has worker threads do it as blocking code; their results come back through a queue, are written to
 * the store, and the planner is asked again. May be killed at any point: the next maestro takes the lease of the run
 * (base/lock.h, one byte per run id in <state>/leases), reads the store, asks the hosts, and goes on.
 */
#ifndef ER_MAESTRO_MAESTRO_H
#define ER_MAESTRO_MAESTRO_H

#include "base/cancel.h"
#include "host/files.h"
#include "host/host.h"
#include "host/snapshot/snapshot.h"
#include "store/store.h"

/* What the loop tells a watching front end; every member may be NULL. Called from the maestro's threads, one at a time
   (a lock is held): copy what you keep, do not block for long. Log data of one job comes in order, without gap or
   repeat. */
struct er_maestro_ui {
        void *arg;
        /* Return -1 when the reader is gone (EPIPE): the log is no longer fetched, the job goes on. */
        int (*log)(void *arg, const struct er_job *job, int stream, struct er_sv data);
        void (*state)(void *arg, const struct er_job *job); /* the job's state changed */
        void (*note)(void *arg, const struct er_job *job,
                     const char *text); /* for the status line: "connecting to gpu-box" */
        void (*transfer)(void *arg, const struct er_job *job, const char *what, const struct er_transfer *transfer);
        void (*warn)(void *arg, const struct er_job *job,
                     const struct er_err *err); /* "lost contact with gpu-box, trying again" */
        void (*fetched)(void *arg, const struct er_job *job, const char *dir,
                        const struct er_transfer *transfer); /* outputs are here */
};

struct er_maestro_opts {
        struct er_store *store; /* (borrowed) */
        bool interactive;       /* ssh may ask on the terminal */
        bool follow;            /* fetch the log live for ui->log */
        const struct er_strv
                *secrets; /* "NAME=value" of this process; NULL: taken from the environment by name when needed */
        const struct er_snapshot
                *snapshot;      /* (borrowed) already taken for the run by the caller, or NULL: taken when needed */
        er_deadline until;      /* 0: no limit; then ER_TIMEOUT, with the runs as they are */
        struct er_cancel *stop; /* (borrowed) fires: leave the runs as they are and return ER_DETACHED */
        struct er_maestro_ui ui;
};

/* Carries these runs until each of their jobs has ended and outputs are here. Runs whose lease somebody else holds are
   skipped; *ret_skipped (may be NULL) counts them. -1 only for trouble of this machine (store, threads) or ER_DETACHED.
 */
int er_maestro_carry(const struct er_maestro_opts *opts, const int64_t *run_ids, size_t count, size_t *ret_skipped,
                     struct er_err *err);

/* Asks in the store for the end of these jobs; those of one run must be adjacent. Whoever carries their run notices
   within 200 ms. If nobody does, this process cancels them on their hosts, for ten seconds at most. */
int er_maestro_cancel(struct er_store *store, const int64_t *job_ids, size_t count, struct er_err *err);

/* Open runs that nobody carries: starts a detached process (`errand maestro --run ID...`, the running program) that
   does. Returns how many runs it was started for, or -1. `program` is the path of the errand program. */
int er_maestro_adopt(struct er_store *store, const char *program, struct er_err *err);
/* True when some process holds the run's lease. */
bool er_maestro_is_carried(struct er_store *store, int64_t run_id);

/* The host a name means: "local", a row of the store, else what er_host_parse says. */
int er_hosts_find(struct er_store *store, const char *name, struct er_host *ret, struct er_err *err);
/* All known hosts: local first, then added ones and used ones (owned array). */
int er_hosts_known(struct er_store *store, struct er_host **ret, size_t *ret_count, struct er_err *err);
/* "<run>.<n>.<when>.<store id>" (owned). <when> is the moment of submission: a store that was set back, or copied,
   gives out the name of a run again, and that must not be taken for the job which had it before. */
char *er_job_key(const struct er_store *store, const struct er_job *job);
/* Where a job's outputs come to: <project_dir>/results/<job> (owned) */
char *er_job_results_dir(const struct er_job *job);

#endif

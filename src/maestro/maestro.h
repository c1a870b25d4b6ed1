/*
 * maestro.h - carries runs to their end. The loop owns the state, which is a view of the store. It asks the pure
 * planner (plan.h) what to do and has worker threads do it as blocking code; what they report goes into the store, and
 * the planner is asked again. A maestro may be killed at any point: the next one takes the lease of the run
 * (base/lock.h, one byte for each run id in <state>/leases), reads the store, asks the hosts, and continues.
 */
#ifndef ER_MAESTRO_MAESTRO_H
#define ER_MAESTRO_MAESTRO_H

#include "base/cancel.h"
#include "host/files.h"
#include "host/host.h"
#include "host/snapshot/snapshot.h"
#include "store/store.h"

/* What a front end is told; every member may be NULL. The maestro's threads call these one at a time, under a lock:
   copy what you keep, and do not block for long. The log of a job comes in order, without a gap or a repeat. */
struct er_maestro_ui {
        void *arg;
        /* Returns -1 if the reader is gone (EPIPE): the log is no longer fetched; the job keeps running. */
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
                *secrets; /* "NAME=value"; those not here, or if NULL, come from the environment of this process */
        const struct er_snapshot *snapshot; /* (borrowed) that the caller took for the run; NULL: taken when needed */
        er_deadline until;                  /* then leaves the runs as they are and returns ER_TIMEOUT; 0: no limit */
        struct er_cancel *stop; /* (borrowed) when it fires: leaves the runs as they are and returns ER_DETACHED */
        struct er_maestro_ui ui;
};

/* Carries these runs until each of their jobs has ended and its outputs are here. Skips runs whose lease somebody else
   holds; *ret_skipped (ret_skipped may be NULL) is how many. Fails only for trouble of this machine (store, threads),
   and with ER_DETACHED or ER_TIMEOUT. */
int er_maestro_carry(const struct er_maestro_opts *opts, const int64_t *run_ids, size_t count, size_t *ret_skipped,
                     struct er_err *err);

/* Tries what carrying a run takes from this process: descriptors and a thread. To be asked before a run is stored. */
int er_maestro_ready(struct er_err *err);

/* Asks in the store for the end of these jobs; those of one run must be adjacent. Whoever carries their run notices
   within 200 ms. If nobody does, this process cancels them on their hosts, for ten seconds at most. */
int er_maestro_cancel(struct er_store *store, const int64_t *job_ids, size_t count, struct er_err *err);

/* Starts a detached process (`errand maestro --run ID...`) for the open runs that nobody carries. Returns how many runs
   these are, or -1. `program` is the path of the errand program. */
int er_maestro_adopt(struct er_store *store, const char *program, struct er_err *err);
/* True if some process holds the run's lease. */
bool er_maestro_is_carried(struct er_store *store, int64_t run_id);

/* The host that a name means: "local", a row of the store, or else what er_host_parse makes of it. */
int er_hosts_find(struct er_store *store, const char *name, struct er_host *ret, struct er_err *err);
/* All known hosts: local first, then added ones and used ones (owned array). */
int er_hosts_known(struct er_store *store, struct er_host **ret, size_t *ret_count, struct er_err *err);
/* "<run>.<n>.<when>.<store id>" (owned). <when> is the moment of submission: a store that was set back, or copied,
   gives the name of a run out again; that must not be taken for the job that had it before. */
char *er_job_key(const struct er_store *store, const struct er_job *job);
/* Where a job's outputs go: <project_dir>/results/<job> (owned). */
char *er_job_results_dir(const struct er_job *job);

#endif

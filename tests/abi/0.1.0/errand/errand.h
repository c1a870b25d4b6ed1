/*
 * errand.h - the C API of errand: run a command on any machine and bring the results back, from inside a program.
 *
 *      errand_t *errand = NULL;
 *      struct errand_error error = ERRAND_ERROR_INIT;
 *      const char *const argv[] = {"python3", "train.py", NULL};
 *      struct errand_request request = ERRAND_REQUEST_INIT;
 *      char *job = NULL;
 *
 *      request.argv = argv;
 *      if (errand_open(NULL, &errand, &error) < 0 || errand_submit(errand, &request, &job, &error) < 0)
 *              fail(error.message, error.hint);
 *
 * The library and the errand program share everything: store, hosts and jobs. `errand jobs` lists a job submitted here,
 * and errand_jobs() lists those of the program. Link with -lerrand (pkg-config liberrand).
 *
 * Threads: several threads may use one handle at the same time. A thread of this process looks after each submitted
 * run. When the process ends or dies, its jobs keep running on their hosts; the next process that opens the store looks
 * after them.
 *
 * Strings that errand makes are UTF-8. Arguments, variables and paths are bytes. The caller owns what a function
 * returns: release strings with errand_free(), jobs with errand_job_clear(), errors with errand_error_clear().
 *
 * Compatibility: a program keeps working with later libraries of the same soname, without being rebuilt.
 *   - Structures start with `size`, which the _INIT macros set; always begin with them. New members are only added at
 *     the end, and 0 in a new member always means "as before". Numbers are never reused.
 *   - A program built with an older header passes a smaller size: members that it does not have take their defaults,
 * and the library never writes past the size it was given.
 *   - A program built with a newer header passes a larger size: a request or options are accepted as long as the
 *     members that this library does not know are 0; otherwise the call fails with ERRAND_USAGE. In a job, the library
 *     leaves such members as they are.
 *   - A size smaller than that of version 0.1.0, the first, is a mistake: ERRAND_USAGE.
 *   - struct errand_error has no size and will never change.
 */
#ifndef ERRAND_ERRAND_H
#define ERRAND_ERRAND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library in use, such as "0.1.0". */
const char *errand_version(void);

/* Errors */

/* A function that can fail returns 0 on success. On failure it returns -1 and fills *error; error may be NULL. */
enum errand_code {
        ERRAND_OK = 0,
        ERRAND_USAGE = 1,  /* the call makes no sense */
        ERRAND_CONFIG = 2, /* errand.yaml, or a value, is wrong */
        ERRAND_AUTH = 3,   /* permission denied */
        ERRAND_QUOTA = 4,
        ERRAND_CAPACITY = 5, /* no host has room */
        ERRAND_NOT_FOUND = 6,
        ERRAND_EXISTS = 7,
        ERRAND_NET = 8, /* the host cannot be reached */
        ERRAND_TIMEOUT = 9,
        ERRAND_TRANSPORT = 10, /* the connection broke */
        ERRAND_REMOTE = 11,    /* it failed on the host */
        ERRAND_STATE = 12,     /* not possible now: the store is busy, damaged or of a newer version */
        ERRAND_CANCELLED = 13, /* stopped by a callback */
        ERRAND_IO = 14,        /* a file or disk of this machine */
        ERRAND_HOSTKEY = 15,
        ERRAND_DETACHED = 16,
        ERRAND_INTERNAL = 17 /* a bug in errand */
};

struct errand_error {
        int code;      /* enum errand_code */
        int retryable; /* 1: the same call may succeed a moment later */
        char *message; /* one line: what failed, where and why */
        char *hint;    /* what to try, or NULL */
};
#define ERRAND_ERROR_INIT {0, 0, NULL, NULL}
void errand_error_clear(struct errand_error *error);
/* The name of a code, such as "not_found". Names do not change. */
const char *errand_code_name(int code);

void errand_free(void *memory);

/* The handle */

typedef struct errand errand_t;

struct errand_options {
        size_t size;
        const char *state_dir; /* NULL: that of the program ($ERRAND_HOME/state, $XDG_STATE_HOME/errand, ...) */
};
#define ERRAND_OPTIONS_INIT {sizeof(struct errand_options), NULL}

/* Opens the store, and creates it if there is none. options may be NULL. */
int errand_open(const struct errand_options *options, errand_t **ret, struct errand_error *error);
/* Closes the handle; jobs keep running. No other call on the handle may be in progress. errand may be NULL. */
void errand_close(errand_t *errand);

/* Submitting */

/* Lists end with NULL. What is left as _INIT sets it comes from the project's errand.yaml, or else has the program's
   default. */
struct errand_request {
        size_t size;
        const char *const *argv;    /* the command, passed on byte for byte */
        int shell;                  /* 1: argv has one item, a line for sh -c */
        const char *project_dir;    /* the project, or any directory in it; NULL: the working directory */
        const char *name;           /* of the run; NULL: "<project>-<number>" */
        const char *const *hosts;   /* "local", "any", names or "user@host:port", in order of preference */
        const char *const *env;     /* "NAME=VALUE", or "NAME" for the value it has here */
        const char *const *secrets; /* the same, but the value is never stored */
        const char *const *outputs; /* globs of the files to bring back into results/<job>/ */
        const char *workdir;        /* where the command starts, relative to the project */
        int64_t cpus, gpus;         /* -1: not given */
        int64_t memory;             /* bytes; -1: not given */
        int64_t time_limit_ms;      /* -1: not given */
        int64_t retries;            /* new attempts after the host lost the job; -1: not given */
        int sync;                   /* 1: send the project's files; 0: do not; -1: not given */
        int reserved;               /* 0 */
};
#define ERRAND_REQUEST_INIT                                                                                            \
        {sizeof(struct errand_request), NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, -1, -1, -1, -1, -1, 0}

/* Submits a run of one job and returns at once, with the job's name, such as "mnist-12.0", in *ret_job. The project's
   files are read and sent in the background: do not change them before the job is queued or running. */
int errand_submit(errand_t *errand, const struct errand_request *request, char **ret_job, struct errand_error *error);

/* Looking */

enum errand_state {
        ERRAND_WAITING = 1, /* not on a host yet */
        ERRAND_QUEUED = 2,  /* on a host, waiting for CPUs or GPUs */
        ERRAND_STARTING = 3,
        ERRAND_RUNNING = 4,
        ERRAND_DONE = 5,   /* exit status 0, and all declared outputs exist */
        ERRAND_FAILED = 6, /* see reason */
        ERRAND_STOPPED = 7 /* cancelled by the user */
};
/* The name of a state, such as "running". */
const char *errand_state_name(int state);

struct errand_job {
        size_t size;
        char *name; /* "mnist-12.0" */
        char *run;  /* "mnist-12" */
        char *project_dir;
        char *command;    /* for display */
        char *host;       /* of the latest attempt, or NULL */
        int state;        /* enum errand_state */
        char *reason;     /* such as "out of memory", or NULL */
        char *detail;     /* more about the reason, or NULL */
        int exit_status;  /* as of `errand run`: the command's, 128+n for signal n, ...; -1 until it has ended */
        unsigned attempt; /* number of the latest attempt; 0: none yet */
        int cancel_asked;
        int outputs_fetched;                      /* 1: nothing is left to fetch */
        char *results_dir;                        /* where its outputs go */
        int64_t created_ms, started_ms, ended_ms; /* since the epoch; 0: not yet */
        int64_t news_ms;                          /* when errand last heard from its host; 0: never */
};
#define ERRAND_JOB_INIT                                                                                                \
        {sizeof(struct errand_job), NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0, 0, 0, 0, NULL, 0, 0, 0, 0}
/* Frees what the job holds and sets it back to _INIT, keeping its size. */
void errand_job_clear(struct errand_job *job);

/* Names: "mnist-12.0" is a job. "mnist-12" is a run: for errand_wait() and errand_cancel() it means all jobs of the
   run; where one job is wanted, it means the run's only job, and a run with several is refused with ERRAND_USAGE. If
   there is no such name, the call fails with ERRAND_NOT_FOUND and the hint has the closest names. */

/* Fills *ret, which must be as _INIT or errand_job_clear() leave it. */
int errand_job(errand_t *errand, const char *name, struct errand_job *ret, struct errand_error *error);

/* Calls fn with each job, newest first; limit 0: all. fn may return nonzero to stop; that is not an error. The job
   belongs to errand and is gone when fn returns; job->size tells which members it has. */
int errand_jobs(errand_t *errand, int active_only, size_t limit, int (*fn)(void *arg, const struct errand_job *job),
                void *arg, struct errand_error *error);

/* Waits until the job, or all jobs of the run, have ended and their outputs are here. If no process looks after the
   run, this one does. Fails with ERRAND_TIMEOUT after timeout_ms; timeout_ms < 0: no limit. *ret takes the job; for a
   run with several jobs ret must be NULL. */
int errand_wait(errand_t *errand, const char *name, int64_t timeout_ms, struct errand_job *ret,
                struct errand_error *error);

/* Acting */

/* Asks for the end of the job, or of all jobs of the run, with all their processes: TERM first, KILL later. Returns
   once the request is stored; errand_wait() waits for the end. */
int errand_cancel(errand_t *errand, const char *name, struct errand_error *error);

/* Calls fn with the job's output in order, from byte `offset` of its log on. stream: 1 stdout, 2 stderr. follow 1:
   until the job ends; 0: what there is now. fn may return nonzero to stop; that is not an error. *ret_next (ret_next
   may be NULL) is the offset to continue from. A broken connection is resumed without a gap or a repeat. */
int errand_logs(errand_t *errand, const char *name, uint64_t offset, int follow,
                int (*fn)(void *arg, int stream, const void *data, size_t len), void *arg, uint64_t *ret_next,
                struct errand_error *error);

#ifdef __cplusplus
}
#endif

#endif

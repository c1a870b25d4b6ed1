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
 * It shares everything with the errand program: the store, the hosts, the jobs. A job submitted here is seen by
 * `errand jobs`, and the other way round. Link with -lerrand (pkg-config liberrand).
 *
 * Threads: a handle may be used by several threads at once. Each submitted run is carried by a thread of this process;
 * when the process ends, or dies, its jobs go on on their hosts, and whoever opens the store next takes them up again.
 *
 * Strings are UTF-8 where errand makes them; arguments, environment and paths are bytes. What a function gives out
 * belongs to the caller: errand_free for strings, errand_job_clear for jobs, errand_error_clear for errors.
 *
 * Growth: structures begin with `size`; the _INIT values set it. Members are only ever added at the end, numbers are
 * never reused, so a program built with an older header goes on working.
 */
#ifndef ERRAND_ERRAND_H
#define ERRAND_ERRAND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0" of the library that is linked. */
const char *errand_version(void);

/* Errors */

/* Every function that can fail returns 0, or -1 and has filled *error (which may be NULL where nobody cares). */
enum errand_code {
        ERRAND_OK = 0,
        ERRAND_USAGE = 1,  /* the request makes no sense */
        ERRAND_CONFIG = 2, /* errand.yaml or a value is wrong */
        ERRAND_AUTH = 3,   /* permission refused */
        ERRAND_QUOTA = 4,
        ERRAND_CAPACITY = 5, /* no host has room */
        ERRAND_NOT_FOUND = 6,
        ERRAND_EXISTS = 7,
        ERRAND_NET = 8, /* host cannot be reached */
        ERRAND_TIMEOUT = 9,
        ERRAND_TRANSPORT = 10, /* the connection broke */
        ERRAND_REMOTE = 11,    /* the host failed at it */
        ERRAND_STATE = 12,     /* not possible now; the store is newer, damaged, busy */
        ERRAND_CANCELLED = 13, /* a callback said stop */
        ERRAND_IO = 14,        /* a file or disk of this machine */
        ERRAND_HOSTKEY = 15,
        ERRAND_DETACHED = 16,
        ERRAND_INTERNAL = 17 /* a bug of errand's */
};

struct errand_error {
        int code;      /* enum errand_code */
        int retryable; /* the same may work a moment later */
        char *message; /* one line: what failed, on what, why */
        char *hint;    /* what to try, or NULL */
};
#define ERRAND_ERROR_INIT {0, 0, NULL, NULL}
void errand_error_clear(struct errand_error *error);
/* "not_found": a stable name of a code. */
const char *errand_code_name(int code);

void errand_free(void *memory);

/* The handle */

typedef struct errand errand_t;

struct errand_options {
        size_t size;
        const char *state_dir; /* NULL: as the program: $ERRAND_HOME/state, $XDG_STATE_HOME/errand ... */
};
#define ERRAND_OPTIONS_INIT {sizeof(struct errand_options), NULL}

/* Opens the store, making it when there is none. options may be NULL. */
int errand_open(const struct errand_options *options, errand_t **ret, struct errand_error *error);
/* Leaves the jobs as they are: they go on. Takes NULL. No other call on the handle may be under way. */
void errand_close(errand_t *errand);

/* Submitting */

/* Lists end with NULL; a NULL list, and members left as _INIT sets them, mean what errand.yaml of the project says,
   else the program's defaults. */
struct errand_request {
        size_t size;
        const char *const *argv;  /* the command, byte for byte; NULL: errand.yaml's */
        int shell;                /* 1: argv has one item, a line for sh -c */
        const char *project_dir;  /* any directory of the project; NULL: the working directory */
        const char *name;         /* of the run; NULL: "<project>-<n>" */
        const char *const *hosts; /* "local", "any", names, "user@host:port", in order of preference */
        const char *const *env;   /* "NAME=VALUE" or "NAME" */
        const char *const
                *secrets; /* "NAME=VALUE", or "NAME" for the value in this process's environment; never stored */
        const char *const *outputs; /* globs of files to bring back into results/<job>/ */
        const char *workdir;
        int64_t cpus, gpus;    /* -1: not said */
        int64_t memory;        /* bytes; -1: not said */
        int64_t time_limit_ms; /* -1: not said */
        int64_t retries;       /* new attempts after lost ones; -1: not said */
        int sync;              /* 1: files travel, 0: they do not, -1: not said */
};
#define ERRAND_REQUEST_INIT                                                                                            \
        {sizeof(struct errand_request), NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, -1, -1, -1, -1, -1}

/* Stores the job, begins with it in the background, and returns at once. *ret_job: its name, "mnist-12.0". */
int errand_submit(errand_t *errand, const struct errand_request *request, char **ret_job, struct errand_error *error);

/* Looking */

enum errand_state {
        ERRAND_WAITING = 1, /* not on a host yet */
        ERRAND_QUEUED = 2,  /* on a host, waiting for its cpus and gpus there */
        ERRAND_STARTING = 3,
        ERRAND_RUNNING = 4,
        ERRAND_DONE = 5,   /* exit 0, and the declared outputs exist */
        ERRAND_FAILED = 6, /* see reason */
        ERRAND_STOPPED = 7 /* cancelled by the user */
};
/* "running" */
const char *errand_state_name(int state);

struct errand_job {
        size_t size;
        char *name; /* "mnist-12.0" */
        char *run;  /* "mnist-12" */
        char *project_dir;
        char *command;    /* for showing */
        char *host;       /* of the latest attempt, or NULL */
        int state;        /* enum errand_state */
        char *reason;     /* "out of memory", or NULL */
        char *detail;     /* more about it, or NULL */
        int exit_status;  /* as of `errand run`: the command's, 128+n for a signal ...; -1 while it has not ended */
        unsigned attempt; /* number of the latest; 0: none yet */
        int cancel_asked;
        int outputs_fetched;                      /* nothing is left to bring here */
        char *results_dir;                        /* where outputs come to */
        int64_t created_ms, started_ms, ended_ms; /* since the epoch; 0: not yet */
        int64_t news_ms;                          /* when its host was last heard of; 0: never */
};
#define ERRAND_JOB_INIT                                                                                                \
        {sizeof(struct errand_job), NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0, 0, 0, 0, NULL, 0, 0, 0, 0}
void errand_job_clear(struct errand_job *job);

/* name: "mnist-12.0", or "mnist-12" for the first job of a run. ERRAND_NOT_FOUND has the nearest right names in the
 * hint. */
int errand_job(errand_t *errand, const char *name, struct errand_job *ret, struct errand_error *error);

/* Calls fn with each job, newest first; fn returns other than 0 to stop (which is no error). limit 0: all. */
int errand_jobs(errand_t *errand, int active_only, size_t limit, int (*fn)(void *arg, const struct errand_job *job),
                void *arg, struct errand_error *error);

/* Waits until the job has ended and its outputs are here, carrying it on if nobody does. timeout_ms < 0: for ever;
   ERRAND_TIMEOUT when it is over first. ret may be NULL. */
int errand_wait(errand_t *errand, const char *name, int64_t timeout_ms, struct errand_job *ret,
                struct errand_error *error);

/* Acting */

/* Ends the whole process tree: TERM, then KILL. Returns when the wish is stored; errand_wait sees the end. */
int errand_cancel(errand_t *errand, const char *name, struct errand_error *error);

/* The job's output in order, from byte `offset` of its log (0: the beginning). stream: 1 stdout, 2 stderr. follow: goes
   on until the job ends; else what is there now. fn returns other than 0 to stop (which is no error). *ret_next (may be
   NULL) is where to go on another time. A broken connection is taken up again where it was, without gap or repeat. */
int errand_logs(errand_t *errand, const char *name, uint64_t offset, int follow,
                int (*fn)(void *arg, int stream, const void *data, size_t len), void *arg, uint64_t *ret_next,
                struct errand_error *error);

#ifdef __cplusplus
}
#endif

#endif

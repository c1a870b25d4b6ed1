/*
 * attempt.h - requests to a host about attempts: submit, watch, cancel, read the log. Times in answers are converted to
 * our clock.
 */
#ifndef ER_HOST_ATTEMPT_H
#define ER_HOST_ATTEMPT_H

#include "host/connect/session.h"
#include "proto/status.h"

struct er_submit {
        const char *key;  /* job key: "<run>.<n>.<when>.<store id>" */
        uint32_t attempt; /* from 1 */
        const struct er_spec *spec;
        const struct er_strv *secrets; /* "NAME=value", may be NULL */
        bool has_failures;             /* the environment has been requested (environment.h), and `failures` is set */
        uint64_t failures; /* builds of it that had failed before; without it, one that is not ready is ER_NOT_FOUND,
                              "environment" */
};

struct er_watch {
        const char *key;
        uint32_t attempt;
        uint64_t seq;    /* events after this one */
        uint64_t offset; /* log from here */
        bool log;        /* false: events only */
        /* Return -1 with err set to stop (er_attempt_watch then returns that error). Data is (borrowed). */
        int (*on_event)(void *arg, const struct er_status *status, struct er_err *err);
        int (*on_log)(void *arg, int stream, uint64_t offset, int64_t time_ms, struct er_sv data, struct er_err *err);
        void *arg;
};

/* Starts the attempt and watches it, in one round trip. An attempt that has already started is only watched, even if
   the host has it with another spec: a key and attempt start once. ER_NOT_FOUND with provider_code "snapshot" if the
   spec's tree is not on the host, "environment" if its environment is not ready there and has not been requested. */
int er_attempt_run(struct er_session *session, const struct er_submit *submit, const struct er_watch *watch,
                   struct er_err *err);
/* Watches until the attempt has ended and all of its log was passed on, or -1. */
int er_attempt_watch(struct er_session *session, const struct er_watch *watch, struct er_err *err);
/* Tells the supervisor to end the tree: TERM, after grace_ms KILL. Fine if it has already ended. */
int er_attempt_cancel(struct er_session *session, const char *key, uint32_t attempt, int64_t grace_ms,
                      struct er_err *err);
/* What the host's record says. ER_NOT_FOUND: the host does not know the attempt. */
int er_attempt_stat(struct er_session *session, const char *key, uint32_t attempt, struct er_status *ret,
                    struct er_err *err);
/* All attempts there that have not ended, no matter whose (owned array, er_status_release each), with their keys. */
int er_attempt_active(struct er_session *session, struct er_status **ret, size_t *ret_count, struct er_err *err);
/* The owner's (store id) attempts there that this machine made. What another machine left in a shared home directory
   is not ours to judge. */
int er_attempt_owned(struct er_session *session, const char *owner, struct er_status **ret, size_t *ret_count,
                     struct er_err *err);
/* Removes the ended attempts of a job (ER_STATE while one runs). attempt 0: all. */
int er_attempt_remove(struct er_session *session, const char *key, uint32_t attempt, uint64_t *ret_freed,
                      struct er_err *err);

struct er_log_range {
        uint64_t offset;  /* from here ... */
        uint64_t limit;   /* ... at most this many bytes; 0: to the end */
        int64_t tail;     /* >= 0: only this many of the last lines; -1: all */
        int64_t since_ms; /* > 0: only what was written since (our clock) */
};
/* The log as it is now; *ret_next (may be NULL) is the offset after it. */
int er_attempt_log(struct er_session *session, const char *key, uint32_t attempt, const struct er_log_range *range,
                   int (*on_log)(void *arg, int stream, uint64_t offset, int64_t time_ms, struct er_sv data,
                                 struct er_err *err),
                   void *arg, uint64_t *ret_next, struct er_err *err);

struct er_gc {
        uint64_t freed;
        uint64_t attempts, trees, packs, environments;
};
/* Removes the ended attempts of the unwanted jobs (keys), the snapshots that nothing needs then, and the environments
   that nothing has used for 30 days. dry: only counts; if the keys need several requests, what more than one of them
   would remove is counted by each. */
int er_host_gc(struct er_session *session, const struct er_strv *unwanted, bool dry, struct er_gc *ret,
               struct er_err *err);

#endif

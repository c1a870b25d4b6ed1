/*
 * adir.h - the directory of an attempt (PROTOCOL.md, section 9): its spec, its events, its record, and whether anybody
 * looks after it.
 */
#ifndef ER_AGENT_ATTEMPT_ADIR_H
#define ER_AGENT_ATTEMPT_ADIR_H

#include "agent/agent.h"
#include "proto/spec.h"
#include "proto/status.h"

struct er_adir {
        int fd;
        char *key; /* (owned) */
        uint32_t attempt;
        char *path; /* (owned) absolute */
};
#define ER_ADIR_INIT {.fd = -1}
void er_adir_release(struct er_adir *dir);
/* ER_NOT_FOUND with provider code "attempt" when there is none. */
int er_adir_open(const struct er_agent *agent, struct er_sv key, uint32_t attempt, struct er_adir *ret,
                 struct er_err *err);
/* That error. Returns -1. */
int er_adir_missing(struct er_sv key, uint32_t attempt, struct er_err *err);
/* Reads the key and the attempt number from a request, and checks them. */
int er_adir_named(struct er_sv payload, struct er_sv *ret_key, uint32_t *ret_attempt, struct er_err *err);
/* Calls fn for each attempt on this host, of one key or (key.ptr NULL) of all; -1 from fn stops. */
typedef int (*er_adir_fn)(void *arg, const struct er_adir *dir, struct er_err *err);
int er_adir_each(const struct er_agent *agent, struct er_sv key, er_adir_fn fn, void *arg, struct er_err *err);

/* The `spec` file */
struct er_ainfo {
        char *id; /* ERRAND_ATTEMPT_ID */
        char *boot_id;
        char *host_name; /* the user's name for this host, or NULL */
        char *hostname;  /* the machine's own name */
        int64_t time_ms; /* of the submission */
        struct er_spec spec;
};
#define ER_AINFO_INIT {.spec = ER_SPEC_INIT}
void er_ainfo_release(struct er_ainfo *info);
int er_adir_info(const struct er_adir *dir, struct er_ainfo *ret, struct er_err *err);

/* Appends an event, and numbers it. Only the holder of the lock may do this. */
int er_events_append(const struct er_adir *dir, struct er_status *event, struct er_err *err);
/* Calls fn for each complete event from *offset on, and advances *offset. */
void er_events_read(int fd, uint64_t *offset, void (*fn)(void *arg, const struct er_status *event), void *arg);
/* The last event; state 0 when there is none. */
void er_events_last(const struct er_adir *dir, struct er_status *ret);

/* The attempt was made on another machine: in another boot and under another hostname. */
bool er_ainfo_is_foreign(const struct er_agent *agent, const struct er_ainfo *info);

/* The record: how the attempt ended. */
int er_exit_reserve(int dir_fd); /* reserves room for it, so that a full disk does no harm; 0, or -1 with errno */
/* Renames the record into place, and appends it as the last event. Not durable until er_exit_sync. */
int er_exit_write(const struct er_adir *dir, struct er_status *status, struct er_err *err);
void er_exit_sync(const struct er_adir *dir); /* makes it durable */
/* True when there is a complete record. */
bool er_exit_read(const struct er_adir *dir, struct er_status *ret);

/* What is known of an attempt now: its record, or else its last event with the usage so far. */
void er_adir_status(const struct er_adir *dir, struct er_status *ret);

/* The lock is an open file description lock: guard and supervisor share it; the kernel drops it when both are gone. */
int er_alock_take(int dir_fd, int *ret_fd); /* 1: it is ours; 0: somebody else holds it; -1 with errno */
bool er_adir_is_alive(const struct er_adir *dir);
/* The path no longer leads to the open directory: it was removed, or is being removed. */
bool er_adir_is_gone(const struct er_adir *dir);
/* For an attempt that is over: waits until its processes have left the directory, some milliseconds after the record
   was written. */
void er_adir_wait_left(const struct er_adir *dir);

#endif

/*
 * adir.h - the directory of an attempt (PROTOCOL.md, section 9): its spec, its events, its end, and whether anybody
 * looks after it.
 */
#ifndef ER_AGENT_ATTEMPT_ADIR_H
#define ER_AGENT_ATTEMPT_ADIR_H

#include "agent/agent.h"
#include "proto/spec.h"
#include "proto/wire.h"

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
/* Key and attempt of a request, checked. */
int er_adir_named(struct er_sv payload, struct er_sv *ret_key, uint32_t *ret_attempt, struct er_err *err);
/* Calls fn for each attempt that is there, of one key or (key.ptr NULL) of all; -1 from fn stops. */
typedef int (*er_adir_fn)(void *arg, const struct er_adir *dir, struct er_err *err);
int er_adir_each(const struct er_agent *agent, struct er_sv key, er_adir_fn fn, void *arg, struct er_err *err);

/* The `spec` file */
struct er_ainfo {
        char *id; /* ERRAND_ATTEMPT_ID */
        char *boot_id;
        char *host_name; /* as the user calls this host, or NULL */
        char *hostname;  /* of the machine, as it calls itself */
        int64_t time_ms; /* of the submission */
        struct er_spec spec;
};
#define ER_AINFO_INIT {.spec = ER_SPEC_INIT}
void er_ainfo_release(struct er_ainfo *info);
int er_adir_info(const struct er_adir *dir, struct er_ainfo *ret, struct er_err *err);

/* Events: appended by the one who holds the lock; numbers itself. */
int er_events_append(const struct er_adir *dir, struct er_status *event, struct er_err *err);
/* Calls fn for each whole event from *offset on, and moves it. */
void er_events_read(int fd, uint64_t *offset, void (*fn)(void *arg, const struct er_status *event), void *arg);
/* The last event (state 0: none). */
void er_events_last(const struct er_adir *dir, struct er_status *ret);

/* Made on a machine that is not this one: neither in this boot, nor under this hostname. */
bool er_ainfo_is_foreign(const struct er_agent *agent, const struct er_ainfo *info);

/* The record of the end. */
int er_exit_reserve(int dir_fd); /* room for it, so that a full disk does not matter; 0, or -1 with errno */
/* Renames it into place; not durable yet. Also appends it as the last event. */
int er_exit_write(const struct er_adir *dir, struct er_status *status, struct er_err *err);
void er_exit_sync(const struct er_adir *dir); /* now it is */
/* True when there is a whole record. */
bool er_exit_read(const struct er_adir *dir, struct er_status *ret);

/* What is known of an attempt now: the record, or the last event with the usage so far. */
void er_adir_status(const struct er_adir *dir, struct er_status *ret);

/* The lock: an open file description lock, so that guard and supervisor share it and the kernel drops it with the last.
 */
int er_alock_take(int dir_fd, int *ret_fd); /* 1: ours; 0: somebody else's; -1 with errno */
bool er_adir_is_alive(const struct er_adir *dir);
/* The open directory is no longer the one of its path: it was removed, or is being removed. */
bool er_adir_is_gone(const struct er_adir *dir);
/* An attempt that is over: waits until its processes have left the directory, which takes some ms after the record is
 * there. */
void er_adir_wait_left(const struct er_adir *dir);

#endif

/*
 * envdir.h - the directory of an environment on this host, environments/<hex>/ (PROTOCOL.md, section 9). An environment
 * is ready when the file `activate` is there, which is written last (activation.h).
 *
 * Two bytes of the file `lock` are locked (F_OFD_SETLK): byte 0 exclusively by whoever builds or removes the
 * environment, byte 1 shared by everybody who wants it. A build that nobody has wanted for some seconds ends; an
 * environment that is wanted is never removed.
 */
#ifndef ER_AGENT_ENVIRONMENT_ENVDIR_H
#define ER_AGENT_ENVIRONMENT_ENVDIR_H

#include "agent/agent.h"
#include "proto/recipe.h"

#define ER_ENVDIR_HEX (2 * ER_ENV_HASH + 1)

struct er_envdir {
        const struct er_agent *agent; /* (borrowed) */
        char hex[ER_ENVDIR_HEX];
        char *path; /* (owned) absolute */
        int fd;     /* of the directory */
        int lock_fd;
};
#define ER_ENVDIR_INIT {.fd = -1, .lock_fd = -1}
void er_envdir_release(struct er_envdir *env);
enum er_envdir_for {
        ER_ENVDIR_LOOK, /* it may be removed meanwhile */
        ER_ENVDIR_WANT, /* it stays until released */
        ER_ENVDIR_MAKE, /* the same; created when it is not here */
};
/* ER_NOT_FOUND with provider code "environment" when its recipe is not here (unless with MAKE). */
int er_envdir_open(const struct er_agent *agent, const unsigned char hash[ER_ENV_HASH], enum er_envdir_for why,
                   struct er_envdir *ret, struct er_err *err);
/* That error. Returns -1. */
int er_envdir_missing(const char *hex, struct er_err *err);
/* Its files are complete: for good, or (right after the build, until they are on the disk) while the machine is up. */
bool er_envdir_is_ready(const struct er_envdir *env);
/* Sets the time of its last use to now. */
void er_envdir_mark_used(const struct er_envdir *env);
int64_t er_envdir_used_ms(const struct er_envdir *env);
/* Locks the exclusive byte. 1: it is ours until released; 0: somebody else has it; -1 with errno. */
int er_envdir_claim(struct er_envdir *env);
bool er_envdir_is_building(const struct er_envdir *env);
/* Somebody other than us wants it. */
bool er_envdir_is_wanted(const struct er_envdir *env);

/* Calls fn for each environment on this host, opened with LOOK; -1 from fn stops. */
typedef int (*er_envdir_fn)(void *arg, struct er_envdir *env, const unsigned char *hash, struct er_err *err);
int er_envdir_each(const struct er_agent *agent, er_envdir_fn fn, void *arg, struct er_err *err);

/* For an image that an engine keeps: the file with the command that removes it (outside.h). */
#define ER_ENVDIR_OUTSIDE "prefix/outside"
/* Adds the bytes that were freed. ER_STATE when somebody wants the environment. */
int er_envdir_remove(struct er_envdir *env, uint64_t *ret_freed, struct er_err *err);

#endif

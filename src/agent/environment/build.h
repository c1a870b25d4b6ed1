/*
 * build.h - building an environment. A guard holds the lock and waits; below it one process unpacks the recipe, runs
 * its script and listens to what it says on descriptor 3.
 */
#ifndef ER_AGENT_ENVIRONMENT_BUILD_H
#define ER_AGENT_ENVIRONMENT_BUILD_H

#include "agent/environment/envdir.h"

/* How often a build has failed, and what the last one said. */
struct er_build_failure {
        uint64_t count;
        char *message, *hint, *kind;
        char *platform; /* set: the packages may be fetched by the client, for this (environment/fetch.h) */
};
#define ER_BUILD_FAILURE_INIT {0}
void er_build_failure_release(struct er_build_failure *failure);
void er_build_failure_read(const struct er_envdir *env, struct er_build_failure *ret);
/* The present line of progress (owned), or NULL. */
char *er_build_progress(const struct er_envdir *env);

/* 1: a builder was started, and has the lock; 0: there is one, or the environment is ready. secrets (may be NULL):
   values of the recipe's variables, "NAME=value"; ER_CONFIG with provider code "secret" when one is not among them. */
int er_build_start(const struct er_envdir *env, const struct er_strv *secrets, struct er_err *err);
/* Runs the recipe's script once more, which only looks, its output into `out_fd`. 0: all is there. */
int er_build_check(const struct er_envdir *env, int out_fd, struct er_build_failure *ret, struct er_err *err);

#endif

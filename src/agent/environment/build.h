/*
 * build.h - builds an environment. A guard holds the lock and waits; its child unpacks the recipe, runs the build
 * script and reads what that reports on descriptor 3.
 */
#ifndef ER_AGENT_ENVIRONMENT_BUILD_H
#define ER_AGENT_ENVIRONMENT_BUILD_H

#include "agent/environment/envdir.h"

/* How many builds have failed, and what the last one said. */
struct er_build_failure {
        uint64_t count;
        char *message, *hint, *kind;
        char *platform; /* set: the client may fetch the packages, for this platform (environment/fetch.h) */
};
#define ER_BUILD_FAILURE_INIT {0}
void er_build_failure_release(struct er_build_failure *failure);
void er_build_failure_read(const struct er_envdir *env, struct er_build_failure *ret);
/* The current line of progress (owned), or NULL. */
char *er_build_progress(const struct er_envdir *env);

/* Starts a builder. 1: it runs and has the lock; 0: there was one already, or the environment is ready. secrets (may be
   NULL): values for the recipe's variables, "NAME=value"; ER_CONFIG with provider code "secret" when one is missing. */
int er_build_start(const struct er_envdir *env, const struct er_strv *secrets, struct er_err *err);
/* Runs the recipe's script again, only to check; its output goes to out_fd. 0: everything is there. */
int er_build_check(const struct er_envdir *env, int out_fd, struct er_build_failure *ret, struct er_err *err);

#endif

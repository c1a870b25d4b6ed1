/*
 * build_wait.h - waits for an environment that somebody builds: another process, or a builder that we start.
 */
#ifndef ER_AGENT_ENVIRONMENT_BUILD_WAIT_H
#define ER_AGENT_ENVIRONMENT_BUILD_WAIT_H

#include "agent/environment/build.h"
#include "base/clock.h"

enum er_build_news {
        ER_BUILD_SAME,     /* nothing new: look again in er_build_wait.pause_ms */
        ER_BUILD_PROGRESS, /* the same, but .progress has changed */
        ER_BUILD_READY,
        ER_BUILD_FAILED, /* .failure says why */
};
struct er_build_wait {
        const struct er_envdir *env;   /* (borrowed) */
        uint64_t failures;             /* the number of failed builds before we began to wait */
        const struct er_strv *secrets; /* (borrowed) for the build; NULL: somebody else must start it */
        er_deadline orphaned;          /* nobody builds it and we cannot: how long to wait for somebody who can */
        unsigned starts;               /* builders we have started */
        int pause_ms;
        char *progress; /* (owned) */
        struct er_build_failure failure;
};
#define ER_BUILD_WAIT_INIT {0}
void er_build_wait_release(struct er_build_wait *wait);
/* failures: er_build_failure.count when the environment was first wanted. */
void er_build_wait_begin(struct er_build_wait *wait, const struct er_envdir *env, const struct er_strv *secrets,
                         uint64_t failures);
enum er_build_news er_build_wait_look(struct er_build_wait *wait);

#endif

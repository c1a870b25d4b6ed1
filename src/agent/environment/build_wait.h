/*
 * build_wait.h - waiting for an environment that somebody else, or we, have built.
 */
#ifndef ER_AGENT_ENVIRONMENT_BUILD_WAIT_H
#define ER_AGENT_ENVIRONMENT_BUILD_WAIT_H

#include "agent/environment/build.h"
#include "base/clock.h"

enum er_build_news {
        ER_BUILD_SAME,     /* look again in er_build_wait.pause_ms */
        ER_BUILD_PROGRESS, /* the same, and .progress is another */
        ER_BUILD_READY,
        ER_BUILD_FAILED, /* .failure says why */
};
struct er_build_wait {
        const struct er_envdir *env;   /* (borrowed) */
        uint64_t failures;             /* as many had there been before what we wait for */
        const struct er_strv *secrets; /* (borrowed) to build it with; NULL: whoever has them is to begin */
        er_deadline orphaned;          /* nobody builds it, and we cannot: until then somebody else may */
        unsigned starts;               /* builders that we have started */
        int pause_ms;
        char *progress; /* (owned) */
        struct er_build_failure failure;
};
#define ER_BUILD_WAIT_INIT {0}
void er_build_wait_release(struct er_build_wait *wait);
/* failures: of er_build_failure.count at the time when it was first wanted. */
void er_build_wait_begin(struct er_build_wait *wait, const struct er_envdir *env, const struct er_strv *secrets,
                         uint64_t failures);
enum er_build_news er_build_wait_look(struct er_build_wait *wait);

#endif

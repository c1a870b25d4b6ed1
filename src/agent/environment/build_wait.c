/* build_wait.c - see build_wait.h */
#include "agent/environment/build_wait.h"

#define STARTS_MAX 3 /* builders that may end without saying why */
#define PAUSE_MS 20  /* between two looks, at first */
#define PAUSE_MAX_MS 250
#define ORPHANED_MS 20000

void er_build_wait_release(struct er_build_wait *wait)
{
        free(wait->progress);
        er_build_failure_release(&wait->failure);
        *wait = (struct er_build_wait)ER_BUILD_WAIT_INIT;
}

void er_build_wait_begin(struct er_build_wait *wait, const struct er_envdir *env, const struct er_strv *secrets,
                         uint64_t failures)
{
        *wait = (struct er_build_wait){.env = env, .secrets = secrets, .failures = failures, .pause_ms = PAUSE_MS};
}

static enum er_build_news give_up(struct er_build_wait *wait, const char *why)
{
        er_build_failure_release(&wait->failure);
        wait->failure.message = er_strdup(why);
        return ER_BUILD_FAILED;
}

/* No builder could be started. Without the secrets, we leave it for a while to those who have them. */
static enum er_build_news cannot_start(struct er_build_wait *wait, const struct er_err *err)
{
        bool is_secret = er_streq(err->provider_code, "secret");
        enum er_build_news news;

        if (is_secret && !wait->secrets) {
                if (!wait->orphaned)
                        wait->orphaned = er_deadline_in(ORPHANED_MS);
                if (er_deadline_poll_ms(wait->orphaned) != 0)
                        return ER_BUILD_SAME;
        }
        news = give_up(wait, err->message);
        wait->failure.hint = err->hint ? er_strdup(err->hint) : NULL;
        wait->failure.kind = er_strdup(is_secret ? "secret" : "build");
        return news;
}

static enum er_build_news look_at_progress(struct er_build_wait *wait)
{
        er_autofree char *text = er_build_progress(wait->env);

        if (wait->pause_ms < PAUSE_MAX_MS)
                wait->pause_ms += wait->pause_ms / 4;
        if (!text || er_streq(text, wait->progress))
                return ER_BUILD_SAME;
        free(wait->progress);
        wait->progress = er_take(text);
        return ER_BUILD_PROGRESS;
}

enum er_build_news er_build_wait_look(struct er_build_wait *wait)
{
        er_auto(er_err) err = ER_ERR_INIT;
        bool building = er_envdir_is_building(wait->env); /* first: a builder records the end, then unlocks */
        int rc;

        if (er_envdir_is_ready(wait->env))
                return ER_BUILD_READY;
        er_build_failure_release(&wait->failure);
        er_build_failure_read(wait->env, &wait->failure);
        if (wait->failure.count > wait->failures)
                return ER_BUILD_FAILED;
        if (building) {
                wait->orphaned = 0;
                return look_at_progress(wait);
        }
        if (wait->starts == STARTS_MAX)
                return give_up(wait, "the build ended without saying why: is the disk full?");
        rc = er_build_start(wait->env, wait->secrets, &err);
        if (rc < 0)
                return cannot_start(wait, &err);
        wait->starts += (unsigned)rc;
        wait->pause_ms = PAUSE_MS;
        return ER_BUILD_SAME;
}

/* env_build.c - see env_build.h */
#include "cli/env_build.h"

#include "host/environment.h"

struct building {
        struct er_live *live;
        const char *host;
};

static void on_progress(void *arg, const char *text)
{
        const struct building *building = arg;

        er_live_set(building->live, "%s: %s", building->host, text);
}

static void on_transfer(void *arg, const struct er_transfer *transfer)
{
        const struct building *building = arg;

        er_live_transfer(building->live, "sending packages", transfer);
}

int er_env_build(struct er_session *session, struct er_recipe *recipe, struct er_live *live, struct er_err *err)
{
        struct building building = {.live = live, .host = er_session_host(session)};
        struct er_transfer transfer = {.progress = on_transfer, .arg = &building};
        const struct er_environment_ways ways = {.transfer = &transfer, .progress = on_progress, .arg = &building};
        er_auto(er_environment_request) request = ER_ENVIRONMENT_REQUEST_INIT;
        int rc;

        on_progress(&building, "setting up the environment");
        rc = er_environment_begin(session, recipe, &ways, &request, err);
        if (rc == 0)
                rc = er_environment_await(&request, on_progress, &building, err);
        er_live_clear(live);
        return rc;
}

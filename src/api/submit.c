/* submit.c - from a program's request to a run that is under way. */
#include "api/impl.h"

#include "api/sized.h"
#include "base/path.h"
#include "host/snapshot/project.h"
#include "maestro/request.h"

static void add_list(struct er_strv *to, const char *const *from)
{
        for (; from && *from; from++)
                er_strv_add(to, *from);
}

/* "NAME=VALUE": the name goes into the spec, the value stays in memory. */
static void add_secrets(const char *const *from, struct er_strv *names, struct er_strv *values)
{
        for (; from && *from; from++) {
                const char *equals = strchr(*from, '=');
                er_autofree char *name = equals ? er_strndup(*from, (size_t)(equals - *from)) : er_strdup(*from);

                er_strv_add(names, name);
                if (equals)
                        er_strv_add(values, *from);
        }
}

static void to_config(const struct errand_request *request, struct er_config *over, struct er_strv *secrets)
{
        over->workdir = er_strdup(request->workdir);
        add_list(&over->command, request->argv);
        over->command_is_line = request->shell != 0;
        over->command_is_argv = request->shell == 0;
        add_list(&over->on, request->hosts);
        add_list(&over->env, request->env);
        add_list(&over->outputs, request->outputs);
        add_secrets(request->secrets, &over->secrets, secrets);
        over->cpus = request->cpus;
        over->gpus = request->gpus;
        over->memory = request->memory;
        over->time_limit_ms = request->time_limit_ms;
        over->retries = request->retries;
        over->sync = request->sync;
}

/* What the request and the project's errand.yaml say together. */
static int make_request(const struct errand_request *from, struct er_request *ret, struct er_strv *secrets,
                        struct er_err *err)
{
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_auto(er_config) over = ER_CONFIG_INIT;
        er_autofree char *dir = er_path_abs(from->project_dir ? from->project_dir : ".");
        er_autofree char *root = er_project_root(dir);
        const char *subdir = er_starts(dir, root) && dir[strlen(root)] == '/' ? dir + strlen(root) + 1 : "";

        if (from->reserved)
                return er_err_set(err, ER_USAGE, "reserved: must be 0");
        to_config(from, &over, secrets);
        if (from->shell && over.command.len > 1)
                return er_err_set(err, ER_USAGE, "shell: the command must be a single line");
        if (er_config_load(root, &config, err) < 0)
                return -1;
        er_config_overlay(&config, &over);
        return er_request_make(&config, root, subdir, from->name, ret, err);
}

static int submit(struct errand *errand, const struct errand_request *from, char **ret_job, struct er_err *err)
{
        er_auto(er_request) request = ER_REQUEST_INIT;
        er_auto(er_strv) secrets = ER_STRV_INIT;
        er_auto(er_run) run = {0};
        int rc;

        if (make_request(from, &request, &secrets, err) < 0) {
                er_strv_wipe(&secrets);
                return -1;
        }
        er_strv_addall(&secrets, request.recipe.values.items, request.recipe.values.len);
        pthread_mutex_lock(&errand->lock);
        er_carrier_reap(errand);
        rc = er_request_check_hosts(errand->store, &request, err);
        if (rc == 0)
                rc = er_request_store(errand->store, &request, NULL, &run, err);
        if (rc == 0)
                rc = er_carrier_start(errand, run.id, &secrets, err);
        pthread_mutex_unlock(&errand->lock);
        er_strv_wipe(&secrets);
        if (rc == 0 && ret_job)
                *ret_job = er_fmt("%s.0", run.name);
        return rc;
}

int errand_submit(errand_t *errand, const struct errand_request *request, char **ret_job, struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        struct errand_request ours = ERRAND_REQUEST_INIT;

        if (er_sized_read(&ours, sizeof ours, request, ER_SIZE_UPTO(struct errand_request, reserved),
                          "ERRAND_REQUEST_INIT", &err) < 0 ||
            submit(errand, &ours, ret_job, &err) < 0)
                return er_api_fail(error, &err);
        return 0;
}

/* The handle, errors, and submitting. */
#include "api/impl.h"

#include <errno.h>
#include <unistd.h>
#include "base/parse.h"
#include "base/path.h"
#include "er_config.h"
#include "job/config.h"

const char *errand_version(void)
{
        return ER_VERSION;
}

void errand_free(void *memory)
{
        free(memory);
}

void errand_error_clear(struct errand_error *error)
{
        free(error->message);
        free(error->hint);
        *error = (struct errand_error)ERRAND_ERROR_INIT;
}

const char *errand_code_name(int code)
{
        return er_code_name((enum er_code)code);
}

int er_api_fail(struct errand_error *error, struct er_err *err)
{
        if (error) {
                errand_error_clear(error);
                error->code = (int)err->code;
                error->retryable = err->retryable;
                error->message = err->message ? er_strdup(err->message) : er_strdup(er_code_name(err->code));
                error->hint = err->hint ? er_strdup(err->hint) : NULL;
        }
        er_err_clear(err);
        return -1;
}

int errand_open(const struct errand_options *options, errand_t **ret, struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        er_autofree char *dir = NULL;
        struct er_store *store = NULL;
        if (options && options->size >= sizeof *options && options->state_dir)
                dir = er_path_abs(options->state_dir);
        else
                dir = er_dir_state();
        if (er_store_open(dir, &store, &err) < 0)
                return er_api_fail(error, &err);
        struct errand *errand = er_new(struct errand);
        errand->store = store;
        pthread_mutex_init(&errand->lock, NULL);
        pthread_cond_init(&errand->changed, NULL);
        *ret = errand;
        return 0;
}

void errand_close(errand_t *errand)
{
        if (!errand)
                return;
        er_carrier_stop_all(errand);
        er_store_close(errand->store);
        pthread_cond_destroy(&errand->changed);
        pthread_mutex_destroy(&errand->lock);
        free(errand);
}

/* Submitting */

static void add_list(struct er_strv *to, const char *const *from)
{
        for (; from && *from; from++)
                er_strv_add(to, *from);
}

/* "NAME=VALUE": the name into the spec, the value only into memory. */
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
        over->name = request->name ? er_strdup(request->name) : NULL;
        over->workdir = request->workdir ? er_strdup(request->workdir) : NULL;
        add_list(&over->command, request->argv);
        over->command_is_line = request->shell != 0;
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
static int make_spec(const struct errand_request *request, const char *root, const char *subdir, struct er_spec *ret,
                     struct er_recipe *ret_recipe, char **ret_name, struct er_strv *secrets, struct er_err *err)
{
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_auto(er_config) over = ER_CONFIG_INIT;
        to_config(request, &over, secrets);
        if (request->shell && over.command.len > 1)
                return er_err_set(err, ER_USAGE, "shell: the command must be one line");
        if (er_config_load(root, &config, err) < 0)
                return -1;
        er_config_overlay(&config, &over);
        if (er_config_to_spec(&config, root, subdir, ret, err) < 0)
                return -1;
        /* An argv given by a program is an argv, also when it has one item with a space in it. */
        if (request->argv && !request->shell)
                ret->shell = false;
        if (er_config_recipe(&config, root, ret, ret_recipe, err) < 0)
                return -1;
        *ret_name = over.name ? er_strdup(over.name) : NULL;
        return 0;
}

static void shown_command(const struct er_spec *spec, struct er_str *out)
{
        if (spec->shell)
                er_str_add(out, spec->argv.items[0]);
        else
                er_quote_argv(out, spec->argv.items, spec->argv.len);
        if (out->len > 200) {
                er_str_cut(out, 197);
                while (out->len > 0 && ((unsigned char)out->buf[out->len - 1] & 0x80u))
                        er_str_cut(out, out->len - 1);
                er_str_add(out, "...");
        }
}

static int submit(struct errand *errand, const struct errand_request *request, char **ret_job, struct er_err *err)
{
        er_autofree char *dir = er_path_abs(request->project_dir ? request->project_dir : ".");
        er_autofree char *root = er_project_root(dir), *name = NULL;
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        er_auto(er_strv) secrets = ER_STRV_INIT;
        er_auto(er_str) recipe_bytes = ER_STR_INIT;
        er_auto(er_str) encoded = ER_STR_INIT;
        er_auto(er_str) command = ER_STR_INIT;
        er_auto(er_run) run = {0};
        const char *subdir = er_starts(dir, root) && dir[strlen(root)] == '/' ? dir + strlen(root) + 1 : "";
        if (make_spec(request, root, subdir, &spec, &recipe, &name, &secrets, err) < 0)
                return -1;
        er_spec_encode(&spec, &encoded);
        shown_command(&spec, &command);
        struct er_new_job job = {.spec = er_svn(encoded.buf, encoded.len), .command = command.buf};
        if (spec.has_environment) {
                er_recipe_encode(&recipe, &recipe_bytes);
                job.environment = er_svn((const char *)spec.environment, ER_ENV_HASH);
                job.recipe = er_svn(recipe_bytes.buf, recipe_bytes.len);
                er_strv_addall(&secrets, recipe.values.items, recipe.values.len);
        }
        pthread_mutex_lock(&errand->lock);
        er_carrier_reap(errand);
        int rc = er_store_add_run(errand->store, spec.project, root, name, &job, 1, er_now_ms(), &run, err);
        if (rc == 0)
                rc = er_carrier_start(errand, run.id, &secrets, err);
        pthread_mutex_unlock(&errand->lock);
        if (rc == 0 && ret_job)
                *ret_job = er_fmt("%s.0", run.name);
        return rc;
}

int errand_submit(errand_t *errand, const struct errand_request *request, char **ret_job, struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        struct errand_request ours = ERRAND_REQUEST_INIT;
        if (request->size < offsetof(struct errand_request, shell)) {
                er_err_set(&err, ER_USAGE, "the request's size is not set: begin with ERRAND_REQUEST_INIT");
                return er_api_fail(error, &err);
        }
        memcpy(&ours, request, request->size < sizeof ours ? request->size : sizeof ours);
        return submit(errand, &ours, ret_job, &err) < 0 ? er_api_fail(error, &err) : 0;
}

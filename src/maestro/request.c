/* request.c - see request.h */
#include "maestro/request.h"

#include "base/clock.h"
#include "base/parse.h"
#include "maestro/maestro.h"

#define COMMAND_SHOWN 200u /* bytes of a command that lists show */
#define NAME_MAX_LEN 100u  /* a job's key on its host contains the name, and has at most 200 bytes */

void er_request_release(struct er_request *request)
{
        free(request->project_dir);
        free(request->name);
        er_spec_release(&request->spec);
        er_recipe_release(&request->recipe);
        *request = (struct er_request)ER_REQUEST_INIT;
}

/* A name must be good for files on a host, and must not look like a job of another run ("mnist-12.0"). */
static int check_name(const char *name, struct er_err *err)
{
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
        size_t len = strlen(name), end = len;
        const char *why = NULL;

        while (end > 0 && name[end - 1] >= '0' && name[end - 1] <= '9')
                end--;
        if (len == 0 || name[0] == '-' || name[0] == '.' || strspn(name, allowed) != len)
                why = "use letters, digits, '.', '_' and '-', and begin with a letter or a digit";
        else if (len > NAME_MAX_LEN)
                why = "use at most 100 characters";
        else if (end > 0 && end < len && name[end - 1] == '.')
                why = "do not end it in a dot and a number: that is what the jobs of a run are called";
        if (!why)
                return 0;
        er_err_set(err, ER_USAGE, "name: \"%s\" cannot be the name of a run", name);
        return er_err_hint(err, "%s", why);
}

int er_request_check_hosts(struct er_store *store, const struct er_request *request, struct er_err *err)
{
        const struct er_strv *names = &request->spec.hosts;

        for (size_t i = 0; i < names->len; i++) {
                er_auto(er_host) host = ER_HOST_INIT;

                if (!er_streq(names->items[i], "any") && er_hosts_find(store, names->items[i], &host, err) < 0)
                        return -1;
        }
        return 0;
}

int er_request_make(const struct er_config *config, const char *project_dir, const char *subdir, const char *name,
                    struct er_request *ret, struct er_err *err)
{
        er_auto(er_request) request = ER_REQUEST_INIT;

        if ((name && check_name(name, err) < 0) ||
            er_config_to_spec(config, project_dir, subdir, &request.spec, err) < 0 ||
            er_config_recipe(config, project_dir, &request.spec, &request.recipe, err) < 0)
                return -1;
        request.project_dir = er_strdup(project_dir);
        request.name = er_strdup(name);
        request.has_recipe = request.spec.has_environment;
        *ret = request;
        request = (struct er_request)ER_REQUEST_INIT;
        return 0;
}

static void shown_command(const struct er_spec *spec, struct er_str *out)
{
        if (spec->shell)
                er_str_add(out, spec->argv.items[0]);
        else
                er_quote_argv(out, spec->argv.items, spec->argv.len);
        if (out->len <= COMMAND_SHOWN)
                return;
        er_str_cut(out, COMMAND_SHOWN - 3);
        while (out->len > 0 && ((unsigned char)out->buf[out->len - 1] & 0xc0u) == 0x80u)
                er_str_cut(out, out->len - 1); /* no half character at the end */
        if (out->len > 0 && (unsigned char)out->buf[out->len - 1] >= 0xc0u)
                er_str_cut(out, out->len - 1);
        er_str_add(out, "...");
}

int er_request_store(struct er_store *store, struct er_request *request, const struct er_snapshot *snapshot,
                     struct er_run *ret, struct er_err *err)
{
        struct er_spec *spec = &request->spec;
        er_auto(er_str) command = ER_STR_INIT;
        er_auto(er_str) encoded = ER_STR_INIT;
        er_auto(er_str) recipe = ER_STR_INIT;
        struct er_new_job job = {0};

        if (er_maestro_ready(err) < 0)
                return -1;
        if (snapshot) {
                spec->has_tree = true;
                memcpy(spec->tree, er_snapshot_hash(snapshot), ER_TREE_HASH);
        }
        shown_command(spec, &command);
        er_spec_encode(spec, &encoded);
        job.command = command.buf;
        job.spec = er_svn(encoded.buf, encoded.len);
        if (spec->has_environment)
                job.environment = er_svn((const char *)spec->environment, ER_ENV_HASH);
        if (request->has_recipe) {
                er_recipe_encode(&request->recipe, &recipe);
                job.recipe = er_svn(recipe.buf, recipe.len);
        }
        return er_store_add_run(store, spec->project, request->project_dir, request->name, &job, 1, er_now_ms(), ret,
                                err);
}

/* software.c - which environment a job gets: the project's own, or the one it names, and what options say beside it. */
#include "job/config.h"

#include "base/parse.h"

static int unknown_name(const struct er_config *config, struct er_err *err)
{
        er_auto(er_strv) names = ER_STRV_INIT;
        er_auto(er_str) all = ER_STR_INIT;
        const char *near[1];
        for (size_t i = 0; i < config->software_count; i++) {
                er_strv_add(&names, config->software_named[i].name);
                er_str_addf(&all, "%s%s", i ? ", " : "", config->software_named[i].name);
        }
        er_err_set(err, ER_CONFIG, "no environment is called \"%s\"", config->environment);
        if (names.len == 0)
                return er_err_hint(err, "errand.yaml declares none: add environments: {%s: {pip: [...]}}", config->environment);
        if (er_nearest(config->environment, (const char *const *)names.items, names.len, near, 1))
                return er_err_hint(err, "did you mean %s?", near[0]);
        return er_err_hint(err, "errand.yaml declares %s", all.buf);
}

/* A named environment stands for itself, but for where packages come from: that is said once for all. */
static void inherit(struct er_environment *to, const struct er_environment *from)
{
        const struct er_environment sources = {
                .channels = from->channels,
                .index_url = from->index_url,
                .extra_index_urls = from->extra_index_urls,
                .find_links = from->find_links,
                .torch_backend = from->torch_backend,
                .python = from->python,
                .fetch = from->fetch,
        };
        er_environment_overlay(to, &sources); /* copies */
}

static int choose(const struct er_config *config, struct er_environment *ret, struct er_err *err)
{
        const struct er_environment *named = NULL;
        for (size_t i = 0; config->environment && i < config->software_count; i++)
                if (er_streq(config->software_named[i].name, config->environment))
                        named = &config->software_named[i];
        if (config->environment && !named)
                return unknown_name(config, err);
        if (named)
                inherit(ret, &config->software);
        er_environment_overlay(ret, named ? named : &config->software);
        er_environment_overlay(ret, &config->software_options);
        return 0;
}

int er_config_recipe(const struct er_config *config, const char *project_dir, struct er_spec *spec, struct er_recipe *ret,
                     struct er_err *err)
{
        er_auto(er_environment) chosen = ER_ENVIRONMENT_INIT;
        const struct er_env_context context = {
                .project_dir = project_dir,
                .workdir = spec->workdir,
                .command = &spec->argv,
                .shell = spec->shell,
        };
        if (choose(config, &chosen, err) < 0)
                return -1;
        int rc = er_environment_resolve(&chosen, &context, ret, err);
        if (rc == 1) {
                spec->has_environment = true;
                memcpy(spec->environment, ret->hash, ER_ENV_HASH);
        }
        return rc;
}

/* software.c - which environment a job gets: the project's own or a named one, with the options applied. */
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
        er_err_set(err, ER_CONFIG, "no such environment: %s", config->environment);
        if (names.len == 0)
                return er_err_hint(err, "add it to errand.yaml: environments: {%s: {pip: [...]}}", config->environment);
        if (er_nearest(config->environment, (const char *const *)names.items, names.len, near, 1))
                return er_err_hint(err, "did you mean %s?", near[0]);
        return er_err_hint(err, "errand.yaml declares %s", all.buf);
}

/* What a named environment inherits from the top level: the Python, and where packages come from. */
static void inherit(struct er_declaration *to, const struct er_declaration *from)
{
        const struct er_declaration sources = {
                .channels = from->channels,
                .index_url = from->index_url,
                .extra_index_urls = from->extra_index_urls,
                .find_links = from->find_links,
                .torch_backend = from->torch_backend,
                .python = from->python,
                .fetch = from->fetch,
        };

        er_declaration_overlay(to, &sources); /* it copies them */
}

static int choose(const struct er_config *config, struct er_declaration *ret, struct er_err *err)
{
        const struct er_declaration *named = NULL;

        for (size_t i = 0; config->environment && i < config->software_count; i++)
                if (er_streq(config->software_named[i].name, config->environment))
                        named = &config->software_named[i];
        if (config->environment && !named)
                return unknown_name(config, err);
        if (named)
                inherit(ret, &config->software);
        er_declaration_overlay(ret, named ? named : &config->software);
        er_declaration_overlay(ret, &config->software_options);
        return 0;
}

int er_config_recipe(const struct er_config *config, const char *project_dir, struct er_spec *spec,
                     struct er_recipe *ret, struct er_err *err)
{
        er_auto(er_declaration) chosen = ER_DECLARATION_INIT;
        const struct er_declaration_context context = {
                .project_dir = project_dir,
                .workdir = spec->workdir,
                .command = &spec->argv,
                .shell = spec->shell,
        };
        int rc;

        if (choose(config, &chosen, err) < 0)
                return -1;
        rc = er_declaration_resolve(&chosen, &context, ret, err);
        if (rc == 1) {
                spec->has_environment = true;
                memcpy(spec->environment, ret->hash, ER_ENV_HASH);
        }
        return rc;
}

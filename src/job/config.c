/* config.c - reads errand.yaml and applies options to it. config_spec.c makes a spec of the result. See config.h */
#include "job/config.h"

#include <fcntl.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/yaml.h"

#define FILE_NAME "errand.yaml"
#define FILE_MAX_BYTES ((size_t)1 << 20)

void er_config_release(struct er_config *config)
{
        free(config->name);
        er_strv_release(&config->command);
        er_strv_release(&config->on);
        er_strv_release(&config->env);
        free(config->env_file);
        er_strv_release(&config->secrets);
        er_strv_release(&config->outputs);
        free(config->workdir);
        er_declaration_release(&config->software);
        er_declaration_release(&config->software_options);
        for (size_t i = 0; i < config->software_count; i++)
                er_declaration_release(&config->software_named[i]);
        free(config->software_named);
        free(config->environment);
        *config = (struct er_config)ER_CONFIG_INIT;
}

/* A key, and the function that reads its value into the member at offset. */
struct key {
        const char *name;
        int (*read)(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                    struct er_config *config, struct er_err *err);
        size_t offset;
};

static void *member(struct er_config *config, const struct key *key)
{
        return (char *)config + key->offset;
}

/* The text of a scalar, which must not contain NUL. */
static const char *plain_text(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                              struct er_err *err)
{
        size_t len = 0;
        const char *text = er_yaml_text(node, &len);

        if (!text) {
                er_yaml_err(yaml, node, err, "%s must be a single value", key->name);
                return NULL;
        }
        if (strlen(text) != len) {
                er_yaml_err(yaml, node, err, "%s contains a NUL character", key->name);
                return NULL;
        }
        return text;
}

static int read_text(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                     struct er_config *config, struct er_err *err)
{
        char **ret = member(config, key);
        const char *text = plain_text(yaml, node, key, err);

        if (!text)
                return -1;
        if (!*text)
                return er_yaml_err(yaml, node, err, "%s is empty", key->name);
        *ret = er_strdup(text);
        return 0;
}

static int read_list(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                     struct er_config *config, struct er_err *err)
{
        struct er_strv *ret = member(config, key);

        if (er_yaml_type(node) == ER_YAML_SCALAR) {
                const char *text = plain_text(yaml, node, key, err);

                if (!text)
                        return -1;
                er_strv_add(ret, text);
                return 0;
        }
        if (er_yaml_type(node) != ER_YAML_LIST)
                return er_yaml_err(yaml, node, err, "%s must be a single value or a list", key->name);
        for (size_t i = 0; i < er_yaml_count(node); i++) {
                const struct er_yaml_node *item = er_yaml_item(node, i);
                const char *text = plain_text(yaml, item, key, err);

                if (!text)
                        return -1;
                er_strv_add(ret, text);
        }
        return 0;
}

static int read_command(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                        struct er_config *config, struct er_err *err)
{
        if (read_list(yaml, node, key, config, err) < 0)
                return -1;
        config->command_is_line = er_yaml_type(node) == ER_YAML_SCALAR;
        if (config->command.len == 0 || !*config->command.items[0])
                return er_yaml_err(yaml, node, err, "%s is empty", key->name);
        return 0;
}

/* Adds the position in the file to an error from er_parse_... */
static int at_node(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                   struct er_err *why, struct er_err *err)
{
        er_yaml_err(yaml, node, err, "%s: %s", key->name, why->message ? why->message : "invalid value");
        if (why->hint)
                er_err_hint(err, "%s", why->hint);
        return -1;
}

static int read_count(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                      struct er_config *config, struct er_err *err)
{
        er_auto(er_err) why = ER_ERR_INIT;
        int64_t *ret = member(config, key);
        const char *text = plain_text(yaml, node, key, err);

        if (!text)
                return -1;
        return er_parse_int(text, 0, 1000000, ret, &why) < 0 ? at_node(yaml, node, key, &why, err) : 0;
}

static int read_size(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                     struct er_config *config, struct er_err *err)
{
        er_auto(er_err) why = ER_ERR_INIT;
        uint64_t bytes;
        const char *text = plain_text(yaml, node, key, err);

        if (!text)
                return -1;
        if (er_parse_size(text, &bytes, &why) < 0)
                return at_node(yaml, node, key, &why, err);
        if (bytes > INT64_MAX)
                return er_yaml_err(yaml, node, err, "%s: %s is too large", key->name, text);
        *(int64_t *)member(config, key) = (int64_t)bytes;
        return 0;
}

static int read_duration(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                         struct er_config *config, struct er_err *err)
{
        er_auto(er_err) why = ER_ERR_INIT;
        int64_t *ret = member(config, key);
        const char *text = plain_text(yaml, node, key, err);

        if (!text)
                return -1;
        return er_parse_duration(text, ret, &why) < 0 ? at_node(yaml, node, key, &why, err) : 0;
}

static int read_bool(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                     struct er_config *config, struct er_err *err)
{
        static const struct {
                const char *word;
                int value;
        } words[] = {{"true", 1}, {"false", 0}, {"yes", 1}, {"no", 0}, {"on", 1}, {"off", 0}};
        const char *text = plain_text(yaml, node, key, err);

        if (!text)
                return -1;
        for (size_t i = 0; i < ER_LEN(words); i++)
                if (strcasecmp(text, words[i].word) == 0) {
                        *(int *)member(config, key) = words[i].value;
                        return 0;
                }
        return er_yaml_err(yaml, node, err, "%s must be true or false, not \"%s\"", key->name, text);
}

static bool is_env_name(const char *name, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (!((name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= 'a' && name[i] <= 'z') || name[i] == '_' ||
                      (i && name[i] >= '0' && name[i] <= '9')))
                        return false;
        return len > 0;
}

/* A map of names and values, or a list of "K=V" and "K". A name alone takes the value that it has here. */
static int read_env(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                    struct er_config *config, struct er_err *err)
{
        struct er_strv *ret = member(config, key);

        if (er_yaml_type(node) == ER_YAML_LIST)
                return read_list(yaml, node, key, config, err);
        if (er_yaml_type(node) != ER_YAML_MAP)
                return er_yaml_err(yaml, node, err, "%s must be a map of names and values", key->name);
        for (size_t i = 0; i < er_yaml_count(node); i++) {
                const char *name;
                const struct er_yaml_node *name_node;
                const struct er_yaml_node *value = er_yaml_pair(node, i, &name, &name_node);
                const char *text;

                if (!is_env_name(name, strlen(name)))
                        return er_yaml_err(yaml, name_node, err,
                                           "\"%s\" is not a valid name of an environment variable", name);
                if (er_yaml_type(value) == ER_YAML_NULL) {
                        er_strv_add(ret, name);
                        continue;
                }
                text = plain_text(yaml, value, key, err);
                if (!text)
                        return -1;
                er_strv_addf(ret, "%s=%s", name, text);
        }
        return 0;
}

/* A map from names to maps with the keys of an environment. */
static int read_environments(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                             struct er_config *config, struct er_err *err)
{
        if (er_yaml_type(node) != ER_YAML_MAP)
                return er_yaml_err(yaml, node, err, "%s must be a map of names", key->name);
        for (size_t i = 0; i < er_yaml_count(node); i++) {
                const char *name, *inner;
                const struct er_yaml_node *name_node, *inner_node;
                const struct er_yaml_node *value = er_yaml_pair(node, i, &name, &name_node);
                struct er_declaration *environment;

                if (er_yaml_type(value) != ER_YAML_MAP)
                        return er_yaml_err(yaml, value, err, "%s must be a map, for example \"pip: [numpy]\"", name);
                config->software_named = er_grow(config->software_named, &config->software_cap,
                                                 config->software_count + 1, sizeof *config->software_named);
                environment = &config->software_named[config->software_count++];
                *environment = (struct er_declaration)ER_DECLARATION_INIT;
                environment->name = er_strdup(name);
                for (size_t k = 0; k < er_yaml_count(value); k++) {
                        const struct er_yaml_node *what = er_yaml_pair(value, k, &inner, &inner_node);

                        if (er_declaration_take(environment, yaml, inner, inner_node, what, err) < 0)
                                return -1;
                }
        }
        return 0;
}

#define MEMBER(m) offsetof(struct er_config, m)
/* Which files travel is decided where they are listed (host/snapshot/include.c); here only the form is checked. */
static int read_files(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                      struct er_config *config, struct er_err *err)
{
        (void)config;
        if (er_yaml_type(node) != ER_YAML_MAP)
                return er_yaml_err(yaml, node, err, "%s must be a map with the key include", key->name);
        for (size_t i = 0; i < er_yaml_count(node); i++) {
                const char *name;
                const struct er_yaml_node *name_node, *list = er_yaml_pair(node, i, &name, &name_node);

                if (!er_streq(name, "include"))
                        return er_yaml_err(yaml, name_node, err, "%s has only the key include", key->name);
                if (er_yaml_type(list) != ER_YAML_LIST)
                        return er_yaml_err(yaml, list, err, "%s: include must be a list of patterns", key->name);
                for (size_t k = 0; k < er_yaml_count(list); k++) {
                        const struct er_yaml_node *item = er_yaml_item(list, k);
                        const char *text = plain_text(yaml, item, key, err);

                        if (!text)
                                return -1;
                        if (!*text || *text == '!')
                                return er_yaml_err(yaml, item, err, "%s: include: \"%s\" is no pattern", key->name,
                                                   text);
                }
        }
        return 0;
}

static const struct key keys[] = {
        {"command", read_command, MEMBER(command)},
        {"cpus", read_count, MEMBER(cpus)},
        {"env", read_env, MEMBER(env)},
        {"env_file", read_text, MEMBER(env_file)},
        {"environment", read_text, MEMBER(environment)},
        {"environments", read_environments, 0},
        {"files", read_files, 0},
        {"gpus", read_count, MEMBER(gpus)},
        {"grace", read_duration, MEMBER(grace_ms)},
        {"memory", read_size, MEMBER(memory)},
        {"name", read_text, MEMBER(name)},
        {"on", read_list, MEMBER(on)},
        {"outputs", read_list, MEMBER(outputs)},
        {"retries", read_count, MEMBER(retries)},
        {"secrets", read_list, MEMBER(secrets)},
        {"sync", read_bool, MEMBER(sync)},
        {"strict_log", read_bool, MEMBER(strict_log)},
        {"time_limit", read_duration, MEMBER(time_limit_ms)},
        {"workdir", read_text, MEMBER(workdir)},
};

static int unknown_key(const struct er_yaml *yaml, const struct er_yaml_node *node, const char *name,
                       struct er_err *err)
{
        const char *names[ER_LEN(keys)];
        const char *near[1];
        er_auto(er_str) all = ER_STR_INIT;
        er_auto(er_str) shown = ER_STR_INIT;

        for (size_t i = 0; i < ER_LEN(keys); i++) {
                names[i] = keys[i].name;
                er_str_addf(&all, "%s%s", i ? ", " : "", keys[i].name);
        }
        er_quote_show(&shown, name, strlen(name));
        er_yaml_err(yaml, node, err, "unknown key \"%s\"", shown.buf);
        if (er_nearest(name, names, ER_LEN(names), near, 1))
                return er_err_hint(err, "did you mean %s?", near[0]);
        return er_err_hint(err, "valid keys are %s", all.buf);
}

static int read_pair(const struct er_yaml *yaml, size_t index, struct er_config *config, struct er_err *err)
{
        const char *name;
        const struct er_yaml_node *name_node;
        const struct er_yaml_node *value = er_yaml_pair(er_yaml_root(yaml), index, &name, &name_node);

        for (size_t i = 0; i < ER_LEN(keys); i++) {
                if (!er_streq(keys[i].name, name))
                        continue;
                if (er_yaml_type(value) == ER_YAML_NULL)
                        return 0; /* "env:" with nothing after it is like no key */
                return keys[i].read(yaml, value, &keys[i], config, err);
        }
        if (er_declaration_is_key(name))
                return er_declaration_take(&config->software, yaml, name, name_node, value, err);
        return unknown_key(yaml, name_node, name, err);
}

int er_config_load(const char *dir, struct er_config *ret, struct er_err *err)
{
        er_autofree char *path = er_path_join(dir, FILE_NAME);
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_auto(er_err) why = ER_ERR_INIT;
        er_autoptr(er_yaml) yaml = NULL;

        if (er_file_read_regular(AT_FDCWD, path, FILE_MAX_BYTES, &text, &why) < 0) {
                if (why.code != ER_NOT_FOUND)
                        return er_err_move(err, &why);
        } else {
                const struct er_yaml_node *root;

                if (er_yaml_parse(text.buf, text.len, FILE_NAME, &yaml, err) < 0)
                        return -1;
                root = er_yaml_root(yaml);
                if (root && er_yaml_type(root) != ER_YAML_MAP) {
                        er_yaml_err(yaml, root, err, "expected keys and values");
                        return er_err_hint(err, "for example \"command: python train.py\"");
                }
                for (size_t i = 0; root && i < er_yaml_count(root); i++)
                        if (read_pair(yaml, i, &config, err) < 0)
                                return -1;
        }
        er_config_release(ret);
        *ret = config;
        config = (struct er_config)ER_CONFIG_INIT;
        return 0;
}

static void over_text(char **text, const char *over)
{
        if (over) {
                free(*text);
                *text = er_strdup(over);
        }
}

static void over_list(struct er_strv *list, const struct er_strv *over)
{
        if (over->len) {
                er_strv_release(list);
                er_strv_addall(list, over->items, over->len);
        }
}

static void over_int(int64_t *value, int64_t over)
{
        if (over >= 0)
                *value = over;
}

void er_config_overlay(struct er_config *config, const struct er_config *over)
{
        over_text(&config->name, over->name);
        if (over->command.len) {
                config->command_is_line = over->command_is_line;
                config->command_is_argv = over->command_is_argv;
        }
        over_list(&config->command, &over->command);
        over_list(&config->on, &over->on);
        over_int(&config->cpus, over->cpus);
        over_int(&config->gpus, over->gpus);
        over_int(&config->retries, over->retries);
        over_int(&config->memory, over->memory);
        over_int(&config->time_limit_ms, over->time_limit_ms);
        over_int(&config->grace_ms, over->grace_ms);
        /* Appending is enough: when the spec is made, the last value of a name counts. */
        er_strv_addall(&config->env, over->env.items, over->env.len);
        over_text(&config->env_file, over->env_file);
        over_list(&config->secrets, &over->secrets);
        over_list(&config->outputs, &over->outputs);
        over_text(&config->workdir, over->workdir);
        er_declaration_overlay(&config->software_options, &over->software_options);
        over_text(&config->environment, over->environment);
        if (over->sync >= 0)
                config->sync = over->sync;
        if (over->strict_log >= 0)
                config->strict_log = over->strict_log;
}

/* config_spec.c - makes a checked spec of a configuration; see config.h */
#include "job/config.h"

#include <limits.h>
#include "base/parse.h"
#include "base/path.h"

#define NAME_MAX_LEN 100u /* it is part of the job's key on its host, which has at most 200 bytes */
#define GPUS_MAX 64       /* the bits of er_status.gpu_mask */

static bool is_name_char(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
}

static int check_name(const char *name, struct er_err *err)
{
        size_t len = strlen(name);
        bool good = len > 0 && name[0] != '-' && name[0] != '.';

        for (size_t i = 0; i < len; i++)
                good = good && is_name_char(name[i]);
        if (!good) {
                er_auto(er_str) shown = ER_STR_INIT;

                er_quote_show(&shown, name, len);
                er_err_set(err, ER_CONFIG, "name: \"%s\" is not a valid name", shown.buf);
                return er_err_hint(err,
                                   "a name has letters, digits, '.', '_' and '-', and does not begin with '.' or '-'");
        }
        if (len > NAME_MAX_LEN)
                return er_err_set(err, ER_CONFIG, "name: at most %u characters", NAME_MAX_LEN);
        return 0;
}

char *er_config_project(const struct er_config *config, const char *project_dir)
{
        const char *from = config->name ? config->name : er_path_base(project_dir);
        er_auto(er_str) name = ER_STR_INIT;

        for (const char *c = from; *c && name.len < NAME_MAX_LEN - 20; c++) {
                if (is_name_char(*c) && !(name.len == 0 && (*c == '.' || *c == '-')))
                        er_str_addc(&name, *c);
                else if (name.len && name.buf[name.len - 1] != '-')
                        er_str_addc(&name, '-');
        }
        while (name.len && (name.buf[name.len - 1] == '-' || name.buf[name.len - 1] == '.'))
                er_str_cut(&name, name.len - 1);
        return name.len ? er_str_detach(&name) : er_strdup("job");
}

/* Environment: the last value of a name counts. */

static size_t env_name_len(const char *entry)
{
        size_t n = 0;

        while ((entry[n] >= 'A' && entry[n] <= 'Z') || (entry[n] >= 'a' && entry[n] <= 'z') || entry[n] == '_' ||
               (n && entry[n] >= '0' && entry[n] <= '9'))
                n++;
        return n;
}

static void set_env(struct er_strv *env, const char *entry, size_t len)
{
        for (size_t i = 0; i < env->len; i++)
                if (strncmp(env->items[i], entry, len + 1) == 0) {
                        free(env->items[i]);
                        env->items[i] = er_strdup(entry);
                        return;
                }
        er_strv_add(env, entry);
}

static int add_env(struct er_strv *env, const struct er_strv *from, struct er_err *err)
{
        for (size_t i = 0; i < from->len; i++) {
                const char *entry = from->items[i];
                size_t len = env_name_len(entry);
                const char *value;
                er_autofree char *own = NULL;

                if (len == 0 || (entry[len] != '=' && entry[len] != '\0')) {
                        er_auto(er_str) shown = ER_STR_INIT;

                        er_quote_show(&shown, entry, strcspn(entry, "="));
                        er_err_set(err, ER_CONFIG, "env: \"%s\" is not a valid name of an environment variable",
                                   shown.buf);
                        return er_err_hint(err, "write NAME=VALUE, or NAME alone for the value that it has here");
                }
                if (entry[len] == '=') {
                        set_env(env, entry, len);
                        continue;
                }
                value = getenv(entry);
                if (!value) {
                        er_err_set(err, ER_CONFIG, "env: %s is not set here", entry);
                        return er_err_hint(err, "give it a value: %s=VALUE", entry);
                }
                own = er_fmt("%s=%s", entry, value);
                set_env(env, own, len);
        }
        return 0;
}

static int make_env(const struct er_config *config, const char *project_dir, struct er_spec *spec, struct er_err *err)
{
        if (config->env_file) {
                er_autofree char *path = er_path_expand(config->env_file);
                er_autofree char *full = er_path_join(project_dir, path);
                er_auto(er_strv) entries = ER_STRV_INIT;

                if (er_env_file_load(full, &entries, err) < 0 || add_env(&spec->env, &entries, err) < 0)
                        return -1;
        }
        if (add_env(&spec->env, &config->env, err) < 0)
                return -1;
        for (size_t i = 0; i < config->secrets.len; i++) {
                const char *name = config->secrets.items[i];
                size_t len = env_name_len(name);

                if (len == 0 || name[len]) {
                        /* Probably "NAME=VALUE" by mistake: do not show the value. */
                        er_err_set(err, ER_CONFIG,
                                   "secret: expected the name of an environment variable, without a value");
                        return er_err_hint(
                                err, "set the variable here, and give only its name; errand never stores its value");
                }
                if (!er_strv_has(&spec->secrets, name))
                        er_strv_add(&spec->secrets, name);
        }
        return 0;
}

static bool has_control(const char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        return true;
        return false;
}

static int check_hosts(const struct er_strv *on, struct er_err *err)
{
        for (size_t i = 0; i < on->len; i++) {
                const char *name = on->items[i];

                if (!*name || name[0] == '-' || has_control(name) || strchr(name, ' ')) {
                        er_auto(er_str) shown = ER_STR_INIT;

                        er_quote_show(&shown, name, strlen(name));
                        er_err_set(err, ER_CONFIG, "on: \"%s\" is not a valid host", shown.buf);
                        return er_err_hint(err, "use local, any, a name from `errand hosts`, or [user@]host[:port]");
                }
        }
        return 0;
}

static int check_outputs(const struct er_strv *outputs, struct er_err *err)
{
        for (size_t i = 0; i < outputs->len; i++) {
                const char *path = outputs->items[i];
                size_t len = strlen(path);

                while (len > 1 && path[len - 1] == '/') /* "out/" is a usual way to write a directory */
                        len--;
                while (len > 2 && path[0] == '.' && path[1] == '/')
                        path += 2, len -= 2;
                if (!er_path_is_safe(path, len)) {
                        er_auto(er_str) shown = ER_STR_INIT;

                        er_quote_show(&shown, outputs->items[i], strlen(outputs->items[i]));
                        er_err_set(err, ER_CONFIG, "output: \"%s\" is not a path below the job's directory", shown.buf);
                        return er_err_hint(err,
                                           "outputs are relative to the directory the command runs in, without \"..\"; "
                                           "`errand pull JOB /absolute/path` fetches other files");
                }
        }
        return 0;
}

/* The user's path in the form that the host matches: without "./" in front and "/" at the end. */
static void add_outputs(struct er_strv *outputs, const struct er_strv *from)
{
        for (size_t i = 0; i < from->len; i++) {
                const char *path = from->items[i];
                size_t len = strlen(path);
                er_autofree char *clean = NULL;

                while (len > 1 && path[len - 1] == '/')
                        len--;
                while (len > 2 && path[0] == '.' && path[1] == '/')
                        path += 2, len -= 2;
                clean = er_strndup(path, len);
                if (!er_strv_has(outputs, clean))
                        er_strv_add(outputs, clean);
        }
}

static int make_workdir(const struct er_config *config, const char *subdir, struct er_spec *spec, struct er_err *err)
{
        const char *dir = config->workdir ? config->workdir : subdir;
        size_t len;

        if (!dir || !*dir || er_streq(dir, "."))
                return 0;
        if (dir[0] == '/') {
                spec->workdir = er_strdup(dir);
                return 0;
        }
        len = strlen(dir);
        while (len > 1 && dir[len - 1] == '/')
                len--;
        while (len > 2 && dir[0] == '.' && dir[1] == '/')
                dir += 2, len -= 2;
        if (!er_path_is_safe(dir, len)) {
                er_err_set(err, ER_CONFIG, "workdir: \"%s\" is outside the project", dir);
                return er_err_hint(err, "it is relative to the project, without \"..\", or absolute on the host");
        }
        spec->workdir = er_strndup(dir, len);
        return 0;
}

static int make_command(const struct er_config *config, struct er_spec *spec, struct er_err *err)
{
        const struct er_strv *command = &config->command;

        if (command->len == 0 || (command->len == 1 && !*command->items[0])) {
                er_err_set(err, ER_USAGE, "no command to run");
                return er_err_hint(err, "give one, as in `errand run -- python train.py`, or add a line like "
                                        "\"command: python train.py\" to errand.yaml");
        }
        if (!*command->items[0])
                return er_err_set(err, ER_USAGE, "the name of the command is empty");
        er_strv_addall(&spec->argv, command->items, command->len);
        spec->shell = command->len == 1 && !config->command_is_argv &&
                      (config->command_is_line || strpbrk(command->items[0], " \t\n"));
        return 0;
}

static int make_needs(const struct er_config *config, struct er_spec *spec, struct er_err *err)
{
        if (config->cpus == 0)
                return er_err_set(err, ER_CONFIG, "cpus: must be at least 1");
        if (config->cpus > 65536)
                return er_err_set(err, ER_CONFIG, "cpus: %lld is more than any host has", (long long)config->cpus);
        if (config->gpus > GPUS_MAX)
                return er_err_set(err, ER_CONFIG, "gpus: must be at most %d", GPUS_MAX);
        if (config->retries > 1000)
                return er_err_set(err, ER_CONFIG, "retries: must be at most 1000");
        if (config->time_limit_ms == 0)
                return er_err_set(err, ER_CONFIG, "time_limit: must be more than 0");
        spec->cpus = config->cpus > 0 ? (uint32_t)config->cpus : 1;
        spec->gpus = config->gpus > 0 ? (uint32_t)config->gpus : 0;
        spec->no_gpus = config->gpus == 0;
        spec->memory = config->memory > 0 ? (uint64_t)config->memory : 0;
        spec->time_limit_ms = config->time_limit_ms > 0 ? config->time_limit_ms : 0;
        if (config->grace_ms >= 0)
                spec->grace_ms = config->grace_ms > 0 ? config->grace_ms : 1; /* 0 there: not said */
        spec->retries = config->retries > 0 ? (uint32_t)config->retries : 0;
        spec->sync = config->sync != 0;
        spec->strict_log = config->strict_log > 0;
        return 0;
}

/* What says which GPUs a program sees. */
static const char *const gpu_variables[] = {"CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"};

/* Two answers to the question which GPUs the job sees. */
static int check_gpus(const struct er_config *config, const struct er_spec *spec, struct er_err *err)
{
        for (size_t i = 0; config->gpus >= 0 && i < ER_LEN(gpu_variables); i++) {
                const char *name = gpu_variables[i];

                if (!er_strv_value(&spec->env, name) && !er_strv_has(&spec->secrets, name))
                        continue;
                er_err_set(err, ER_CONFIG, "gpus: %lld and %s are both said, and each says which GPUs the job sees",
                           (long long)config->gpus, name);
                return config->gpus > 0
                               ? er_err_hint(err,
                                             "leave out %s: with --gpus %lld the job gets that many for itself, and it "
                                             "is set to them; without --gpus it sees what %s names, beside others",
                                             name, (long long)config->gpus, name)
                               : er_err_hint(err, "leave out %s: with --gpus 0 the job sees none", name);
        }
        return 0;
}

int er_config_to_spec(const struct er_config *config, const char *project_dir, const char *subdir, struct er_spec *ret,
                      struct er_err *err)
{
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_auto(er_str) encoded = ER_STR_INIT;

        if (config->name && check_name(config->name, err) < 0)
                return -1;
        if (make_command(config, &spec, err) < 0 || make_needs(config, &spec, err) < 0 ||
            check_hosts(&config->on, err) < 0 || check_outputs(&config->outputs, err) < 0 ||
            make_env(config, project_dir, &spec, err) < 0 || check_gpus(config, &spec, err) < 0)
                return -1;
        /* Without the project's files, its directories are not there either. */
        if (make_workdir(config, spec.sync ? subdir : NULL, &spec, err) < 0)
                return -1;
        add_outputs(&spec.outputs, &config->outputs);
        er_strv_addall(&spec.hosts, config->on.items, config->on.len);
        spec.project = er_config_project(config, project_dir);

        er_spec_encode(&spec, &encoded);
        if (encoded.len > ER_SPEC_MAX - 1024) {
                er_err_set(err, ER_CONFIG, "command and environment variables together have %zu bytes; the limit is %u",
                           encoded.len, ER_SPEC_MAX - 1024);
                return er_err_hint(err, "put long lists into a file");
        }
        er_spec_release(ret);
        *ret = spec;
        spec = (struct er_spec)ER_SPEC_INIT;
        return 0;
}

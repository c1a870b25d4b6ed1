/* opts.c - see opts.h */
#include "cli/opts.h"

#include <limits.h>
#include "base/clock.h"
#include "base/parse.h"

#define COMMON(member) offsetof(struct er_common_opts, member)

static const struct er_opt common_opts[] = {
        {"json", 0, ER_OPT_FLAG, NULL, "Print JSON", COMMON(json), ER_COMPLETE_NONE},
        {"quiet", 'q', ER_OPT_FLAG, NULL, "Print only results and errors", COMMON(quiet), ER_COMPLETE_NONE},
        {"state-dir", 0, ER_OPT_TEXT, "DIR", "Keep the store in DIR", COMMON(state_dir), ER_COMPLETE_DIR},
        {"help", 'h', ER_OPT_FLAG, NULL, "Show this help", COMMON(help), ER_COMPLETE_NONE},
        {"version", 0, ER_OPT_FLAG, NULL, "Print the version", COMMON(version), ER_COMPLETE_NONE},
};

const struct er_command er_cmd_errand = {
        .name = "errand",
        .summary = "run your script on any machine and bring the results back",
        .arguments = "COMMAND [OPTION]... [ARG]...",
        .flags = ER_CMD_JSON | ER_CMD_QUIET,
        .stop_at_argument = true,
        .max_args = -1,
        .complete = ER_COMPLETE_NAME,
};

static bool is_common(const struct er_opt *opt)
{
        return opt >= common_opts && opt < common_opts + ER_LEN(common_opts);
}

static bool takes_common(const struct er_command *command, const struct er_opt *opt)
{
        switch (opt->offset) {
        case COMMON(json):
                return command->flags & ER_CMD_JSON;
        case COMMON(quiet):
                return command->flags & ER_CMD_QUIET;
        case COMMON(version):
                return command == &er_cmd_errand;
        default:
                return true;
        }
}

const struct er_opt *er_command_opt(const struct er_command *command, size_t index)
{
        if (index < command->opt_count)
                return &command->opts[index];
        index -= command->opt_count;
        for (size_t i = 0; i < ER_LEN(common_opts); i++)
                if (takes_common(command, &common_opts[i]) && index-- == 0)
                        return &common_opts[i];
        return NULL;
}

static int usage(const struct er_command *command, struct er_err *err)
{
        if (command == &er_cmd_errand)
                return er_err_hint(err, "see errand --help");
        return er_err_hint(err, "see errand %s --help", command->name);
}

static int unknown(const struct er_command *command, struct er_sv name, struct er_err *err)
{
        er_autofree char *word = er_sv_dup(name);
        const char *names[64], *near[3];
        const struct er_opt *opt;
        size_t count = 0, found;

        for (size_t i = 0; (opt = er_command_opt(command, i)) && count < ER_LEN(names); i++)
                names[count++] = opt->name;
        found = er_nearest(word, names, count, near, ER_LEN(near));
        if (found > 0)
                er_err_set(err, ER_USAGE, "unknown option --%s; did you mean --%s?", word, near[0]);
        else
                er_err_set(err, ER_USAGE, "unknown option --%s", word);
        return usage(command, err);
}

static const struct er_opt *by_name(const struct er_command *command, struct er_sv name)
{
        const struct er_opt *opt;

        for (size_t i = 0; (opt = er_command_opt(command, i)); i++)
                if (er_sv_eq(er_sv(opt->name), name))
                        return opt;
        return NULL;
}

static const struct er_opt *by_letter(const struct er_command *command, char letter)
{
        const struct er_opt *opt;

        for (size_t i = 0; (opt = er_command_opt(command, i)); i++)
                if (opt->letter == letter)
                        return opt;
        return NULL;
}

/* memcpy, since members are reached by their offsets and the compiler does not know their types here. */
static int set(const struct er_command *command, const struct er_opt *opt, const char *value, void *opts,
               struct er_common_opts *common, struct er_err *err)
{
        char *at = (char *)(is_common(opt) ? (void *)common : opts) + opt->offset;
        int64_t number = 0;
        uint64_t size;
        int rc = 0;

        switch (opt->type) {
        case ER_OPT_FLAG:
                memcpy(at, &(bool){true}, sizeof(bool));
                return 0;
        case ER_OPT_TEXT:
                memcpy(at, &value, sizeof value);
                return 0;
        case ER_OPT_LIST:
                er_strv_add((struct er_strv *)(void *)at, value);
                return 0;
        case ER_OPT_COUNT:
                rc = er_parse_int(value, 0, INT32_MAX, &number, err);
                break;
        case ER_OPT_SIZE:
                rc = er_parse_size(value, &size, err);
                if (rc == 0 && size > INT64_MAX)
                        rc = er_err_set(err, ER_CONFIG, "%s is too large", value);
                number = rc == 0 ? (int64_t)size : 0;
                break;
        case ER_OPT_DURATION:
                rc = er_parse_duration(value, &number, err);
                break;
        }
        if (rc < 0) {
                er_err_wrap(err, "--%s", opt->name);
                if (err)
                        err->code = ER_USAGE;
                return usage(command, err);
        }
        memcpy(at, &number, sizeof number);
        return 0;
}

static int parse_long(const struct er_command *command, char *const *argv, int count, int *pos, void *opts,
                      struct er_common_opts *common, struct er_err *err)
{
        struct er_sv rest = er_sv(argv[*pos] + 2), name = rest;
        const char *equals = strchr(rest.ptr, '='), *value = NULL;
        const struct er_opt *opt;

        if (equals) {
                name.len = (size_t)(equals - rest.ptr);
                value = equals + 1;
        }
        opt = by_name(command, name);
        if (!opt)
                return unknown(command, name, err);
        if (opt->type == ER_OPT_FLAG && value) {
                er_err_set(err, ER_USAGE, "--%s takes no value", opt->name);
                return usage(command, err);
        }
        if (opt->type != ER_OPT_FLAG && !value) {
                if (*pos + 1 >= count) {
                        er_err_set(err, ER_USAGE, "--%s needs a value: --%s %s", opt->name, opt->name, opt->value);
                        return usage(command, err);
                }
                value = argv[++*pos];
        }
        return set(command, opt, value, opts, common, err);
}

static int parse_letters(const struct er_command *command, char *const *argv, int count, int *pos, void *opts,
                         struct er_common_opts *common, struct er_err *err)
{
        for (const char *p = argv[*pos] + 1; *p; p++) {
                const struct er_opt *opt = by_letter(command, *p);
                const char *value = NULL;

                if (!opt) {
                        er_auto(er_str) shown = ER_STR_INIT;

                        er_quote_show(&shown, argv[*pos], strlen(argv[*pos]));
                        if (p == argv[*pos] + 1 && !p[1])
                                er_err_set(err, ER_USAGE, "unknown option %s", shown.buf);
                        else
                                er_err_set(err, ER_USAGE, "unknown option -%c in %s", *p, shown.buf);
                        return usage(command, err);
                }
                if (opt->type != ER_OPT_FLAG) {
                        value = p[1] ? p + 1 : NULL;
                        if (!value && *pos + 1 >= count) {
                                er_err_set(err, ER_USAGE, "-%c needs a value: -%c %s", *p, *p, opt->value);
                                return usage(command, err);
                        }
                        if (!value)
                                value = argv[++*pos];
                }
                if (set(command, opt, value, opts, common, err) < 0)
                        return -1;
                if (value)
                        break;
        }
        return 0;
}

static void prepare(const struct er_command *command, void *opts)
{
        if (command->opts_size > 0)
                memset(opts, 0, command->opts_size);
        for (size_t i = 0; i < command->opt_count; i++) {
                const struct er_opt *opt = &command->opts[i];

                if (opt->type == ER_OPT_COUNT || opt->type == ER_OPT_SIZE || opt->type == ER_OPT_DURATION)
                        memcpy((char *)opts + opt->offset, &(int64_t){-1}, sizeof(int64_t));
        }
}

static int check_count(const struct er_command *command, int count, struct er_err *err)
{
        if (count < command->min_args)
                er_err_set(err, ER_USAGE, "%s: missing argument: errand %s %s", command->name, command->name,
                           command->arguments ? command->arguments : "");
        else if (command->max_args >= 0 && count > command->max_args)
                er_err_set(err, ER_USAGE, "%s takes %s", command->name,
                           command->max_args == 0 ? "no arguments" : "fewer arguments");
        else
                return 0;
        return usage(command, err);
}

int er_opts_parse(const struct er_command *command, char *const *argv, int count, void *opts,
                  struct er_common_opts *common, char ***ret_args, int *ret_count, struct er_err *err)
{
        er_autofree char **args = er_calloc((size_t)count + 1, sizeof *args);
        int found = 0, rc = 0;
        bool only_args = false;

        prepare(command, opts);
        for (int i = 0; i < count && rc == 0; i++) {
                const char *arg = argv[i];

                if (only_args || arg[0] != '-' || arg[1] == '\0') {
                        args[found++] = argv[i];
                        only_args |= command->stop_at_argument;
                } else if (er_streq(arg, "--"))
                        only_args = true;
                else if (arg[1] == '-')
                        rc = parse_long(command, argv, count, &i, opts, common, err);
                else
                        rc = parse_letters(command, argv, count, &i, opts, common, err);
                if (common->help)
                        break; /* --help works whatever else is on the line */
        }
        if (rc == 0 && !common->help)
                rc = check_count(command, found, err);
        if (rc < 0) {
                er_opts_release(command, opts);
                return -1;
        }
        *ret_args = er_take(args);
        *ret_count = found;
        return 0;
}

void er_opts_release(const struct er_command *command, void *opts)
{
        for (size_t i = 0; i < command->opt_count; i++)
                if (command->opts[i].type == ER_OPT_LIST)
                        er_strv_release((struct er_strv *)(void *)((char *)opts + command->opts[i].offset));
}

/* help.c - see help.h */
#include "cli/help.h"

#include "base/term.h"
#include "cli/opts.h"
#include "cli/words.h"

#define WIDTH_MAX 100u
#define OPTION_COLUMN 28u
#define COMMAND_COLUMN 14u

const char *const er_groups[] = {"Run", "Follow", "Hosts", "Clean up", "About"};
const size_t er_group_count = ER_LEN(er_groups);

static const char first_minute[] = "errand run python3 train.py\ton this machine\n"
                                   "errand run --on me@gpu-box python3 train.py\ton a host you reach by SSH\n"
                                   "errand jobs\twhat ran or is running, and where\n";

static void heading(struct er_str *out, const char *text, bool colour)
{
        er_str_addf(out, "%s%s%s\n", colour ? "\033[1m" : "", text, colour ? "\033[0m" : "");
}

static void pad(struct er_str *out, size_t line_start, size_t column)
{
        size_t used = er_term_columns(out->buf + line_start, out->len - line_start);

        do
                er_str_addc(out, ' ');
        while (++used < column);
}

/* Adds text in a column of its own; its first line continues the current line. */
static void column_text(struct er_str *out, const char *text, size_t column, size_t width)
{
        er_auto(er_str) wrapped = ER_STR_INIT;

        er_wrap(&wrapped, text, column, width);
        er_str_addn(out, wrapped.buf + column, wrapped.len - column);
}

bool er_help_example(struct er_sv *rest, struct er_sv *ret_command, struct er_sv *ret_what)
{
        struct er_sv line;

        if (!er_sv_cut(rest, '\n', &line) || line.len == 0)
                return false;
        er_sv_cut(&line, '\t', ret_command);
        *ret_what = line.ptr ? line : ER_SV("");
        return true;
}

/* Shows beside each command what it does, or below it if that would be too wide. */
static void examples(struct er_str *out, const char *text, size_t width)
{
        struct er_sv rest = er_sv(text), command, what;
        size_t column = 0, longest = 0;
        bool beside;

        while (er_help_example(&rest, &command, &what)) {
                column = command.len + 4 > column ? command.len + 4 : column;
                longest = what.len > longest ? what.len : longest;
        }
        beside = column + longest <= width;
        rest = er_sv(text);
        while (er_help_example(&rest, &command, &what)) {
                size_t start = out->len;

                er_str_add(out, "  ");
                er_str_addn(out, command.ptr, command.len);
                if (what.len > 0) {
                        if (beside)
                                pad(out, start, column);
                        else
                                er_str_add(out, "\n      ");
                        er_str_addn(out, what.ptr, what.len);
                }
                er_str_addc(out, '\n');
        }
}

void er_help_overview(struct er_str *out, bool colour, size_t width)
{
        width = width > WIDTH_MAX ? WIDTH_MAX : width;
        er_wrap(out, "errand runs your script on any machine and brings the results back.", 0, width);
        for (size_t g = 0; g < er_group_count; g++) {
                er_str_addc(out, '\n');
                heading(out, er_groups[g], colour);
                for (size_t i = 0; i < er_command_count; i++) {
                        const struct er_command *command = er_commands[i];
                        size_t start = out->len;

                        if (command->flags & ER_CMD_HIDDEN || !er_streq(command->group, er_groups[g]))
                                continue;
                        er_str_addf(out, "  %s", command->name);
                        pad(out, start, COMMAND_COLUMN);
                        column_text(out, command->summary, COMMAND_COLUMN, width);
                }
        }
        er_str_addc(out, '\n');
        heading(out, "Getting started", colour);
        examples(out, first_minute, width);
        er_str_add(out, "\nFor more about a command: errand help COMMAND\n");
}

void er_help_usage(struct er_str *out, const struct er_command *command)
{
        if (command == &er_cmd_errand)
                er_str_add(out, "errand [OPTION]...");
        else
                er_str_addf(out, "errand %s [OPTION]...", command->name);
        if (command->arguments && command->arguments[0])
                er_str_addf(out, " %s", command->arguments);
}

void er_help_option(struct er_str *out, const struct er_opt *opt)
{
        if (opt->letter)
                er_str_addf(out, "-%c, --%s", opt->letter, opt->name);
        else
                er_str_addf(out, "    --%s", opt->name);
        if (opt->value)
                er_str_addf(out, " %s", opt->value);
}

void er_help_command(struct er_str *out, const struct er_command *command, bool colour, size_t width)
{
        const struct er_opt *opt;

        width = width > WIDTH_MAX ? WIDTH_MAX : width;
        er_str_add(out, "Usage: ");
        er_help_usage(out, command);
        er_str_add(out, "\n\n");
        er_wrap(out, command->summary, 0, width);
        if (command->description) {
                er_str_addc(out, '\n');
                er_wrap(out, command->description, 0, width);
        }
        er_str_addc(out, '\n');
        heading(out, "Options", colour);
        for (size_t i = 0; (opt = er_command_opt(command, i)); i++) {
                size_t start = out->len;

                er_str_add(out, "  ");
                er_help_option(out, opt);
                if (er_term_columns(out->buf + start, out->len - start) + 2 > OPTION_COLUMN) {
                        er_str_addc(out, '\n');
                        start = out->len;
                }
                pad(out, start, OPTION_COLUMN);
                column_text(out, opt->help, OPTION_COLUMN, width);
        }
        if (command->examples) {
                er_str_addc(out, '\n');
                heading(out, "Examples", colour);
                examples(out, command->examples, width);
        }
}

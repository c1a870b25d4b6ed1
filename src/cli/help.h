/*
 * help.h - the tables as text: the help of a command, and the overview that `errand` alone prints.
 */
#ifndef ER_CLI_HELP_H
#define ER_CLI_HELP_H

#include "cli/command.h"

/* "Run", "Follow", ... in the order they are shown. */
extern const char *const er_groups[];
extern const size_t er_group_count;

void er_help_overview(struct er_str *out, bool colour, size_t width);
void er_help_command(struct er_str *out, const struct er_command *command, bool colour, size_t width);
/* "errand run [OPTION]... [[--] COMMAND [ARG]...]" */
void er_help_usage(struct er_str *out, const struct er_command *command);
/* "-d, --detach" or "    --on HOST" */
void er_help_option(struct er_str *out, const struct er_opt *opt);
/* Takes one line "command\twhat it does\n" off *rest; false at the end. */
bool er_help_example(struct er_sv *rest, struct er_sv *ret_command, struct er_sv *ret_what);

#endif

/* cmd_help.c - errand help */
#include <unistd.h>
#include "base/term.h"
#include "cli/help.h"
#include "cli/words.h"

static int help(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;
        bool colour = er_term_colour(STDOUT_FILENO);
        size_t width = (size_t)er_term_width(STDOUT_FILENO);
        const struct er_command *command = count > 0 ? er_command_find(args[0]) : NULL;

        (void)cli;
        (void)arg;
        if (count > 0 && !command)
                return er_command_unknown(args[0], err);
        if (command)
                er_help_command(&text, command, colour, width);
        else
                er_help_overview(&text, colour, width);
        return er_out(er_svn(text.buf, text.len), err);
}

const struct er_command er_cmd_help = {
        .name = "help",
        .group = "About",
        .summary = "List all commands, or show the help of one",
        .arguments = "[COMMAND]",
        .max_args = 1,
        .complete = ER_COMPLETE_NAME,
        .run = help,
};

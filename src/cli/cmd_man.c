/* cmd_man.c - errand man: the manual, from the program itself. */
#include <unistd.h>
#include "base/io.h"
#include "base/proc.h"
#include "base/term.h"
#include "cli/help.h"
#include "cli/roff.h"
#include "cli/words.h"

struct man_opts {
        bool roff;
};

static const struct er_opt man_options[] = {
        {"roff", 0, ER_OPT_FLAG, NULL, "Print the source of the page, for packaging", offsetof(struct man_opts, roff),
         ER_COMPLETE_NONE},
};

/* Shows the page with whatever program shows manual pages here. */
static int show(const struct er_str *page, bool *ret_shown, struct er_err *err)
{
        static const char *const viewers[][4] = {{"man", "-l", "-", NULL}, {"mandoc", "-a", NULL}};
        er_auto(er_proc) proc = ER_PROC_INIT;

        for (size_t i = 0; i < ER_LEN(viewers); i++) {
                er_auto(er_strv) argv = ER_STRV_INIT;
                er_autofree char *path = er_proc_which(viewers[i][0]);
                struct er_proc_opts opts = {.io = {ER_PROC_PIPE, ER_PROC_INHERIT, ER_PROC_INHERIT}};
                int status;

                if (!path)
                        continue;
                for (size_t j = 0; viewers[i][j]; j++)
                        er_strv_add(&argv, viewers[i][j]);
                opts.argv = argv.items;
                if (er_proc_start(&opts, &proc, err) < 0)
                        return -1;
                if (er_write_full(proc.io[0], page->buf, page->len) < 0) {
                        /* the user quit before the end */
                }
                er_close(&proc.io[0]);
                if (er_proc_wait(&proc, ER_NEVER, &status, err) < 0)
                        return -1;
                *ret_shown = status == 0;
                return 0;
        }
        *ret_shown = false;
        return 0;
}

static int man(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct man_opts *opts = arg;
        const struct er_command *command = count > 0 ? er_command_find(args[0]) : NULL;
        er_auto(er_str) page = ER_STR_INIT;
        er_auto(er_str) text = ER_STR_INIT;
        bool shown = false;

        (void)cli;
        if (count > 0 && !command)
                return er_command_unknown(args[0], err);
        if (command)
                er_roff_command(&page, command);
        else
                er_roff_main(&page);
        if (opts->roff)
                return er_out(er_svn(page.buf, page.len), err);
        if (show(&page, &shown, err) < 0 || shown)
                return shown ? 0 : -1;
        if (command) /* no man here */
                er_help_command(&text, command, er_term_colour(STDOUT_FILENO), (size_t)er_term_width(STDOUT_FILENO));
        else
                er_help_overview(&text, er_term_colour(STDOUT_FILENO), (size_t)er_term_width(STDOUT_FILENO));
        return er_out(er_svn(text.buf, text.len), err);
}

const struct er_command er_cmd_man = {
        .name = "man",
        .group = "About",
        .summary = "Show the manual page of errand or of a command",
        .arguments = "[COMMAND]",
        .opts = man_options,
        .opt_count = ER_LEN(man_options),
        .opts_size = sizeof(struct man_opts),
        .max_args = 1,
        .complete = ER_COMPLETE_NAME,
        .run = man,
};

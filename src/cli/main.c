/* main.c - finds the command, parses its options, opens what it needs, runs it, and prints what went wrong. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/term.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/opts.h"
#include "cli/words.h"
#include "er_config.h"
#include "host/connect/session.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* If a standard descriptor is closed, we would print into whatever file we open first. */
static void fill_standard_fds(void)
{
        int fd = open("/dev/null", O_RDWR); /* not O_CLOEXEC: those that fill a gap are inherited */

        while (fd >= 0 && fd <= STDERR_FILENO)
                fd = open("/dev/null", O_RDWR);
        if (fd >= 0)
                close(fd);
}

/* The path for starting this program again (owned). */
static char *find_program(const char *argv0)
{
        char buf[4096];
        ssize_t len = readlink("/proc/self/exe", buf, sizeof buf - 1);
        char *found;

        if (len > 0 && (size_t)len < sizeof buf - 1) {
                buf[len] = '\0';
                if (access(buf, X_OK) == 0) /* not so after an upgrade: "... (deleted)" */
                        return er_strdup(buf);
        }
        if (argv0 && strchr(argv0, '/'))
                return er_path_abs(argv0);
        found = argv0 ? er_proc_which(argv0) : NULL;
        return found ? found : er_strdup("errand");
}

static int help(const struct er_command *command, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;
        bool colour = er_term_colour(STDOUT_FILENO);
        size_t width = (size_t)er_term_width(STDOUT_FILENO);

        if (command == &er_cmd_errand)
                er_help_overview(&text, colour, width);
        else
                er_help_command(&text, command, colour, width);
        return er_out(er_svn(text.buf, text.len), err);
}

static void say_waiting(const char *host)
{
        er_say(&(struct er_cli){0}, "waiting for %s to answer ...", host);
}

static int run_command(const struct er_command *command, const char *argv0, char *const *argv, int count,
                       struct er_common_opts *common, struct er_err *err)
{
        er_autofree char *program = NULL, *state_dir = NULL;
        er_autofree char **args = NULL;
        er_autofree void *opts = er_calloc(1, command->opts_size + 1);
        struct er_cli cli = {0};
        int arg_count, rc = -1;

        if (er_opts_parse(command, argv, count, opts, common, &args, &arg_count, err) < 0)
                return -1;
        if (common->help) {
                er_opts_release(command, opts);
                return help(command, err);
        }
        cli.json = common->json;
        cli.quiet = common->quiet;
        if (!cli.quiet)
                er_session_on_waiting(say_waiting);
        cli.program = program = find_program(argv0);
        cli.state_dir = state_dir = common->state_dir ? er_path_abs(common->state_dir) : er_dir_state();
        if (!(command->needs & ER_NEED_STORE) || er_store_open(cli.state_dir, &cli.store, err) == 0)
                rc = command->run(&cli, opts, args, arg_count, err);
        if (cli.store)
                er_store_close(cli.store);
        er_opts_release(command, opts);
        return rc;
}

static int dispatch(int argc, char **argv, struct er_err *err)
{
        struct er_common_opts common = {0};
        er_autofree char **args = NULL;
        const struct er_command *command;
        int count;

        if (er_opts_parse(&er_cmd_errand, argv + 1, argc - 1, NULL, &common, &args, &count, err) < 0)
                return -1;
        if (common.version)
                return er_out_line(err, "errand %s", ER_VERSION);
        if (count == 0)
                return help(&er_cmd_errand, err);
        command = er_command_find(args[0]);
        if (!command)
                return er_command_unknown(args[0], err);
        if (common.help)
                return help(command, err);
        return run_command(command, argv[0], args + 1, count - 1, &common, err);
}

int main(int argc, char **argv)
{
        er_auto(er_err) err = ER_ERR_INIT;
        int rc;

        fill_standard_fds();
#ifdef M_ARENA_MAX
        mallopt(M_ARENA_MAX, 1); /* our threads mostly wait, so an arena for each costs more than sharing one */
#endif
        signal(SIGPIPE, SIG_IGN);
        rc = dispatch(argc > 0 ? argc : 1, argv, &err);
        if (rc >= 0)
                return rc;
        if (err.code != ER_DETACHED) /* the command has already said how to follow it */
                er_say_err(&err);
        return er_code_exit_status(err.code != ER_OK ? err.code : ER_INTERNAL);
}

/* cmd_maestro.c - errand maestro: carries open runs to their end. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include "base/parse.h"
#include "cli/words.h"
#include "maestro/maestro.h"

#define LOOK_MS 1000

struct maestro_opts {
        struct er_strv runs;
};

static const struct er_opt maestro_options[] = {
        {"run", 0, ER_OPT_LIST, "ID", "Carry only the run with this number in the store, and exit when it ends",
         offsetof(struct maestro_opts, runs), ER_COMPLETE_NONE},
};

static struct er_cancel *signalled;

static void on_signal(int number)
{
        int why = errno;

        (void)number;
        er_cancel_fire(signalled);
        errno = why;
}

/* SIGHUP too: the terminal it was started from may close. */
static void catch_signals(struct er_cancel *stop)
{
        static const int numbers[] = {SIGINT, SIGTERM};
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

        signalled = stop;
        sigemptyset(&action.sa_mask);
        for (size_t i = 0; i < ER_LEN(numbers); i++)
                sigaction(numbers[i], &action, NULL);
}

static void on_warn(void *arg, const struct er_job *job, const struct er_err *err)
{
        er_say(arg, "%s: %s", job->name, err->message ? err->message : er_code_name(err->code));
}

static int carry_these(struct er_cli *cli, const struct er_strv *names, struct er_cancel *stop, struct er_err *err)
{
        const struct er_maestro_opts opts = {.store = cli->store, .stop = stop, .ui = {.arg = cli, .warn = on_warn}};
        er_autofree int64_t *ids = er_calloc(names->len, sizeof *ids);

        for (size_t i = 0; i < names->len; i++)
                if (er_parse_int(names->items[i], 1, INT64_MAX, &ids[i], err) < 0)
                        return er_err_wrap(err, "--run");
        if (er_maestro_carry(&opts, ids, names->len, NULL, err) < 0)
                return err->code == ER_DETACHED ? er_code_exit_status(ER_DETACHED) : -1;
        return 0;
}

/* All runs found orphaned at one look are carried by one process with one loop. If it dies, the next look notices. */
static int carry_all(struct er_cli *cli, struct er_cancel *stop, struct er_err *err)
{
        struct pollfd wait = {.fd = stop->fds[0], .events = POLLIN};

        er_say(cli, "carrying all open runs until Ctrl-C; runs go on after that");
        while (!er_cancel_fired(stop)) {
                int started = er_maestro_adopt(cli->store, cli->program, err);

                if (started < 0)
                        return -1;
                if (started > 0)
                        er_say(cli, "took over %d run%s", started, started == 1 ? "" : "s");
                poll(&wait, 1, LOOK_MS);
        }
        return 0;
}

static int maestro(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct maestro_opts *opts = arg;
        struct er_cancel stop;
        int rc;

        (void)args;
        (void)count;
        if (er_cancel_init(&stop) < 0)
                return er_err_errno(err, errno, "making a pipe");
        catch_signals(&stop);
        rc = opts->runs.len > 0 ? carry_these(cli, &opts->runs, &stop, err) : carry_all(cli, &stop, err);
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        er_cancel_release(&stop);
        return rc;
}

const struct er_command er_cmd_maestro = {
        .name = "maestro",
        .group = "Run",
        .summary = "Carry all open runs to their end, until stopped",
        .arguments = "",
        .description = "You do not normally need this command. errand run carries its own run to the end; a run that "
                       "you leave is carried by a process in the background; and errand jobs, show, wait and cancel "
                       "take over runs that were orphaned by a crash or a reboot. Run errand maestro as a user service "
                       "to take them over even if nobody looks.",
        .opts = maestro_options,
        .opt_count = ER_LEN(maestro_options),
        .opts_size = sizeof(struct maestro_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .run = maestro,
};

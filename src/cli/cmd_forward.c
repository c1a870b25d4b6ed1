/* cmd_forward.c - errand forward: ports of a host on this machine. */
#include <poll.h>
#include "base/clock.h"
#include "base/parse.h"
#include "cli/forwarding.h"
#include "cli/words.h"

#define PORTS_MAX 64
#define START_MS 10000
#define LOOK_MS 50

struct forward_opts {
        bool detach;
};

static const struct er_opt forward_options[] = {
        {"detach", 'd', ER_OPT_FLAG, NULL, "Forward in the background, until the job ends",
         offsetof(struct forward_opts, detach), ER_COMPLETE_NONE},
};

struct wanted {
        const char *name;
        struct er_port ports[PORTS_MAX];
        size_t count;
};

static const char *host_name(const struct er_where *where)
{
        return where->is_job ? where->job.host : where->host.name;
}

static int show(const struct er_cli *cli, const struct er_where *where, const struct wanted *wanted, struct er_err *err)
{
        for (size_t i = 0; i < wanted->count; i++) {
                const struct er_port *port = &wanted->ports[i];

                if (er_out_line(err, "127.0.0.1:%u", port->local) < 0)
                        return -1;
                er_say(cli, "http://127.0.0.1:%u leads to port %u of %s", port->local, port->port, host_name(where));
        }
        return 0;
}

/* On this machine there is nothing to do except to say so, unless the user wants another port. */
static int forward_here(const struct er_cli *cli, const struct er_where *where, struct wanted *wanted, bool *ret_done,
                        struct er_err *err)
{
        size_t same = 0;

        for (size_t i = 0; i < wanted->count; i++)
                same += !wanted->ports[i].exact || wanted->ports[i].local == wanted->ports[i].port;
        *ret_done = where->host.kind == ER_HOST_LOCAL && same == wanted->count;
        if (!*ret_done)
                return 0;
        for (size_t i = 0; i < wanted->count; i++)
                if (er_out_line(err, "127.0.0.1:%u", wanted->ports[i].port) < 0)
                        return -1;
        er_say(cli, "%s%s this machine: there is nothing to forward", where->is_job ? where->job.name : "local",
               where->is_job ? " runs on" : " is");
        return 0;
}

static int ended(const struct er_cli *cli, const struct er_where *where)
{
        er_auto(er_str) line = ER_STR_INIT;

        er_target_result(&line, &where->job);
        er_say(cli, "%s; forwarding ends with it", line.buf);
        return 0;
}

static int forward_once(const struct er_cli *cli, struct er_live *live, struct er_where *where, struct wanted *wanted,
                        const struct er_signals *signals, bool *again, struct er_err *err)
{
        struct er_forwarding_words words = {.live = live};
        er_autoptr(er_forward) forward = NULL;
        int end;

        if (er_forwarding_open(cli, &words, &where->host, wanted->ports, wanted->count, &forward, err) < 0)
                return -1;
        if (!*again && show(cli, where, wanted, err) < 0)
                return -1;
        for (size_t i = 0; i < wanted->count; i++) {
                if (!*again && !er_forward_answers(forward, wanted->ports[i].port))
                        er_say(cli, "nothing listens on port %u there yet", wanted->ports[i].port);
                wanted->ports[i].exact = true; /* also when the job moves */
        }
        if (!*again)
                er_say(cli, "Ctrl-C ends the forwarding%s", where->is_job ? ", not the job" : "");
        end = er_forwarding_wait(cli, where, signals, err);
        *again = end == ER_FORWARDING_MOVED;
        if (end == ER_FORWARDING_MOVED)
                er_say(cli, "%s is on %s now", where->job.name, where->job.host);
        return end < 0 ? -1 : end == ER_FORWARDING_ENDED ? ended(cli, where) : 0;
}

static int forward_all(const struct er_cli *cli, struct er_where *where, struct wanted *wanted, struct er_err *err)
{
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        er_auto(er_signals) signals = ER_SIGNALS_INIT;
        bool again = false;
        int rc;

        if (er_signals_catch(&signals, err) < 0)
                return -1;
        do {
                bool done;

                rc = er_forwarding_wait_for_start(cli, live, where, &signals, err);
                if (rc == 0)
                        return ended(cli, where);
                if (rc < 0 || (!again && forward_here(cli, where, wanted, &done, err) < 0))
                        return -1;
                if (!again && done)
                        return 0;
                rc = forward_once(cli, live, where, wanted, &signals, &again, err);
        } while (rc == 0 && again);
        return rc;
}

static int forward(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct forward_opts *opts = arg;
        er_auto(er_where) where = ER_WHERE_INIT;
        struct wanted wanted = {.name = args[0]};
        bool done;

        for (int i = 1; i < count; i++) {
                if (wanted.count == PORTS_MAX)
                        return er_err_set(err, ER_USAGE, "at most %d ports at once", PORTS_MAX);
                if (er_port_parse(args[i], &wanted.ports[wanted.count++], err) < 0)
                        return -1;
        }
        if (er_where_find(cli, args[0], &where, err) < 0)
                return -1;
        if (where.is_job && er_job_state_ended(where.job.state)) {
                er_auto(er_str) line = ER_STR_INIT;

                er_target_result(&line, &where.job);
                er_err_set(err, ER_STATE, "%s", line.buf);
                return er_err_hint(err, "to forward a port of the host itself, use errand forward %s %s",
                                   where.job.host ? where.job.host : "HOST", args[1]);
        }
        if (!opts->detach)
                return forward_all(cli, &where, &wanted, err);
        /* Give a job that was only just submitted time to start. */
        for (er_deadline until = er_deadline_in(START_MS);
             where.is_job && where.job.state < ER_JOB_STARTING && er_deadline_poll_ms(until) != 0;) {
                poll(NULL, 0, LOOK_MS);
                if (er_where_reload(cli, &where, err) < 0)
                        return -1;
        }
        if (where.is_job && where.job.state < ER_JOB_STARTING)
                return er_err_set(err, ER_STATE, "%s has not started yet", where.job.name);
        if (forward_here(cli, &where, &wanted, &done, err) < 0)
                return -1;
        if (done)
                return 0;
        if (er_forwarding_detach(cli, where.is_job ? where.job.name : wanted.name, wanted.ports, wanted.count, err) < 0)
                return -1;
        return show(cli, &where, &wanted, err);
}

const struct er_command er_cmd_forward = {
        .name = "forward",
        .group = "Follow",
        .summary = "Forward a port of a job's host to this machine",
        .arguments = "JOB|HOST PORT[:LOCAL]...",
        .description = "Use this for whatever a job serves: TensorBoard, Gradio, a debugger. A connection to port "
                       "LOCAL of this machine goes through ssh to 127.0.0.1:PORT on the host, so nothing there has to "
                       "listen on the network. Without LOCAL, the same number is used, or the next free one if it is "
                       "taken. LOCAL+ means LOCAL or the next free port; 0 means any free port. The addresses are "
                       "printed on standard output, one per line.\n"
                       "\n"
                       "Forwarding goes on until Ctrl-C, or until the job ends. While the host cannot be reached, open "
                       "connections are closed and new ones wait for up to two minutes. If nothing listens on PORT, "
                       "errand says so and connections are refused.\n"
                       "\n"
                       "If the job has not started yet, errand forward waits for it. If the job runs on this machine, "
                       "there is nothing to forward and only the address is printed.",
        .examples = "errand forward mnist-12 6006\tTensorBoard of a job at http://127.0.0.1:6006\n"
                    "errand forward gpu-box 7860:8080\tport 7860 of the host at http://127.0.0.1:8080\n",
        .opts = forward_options,
        .opt_count = ER_LEN(forward_options),
        .opts_size = sizeof(struct forward_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .min_args = 2,
        .max_args = -1,
        .complete = ER_COMPLETE_JOB,
        .run = forward,
};

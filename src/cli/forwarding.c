/* forwarding.c - see forwarding.h */
#include "cli/forwarding.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/proc.h"
#include "cli/words.h"
#include "maestro/maestro.h"

#define LOOK_MS 100
#define ADOPT_EVERY_MS 5000
#define DETACH_MS 60000 /* for the background process to be ready: it may have to connect */
#define SAID_MAX (64u * 1024)

/* --- ports */

static int parse_number(struct er_sv text, uint64_t least, uint16_t *ret)
{
        er_autofree char *copy = er_sv_dup(text);
        uint64_t number;

        if (er_parse_u64(copy, 65535, &number, NULL) < 0 || number < least)
                return -1;
        *ret = (uint16_t)number;
        return 0;
}

int er_port_parse(const char *text, struct er_port *ret, struct er_err *err)
{
        struct er_sv rest = er_sv(text), there;
        struct er_port port = {0};
        bool or_next = false;

        er_sv_cut(&rest, ':', &there);
        if (rest.ptr && rest.len > 1 && rest.ptr[rest.len - 1] == '+') {
                or_next = true;
                rest.len--;
        }
        if (parse_number(there, 1, &port.port) < 0 || (rest.ptr && parse_number(rest, 0, &port.local) < 0)) {
                er_err_set(err, ER_USAGE, "\"%s\" is not a port", text);
                return er_err_hint(err, "give PORT, or PORT:LOCAL for another port here; LOCAL+ means LOCAL or the "
                                        "next free port, 0 any free port");
        }
        if (!rest.ptr)
                port.local = port.port;
        port.exact = rest.ptr && port.local != 0 && !or_next;
        *ret = port;
        return 0;
}

/* --- signals */

static struct er_cancel *signalled;
static struct sigaction before[3];
static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

static void on_signal(int number)
{
        int why = errno;

        (void)number;
        er_cancel_fire(signalled);
        errno = why;
}

int er_signals_catch(struct er_signals *signals, struct er_err *err)
{
        if (er_cancel_init(&signals->stop) < 0)
                return er_err_errno(err, errno, "making a pipe");
        signalled = &signals->stop;
        signals->on = true;
        for (size_t i = 0; i < ER_LEN(numbers); i++) {
                struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

                sigemptyset(&action.sa_mask);
                if (sigaction(numbers[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
                        sigaction(numbers[i], &action, NULL);
        }
        return 0;
}

void er_signals_release(struct er_signals *signals)
{
        if (!signals->on)
                return;
        for (size_t i = 0; i < ER_LEN(numbers); i++)
                sigaction(numbers[i], &before[i], NULL);
        er_cancel_release(&signals->stop);
        signals->on = false;
}

/* --- the forwarding */

static void on_news(void *arg, enum er_forward_news what, const char *text)
{
        const struct er_forwarding_words *words = arg;
        const char *const more[] = {
                [ER_FORWARD_LOST] = words->when_lost ? words->when_lost
                                                     : "new connections wait while errand keeps trying",
                [ER_FORWARD_BACK] = NULL,
                [ER_FORWARD_REFUSED] =
                        "is the server running, and does it listen on 127.0.0.1? The next connection tries again",
                [ER_FORWARD_FAILED] = NULL,
        };

        er_live_say(words->live, "%s", text);
        if (more[what])
                er_live_more(words->live, "%s", more[what]);
}

int er_forwarding_open(const struct er_cli *cli, struct er_forwarding_words *words, const struct er_host *host,
                       struct er_port *ports, size_t count, struct er_forward **ret, struct er_err *err)
{
        er_autoptr(er_forward) forward = NULL;
        er_autoptr(er_session) session = NULL;
        const struct er_hello *hello;

        if (host->kind != ER_HOST_LOCAL && (er_target_session(cli, host->name, words->live, &session, err) < 0 ||
                                            er_session_hello(session, &hello, err) < 0))
                return -1;
        er_live_clear(words->live);
        if (er_forward_open(host, on_news, words, &forward, err) < 0)
                return -1;
        for (size_t i = 0; i < count; i++)
                if (er_forward_add(forward, ports[i].port, ports[i].local, ports[i].exact, &ports[i].local, err) < 0)
                        return -1;
        if (er_forward_start(forward, err) < 0)
                return -1;
        *ret = er_take(forward);
        return 0;
}

/* Looks once. Returns 1 if something in the store has changed, -1 if a signal came. */
static int look(const struct er_cli *cli, const struct er_signals *signals, int64_t *seen, er_deadline *adopt_at)
{
        struct pollfd stop = {.fd = signals->stop.fds[0], .events = POLLIN};
        int64_t now;

        if (poll(&stop, 1, LOOK_MS) > 0)
                return -1;
        if (er_deadline_poll_ms(*adopt_at) == 0) { /* the process that carries the job may have died */
                er_target_adopt(cli);
                *adopt_at = er_deadline_in(ADOPT_EVERY_MS);
        }
        now = er_store_version(cli->store);
        if (now == *seen)
                return 0;
        *seen = now;
        return 1;
}

int er_forwarding_wait(const struct er_cli *cli, struct er_where *where, const struct er_signals *signals,
                       struct er_err *err)
{
        er_autofree char *host = where->is_job && where->job.host ? er_strdup(where->job.host) : NULL;
        struct pollfd stop = {.fd = signals->stop.fds[0], .events = POLLIN};
        er_deadline adopt_at = er_deadline_in(ADOPT_EVERY_MS);
        int64_t seen = -1;

        if (!where->is_job) {
                while (poll(&stop, 1, -1) <= 0)
                        ;
                return ER_FORWARDING_STOPPED;
        }
        for (;;) {
                int rc = look(cli, signals, &seen, &adopt_at);

                if (rc < 0)
                        return ER_FORWARDING_STOPPED;
                if (rc == 0)
                        continue;
                if (er_where_reload(cli, where, err) < 0)
                        return -1;
                if (er_job_state_ended(where->job.state))
                        return ER_FORWARDING_ENDED;
                if (where->job.host && !er_streq(where->job.host, host))
                        return ER_FORWARDING_MOVED;
        }
}

int er_forwarding_wait_for_start(const struct er_cli *cli, struct er_live *live, struct er_where *where,
                                 const struct er_signals *signals, struct er_err *err)
{
        er_deadline adopt_at = er_deadline_in(ADOPT_EVERY_MS);
        int64_t seen = er_store_version(cli->store);

        while (where->is_job && (where->job.state < ER_JOB_STARTING || !where->job.host)) {
                if (where->job.detail && where->job.detail[0])
                        er_live_set(live, "%s: %s", where->job.name, where->job.detail);
                else
                        er_live_set(live, "waiting for %s to start", where->job.name);
                if (look(cli, signals, &seen, &adopt_at) < 0)
                        return er_err_set(err, ER_CANCELLED, "%s has not started yet", where->job.name);
                if (er_where_reload(cli, where, err) < 0)
                        return -1;
        }
        er_live_clear(live);
        return !where->is_job || !er_job_state_ended(where->job.state);
}

/* --- in the background */

/* Reads its first lines, which say where each port is. */
static int read_locals(struct er_proc *proc, struct er_port *ports, size_t count, er_deadline deadline)
{
        er_auto(er_str) text = ER_STR_INIT;
        size_t lines = 0;

        while (lines < count) {
                struct pollfd p = {.fd = proc->io[1], .events = POLLIN};
                const char *colon;
                uint64_t number;
                char c;

                if (poll(&p, 1, er_deadline_poll_ms(deadline)) <= 0 || read(proc->io[1], &c, 1) != 1)
                        return -1;
                if (c != '\n') {
                        er_str_addc(&text, c);
                        continue;
                }
                colon = strrchr(text.buf, ':');
                if (!colon || er_parse_u64(colon + 1, 65535, &number, NULL) < 0)
                        return -1;
                ports[lines++].local = (uint16_t)number;
                er_str_reset(&text);
        }
        return 0;
}

/* Turns its error message and hint into ours. */
static int explain(const struct er_str *said, struct er_err *err)
{
        struct er_sv rest = er_sv_trim(er_svn(said->buf, said->len)), line;
        er_autofree char *message = NULL;
        er_auto(er_str) hint = ER_STR_INIT;

        if (er_sv_starts(rest, er_sv("errand: ")))
                rest = er_svn(rest.ptr + 8, rest.len - 8);
        er_sv_cut(&rest, '\n', &line);
        message = er_sv_dup(line);
        while (er_sv_cut(&rest, '\n', &line)) {
                line = er_sv_trim(line);
                er_str_addf(&hint, "%s%.*s", hint.len ? " " : "", (int)line.len, line.ptr);
        }
        er_err_set(err, ER_NET, "%s", message && message[0] ? message : "the forwarding did not start");
        return hint.len ? er_err_hint(err, "%s", hint.buf) : -1;
}

int er_forwarding_detach(const struct er_cli *cli, const char *name, struct er_port *ports, size_t count,
                         struct er_err *err)
{
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_str) said = ER_STR_INIT;
        struct er_proc proc = ER_PROC_INIT;
        struct er_proc_opts opts = {.io = {ER_PROC_NULL, ER_PROC_PIPE, ER_PROC_PIPE}, .cwd = "/", .new_session = true};
        char buf[4096];
        ssize_t n;

        er_strv_add(&argv, cli->program);
        er_strv_add(&argv, "--state-dir");
        er_strv_add(&argv, cli->state_dir);
        er_strv_add(&argv, "forward");
        er_strv_add(&argv, name);
        for (size_t i = 0; i < count; i++) {
                er_strv_addf(&argv, "%u:%u%s", ports[i].port, ports[i].local,
                             ports[i].exact || ports[i].local == 0 ? "" : "+");
        }
        opts.argv = argv.items;
        if (er_proc_start(&opts, &proc, err) < 0)
                return -1;
        if (read_locals(&proc, ports, count, er_deadline_in(DETACH_MS)) == 0) {
                /* Not released, as that would end it: it is to outlive us. */
                er_close(&proc.io[1]);
                er_close(&proc.io[2]);
                return 0;
        }
        er_proc_kill(&proc);
        while (said.len < SAID_MAX && (n = read(proc.io[2], buf, sizeof buf)) > 0)
                er_str_addn(&said, buf, (size_t)n);
        er_proc_release(&proc);
        return explain(&said, err);
}

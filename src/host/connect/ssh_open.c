/* ssh_open.c - see ssh_open.h */
#include "host/connect/ssh_open.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/io.h"
#include "base/log.h"
#include "host/connect/control.h"
#include "host/connect/master.h"
#include "host/connect/mux.h"
#include "host/connect/ssh.h"

#define MUX_ANSWER_MS 10000 /* a master that takes longer to open a session has lost its connection */
#define FAST_ANSWER_MS 1000 /* for a listener to accept; a session is the fallback */
#define RETRY_MS 300        /* how long to retry a full connection before making another */
#define REFUSED_MS 10000    /* how long to retry while the host refuses all logins for the moment */
#define ASK_MAX 4           /* full connections tried in one round */
#define STARTS_MAX 8        /* masters that come up and are gone or full when we get to them */
#define FULL_TIMES 10       /* patience with a host that is full of our own sessions, in multiples of patience_ms */

/* One try at a session on a slot's master. */
static enum er_mux_answer try_slot(const struct er_connect *connect, const char *path, const char *command,
                                   struct er_link *ret, struct er_err *err)
{
        int64_t patience_ms = connect->patience_ms < MUX_ANSWER_MS ? connect->patience_ms : MUX_ANSWER_MS;
        int theirs[3];
        enum er_mux_answer answer;

        if (er_link_pipes(ret, theirs, err) < 0)
                return ER_MUX_ODD;
        answer = er_mux_open(&ret->mux, path, command, theirs, er_deadline_in(patience_ms), connect->cancel);
        for (int i = 0; i < 3; i++)
                er_close(&theirs[i]);
        if (answer == ER_MUX_OPENED)
                ret->transport = &er_transport_mux;
        else
                er_link_release(ret);
        return answer;
}

/* What one round over the masters' sockets found. */
struct round {
        char *base;           /* (owned) the sockets' path before the number */
        bool stuck[ER_SLOTS]; /* tried before, without an answer: not tried again */
        bool live[ER_SLOTS];  /* there, but full */
        int live_count;
        int prefer; /* a slot just started, or -1 */
};

/* Tries slot 0, the one just started, and a few of the others at random: all of them would be too many when hundreds
   look. */
static enum er_mux_answer try_round(const struct er_connect *connect, struct round *round, int ask_max,
                                    const char *command, struct er_link *ret, struct er_err *err)
{
        int order[ER_SLOTS], count = 0, asked = 0;
        int shift = (int)er_random_below(ER_SLOTS - 1);

        if (round->prefer >= 0)
                order[count++] = round->prefer;
        if (round->prefer != 0)
                order[count++] = 0;
        for (int i = 0; i < ER_SLOTS - 1; i++) {
                int slot = 1 + (i + shift) % (ER_SLOTS - 1);

                if (slot != round->prefer)
                        order[count++] = slot;
        }
        round->prefer = -1;
        round->live_count = 0;
        for (int i = 0; i < count; i++) {
                int slot = order[i];
                er_autofree char *path = er_fmt("%s%d", round->base, slot);
                enum er_mux_answer answer;

                round->live[slot] = false;
                if (round->stuck[slot] || (slot != 0 && access(path, F_OK) < 0))
                        continue;
                if (asked >= ask_max) {
                        round->live[slot] = true; /* probably: its socket exists */
                        round->live_count++;
                        continue;
                }
                asked++;
                answer = try_slot(connect, path, command, ret, err);
                if (answer == ER_MUX_OPENED)
                        ret->slot = slot;
                if (answer == ER_MUX_FULL) {
                        round->live[slot] = true;
                        round->live_count++;
                } else if (answer == ER_MUX_SILENT) {
                        er_connect_note(connect, "%s: the connection hangs; opening another", connect->host->name);
                        round->stuck[slot] = true;
                } else if (answer != ER_MUX_DEAD) {
                        return answer;
                }
        }
        return round->live_count ? ER_MUX_FULL : ER_MUX_DEAD;
}

/* Starts one more master on the first free slot that nobody else is starting. */
static enum er_master_result start_one(const struct er_connect *connect, struct round *round, bool has_turn,
                                       struct er_err *err)
{
        struct er_connect own = *connect;
        int tried = 0;

        /* The user is asked once: further connections are made without asking, or not at all. */
        if (round->live_count > 0)
                own.interactive = false;

        for (int slot = 0; slot < ER_SLOTS && tried < 4; slot++) {
                enum er_master_result result;

                if (round->live[slot] || round->stuck[slot])
                        continue;
                result = er_master_start(&own, slot, has_turn, err);
                if (result == ER_MASTER_UP)
                        round->prefer = slot;
                if (result != ER_MASTER_BUSY)
                        return result;
                tried++;
        }
        return ER_MASTER_BUSY;
}

static int still_full(const struct er_connect *connect, const struct round *round, struct er_err *err)
{
        er_err_set(err, ER_CAPACITY, "%s: no free session: all %d connections to it are full", connect->host->name,
                   round->live_count);
        er_err_hint(err, "wait until some of your jobs there have ended, or raise MaxSessions in its sshd_config");
        return er_err_retry(err);
}

/* Tells the user something, once. */
static void tell(const struct er_connect *connect, const char **told, const char *what)
{
        if (*told == what)
                return;
        *told = what;
        er_connect_note(connect, "%s: %s", connect->host->name, what);
}

/* 0: open; 1: control sockets cannot be used; -1 with err. */
static int open_through(const struct er_connect *connect, struct round *round, const char *command, struct er_link *ret,
                        struct er_err *err)
{
        static const char connecting[] = "connecting", refusing[] = "accepts no logins for the moment; trying again",
                          full_up[] = "waiting for a free session";
        er_deadline full = er_deadline_in(connect->patience_ms * FULL_TIMES), refused = er_deadline_in(REFUSED_MS);
        er_deadline patient = er_deadline_in(2000), grow = er_deadline_in(RETRY_MS);
        er_auto(er_err) why = ER_ERR_INIT;
        const char *told = NULL;
        int64_t pause_ms = 20;
        int starts = 0;

        for (;;) {
                enum er_mux_answer answer = try_round(connect, round, ASK_MAX, command, ret, &why);
                enum er_master_result result = ER_MASTER_BUSY;
                er_autoclose int turn = -1;

                er_err_clear(&why);
                /* With a turn for one more connection, all others are tried once more: hundreds want the same, and
                   the connections made a moment ago have room for nearly all of them. */
                if (answer == ER_MUX_FULL && er_deadline_poll_ms(grow) == 0 &&
                    (turn = er_master_try_turn(connect->host)) >= 0)
                        answer = try_round(connect, round, ER_SLOTS, command, ret, &why);
                if (answer == ER_MUX_OPENED)
                        return 0;
                if (answer == ER_MUX_CANCELLED)
                        return er_connect_cancelled(connect, err) ? -1 : er_err_set(err, ER_CANCELLED, "cancelled");
                if (answer == ER_MUX_ODD || answer == ER_MUX_DENIED)
                        return 1;
                if (answer == ER_MUX_DEAD && !told)
                        tell(connect, &told, connecting);
                if (answer == ER_MUX_DEAD || turn >= 0)
                        result = start_one(connect, round, turn >= 0, &why);
                er_close(&turn);
                if (result == ER_MASTER_UP && ++starts < STARTS_MAX)
                        continue;
                if (result == ER_MASTER_UNUSABLE || (result == ER_MASTER_UP && answer == ER_MUX_DEAD))
                        return 1;
                if (er_connect_cancelled(connect, err))
                        return -1;
                /* While connections to the host work, a refused login is just one too many. */
                if (round->live_count == 0 &&
                    (result == ER_MASTER_FAILED || (result == ER_MASTER_REFUSED && er_deadline_poll_ms(refused) == 0)))
                        return er_err_move(err, &why);
                if (er_deadline_poll_ms(full) == 0)
                        return still_full(connect, round, err);
                if (round->live_count == 0 && result == ER_MASTER_REFUSED)
                        tell(connect, &told, refusing);
                else if (round->live_count > 0 && er_deadline_poll_ms(patient) == 0)
                        tell(connect, &told, full_up);
                if (er_connect_pause(connect, pause_ms, err) < 0)
                        return -1;
                pause_ms = pause_ms < (round->live_count ? 200 : 800) ? pause_ms * 3 / 2 : pause_ms;
        }
}

static int open_shared(const struct er_connect *connect, const char *command, struct er_link *ret, struct er_err *err)
{
        struct round round = {.base = er_control_file(connect->host, ""), .prefer = -1};
        int rc = open_through(connect, &round, command, ret, err);

        free(round.base);
        return rc;
}

static int open_process(const struct er_connect *connect, const char *command, struct er_link *ret, struct er_err *err)
{
        er_auto(er_strv) extra = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_strv) env = ER_STRV_INIT;
        struct er_proc_opts opts = {.io = {ER_PROC_FD, ER_PROC_FD, ER_PROC_FD}, .new_session = !connect->interactive};
        int rc;

        er_strv_add(&extra, "-oControlMaster=no");
        if (er_ssh_argv(connect->host, connect->interactive, connect->patience_ms, &extra, &argv, err) < 0)
                return -1;
        er_strv_add(&argv, command);
        if (er_master_turn(connect, &ret->turn, err) < 0)
                return -1;
        er_connect_note(connect, "%s: connecting", connect->host->name);
        er_link_vars(&env);
        opts.argv = argv.items;
        opts.env = env.items;
        if (er_link_pipes(ret, opts.fds, err) < 0) {
                er_link_release(ret);
                return -1;
        }
        rc = er_proc_start(&opts, &ret->proc, err);
        for (int i = 0; i < 3; i++)
                er_close(&opts.fds[i]);
        if (rc < 0) {
                er_link_release(ret);
                return er_err_hint(err, "install OpenSSH's client (package openssh-client)");
        }
        ret->transport = &er_transport_process;
        return 0;
}

int er_ssh_open(const struct er_connect *connect, const char *command, struct er_link *ret, struct er_err *err)
{
        er_autofree char *path = er_control_path(connect->host, 0);
        int rc = path ? open_shared(connect, command, ret, err) : 1;

        if (rc <= 0)
                return rc;
        er_debug("host", "%s: no shared connection, using an ssh process", connect->host->name);
        return open_process(connect, command, ret, err);
}

bool er_ssh_open_fast(const struct er_connect *connect, const struct er_fast *fast, struct er_link *ret)
{
        er_autofree char *path = er_fast_socket(fast, connect->host);
        er_autoclose int fd = path ? er_mux_connect(path, er_deadline_in(FAST_ANSWER_MS)) : -1;

        er_debug("host", "%s: listener %s: %s", connect->host->name, fast->socket, fd < 0 ? "not there" : "asked");
        if (fd < 0) {
                if (path && errno == ECONNREFUSED) /* its master is gone, and the next one would not replace it */
                        unlink(path);
                return false;
        }
        ret->from = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (ret->from < 0)
                return false;
        ret->to = er_take_fd(&fd);
        ret->transport = &er_transport_fast;
        ret->slot = fast->slot;
        return true;
}

static int mux_status(struct er_link *link, er_deadline deadline)
{
        return er_mux_exit(&link->mux, deadline);
}

/* A plain connection reports no exit status. */
static int fast_status(struct er_link *link, er_deadline deadline)
{
        (void)link;
        (void)deadline;
        return -1;
}

/* ssh itself ends with 255 when the connection is to blame. */
static int process_status(struct er_link *link, er_deadline deadline)
{
        int status = -1;

        if (link->proc.pid > 0)
                er_proc_wait(&link->proc, deadline, &status, NULL);
        return status == 255 ? -1 : status;
}

const struct er_transport er_transport_mux = {
        .name = "mux",
        .remote = true,
        .status = mux_status,
};

const struct er_transport er_transport_fast = {
        .name = "fast",
        .remote = true,
        .status = fast_status,
};

const struct er_transport er_transport_process = {
        .name = "process",
        .remote = true,
        .status = process_status,
};

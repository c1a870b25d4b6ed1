/* session_open.c - opening a session, its first answer, and what the end of its stream means. */
#include "host/connect/session_impl.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/lock.h"
#include "base/log.h"
#include "base/parse.h"
#include "host/connect/agent_blob.h"
#include "host/connect/agent_program.h"
#include "host/connect/control.h"
#include "host/connect/install.h"
#include "host/connect/local.h"
#include "host/connect/ssh_explain.h"
#include "host/connect/ssh_open.h"

#define PATIENCE_MS 30000
#define LOGIN_TIMES 2          /* patience with an ssh process that has yet to log in, in multiples of patience_ms */
#define ASKED_TIMES 10         /* ... and may ask a person for a password */
#define FAST_PATIENCE_MS 3000  /* with a listener; then a session is opened */
#define NOISE_MAX (64u * 1024) /* what a login shell may print before the agent speaks */
#define NOISE_KEPT 300u
#define INSTALLS_MAX 3u
#define RETRIES_MAX 12u
#define INSTALL_WAIT_MS 300000 /* for another process that is installing the agent there */

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

static void build_hello(const struct er_fast *fast, struct er_str *out)
{
        size_t start = er_frame_begin(out, ER_F_HELLO, ER_HELLO_ID);

        er_msg_u64(out, ER_T_VERSION_MIN, ER_PROTO_VERSION_MIN);
        er_msg_u64(out, ER_T_VERSION_MAX, ER_PROTO_VERSION_MAX);
        er_msg_text(out, ER_T_BUILD, er_agent_build);
        er_msg_i64(out, ER_T_NOW, er_now_ms());
        if (fast->linger_ms) {
                er_msg_u64(out, ER_T_LINGER, (uint64_t)fast->linger_ms);
                er_msg_text(out, ER_T_LISTENER, fast->name);
        }
        er_frame_end(out, start);
}

/* It may hold secrets. */
static void forget_replay(struct er_session *session)
{
        if (session->replay.len)
                explicit_bzero(session->replay.buf, session->replay.len);
        er_str_release(&session->replay);
}

/* Starts `errand-agent serve` on the host. Over ssh, only the end of the stream tells that it is missing. */
static int open_agent(struct er_session *session, struct er_err *err)
{
        const struct er_connect *connect = &session->connect;
        er_autofree char *command = NULL;

        if (connect->host->kind == ER_HOST_LOCAL)
                return er_local_open_agent(connect, &session->link, err);
        if (session->fast.socket[0] && er_ssh_open_fast(connect, &session->fast, &session->link))
                return 0;
        command = er_agent_command(connect->host);
        return er_ssh_open(connect, command, &session->link, err);
}

/* Opens the link and sends everything there is to send so far. */
static int open_link(struct er_session *session, struct er_err *err)
{
        struct er_str *replay = &session->replay;
        struct er_sv left = er_svn(replay->buf, replay->len);
        int64_t patience_ms = session->connect.patience_ms;

        er_link_release(&session->link);
        er_str_reset(&session->noise);
        session->start = session->end = session->held = 0;
        if (open_agent(session, err) < 0)
                return -1;
        if (session->fast.socket[0] && session->link.transport != &er_transport_fast)
                er_fast_failed(&session->fast);
        session->opened++;
        session->hello_sent_ms = er_now_ms();
        /* An ssh process logs in only now, and may ask a person for a password first. */
        if (session->link.transport == &er_transport_process)
                patience_ms *= session->connect.interactive ? ASKED_TIMES : LOGIN_TIMES;
        if (session->link.transport == &er_transport_fast && patience_ms > FAST_PATIENCE_MS)
                patience_ms = FAST_PATIENCE_MS;
        session->hello_by = er_deadline_in(patience_ms);
        while (left.len > 0) {
                ssize_t n = send(session->link.to, left.ptr, left.len, MSG_NOSIGNAL);
                struct pollfd p = {.fd = session->link.to, .events = POLLOUT};

                if (n > 0) {
                        left.ptr += n;
                        left.len -= (size_t)n;
                } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
                        if (poll(&p, 1, er_deadline_poll_ms(session->hello_by)) == 0)
                                break;
                } else if (errno != EINTR) {
                        break; /* gone already: reading will tell */
                }
        }
        return 0;
}

int er_session_open(const struct er_host *host, const struct er_session_opts *opts, struct er_session **ret,
                    struct er_err *err)
{
        static const struct er_session_opts none;
        struct er_session *session = er_new(struct er_session);

        if (!opts)
                opts = &none;
        er_host_copy(host, &session->host);
        session->cancel = opts->cancel;
        session->silence_ms = opts->silence_ms;
        session->connect = (struct er_connect){
                .host = &session->host,
                .interactive = opts->interactive,
                .patience_ms = opts->connect_ms > 0 ? opts->connect_ms : PATIENCE_MS,
                .cancel = opts->cancel,
                .note = opts->note,
                .note_arg = opts->note_arg,
        };
        er_fast_init(&session->fast, &session->host);
        session->link = (struct er_link)ER_LINK_INIT;
        er_str_init(&session->replay);
        er_str_init(&session->noise);
        session->parked_end = &session->parked;
        session->next_id = ER_HELLO_ID + 1;
        session->in = er_malloc(ER_IN_MAX);
        build_hello(&session->fast, &session->replay);
        if (open_link(session, err) < 0) {
                er_session_free(session);
                return -1;
        }
        *ret = session;
        return 0;
}

void er_session_free(struct er_session *session)
{
        if (!session)
                return;
        er_link_release(&session->link);
        while (session->parked) {
                struct er_parked *next = session->parked->next;

                free(session->parked);
                session->parked = next;
        }
        free(session->given);
        free(session->dropped);
        free(session->in);
        forget_replay(session);
        er_str_release(&session->noise);
        free(session->build);
        free(session->boot_id);
        free(session->hostname);
        free(session->root);
        er_err_release(&session->why);
        er_fast_release(&session->fast);
        er_host_release(&session->host);
        free(session);
}

/* The error that every use of a broken session gets. */
int er_session_refuse(const struct er_session *session, struct er_err *err)
{
        const struct er_err *why = &session->why;

        er_err_set(err, why->code, "%s", why->message ? why->message : "the connection broke");
        if (err && why->provider_code)
                err->provider_code = er_strdup(why->provider_code);
        if (why->hint)
                er_err_hint(err, "%s", why->hint);
        if (why->retryable)
                er_err_retry(err);
        return -1;
}

int er_session_break(struct er_session *session, struct er_err *why, struct er_err *err)
{
        if (!session->broken) {
                session->broken = true;
                er_err_move(&session->why, why);
        }
        return er_session_refuse(session, err);
}

static char *text_of(struct er_sv payload, enum er_tag tag)
{
        char *text = er_msg_dup(payload, tag);

        return text ? text : er_strdup("");
}

static void take_hello(struct er_session *session, struct er_sv payload)
{
        int64_t now_ms = er_now_ms();
        int64_t theirs_ms = er_msg_get_i64(payload, ER_T_NOW, now_ms);

        session->build = text_of(payload, ER_T_BUILD);
        session->boot_id = text_of(payload, ER_T_BOOT_ID);
        session->hostname = text_of(payload, ER_T_HOSTNAME);
        session->root = text_of(payload, ER_T_ROOT);
        session->hello = (struct er_hello){
                .build = session->build,
                .boot_id = session->boot_id,
                .hostname = session->hostname,
                .root = session->root,
                .version = (unsigned)er_msg_get_u64(payload, ER_T_VERSION, 1),
                /* The agent read its clock between our sending and our receiving. */
                .clock_skew_ms = theirs_ms < session->hello_sent_ms ? theirs_ms - session->hello_sent_ms
                                 : theirs_ms > now_ms               ? theirs_ms - now_ms
                                                                    : 0,
        };
        session->greeted = true;
        if (session->link.transport == &er_transport_fast)
                er_fast_worked(&session->fast);
        else
                er_fast_told(&session->fast, &session->host, session->link.slot, er_msg_get(payload, ER_T_LISTENER));
        forget_replay(session);
        er_debug("host", "%s: agent %s, clock %+lld ms%s", session->host.name, session->build,
                 (long long)session->hello.clock_skew_ms,
                 session->link.transport == &er_transport_fast ? ", reached by its listener" : "");
}

static int too_noisy(struct er_session *session, struct er_err *err)
{
        er_auto(er_str) words = ER_STR_INIT;
        struct er_sv noise = er_svn(session->in + session->start, session->end - session->start), line = {"", 0};

        er_sv_cut(&noise, '\n', &line);
        er_quote_show(&words, line.ptr, line.len < NOISE_KEPT ? line.len : NOISE_KEPT);
        er_err_set(err, ER_REMOTE, "%s: the login shell prints too much before errand-agent starts: %s",
                   session->host.name, words.buf);
        return er_err_hint(err, "make .bashrc (or whatever prints this) silent when the shell is not interactive");
}

int er_session_find_hello(struct er_session *session, struct er_err *err)
{
        size_t len = session->end - session->start;
        const char *data = session->in + session->start;

        for (size_t at = 0; at + ER_FRAME_HEADER <= len; at++) {
                const unsigned char *p = (const unsigned char *)data + at;
                struct er_frame frame;
                int whole;

                /* type, three zeros, our request's number (or 0: an ERROR about the stream) */
                if ((p[4] != ER_F_HELLO_OK && p[4] != ER_F_ERROR) || p[5] || p[6] || p[7] || p[8] > ER_HELLO_ID ||
                    p[9] || p[10] || p[11])
                        continue;
                whole = er_frame_parse(data + at, len - at, &frame, NULL);
                if (whole == 0)
                        return 0;
                if (whole < 0 || !er_msg_is_sound(frame.payload))
                        continue;
                if (at > 0)
                        er_debug("host", "%s: %zu bytes of noise before the agent", session->host.name, at);
                session->start += at + frame.size;
                if (frame.type == ER_F_ERROR) {
                        er_frame_to_err(&frame, err);
                        return er_err_wrap(err, "%s", session->host.name);
                }
                take_hello(session, frame.payload);
                return 1;
        }
        if (len > NOISE_MAX)
                return too_noisy(session, err);
        return 0;
}

/* What the other end said before it went, fit to print: its stderr, else what came instead of an answer. */
static void last_words(struct er_session *session, struct er_str *ret)
{
        struct er_sv said = er_sv_trim(er_svn(session->link.said.buf, session->link.said.len));
        struct er_sv noise = er_sv_trim(er_svn(session->in + session->start, session->end - session->start));

        if (said.len == 0)
                said = noise;
        if (said.len > NOISE_KEPT) {
                said.ptr += said.len - NOISE_KEPT;
                said.len = NOISE_KEPT;
        }
        if (said.len)
                er_quote_show(ret, said.ptr, said.len);
}

/* Installs the agent on the host, or waits for another process that does. */
static int install(struct er_session *session, struct er_err *err)
{
        er_autofree char *path = er_control_file(&session->host, "install");
        er_deadline deadline = er_deadline_in(INSTALL_WAIT_MS);
        er_autoclose int lock = -1;

        session->installed++;
        er_link_release(&session->link); /* it may occupy one of the few sessions */
        if (er_lock_file(path, 0, &lock, NULL) == 0)
                return er_install(&session->connect, err);
        er_connect_note(&session->connect, "%s: errand-agent is being installed", session->host.name);
        while (er_lock_file(path, 0, &lock, NULL) < 0 && er_deadline_poll_ms(deadline) != 0)
                if (er_connect_pause(&session->connect, 100, err) < 0)
                        return -1;
        return 0;
}

/* The stream ended before the first answer, with the exit status of a program. */
static int explain_status(struct er_session *session, int status, struct er_err *err)
{
        er_auto(er_str) words = ER_STR_INIT;

        last_words(session, &words);
        er_err_set(err, ER_REMOTE, "%s: errand-agent does not start: status %d%s%s", session->host.name, status,
                   words.len ? ": " : "", words.buf);
        return er_err_hint(err, "`errand doctor %s` looks for the reason", session->host.name);
}

/* -1 with why: give up. 0: reopen. */
static int on_early_end(struct er_session *session, struct er_err *why)
{
        struct er_link *link = &session->link;
        bool remote = link->transport->remote;
        int status;

        /* A listener is gone or does not answer: that says nothing about the host. */
        if (link->transport == &er_transport_fast) {
                er_link_release(link);
                er_fast_failed(&session->fast);
                return 0;
        }
        status = link->transport->status(link, er_deadline_in(3000));
        er_link_drain_errs(link, er_deadline_in(status < 0 ? 500 : 100));
        er_debug("host", "%s: ended early with %d: %s", session->host.name, status, link->said.buf);
        if (status >= 0 && (!remote || session->installed >= INSTALLS_MAX))
                return explain_status(session, status, why);
        if (status >= 0)
                return install(session, why);
        if (!remote) {
                er_err_set(why, ER_TRANSPORT, "%s: errand-agent ended unexpectedly", session->host.name);
                return er_err_retry(why);
        }
        /* The master is gone, or the host accepts no more logins for the moment: another try may succeed. */
        if (!er_ssh_explain(&session->host, session->connect.interactive, link->said.buf, -1, why) &&
            link->transport != &er_transport_mux)
                return -1;
        if (++session->retried > RETRIES_MAX)
                return -1;
        /* Sessions open and end without a status, again and again: so ends a program that a signal kills, such as an
           agent that a full disk or a power cut has damaged. */
        if (link->transport == &er_transport_mux && session->retried == 4 && session->installed < INSTALLS_MAX)
                return install(session, why);
        er_link_release(link);
        er_err_clear(why);
        return er_connect_pause(&session->connect, 50 << (session->retried < 6 ? session->retried : 6), why);
}

int er_session_on_end(struct er_session *session, struct er_err *err)
{
        er_auto(er_err) why = ER_ERR_INIT;
        er_auto(er_str) words = ER_STR_INIT;
        struct er_link *link = &session->link;
        int status;

        if (!session->greeted) {
                bool installing = session->installed > 0;

                if (on_early_end(session, &why) == 0 && open_link(session, &why) == 0)
                        return 0;
                /* What was sent may have arrived before the connection broke; "cannot be reached" would deny that. */
                if (why.code == ER_NET && !installing && session->retried > 0) {
                        why.code = ER_TRANSPORT;
                        er_err_retry(&why);
                }
                return er_session_break(session, &why, err);
        }
        er_close(&link->to);
        status = link->transport->status(link, er_deadline_in(1000));
        er_link_drain_errs(link, er_deadline_in(100));
        if (status < 0 && link->transport->remote) {
                er_ssh_explain(&session->host, session->connect.interactive, link->said.buf, -1, &why);
                if (why.code == ER_NET)
                        why.code = ER_TRANSPORT; /* it was there a moment ago */
        } else {
                last_words(session, &words);
                er_err_set(&why, ER_TRANSPORT, "%s: errand-agent ended (status %d%s%s)", session->host.name, status,
                           words.len ? ": " : "", words.buf);
        }
        er_err_retry(&why);
        er_link_release(link);
        return er_session_break(session, &why, err);
}

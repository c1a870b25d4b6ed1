/* session.c - see session.h: frames in and out, and which request they belong to. Opening is in session_open.c. */
#include "host/connect/session_impl.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "host/connect/ssh_open.h"

#define ROOM_MIN (64u * 1024)          /* with less room than this, the buffer is compacted before reading */
#define READ_MAX (256u * 1024)         /* most bytes read at once: a buffer that stays in the cache is faster */
#define PARKED_MAX (32u * 1024 * 1024) /* frames nobody has asked for yet */
#define REPLAY_MAX (512u * 1024)       /* kept of what is sent before the first answer */
#define PING_AGAIN_MS 5000             /* when there was no room for one */
#define PING_MS 15000                  /* a host is pinged after this much silence */
#define WATCH_SILENCE_MS 45000         /* ... and given up while it is watched */
#define SILENCE_MS 120000              /* ... or while it works for us: it may unpack a lot at once */
#define SAY_MS 5000                    /* the user hears of it after this much silence */

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

bool er_frame_is_closing(enum er_frame_type type)
{
        return type == ER_F_OK || type == ER_F_END || type == ER_F_ERROR || type == ER_F_PROBE_OK ||
               type == ER_F_HELLO_OK;
}

const char *er_session_host(const struct er_session *session)
{
        return session->host.name;
}

bool er_session_is_logged_in(const struct er_session *session)
{
        return session->greeted || session->link.transport != &er_transport_process;
}

bool er_session_is_sound(const struct er_session *session)
{
        return session->greeted && !session->broken;
}

uint32_t er_session_next_id(struct er_session *session)
{
        return session->next_id++;
}

static void (*say_waiting)(const char *host);

void er_session_on_waiting(void (*say)(const char *host))
{
        say_waiting = say;
}

void er_session_heartbeat(struct er_session *session, bool on)
{
        session->heartbeat = on;
}

int64_t er_session_our_time(const struct er_session *session, int64_t theirs_ms)
{
        return theirs_ms ? theirs_ms - session->hello.clock_skew_ms : 0;
}

int64_t er_session_their_time(const struct er_session *session, int64_t ours_ms)
{
        return ours_ms ? ours_ms + session->hello.clock_skew_ms : 0;
}

/* The frame returned by the last call is no longer needed. */
static void let_go(struct er_session *session)
{
        session->start += session->held;
        session->held = 0;
        free(session->given);
        session->given = NULL;
}

static void park(struct er_session *session, const struct er_frame *frame)
{
        struct er_parked *parked = er_malloc(sizeof *parked + frame->payload.len);

        parked->next = NULL;
        parked->frame = *frame;
        if (frame->payload.len)
                memcpy(parked->data, frame->payload.ptr, frame->payload.len);
        parked->frame.payload = er_svn(parked->data, frame->payload.len);
        *session->parked_end = parked;
        session->parked_end = &parked->next;
        session->parked_bytes += sizeof *parked + frame->payload.len;
}

static bool take_parked(struct er_session *session, uint32_t first, uint32_t last, struct er_frame *ret)
{
        for (struct er_parked **p = &session->parked; *p; p = &(*p)->next) {
                struct er_parked *found = *p;

                if (found->frame.id < first || found->frame.id > last)
                        continue;
                *p = found->next;
                if (!*p)
                        session->parked_end = p;
                session->parked_bytes -= sizeof *found + found->frame.payload.len;
                session->given = found;
                *ret = found->frame;
                return true;
        }
        return false;
}

bool er_session_take_waiting(struct er_session *session, uint32_t id, struct er_frame *ret, struct er_str *payload)
{
        for (struct er_parked **p = &session->parked; *p; p = &(*p)->next) {
                struct er_parked *found = *p;

                if (found->frame.id != id)
                        continue;
                *p = found->next;
                if (!*p)
                        session->parked_end = p;
                session->parked_bytes -= sizeof *found + found->frame.payload.len;
                er_str_reset(payload);
                er_str_addn(payload, found->frame.payload.ptr, found->frame.payload.len);
                *ret = found->frame;
                ret->payload = er_svn(payload->buf, payload->len);
                free(found);
                return true;
        }
        return false;
}

static bool is_dropped(struct er_session *session, const struct er_frame *frame)
{
        for (size_t i = 0; i < session->dropped_len; i++) {
                if (session->dropped[i] != frame->id)
                        continue;
                if (er_frame_is_closing(frame->type))
                        session->dropped[i] = session->dropped[--session->dropped_len];
                return true;
        }
        return false;
}

void er_session_drop(struct er_session *session, uint32_t id, bool stream)
{
        er_auto(er_str) stop = ER_STR_INIT;
        struct er_parked **p;

        let_go(session);
        session->dropped = er_grow(session->dropped, &session->dropped_cap, session->dropped_len + 1,
                                   sizeof *session->dropped);
        session->dropped[session->dropped_len++] = id;
        for (p = &session->parked; *p;) {
                struct er_parked *parked = *p;

                if (parked->frame.id != id || !is_dropped(session, &parked->frame)) {
                        p = &parked->next;
                        continue;
                }
                *p = parked->next;
                session->parked_bytes -= sizeof *parked + parked->frame.payload.len;
                free(parked);
        }
        session->parked_end = p;
        if (stream && !session->broken) {
                er_frame_end(&stop, er_frame_begin(&stop, ER_F_STOP, id));
                er_session_send(session, er_svn(stop.buf, stop.len), NULL);
        }
}

/* Looks at the whole frames that have been read. 1: *ret is a wanted one; 0: read more; -1: broken, with err. With
   first > last none is wanted, and all are put aside. */
static int sort(struct er_session *session, uint32_t first, uint32_t last, struct er_frame *ret, struct er_err *err)
{
        er_auto(er_err) why = ER_ERR_INIT;

        for (;;) {
                struct er_frame frame;
                int whole;

                if (!session->greeted) {
                        int found = er_session_find_hello(session, &why);

                        if (found <= 0)
                                return found == 0 ? 0 : er_session_break(session, &why, err);
                }
                whole = er_frame_parse(session->in + session->start, session->end - session->start, &frame, &why);
                if (whole == 0)
                        return 0;
                if (whole < 0) {
                        er_err_wrap(&why, "%s", session->host.name);
                        return er_session_break(session, &why, err);
                }
                if (frame.id == 0 && frame.type == ER_F_ERROR) {
                        er_frame_to_err(&frame, &why);
                        er_err_wrap(&why, "%s", session->host.name);
                        return er_session_break(session, &why, err);
                }
                if (session->ping_id && frame.id == session->ping_id) {
                        session->ping_id = 0;
                        session->start += frame.size;
                        continue;
                }
                if (frame.id >= first && frame.id <= last) {
                        session->held = frame.size;
                        *ret = frame;
                        return 1;
                }
                if (!is_dropped(session, &frame))
                        park(session, &frame);
                session->start += frame.size;
                if (session->parked_bytes > PARKED_MAX) {
                        er_err_set(&why, ER_REMOTE, "%s: errand-agent sends answers nobody asked for",
                                   session->host.name);
                        return er_session_break(session, &why, err);
                }
        }
}

/* Reads what is there: 1 something came, 0 nothing there, -1 the end of the stream. */
static int fill(struct er_session *session)
{
        size_t room;
        ssize_t n;

        if (session->start == session->end)
                session->start = session->end = 0;
        if (ER_IN_MAX - session->end < ROOM_MIN && session->start > 0) {
                memmove(session->in, session->in + session->start, session->end - session->start);
                session->end -= session->start;
                session->start = 0;
        }
        if (session->end == ER_IN_MAX)
                return 0; /* cannot happen: no frame is so large, and whole ones are taken out */
        room = ER_IN_MAX - session->end;
        n = read(session->link.from, session->in + session->end, room < READ_MAX ? room : READ_MAX);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
                return 0;
        if (n <= 0)
                return -1;
        session->end += (size_t)n;
        if (session->link.turn >= 0)
                er_close(&session->link.turn);
        return 1;
}

static void ask_if_alive(struct er_session *session)
{
        er_auto(er_str) ping = ER_STR_INIT;

        uint32_t id = er_session_next_id(session);

        er_frame_end(&ping, er_frame_begin(&ping, ER_F_PING, id));
        /* A full pipe would carry it no faster, and part of a frame must not be left in it. A socket takes all 12
           bytes or none. */
        if (send(session->link.to, ping.buf, ping.len, MSG_NOSIGNAL) == (ssize_t)ping.len) {
                session->ping_id = id;
                session->pinged_ms = er_mono_ms();
        } else {
                er_debug("host", "%s: no room for a ping", session->host.name);
                session->ping_again = er_deadline_in(PING_AGAIN_MS);
        }
}

/* How long nothing may come before the host is given up. */
static int64_t silence_of(const struct er_session *session)
{
        int64_t most = session->heartbeat ? WATCH_SILENCE_MS : SILENCE_MS;

        return session->silence_ms > 0 && session->silence_ms < most ? session->silence_ms : most;
}

static int64_t ping_after(const struct er_session *session)
{
        int64_t third = silence_of(session) / 3;

        return third < PING_MS ? third : PING_MS;
}

/* A watched host without news is pinged; only if it does not answer that is it late. ER_NEVER: nothing to say. */
static er_deadline say_due(const struct er_session *session, int64_t since_ms)
{
        int64_t third = silence_of(session) / 3;

        if (session->said_waiting || (!session->greeted && (session->connect.interactive || session->connect.note)))
                return ER_NEVER;
        if (session->greeted && session->heartbeat)
                return session->ping_id ? since_ms + ping_after(session) + SAY_MS : ER_NEVER;
        return since_ms + (third < SAY_MS ? third : SAY_MS);
}

/* While writing no ping can be sent, and a host that reads slowly is not silent, unless it is watched. */
static bool beats(const struct er_session *session, bool writing)
{
        return session->greeted && (session->heartbeat || !writing);
}

static er_deadline later(er_deadline one, er_deadline other)
{
        return one > other ? one : other;
}

static er_deadline ping_due(const struct er_session *session, int64_t since_ms)
{
        return later(since_ms + ping_after(session), session->ping_again);
}

/* When the host is given up. A ping must have been out for long enough: this process may have been stopped meanwhile.
 */
static er_deadline silence_due(const struct er_session *session, bool writing, int64_t since_ms)
{
        int64_t most = silence_of(session);

        if (writing)
                return since_ms + most;
        if (session->ping_id)
                return later(since_ms + most, session->pinged_ms + most - ping_after(session));
        return since_ms + 2 * most; /* a ping cannot even be sent */
}

/* The next deadline of a wait that began at since_ms: a message, a ping, giving up, or the caller's own. */
static er_deadline next_due(const struct er_session *session, bool writing, int64_t since_ms, er_deadline deadline)
{
        er_deadline due = deadline, say = say_due(session, since_ms);

        if (say < due)
                due = say;
        if (!session->greeted && session->hello_by < due)
                due = session->hello_by;
        if (beats(session, writing)) {
                er_deadline beat = silence_due(session, writing, since_ms);

                if (beat < due)
                        due = beat;
                if (!writing && !session->ping_id && ping_due(session, since_ms) < due)
                        due = ping_due(session, since_ms);
        }
        return due;
}

/* One message per session. */
static void say_late(struct er_session *session)
{
        session->said_waiting = true;
        if (session->connect.note)
                er_connect_note(&session->connect, "waiting for %s to answer ...", session->host.name);
        else if (say_waiting)
                say_waiting(session->host.name);
}

/* A deadline has passed. -1 with err: give up. */
static int on_due(struct er_session *session, bool writing, int64_t since_ms, er_deadline deadline, struct er_err *err)
{
        er_auto(er_err) why = ER_ERR_INIT;
        int64_t now_ms = er_mono_ms();

        if (say_due(session, since_ms) <= now_ms)
                say_late(session);
        if (!session->greeted && session->hello_by <= now_ms && session->link.transport == &er_transport_fast)
                return er_session_on_end(session, err);
        if (!session->greeted && session->hello_by <= now_ms) {
                er_err_set(&why, ER_TIMEOUT, "%s: errand-agent does not answer", session->host.name);
                er_err_retry(&why);
                if (session->link.transport == &er_transport_process)
                        er_err_hint(&why,
                                    "either ssh cannot complete the login, or the home directory there hangs; `ssh -v "
                                    "%s` shows which",
                                    session->host.target);
                return er_session_break(session, &why, err);
        }
        if (beats(session, writing) && silence_due(session, writing, since_ms) <= now_ms) {
                er_err_set(&why, ER_TRANSPORT, "%s: no data for %d s", session->host.name,
                           (int)((silence_of(session) + 999) / 1000));
                er_err_retry(&why);
                return er_session_break(session, &why, err);
        }
        /* Not while writing: half a frame may be on its way. */
        if (beats(session, writing) && !writing && !session->ping_id && ping_due(session, since_ms) <= now_ms)
                ask_if_alive(session);
        if (deadline != ER_NEVER && deadline <= now_ms)
                return er_err_set(err, ER_TIMEOUT, "%s: no answer in time", session->host.name);
        return 0;
}

/* Waits until something was read, or (writing) can be written: 1 read, 2 can be written. -1 with err. */
static int wait_io(struct er_session *session, bool writing, er_deadline deadline, struct er_err *err)
{
        int64_t since_ms = er_mono_ms();

        for (;;) {
                struct pollfd p[4] = {
                        {.fd = session->link.from, .events = POLLIN},
                        {.fd = session->link.errs, .events = POLLIN},
                        {.fd = writing ? session->link.to : -1, .events = POLLOUT},
                        {.fd = session->cancel ? session->cancel->fds[0] : -1, .events = POLLIN},
                };
                int n = poll(p, 4, er_deadline_poll_ms(next_due(session, writing, since_ms, deadline)));
                int came = 0;

                if (n < 0 && errno != EINTR)
                        return er_err_errno(err, errno, "%s: wait", session->host.name);
                if (n > 0 && p[3].revents)
                        return er_err_set(err, ER_CANCELLED, "%s: cancelled", session->host.name);
                if (n > 0 && p[1].revents)
                        er_link_read_errs(&session->link);
                if (n > 0 && p[0].revents)
                        came = fill(session);
                if (came > 0)
                        return 1;
                if (came < 0) {
                        if (er_session_on_end(session, err) < 0)
                                return -1;
                        since_ms = er_mono_ms(); /* reopened */
                        if (writing)
                                return 2;
                        continue;
                }
                if (n > 0 && p[2].revents)
                        return 2;
                if (n <= 0 && on_due(session, writing, since_ms, deadline, err) < 0)
                        return -1;
        }
}

/* Writes the rest of the frames. Reopening sends all of them again by itself, and then nothing is left. */
static int write_all(struct er_session *session, struct er_sv frames, struct er_err *err)
{
        unsigned opened = session->opened;

        while (frames.len > 0) {
                ssize_t n = send(session->link.to, frames.ptr, frames.len, MSG_NOSIGNAL);
                struct er_frame none;
                int ready;

                if (n >= 0) {
                        frames.ptr += n;
                        frames.len -= (size_t)n;
                        continue;
                }
                if (errno == EINTR)
                        continue;
                if (errno != EAGAIN && errno != EWOULDBLOCK) {
                        /* Nothing reads there any more; its last words are in what we have read. */
                        while (fill(session) > 0)
                                if (sort(session, 1, 0, &none, err) < 0)
                                        return -1;
                        if (er_session_on_end(session, err) < 0)
                                return -1;
                        return 0;
                }
                ready = wait_io(session, true, ER_NEVER, err);
                if (ready < 0 || (ready == 1 && sort(session, 1, 0, &none, err) < 0))
                        return -1;
                if (session->opened != opened)
                        return 0;
        }
        return 0;
}

int er_session_send(struct er_session *session, struct er_sv frames, struct er_err *err)
{
        let_go(session);
        if (session->broken)
                return er_session_refuse(session, err);
        if (!session->greeted && session->replay.len + frames.len > REPLAY_MAX &&
            er_session_hello(session, &(const struct er_hello *){NULL}, err) < 0)
                return -1;
        if (!session->greeted)
                er_str_addn(&session->replay, frames.ptr, frames.len);
        return write_all(session, frames, err);
}

int er_session_recv_range(struct er_session *session, uint32_t first, uint32_t last, er_deadline deadline,
                          struct er_frame *ret, struct er_err *err)
{
        let_go(session);
        if (take_parked(session, first, last, ret))
                return 0;
        if (session->broken)
                return er_session_refuse(session, err);
        for (;;) {
                int got = sort(session, first, last, ret, err);

                if (got != 0)
                        return got > 0 ? 0 : -1;
                if (wait_io(session, false, deadline, err) < 0)
                        return -1;
        }
}

int er_session_recv(struct er_session *session, uint32_t id, er_deadline deadline, struct er_frame *ret,
                    struct er_err *err)
{
        struct er_frame frame;

        if (er_session_recv_range(session, id, id, deadline, &frame, err) < 0)
                return -1;
        if (frame.type == ER_F_ERROR) {
                er_frame_to_err(&frame, err);
                return er_err_wrap(err, "%s", session->host.name);
        }
        *ret = frame;
        return 0;
}

int er_session_call(struct er_session *session, enum er_frame_type type, struct er_sv fields, struct er_frame *ret,
                    struct er_err *err)
{
        er_auto(er_str) request = ER_STR_INIT;
        uint32_t id = er_session_next_id(session);
        size_t start = er_frame_begin(&request, type, id);
        struct er_frame answer;

        if (fields.len)
                er_str_addn(&request, fields.ptr, fields.len);
        er_frame_end(&request, start);
        if (er_session_send(session, er_svn(request.buf, request.len), err) < 0 ||
            er_session_recv(session, id, ER_NEVER, &answer, err) < 0)
                return -1;
        if (ret)
                *ret = answer;
        return 0;
}

char *er_machine(const struct er_hello *hello)
{
        return er_fmt("%s\n%s\n%s", hello->boot_id, hello->hostname, hello->root);
}

int er_session_hello(struct er_session *session, const struct er_hello **ret, struct er_err *err)
{
        while (!session->greeted) {
                struct er_frame none;

                if (session->broken)
                        return er_session_refuse(session, err);
                /* Frames of other requests that arrive with it are put aside. */
                if (wait_io(session, false, ER_NEVER, err) < 0 || sort(session, 1, 0, &none, err) < 0)
                        return -1;
        }
        *ret = &session->hello;
        return 0;
}

/* serve.c - see serve.h */
#include "agent/serve/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "agent/serve/listen.h"
#include "agent_build.h"
#include "base/io.h"
#include "base/log.h"

#define IN_FIRST (64u * 1024)
#define IN_MAX (ER_FRAME_MAX + ER_FRAME_HEADER + IN_FIRST)
#define OUT_ENOUGH (256u * 1024) /* with this much waiting, streams produce no more */
#define OUT_TOO_MUCH (8u << 20)  /* with this much, we stop reading from a client that does not read */
#define STREAMS_MAX 4096
#define LAST_WORDS_MS 2000

static int do_hello(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        uint64_t min = er_msg_get_u64(frame->payload, ER_T_VERSION_MIN, 1),
                 max = er_msg_get_u64(frame->payload, ER_T_VERSION_MAX, 1);
        uint64_t linger_ms = er_msg_get_u64(frame->payload, ER_T_LINGER, 0);
        er_auto(er_str) f = ER_STR_INIT;

        if (min > ER_PROTO_VERSION_MAX || max < ER_PROTO_VERSION_MIN || min > max) {
                serve->ending = true;
                er_err_set(err, ER_REMOTE,
                           "errand speaks versions %llu to %llu of the protocol, the agent on %s %d to %d",
                           (unsigned long long)min, (unsigned long long)max, serve->agent->hostname,
                           ER_PROTO_VERSION_MIN, ER_PROTO_VERSION_MAX);
                return er_err_hint(err,
                                   "use errand of the same version as the agent, or let errand install its own agent");
        }
        serve->greeted = true;
        er_msg_u64(&f, ER_T_VERSION, max < ER_PROTO_VERSION_MAX ? max : ER_PROTO_VERSION_MAX);
        er_msg_text(&f, ER_T_BUILD, ER_AGENT_BUILD);
        er_msg_i64(&f, ER_T_NOW, er_now_ms());
        er_msg_text(&f, ER_T_BOOT_ID, serve->agent->boot_id);
        er_msg_text(&f, ER_T_HOSTNAME, serve->agent->hostname);
        er_msg_text(&f, ER_T_ROOT, serve->agent->root);
        er_msg_text(&f, ER_T_USER, serve->agent->user);
        if (linger_ms > 0) {
                er_autofree char *listener = er_listen_find(serve->agent, er_msg_get(frame->payload, ER_T_LISTENER),
                                                            linger_ms < ER_LINGER_MAX_MS ? (int64_t)linger_ms
                                                                                         : ER_LINGER_MAX_MS);

                er_msg_text(&f, ER_T_LISTENER, listener);
        }
        er_serve_answer(serve, ER_F_HELLO_OK, frame->id, &f);
        return 0;
}

static int do_ping(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        er_auto(er_str) f = ER_STR_INIT;

        (void)err;
        er_msg_i64(&f, ER_T_NOW, er_now_ms());
        er_serve_answer(serve, ER_F_OK, frame->id, &f);
        return 0;
}

/* The requests. A frame that continues one (BLOB, DATA_IN, STOP ...) goes to the stream with its id instead. */
static const struct request {
        enum er_frame_type type;
        er_handler fn;
} requests[] = {
        {ER_F_HELLO, do_hello},
        {ER_F_PING, do_ping},
        {ER_F_PROBE, er_do_probe},
        {ER_F_SUBMIT, er_do_submit},
        {ER_F_WATCH, er_do_watch},
        {ER_F_CANCEL, er_do_cancel},
        {ER_F_STAT, er_do_stat},
        {ER_F_LOG, er_do_log},
        {ER_F_TREES, er_do_trees},
        {ER_F_TREE_PUT, er_do_tree_put},
        {ER_F_LIST, er_do_list},
        {ER_F_GET, er_do_get},
        {ER_F_PUT, er_do_put},
        {ER_F_REMOVE, er_do_remove},
        {ER_F_GC, er_do_gc},
        {ER_F_ENV, er_do_env},
        {ER_F_ENV_LIST, er_do_env_list},
        {ER_F_ENV_REMOVE, er_do_env_remove},
        {ER_F_ENV_CHECK, er_do_env_check},
        {ER_F_DATA_FETCH, er_do_data_fetch},
        {ER_F_DATA_LIST, er_do_data_list},
        {ER_F_DATA_REMOVE, er_do_data_remove},
};

void er_serve_answer(struct er_serve *serve, enum er_frame_type type, uint32_t id, const struct er_str *fields)
{
        struct er_str *out = er_out_buf(&serve->out);
        size_t start = er_frame_begin(out, type, id);

        if (fields)
                er_str_addn(out, fields->buf, fields->len);
        er_frame_end(out, start);
}

void er_serve_ok(struct er_serve *serve, uint32_t id)
{
        er_serve_answer(serve, ER_F_OK, id, NULL);
}

static void answer_error(struct er_serve *serve, uint32_t id, const struct er_err *err)
{
        er_debug("agent", "request %u: %s", (unsigned)id, err->message ? err->message : "?");
        er_frame_error(er_out_buf(&serve->out), id, err);
}

void er_stream_add(struct er_serve *serve, struct er_stream *stream, const struct er_stream_ops *ops, uint32_t id)
{
        struct er_stream **last = &serve->streams;

        while (*last)
                last = &(*last)->next;
        stream->ops = ops;
        stream->serve = serve;
        stream->id = id;
        stream->next = NULL;
        *last = stream;
}

static struct er_stream *find_stream(const struct er_serve *serve, uint32_t id)
{
        struct er_stream *s = serve->streams;

        while (s && (s->id != id || s->done))
                s = s->next;
        return s;
}

static void close_stream(struct er_stream *stream, struct er_err *err)
{
        if (!stream->done)
                answer_error(stream->serve, stream->id, err);
        stream->done = true;
        er_err_release(err);
}

static void free_done(struct er_serve *serve)
{
        for (struct er_stream **at = &serve->streams; *at;) {
                struct er_stream *s = *at;

                if (s->done) {
                        *at = s->next;
                        s->ops->free(s);
                } else {
                        at = &s->next;
                }
        }
}

static bool is_continuation(enum er_frame_type type)
{
        return type == ER_F_TREE_PART || type == ER_F_TREE_END || type == ER_F_BLOB || type == ER_F_BLOB_END ||
               type == ER_F_DATA_IN || type == ER_F_PUT_END || type == ER_F_STOP;
}

static void dispatch(struct er_serve *serve, const struct er_frame *frame)
{
        struct er_err err = ER_ERR_INIT;
        struct er_stream *stream = find_stream(serve, frame->id);
        size_t count = 0;
        int rc = -1;

        if (is_continuation(frame->type)) {
                if (!stream)
                        return; /* it ended with an ERROR or END that the client has not read yet */
                if (frame->type == ER_F_STOP) {
                        if (stream->ops->stop)
                                stream->ops->stop(stream);
                } else if (!stream->ops->frame || stream->ops->frame(stream, frame, &err) < 0) {
                        if (!stream->ops->frame)
                                er_err_set(&err, ER_REMOTE, "a frame of type %u that does not belong to its request",
                                           (unsigned)frame->type);
                        close_stream(stream, &err);
                }
                return;
        }
        serve->hold = 0; /* the client is waiting for an answer */
        for (const struct er_stream *s = serve->streams; s; s = s->next)
                count++;
        if (!er_msg_is_sound(frame->payload)) {
                er_err_set(&err, ER_REMOTE, "a damaged request");
                serve->ending = true;
        } else if (!serve->greeted && frame->type != ER_F_HELLO) {
                er_err_set(&err, ER_REMOTE, "the first request must be HELLO");
                serve->ending = true;
        } else if (stream) {
                er_err_set(&err, ER_REMOTE, "request id %u is still in use", (unsigned)frame->id);
        } else if (count >= STREAMS_MAX) {
                er_err_set(&err, ER_REMOTE, "too many requests at once");
        } else {
                er_err_set(&err, ER_REMOTE, "the agent does not know requests of type %u", (unsigned)frame->type);
                for (size_t i = 0; i < ER_LEN(requests); i++) {
                        if (requests[i].type == frame->type) {
                                er_err_release(&err);
                                rc = requests[i].fn(serve, frame, &err);
                                if (frame->type == ER_F_SUBMIT)
                                        er_serve_wipe(serve, frame);
                                break;
                        }
                }
        }
        if (rc < 0)
                answer_error(serve, frame->id, &err);
        er_err_release(&err);
}

/* Moves an incomplete frame to the front, and wipes where it was: it may be half of a SUBMIT with secrets. */
static void keep_rest(struct er_serve *serve, size_t used)
{
        size_t from = used > serve->in_len ? used : serve->in_len;

        memmove(serve->in, serve->in + used, serve->in_len);
        explicit_bzero(serve->in + from, used + serve->in_len - from);
}

/* Handles everything that has arrived. False: the input is not our protocol, or has ended. */
static bool read_input(struct er_serve *serve)
{
        struct er_err err = ER_ERR_INIT;
        struct er_frame frame;
        size_t used = 0;
        ssize_t n;
        int rc = 0;

        if (serve->in_cap - serve->in_len < IN_FIRST / 2 && serve->in_cap < IN_MAX) {
                unsigned char *old = serve->in;

                serve->in_cap = serve->in_cap ? IN_MAX : IN_FIRST;
                serve->in = er_malloc(serve->in_cap);
                if (old) {
                        memcpy(serve->in, old, serve->in_len);
                        explicit_bzero(old, serve->in_len); /* it may be half of a SUBMIT with secrets */
                        free(old);
                }
        }
        n = read(0, serve->in + serve->in_len, serve->in_cap - serve->in_len);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        if (n == 0)
                return false;
        serve->in_len += (size_t)n;
        while (!serve->ending && (rc = er_frame_parse(serve->in + used, serve->in_len - used, &frame, &err)) > 0) {
                dispatch(serve, &frame);
                used += frame.size;
        }
        if (rc < 0) {
                answer_error(serve, 0, &err);
                serve->ending = true;
        }
        er_err_release(&err);
        serve->in_len -= used;
        if (serve->in_len > 0 && used > 0)
                keep_rest(serve, used);
        return true;
}

/* Streams take turns, a frame each, until there is enough to send. */
static void produce(struct er_serve *serve)
{
        for (bool any = true; any && er_out_is_plain(&serve->out) && er_out_waiting(&serve->out) < OUT_ENOUGH;) {
                any = false;
                for (struct er_stream *s = serve->streams; s; s = s->next) {
                        struct er_err err = ER_ERR_INIT;

                        if (s->done || !s->wants_out || !er_out_is_plain(&serve->out) ||
                            er_out_waiting(&serve->out) >= OUT_ENOUGH)
                                continue;
                        any = true;
                        if (s->ops->produce(s, &err) < 0)
                                close_stream(s, &err);
                }
        }
        /* A stream that has sent a piece of a file goes to the end of the queue. */
        if (serve->streams && serve->streams->next && serve->streams->wants_out) {
                struct er_stream *first = serve->streams, *last = first;

                serve->streams = first->next;
                while (last->next)
                        last = last->next;
                last->next = first;
                first->next = NULL;
        }
}

static bool has_more(const struct er_serve *serve)
{
        for (const struct er_stream *s = serve->streams; s; s = s->next)
                if (s->wants_out && !s->done)
                        return true;
        return false;
}

static void push(struct er_serve *serve)
{
        do {
                produce(serve);
                if (er_deadline_poll_ms(serve->hold) > 0)
                        break;
                er_out_flush(&serve->out);
        } while (er_out_is_idle(&serve->out) && has_more(serve) && !serve->out.broken);
        free_done(serve);
}

struct polled {
        struct pollfd *items; /* (owned) 0: input, 1: output, then those of the streams, in order */
        size_t len, cap;
};

static size_t poll_add(struct polled *polled, int fd, short events)
{
        polled->items = er_grow(polled->items, &polled->cap, polled->len + 1, sizeof *polled->items);
        polled->items[polled->len] = (struct pollfd){.fd = fd, .events = events};
        return polled->len++;
}

/* Waits once, and handles what happened. False at the end of the session. */
static bool turn(struct er_serve *serve, struct polled *polled)
{
        bool held = er_deadline_poll_ms(serve->hold) > 0;
        er_deadline due = held ? serve->hold : ER_NEVER;
        size_t next = 2;
        bool go_on = true;

        polled->len = 0;
        poll_add(polled, er_out_waiting(&serve->out) < OUT_TOO_MUCH ? 0 : -1, POLLIN);
        poll_add(polled, held || er_out_is_idle(&serve->out) ? -1 : 1, POLLOUT);
        for (const struct er_stream *s = serve->streams; s; s = s->next) {
                if (s->fd >= 0)
                        poll_add(polled, s->fd, POLLIN);
                if (s->due < due)
                        due = s->due;
        }
        if (poll(polled->items, polled->len, er_deadline_poll_ms(due)) < 0)
                return errno == EINTR;
        for (struct er_stream *s = serve->streams; s; s = s->next) {
                struct er_err err = ER_ERR_INIT;
                bool readable = s->fd >= 0 && polled->items[next++].revents != 0;

                if (s->done || (!readable && er_deadline_poll_ms(s->due) != 0))
                        continue;
                if (s->ops->look(s, &err) < 0)
                        close_stream(s, &err);
        }
        if (polled->items[0].revents)
                go_on = read_input(serve);
        push(serve);
        return go_on && !serve->ending && !serve->out.broken;
}

static void last_words(struct er_serve *serve)
{
        er_deadline deadline = er_deadline_in(LAST_WORDS_MS);

        er_out_flush(&serve->out);
        while (!er_out_is_idle(&serve->out) && !serve->out.broken && er_deadline_poll_ms(deadline) != 0) {
                struct pollfd p = {.fd = 1, .events = POLLOUT};

                poll(&p, 1, er_deadline_poll_ms(deadline));
                er_out_flush(&serve->out);
        }
}

int er_serve_run(const struct er_agent *agent)
{
        struct er_serve serve = {.agent = agent};
        struct polled polled = {0};
        int flags_in = fcntl(0, F_GETFL), flags_out = fcntl(1, F_GETFL);

        if (flags_in < 0 || flags_out < 0)
                return 1;
        signal(SIGPIPE, SIG_IGN);
        signal(SIGCHLD, SIG_IGN); /* we never wait for children: guards outlive us, workers report through pipes */
        er_out_init(&serve.out, 1);
        er_set_nonblock(0, true);
        er_set_nonblock(1, true);
        while (turn(&serve, &polled))
                ;
        last_words(&serve);
        /* The descriptors may be shared with whoever started us. */
        fcntl(0, F_SETFL, flags_in);
        fcntl(1, F_SETFL, flags_out);
        while (serve.streams) {
                struct er_stream *s = serve.streams;

                serve.streams = s->next;
                s->ops->free(s);
        }
        er_out_release(&serve.out);
        free(serve.in);
        free(polled.items);
        return 0;
}

void er_serve_wipe(struct er_serve *serve, const struct er_frame *frame)
{
        const unsigned char *payload = (const unsigned char *)frame->payload.ptr;

        if (frame->payload.len > 0)
                explicit_bzero(serve->in + (payload - serve->in), frame->payload.len);
}

void er_serve_forget(struct er_serve *serve)
{
        free(serve->in);
        serve->in = NULL;
        er_out_release(&serve->out);
}

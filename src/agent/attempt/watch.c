/* watch.c - WATCH and LOG: send events and output to the client, as fast as it reads them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent/attempt/abandoned.h"
#include "agent/attempt/logread.h"
#include "agent/serve/serve.h"
#include "base/io.h"

#define LOOK_MS 100   /* where nobody wakes us */
#define END_LOOK_MS 5 /* the supervisor is gone: its record, or its guard's, will come soon */
#define END_LOOKS 400 /* ... unless the guard waits for something */
#define HOLD_MS 10    /* answers to SUBMIT and WATCH wait this long for the first news: of a short job, all in one */
#define BACKSTOP_MS 10000 /* even though somebody should wake us */
#define PIECE_MAX (256u * 1024)
#define INLINE_MAX (16u * 1024) /* smaller pieces are copied: cheaper than a call of their own */

struct watch {
        struct er_stream stream;
        struct er_adir dir;
        struct er_logread log;
        bool follow;    /* send the log */
        bool only_log;  /* LOG: what is there now, without events */
        uint64_t limit; /* LOG: not beyond this offset */
        uint64_t seq;   /* last event sent */
        int events_fd;
        uint64_t events_at;
        int ctl_fd;
        bool had_ctl;
        int end_looks;        /* number of looks since the supervisor went away */
        bool ended;           /* nobody writes to the log any more */
        struct er_status end; /* the last event, sent after the log */
};

static void connect_ctl(struct watch *w)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "ctl"};
        er_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 || fchdir(w->dir.fd) < 0)
                return;
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
                w->ctl_fd = er_take_fd(&fd);
        if (chdir("/") < 0) {
                /* nothing depends on it */
        }
        w->stream.fd = w->ctl_fd;
        w->had_ctl = w->had_ctl || w->ctl_fd >= 0;
}

static void send_event(struct watch *w, const struct er_status *event)
{
        er_auto(er_str) fields = ER_STR_INIT;

        if (event->seq <= w->seq)
                return;
        w->seq = event->seq;
        er_status_encode(event, &fields);
        er_serve_answer(w->stream.serve, ER_F_EVENT, w->stream.id, &fields);
}

static void take_event(void *arg, const struct er_status *event)
{
        struct watch *w = arg;

        if (event->state < ER_STATE_ENDED) {
                send_event(w, event);
                return;
        }
        er_status_release(&w->end);
        w->end = *event;
        w->end.key = NULL;
        w->end.detail = event->detail ? er_strdup(event->detail) : NULL;
        w->ended = true;
}

static void read_events(struct watch *w)
{
        if (w->events_fd < 0)
                w->events_fd = openat(w->dir.fd, "events", O_RDONLY | O_CLOEXEC);
        if (w->events_fd >= 0)
                er_events_read(w->events_fd, &w->events_at, take_event, w);
}

/* The supervisor is gone, or was never reachable: has the attempt ended? */
static int look_for_end(struct watch *w, struct er_err *err)
{
        bool never_began = false;
        int rc;

        if (w->ended)
                return 0;
        rc = er_abandoned_settle(w->stream.serve->agent, &w->dir, &never_began, err);
        if (rc < 0)
                return -1;
        if (never_began)
                return er_adir_missing(er_sv(w->dir.key), w->dir.attempt, err);
        if (rc == 0)
                return 0;
        read_events(w);
        if (!w->ended) { /* the record is there, but there was no room for its event */
                er_status_release(&w->end);
                er_adir_status(&w->dir, &w->end);
                if (w->end.seq <= w->seq)
                        w->end.seq = w->seq + 1;
                free(w->end.key);
                w->end.key = NULL;
                w->end.attempt = 0;
                w->ended = true;
        }
        return 0;
}

static int look(struct er_stream *stream, struct er_err *err)
{
        struct watch *w = (struct watch *)stream;
        char bytes[256];
        bool gone = w->ctl_fd < 0;

        if (w->ctl_fd >= 0) {
                ssize_t n;

                do
                        n = recv(w->ctl_fd, bytes, sizeof bytes, MSG_DONTWAIT);
                while (n == (ssize_t)sizeof bytes);
                if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                        gone = true;
                        stream->fd = -1;
                        er_close(&w->ctl_fd);
                }
        }
        read_events(w);
        if (gone && look_for_end(w, err) < 0)
                return -1;
        if (gone && !w->ended)
                connect_ctl(w); /* too many watchers: we were dropped */
        if (w->ended)
                stream->due = ER_NEVER;
        else
                stream->due = er_deadline_in(w->ctl_fd >= 0                             ? BACKSTOP_MS
                                             : w->had_ctl && w->end_looks++ < END_LOOKS ? END_LOOK_MS
                                                                                        : LOOK_MS);
        stream->wants_out = true;
        return 0;
}

static void send_piece(struct watch *w, const struct er_logpiece *piece)
{
        struct er_out *out = &w->stream.serve->out;
        struct er_str *buf = er_out_buf(out);
        er_auto(er_str) fields = ER_STR_INIT;

        w->stream.serve->hold = 0;
        er_msg_u64(&fields, ER_T_OFFSET, piece->offset);
        er_msg_u64(&fields, ER_T_STREAM, piece->stream);
        er_msg_i64(&fields, ER_T_TIME, piece->time_ms);
        er_frame_head(buf, ER_F_LOG_DATA, w->stream.id, er_svn(fields.buf, fields.len), ER_T_DATA, piece->len);
        if (piece->len <= INLINE_MAX) {
                ssize_t n;

                er_str_reserve(buf, piece->len);
                n = er_pread_full(w->log.log_fd, buf->buf + buf->len, piece->len, (off_t)piece->offset);
                if (n < (ssize_t)piece->len) /* should not happen; but the length has been announced */
                        memset(buf->buf + buf->len + (n > 0 ? n : 0), 0, piece->len - (size_t)(n > 0 ? n : 0));
                buf->len += piece->len;
        } else {
                er_out_file(out, w->log.log_fd, (off_t)piece->offset, piece->len);
        }
        er_logread_took(&w->log, piece->len);
}

static void finish(struct watch *w)
{
        er_auto(er_str) fields = ER_STR_INIT;

        w->stream.serve->hold = 0;
        if (w->ended && !w->only_log && w->end.state)
                send_event(w, &w->end);
        er_msg_u64(&fields, ER_T_OFFSET, w->log.offset);
        er_msg_u64(&fields, ER_T_LOG_SIZE, er_logread_size(&w->log));
        er_msg_u64(&fields, ER_T_SEQ, w->seq);
        er_serve_answer(w->stream.serve, ER_F_END, w->stream.id, &fields);
        w->stream.done = true;
        w->stream.wants_out = false;
}

static int produce(struct er_stream *stream, struct er_err *err)
{
        struct watch *w = (struct watch *)stream;
        struct er_logpiece piece;
        bool complete = w->ended || w->only_log;

        (void)err;
        if (w->follow && w->log.offset < w->limit && er_logread_next(&w->log, complete, PIECE_MAX, &piece)) {
                if (piece.len > w->limit - w->log.offset)
                        piece.len = (size_t)(w->limit - w->log.offset);
                send_piece(w, &piece);
                return 0;
        }
        if (complete)
                finish(w);
        stream->wants_out = false;
        return 0;
}

static void stop(struct er_stream *stream)
{
        struct watch *w = (struct watch *)stream;

        w->ended = false; /* the end is not reported before the whole log */
        finish(w);
}

static void free_stream(struct er_stream *stream)
{
        struct watch *w = (struct watch *)stream;

        er_adir_release(&w->dir);
        er_logread_release(&w->log);
        er_close(&w->events_fd);
        er_close(&w->ctl_fd);
        er_status_release(&w->end);
        free(w);
}

static const struct er_stream_ops watch_ops = {
        .look = look,
        .produce = produce,
        .stop = stop,
        .free = free_stream,
};

static int open_watch(struct er_serve *serve, const struct er_frame *frame, struct watch **ret, struct er_err *err)
{
        er_auto(er_adir) dir = ER_ADIR_INIT;
        struct er_sv key;
        uint32_t attempt;
        struct watch *w;

        if (er_adir_named(frame->payload, &key, &attempt, err) < 0 ||
            er_adir_open(serve->agent, key, attempt, &dir, err) < 0)
                return -1;
        w = er_new(struct watch);
        w->dir = dir;
        dir = (struct er_adir)ER_ADIR_INIT;
        w->events_fd = w->ctl_fd = w->stream.fd = -1;
        w->stream.due = ER_NEVER;
        w->limit = UINT64_MAX;
        w->end = (struct er_status)ER_STATUS_INIT;
        w->follow = true;
        er_logread_init(&w->log, w->dir.fd, er_msg_get_u64(frame->payload, ER_T_OFFSET, 0));
        *ret = w;
        return 0;
}

int er_do_watch(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        struct watch *w;

        if (open_watch(serve, frame, &w, err) < 0)
                return -1;
        w->follow = er_msg_get_u64(frame->payload, ER_T_FOLLOW, 1) != 0;
        w->seq = er_msg_get_u64(frame->payload, ER_T_SEQ, 0);
        er_stream_add(serve, &w->stream, &watch_ops, frame->id);
        connect_ctl(w);
        if (w->follow)
                serve->hold = er_deadline_in(HOLD_MS);
        else if (w->ctl_fd >= 0)
                send(w->ctl_fd, "h", 1,
                     MSG_DONTWAIT | MSG_NOSIGNAL); /* without output, the client wants to know when the job begins */
        w->stream.due = 0;                         /* take the first look at once */
        return 0;
}

int er_do_log(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        uint64_t limit = er_msg_get_u64(frame->payload, ER_T_LIMIT, 0), since;
        uint64_t tail = er_msg_get_u64(frame->payload, ER_T_TAIL, UINT64_MAX);
        struct watch *w;
        uint64_t size;

        if (open_watch(serve, frame, &w, err) < 0)
                return -1;
        w->only_log = true;
        size = er_logread_size(&w->log);
        if (tail != UINT64_MAX) {
                uint64_t from = er_logread_tail(&w->log, size, tail);

                if (from > w->log.offset)
                        w->log.offset = from;
        }
        since = er_logread_since(&w->log, er_msg_get_i64(frame->payload, ER_T_SINCE, 0));
        if (since > w->log.offset)
                w->log.offset = since;
        /* Whatever is written from now on belongs to the next request. */
        w->limit = limit > 0 && limit < size && w->log.offset < size - limit ? w->log.offset + limit : size;
        w->stream.wants_out = true;
        er_stream_add(serve, &w->stream, &watch_ops, frame->id);
        return 0;
}

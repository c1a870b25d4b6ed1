/* worker.c - requests done by a child process, see serve.h */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "agent/serve/serve.h"
#include "base/io.h"

/* With this much not passed on, including a whole frame, no more is read from the child. */
#define GOT_ENOUGH (256u * 1024)

struct worker_stream {
        struct er_stream stream;
        int pipe_fd;
        struct er_str got; /* what has arrived and has not been passed on */
        bool eof;
};

void er_worker_flush(struct er_worker *worker, size_t more_than)
{
        if (worker->out.len <= more_than || worker->fd < 0)
                return;
        if (er_write_full(worker->fd, worker->out.buf, worker->out.len) < 0)
                _exit(1); /* the session is gone */
        er_str_reset(&worker->out);
}

static bool is_closing(enum er_frame_type type)
{
        return type == ER_F_OK || type == ER_F_END || type == ER_F_ERROR || type == ER_F_PROBE_OK;
}

/* A frame may be larger than GOT_ENOUGH, and only a whole one can be passed on to make room. */
static void listen_again(struct worker_stream *w)
{
        struct er_frame frame;
        bool enough = w->got.len >= GOT_ENOUGH && er_frame_parse(w->got.buf, w->got.len, &frame, NULL) != 0;

        w->stream.fd = w->eof || enough ? -1 : w->pipe_fd;
}

static int look(struct er_stream *stream, struct er_err *err)
{
        struct worker_stream *w = (struct worker_stream *)stream;
        ssize_t n;

        (void)err;
        er_str_reserve(&w->got, 32768);
        n = read(w->pipe_fd, w->got.buf + w->got.len, 32768);
        if (n > 0)
                w->got.len += (size_t)n;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                w->eof = true;
        listen_again(w);
        stream->wants_out = true;
        return 0;
}

/* Whole frames only, so that those of other streams can come in between. */
static int produce(struct er_stream *stream, struct er_err *err)
{
        struct worker_stream *w = (struct worker_stream *)stream;
        struct er_str *out = er_out_buf(&stream->serve->out);
        struct er_frame frame;
        size_t used = 0;
        int rc = 0;

        while (used < ER_CHUNK && (rc = er_frame_parse(w->got.buf + used, w->got.len - used, &frame, err)) > 0) {
                er_str_addn(out, w->got.buf + used, frame.size);
                used += frame.size;
                if (is_closing(frame.type))
                        stream->done = true;
        }
        er_str_drop(&w->got, used);
        stream->wants_out = rc > 0;
        listen_again(w);
        if (rc < 0)
                return -1;
        if (rc == 0 && w->eof && !stream->done)
                return er_err_set(err, ER_REMOTE, "the agent's helper process died");
        return 0;
}

static void stop(struct er_stream *stream)
{
        er_serve_answer(stream->serve, ER_F_END, stream->id, NULL);
        stream->done = true;
}

/* A child that is still working ends by itself when nobody reads its pipe. */
static void free_stream(struct er_stream *stream)
{
        struct worker_stream *w = (struct worker_stream *)stream;

        er_close(&w->pipe_fd);
        er_str_release(&w->got);
        free(w);
}

static const struct er_stream_ops worker_ops = {
        .look = look,
        .produce = produce,
        .stop = stop,
        .free = free_stream,
};

static _Noreturn void work(const struct er_agent *agent, const struct er_frame *frame, int fd, er_worker_fn fn)
{
        struct er_worker worker = {
                .agent = agent, .payload = frame->payload, .id = frame->id, .fd = fd, .out = ER_STR_INIT};
        struct er_err err = ER_ERR_INIT;

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody is left to read the answer */
        signal(SIGCHLD, SIG_DFL);
        er_close_all_but(&fd, 1);
        er_null_stdio();
        if (fn(&worker, &err) < 0)
                er_frame_error(&worker.out, frame->id, &err);
        er_worker_flush(&worker, 0);
        _exit(0);
}

int er_worker_start(struct er_serve *serve, const struct er_frame *frame, er_worker_fn fn, struct er_err *err)
{
        struct worker_stream *w;
        int fds[2];
        pid_t pid;

        if (er_pipe(fds) < 0)
                return er_err_errno(err, errno, "make a pipe");
        pid = fork();
        if (pid < 0) {
                int saved = errno;

                close(fds[0]);
                close(fds[1]);
                return er_err_errno(err, saved, "start a helper process");
        }
        if (pid == 0)
                work(serve->agent, frame, fds[1], fn);
        close(fds[1]);
        w = er_new(struct worker_stream);
        er_str_init(&w->got);
        w->pipe_fd = w->stream.fd = fds[0];
        w->stream.due = ER_NEVER;
        er_stream_add(serve, &w->stream, &worker_ops, frame->id);
        return 0;
}

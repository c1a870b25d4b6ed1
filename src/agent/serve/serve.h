/*
 * serve.h - one client's session: a loop that reads requests, passes them to the handlers, and lets the open streams
 * (watches, logs, files, uploads) produce their answers in turn. It never waits for the client, so a CANCEL is served
 * even while output is stuck.
 */
#ifndef ER_AGENT_SERVE_SERVE_H
#define ER_AGENT_SERVE_SERVE_H

#include <poll.h>
#include "agent/agent.h"
#include "agent/serve/out.h"
#include "base/clock.h"
#include "proto/msg.h"

struct er_serve;
struct er_stream;

struct er_stream_ops {
        /* Takes further frames with the stream's id: BLOB, DATA_IN ... NULL: there are none. -1 with err closes the
           stream with ERROR. */
        int (*frame)(struct er_stream *stream, const struct er_frame *frame, struct er_err *err);
        /* Called when fd is readable, or at the time `due`. May set er_stream.wants_out. */
        int (*look)(struct er_stream *stream, struct er_err *err);
        /* Adds about one frame to the output. Clears wants_out when there is no more for now. */
        int (*produce)(struct er_stream *stream, struct er_err *err);
        /* The client said STOP. NULL: cannot be stopped. */
        void (*stop)(struct er_stream *stream);
        void (*free)(struct er_stream *stream);
};

/* The first member of every stream. */
struct er_stream {
        const struct er_stream_ops *ops;
        struct er_serve *serve;
        uint32_t id;
        int fd;          /* call look when readable; -1: none */
        er_deadline due; /* call look then */
        bool wants_out;
        bool done; /* its closing answer is written: it will be freed soon */
        struct er_stream *next;
};

struct er_serve {
        const struct er_agent *agent;
        struct er_out out;
        unsigned char *in; /* (owned) */
        size_t in_len, in_cap;
        struct er_stream *streams; /* (owned) in order of their turn */
        bool greeted;
        er_deadline hold; /* until then, output may wait for more to come */
        bool ending;      /* no more requests: the session ends when its output has been sent */
};

/* Serves until the input ends. Returns the exit status. */
int er_serve_run(const struct er_agent *agent);

/* For handlers */
typedef int (*er_handler)(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);
void er_serve_ok(struct er_serve *serve, uint32_t id);
/* fields: the content of the frame */
void er_serve_answer(struct er_serve *serve, enum er_frame_type type, uint32_t id, const struct er_str *fields);
/* Adds the stream to the session, which frees it. */
void er_stream_add(struct er_serve *serve, struct er_stream *stream, const struct er_stream_ops *ops, uint32_t id);
/* Wipes the bytes of a request that held secrets. Its views point to zeros afterwards. */
void er_serve_wipe(struct er_serve *serve, const struct er_frame *frame);
/* Called in a forked process that lives on: frees memory that only the session needs. */
void er_serve_forget(struct er_serve *serve);

/*
 * A request that may take long (walking directories, running nvidia-smi) is done by a child process, whose answer
 * frames come back over a pipe. fn appends whole frames to `out` and calls er_worker_flush now and then; a failure
 * becomes ERROR.
 */
struct er_worker {
        const struct er_agent *agent;
        struct er_sv payload;
        uint32_t id;
        int fd;
        struct er_str out;
};
typedef int (*er_worker_fn)(struct er_worker *worker, struct er_err *err);
int er_worker_start(struct er_serve *serve, const struct er_frame *frame, er_worker_fn fn, struct er_err *err);
void er_worker_flush(struct er_worker *worker, size_t more_than);

/* The handlers, by file. */
int er_do_submit(struct er_serve *serve, const struct er_frame *frame, struct er_err *err); /* submit.c */
int er_do_watch(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);  /* watch.c */
int er_do_log(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);
int er_do_cancel(struct er_serve *serve, const struct er_frame *frame, struct er_err *err); /* stat.c */
int er_do_stat(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);
int er_do_remove(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);
int er_do_gc(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);    /* gc.c */
int er_do_probe(struct er_serve *serve, const struct er_frame *frame, struct er_err *err); /* probe.c */
int er_do_trees(struct er_serve *serve, const struct er_frame *frame, struct er_err *err); /* tree_requests.c */
int er_do_tree_put(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);
int er_do_list(struct er_serve *serve, const struct er_frame *frame, struct er_err *err); /* list.c */
int er_do_get(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);  /* files.c */
int er_do_put(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);
int er_do_env(struct er_serve *serve, const struct er_frame *frame, struct er_err *err); /* env_requests.c */
int er_do_env_list(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);
int er_do_env_remove(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);
int er_do_env_check(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);
int er_do_data_fetch(struct er_serve *serve, const struct er_frame *frame, struct er_err *err); /* data_requests.c */
int er_do_data_list(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);
int er_do_data_remove(struct er_serve *serve, const struct er_frame *frame, struct er_err *err);

#endif

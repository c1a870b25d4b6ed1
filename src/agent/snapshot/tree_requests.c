/* tree_requests.c - TREES and TREE_PUT: the requests about snapshots (PROTOCOL.md, section 4). upload.c does the
   work. */
#include "agent/serve/serve.h"

#include <poll.h>

#include "agent/snapshot/snapshots.h"
#include "agent/snapshot/upload.h"
#include "base/io.h"
#include "base/parse.h"

#define LISTED_MAX 16u
#define BUSY_MS 50
/* A client that sleeps must not keep others from sending the same snapshot. $ERRAND_SILENCE_MS in tests. */
#define SILENCE_MS 20000

int er_do_trees(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        er_autofree char *project = er_msg_dup(frame->payload, ER_T_PROJECT);
        er_auto(er_str) fields = ER_STR_INIT;
        er_autoclose int root = -1;

        if (!project)
                return er_err_set(err, ER_REMOTE, "a request for snapshots without a project");
        if (er_agent_dir(serve->agent, ".", true, &root, err) < 0)
                return -1;
        er_snapshots_list(root, project, LISTED_MAX, &fields);
        er_serve_answer(serve, ER_F_OK, frame->id, &fields);
        return 0;
}

struct put {
        struct er_stream stream;
        int root;
        struct er_upload *upload;
        bool busy; /* somebody else is sending the same one: the silence is not the client's fault */
};

static er_deadline silence(void)
{
        const char *pretended = getenv("ERRAND_SILENCE_MS");
        uint64_t ms = SILENCE_MS;

        if (pretended)
                (void)er_parse_u64(pretended, SILENCE_MS, &ms, NULL);
        return er_deadline_in((int64_t)ms);
}

static int answer_need(struct put *put, struct er_err *err)
{
        er_auto(er_str) need = ER_STR_INIT;
        er_auto(er_str) fields = ER_STR_INIT;
        size_t sent = 0;
        int rc = er_upload_list(put->upload, &need, err);

        put->busy = rc == 1;
        put->stream.due = put->busy ? er_deadline_in(BUSY_MS) : silence();
        if (rc != 0)
                return rc < 0 ? -1 : 0;
        /* What does not fit into one frame goes out in several; the last one is below the limit. */
        do {
                size_t len = need.len - sent < ER_NEED_CHUNK ? need.len - sent : ER_NEED_CHUNK;

                er_str_reset(&fields);
                er_msg_bytes(&fields, ER_T_NEED, need.buf + sent, len);
                sent += len;
                er_msg_u64(&fields, ER_T_COUNT, (need.len - sent) / ER_NEED_PAIR);
                er_serve_answer(put->stream.serve, ER_F_NEED, put->stream.id, &fields);
        } while (sent < need.len);
        return 0;
}

static int take_frame(struct er_stream *stream, const struct er_frame *frame, struct er_err *err)
{
        struct put *put = (struct put *)stream;

        if (!put->busy)
                stream->due = silence();
        switch ((unsigned)frame->type) {
        case ER_F_TREE_PART:
                return er_upload_part(put->upload, frame->payload, err);
        case ER_F_TREE_END:
                return answer_need(put, err);
        case ER_F_BLOB:
                return er_upload_blob(put->upload, frame->payload, err);
        case ER_F_BLOB_END:
                if (er_upload_finish(put->upload, err) < 0)
                        return -1;
                er_serve_ok(stream->serve, stream->id);
                stream->done = true;
                return 0;
        default:
                return er_err_set(err, ER_REMOTE, "a frame of type %u in the middle of a snapshot",
                                  (unsigned)frame->type);
        }
}

static int look_again(struct er_stream *stream, struct er_err *err)
{
        struct put *put = (struct put *)stream;
        struct pollfd input = {.fd = 0, .events = POLLIN};

        if (put->busy)
                return answer_need(put, err);
        if (poll(&input, 1, 0) > 0) { /* we may be the ones who were slow */
                stream->due = er_deadline_in(BUSY_MS);
                return 0;
        }
        /* What has arrived is kept (er_upload_free), so that the next TREE_PUT continues from there. */
        er_err_set(err, ER_TRANSPORT, "the client stopped sending the snapshot");
        if (err) {
                err->retryable = true;
                err->provider_code = er_strdup("silent");
        }
        return -1;
}

static void free_put(struct er_stream *stream)
{
        struct put *put = (struct put *)stream;

        er_upload_free(put->upload);
        er_close(&put->root);
        free(put);
}

static const struct er_stream_ops put_ops = {.frame = take_frame, .look = look_again, .free = free_put};

int er_do_tree_put(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        er_autoclose int root = -1;
        struct er_upload *upload;
        struct put *put;

        if (er_agent_dir(serve->agent, ".", true, &root, err) < 0 ||
            er_upload_begin(root, frame->payload, &upload, err) < 0)
                return -1;
        put = er_new(struct put);
        put->root = er_take_fd(&root);
        put->upload = upload;
        put->stream.fd = -1;
        put->stream.due = silence();
        er_stream_add(serve, &put->stream, &put_ops, frame->id);
        return 0;
}

/* environment.c - see environment.h */
#include "host/environment.h"

#include <fcntl.h>
#include "base/io.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/path.h"
#include "environment/fetch.h"
#include "host/connect/requests.h"

void er_environment_request_release(struct er_environment_request *request)
{
        if (request->id)
                er_session_drop(request->session, request->id, true);
        free(request->progress);
        er_err_release(&request->err);
        *request = (struct er_environment_request)ER_ENVIRONMENT_REQUEST_INIT;
}

/* What one answer says. */
static void take(struct er_environment_request *request, const struct er_frame *frame)
{
        char *progress = er_msg_dup(frame->payload, ER_T_DETAIL);

        if (frame->type == ER_F_ERROR)
                er_frame_to_err(frame, &request->err);
        if (progress) {
                free(request->progress);
                request->progress = progress;
        }
        if (er_msg_get(frame->payload, ER_T_COUNT).ptr)
                request->failures = er_msg_get_u64(frame->payload, ER_T_COUNT, 0);
        if (frame->type == ER_F_OK)
                request->ready = true;
        if (er_frame_is_closing(frame->type))
                request->id = 0;
}

/* The next frame about it, however long the build takes; a hung agent says nothing about anything. */
static int next_frame(const struct er_environment_request *request, struct er_frame *ret, struct er_err *err)
{
        int rc;

        er_session_heartbeat(request->session, true);
        rc = er_session_recv_range(request->session, request->id, request->id, ER_NEVER, ret, err);
        er_session_heartbeat(request->session, false);
        return rc;
}

/* Sends files to where the build looks for them. */
static int send_files(struct er_session *session, const struct er_recipe *recipe, const struct er_strv *paths,
                      struct er_transfer *transfer, struct er_err *err)
{
        er_autofree char *to = NULL;
        const struct er_hello *hello;
        char hex[2 * ER_ENV_HASH + 1];

        if (paths->len == 0)
                return 0;
        if (er_session_hello(session, &hello, err) < 0)
                return -1;
        er_fmt_hex(recipe->hash, ER_ENV_HASH, hex);
        to = er_fmt("%s/environments/%s/files", hello->root, hex);
        return er_push(session, paths, to, transfer, err);
}

static int send_large(struct er_session *session, const struct er_recipe *recipe, struct er_transfer *transfer,
                      struct er_err *err)
{
        er_auto(er_strv) paths = ER_STRV_INIT;

        for (size_t i = 0; i < recipe->file_count; i++)
                if (recipe->files[i].path)
                        er_strv_add(&paths, recipe->files[i].path);
        return send_files(session, recipe, &paths, transfer, err);
}

static int ask(struct er_session *session, const struct er_recipe *recipe, struct er_transfer *transfer,
               struct er_environment_request *ret, struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        er_auto(er_str) bytes = ER_STR_INIT;
        struct er_frame frame;
        size_t start;
        int rc;

        if (send_large(session, recipe, transfer, err) < 0)
                return -1;
        er_environment_request_release(ret);
        ret->session = session;
        ret->id = er_session_next_id(session);
        er_recipe_encode(recipe, &bytes);
        start = er_frame_begin(&frames, ER_F_ENV, ret->id);
        er_msg_bytes(&frames, ER_T_ENVIRONMENT, recipe->hash, ER_ENV_HASH);
        er_msg_bytes(&frames, ER_T_RECIPE, bytes.buf, bytes.len);
        for (size_t i = 0; i < recipe->values.len; i++)
                er_msg_text(&frames, ER_T_SECRET, recipe->values.items[i]);
        er_frame_end(&frames, start);
        rc = er_session_send(session, er_svn(frames.buf, frames.len), err);
        if (recipe->values.len)
                explicit_bzero(frames.buf, frames.len);
        if (rc < 0 || next_frame(ret, &frame, err) < 0) {
                ret->id = 0;
                return -1;
        }
        take(ret, &frame);
        /* ER_STATE is the build's failure; anything else is a refusal. */
        return ret->err.code == ER_OK || ret->err.code == ER_STATE ? 0 : er_err_move(err, &ret->err);
}

/* Waits until the build says what it is doing, or has ended: by then it knows whether the host can fetch packages
   itself. */
static int await_begin(struct er_environment_request *request, struct er_err *err)
{
        while (request->id && !request->progress) {
                struct er_frame frame;

                /* A failed build is an answer like any other: the request keeps it. */
                if (next_frame(request, &frame, err) < 0) {
                        request->id = 0;
                        return -1;
                }
                take(request, &frame);
        }
        return 0;
}

/* The platform (environment/fetch.h) of a host that cannot reach the packages; NULL: it can, or need not. */
static const char *wanted_platform(const struct er_environment_request *request)
{
        const char *code = request->id == 0 && !request->ready ? request->err.provider_code : NULL;

        return code && er_starts(code, "fetch ") ? code + strlen("fetch ") : NULL;
}

/* Fetches the packages on this machine for such a host, and asks it again. */
static int fetch_here(struct er_session *session, struct er_recipe *recipe, const struct er_environment_ways *ways,
                      struct er_environment_request *request, struct er_err *err)
{
        er_autofree char *said = er_fmt("%s cannot reach the package index; fetching packages here",
                                        er_session_host(session));
        er_autofree char *platform = NULL;
        er_autoclose int turn = -1;
        bool waited;

        if (ways->progress)
                ways->progress(ways->arg, said);
        if (er_fetch_turn(recipe, ways->cancel, &turn, &waited, err) < 0)
                return -1;
        /* Another job may just have sent them there. */
        if (waited && (ask(session, recipe, ways->transfer, request, err) < 0 || await_begin(request, err) < 0))
                return -1;
        if (!wanted_platform(request))
                return 0;
        platform = er_strdup(wanted_platform(request));
        if (er_fetch_wheels(recipe, platform, ways->cancel, ways->progress, ways->arg, err) < 0)
                return -1;
        return ask(session, recipe, ways->transfer, request, err);
}

int er_environment_begin(struct er_session *session, struct er_recipe *recipe, const struct er_environment_ways *ways,
                         struct er_environment_request *ret, struct er_err *err)
{
        if (ask(session, recipe, ways->transfer, ret, err) < 0)
                return -1;
        /* One that is ready or being built takes no secrets. */
        if (recipe->values.len < recipe->secrets.len) {
                if (await_begin(ret, err) < 0)
                        return -1;
                if (er_streq(ret->err.provider_code, "secret"))
                        return er_err_move(err, &ret->err);
        }
        if (er_recipe_fetch(recipe) == ER_FETCH_HOST)
                return 0;
        if (await_begin(ret, err) < 0)
                return -1;
        return wanted_platform(ret) ? fetch_here(session, recipe, ways, ret, err) : 0;
}

bool er_environment_hear(struct er_environment_request *request)
{
        er_autofree char *before = request->progress ? er_strdup(request->progress) : NULL;
        er_auto(er_str) payload = ER_STR_INIT;
        struct er_frame frame;

        while (request->id && er_session_take_waiting(request->session, request->id, &frame, &payload))
                take(request, &frame);
        return request->progress && !er_streq(before, request->progress);
}

int er_environment_await(struct er_environment_request *request, void (*on_progress)(void *arg, const char *text),
                         void *arg, struct er_err *err)
{
        while (request->id) {
                struct er_frame frame;

                if (request->progress && on_progress)
                        on_progress(arg, request->progress);
                if (next_frame(request, &frame, err) < 0) {
                        request->id = 0;
                        return -1;
                }
                take(request, &frame);
        }
        if (request->ready)
                return 0;
        return request->err.code != ER_OK ? er_err_move(err, &request->err)
                                          : er_err_set(err, ER_REMOTE, "the build of the environment was abandoned");
}

void er_environment_list_release(struct er_environment_list *list)
{
        for (size_t i = 0; i < list->count; i++) {
                free(list->items[i].summary);
                free(list->items[i].declaration);
                free(list->items[i].path);
                free(list->items[i].message);
        }
        free(list->items);
        *list = (struct er_environment_list)ER_ENVIRONMENT_LIST_INIT;
}

static void add_entry(const struct er_session *session, struct er_environment_list *list, struct er_sv fields)
{
        struct er_sv hash = er_msg_get(fields, ER_T_ENVIRONMENT);
        struct er_environment_entry entry = {
                .summary = er_msg_dup(fields, ER_T_NAME),
                .declaration = er_msg_dup(fields, ER_T_DATA),
                .path = er_msg_dup(fields, ER_T_PATH),
                .message = er_msg_dup(fields, ER_T_MESSAGE),
                .state = (unsigned)er_msg_get_u64(fields, ER_T_STATE, 0),
                .in_use = er_msg_get_u64(fields, ER_T_RUNNING, 0) != 0,
                .size = er_msg_get_u64(fields, ER_T_SIZE, 0),
                .used_ms = er_session_our_time(session, er_msg_get_i64(fields, ER_T_MTIME, 0)),
        };

        if (hash.len == ER_ENV_HASH)
                memcpy(entry.hash, hash.ptr, ER_ENV_HASH);
        list->items = er_grow(list->items, &list->cap, list->count + 1, sizeof *list->items);
        list->items[list->count++] = entry;
}

static int by_use(const void *a, const void *b)
{
        int64_t left = ((const struct er_environment_entry *)a)->used_ms,
                right = ((const struct er_environment_entry *)b)->used_ms;

        return left < right ? 1 : left > right ? -1 : 0;
}

int er_environment_list(struct er_session *session, struct er_environment_list *ret, struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        uint32_t id = er_session_next_id(session);
        struct er_frame frame;

        er_frame_end(&frames, er_frame_begin(&frames, ER_F_ENV_LIST, id));
        if (er_session_send(session, er_svn(frames.buf, frames.len), err) < 0)
                return -1;
        for (;;) {
                if (er_session_recv(session, id, ER_NEVER, &frame, err) < 0)
                        return -1;
                if (frame.type == ER_F_END)
                        break;
                if (frame.type == ER_F_ENTRY)
                        add_entry(session, ret, frame.payload);
        }
        if (ret->count > 1)
                qsort(ret->items, ret->count, sizeof *ret->items, by_use);
        return 0;
}

static int call(struct er_session *session, enum er_frame_type type, const unsigned char *hash, struct er_frame *ret,
                struct er_err *err)
{
        er_auto(er_str) fields = ER_STR_INIT;

        er_msg_bytes(&fields, ER_T_ENVIRONMENT, hash, ER_ENV_HASH);
        return er_session_call(session, type, er_svn(fields.buf, fields.len), ret, err);
}

int er_environment_remove(struct er_session *session, const unsigned char hash[ER_ENV_HASH], uint64_t *ret_freed,
                          struct er_err *err)
{
        struct er_frame frame;

        if (call(session, ER_F_ENV_REMOVE, hash, &frame, err) < 0)
                return -1;
        *ret_freed += er_msg_get_u64(frame.payload, ER_T_FREED, 0);
        return 0;
}

int er_environment_check(struct er_session *session, const unsigned char hash[ER_ENV_HASH], struct er_err *err)
{
        struct er_frame frame;

        return call(session, ER_F_ENV_CHECK, hash, &frame, err);
}

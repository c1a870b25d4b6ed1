/* env_requests.c - ENV, ENV_LIST, ENV_REMOVE and ENV_CHECK: the requests about environments. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/environment/build_wait.h"
#include "agent/serve/serve.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"

static int read_hash(struct er_sv payload, const unsigned char **ret, struct er_err *err)
{
        struct er_sv hash = er_msg_get(payload, ER_T_ENVIRONMENT);

        if (hash.len != ER_ENV_HASH)
                return er_err_set(err, ER_REMOTE, "a request about an environment without its hash");
        *ret = (const unsigned char *)hash.ptr;
        return 0;
}

/* --- ENV */

struct env_stream {
        struct er_stream stream;
        struct er_envdir env; /* wanted while the request is open */
        struct er_strv secrets;
        struct er_build_wait wait;
};

static void tell(struct env_stream *s, enum er_frame_type type)
{
        er_auto(er_str) f = ER_STR_INIT;

        er_msg_u64(&f, ER_T_COUNT, s->wait.failures);
        er_msg_text(&f, ER_T_DETAIL, s->wait.progress);
        er_serve_answer(s->stream.serve, type, s->stream.id, &f);
}

static int fail(const struct er_build_failure *failure, struct er_err *err)
{
        er_err_set(err, ER_STATE, "%s", failure->message ? failure->message : "the environment could not be built");
        if (failure->hint)
                er_err_hint(err, "%s", failure->hint);
        if (err) {
                free(err->provider_code);
                err->provider_code = failure->platform ? er_fmt("fetch %s", failure->platform)
                                                       : er_strdup(failure->kind ? failure->kind : "build");
        }
        return -1;
}

static int look(struct er_stream *stream, struct er_err *err)
{
        struct env_stream *s = (struct env_stream *)stream;

        switch (er_build_wait_look(&s->wait)) {
        case ER_BUILD_READY:
                tell(s, ER_F_OK);
                stream->done = true;
                return 0;
        case ER_BUILD_FAILED:
                return fail(&s->wait.failure, err);
        case ER_BUILD_PROGRESS:
                tell(s, ER_F_EVENT);
                break;
        case ER_BUILD_SAME:
                break;
        }
        stream->due = er_deadline_in(s->wait.pause_ms);
        return 0;
}

static void stop(struct er_stream *stream)
{
        er_serve_answer(stream->serve, ER_F_END, stream->id, NULL);
        stream->done = true;
}

static void free_stream(struct er_stream *stream)
{
        struct env_stream *s = (struct env_stream *)stream;

        er_build_wait_release(&s->wait);
        er_strv_wipe(&s->secrets);
        er_envdir_release(&s->env);
        free(s);
}

static const struct er_stream_ops env_ops = {.look = look, .stop = stop, .free = free_stream};

static int keep_recipe(const struct er_envdir *env, struct er_sv bytes, const unsigned char *hash, struct er_err *err)
{
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;

        if (er_recipe_decode(bytes, &recipe, err) < 0)
                return -1;
        if (memcmp(recipe.hash, hash, ER_ENV_HASH) != 0)
                return er_err_set(err, ER_REMOTE, "the recipe of a different environment");
        if (er_file_write(env->fd, "recipe", bytes.ptr, bytes.len, 0600, true, err) < 0)
                return -1;
        return 0;
}

static void take_secrets(struct er_serve *serve, const struct er_frame *frame, struct er_strv *ret)
{
        struct er_sv rest = frame->payload;
        struct er_field f;

        while (er_msg_next(&rest, &f))
                if (f.tag == ER_T_SECRET)
                        er_strv_addn(ret, f.value.ptr, f.value.len);
        if (ret->len)
                er_serve_wipe(serve, frame);
}

int er_do_env(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        struct er_sv recipe = er_msg_get(frame->payload, ER_T_RECIPE);
        struct er_envdir env = ER_ENVDIR_INIT;
        struct er_build_failure failure;
        struct env_stream *s;
        const unsigned char *hash;

        if (read_hash(frame->payload, &hash, err) < 0 ||
            er_envdir_open(serve->agent, hash, recipe.ptr ? ER_ENVDIR_MAKE : ER_ENVDIR_WANT, &env, err) < 0)
                return -1;
        /* A newer errand may have a better recipe for the same environment: unless it is built already, use that. */
        if (recipe.ptr && !er_envdir_is_ready(&env) && !er_envdir_is_building(&env) &&
            keep_recipe(&env, recipe, hash, err) < 0) {
                er_envdir_release(&env);
                return -1;
        }
        er_build_failure_read(&env, &failure);
        s = er_new(struct env_stream);
        s->env = env;
        take_secrets(serve, frame, &s->secrets);
        er_build_wait_begin(&s->wait, &s->env, &s->secrets, failure.count);
        er_build_failure_release(&failure);
        s->stream.fd = -1;
        s->stream.due = 0;
        er_stream_add(serve, &s->stream, &env_ops, frame->id);
        if (!er_envdir_is_ready(&s->env))
                tell(s, ER_F_EVENT); /* tells the number of earlier failures at once */
        return 0;
}

/* --- ENV_LIST */

static void add_entry(struct er_worker *worker, const struct er_envdir *env, const unsigned char *hash)
{
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        er_auto(er_str) text = ER_STR_INIT;
        struct er_build_failure failure;
        bool building = er_envdir_is_building(env);
        size_t start;

        if (er_file_read(env->fd, "recipe", ER_RECIPE_MAX, &text, NULL) == 0)
                (void)er_recipe_decode(er_svn(text.buf, text.len), &recipe, NULL);
        er_build_failure_read(env, &failure);
        start = er_frame_begin(&worker->out, ER_F_ENTRY, worker->id);
        er_msg_bytes(&worker->out, ER_T_ENVIRONMENT, hash, ER_ENV_HASH);
        er_msg_text(&worker->out, ER_T_NAME, recipe.summary);
        er_msg_text(&worker->out, ER_T_DATA, recipe.declaration);
        er_msg_text(&worker->out, ER_T_PATH, env->path);
        er_msg_u64(&worker->out, ER_T_SIZE, er_du(env->fd, "."));
        er_msg_i64(&worker->out, ER_T_MTIME, er_envdir_used_ms(env));
        er_msg_u64(&worker->out, ER_T_RUNNING, er_envdir_is_wanted(env));
        er_msg_u64(&worker->out, ER_T_STATE,
                   er_envdir_is_ready(env) ? ER_ENV_STATE_READY
                   : building              ? ER_ENV_STATE_BUILDING
                   : failure.count         ? ER_ENV_STATE_FAILED
                                           : ER_ENV_STATE_NONE);
        if (!er_envdir_is_ready(env))
                er_msg_text(&worker->out, ER_T_MESSAGE, failure.message);
        er_frame_end(&worker->out, start);
        er_worker_flush(worker, 0);
        er_build_failure_release(&failure);
}

static int list_one(void *arg, struct er_envdir *env, const unsigned char *hash, struct er_err *err)
{
        (void)err;
        add_entry(arg, env, hash);
        return 0;
}

static int list(struct er_worker *worker, struct er_err *err)
{
        size_t start;

        if (er_envdir_each(worker->agent, list_one, worker, err) < 0)
                return -1;
        start = er_frame_begin(&worker->out, ER_F_END, worker->id);
        er_frame_end(&worker->out, start);
        return 0;
}

int er_do_env_list(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        return er_worker_start(serve, frame, list, err);
}

/* --- ENV_REMOVE */

static int remove_one(struct er_worker *worker, struct er_err *err)
{
        er_auto(er_envdir) env = ER_ENVDIR_INIT;
        const unsigned char *hash;
        uint64_t freed = 0;
        size_t start;

        if (read_hash(worker->payload, &hash, err) < 0 ||
            er_envdir_open(worker->agent, hash, ER_ENVDIR_LOOK, &env, err) < 0 ||
            er_envdir_remove(&env, &freed, err) < 0)
                return -1;
        start = er_frame_begin(&worker->out, ER_F_OK, worker->id);
        er_msg_u64(&worker->out, ER_T_FREED, freed);
        er_frame_end(&worker->out, start);
        return 0;
}

int er_do_env_remove(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        return er_worker_start(serve, frame, remove_one, err);
}

/* --- ENV_CHECK */

static int check(struct er_worker *worker, struct er_err *err)
{
        er_auto(er_envdir) env = ER_ENVDIR_INIT;
        struct er_build_failure failure = ER_BUILD_FAILURE_INIT;
        const unsigned char *hash;
        er_autoclose int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        size_t start;

        if (read_hash(worker->payload, &hash, err) < 0 ||
            er_envdir_open(worker->agent, hash, ER_ENVDIR_WANT, &env, err) < 0)
                return -1;
        if (er_build_check(&env, null_fd, &failure, err) < 0) {
                if (failure.message) {
                        er_err_clear(err);
                        (void)fail(&failure, err);
                }
                er_build_failure_release(&failure);
                return -1;
        }
        er_build_failure_release(&failure);
        start = er_frame_begin(&worker->out, ER_F_OK, worker->id);
        er_frame_end(&worker->out, start);
        return 0;
}

int er_do_env_check(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        return er_worker_start(serve, frame, check, err);
}

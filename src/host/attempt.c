/* attempt.c - see attempt.h: each request is built from fields, and its answers are passed on one by one. */
#include "host/attempt.h"

#include "host/connect/requests.h"

static void add_frame(struct er_str *out, enum er_frame_type type, uint32_t id, const struct er_str *fields)
{
        size_t start = er_frame_begin(out, type, id);

        er_str_addn(out, fields->buf, fields->len);
        er_frame_end(out, start);
}

static void add_attempt(struct er_str *out, const char *key, uint32_t attempt)
{
        er_msg_text(out, ER_T_KEY, key);
        if (attempt)
                er_msg_u64(out, ER_T_ATTEMPT, attempt);
}

static void build_submit(struct er_str *out, uint32_t id, const char *host, const struct er_submit *submit)
{
        er_auto(er_str) spec = ER_STR_INIT;
        size_t start = er_frame_begin(out, ER_F_SUBMIT, id);

        add_attempt(out, submit->key, submit->attempt);
        er_spec_encode(submit->spec, &spec);
        er_msg_bytes(out, ER_T_SPEC, spec.buf, spec.len);
        for (size_t i = 0; submit->secrets && i < submit->secrets->len; i++)
                er_msg_text(out, ER_T_SECRET, submit->secrets->items[i]);
        er_msg_text(out, ER_T_NAME, host);
        if (submit->has_failures)
                er_msg_u64(out, ER_T_COUNT, submit->failures);
        er_frame_end(out, start);
}

static void build_watch(struct er_str *out, uint32_t id, const struct er_watch *watch)
{
        size_t start = er_frame_begin(out, ER_F_WATCH, id);

        add_attempt(out, watch->key, watch->attempt);
        er_msg_u64(out, ER_T_SEQ, watch->seq);
        er_msg_u64(out, ER_T_OFFSET, watch->offset);
        if (!watch->log)
                er_msg_u64(out, ER_T_FOLLOW, 0);
        er_frame_end(out, start);
}

static void to_our_clock(const struct er_session *session, struct er_status *status)
{
        status->time_ms = er_session_our_time(session, status->time_ms);
        status->started_ms = er_session_our_time(session, status->started_ms);
        status->ended_ms = er_session_our_time(session, status->ended_ms);
        status->used_ms = er_session_our_time(session, status->used_ms);
}

typedef int (*log_fn)(void *arg, int stream, uint64_t offset, int64_t time_ms, struct er_sv data, struct er_err *err);

static int give_log(const struct er_session *session, struct er_sv payload, log_fn on_log, void *arg,
                    struct er_err *err)
{
        struct er_field field;
        uint64_t offset = 0;
        int64_t time_ms = 0;
        int stream = 1;
        struct er_sv data = er_svn("", 0);

        while (er_msg_next(&payload, &field)) {
                if (field.tag == ER_T_OFFSET)
                        offset = er_field_u64(&field);
                else if (field.tag == ER_T_TIME)
                        time_ms = er_field_i64(&field);
                else if (field.tag == ER_T_STREAM)
                        stream = er_field_u64(&field) == 2 ? 2 : 1;
                else if (field.tag == ER_T_DATA)
                        data = field.value;
        }
        if (data.len == 0 || !on_log)
                return 0;
        return on_log(arg, stream, offset, er_session_our_time(session, time_ms), data, err);
}

static int give_event(const struct er_session *session, struct er_sv payload, const struct er_watch *watch,
                      struct er_err *err)
{
        er_auto(er_status) status = ER_STATUS_INIT;

        if (!watch->on_event)
                return 0;
        er_status_decode(payload, &status);
        to_our_clock(session, &status);
        return watch->on_event(watch->arg, &status, err);
}

/* The answers to a WATCH, to its end. */
static int follow(struct er_session *session, uint32_t id, const struct er_watch *watch, struct er_err *err)
{
        int rc;

        er_session_heartbeat(session, true);
        for (;;) {
                struct er_frame frame;

                rc = er_session_recv(session, id, ER_NEVER, &frame, err);
                if (rc < 0 || frame.type == ER_F_END)
                        break;
                if (frame.type == ER_F_LOG_DATA)
                        rc = give_log(session, frame.payload, watch->on_log, watch->arg, err);
                else if (frame.type == ER_F_EVENT)
                        rc = give_event(session, frame.payload, watch, err);
                if (rc < 0) {
                        er_session_drop(session, id, true);
                        break;
                }
        }
        er_session_heartbeat(session, false);
        return rc;
}

/* Even with another spec it is this attempt: the key says in which store and when the job was made. So a SUBMIT whose
   answer was lost has started it, with the job as it was then (its snapshot, or the build that packed it, may have
   changed since). */
static int submitted(struct er_session *session, uint32_t id, struct er_err *err)
{
        er_auto(er_err) why = ER_ERR_INIT;
        struct er_frame answer;

        if (er_session_recv(session, id, ER_NEVER, &answer, &why) == 0 || why.code == ER_EXISTS)
                return 0;
        return err ? er_err_move(err, &why) : -1;
}

int er_attempt_watch(struct er_session *session, const struct er_watch *watch, struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        uint32_t id = er_session_next_id(session);

        build_watch(&frames, id, watch);
        if (er_session_send(session, er_svn(frames.buf, frames.len), err) < 0)
                return -1;
        return follow(session, id, watch, err);
}

int er_attempt_run(struct er_session *session, const struct er_submit *submit, const struct er_watch *watch,
                   struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        uint32_t submit_id = er_session_next_id(session), watch_id = er_session_next_id(session);
        int rc;

        build_submit(&frames, submit_id, er_session_host(session), submit);
        build_watch(&frames, watch_id, watch);
        rc = er_session_send(session, er_svn(frames.buf, frames.len), err);
        if (submit->secrets && submit->secrets->len)
                explicit_bzero(frames.buf, frames.len);
        if (rc < 0)
                return -1;
        if (submitted(session, submit_id, err) < 0) {
                /* The WATCH then has nothing to watch, and gets an answer that says so. */
                er_session_drop(session, watch_id, false);
                return -1;
        }
        return follow(session, watch_id, watch, err);
}

int er_attempt_cancel(struct er_session *session, const char *key, uint32_t attempt, int64_t grace_ms,
                      struct er_err *err)
{
        er_auto(er_str) fields = ER_STR_INIT;

        add_attempt(&fields, key, attempt);
        if (grace_ms >= 0)
                er_msg_i64(&fields, ER_T_GRACE, grace_ms);
        return er_session_call(session, ER_F_CANCEL, er_svn(fields.buf, fields.len), NULL, err);
}

int er_attempt_stat(struct er_session *session, const char *key, uint32_t attempt, struct er_status *ret,
                    struct er_err *err)
{
        er_auto(er_str) fields = ER_STR_INIT;
        er_auto(er_str) frames = ER_STR_INIT;
        er_auto(er_status) found = ER_STATUS_INIT;
        uint32_t id = er_session_next_id(session);
        bool any = false;

        add_attempt(&fields, key, attempt);
        add_frame(&frames, ER_F_STAT, id, &fields);
        if (er_session_send(session, er_svn(frames.buf, frames.len), err) < 0)
                return -1;
        for (;;) {
                struct er_frame frame;

                if (er_session_recv(session, id, ER_NEVER, &frame, err) < 0)
                        return -1;
                if (frame.type == ER_F_END)
                        break;
                if (frame.type != ER_F_STATUS)
                        continue;
                er_status_release(&found);
                found = (struct er_status)ER_STATUS_INIT;
                er_status_decode(frame.payload, &found);
                any = true;
        }
        if (!any) {
                er_err_set(err, ER_NOT_FOUND, "%s knows nothing of %s", er_session_host(session), key);
                return -1;
        }
        to_our_clock(session, &found);
        *ret = found;
        found = (struct er_status)ER_STATUS_INIT;
        return 0;
}

/* All attempts there that match the fields of a STAT. */
static int list(struct er_session *session, const struct er_str *fields, struct er_status **ret, size_t *ret_count,
                struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        uint32_t id = er_session_next_id(session);
        struct er_status *items = NULL;
        size_t count = 0, cap = 0;
        struct er_frame frame;

        add_frame(&frames, ER_F_STAT, id, fields);
        if (er_session_send(session, er_svn(frames.buf, frames.len), err) < 0)
                return -1;
        for (;;) {
                if (er_session_recv(session, id, ER_NEVER, &frame, err) < 0) {
                        for (size_t i = 0; i < count; i++)
                                er_status_release(&items[i]);
                        free(items);
                        return -1;
                }
                if (frame.type == ER_F_END)
                        break;
                if (frame.type != ER_F_STATUS)
                        continue;
                items = er_grow(items, &cap, count + 1, sizeof *items);
                items[count] = (struct er_status)ER_STATUS_INIT;
                er_status_decode(frame.payload, &items[count]);
                to_our_clock(session, &items[count++]);
        }
        *ret = items;
        *ret_count = count;
        return 0;
}

int er_attempt_active(struct er_session *session, struct er_status **ret, size_t *ret_count, struct er_err *err)
{
        er_auto(er_str) fields = ER_STR_INIT;

        er_msg_u64(&fields, ER_T_ACTIVE, 1);
        return list(session, &fields, ret, ret_count, err);
}

int er_attempt_owned(struct er_session *session, const char *owner, struct er_status **ret, size_t *ret_count,
                     struct er_err *err)
{
        er_auto(er_str) fields = ER_STR_INIT;

        er_msg_text(&fields, ER_T_OWNER, owner);
        return list(session, &fields, ret, ret_count, err);
}

int er_attempt_remove(struct er_session *session, const char *key, uint32_t attempt, uint64_t *ret_freed,
                      struct er_err *err)
{
        er_auto(er_str) fields = ER_STR_INIT;
        struct er_frame answer;

        add_attempt(&fields, key, attempt);
        if (er_session_call(session, ER_F_REMOVE, er_svn(fields.buf, fields.len), &answer, err) < 0)
                return -1;
        if (ret_freed)
                *ret_freed = er_msg_get_u64(answer.payload, ER_T_FREED, 0);
        return 0;
}

int er_attempt_log(struct er_session *session, const char *key, uint32_t attempt, const struct er_log_range *range,
                   log_fn on_log, void *arg, uint64_t *ret_next, struct er_err *err)
{
        er_auto(er_str) fields = ER_STR_INIT;
        er_auto(er_str) frames = ER_STR_INIT;
        uint32_t id = er_session_next_id(session);
        const struct er_hello *hello;

        /* Their clock must be known before a time of ours can be sent. */
        if (range->since_ms > 0 && er_session_hello(session, &hello, err) < 0)
                return -1;
        add_attempt(&fields, key, attempt);
        er_msg_u64(&fields, ER_T_OFFSET, range->offset);
        if (range->limit)
                er_msg_u64(&fields, ER_T_LIMIT, range->limit);
        if (range->tail >= 0)
                er_msg_u64(&fields, ER_T_TAIL, (uint64_t)range->tail);
        if (range->since_ms > 0)
                er_msg_i64(&fields, ER_T_SINCE, er_session_their_time(session, range->since_ms));
        add_frame(&frames, ER_F_LOG, id, &fields);
        if (er_session_send(session, er_svn(frames.buf, frames.len), err) < 0)
                return -1;
        for (;;) {
                struct er_frame frame;

                if (er_session_recv(session, id, ER_NEVER, &frame, err) < 0)
                        return -1;
                if (frame.type == ER_F_END) {
                        if (ret_next)
                                *ret_next = er_msg_get_u64(frame.payload, ER_T_OFFSET, range->offset);
                        return 0;
                }
                if (frame.type == ER_F_LOG_DATA && give_log(session, frame.payload, on_log, arg, err) < 0) {
                        er_session_drop(session, id, true);
                        return -1;
                }
        }
}

/* One GC request with as many of the keys as fit, from *at on; its counts are added. */
static int gc_some(struct er_session *session, const struct er_strv *unwanted, size_t *at, bool dry, struct er_gc *sum,
                   struct er_err *err)
{
        uint64_t *counts[] = {&sum->attempts, &sum->trees, &sum->packs, &sum->environments};
        er_auto(er_str) fields = ER_STR_INIT;
        struct er_frame answer;
        struct er_field field;
        size_t count = 0;

        if (dry)
                er_msg_u64(&fields, ER_T_DRY, 1);
        while (*at < unwanted->len && fields.len < ER_FRAME_MAX / 2)
                er_msg_text(&fields, ER_T_KEY, unwanted->items[(*at)++]);
        if (er_session_call(session, ER_F_GC, er_svn(fields.buf, fields.len), &answer, err) < 0)
                return -1;
        while (er_msg_next(&answer.payload, &field)) {
                if (field.tag == ER_T_FREED)
                        sum->freed += er_field_u64(&field);
                else if (field.tag == ER_T_COUNT && count < ER_LEN(counts))
                        *counts[count++] += er_field_u64(&field);
        }
        return 0;
}

int er_host_gc(struct er_session *session, const struct er_strv *unwanted, bool dry, struct er_gc *ret,
               struct er_err *err)
{
        struct er_gc sum = {0};
        size_t at = 0;

        do
                if (gc_some(session, unwanted, &at, dry, &sum, err) < 0)
                        return -1;
        while (at < unwanted->len);
        *ret = sum;
        return 0;
}

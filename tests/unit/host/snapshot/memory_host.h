/*
 * memory_host.h - a host made of memory, at the other end of a session that needs no process: it keeps lists and
 * contents as PROTOCOL.md says, checks every content against its hash, and can be told to break off, to forget, or to
 * refuse. Its functions stand in for host/connect/session.c, so a test that includes it has no other host.
 */
#ifndef ER_MEMORY_HOST_H
#define ER_MEMORY_HOST_H

#include "unit.h"

#include "base/hash.h"
#include "base/map.h"
#include "host/connect/requests.h"
#include "proto/tree.h"

#define TREES_MAX 16

struct tree {
        unsigned char hash[ER_TREE_HASH];
        struct er_str packed;
};
struct content { /* key of the map: its hash */
        struct er_str data;
        uint64_t size;
};
struct er_session {
        struct tree trees[TREES_MAX];
        size_t tree_count;
        struct er_map contents;

        /* The upload under way */
        uint32_t id;
        bool open;
        unsigned char hash[ER_TREE_HASH];
        uint64_t count, checksum;
        struct tree *base;
        struct er_str entries, gone;
        uint32_t need[4096];
        size_t need_len, need_at;

        /* What is said to the client next */
        struct er_str answers;
        size_t answered;
        uint32_t next_id;

        /* What is to go wrong */
        int64_t break_after;         /* blob bytes; -1: never */
        const struct er_err *refuse; /* the upload, at the first blob */
        void (*at_blob)(void);       /* called when the first one comes */
        bool forget;                 /* the base that is asked for next */

        /* What was seen */
        uint64_t blob_bytes, frames, entries_sent, gone_sent, puts, taken_back;
        bool broken;
        uint32_t dropped;
};

/* ---- The host */

static void answer(struct er_session *s, enum er_frame_type type, uint32_t id, const struct er_str *fields)
{
        size_t start = er_frame_begin(&s->answers, type, id);

        if (fields)
                er_str_addn(&s->answers, fields->buf, fields->len);
        er_frame_end(&s->answers, start);
}

static void refuse(struct er_session *s, enum er_code code, const char *provider_code)
{
        er_auto(er_err) err = ER_ERR_INIT;

        er_err_set(&err, code, "no");
        if (provider_code)
                err.provider_code = er_strdup(provider_code);
        er_frame_error(&s->answers, s->id, &err);
        s->open = false;
}

static struct tree *find_tree(struct er_session *s, const void *hash)
{
        for (size_t i = 0; i < s->tree_count; i++)
                if (memcmp(s->trees[i].hash, hash, ER_TREE_HASH) == 0)
                        return &s->trees[i];
        return NULL;
}

static bool entry_at(struct er_sv packed, size_t index, struct er_tree_entry *ret)
{
        for (size_t i = 0;; i++) {
                if (er_tree_unpack(&packed, ret, NULL) != 1)
                        return false;
                if (i == index)
                        return true;
        }
}

static bool is_listed(struct er_sv paths, struct er_sv path)
{
        struct er_sv one;

        while (er_tree_unpack_path(&paths, &one, NULL) == 1)
                if (er_sv_eq(one, path))
                        return true;
        return false;
}

static bool has_path(struct er_sv packed, struct er_sv path)
{
        struct er_tree_entry e;

        while (er_tree_unpack(&packed, &e, NULL) == 1)
                if (er_sv_eq(e.path, path))
                        return true;
        return false;
}

static int compare_entries(const void *a, const void *b)
{
        const struct er_tree_entry *left = a, *right = b;
        size_t len = left->path.len < right->path.len ? left->path.len : right->path.len;
        int order = memcmp(left->path.ptr, right->path.ptr, len);

        return order ? order : (left->path.len > right->path.len) - (left->path.len < right->path.len);
}

/* The new tree as a whole, whose name must be its hash. */
static void merge(struct er_session *s, struct er_str *out)
{
        static struct er_tree_entry all[20000];
        struct er_sv rest = er_svn(s->entries.buf, s->entries.len), gone = er_svn(s->gone.buf, s->gone.len);
        er_auto(er_hasher) hasher = {NULL};
        struct er_tree_entry e;
        struct er_hash hash;
        uint64_t sum = 0;
        size_t len = 0;

        while (er_tree_unpack(&rest, &e, NULL) == 1)
                all[len++] = e;
        for (size_t i = 1; i < len; i++)
                assert_true(compare_entries(&all[i - 1], &all[i]) < 0);
        if (s->base) {
                rest = er_svn(s->base->packed.buf, s->base->packed.len);
                while (er_tree_unpack(&rest, &e, NULL) == 1)
                        if (!is_listed(gone, e.path) && !has_path(er_svn(s->entries.buf, s->entries.len), e.path))
                                all[len++] = e;
        }
        if (len > 0)
                qsort(all, len, sizeof all[0], compare_entries);
        assert_int_equal(len, s->count);
        for (size_t i = 0; i < len; i++) {
                er_tree_pack(out, &all[i]);
                sum += er_tree_entry_sum(&all[i]);
        }
        assert_true(sum == s->checksum);
        assert_int_equal(er_hasher_init(&hasher, NULL), 0);
        er_hasher_begin(&hasher);
        er_hasher_add(&hasher, out->buf, out->len);
        er_hasher_end(&hasher, &hash);
        assert_memory_equal(hash.bytes, s->hash, ER_TREE_HASH);
}

/* Three to a frame, so that there are several. */
static void send_need(struct er_session *s)
{
        struct er_sv rest = er_svn(s->entries.buf, s->entries.len);
        struct er_tree_entry e;
        uint32_t half = UINT32_MAX;

        s->need_len = s->need_at = 0;
        for (uint32_t i = 0; er_tree_unpack(&rest, &e, NULL) == 1; i++) {
                struct content *c = e.type == 'f' && e.size ? er_map_get(&s->contents, e.hash, ER_TREE_HASH) : NULL;

                if (e.type != 'f' || e.size == 0 || (c && c->data.len == c->size))
                        continue;
                if (c && c->data.len > 0) {
                        half = i;
                        continue;
                }
                if (!c) {
                        c = er_new(struct content);
                        er_str_init(&c->data);
                        c->size = e.size;
                        er_map_set(&s->contents, e.hash, ER_TREE_HASH, c);
                        s->need[s->need_len++] = i;
                } else {
                        bool asked = false;

                        for (size_t k = 0; k < s->need_len && !asked; k++) {
                                struct er_tree_entry other;

                                asked = entry_at(er_svn(s->entries.buf, s->entries.len), s->need[k], &other) &&
                                        memcmp(other.hash, e.hash, ER_TREE_HASH) == 0;
                        }
                        if (!asked)
                                s->need[s->need_len++] = i;
                }
                assert_true(s->need_len < ER_LEN(s->need) - 1);
        }
        if (half != UINT32_MAX) {
                memmove(s->need + 1, s->need, s->need_len++ * sizeof s->need[0]);
                s->need[0] = half;
        }
        for (size_t at = 0; at == 0 || at < s->need_len; at += 3) {
                er_auto(er_str) fields = ER_STR_INIT, pairs = ER_STR_INIT;
                size_t n = s->need_len - at < 3 ? s->need_len - at : 3;

                for (size_t i = 0; i < n; i++) {
                        uint64_t offset;

                        assert_true(entry_at(er_svn(s->entries.buf, s->entries.len), s->need[at + i], &e));
                        offset = ((struct content *)er_map_get(&s->contents, e.hash, ER_TREE_HASH))->data.len;
                        er_str_addn(&pairs, &s->need[at + i], 4);
                        er_str_addn(&pairs, &offset, 8);
                }
                er_msg_bytes(&fields, ER_T_NEED, pairs.buf, pairs.len);
                if (s->need_len - at - n > 0)
                        er_msg_u64(&fields, ER_T_COUNT, s->need_len - at - n);
                answer(s, ER_F_NEED, s->id, &fields);
        }
}

static void on_blob(struct er_session *s, struct er_sv payload)
{
        uint64_t index = er_msg_get_u64(payload, ER_T_INDEX, UINT64_MAX),
                 offset = er_msg_get_u64(payload, ER_T_OFFSET, 99);
        struct er_sv data = er_msg_get(payload, ER_T_DATA);
        struct er_tree_entry e;
        struct content *c;

        if (s->at_blob) {
                void (*call)(void) = s->at_blob;

                s->at_blob = NULL;
                call();
        }
        if (s->refuse) {
                er_frame_error(&s->answers, s->id, s->refuse);
                s->open = false;
                return;
        }
        if (data.len == 0) {
                assert_int_equal(offset, 0);
                s->taken_back++;
                if (s->need_at < s->need_len &&
                    entry_at(er_svn(s->entries.buf, s->entries.len), s->need[s->need_at], &e))
                        er_str_reset(&((struct content *)er_map_get(&s->contents, e.hash, ER_TREE_HASH))->data);
                refuse(s, ER_STATE, NULL);
                return;
        }
        assert_true(data.len <= ER_CHUNK);
        assert_true(s->need_at < s->need_len);
        assert_int_equal(index, s->need[s->need_at]);
        assert_true(entry_at(er_svn(s->entries.buf, s->entries.len), index, &e));
        c = er_map_get(&s->contents, e.hash, ER_TREE_HASH);
        assert_int_equal(offset, c->data.len);
        er_str_addn(&c->data, data.ptr, data.len);
        assert_true(c->data.len <= c->size);
        s->blob_bytes += data.len;
        if (c->data.len == c->size) {
                er_auto(er_hasher) hasher = {NULL};
                struct er_hash hash;

                assert_int_equal(er_hasher_init(&hasher, NULL), 0);
                er_hasher_begin(&hasher);
                er_hasher_add(&hasher, c->data.buf, c->data.len);
                er_hasher_end(&hasher, &hash);
                assert_memory_equal(hash.bytes, e.hash, ER_TREE_HASH);
                s->need_at++;
        }
}

static void on_frame(struct er_session *s, const struct er_frame *frame)
{
        er_auto(er_str) fields = ER_STR_INIT, packed = ER_STR_INIT;
        struct er_sv rest, value;
        struct er_tree_entry e;

        s->frames++;
        assert_true(er_msg_is_sound(frame->payload));
        assert_true(frame->payload.len <= ER_FRAME_MAX);
        if (frame->type == ER_F_TREES) {
                for (size_t i = s->tree_count; i-- > 0;)
                        er_msg_bytes(&fields, ER_T_TREE, s->trees[i].hash, ER_TREE_HASH);
                answer(s, ER_F_OK, frame->id, &fields);
                return;
        }
        if (frame->type == ER_F_TREE_PUT) {
                s->puts++;
                s->id = frame->id;
                s->open = true;
                s->count = er_msg_get_u64(frame->payload, ER_T_COUNT, 0);
                s->checksum = er_msg_get_u64(frame->payload, ER_T_CHECKSUM, 0);
                memcpy(s->hash, er_msg_get(frame->payload, ER_T_TREE).ptr, ER_TREE_HASH);
                value = er_msg_get(frame->payload, ER_T_BASE);
                s->base = value.ptr && !s->forget ? find_tree(s, value.ptr) : NULL;
                s->forget = false;
                er_str_reset(&s->entries);
                er_str_reset(&s->gone);
                s->entries_sent = s->gone_sent = 0;
                if (value.ptr && !s->base)
                        refuse(s, ER_NOT_FOUND, "snapshot");
                return;
        }
        if (frame->id != s->id || !s->open)
                return; /* of a request that is closed */
        switch ((int)frame->type) {
        case ER_F_TREE_PART:
                value = er_msg_get(frame->payload, ER_T_ENTRIES);
                er_str_addn(&s->entries, value.ptr, value.len);
                for (rest = value; er_tree_unpack(&rest, &e, NULL) == 1;)
                        s->entries_sent++;
                assert_int_equal(rest.len, 0);
                value = er_msg_get(frame->payload, ER_T_GONE);
                er_str_addn(&s->gone, value.ptr, value.len);
                for (rest = value; er_tree_unpack_path(&rest, &value, NULL) == 1;)
                        s->gone_sent++;
                break;
        case ER_F_TREE_END:
                merge(s, &packed);
                send_need(s);
                break;
        case ER_F_BLOB:
                on_blob(s, frame->payload);
                break;
        case ER_F_BLOB_END:
                assert_int_equal(s->need_at, s->need_len);
                merge(s, &packed);
                memcpy(s->trees[s->tree_count].hash, s->hash, ER_TREE_HASH);
                er_str_init(&s->trees[s->tree_count].packed);
                er_str_addn(&s->trees[s->tree_count].packed, packed.buf, packed.len);
                s->tree_count++;
                assert_true(s->tree_count < TREES_MAX);
                s->open = false;
                answer(s, ER_F_OK, frame->id, NULL);
                break;
        default:
                fail_msg("frame of type %d", (int)frame->type);
        }
}

/* ---- The session that leads to it, in place of host/connect/session.c */

const char *er_session_host(const struct er_session *session)
{
        (void)session;
        return "there";
}

uint32_t er_session_next_id(struct er_session *session)
{
        return ++session->next_id;
}

void er_session_drop(struct er_session *session, uint32_t id, bool stream)
{
        assert_false(stream);
        session->dropped = id;
}

/* On for as long as an upload is under way: an agent that hangs must not be waited for without end. */
static bool heart_beats;

void er_session_heartbeat(struct er_session *session, bool on)
{
        (void)session;
        heart_beats = on;
}

int er_session_send(struct er_session *session, struct er_sv frames, struct er_err *err)
{
        struct er_frame frame;

        assert_true(heart_beats);
        while (frames.len > 0) {
                if (!session->broken && session->break_after >= 0 &&
                    session->blob_bytes >= (uint64_t)session->break_after) {
                        session->broken = true;
                        session->open = false;
                }
                if (session->broken) {
                        er_err_set(err, ER_TRANSPORT, "there: the connection broke");
                        return er_err_retry(err);
                }
                assert_int_equal(er_frame_parse(frames.ptr, frames.len, &frame, NULL), 1);
                on_frame(session, &frame);
                frames.ptr += frame.size;
                frames.len -= frame.size;
        }
        return 0;
}

int er_session_recv(struct er_session *session, uint32_t id, er_deadline deadline, struct er_frame *ret,
                    struct er_err *err)
{
        while (session->answered < session->answers.len) {
                assert_int_equal(er_frame_parse(session->answers.buf + session->answered,
                                                session->answers.len - session->answered, ret, NULL),
                                 1);
                session->answered += ret->size;
                if (ret->id == session->dropped)
                        continue;
                assert_int_equal(ret->id, id);
                return ret->type == ER_F_ERROR ? er_frame_to_err(ret, err) : 0;
        }
        if (deadline == ER_NEVER)
                fail_msg("waits for an answer that does not come");
        return er_err_set(err, ER_TIMEOUT, "no answer in time");
}

int er_session_call(struct er_session *session, enum er_frame_type type, struct er_sv fields, struct er_frame *ret,
                    struct er_err *err)
{
        er_auto(er_str) request = ER_STR_INIT;
        uint32_t id = er_session_next_id(session);
        size_t start = er_frame_begin(&request, type, id);

        er_str_addn(&request, fields.ptr, fields.len);
        er_frame_end(&request, start);
        if (er_session_send(session, er_svn(request.buf, request.len), err) < 0)
                return -1;
        return er_session_recv(session, id, ER_NEVER, ret, err);
}

static struct er_session *host_new(void)
{
        struct er_session *s = er_new(struct er_session);

        s->break_after = -1;
        er_str_init(&s->entries);
        er_str_init(&s->gone);
        er_str_init(&s->answers);
        return s;
}

static void host_free(struct er_session *s)
{
        const struct er_map_slot *slot;

        for (size_t i = 0; (slot = er_map_next(&s->contents, &i));) {
                er_str_release(&((struct content *)slot->value)->data);
                free(slot->value);
        }
        er_map_release(&s->contents);
        for (size_t i = 0; i < s->tree_count; i++)
                er_str_release(&s->trees[i].packed);
        er_str_release(&s->entries);
        er_str_release(&s->gone);
        er_str_release(&s->answers);
        free(s);
}

#endif

/*
 * send.c - bringing a snapshot to a host: PROTOCOL.md, section 4. Three round trips at most: which trees are there; the
 * list, or how it differs from one that is there, and which contents are wanted; the contents.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/parse.h"
#include "host/connect/requests.h"
#include "host/snapshot/snapshot_impl.h"
#include "host/snapshot/steps.h"
#include "host/snapshot/treecache.h"

#define FLUSH_AT ((size_t)512 * 1024)   /* frames are collected up to this size for one write */
#define LIST_FRAME ((size_t)256 * 1024) /* of entries in one frame */
#define BLOCK ((size_t)512 * 1024)      /* of a file read at once: a multiple of ER_CHUNK */
#define NEED_PAIR 12u
#define TOUCHED_MAX 5u             /* how many times a file is checked again because of new stat data */
#define LIST_MAX ((size_t)1 << 30) /* the host accepts no longer one */

_Static_assert(BLOCK % ER_CHUNK == 0, "only the last frame of a file is short");

struct sender {
        struct er_session *session;
        const struct er_snapshot *snapshot;
        struct er_transfer *transfer;
        const char *project;
        uint32_t id;
        struct er_str out; /* frames not sent yet */
        struct er_str own_packed;
        struct er_sv packed; /* the whole list: the snapshot's, or ours */
        uint64_t sum;        /* sum of er_tree_entry_sum over it */
        uint32_t *sent;      /* (owned) for each entry to be sent, its index in the snapshot */
        size_t sent_len, sent_cap;
        struct er_str entries, gone; /* the difference, packed */
        struct er_str need;
        struct er_steps steps;
        struct er_hasher hasher;
        unsigned char *block;
};

static int flush(struct sender *s, struct er_err *err)
{
        int rc = s->out.len > 0 ? er_session_send(s->session, er_svn(s->out.buf, s->out.len), err) : 0;

        er_str_reset(&s->out);
        return rc;
}

static int flush_if_large(struct sender *s, struct er_err *err)
{
        return s->out.len >= FLUSH_AT ? flush(s, err) : 0;
}

static void tell(const struct sender *s)
{
        if (s->transfer->progress)
                s->transfer->progress(s->transfer->arg, s->transfer);
}

static int not_our_protocol(const struct sender *s, const char *what, struct er_err *err)
{
        return er_err_set(err, ER_REMOTE, "%s: errand-agent answered TREE_PUT with %s", er_session_host(s->session),
                          what);
}

/* ---- The list */

static int pack_list(struct sender *s, struct er_err *err)
{
        struct er_tree_entry entry;
        size_t size = er_snapshot_packed_size(s->snapshot);

        if (size > LIST_MAX)
                return er_err_set(err, ER_STATE, "too many files to send: their names alone take more than a gigabyte");
        if (s->snapshot->packed.len == 0) {
                er_str_reserve(&s->own_packed, size);
                for (size_t i = 0; er_snapshot_entry(s->snapshot, i, &entry); i++)
                        er_tree_pack(&s->own_packed, &entry);
                s->packed = er_svn(s->own_packed.buf, s->own_packed.len);
        } else {
                s->packed = er_svn(s->snapshot->packed.buf, s->snapshot->packed.len);
        }
        return 0;
}

/* A list being walked. */
struct cursor {
        struct er_sv rest;
        struct er_tree_packed entry;
        int more; /* 1, 0 at the end, -1 */
};

static void advance(struct cursor *c, struct er_err *err)
{
        c->more = er_tree_skip(&c->rest, &c->entry, err);
}

static uint64_t sum_of(struct er_sv packed)
{
        return er_hash64(packed.ptr, packed.len); /* er_tree_entry_sum, without packing it again */
}

static void add_entry(struct sender *s, struct er_sv packed, uint32_t index)
{
        er_str_addn(&s->entries, packed.ptr, packed.len);
        s->sum += sum_of(packed);
        s->sent = er_grow(s->sent, &s->sent_cap, s->sent_len + 1, sizeof *s->sent);
        s->sent[s->sent_len++] = index;
}

/* What the base lacks, and what only the base has. Both lists may be long and are mostly the same: what is the same
   is skipped. Without a base: everything. */
static int find_difference(struct sender *s, const struct er_treecache *base, struct er_err *err)
{
        struct cursor old = {.rest = base->packed}, new = {.rest = s->packed};
        uint32_t index = 0;

        s->sum = base->sum;
        s->sent_len = 0;
        er_str_reset(&s->entries);
        er_str_reset(&s->gone);
        advance(&old, err);
        advance(&new, err);
        while (old.more == 1 || new.more == 1) {
                int order = 0;

                if (old.more < 0 || new.more < 0)
                        return -1;
                if (old.more != 1 || new.more != 1 || !er_sv_eq(old.entry.all, new.entry.all)) {
                        order = old.more != 1   ? 1
                                : new.more != 1 ? -1
                                                : er_tree_path_compare(old.entry.path, new.entry.path);
                        if (order <= 0)
                                s->sum -= sum_of(old.entry.all);
                        if (order < 0)
                                er_tree_pack_path(&s->gone, old.entry.path);
                        else
                                add_entry(s, new.entry.all, index);
                }
                if (order <= 0)
                        advance(&old, err);
                if (order >= 0) {
                        advance(&new, err);
                        index++;
                }
        }
        return old.more < 0 || new.more < 0 ? -1 : 0;
}

static int next_entry(struct er_sv *rest, struct er_err *err)
{
        struct er_tree_packed entry;

        return er_tree_skip(rest, &entry, err);
}

static int next_path(struct er_sv *rest, struct er_err *err)
{
        struct er_sv path;

        return er_tree_unpack_path(rest, &path, err);
}

/* A list in frames of whole items. */
static int send_parts(struct sender *s, uint16_t tag, const struct er_str *list,
                      int (*next)(struct er_sv *rest, struct er_err *err), struct er_err *err)
{
        struct er_sv rest = er_svn(list->buf, list->len);
        const char *begin = rest.ptr;

        while (rest.len > 0) {
                if (next(&rest, err) < 0)
                        return -1;
                if (rest.len == 0 || (size_t)(rest.ptr - begin) >= LIST_FRAME) {
                        size_t start = er_frame_begin(&s->out, ER_F_TREE_PART, s->id);

                        er_msg_bytes(&s->out, tag, begin, (size_t)(rest.ptr - begin));
                        er_frame_end(&s->out, start);
                        begin = rest.ptr;
                        if (flush_if_large(s, err) < 0)
                                return -1;
                }
        }
        return 0;
}

static int send_list(struct sender *s, const unsigned char *base_hash, const struct er_treecache *base,
                     struct er_err *err)
{
        size_t start;

        if (find_difference(s, base, err) < 0)
                return -1;
        start = er_frame_begin(&s->out, ER_F_TREE_PUT, s->id);
        er_msg_text(&s->out, ER_T_PROJECT, s->project);
        er_msg_bytes(&s->out, ER_T_TREE, s->snapshot->hash, ER_TREE_HASH);
        er_msg_u64(&s->out, ER_T_COUNT, s->snapshot->len);
        er_msg_u64(&s->out, ER_T_CHECKSUM, s->sum);
        if (base_hash)
                er_msg_bytes(&s->out, ER_T_BASE, base_hash, ER_TREE_HASH);
        er_frame_end(&s->out, start);
        if (send_parts(s, ER_T_GONE, &s->gone, next_path, err) < 0 ||
            send_parts(s, ER_T_ENTRIES, &s->entries, next_entry, err) < 0)
                return -1;
        er_frame_end(&s->out, er_frame_begin(&s->out, ER_F_TREE_END, s->id));
        return flush(s, err);
}

/* ---- What the host wants */

static uint64_t get(const char *p, size_t bytes)
{
        uint64_t value = 0;

        for (size_t i = 0; i < bytes; i++)
                value |= (uint64_t)(unsigned char)p[i] << (8 * i);
        return value;
}

static int read_need(struct sender *s, struct er_err *err)
{
        struct er_frame frame;

        do {
                struct er_sv pairs;

                if (er_session_recv(s->session, s->id, ER_NEVER, &frame, err) < 0)
                        return -1;
                if (frame.type != ER_F_NEED)
                        return not_our_protocol(s, "something else than NEED", err);
                pairs = er_msg_get(frame.payload, ER_T_NEED);
                if (pairs.len % NEED_PAIR != 0 || s->need.len + pairs.len > s->sent_len * NEED_PAIR)
                        return not_our_protocol(s, "a damaged NEED", err);
                er_str_addn(&s->need, pairs.ptr, pairs.len);
        } while (er_msg_get_u64(frame.payload, ER_T_COUNT, 0) > 0);
        for (size_t at = 0; at < s->need.len; at += NEED_PAIR) {
                uint64_t index = get(s->need.buf + at, 4), offset = get(s->need.buf + at + 4, 8);
                const struct er_scan_file *file;

                if (index >= s->sent_len)
                        return not_our_protocol(s, "a NEED of what was not sent", err);
                file = &s->snapshot->files[s->sent[index]];
                if (file->type != 'f' || offset > file->stat.size)
                        return not_our_protocol(s, "a NEED of what no file has", err);
                s->transfer->total_files++;
                s->transfer->total_bytes += file->stat.size - offset;
        }
        return 0;
}

/* ---- Contents. A byte is sent only if it surely belongs to the hash: the host does not check, and what has arrived of
   a file when the connection breaks is trusted next time. */

static int changed(const struct er_scan_file *file, struct er_err *err)
{
        er_auto(er_str) name = ER_STR_INIT;

        er_quote_show(&name, file->path, file->path_len);
        er_err_set(err, ER_STATE, "%s has changed since the snapshot was taken", name.buf);
        if (err)
                err->provider_code = er_strdup("changed");
        return er_err_retry(err);
}

static int read_err(const struct er_scan_file *file, int errnum, struct er_err *err)
{
        er_auto(er_str) name = ER_STR_INIT;

        if (errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP)
                return changed(file, err);
        er_quote_show(&name, file->path, file->path_len);
        return er_err_errno(err, errnum, "read %s", name.buf);
}

static void add_blob(struct sender *s, uint32_t index, uint64_t offset, const void *data, size_t len)
{
        er_auto(er_str) fields = ER_STR_INIT;

        er_msg_u64(&fields, ER_T_INDEX, index);
        er_msg_u64(&fields, ER_T_OFFSET, offset);
        er_frame_head(&s->out, ER_F_BLOB, s->id, er_svn(fields.buf, fields.len), ER_T_DATA, len);
        er_str_addn(&s->out, data, len);
}

static int stat_now(int fd, const struct er_scan_file *file, struct er_file_stat *ret, struct er_err *err)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return read_err(file, errno, err);
        er_file_stat_from(&st, ret);
        return 0;
}

/* Reads all of it and compares; *ret_stat is valid as long as the content is. */
static int verify(struct sender *s, int fd, const struct er_scan_file *file, struct er_file_stat *ret_stat,
                  struct er_err *err)
{
        struct er_file_stat before, after;
        uint64_t size = file->stat.size;
        struct er_hash hash;

        if (stat_now(fd, file, &before, err) < 0)
                return -1;
        if (before.size != size)
                return changed(file, err);
        if (!s->hasher.ctx && er_hasher_init(&s->hasher, err) < 0)
                return -1;
        er_hasher_begin(&s->hasher);
        for (uint64_t done = 0; done < size;) {
                ssize_t n = er_pread_full(fd, s->block, size - done < BLOCK ? (size_t)(size - done) : BLOCK,
                                          (off_t)done);

                if (n < 0)
                        return read_err(file, errno, err);
                if (n == 0)
                        return changed(file, err);
                er_hasher_add(&s->hasher, s->block, (size_t)n);
                done += (uint64_t)n;
        }
        er_hasher_end(&s->hasher, &hash);
        if (stat_now(fd, file, &after, err) < 0)
                return -1;
        if (!er_file_stat_same(&before, &after) || memcmp(hash.bytes, file->hash, sizeof file->hash) != 0)
                return changed(file, err);
        *ret_stat = after;
        return 0;
}

/* The host may have given up (its disk is full): then the rest need not be read and sent. */
static int check_answer(struct sender *s, struct er_err *err)
{
        er_auto(er_err) early = ER_ERR_INIT;
        struct er_frame frame;

        if (er_session_recv(s->session, s->id, 0, &frame, &early) == 0)
                return not_our_protocol(s, "OK before the end", err);
        if (early.code == ER_TIMEOUT)
                return 0;
        return err ? er_err_move(err, &early) : -1;
}

static int send_content(struct sender *s, int fd, uint32_t index, uint64_t offset, struct er_err *err)
{
        const struct er_scan_file *file = &s->snapshot->files[s->sent[index]];
        struct er_file_stat now, sure = file->stat;
        uint64_t size = file->stat.size;
        unsigned touched = 0;

        /* A file written just when the snapshot was taken may have changed within the same tick. */
        if (er_file_stat_is_racy(&file->stat, s->snapshot->taken_ns)) {
                if (verify(s, fd, file, &sure, err) < 0)
                        return -1;
        }
        while (offset < size) {
                size_t want = size - offset < BLOCK ? (size_t)(size - offset) : BLOCK;
                ssize_t n = er_pread_full(fd, s->block, want, (off_t)offset);

                if (n < 0)
                        return read_err(file, errno, err);
                if (stat_now(fd, file, &now, err) < 0)
                        return -1;
                if ((size_t)n < want && now.size == size)
                        return changed(file, err);
                if (!er_file_stat_same(&now, &sure)) {
                        /* Touched, or replaced by an equal file: the content decides. */
                        if (++touched > TOUCHED_MAX)
                                return changed(file, err);
                        if (verify(s, fd, file, &sure, err) < 0)
                                return -1;
                        continue;
                }
                for (size_t at = 0; at < want; at += ER_CHUNK)
                        add_blob(s, index, offset + at, s->block + at, want - at < ER_CHUNK ? want - at : ER_CHUNK);
                offset += want;
                s->transfer->bytes += want;
                if (s->out.len >= FLUSH_AT) {
                        if (flush(s, err) < 0 || check_answer(s, err) < 0)
                                return -1;
                        tell(s);
                }
        }
        return 0;
}

static int send_file(struct sender *s, uint32_t index, uint64_t offset, struct er_err *err)
{
        const struct er_scan_file *file = &s->snapshot->files[s->sent[index]];
        er_autoclose int fd = -1;
        const char *rest;
        int dir_fd = er_steps_find(&s->steps, file->path, &rest);
        struct stat st;

        if (dir_fd < 0)
                return read_err(file, errno, err);
        fd = openat(dir_fd, rest, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return read_err(file, errno, err);
        /* Reading a directory or a pipe gives no useful error. */
        if (file->stat.size == 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
                return changed(file, err);
        if (send_content(s, fd, index, offset, err) < 0)
                return -1;
        s->transfer->files++;
        return 0;
}

/* Ends the upload on both sides and takes back the file that is half sent. */
static void take_back(struct sender *s)
{
        uint64_t index = get(s->need.buf, 4);
        size_t start;

        er_str_reset(&s->out);
        start = er_frame_begin(&s->out, ER_F_BLOB, s->id);
        er_msg_u64(&s->out, ER_T_INDEX, index);
        er_msg_u64(&s->out, ER_T_OFFSET, 0);
        er_frame_end(&s->out, start);
        (void)flush(s, NULL);
        er_session_drop(s->session, s->id, false);
}

/* For the next difference. If the host does not take it after all, nobody will ask for it. */
static void keep_list(const struct sender *s)
{
        er_treecache_save(s->project, s->snapshot->hash, s->packed, s->sum);
}

static int send_contents(struct sender *s, struct er_err *err)
{
        struct er_frame frame;

        if (s->need.len > 0)
                s->block = er_malloc(BLOCK);
        tell(s);
        for (size_t at = 0; at < s->need.len; at += NEED_PAIR) {
                er_auto(er_err) why = ER_ERR_INIT;
                uint32_t index = (uint32_t)get(s->need.buf + at, 4);

                if (send_file(s, index, get(s->need.buf + at + 4, 8), &why) == 0)
                        continue;
                /* Without a connection the partial upload stays there, to be resumed. */
                if (why.code != ER_TRANSPORT && why.code != ER_CANCELLED && why.code != ER_TIMEOUT)
                        take_back(s);
                return err ? er_err_move(err, &why) : -1;
        }
        er_frame_end(&s->out, er_frame_begin(&s->out, ER_F_BLOB_END, s->id));
        if (flush(s, err) < 0)
                return -1;
        keep_list(s); /* while the host puts it in place */
        if (er_session_recv(s->session, s->id, ER_NEVER, &frame, err) < 0)
                return -1;
        if (frame.type != ER_F_OK)
                return not_our_protocol(s, "something else than OK", err);
        tell(s);
        return 0;
}

static int put(struct sender *s, const unsigned char *base_hash, const struct er_treecache *base, struct er_err *err)
{
        s->id = er_session_next_id(s->session);
        er_str_reset(&s->need);
        if (send_list(s, base_hash, base, err) < 0 || read_need(s, err) < 0)
                return -1;
        er_debug("snapshot", "%s: %zu of %zu entries sent, %zu contents wanted", er_session_host(s->session),
                 s->sent_len, s->snapshot->len, s->need.len / NEED_PAIR);
        return send_contents(s, err);
}

/* ---- The whole */

/* 1: the host has the tree; 0: base is the newest that both have, or empty. */
static int ask_trees(struct sender *s, unsigned char base_hash[ER_TREE_HASH], struct er_treecache *base,
                     struct er_err *err)
{
        er_auto(er_str) fields = ER_STR_INIT;
        er_auto(er_str) hashes = ER_STR_INIT;
        struct er_frame answer;
        struct er_field field;
        struct er_sv rest;

        er_msg_text(&fields, ER_T_PROJECT, s->project);
        if (er_session_call(s->session, ER_F_TREES, er_svn(fields.buf, fields.len), &answer, err) < 0)
                return -1;
        rest = answer.payload;
        while (er_msg_next(&rest, &field)) {
                if (field.tag != ER_T_TREE || field.value.len != ER_TREE_HASH)
                        continue;
                if (memcmp(field.value.ptr, s->snapshot->hash, ER_TREE_HASH) == 0)
                        return 1;
                er_str_addn(&hashes, field.value.ptr, ER_TREE_HASH);
        }
        for (size_t at = 0; at < hashes.len; at += ER_TREE_HASH) {
                memcpy(base_hash, hashes.buf + at, ER_TREE_HASH);
                if (er_treecache_load(s->project, base_hash, base))
                        return 0;
        }
        return 0;
}

static int send_all(struct sender *s, struct er_err *err)
{
        static const struct er_treecache nothing = ER_TREECACHE_INIT;
        er_auto(er_treecache) base = ER_TREECACHE_INIT;
        unsigned char base_hash[ER_TREE_HASH];
        er_auto(er_err) why = ER_ERR_INIT;
        int there = ask_trees(s, base_hash, &base, err);

        if (there < 0)
                return -1;
        if (there && er_treecache_touch(s->project, s->snapshot->hash))
                return 0;
        if (pack_list(s, err) < 0)
                return -1;
        if (there) {
                if (find_difference(s, &nothing, err) < 0) /* for the sum */
                        return -1;
                keep_list(s);
                return 0;
        }
        if (put(s, base.map ? base_hash : NULL, &base, &why) == 0)
                return 0;
        if (!base.map || why.code != ER_NOT_FOUND || !er_streq(why.provider_code, "snapshot"))
                return err ? er_err_move(err, &why) : -1;
        /* The base was removed in the meantime. */
        return put(s, NULL, &nothing, err);
}

int er_snapshot_send(struct er_session *session, const struct er_snapshot *snapshot, const char *dir,
                     const char *project, struct er_transfer *transfer, struct er_err *err)
{
        struct er_transfer none = {0};
        struct sender s = {
                .session = session,
                .snapshot = snapshot,
                .transfer = transfer ? transfer : &none,
                .project = project,
                .out = ER_STR_INIT,
                .own_packed = ER_STR_INIT,
                .entries = ER_STR_INIT,
                .gone = ER_STR_INIT,
                .need = ER_STR_INIT,
        };
        er_autoclose int root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int rc;

        if (root_fd < 0)
                return er_err_errno(err, errno, "open the project %s", dir);
        er_steps_init(&s.steps, root_fd);
        er_session_heartbeat(session, true); /* otherwise a hung agent would be waited for forever */
        rc = send_all(&s, err);
        er_session_heartbeat(session, false);
        er_steps_release(&s.steps);
        er_hasher_release(&s.hasher);
        er_str_release(&s.out);
        er_str_release(&s.own_packed);
        er_str_release(&s.entries);
        er_str_release(&s.gone);
        er_str_release(&s.need);
        free(s.block);
        free(s.sent);
        return rc;
}

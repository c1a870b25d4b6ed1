/* pull.c - er_pull of files.h: a list of what is there, then many files requested at once, each continued where it
   was. */
#include "host/files.h"

#include <errno.h>
#include <unistd.h>
#include "base/glob.h"
#include "base/io.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"
#include "host/dest.h"
#include "host/connect/requests.h"

#define WINDOW 64u                     /* files under way at once */
#define ENTRIES_MAX (4u * 1000 * 1000) /* in one pull */
#define PATH_LEN_MAX 4095u             /* a path or the target of a link; PATH_MAX without the NUL */
#define NAMES_MAX (512u << 20)         /* bytes of all names in one pull */
#define KEEP_PART (1u << 20)           /* smaller parts are not worth keeping */
#define TRIES_MAX 3                    /* of a file that changes while it is read */
#define TELL_BYTES (1u << 20)

struct entry {
        char *path; /* (owned) there */
        char *here; /* (owned) path below `to`; NULL: the same */
        char *target;
        uint64_t size;
        int64_t mtime_ms; /* host's clock: a file's own time is not converted */
        unsigned mode;
        char type;
};

/* One file under way. */
struct get {
        uint32_t id; /* 0: free */
        struct entry *entry;
        int fd;
        uint64_t offset;  /* written so far */
        uint64_t counted; /* of which the transfer has counted */
        int tries;
};

struct pulling {
        struct er_session *session;
        const struct er_pull *pull;
        struct er_transfer *transfer;
        struct er_dest dest;
        struct entry *entries;
        size_t count, cap;
        size_t names; /* bytes of all their names */
        size_t next;  /* the first that has not been requested */
        struct get gets[WINDOW];
        size_t open;
        uint64_t untold;
        struct er_err first; /* for a file that could not be fetched: the others still are */
};

static const char *here(const struct entry *entry)
{
        return entry->here ? entry->here : entry->path;
}

static void tell(struct pulling *p, bool always)
{
        if (!p->transfer->progress || (!always && p->untold < TELL_BYTES))
                return;
        p->untold = 0;
        p->transfer->progress(p->transfer->arg, p->transfer);
}

static void count_bytes(struct pulling *p, uint64_t bytes)
{
        p->transfer->bytes += bytes;
        p->untold += bytes;
}

static void add_source(struct er_str *out, const struct er_pull *pull)
{
        er_msg_text(out, ER_T_KEY, pull->key);
        if (pull->key)
                er_msg_u64(out, ER_T_ATTEMPT, pull->attempt);
        else
                er_msg_text(out, ER_T_ROOT, pull->dir);
}

/* ---- The list */

static bool has_wildcard(const char *pattern)
{
        return strpbrk(pattern, "*?[") != NULL;
}

/* Where a path lands if it was requested by the name of a file or directory: without what precedes that name. */
static char *flat_path(const struct er_pull *pull, const char *path)
{
        for (size_t i = 0; i < pull->patterns->len; i++) {
                const char *pattern = pull->patterns->items[i];
                size_t len = strlen(pattern), base = 0;

                if (has_wildcard(pattern))
                        continue;
                while (er_starts(pattern, "./")) {
                        pattern += 2;
                        len -= 2;
                }
                while (len > 0 && pattern[len - 1] == '/')
                        len--;
                if (len == 0 || strncmp(path, pattern, len) != 0 || (path[len] && path[len] != '/'))
                        continue;
                for (size_t at = 0; at < len; at++)
                        if (pattern[at] == '/')
                                base = at + 1;
                return er_strdup(path + base);
        }
        return NULL;
}

/* The host decides what a pattern matches there; whether a name really matches it is checked here. */
static bool was_asked_for(const struct er_pull *pull, const char *path)
{
        if (!pull->patterns || pull->patterns->len == 0)
                return true; /* all of a directory */
        for (size_t i = 0; i < pull->patterns->len; i++)
                if (er_glob_match_path(pull->patterns->items[i], path))
                        return true;
        return false;
}

static int refuse_entry(const struct pulling *p, struct er_sv path, const char *why, struct er_err *err)
{
        er_auto(er_str) shown = ER_STR_INIT;

        er_quote_show(&shown, path.ptr ? path.ptr : "", path.len < 200 ? path.len : 200);
        er_err_set(err, ER_REMOTE, "%s: it sends a file named \"%s\", %s", er_session_host(p->session), shown.buf, why);
        return er_err_hint(err, "nothing was written; errand-agent on that host, or whoever controls it, does not do "
                                "what it was asked");
}

static int add_entry(struct pulling *p, struct er_sv payload, struct er_err *err)
{
        struct er_sv path = er_msg_get(payload, ER_T_PATH), target = er_msg_get(payload, ER_T_TARGET);
        er_autofree char *name = NULL;
        struct entry *entry;

        if (!path.ptr || !er_path_is_safe(path.ptr, path.len))
                return refuse_entry(p, path, "which leads out of the directory", err);
        if (path.len > PATH_LEN_MAX || target.len > PATH_LEN_MAX)
                return refuse_entry(p, path, "which is longer than any path", err);
        /* A partial file of somebody's push. */
        if (path.len > strlen(ER_PART_SUFFIX) &&
            er_sv_eq(er_svn(path.ptr + path.len - strlen(ER_PART_SUFFIX), strlen(ER_PART_SUFFIX)),
                     ER_SV(ER_PART_SUFFIX)))
                return 0;
        if (p->count == ENTRIES_MAX)
                return er_err_set(err, ER_REMOTE, "%s: more than %u files at once", er_session_host(p->session),
                                  ENTRIES_MAX);
        p->names += path.len + target.len;
        if (p->names > NAMES_MAX)
                return er_err_set(err, ER_REMOTE, "%s: its list of files is too long", er_session_host(p->session));
        name = er_sv_dup(path);
        if (!was_asked_for(p->pull, name))
                return refuse_entry(p, path, "which was not asked for", err);
        p->entries = er_grow(p->entries, &p->cap, p->count + 1, sizeof *p->entries);
        entry = &p->entries[p->count++];
        *entry = (struct entry){
                .path = er_take(name),
                .target = er_msg_dup(payload, ER_T_TARGET),
                .type = (char)er_msg_get_u64(payload, ER_T_TYPE, 'f'),
                .size = er_msg_get_u64(payload, ER_T_SIZE, 0),
                .mode = (unsigned)er_msg_get_u64(payload, ER_T_MODE, 0644),
                .mtime_ms = er_msg_get_i64(payload, ER_T_MTIME, 0),
        };
        if (p->pull->flat && p->pull->patterns)
                entry->here = flat_path(p->pull, entry->path);
        if (entry->type == 'f') {
                p->transfer->total_files++;
                p->transfer->total_bytes += entry->size;
        }
        return 0;
}

/* A requested name that does not exist. The error is kept: what exists is fetched all the same. */
static void note_missing(struct pulling *p, struct er_sv end)
{
        struct er_field field;

        while (er_msg_next(&end, &field)) {
                er_autofree char *pattern = er_sv_dup(field.value);
                er_auto(er_str) shown = ER_STR_INIT;

                bool wild = has_wildcard(pattern);

                if (field.tag != ER_T_PATTERN || (wild && !p->pull->strict) || p->first.code != ER_OK)
                        continue;
                er_quote_show(&shown, pattern, strlen(pattern));
                er_err_set(&p->first, ER_NOT_FOUND, wild ? "nothing matches %s on %s" : "%s does not exist on %s",
                           shown.buf, er_session_host(p->session));
        }
}

static int list(struct pulling *p, struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        uint32_t id = er_session_next_id(p->session);
        size_t start = er_frame_begin(&frames, ER_F_LIST, id);

        add_source(&frames, p->pull);
        for (size_t i = 0; p->pull->patterns && i < p->pull->patterns->len; i++)
                er_msg_text(&frames, ER_T_PATTERN, p->pull->patterns->items[i]);
        er_frame_end(&frames, start);
        if (er_session_send(p->session, er_svn(frames.buf, frames.len), err) < 0)
                return -1;
        for (;;) {
                struct er_frame frame;

                if (er_session_recv(p->session, id, ER_NEVER, &frame, err) < 0)
                        return p->pull->key && err && err->code == ER_NOT_FOUND
                                       ? er_err_hint(err, "its files on %s have been removed, perhaps by errand gc",
                                                     er_session_host(p->session))
                                       : -1;
                if (frame.type == ER_F_END) {
                        note_missing(p, frame.payload);
                        return 0;
                }
                if (frame.type == ER_F_ENTRY && add_entry(p, frame.payload, err) < 0) {
                        er_session_drop(p->session, id, true);
                        return -1;
                }
        }
}

/* With flat, two files from different directories may land on one name: better none than one of them. */
static int check_collisions(const struct pulling *p, struct er_err *err)
{
        struct er_map seen = ER_MAP_INIT;
        int rc = 0;

        for (size_t i = 0; p->pull->flat && i < p->count && rc == 0; i++) {
                struct entry *entry = &p->entries[i];
                const struct entry *other = er_map_sets(&seen, here(entry), entry);

                if (other && (other->type != 'd' || entry->type != 'd'))
                        rc = er_err_set(err, ER_EXISTS, "%s and %s would both land as %s", other->path, entry->path,
                                        here(entry));
        }
        er_map_release(&seen);
        return rc;
}

/* ---- The files */

static void keep_first(struct pulling *p, struct er_err *err)
{
        if (p->first.code == ER_OK)
                er_err_move(&p->first, err);
        else
                er_err_clear(err);
}

static int ask(struct pulling *p, struct get *get, struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        size_t start;

        get->id = er_session_next_id(p->session);
        start = er_frame_begin(&frames, ER_F_GET, get->id);
        add_source(&frames, p->pull);
        /* What a link points to may come in its place: then the host has said where it lies. */
        er_msg_text(&frames, ER_T_PATH, get->entry->target ? get->entry->target : get->entry->path);
        er_msg_u64(&frames, ER_T_OFFSET, get->offset);
        er_msg_u64(&frames, ER_T_LIMIT, get->entry->size - get->offset);
        er_frame_end(&frames, start);
        return er_session_send(p->session, er_svn(frames.buf, frames.len), err);
}

/* Begins one file. 1: it is under way; 0: there is nothing to do. */
static int begin(struct pulling *p, struct get *get, struct entry *entry, struct er_err *err)
{
        if (er_dest_has(&p->dest, here(entry), entry->size, entry->mtime_ms)) {
                p->transfer->files++;
                count_bytes(p, entry->size);
                return 0;
        }
        *get = (struct get){.entry = entry, .fd = -1};
        if (er_dest_begin(&p->dest, here(entry), entry->mtime_ms, &get->fd, &get->offset, err) < 0)
                return -1;
        if (get->offset > entry->size) {
                get->offset = 0;
                if (ftruncate(get->fd, 0) < 0)
                        return er_err_errno(err, errno, "write %s/%s", p->pull->to, here(entry));
        }
        get->counted = get->offset;
        count_bytes(p, get->offset);
        if (ask(p, get, err) < 0)
                return -1;
        p->open++;
        return 1;
}

/* Leaves a file as it is: a large part is kept for next time. */
static void leave(struct pulling *p, struct get *get, bool keep)
{
        if (get->fd < 0)
                return;
        er_close(&get->fd);
        if (!keep || get->offset < KEEP_PART)
                er_dest_discard(&p->dest, here(get->entry));
}

static void close_get(struct pulling *p, struct get *get)
{
        er_close(&get->fd);
        get->id = 0;
        p->open--;
}

static int take_data(struct pulling *p, struct get *get, struct er_sv payload, struct er_err *err)
{
        uint64_t offset = er_msg_get_u64(payload, ER_T_OFFSET, get->offset);
        struct er_sv data = er_msg_get(payload, ER_T_DATA);

        if (!data.ptr || data.len == 0)
                return 0;
        if (offset != get->offset)
                return er_err_set(err, ER_REMOTE, "%s: %s arrives out of order", er_session_host(p->session),
                                  get->entry->path);
        if (data.len > get->entry->size - get->offset)
                return er_err_set(err, ER_REMOTE, "%s: it sends more of %s than it announced",
                                  er_session_host(p->session), get->entry->path);
        if (er_pwrite_full(get->fd, data.ptr, data.len, (off_t)offset) < 0) {
                int errnum = errno;

                /* A partial file does not help a full disk. */
                leave(p, get, errnum != ENOSPC && errnum != EDQUOT);
                return er_err_errno(err, errnum, "write %s/%s", p->pull->to, here(get->entry));
        }
        get->offset += data.len;
        if (get->offset > get->counted && get->counted < get->entry->size) {
                uint64_t upto = get->offset < get->entry->size ? get->offset : get->entry->size;

                count_bytes(p, upto - get->counted);
                get->counted = upto;
        }
        tell(p, false);
        return 0;
}

static int take_end(struct pulling *p, struct get *get, struct er_sv payload, struct er_err *err)
{
        struct entry *entry = get->entry;
        uint64_t size = er_msg_get_u64(payload, ER_T_SIZE, get->offset);
        int64_t mtime_ms = er_msg_get_i64(payload, ER_T_MTIME, entry->mtime_ms);
        bool changed = er_msg_get_u64(payload, ER_T_CHANGED, 0) != 0 || mtime_ms != entry->mtime_ms ||
                       size != get->offset;

        /* A file that keeps changing, such as a log, is taken as it is at the end. */
        if (changed && ++get->tries < TRIES_MAX) {
                if (size > entry->size)
                        p->transfer->total_bytes += size - entry->size;
                entry->size = size;
                entry->mtime_ms = mtime_ms;
                get->offset = 0;
                if (ftruncate(get->fd, 0) < 0)
                        return er_err_errno(err, errno, "write %s/%s", p->pull->to, here(entry));
                return ask(p, get, err);
        }
        if (er_dest_finish(&p->dest, here(entry), get->fd, (unsigned)er_msg_get_u64(payload, ER_T_MODE, entry->mode),
                           mtime_ms, err) < 0) {
                leave(p, get, false);
                return -1;
        }
        close_get(p, get);
        p->transfer->files++;
        tell(p, false);
        return 0;
}

static struct get *find_get(struct pulling *p, uint32_t id)
{
        for (size_t i = 0; i < WINDOW; i++)
                if (p->gets[i].id == id)
                        return &p->gets[i];
        return NULL;
}

/* Keeps the window full. */
static int ask_more(struct pulling *p, struct er_err *err)
{
        while (p->open < WINDOW && p->next < p->count) {
                struct entry *entry = &p->entries[p->next++];
                struct get *get = find_get(p, 0);

                if (entry->type != 'f')
                        continue;
                if (begin(p, get, entry, err) < 0) {
                        leave(p, get, true);
                        get->id = 0;
                        return -1;
                }
        }
        return 0;
}

static int take_one(struct pulling *p, struct er_err *err)
{
        uint32_t first = UINT32_MAX, last = 0;
        struct er_frame frame;
        struct get *get;

        for (size_t i = 0; i < WINDOW; i++) {
                uint32_t id = p->gets[i].id;

                if (id && id < first)
                        first = id;
                if (id > last)
                        last = id;
        }
        if (er_session_recv_range(p->session, first, last, ER_NEVER, &frame, err) < 0)
                return -1;
        get = find_get(p, frame.id);
        if (!get)
                return 0;
        if (frame.type == ER_F_DATA)
                return take_data(p, get, frame.payload, err);
        if (frame.type == ER_F_END)
                return take_end(p, get, frame.payload, err);
        if (frame.type == ER_F_ERROR) {
                er_auto(er_err) why = ER_ERR_INIT;

                er_frame_to_err(&frame, &why);
                er_err_wrap(&why, "%s: %s", er_session_host(p->session), get->entry->path);
                keep_first(p, &why);
                leave(p, get, false);
                close_get(p, get);
        }
        return 0;
}

static int fetch(struct pulling *p, struct er_err *err)
{
        int rc;

        do
                rc = ask_more(p, err);
        while (rc == 0 && p->open > 0 && (rc = take_one(p, err)) == 0);
        for (size_t i = 0; i < WINDOW; i++) {
                struct get *get = &p->gets[i];

                if (!get->id)
                        continue;
                er_session_drop(p->session, get->id, true);
                leave(p, get, !err || err->code != ER_IO);
                get->id = 0;
        }
        return rc;
}

/* ---- The whole */

/* Directories first, so that empty ones are created too; links after all files, so that no file is written through
   one. */
static int make_others(struct pulling *p, char type, struct er_err *err)
{
        for (size_t i = 0; i < p->count; i++) {
                const struct entry *entry = &p->entries[i];
                int rc = 0;

                if (entry->type != type)
                        continue;
                if (type == 'd')
                        rc = er_dest_mkdir(&p->dest, here(entry), err);
                else if (entry->target)
                        rc = er_dest_symlink(&p->dest, here(entry), entry->target, err);
                if (rc < 0)
                        return -1;
        }
        return 0;
}

/* Last, and deepest first: a directory's mode may forbid writing to it. */
static void set_modes(struct pulling *p)
{
        for (size_t i = p->count; i-- > 0;)
                if (p->entries[i].type == 'd')
                        er_dest_chmod_dir(&p->dest, here(&p->entries[i]), p->entries[i].mode);
}

int er_pull(struct er_session *session, const struct er_pull *pull, struct er_transfer *transfer, struct er_err *err)
{
        struct er_transfer ignored = {0};
        struct pulling *p = er_new(struct pulling);
        er_auto(er_err) why = ER_ERR_INIT;
        int rc;

        p->session = session;
        p->pull = pull;
        p->transfer = transfer ? transfer : &ignored;
        p->dest = (struct er_dest)ER_DEST_INIT;
        rc = list(p, &why);
        if (rc == 0)
                rc = check_collisions(p, &why);
        if (rc == 0 && (p->count > 0 || p->first.code == ER_OK))
                rc = er_dest_open(&p->dest, pull->to, pull->within, &why);
        if (rc == 0)
                rc = make_others(p, 'd', &why);
        if (rc == 0)
                rc = fetch(p, &why);
        if (rc == 0)
                rc = make_others(p, 'l', &why);
        if (rc == 0) {
                set_modes(p);
                tell(p, true);
        }
        if (rc == 0 && p->first.code != ER_OK) {
                er_err_move(&why, &p->first);
                rc = -1;
        }
        if (rc < 0)
                er_err_move(err, &why);
        er_err_release(&p->first);
        er_dest_release(&p->dest);
        for (size_t i = 0; i < p->count; i++) {
                free(p->entries[i].path);
                free(p->entries[i].here);
                free(p->entries[i].target);
        }
        free(p->entries);
        free(p);
        return rc;
}

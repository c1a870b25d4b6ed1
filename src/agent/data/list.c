/* list.c - LIST: what is below a directory (PROTOCOL.md, section 5). Done by a helper process, because it may take
   long. */
#include "agent/data/files_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/glob_walk.h"
#include "agent/serve/serve.h"
#include "base/map.h"

#define FLUSH_AT (64u * 1024)
#define MISSED_MAX (ER_FRAME_MAX - 1024u) /* END must fit into one frame */

struct listing {
        struct er_worker *worker;
        struct er_map seen; /* several patterns may match the same file */
        bool once;          /* a single simple pattern: no file comes twice */
        uint64_t count;
        int top_fd;
        bool job; /* below an attempt's directory: what its links point to comes too */
        struct er_strv patterns;
        const char *link, *behind; /* inside a directory behind a link: the link's path, and the directory's */
};

static void add_entry(struct listing *listing, const char *path, char type, const struct stat *st, struct er_sv target)
{
        struct er_str *out = &listing->worker->out;
        size_t start = er_frame_begin(out, ER_F_ENTRY, listing->worker->id);

        er_msg_text(out, ER_T_PATH, path);
        er_msg_u64(out, ER_T_TYPE, (uint64_t)(unsigned char)type);
        er_msg_u64(out, ER_T_SIZE, type == 'f' ? (uint64_t)st->st_size : 0);
        er_msg_u64(out, ER_T_MODE, st->st_mode & 07777);
        er_msg_i64(out, ER_T_MTIME, (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000);
        if (target.ptr)
                er_msg_bytes(out, ER_T_TARGET, target.ptr, target.len);
        er_frame_end(out, start);
        listing->count++;
        er_worker_flush(listing->worker, FLUSH_AT);
}

static bool is_seen(struct listing *listing, const char *path)
{
        return (!listing->once || listing->job) && er_map_set(&listing->seen, path, strlen(path), listing);
}

static char type_of(const struct stat *st)
{
        return S_ISREG(st->st_mode) ? 'f' : S_ISDIR(st->st_mode) ? 'd' : S_ISLNK(st->st_mode) ? 'l' : 0;
}

/* What is in a directory that a link points to, by the link's path; links in it stay links. */
static int add_behind(void *arg, int dir, const char *name, const char *path, const struct stat *st, struct er_err *err)
{
        struct listing *listing = arg;
        er_autofree char *there = er_fmt("%s/%s", listing->behind, path), *here = er_fmt("%s/%s", listing->link, path);
        char type = type_of(st), target[4096];
        ssize_t len = type == 'l' ? readlinkat(dir, name, target, sizeof target) : 0;

        (void)err;
        if (!type || len < 0 || is_seen(listing, here))
                return 0;
        add_entry(listing, here, type, st,
                  type == 'l'   ? er_svn(target, (size_t)len)
                  : type == 'f' ? er_sv(there)
                                : er_svn(NULL, 0));
        return 0;
}

static bool comes_anyway(const struct listing *listing, const char *path)
{
        for (size_t i = 0; i < listing->patterns.len; i++)
                if (er_glob_match_path(listing->patterns.items[i], path))
                        return true;
        return listing->patterns.len == 0;
}

/* A link of a job, such as last.ckpt: where what it points to lies in the job's directory and does not come anyway, it
   comes by the link's name, since a link to nothing helps nobody. False: the link itself is what there is to send. */
static bool add_target(struct listing *listing, const char *path, struct er_err *err)
{
        er_auto(er_str) real = ER_STR_INIT;
        er_autoclose int fd = -1;
        struct stat st;

        if (!listing->job || !er_resolve_beneath(listing->top_fd, path, &real, &st) || comes_anyway(listing, real.buf))
                return false;
        if (S_ISREG(st.st_mode)) {
                add_entry(listing, path, 'f', &st, er_svn(real.buf, real.len));
                return true;
        }
        fd = S_ISDIR(st.st_mode) ? er_open_beneath(listing->top_fd, real.buf, O_RDONLY | O_DIRECTORY) : -1;
        /* A link to a directory above itself would bring itself. */
        if (fd < 0 || (er_starts(path, real.buf) && path[real.len] == '/'))
                return false;
        add_entry(listing, path, 'd', &st, er_svn(NULL, 0));
        listing->link = path;
        listing->behind = real.buf;
        (void)er_glob_below(fd, ".", add_behind, listing, err);
        return true;
}

static int add(void *arg, int dir, const char *name, const char *path, const struct stat *st, struct er_err *err)
{
        struct listing *listing = arg;
        char type = type_of(st), target[4096];
        ssize_t target_len = type == 'l' ? readlinkat(dir, name, target, sizeof target) : 0;

        if (!type || target_len < 0 || is_seen(listing, path))
                return 0;
        if (type != 'l' || !add_target(listing, path, err))
                add_entry(listing, path, type, st, type == 'l' ? er_svn(target, (size_t)target_len) : er_svn(NULL, 0));
        return 0;
}

static int list(struct er_worker *worker, struct er_err *err)
{
        struct listing listing = {.worker = worker};
        er_auto(er_str) missed = ER_STR_INIT;
        struct er_sv rest = worker->payload;
        struct er_field field;
        er_autoclose int dir = -1;
        size_t patterns = 0, start;
        bool deep = false;

        if (er_files_dir_open(worker->agent, worker->payload, false, &dir, err) < 0)
                return -1;
        while (er_msg_next(&rest, &field)) {
                if (field.tag != ER_T_PATTERN)
                        continue;
                patterns++;
                er_strv_addn(&listing.patterns, field.value.ptr, field.value.len);
                deep = deep || memmem(field.value.ptr, field.value.len, "**/", 3);
        }
        listing.once = patterns <= 1 && !deep;
        listing.top_fd = dir;
        listing.job = er_msg_get(worker->payload, ER_T_KEY).ptr != NULL;
        if (patterns == 0 && er_glob_below(dir, ".", add, &listing, err) < 0)
                return -1;
        for (rest = worker->payload; er_msg_next(&rest, &field);) {
                er_autofree char *pattern = er_sv_dup(field.value);

                if (field.tag != ER_T_PATTERN)
                        continue;
                if (er_glob_any(dir, pattern, listing.job)) {
                        if (er_glob_walk(dir, pattern, add, &listing, err) < 0)
                                return -1;
                } else if (missed.len + field.value.len < MISSED_MAX) {
                        er_msg_text(&missed, ER_T_PATTERN, pattern);
                }
        }
        start = er_frame_begin(&worker->out, ER_F_END, worker->id);
        er_msg_u64(&worker->out, ER_T_COUNT, listing.count);
        er_str_addn(&worker->out, missed.buf, missed.len);
        er_frame_end(&worker->out, start);
        return 0; /* the process ends, and listing.seen with it */
}

int er_do_list(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        return er_worker_start(serve, frame, list, err);
}

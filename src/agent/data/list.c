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
};

static int add(void *arg, int dir, const char *name, const char *path, const struct stat *st, struct er_err *err)
{
        struct listing *listing = arg;
        char type = S_ISREG(st->st_mode) ? 'f' : S_ISDIR(st->st_mode) ? 'd' : S_ISLNK(st->st_mode) ? 'l' : 0;
        struct er_str *out = &listing->worker->out;
        char target[4096];
        ssize_t target_len = type == 'l' ? readlinkat(dir, name, target, sizeof target) : 0;
        size_t start;

        (void)err;
        if (!type || target_len < 0 || (!listing->once && er_map_set(&listing->seen, path, strlen(path), listing)))
                return 0;
        start = er_frame_begin(out, ER_F_ENTRY, listing->worker->id);
        er_msg_text(out, ER_T_PATH, path);
        er_msg_u64(out, ER_T_TYPE, (uint64_t)(unsigned char)type);
        er_msg_u64(out, ER_T_SIZE, type == 'f' ? (uint64_t)st->st_size : 0);
        er_msg_u64(out, ER_T_MODE, st->st_mode & 07777);
        er_msg_i64(out, ER_T_MTIME, (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000);
        if (type == 'l')
                er_msg_bytes(out, ER_T_TARGET, target, (size_t)target_len);
        er_frame_end(out, start);
        listing->count++;
        er_worker_flush(listing->worker, FLUSH_AT);
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
                deep = deep || memmem(field.value.ptr, field.value.len, "**/", 3);
        }
        listing.once = patterns <= 1 && !deep;
        if (patterns == 0 && er_glob_below(dir, ".", add, &listing, err) < 0)
                return -1;
        for (rest = worker->payload; er_msg_next(&rest, &field);) {
                er_autofree char *pattern = er_sv_dup(field.value);

                if (field.tag != ER_T_PATTERN)
                        continue;
                if (er_glob_any(dir, pattern)) {
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

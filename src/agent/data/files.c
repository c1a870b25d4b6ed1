/* files.c - GET and PUT: single files (PROTOCOL.md, section 5). */
#include "agent/data/files_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/glob_walk.h"
#include "agent/serve/serve.h"
#include "base/io.h"
#include "base/path.h"

#define PARTED_MAX 230u     /* a name with a suffix this long is still valid */
#define PIECE (256u * 1024) /* of a file, in one DATA frame */

static int64_t mtime_of(const struct stat *st)
{
        return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

/* ---- GET */

struct get {
        struct er_stream stream;
        int fd;
        struct stat before;
        uint64_t offset, end;
};

static void finish_get(struct get *get)
{
        er_auto(er_str) fields = ER_STR_INIT;
        struct stat now;
        bool changed = fstat(get->fd, &now) < 0 || now.st_size != get->before.st_size ||
                       mtime_of(&now) != mtime_of(&get->before);

        er_msg_u64(&fields, ER_T_SIZE, (uint64_t)get->before.st_size);
        er_msg_u64(&fields, ER_T_MODE, get->before.st_mode & 07777);
        er_msg_i64(&fields, ER_T_MTIME, mtime_of(&get->before));
        if (changed)
                er_msg_u64(&fields, ER_T_CHANGED, 1);
        er_serve_answer(get->stream.serve, ER_F_END, get->stream.id, &fields);
        get->stream.done = true;
}

static int produce_get(struct er_stream *stream, struct er_err *err)
{
        struct get *get = (struct get *)stream;
        uint64_t len = get->end - get->offset < PIECE ? get->end - get->offset : PIECE;
        er_auto(er_str) fields = ER_STR_INIT;

        (void)err;
        if (len == 0) {
                finish_get(get);
                return 0;
        }
        er_msg_u64(&fields, ER_T_OFFSET, get->offset);
        er_frame_head(er_out_buf(&stream->serve->out), ER_F_DATA, stream->id, er_svn(fields.buf, fields.len), ER_T_DATA,
                      (size_t)len);
        er_out_file(&stream->serve->out, get->fd, (off_t)get->offset, len);
        get->offset += len;
        return 0;
}

static void stop_get(struct er_stream *stream)
{
        finish_get((struct get *)stream);
}

static void free_get(struct er_stream *stream)
{
        struct get *get = (struct get *)stream;

        er_close(&get->fd);
        free(get);
}

static const struct er_stream_ops get_ops = {.produce = produce_get, .stop = stop_get, .free = free_get};

int er_do_get(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        uint64_t offset = er_msg_get_u64(frame->payload, ER_T_OFFSET, 0),
                 limit = er_msg_get_u64(frame->payload, ER_T_LIMIT, UINT64_MAX);
        er_autofree char *path = NULL;
        er_autoclose int dir = -1;
        er_autoclose int fd = -1;
        struct get *get;
        struct stat st;

        if (er_files_dir_path(frame->payload, &path, err) < 0 ||
            er_files_dir_open(serve->agent, frame->payload, false, &dir, err) < 0)
                return -1;
        /* Opened without waiting, because nobody may ever write to a fifo. A job's symlinks must not lead out of its
           directory. */
        if (er_msg_get(frame->payload, ER_T_KEY).ptr)
                fd = er_open_beneath(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        else
                fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0)
                return er_err_errno(err, errno, "open %s", path);
        if (!S_ISREG(st.st_mode))
                return er_err_set(err, ER_USAGE, "%s is not a file", path);
        get = er_new(struct get);
        get->fd = er_take_fd(&fd);
        get->before = st;
        get->offset = offset < (uint64_t)st.st_size ? offset : (uint64_t)st.st_size;
        get->end = limit < (uint64_t)st.st_size - get->offset ? get->offset + limit : (uint64_t)st.st_size;
        get->stream.fd = -1;
        get->stream.due = ER_NEVER;
        get->stream.wants_out = true;
        er_stream_add(serve, &get->stream, &get_ops, frame->id);
        return 0;
}

/* ---- PUT */

struct file_facts {
        mode_t mode;
        int64_t mtime_ms;
        uint64_t size;
};

struct put {
        struct er_stream stream;
        int dir, fd; /* fd: of the part; -1 when the file is there already */
        char *path, *part;
        bool own; /* the part has a name of its own, and is not continued later */
        struct file_facts facts;
        uint64_t offset;
};

static void set_mtime(int fd, int64_t mtime_ms)
{
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                    {.tv_sec = mtime_ms / 1000, .tv_nsec = mtime_ms % 1000 * 1000000}};

        if (mtime_ms > 0)
                (void)futimens(fd, times);
}

static int fail_write(const struct er_agent *agent, const char *path, struct er_err *err)
{
        return er_agent_fail(agent, errno, err, "write %s", path);
}

/* Makes the directories above the file. */
static int make_parents(int dir, const char *path, struct er_err *err)
{
        er_autofree char *parent = er_path_dir(path);

        return er_streq(parent, ".") ? 0 : er_mkdir_p(dir, parent, 0777, err);
}

static int put_dir(struct er_serve *serve, const struct er_frame *frame, int dir, const char *path, mode_t mode,
                   struct er_err *err)
{
        if (er_mkdir_p(dir, path, 0777, err) < 0)
                return -1;
        if (mode && fchmodat(dir, path, mode, 0) < 0)
                return er_err_errno(err, errno, "set the mode of %s", path);
        er_serve_ok(serve, frame->id);
        return 0;
}

/* Several clients may send the same file at once: each has a part of its own, and the last one wins. */
static char *own_part(const char *path)
{
        char id[ER_RANDOM_HEX];

        er_random_hex(id);
        return strlen(er_path_base(path)) > PARTED_MAX ? er_fmt("%s.errand-part", path)
                                                       : er_fmt("%s.%.8s.errand-part", path, id);
}

static int put_link(struct er_serve *serve, const struct er_frame *frame, int dir, const char *path, struct er_err *err)
{
        er_autofree char *target = er_msg_dup(frame->payload, ER_T_TARGET);
        er_autofree char *part = own_part(path);

        if (!target || !target[0])
                return er_err_set(err, ER_REMOTE, "a symlink without a target");
        if (symlinkat(target, dir, part) < 0 || renameat(dir, part, dir, path) < 0) {
                (void)fail_write(serve->agent, path, err);
                (void)unlinkat(dir, part, 0);
                return -1;
        }
        er_serve_ok(serve, frame->id);
        return 0;
}

/* Makes the part the file. */
static int place_part(const struct er_agent *agent, int dir, int fd, const char *part, const char *path,
                      const struct file_facts *facts, struct er_err *err)
{
        if ((facts->mode && fchmod(fd, facts->mode) < 0) || renameat(dir, part, dir, path) < 0)
                return fail_write(agent, path, err);
        set_mtime(fd, facts->mtime_ms);
        return 0;
}

static int open_part(int dir, const char *part, int flags)
{
        return openat(dir, part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
}

static int put_whole(struct er_serve *serve, const struct er_frame *frame, int dir, const char *path,
                     const struct file_facts *facts, struct er_sv data, struct er_err *err)
{
        er_autofree char *part = own_part(path);
        er_autoclose int fd = open_part(dir, part, O_TRUNC);

        if (fd < 0)
                return fail_write(serve->agent, path, err);
        if (er_write_full(fd, data.ptr, data.len) < 0) {
                (void)fail_write(serve->agent, path, err);
                (void)unlinkat(dir, part, 0);
                return -1;
        }
        if (place_part(serve->agent, dir, fd, part, path, facts, err) < 0) {
                (void)unlinkat(dir, part, 0);
                return -1;
        }
        er_serve_ok(serve, frame->id);
        return 0;
}

static int take_frame(struct er_stream *stream, const struct er_frame *frame, struct er_err *err)
{
        struct put *put = (struct put *)stream;
        struct er_sv data = er_msg_get(frame->payload, ER_T_DATA);

        if (frame->type == ER_F_DATA_IN) {
                if (er_msg_get_u64(frame->payload, ER_T_OFFSET, UINT64_MAX) != put->offset || put->fd < 0 ||
                    data.len > put->facts.size - put->offset) {
                        er_err_set(err, ER_STATE, "data of %s arrived at the wrong offset", put->path);
                        if (err)
                                err->provider_code = er_strdup("offset");
                        return -1;
                }
                if (er_write_full(put->fd, data.ptr, data.len) < 0)
                        return fail_write(stream->serve->agent, put->path, err);
                put->offset += data.len;
                return 0;
        }
        if (frame->type != ER_F_PUT_END)
                return er_err_set(err, ER_REMOTE, "a frame of type %u in the middle of a file", (unsigned)frame->type);
        if (put->offset != put->facts.size)
                return er_err_set(err, ER_STATE, "%s: only %llu of %llu bytes arrived", put->path,
                                  (unsigned long long)put->offset, (unsigned long long)put->facts.size);
        if (put->fd >= 0 &&
            place_part(stream->serve->agent, put->dir, put->fd, put->part, put->path, &put->facts, err) < 0)
                return -1;
        er_close(&put->fd);
        er_serve_ok(stream->serve, stream->id);
        stream->done = true;
        return 0;
}

/* A part that stays behind has the time of its file: the next PUT recognizes it by that. */
static void free_put(struct er_stream *stream)
{
        struct put *put = (struct put *)stream;

        if (put->fd >= 0 && put->own)
                (void)unlinkat(put->dir, put->part, 0);
        else if (put->fd >= 0)
                set_mtime(put->fd, put->facts.mtime_ms);
        er_close(&put->fd);
        er_close(&put->dir);
        free(put->path);
        free(put->part);
        free(put);
}

static const struct er_stream_ops put_ops = {.frame = take_frame, .free = free_put};

/* Locks the part. False: somebody else has it, and is sending the same file. */
static bool take_part(const struct put *put)
{
        struct stat ours, named;

        if (flock(put->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
                return false;
        return fstat(put->fd, &ours) == 0 && fstatat(put->dir, put->part, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
               ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/* How much of the file is there: all of it under its name, or the beginning in its part. */
static int find_begin(const struct er_agent *agent, struct put *put, struct er_err *err)
{
        struct stat st;

        if (put->facts.mtime_ms > 0 && fstatat(put->dir, put->path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && (uint64_t)st.st_size == put->facts.size && mtime_of(&st) == put->facts.mtime_ms) {
                put->offset = put->facts.size;
                return 0;
        }
        put->fd = open_part(put->dir, put->part, 0);
        if (put->fd >= 0 && !take_part(put)) {
                er_close(&put->fd);
                free(put->part);
                put->part = own_part(put->path);
                put->own = true;
                put->fd = open_part(put->dir, put->part, O_EXCL);
        }
        if (put->fd < 0 || fstat(put->fd, &st) < 0)
                return fail_write(agent, put->path, err);
        if (put->facts.mtime_ms > 0 && mtime_of(&st) == put->facts.mtime_ms && (uint64_t)st.st_size <= put->facts.size)
                put->offset = (uint64_t)st.st_size;
        if (ftruncate(put->fd, (off_t)put->offset) < 0 || lseek(put->fd, (off_t)put->offset, SEEK_SET) < 0)
                return fail_write(agent, put->path, err);
        return 0;
}

static int put_large(struct er_serve *serve, const struct er_frame *frame, int *dir, const char *path,
                     const struct file_facts *facts, struct er_err *err)
{
        struct put *put = er_new(struct put);
        er_auto(er_str) fields = ER_STR_INIT;

        *put = (struct put){
                .stream = {.serve = serve, .fd = -1, .due = ER_NEVER},
                .dir = er_take_fd(dir),
                .fd = -1,
                .path = er_strdup(path),
                .part = er_fmt("%s.errand-part", path),
                .facts = *facts,
        };
        if (find_begin(serve->agent, put, err) < 0) {
                free_put(&put->stream);
                return -1;
        }
        er_msg_u64(&fields, ER_T_OFFSET, put->offset);
        er_serve_answer(serve, ER_F_OK, frame->id, &fields);
        er_stream_add(serve, &put->stream, &put_ops, frame->id);
        return 0;
}

int er_do_put(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        struct file_facts facts = {
                .mode = (mode_t)er_msg_get_u64(frame->payload, ER_T_MODE, 0) & 0777,
                .mtime_ms = er_msg_get_i64(frame->payload, ER_T_MTIME, 0),
                .size = er_msg_get_u64(frame->payload, ER_T_SIZE, 0),
        };
        uint64_t type = er_msg_get_u64(frame->payload, ER_T_TYPE, 'f');
        struct er_sv data = er_msg_get(frame->payload, ER_T_DATA);
        er_autofree char *path = NULL;
        er_autoclose int dir = -1;

        if (er_files_dir_path(frame->payload, &path, err) < 0 ||
            er_files_dir_open(serve->agent, frame->payload, true, &dir, err) < 0)
                return -1;
        if (!er_msg_get_u64(frame->payload, ER_T_OVERWRITE, 1) && er_file_exists(dir, path))
                return er_err_set(err, ER_EXISTS, "%s already exists", path);
        if (type == 'd')
                return put_dir(serve, frame, dir, path, facts.mode, err);
        if (make_parents(dir, path, err) < 0)
                return -1;
        if (type == 'l')
                return put_link(serve, frame, dir, path, err);
        if (type != 'f')
                return er_err_set(err, ER_REMOTE, "a file of unknown type");
        if (data.ptr || facts.size == 0)
                return put_whole(serve, frame, dir, path, &facts, data, err);
        return put_large(serve, frame, &dir, path, &facts, err);
}

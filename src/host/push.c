/* push.c - er_push of files.h: a walk over what is here, and many files sent at once, each continued where it was. */
#include "host/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "host/dest.h"
#include "host/connect/requests.h"

#define WINDOW 64u
#define WHOLE_MAX (16u * 1024) /* a file up to this size goes in its PUT, without asking whether it is there */
#define CHUNK (256u * 1024)    /* of a larger one */
#define LISTEN_EVERY 16u       /* chunks between two checks for an early refusal */
#define DEPTH_MAX 256
#define TRIES_MAX 3
#define LINK_MAX_BYTES 4096

/* One file, link or directory under way. */
struct put {
        uint32_t id; /* 0: free */
        char *from;  /* (owned) here */
        char *path;  /* (owned) below `to` there */
        uint64_t size;
        char type;      /* 'f', 'l', 'd' */
        bool announced; /* large: its first OK tells where to resume */
        int tries;
};

struct pushing {
        struct er_session *session;
        struct er_transfer *transfer;
        const char *to;
        struct put puts[WINDOW];
        size_t open;
        char *chunk; /* CHUNK bytes */
};

static void free_put(struct pushing *p, struct put *put)
{
        free(put->from);
        free(put->path);
        *put = (struct put){0};
        p->open--;
}

static struct put *find_put(struct pushing *p, uint32_t id)
{
        for (size_t i = 0; i < WINDOW; i++)
                if (p->puts[i].id == id)
                        return &p->puts[i];
        return NULL;
}

static int complain(const char *from, int errnum, const char *doing, struct er_err *err)
{
        er_auto(er_str) shown = ER_STR_INIT;

        er_quote_show(&shown, from, strlen(from));
        return er_err_errno(err, errnum, "%s %s", doing, shown.buf);
}

static int64_t mtime_of(const struct stat *st)
{
#ifdef __APPLE__
        const struct timespec *time = &st->st_mtimespec;
#else
        const struct timespec *time = &st->st_mtim;
#endif
        return (int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000;
}

/* The PUT frame, up to the fields that differ. */
static size_t begin_put(struct pushing *p, struct put *put, struct er_str *frames, char type, const struct stat *st)
{
        size_t start;

        put->type = type;
        put->id = er_session_next_id(p->session);
        start = er_frame_begin(frames, ER_F_PUT, put->id);
        er_msg_text(frames, ER_T_ROOT, p->to);
        er_msg_text(frames, ER_T_PATH, put->path);
        er_msg_u64(frames, ER_T_TYPE, (uint64_t)(unsigned char)type);
        er_msg_u64(frames, ER_T_MODE, st->st_mode & 0777);
        er_msg_i64(frames, ER_T_MTIME, mtime_of(st));
        er_msg_u64(frames, ER_T_SIZE, put->size);
        return start;
}

static int send_frames(struct pushing *p, const struct er_str *frames, struct er_err *err)
{
        return er_session_send(p->session, er_svn(frames->buf, frames->len), err);
}

/* Sends the PUT of a regular file, with all of it if it is small. */
static int ask_file(struct pushing *p, struct put *put, struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        er_autoclose int fd = open(put->from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        size_t start;
        ssize_t n = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return complain(put->from, errno, "open", err);
        if (!S_ISREG(st.st_mode))
                return er_err_set(err, ER_STATE, "%s is no longer a file", put->from);
        put->size = (uint64_t)st.st_size;
        put->announced = put->size > WHOLE_MAX;
        if (!put->announced) {
                n = er_read_full(fd, p->chunk, WHOLE_MAX);
                if (n < 0)
                        return complain(put->from, errno, "read", err);
                put->size = (uint64_t)n;
        }
        start = begin_put(p, put, &frames, 'f', &st);
        if (!put->announced)
                er_msg_bytes(&frames, ER_T_DATA, p->chunk, (size_t)n);
        er_frame_end(&frames, start);
        return send_frames(p, &frames, err);
}

/* Whether the host has already refused it: then sending the rest is no use. */
static bool refused_early(struct pushing *p, const struct put *put, struct er_err *err)
{
        struct er_frame frame;
        er_auto(er_err) why = ER_ERR_INIT;

        if (er_session_recv_range(p->session, put->id, put->id, 0, &frame, &why) == 0 && frame.type == ER_F_ERROR) {
                er_frame_to_err(&frame, err);
                return true;
        }
        return false;
}

/* Sends the content from where the host wants it. *ret_changed: it is not what was announced; begin again. */
static int send_content(struct pushing *p, const struct put *put, uint64_t offset, bool *ret_changed,
                        struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        er_autoclose int fd = open(put->from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0)
                return complain(put->from, errno, "open", err);
        for (unsigned count = 1; offset < put->size; count++) {
                er_auto(er_str) fields = ER_STR_INIT;
                uint64_t left = put->size - offset;
                ssize_t n = er_pread_full(fd, p->chunk, left < CHUNK ? (size_t)left : CHUNK, (off_t)offset);

                if (n < 0)
                        return complain(put->from, errno, "read", err);
                if (n == 0)
                        break; /* it became shorter: the host refuses the end, and we try again */
                er_str_reset(&frames);
                er_msg_u64(&fields, ER_T_OFFSET, offset);
                er_frame_head(&frames, ER_F_DATA_IN, put->id, er_svn(fields.buf, fields.len), ER_T_DATA, (size_t)n);
                er_str_addn(&frames, p->chunk, (size_t)n);
                if (send_frames(p, &frames, err) < 0)
                        return -1;
                offset += (uint64_t)n;
                p->transfer->bytes += (uint64_t)n;
                if (p->transfer->progress && count % 4 == 0)
                        p->transfer->progress(p->transfer->arg, p->transfer);
                if (count % LISTEN_EVERY == 0 && refused_early(p, put, err))
                        return -1;
        }
        *ret_changed = offset != put->size;
        er_str_reset(&frames);
        er_frame_end(&frames, er_frame_begin(&frames, ER_F_PUT_END, put->id));
        return send_frames(p, &frames, err);
}

static int finish(struct pushing *p, struct put *put)
{
        if (put->type == 'f')
                p->transfer->files++;
        if (!put->announced)
                p->transfer->bytes += put->size;
        if (p->transfer->progress)
                p->transfer->progress(p->transfer->arg, p->transfer);
        free_put(p, put);
        return 0;
}

static int refused(struct pushing *p, struct put *put, const struct er_frame *frame, bool retry, struct er_err *err)
{
        if (retry && ++put->tries < TRIES_MAX)
                return ask_file(p, put, err);
        er_frame_to_err(frame, err);
        er_err_wrap(err, "%s: %s", er_session_host(p->session), put->path);
        put->id = 0; /* answered: nothing to drop */
        return -1;
}

/* The next answer, whichever file it is for. */
static int take_answer(struct pushing *p, struct er_err *err)
{
        uint32_t first = UINT32_MAX, last = 0;
        struct er_frame frame;
        struct put *put;
        uint64_t offset;
        bool changed = false;

        for (size_t i = 0; i < WINDOW; i++) {
                uint32_t id = p->puts[i].id;

                if (id && id < first)
                        first = id;
                if (id > last)
                        last = id;
        }
        if (er_session_recv_range(p->session, first, last, ER_NEVER, &frame, err) < 0)
                return -1;
        put = find_put(p, frame.id);
        if (!put)
                return 0;
        if (frame.type == ER_F_ERROR)
                return refused(p, put, &frame, false, err);
        if (frame.type != ER_F_OK)
                return 0;
        if (!put->announced)
                return finish(p, put);
        offset = er_msg_get_u64(frame.payload, ER_T_OFFSET, 0);
        if (offset > put->size)
                return er_err_set(err, ER_REMOTE, "%s: it claims to have more of %s than there is",
                                  er_session_host(p->session), put->path);
        p->transfer->bytes += offset;
        if (send_content(p, put, offset, &changed, err) < 0)
                return -1;
        if (er_session_recv_range(p->session, put->id, put->id, ER_NEVER, &frame, err) < 0)
                return -1;
        if (frame.type == ER_F_ERROR)
                return refused(p, put, &frame, changed, err);
        return finish(p, put);
}

/* Finds a free slot for one more request; waits for answers while there is none. */
static int make_room(struct pushing *p, struct put **ret, const char *from, const char *path, struct er_err *err)
{
        struct put *put;

        while (p->open == WINDOW)
                if (take_answer(p, err) < 0)
                        return -1;
        put = find_put(p, 0);
        if (!put)
                return er_err_set(err, ER_INTERNAL, "none of %u slots is free", WINDOW);
        *put = (struct put){.from = er_strdup(from), .path = er_strdup(path)};
        p->open++;
        *ret = put;
        return 0;
}

static int put_link(struct pushing *p, const char *from, const char *path, const struct stat *st, struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        char target[LINK_MAX_BYTES];
        ssize_t len = readlink(from, target, sizeof target);
        struct put *put;
        size_t start;

        if (len < 0)
                return complain(from, errno, "read the link", err);
        if (make_room(p, &put, from, path, err) < 0)
                return -1;
        start = begin_put(p, put, &frames, 'l', st);
        er_msg_bytes(&frames, ER_T_TARGET, target, (size_t)len);
        er_frame_end(&frames, start);
        return send_frames(p, &frames, err);
}

static int put_directory(struct pushing *p, const char *from, const char *path, const struct stat *st,
                         struct er_err *err)
{
        er_auto(er_str) frames = ER_STR_INIT;
        struct put *put;

        if (make_room(p, &put, from, path, err) < 0)
                return -1;
        er_frame_end(&frames, begin_put(p, put, &frames, 'd', st));
        return send_frames(p, &frames, err);
}

static int put_file(struct pushing *p, const char *from, const char *path, const struct stat *st, struct er_err *err)
{
        struct put *put;

        if (make_room(p, &put, from, path, err) < 0)
                return -1;
        p->transfer->total_files++;
        p->transfer->total_bytes += (uint64_t)st->st_size;
        return ask_file(p, put, err);
}

static int walk(struct pushing *p, const char *from, const char *path, int depth, struct er_err *err);

static int walk_into(struct pushing *p, const char *from, const char *path, int depth, struct er_err *err)
{
        er_auto(er_strv) names = ER_STRV_INIT;
        DIR *dir = opendir(from);
        const struct dirent *entry;

        if (!dir)
                return complain(from, errno, "open the directory", err);
        while ((entry = readdir(dir)))
                if (!er_streq(entry->d_name, ".") && !er_streq(entry->d_name, "..") &&
                    !er_ends(entry->d_name, ER_PART_SUFFIX))
                        er_strv_add(&names, entry->d_name);
        closedir(dir);
        er_strv_sort(&names);
        for (size_t i = 0; i < names.len; i++) {
                er_autofree char *from_below = er_path_join(from, names.items[i]);
                er_autofree char *path_below = er_path_join(path, names.items[i]);

                if (walk(p, from_below, path_below, depth + 1, err) < 0)
                        return -1;
        }
        return 0;
}

static int walk(struct pushing *p, const char *from, const char *path, int depth, struct er_err *err)
{
        struct stat st;

        /* What the user named is followed, what is found is not. */
        if ((depth == 0 ? stat(from, &st) : lstat(from, &st)) < 0)
                return complain(from, errno, "open", err);
        if (depth > DEPTH_MAX)
                return er_err_set(err, ER_USAGE, "%s: directories are nested too deeply", from);
        if (S_ISLNK(st.st_mode))
                return put_link(p, from, path, &st, err);
        if (S_ISREG(st.st_mode))
                return put_file(p, from, path, &st, err);
        if (!S_ISDIR(st.st_mode))
                return 0; /* sockets, pipes and devices do not travel */
        if (walk_into(p, from, path, depth, err) < 0)
                return -1;
        /* After its contents: its mode may forbid writing. */
        while (p->open > 0 && !(st.st_mode & S_IWUSR))
                if (take_answer(p, err) < 0)
                        return -1;
        return put_directory(p, from, path, &st, err);
}

int er_push(struct er_session *session, const struct er_strv *paths, const char *to, struct er_transfer *transfer,
            struct er_err *err)
{
        struct er_transfer ignored = {0};
        struct pushing *p = er_new(struct pushing);
        int rc = 0;

        p->session = session;
        p->transfer = transfer ? transfer : &ignored;
        p->to = to;
        p->chunk = er_malloc(CHUNK);
        for (size_t i = 0; i < paths->len && rc == 0; i++) {
                er_autofree char *from = er_path_abs(paths->items[i]);
                char *real = NULL;

                /* A named symlink to a file: the file is sent, under the name of the link. */
                if (access(from, F_OK) == 0)
                        real = realpath(from, NULL);
                if (er_streq(from, "/"))
                        rc = er_err_set(err, ER_USAGE, "cannot push all of /");
                else
                        rc = walk(p, real ? real : from, er_path_base(from), 0, err);
                free(real);
        }
        while (rc == 0 && p->open > 0)
                rc = take_answer(p, err);
        for (size_t i = 0; i < WINDOW; i++) {
                struct put *put = &p->puts[i];

                if (put->id)
                        er_session_drop(session, put->id, false);
                if (put->from)
                        free_put(p, put);
        }
        free(p->chunk);
        free(p);
        return rc;
}

/* stat.c - STAT, CANCEL and REMOVE: the requests about attempts that exist. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent/attempt/abandoned.h"
#include "agent/attempt/tombstone.h"
#include "agent/serve/serve.h"
#include "base/io.h"
#include "base/path.h"

struct listing {
        struct er_worker *worker;
        uint64_t count;
        bool active;        /* only those that have not ended */
        struct er_sv owner; /* only those of this store that this machine made; ptr NULL: all */
};

static bool is_of_owner(const struct listing *listing, const struct er_adir *dir)
{
        const char *dot = strrchr(dir->key, '.');
        er_auto(er_ainfo) info = ER_AINFO_INIT;

        return dot && er_sv_eq(er_sv(dot + 1), listing->owner) &&
               !(er_adir_info(dir, &info, NULL) == 0 && er_ainfo_is_foreign(listing->worker->agent, &info));
}

static int add_status(void *arg, const struct er_adir *dir, struct er_err *err)
{
        struct listing *listing = arg;
        struct er_str *out = &listing->worker->out;
        er_auto(er_status) status = ER_STATUS_INIT;
        bool never_began;
        size_t start;

        if (listing->active && er_file_exists(dir->fd, "exit"))
                return 0;
        if (listing->owner
                    .ptr) { /* asked for the sake of GC, which settles by itself, and wants what never began too */
                if (!is_of_owner(listing, dir))
                        return 0;
        } else {
                if (er_abandoned_settle(listing->worker->agent, dir, &never_began, err) < 0)
                        return -1;
                if (never_began)
                        return 0; /* a SUBMIT that was killed halfway: the next one starts it */
        }
        er_adir_status(dir, &status);
        start = er_frame_begin(out, ER_F_STATUS, listing->worker->id);
        er_status_encode(&status, out);
        er_frame_end(out, start);
        er_worker_flush(listing->worker, ER_CHUNK);
        listing->count++;
        return 0;
}

static int stat_all(struct er_worker *worker, struct er_err *err)
{
        struct listing listing = {.worker = worker,
                                  .active = er_msg_get_u64(worker->payload, ER_T_ACTIVE, 0) != 0,
                                  .owner = er_msg_get(worker->payload, ER_T_OWNER)};
        size_t start;

        if (er_adir_each(worker->agent, er_svn(NULL, 0), add_status, &listing, err) < 0)
                return -1;
        start = er_frame_begin(&worker->out, ER_F_END, worker->id);
        er_msg_u64(&worker->out, ER_T_COUNT, listing.count);
        er_frame_end(&worker->out, start);
        return 0;
}

/* For a single job this is quick: no child process is needed. */
int er_do_stat(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        struct er_worker here = {.agent = serve->agent, .id = frame->id, .fd = -1, .out = ER_STR_INIT};
        struct listing listing = {.worker = &here};
        er_auto(er_adir) dir = ER_ADIR_INIT;
        er_auto(er_str) fields = ER_STR_INIT;
        struct er_sv key;
        uint32_t attempt;
        int rc;

        if (!er_msg_get(frame->payload, ER_T_KEY).ptr)
                return er_worker_start(serve, frame, stat_all, err);
        if (er_adir_named(frame->payload, &key, &attempt, err) < 0)
                return -1;
        if (attempt > 0)
                rc = er_adir_open(serve->agent, key, attempt, &dir, err) < 0 ? -1 : add_status(&listing, &dir, err);
        else
                rc = er_adir_each(serve->agent, key, add_status, &listing, err);
        if (rc == 0 && listing.count == 0)
                rc = er_adir_missing(key, attempt, err);
        if (rc == 0) {
                er_str_addn(er_out_buf(&serve->out), here.out.buf, here.out.len);
                er_msg_u64(&fields, ER_T_COUNT, listing.count);
                er_serve_answer(serve, ER_F_END, frame->id, &fields);
        }
        er_str_release(&here.out);
        return rc;
}

static void put_i64(unsigned char *p, int64_t value)
{
        for (unsigned i = 0; i < 8; i++)
                p[i] = (unsigned char)((uint64_t)value >> (8 * i));
}

static bool tell_by_socket(const struct er_adir *dir, int64_t grace_ms)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "ctl"};
        er_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        unsigned char bytes[9] = {'c'};
        bool told;

        put_i64(bytes + 1, grace_ms);
        if (fd < 0 || fchdir(dir->fd) < 0)
                return false;
        told = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
               send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) == (ssize_t)sizeof bytes;
        if (chdir("/") < 0) {
                /* nothing depends on it */
        }
        return told;
}

int er_do_cancel(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        int64_t grace_ms = er_msg_get_i64(frame->payload, ER_T_GRACE, -1);
        er_auto(er_adir) dir = ER_ADIR_INIT;
        unsigned char bytes[8];
        struct er_sv key;
        uint32_t attempt;
        bool never_began;
        int rc;

        if (er_adir_named(frame->payload, &key, &attempt, err) < 0 ||
            er_adir_open(serve->agent, key, attempt, &dir, err) < 0)
                return -1;
        rc = er_abandoned_settle(serve->agent, &dir, &never_began, err);
        if (rc < 0)
                return -1;
        if (never_began)
                return er_adir_missing(key, attempt, err);
        if (rc == 0 && !tell_by_socket(&dir, grace_ms)) {
                put_i64(bytes, grace_ms);
                if (er_file_write(dir.fd, "cancel", bytes, sizeof bytes, 0600, false, err) < 0)
                        return -1;
        }
        er_serve_ok(serve, frame->id);
        return 0;
}

struct removal {
        const struct er_agent *agent;
        uint64_t freed;
        bool really;
};

static int remove_one(void *arg, const struct er_adir *dir, struct er_err *err)
{
        struct removal *removal = arg;
        er_autofree char *aside = NULL;
        er_autoclose int lock_fd = -1;
        char id[ER_RANDOM_HEX];
        bool never_began, marked;
        int rc = er_abandoned_settle(removal->agent, dir, &never_began, err);

        if (rc < 0)
                return -1;
        if (rc == 0 && (!never_began || (removal->really && !er_abandoned_claim(dir, &lock_fd)))) {
                er_err_set(err, ER_STATE, "attempt %u of %s has not ended", (unsigned)dir->attempt, dir->key);
                if (err)
                        err->provider_code = er_strdup("running");
                return er_err_hint(err, "cancel it first: errand cancel");
        }
        if (!removal->really)
                return 0;
        if (!never_began)
                er_adir_wait_left(dir);
        /* It disappears in one step; errand gc finds what an interrupted removal leaves. */
        er_random_hex(id);
        aside = er_fmt("%s/jobs/%s/.gone-%s", removal->agent->root, dir->key, id);
        marked = never_began || er_tombstone_put(removal->agent, dir);
        if (rename(dir->path, aside) < 0)
                return errno == ENOENT ? 0 : er_agent_fail(removal->agent, errno, err, "remove %s", dir->path);
        rc = er_rmtree(AT_FDCWD, aside, &removal->freed, err);
        if (!marked)
                er_tombstone_put(removal->agent, dir); /* there is room now */
        return rc;
}

static int remove_job(struct er_worker *worker, struct er_err *err)
{
        struct removal removal = {.agent = worker->agent};
        er_auto(er_adir) dir = ER_ADIR_INIT;
        er_autofree char *parent = NULL;
        struct er_sv key;
        uint32_t attempt;
        size_t start;

        if (er_adir_named(worker->payload, &key, &attempt, err) < 0)
                return -1;
        /* All or nothing: look at all of them first, then remove. */
        for (int pass = 0; pass < 2; pass++) {
                removal.really = pass == 1;
                if (attempt == 0) {
                        if (er_adir_each(worker->agent, key, remove_one, &removal, err) < 0)
                                return -1;
                } else if (er_adir_open(worker->agent, key, attempt, &dir, NULL) == 0) {
                        if (remove_one(&removal, &dir, err) < 0)
                                return -1;
                        er_adir_release(&dir);
                }
        }
        parent = er_fmt("%s/jobs/%.*s", worker->agent->root, (int)key.len, key.ptr);
        rmdir(parent); /* fails while there is another attempt */
        start = er_frame_begin(&worker->out, ER_F_OK, worker->id);
        er_msg_u64(&worker->out, ER_T_FREED, removal.freed);
        er_frame_end(&worker->out, start);
        return 0;
}

int er_do_remove(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        return er_worker_start(serve, frame, remove_job, err);
}

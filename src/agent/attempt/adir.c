/* adir.c - see adir.h */
#include "agent/attempt/adir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"
#include "proto/msg.h"

#define RECORD_MAX (64u * 1024) /* an event or a record; DETAIL is cut much shorter */
#define LEAVE_MS 10000          /* the longest wait for a slow fsync */
#define RESERVE 4096            /* bytes kept for events and for the record */

void er_adir_release(struct er_adir *dir)
{
        er_close(&dir->fd);
        free(dir->key);
        free(dir->path);
        *dir = (struct er_adir)ER_ADIR_INIT;
}

int er_adir_missing(struct er_sv key, uint32_t attempt, struct er_err *err)
{
        er_err_set(err, ER_NOT_FOUND, "attempt %u of %.*s is not known on this host", (unsigned)attempt, (int)key.len,
                   key.ptr);
        if (err) {
                free(err->provider_code);
                err->provider_code = er_strdup("attempt");
        }
        return -1;
}

int er_adir_open(const struct er_agent *agent, struct er_sv key, uint32_t attempt, struct er_adir *ret,
                 struct er_err *err)
{
        er_autofree char *path = er_fmt("%s/jobs/%.*s/%u", agent->root, (int)key.len, key.ptr, (unsigned)attempt);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0) {
                if (errno == ENOENT || errno == ENOTDIR)
                        return er_adir_missing(key, attempt, err);
                return er_agent_fail(agent, errno, err, "open %s", path);
        }
        *ret = (struct er_adir){.fd = fd, .key = er_sv_dup(key), .attempt = attempt, .path = er_take(path)};
        return 0;
}

int er_adir_named(struct er_sv payload, struct er_sv *ret_key, uint32_t *ret_attempt, struct er_err *err)
{
        struct er_sv key = er_msg_get(payload, ER_T_KEY);
        uint64_t attempt = er_msg_get_u64(payload, ER_T_ATTEMPT, 0);

        if (!key.ptr || !er_name_is_safe(key, ER_LINE_OF_JOBS_KEY_MAX))
                return er_err_set(err, ER_REMOTE, "a request without a valid job key");
        if (attempt > INT32_MAX)
                return er_err_set(err, ER_REMOTE, "a request with an invalid attempt number");
        *ret_key = key;
        *ret_attempt = (uint32_t)attempt;
        return 0;
}

static int each_of_key(const struct er_agent *agent, struct er_sv key, er_adir_fn fn, void *arg, struct er_err *err)
{
        er_autofree char *path = er_fmt("%s/jobs/%.*s", agent->root, (int)key.len, key.ptr);
        const struct dirent *entry;
        int rc = 0;
        DIR *list = opendir(path);

        if (!list)
                return errno == ENOENT ? 0 : er_agent_fail(agent, errno, err, "open %s", path);
        while (rc == 0 && (entry = readdir(list))) {
                er_auto(er_adir) dir = ER_ADIR_INIT;
                uint64_t number;

                if (er_parse_u64(entry->d_name, INT32_MAX, &number, NULL) < 0 ||
                    er_adir_open(agent, key, (uint32_t)number, &dir, NULL) < 0)
                        continue;
                rc = fn(arg, &dir, err);
        }
        closedir(list);
        return rc;
}

int er_adir_each(const struct er_agent *agent, struct er_sv key, er_adir_fn fn, void *arg, struct er_err *err)
{
        er_autofree char *path = er_path_join(agent->root, "jobs");
        const struct dirent *entry;
        int rc = 0;
        DIR *list;

        if (key.ptr)
                return each_of_key(agent, key, fn, arg, err);
        list = opendir(path);
        if (!list)
                return errno == ENOENT ? 0 : er_agent_fail(agent, errno, err, "open %s", path);
        while (rc == 0 && (entry = readdir(list)))
                if (er_name_is_safe(er_sv(entry->d_name), ER_LINE_OF_JOBS_KEY_MAX))
                        rc = each_of_key(agent, er_sv(entry->d_name), fn, arg, err);
        closedir(list);
        return rc;
}

void er_ainfo_release(struct er_ainfo *info)
{
        free(info->id);
        free(info->boot_id);
        free(info->host_name);
        free(info->hostname);
        er_spec_release(&info->spec);
        *info = (struct er_ainfo)ER_AINFO_INIT;
}

int er_adir_info(const struct er_adir *dir, struct er_ainfo *ret, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_ainfo) info = ER_AINFO_INIT;
        struct er_sv all, spec;

        if (er_file_read(dir->fd, "spec", ER_SPEC_MAX + 64u * 1024, &text, err) < 0)
                return er_err_wrap(err, "%s", dir->path);
        all = er_svn(text.buf, text.len);
        spec = er_msg_get(all, ER_T_SPEC);
        if (!spec.ptr || er_spec_decode(spec, &info.spec, err) < 0) {
                er_err_set(err, ER_REMOTE, "%s/spec is damaged", dir->path);
                return -1;
        }
        info.id = er_msg_dup(all, ER_T_ATTEMPT_ID);
        info.boot_id = er_msg_dup(all, ER_T_BOOT_ID);
        info.host_name = er_msg_dup(all, ER_T_NAME);
        info.hostname = er_msg_dup(all, ER_T_HOSTNAME);
        info.time_ms = er_msg_get_i64(all, ER_T_TIME, 0);
        *ret = info;
        info = (struct er_ainfo)ER_AINFO_INIT;
        return 0;
}

bool er_ainfo_is_foreign(const struct er_agent *agent, const struct er_ainfo *info)
{
        return info->hostname && info->boot_id && !er_streq(info->hostname, agent->hostname) &&
               !er_streq(info->boot_id, agent->boot_id);
}

/* --- events */

static uint32_t read_u32(const unsigned char *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void er_events_read(int fd, uint64_t *offset, void (*fn)(void *arg, const struct er_status *event), void *arg)
{
        er_auto(er_str) text = ER_STR_INIT;

        for (;;) {
                unsigned char header[4];
                uint32_t len;
                er_auto(er_status) event = ER_STATUS_INIT;

                if (er_pread_full(fd, header, sizeof header, (off_t)*offset) != (ssize_t)sizeof header)
                        return;
                len = read_u32(header);
                if (len == 0 || len > RECORD_MAX)
                        return;
                er_str_reset(&text);
                er_str_reserve(&text, len);
                if (er_pread_full(fd, text.buf, len, (off_t)*offset + 4) != (ssize_t)len)
                        return;
                er_status_decode(er_svn(text.buf, len), &event);
                *offset += 4 + len;
                fn(arg, &event);
        }
}

static void keep_last(void *arg, const struct er_status *event)
{
        struct er_status *last = arg;
        char *detail = event->detail ? er_strdup(event->detail) : NULL;
        int64_t started_ms = event->started_ms ? event->started_ms : last->started_ms;
        uint64_t gpu_mask = event->gpu_mask ? event->gpu_mask : last->gpu_mask;
        bool gpu_shared = event->gpu_shared || last->gpu_shared;
        int64_t pid = event->pid ? event->pid : last->pid;
        uint64_t pid_start = event->pid_start ? event->pid_start : last->pid_start;

        er_status_release(last);
        *last = *event;
        last->key = NULL;
        last->detail = detail;
        last->started_ms = started_ms;
        last->gpu_mask = gpu_mask;
        last->gpu_shared = gpu_shared;
        last->pid = pid;
        last->pid_start = pid_start;
}

void er_events_last(const struct er_adir *dir, struct er_status *ret)
{
        er_autoclose int fd = openat(dir->fd, "events", O_RDONLY | O_CLOEXEC);
        uint64_t offset = 0;

        *ret = (struct er_status)ER_STATUS_INIT;
        if (fd >= 0)
                er_events_read(fd, &offset, keep_last, ret);
}

/* Finds the number of the last complete event; a torn one after it is overwritten. */
struct count {
        uint64_t seq;
};
static void count_event(void *arg, const struct er_status *event)
{
        struct count *count = arg;

        count->seq = event->seq;
}

int er_events_append(const struct er_adir *dir, struct er_status *event, struct er_err *err)
{
        er_autoclose int fd = openat(dir->fd, "events", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        er_auto(er_str) text = ER_STR_INIT;
        struct count count = {0};
        uint64_t end = 0;
        size_t len;

        if (fd < 0)
                return er_err_errno(err, errno, "open %s/events", dir->path);
        er_events_read(fd, &end, count_event, &count);
        event->seq = count.seq + 1;
        if (event->time_ms == 0)
                event->time_ms = er_now_ms();
        er_str_addn(&text, "\0\0\0\0", 4);
        er_status_encode(event, &text);
        len = text.len - 4;
        for (int i = 0; i < 4; i++)
                text.buf[i] = (char)(unsigned char)(len >> (8 * i));
        if (er_pwrite_full(fd, text.buf, text.len, (off_t)end) < 0)
                return er_err_errno(err, errno, "write %s/events", dir->path);
        return 0;
}

/* --- the record */

int er_exit_reserve(int dir_fd)
{
        er_autoclose int fd = openat(dir_fd, "exit.tmp", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        er_autoclose int events_fd = openat(dir_fd, "events", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0 || events_fd < 0)
                return -1;
        if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, RESERVE) < 0 && errno == ENOSPC)
                return -1;
        if (fallocate(events_fd, FALLOC_FL_KEEP_SIZE, 0, RESERVE) < 0 && errno == ENOSPC)
                return -1;
        return 0;
}

int er_exit_write(const struct er_adir *dir, struct er_status *status, struct er_err *err)
{
        er_autoclose int fd = openat(dir->fd, "exit.tmp", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        er_auto(er_str) text = ER_STR_INIT;
        struct er_status last, event;

        if (fd < 0)
                return er_err_errno(err, errno, "create %s/exit.tmp", dir->path);
        er_events_last(dir, &last);
        if (status->detail && strlen(status->detail) > 1500)
                status->detail[1500] = '\0'; /* it must fit into the room reserved */
        status->state = ER_STATE_ENDED;
        status->seq = last.seq + 1;
        if (status->time_ms == 0)
                status->time_ms = er_now_ms();
        er_status_release(&last);
        er_status_encode(status, &text);
        er_msg_u64(&text, ER_T_CHECKSUM, er_hash64(text.buf, text.len));
        if (er_pwrite_full(fd, text.buf, text.len, 0) < 0 || ftruncate(fd, (off_t)text.len) < 0)
                return er_err_errno(err, errno, "write %s/exit.tmp", dir->path);
        if (renameat(dir->fd, "exit.tmp", dir->fd, "exit") < 0)
                return er_err_errno(err, errno, "rename %s/exit.tmp", dir->path);
        event = *status;
        event.key = NULL;
        return er_events_append(dir, &event, err);
}

void er_exit_sync(const struct er_adir *dir)
{
        er_autoclose int fd = openat(dir->fd, "exit", O_RDONLY | O_CLOEXEC);

        if (fd >= 0)
                fsync(fd);
        fsync(dir->fd);
}

bool er_exit_read(const struct er_adir *dir, struct er_status *ret)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv all;
        size_t body;

        if (!er_file_exists(dir->fd, "exit") || er_file_read(dir->fd, "exit", RECORD_MAX, &text, NULL) < 0)
                return false;
        if (text.len < 14)
                return false;
        body = text.len - 14; /* a field of 8 bytes with its header */
        all = er_svn(text.buf + body, 14);
        if (er_msg_get_u64(all, ER_T_CHECKSUM, 0) != er_hash64(text.buf, body))
                return false;
        er_status_decode(er_svn(text.buf, body), ret);
        return true;
}

void er_adir_status(const struct er_adir *dir, struct er_status *ret)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct stat st;

        if (!er_exit_read(dir, ret)) {
                er_events_last(dir, ret);
                if (ret->state == 0)
                        ret->state = ER_STATE_QUEUED;
                if (er_file_read(dir->fd, "usage", RECORD_MAX, &text, NULL) == 0) {
                        er_auto(er_status) usage = ER_STATUS_INIT;

                        er_status_decode(er_svn(text.buf, text.len), &usage);
                        ret->cpu_ms = usage.cpu_ms;
                        ret->max_rss = usage.max_rss;
                        ret->gpu_util = usage.gpu_util;
                        ret->gpu_util_max = usage.gpu_util_max;
                        ret->gpu_mem = usage.gpu_mem;
                        ret->rss = usage.rss;
                        ret->used_ms = usage.used_ms;
                }
                if (fstatat(dir->fd, "log", &st, 0) == 0)
                        ret->log_size = (uint64_t)st.st_size;
        }
        free(ret->key);
        ret->key = er_strdup(dir->key);
        ret->attempt = dir->attempt;
}

/* --- the lock: on `events`, because each additional file costs time */

int er_alock_take(int dir_fd, int *ret_fd)
{
        er_autoclose int fd = openat(dir_fd, "events", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

        if (fd < 0)
                return -1;
        if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
                return errno == EAGAIN || errno == EACCES ? 0 : -1;
        *ret_fd = er_take_fd(&fd);
        return 1;
}

bool er_adir_is_alive(const struct er_adir *dir)
{
        er_autoclose int fd = openat(dir->fd, "events", O_RDWR | O_CLOEXEC);
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

        return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool er_adir_is_gone(const struct er_adir *dir)
{
        struct stat open_one, named;

        if (fstat(dir->fd, &open_one) < 0)
                return errno == ESTALE;
        if (open_one.st_nlink == 0)
                return true;
        if (stat(dir->path, &named) < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ESTALE;
        return named.st_ino != open_one.st_ino || named.st_dev != open_one.st_dev;
}

void er_adir_wait_left(const struct er_adir *dir)
{
        er_deadline deadline = er_deadline_in(LEAVE_MS);

        while (er_adir_is_alive(dir) && er_deadline_poll_ms(deadline) != 0)
                poll(NULL, 0, 2);
}

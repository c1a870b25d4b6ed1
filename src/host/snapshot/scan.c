/* scan.c - see scan.h */
#include "host/snapshot/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "host/snapshot/steps.h"

#define WORKERS_MAX 4u
#define CHUNK 128u      /* files a worker takes at once: mostly of one directory */
#define FEW_FILES 2000u /* starting a thread costs as much as the stat of some hundred files */
#define FEW_READS 32u
#define BUFFER ((size_t)256 * 1024)
#define TRIES 5u
#define PROGRESS_US 50000

struct crew {
        struct er_scan *scan;
        struct er_scan_file *files;
        size_t len;
        atomic_size_t next;
        atomic_uint_fast64_t files_done, bytes_read, files_read;
        atomic_bool stop;
        pthread_mutex_t lock;
        pthread_cond_t ended;
        size_t active;      /* workers other than the caller */
        struct er_err *err; /* of the first that failed */
        bool failed;
};
struct worker {
        struct crew *crew;
        struct er_steps steps;
        struct er_hasher hasher;
        struct er_names names;
        unsigned char *buffer;
        bool caller;
        int64_t told_us;
        pthread_t thread;
};

static void show(struct er_str *out, const struct er_scan_file *file)
{
        er_quote_show(out, file->path, file->path_len);
}

static int file_err(struct er_err *err, int errnum, const char *what, const struct er_scan_file *file)
{
        er_auto(er_str) name = ER_STR_INIT;

        show(&name, file);
        er_err_errno(err, errnum, "%s %s", what, name.buf);
        if (errnum == EACCES || errnum == EPERM)
                er_err_hint(err, "make it readable, or exclude it in .errandignore");
        return -1;
}

static bool is_gone(int errnum)
{
        return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP;
}

static void tell(struct worker *worker)
{
        struct crew *crew = worker->crew;
        int64_t now_us;

        if (!worker->caller || !crew->scan->progress)
                return;
        now_us = er_mono_us();
        if (now_us - worker->told_us < PROGRESS_US)
                return;
        worker->told_us = now_us;
        crew->scan->progress(crew->scan->arg, atomic_load(&crew->files_done), atomic_load(&crew->bytes_read));
}

static int check_cancel(struct crew *crew, struct er_err *err)
{
        if (crew->scan->cancel && er_cancel_fired(crew->scan->cancel))
                return er_err_set(err, ER_CANCELLED, "cancelled while reading the project's files");
        return 0;
}

/* Hashes `size` bytes and checks whether more follow. Returns 1 if there were exactly that many, else 0. */
static int hash_content(struct worker *worker, int fd, uint64_t size, const struct er_scan_file *file,
                        struct er_hash *ret, struct er_err *err)
{
        uint64_t done = 0;

        /* Made when the first file is read: usually there is none, and OpenSSL takes as long as a hundred files. */
        if (!worker->hasher.ctx) {
                if (er_hasher_init(&worker->hasher, err) < 0)
                        return -1;
                worker->buffer = er_malloc(BUFFER);
        }
        er_hasher_begin(&worker->hasher);
        for (;;) {
                uint64_t left = size - done;
                /* One byte more than is left, so that the end of the file needs no call of its own. */
                size_t want = left < BUFFER ? (size_t)left + 1 : BUFFER;
                ssize_t n = er_read_full(fd, worker->buffer, want);

                if (n < 0)
                        return errno == EISDIR ? 0 : file_err(err, errno, "read", file);
                if ((size_t)n > left)
                        return 0;
                er_hasher_add(&worker->hasher, worker->buffer, (size_t)n);
                done += (uint64_t)n;
                atomic_fetch_add(&worker->crew->bytes_read, (uint64_t)n);
                if ((size_t)n < want) {
                        er_hasher_end(&worker->hasher, ret);
                        return done == size;
                }
                tell(worker);
                if (atomic_load(&worker->crew->stop))
                        return 0;
                if (check_cancel(worker->crew, err) < 0)
                        return -1;
        }
}

/* One try. 1: hashed, and unchanged before and after; 0: try again; -1. */
static int hash_once(struct worker *worker, int dir_fd, const char *rest, struct er_scan_file *file, struct er_err *err)
{
        struct er_file_stat after;
        er_autoclose int fd = -1;
        struct er_hash hash;
        struct stat st;
        int rc;

        /* It may have become a pipe since we looked, and opening that would block. */
        fd = openat(dir_fd, rest, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return is_gone(errno) ? 0 : file_err(err, errno, "open", file);
        if (worker->crew->scan->sizes_only)
                return 1;
        rc = hash_content(worker, fd, file->stat.size, file, &hash, err);
        if (rc <= 0)
                return rc;
        if (fstat(fd, &st) < 0)
                return file_err(err, errno, "stat", file);
        er_file_stat_from(&st, &after);
        if (!er_file_stat_same(&file->stat, &after))
                return 0;
        memcpy(file->hash, hash.bytes, sizeof file->hash);
        return 1;
}

static int look(struct worker *worker, struct er_scan_file *file, struct er_err *err);

/* Called if lstat says that it is a regular file. */
static int look_at_file(struct worker *worker, int dir_fd, const char *rest, struct er_scan_file *file,
                        struct er_err *err)
{
        er_auto(er_str) name = ER_STR_INIT;
        struct stat st;

        file->type = 'f';
        file->same = file->known && er_file_stat_same(file->known, &file->stat);
        if (file->same)
                return 0;
        atomic_fetch_add(&worker->crew->files_read, 1);
        for (unsigned tries = 0; tries < TRIES; tries++) {
                int rc = hash_once(worker, dir_fd, rest, file, err);

                if (rc != 0)
                        return rc < 0 ? -1 : 0;
                if (atomic_load(&worker->crew->stop))
                        return 0;
                if (fstatat(dir_fd, rest, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                        if (!is_gone(errno))
                                return file_err(err, errno, "stat", file);
                        file->type = 0;
                        return 0;
                }
                if (!S_ISREG(st.st_mode))
                        return look(worker, file, err); /* it has become something else */
                er_file_stat_from(&st, &file->stat);
        }
        show(&name, file);
        er_err_set(err, ER_STATE, "%s changed each of the %u times it was read", name.buf, TRIES);
        return er_err_hint(err, "wait until it is complete, or exclude it in .errandignore");
}

static int look_at_link(struct worker *worker, int dir_fd, const char *rest, struct er_scan_file *file,
                        struct er_err *err)
{
        char target[ER_TREE_PATH_MAX + 1];
        ssize_t n = readlinkat(dir_fd, rest, target, sizeof target);

        if (n < 0 && (is_gone(errno) || errno == EINVAL)) {
                file->type = 0;
                return 0;
        }
        if (n < 0)
                return file_err(err, errno, "read the link", file);
        if (n == 0 || (size_t)n == sizeof target)
                return file_err(err, ENAMETOOLONG, "read the link", file);
        file->type = 'l';
        file->same = file->known && er_file_stat_same(file->known, &file->stat);
        file->target = er_names_add(&worker->names, ER_SV(""), er_svn(target, (size_t)n));
        file->target_len = (uint32_t)n;
        memset(file->hash, 0, sizeof file->hash);
        return 0;
}

static int look(struct worker *worker, struct er_scan_file *file, struct er_err *err)
{
        const char *rest;
        struct stat st;
        int dir_fd = er_steps_find(&worker->steps, file->path, &rest);

        if (dir_fd < 0 || fstatat(dir_fd, rest, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (!is_gone(errno))
                        return file_err(err, errno, "stat", file);
                file->type = 0;
                return 0;
        }
        er_file_stat_from(&st, &file->stat);
        if (S_ISREG(st.st_mode))
                return look_at_file(worker, dir_fd, rest, file, err);
        if (S_ISLNK(st.st_mode))
                return look_at_link(worker, dir_fd, rest, file, err);
        if (S_ISDIR(st.st_mode) && file->type == 'd') {
                /* Its times change with contents that do not travel. */
                file->stat = (struct er_file_stat){.mode = S_IFDIR};
                file->same = file->known && er_file_stat_same(file->known, &file->stat);
                memset(file->hash, 0, sizeof file->hash);
                return 0;
        }
        if (!S_ISDIR(st.st_mode))
                er_debug("snapshot", "%s is a socket, pipe or device: left out", file->path);
        file->type = 0;
        return 0;
}

static void give_up(struct crew *crew, struct er_err *err)
{
        pthread_mutex_lock(&crew->lock);
        if (!crew->failed) {
                crew->failed = true;
                if (crew->err)
                        er_err_move(crew->err, err);
        }
        pthread_mutex_unlock(&crew->lock);
        atomic_store(&crew->stop, true);
}

static void work(struct worker *worker)
{
        struct crew *crew = worker->crew;
        er_auto(er_err) err = ER_ERR_INIT;

        er_steps_init(&worker->steps, crew->scan->root_fd);
        while (!atomic_load(&crew->stop)) {
                size_t i = atomic_fetch_add(&crew->next, CHUNK);
                size_t end = i < crew->len && crew->len - i > CHUNK ? i + CHUNK : crew->len;

                if (i >= crew->len)
                        break;
                if (check_cancel(crew, &err) < 0) {
                        give_up(crew, &err);
                        break;
                }
                atomic_fetch_add(&crew->files_done, end - i);
                for (; i < end && !atomic_load_explicit(&crew->stop, memory_order_relaxed); i++)
                        if (look(worker, &crew->files[i], &err) < 0)
                                give_up(crew, &err);
                tell(worker);
        }
        er_hasher_release(&worker->hasher);
        er_steps_release(&worker->steps);
        free(worker->buffer);
}

static void *thread_main(void *arg)
{
        struct worker *worker = arg;

        work(worker);
        pthread_mutex_lock(&worker->crew->lock);
        worker->crew->active--;
        pthread_cond_signal(&worker->crew->ended);
        pthread_mutex_unlock(&worker->crew->lock);
        return NULL;
}

/* The caller goes on reporting how far the others are. */
static void wait_for_all(struct worker *caller)
{
        struct crew *crew = caller->crew;

        pthread_mutex_lock(&crew->lock);
        while (crew->active > 0) {
                struct timespec until;

                clock_gettime(CLOCK_REALTIME, &until);
                until.tv_nsec += PROGRESS_US * 1000L;
                if (until.tv_nsec >= 1000000000L) {
                        until.tv_nsec -= 1000000000L;
                        until.tv_sec++;
                }
                pthread_cond_timedwait(&crew->ended, &crew->lock, &until);
                pthread_mutex_unlock(&crew->lock);
                tell(caller);
                pthread_mutex_lock(&crew->lock);
        }
        pthread_mutex_unlock(&crew->lock);
}

static size_t count_workers(const struct er_scan_file *files, size_t len)
{
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        size_t reads = 0;

        for (size_t i = 0; i < len && reads <= FEW_READS; i++)
                reads += files[i].type == 'f' && !files[i].known;
        if ((len < FEW_FILES && reads <= FEW_READS) || cpus < 2)
                return 1;
        return cpus < (long)WORKERS_MAX ? (size_t)cpus : WORKERS_MAX;
}

int er_scan_run(struct er_scan *scan, struct er_scan_file *files, size_t len, struct er_err *err)
{
        struct crew crew = {.scan = scan, .files = files, .len = len, .err = err};
        size_t count = count_workers(files, len), started = 1;
        struct worker *workers = er_calloc(count, sizeof *workers);

        pthread_mutex_init(&crew.lock, NULL);
        pthread_cond_init(&crew.ended, NULL);
        for (size_t i = 0; i < count; i++)
                workers[i].crew = &crew;
        workers[0].caller = true;
        workers[0].told_us = er_mono_us();
        for (; started < count; started++) {
                pthread_mutex_lock(&crew.lock);
                crew.active++;
                pthread_mutex_unlock(&crew.lock);
                if (pthread_create(&workers[started].thread, NULL, thread_main, &workers[started]) != 0) {
                        pthread_mutex_lock(&crew.lock);
                        crew.active--;
                        pthread_mutex_unlock(&crew.lock);
                        break; /* fewer will do */
                }
        }
        work(&workers[0]);
        wait_for_all(&workers[0]);
        for (size_t i = 1; i < started; i++)
                pthread_join(workers[i].thread, NULL);
        for (size_t i = 0; i < count; i++)
                er_names_merge(&scan->names, &workers[i].names);
        free(workers);
        scan->hashed = atomic_load(&crew.files_read);
        pthread_cond_destroy(&crew.ended);
        pthread_mutex_destroy(&crew.lock);
        return crew.failed ? -1 : 0;
}

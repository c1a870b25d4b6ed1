/* lock.c - see lock.h */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* True if path still names the open file. It may have been removed before we got the lock. */
static bool is_current(int fd, const char *path)
{
        struct stat ours, theirs;

        return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
               ours.st_ino == theirs.st_ino;
}

/* 0, or -1 with errno (EWOULDBLOCK: another process held it until the deadline). */
static int flock_until(int fd, er_deadline deadline)
{
        int pause_ms = 1;

        for (;;) {
                int left;

                if (flock(fd, LOCK_EX | (deadline == ER_NEVER ? 0 : LOCK_NB)) == 0)
                        return 0;
                if (errno == EINTR)
                        continue;
                if (errno != EWOULDBLOCK)
                        return -1;
                left = er_deadline_poll_ms(deadline);
                if (left == 0) {
                        errno = EWOULDBLOCK;
                        return -1;
                }
                /* flock has no timeout, so try again and again, at short intervals at first. */
                poll(NULL, 0, left > 0 && left < pause_ms ? left : pause_ms);
                if (pause_ms < 50)
                        pause_ms *= 2;
        }
}

int er_lock_file(const char *path, er_deadline deadline, int *ret_fd, struct er_err *err)
{
        for (;;) {
                er_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

                if (fd < 0)
                        return er_err_errno(err, errno, "open the lock %s", path);
                if (flock_until(fd, deadline) < 0) {
                        if (errno != EWOULDBLOCK)
                                return er_err_errno(err, errno, "lock %s", path);
                        er_err_set(err, ER_STATE, "%s is locked by another process", path);
                        return er_err_retry(err);
                }
                if (is_current(fd, path)) {
                        *ret_fd = er_take_fd(&fd);
                        return 0;
                }
        }
}

int er_leases_open(struct er_leases *leases, const char *path, struct er_err *err)
{
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0)
                return er_err_errno(err, errno, "open the leases %s", path);
        leases->fd = fd;
        return 0;
}

static int lease_call(const struct er_leases *leases, int command, short type, int64_t number, struct flock *lock)
{
        int rc;

        do {
                *lock = (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)number, .l_len = 1};
                rc = fcntl(leases->fd, command, lock);
        } while (rc < 0 && errno == EINTR);
        return rc;
}

int er_lease_take(struct er_leases *leases, int64_t number, struct er_err *err)
{
        struct flock lock;

        if (lease_call(leases, F_SETLK, F_WRLCK, number, &lock) == 0)
                return 1;
        if (errno == EAGAIN || errno == EACCES)
                return 0;
        return er_err_errno(err, errno, "take the lease %lld", (long long)number);
}

void er_lease_drop(struct er_leases *leases, int64_t number)
{
        struct flock lock;

        lease_call(leases, F_SETLK, F_UNLCK, number, &lock);
}

pid_t er_lease_holder(struct er_leases *leases, int64_t number)
{
        struct flock lock;

        if (lease_call(leases, F_GETLK, F_WRLCK, number, &lock) < 0 || lock.l_type == F_UNLCK)
                return 0;
        return lock.l_pid;
}

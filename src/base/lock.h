/*
 * lock.h - locks between processes that the kernel drops when their holder dies.
 */
#ifndef ER_BASE_LOCK_H
#define ER_BASE_LOCK_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/clock.h"
#include "base/err.h"

/* flock on a file (made when missing, 0600). *ret_fd holds it until closed. deadline in the past: only tries; ER_STATE
 * when held. */
int er_lock_file(const char *path, er_deadline deadline, int *ret_fd, struct er_err *err);

/*
 * A range of one file, a byte per number: leases. POSIX record locks, so the holder's pid can be asked for.
 * A process opens each lease file once (closing any descriptor of it drops all its locks), and locks are not
 * inherited by a fork.
 */
struct er_leases {
        int fd;
};
#define ER_LEASES_INIT {-1}
int er_leases_open(struct er_leases *leases, const char *path, struct er_err *err);
/* 1: ours now; 0: somebody else's; -1: error. */
int er_lease_take(struct er_leases *leases, int64_t number, struct er_err *err);
void er_lease_drop(struct er_leases *leases, int64_t number);
/* The holder's pid, 0 when free (also when we hold it ourselves: ask only about others). */
pid_t er_lease_holder(struct er_leases *leases, int64_t number);

#endif

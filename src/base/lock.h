/*
 * lock.h - locks between processes. The kernel drops them when their holder dies.
 */
#ifndef ER_BASE_LOCK_H
#define ER_BASE_LOCK_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/clock.h"
#include "base/err.h"

/* Locks a file (flock), which is created if it does not exist (0600). Closing *ret_fd unlocks it. ER_STATE if another
 * process holds it until the deadline; a deadline that has passed tries once. */
int er_lock_file(const char *path, er_deadline deadline, int *ret_fd, struct er_err *err);

/*
 * Leases: one byte of a file for each number. They are POSIX record locks, so that the kernel can name the holder.
 * A process opens a lease file once and never closes it, since closing any descriptor of it would drop all its locks.
 * A child does not inherit them.
 */
struct er_leases {
        int fd;
};
#define ER_LEASES_INIT {-1}
int er_leases_open(struct er_leases *leases, const char *path, struct er_err *err);
/* 1: we hold it now; 0: another process does; -1: error. */
int er_lease_take(struct er_leases *leases, int64_t number, struct er_err *err);
void er_lease_drop(struct er_leases *leases, int64_t number);
/* The holder's pid. 0: it is free, or we hold it ourselves. */
pid_t er_lease_holder(struct er_leases *leases, int64_t number);

#endif

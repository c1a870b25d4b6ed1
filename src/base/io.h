/*
 * io.h - descriptors and whole files. All descriptors are O_CLOEXEC; all calls restart on EINTR.
 */
#ifndef ER_BASE_IO_H
#define ER_BASE_IO_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"

/* Reads len bytes, or fewer at the end of the file. Returns how many, or -1 with errno. */
ssize_t er_read_full(int fd, void *buf, size_t len);
ssize_t er_pread_full(int fd, void *buf, size_t len, off_t offset);
/* Writes all of it, also to a non-blocking descriptor. Returns 0, or -1 with errno. */
int er_write_full(int fd, const void *data, size_t len);
int er_pwrite_full(int fd, const void *data, size_t len, off_t offset);

/* Reads a whole file; what ret held is replaced. ER_CONFIG if it has more than max bytes. at may be AT_FDCWD. */
int er_file_read(int at, const char *path, size_t max, struct er_str *ret, struct er_err *err);
/* The same, of what must be a regular file (ER_CONFIG): opening a FIFO would wait for a writer. */
int er_file_read_regular(int at, const char *path, size_t max, struct er_str *ret, struct er_err *err);
/* Writes "<path>.tmp-XXXX" and renames it. durable: syncs file and directory. Leaves nothing behind on failure. */
int er_file_write(int at, const char *path, const void *data, size_t len, mode_t mode, bool durable,
                  struct er_err *err);
bool er_file_exists(int at, const char *path);

int er_set_nonblock(int fd, bool on);
int er_pipe(int ret_fds[2]); /* O_CLOEXEC; 0 or -1 with errno */
int er_socketpair(int ret_fds[2]);
/* Closes it and sets it to -1. Keeps errno. */
void er_close(int *fd);
/* The process's file mode creation mask, which other threads may be using meanwhile. */
mode_t er_umask(void);
/* Syncs the directory that contains path. */
int er_fsync_parent(int at, const char *path);

#endif

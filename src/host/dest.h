/*
 * dest.h - writing files below one directory of this machine, whatever names a host sends: no name leads out of it, no
 * symlink on the way is followed, and a file appears whole or not at all. Private to src/host.
 */
#ifndef ER_HOST_DEST_H
#define ER_HOST_DEST_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"

#define ER_PART_SUFFIX ".errand-part"

struct er_dest {
        int fd;      /* the directory; -1: not open */
        char *name;  /* (owned) as the user calls it, for messages */
        mode_t mask; /* this process's; applied to modes from a host */
        int last_fd; /* the directory used last; the next file is usually in the same one */
        struct er_str last;
};
#define ER_DEST_INIT {.fd = -1, .last_fd = -1, .last = ER_STR_INIT}

/* Creates the directory if it is missing. within (may be NULL): a directory above it; no symlink between the two is
   followed, since what lies there came with somebody's project. */
int er_dest_open(struct er_dest *dest, const char *path, const char *within, struct er_err *err);
void er_dest_release(struct er_dest *dest);

/* Missing directories on the way to a path are created, here and below. ER_REMOTE for a path that is not safe,
   ER_EXISTS if something else is in its way. */
int er_dest_mkdir(struct er_dest *dest, const char *path, struct er_err *err);
/* True if a file of that size and time exists. */
bool er_dest_has(struct er_dest *dest, const char *path, uint64_t size, int64_t mtime_ms);
/* Opens "<path>.errand-part". *ret_offset: how much of the version with that time an earlier try has left in it; a
   part of another version is emptied. */
int er_dest_begin(struct er_dest *dest, const char *path, int64_t mtime_ms, int *ret_fd, uint64_t *ret_offset,
                  struct er_err *err);
/* Gives the part its mode and time and renames it into place. */
int er_dest_finish(struct er_dest *dest, const char *path, int fd, unsigned mode, int64_t mtime_ms, struct er_err *err);
/* Removes the part. */
void er_dest_discard(struct er_dest *dest, const char *path);
int er_dest_symlink(struct er_dest *dest, const char *path, const char *target, struct er_err *err);
void er_dest_chmod_dir(struct er_dest *dest, const char *path, unsigned mode);

#endif

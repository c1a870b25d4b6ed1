/*
 * steps.h - the directories on the way to a path, kept open, since the next path is usually in the same one. Private to
 * src/host.
 */
#ifndef ER_HOST_SNAPSHOT_STEPS_H
#define ER_HOST_SNAPSHOT_STEPS_H

#include <stddef.h>
#include "proto/tree.h"

#define ER_STEPS_MAX 24
struct er_steps {
        int root_fd;
        size_t depth;
        struct {
                int fd;
                size_t end; /* length of its path with the slash */
        } steps[ER_STEPS_MAX];
        char path[ER_TREE_PATH_MAX + 1]; /* the deepest one's, with the slash */
};
void er_steps_init(struct er_steps *steps, int root_fd);
void er_steps_release(struct er_steps *steps);
/* The directory that *ret_rest (the path's end) is relative to; symlinks are not followed. -1 with errno. */
int er_steps_find(struct er_steps *steps, const char *path, const char **ret_rest);

#endif

/* steps.c - see steps.h */
#include "host/snapshot/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "base/io.h"

#ifdef O_PATH
#define STEP_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#else
#define STEP_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#endif

void er_steps_init(struct er_steps *steps, int root_fd)
{
        steps->root_fd = root_fd;
        steps->depth = 0;
}

void er_steps_release(struct er_steps *steps)
{
        while (steps->depth > 0)
                er_close(&steps->steps[--steps->depth].fd);
}

static int step_fd(const struct er_steps *steps)
{
        return steps->depth > 0 ? steps->steps[steps->depth - 1].fd : steps->root_fd;
}

static size_t step_end(const struct er_steps *steps)
{
        return steps->depth > 0 ? steps->steps[steps->depth - 1].end : 0;
}

int er_steps_find(struct er_steps *steps, const char *path, const char **ret_rest)
{
        size_t end;

        while ((end = step_end(steps)) > 0 && strncmp(path, steps->path, end) != 0)
                er_close(&steps->steps[--steps->depth].fd);
        while (steps->depth < ER_STEPS_MAX) {
                const char *part = path + end, *slash = strchr(part, '/');
                size_t len;
                int fd;

                if (!slash)
                        break;
                len = (size_t)(slash - part);
                if (end + len + 1 >= sizeof steps->path) {
                        errno = ENAMETOOLONG;
                        return -1;
                }
                memcpy(steps->path + end, part, len);
                steps->path[end + len] = '\0';
                fd = openat(step_fd(steps), steps->path + end, STEP_FLAGS);
                if (fd < 0)
                        return -1;
                steps->path[end + len] = '/';
                end += len + 1;
                steps->steps[steps->depth].fd = fd;
                steps->steps[steps->depth++].end = end;
        }
        *ret_rest = path + end;
        return step_fd(steps);
}

/* tree_sync.c - writes a snapshot that has arrived to the disk (snapshots.h). */
#include "agent/snapshot/tree_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"

static bool sync_packs(int root, const char *project_dir, const struct er_str *packs)
{
        er_autofree char *dir = er_fmt("%s/packs", project_dir);
        er_autoclose int dir_fd = openat(root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (size_t at = 0; at < packs->len; at += sizeof(struct er_tree_pack)) {
                const char *name = packs->buf + at; /* the first member */
                er_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

                /* Those of other trees too: the child that syncs them may have been killed. It costs nothing when there
                   is nothing to write. */
                if (fd < 0 || fsync(fd) < 0)
                        return false;
        }
        return packs->len == 0 || fsync(dir_fd) == 0;
}

void er_tree_sync(int root, const char *dir, const char *hex, const struct er_str *packs)
{
        er_autofree char *path = er_fmt("%s/trees/%s", dir, hex);
        uint32_t synced = 1;
        pid_t child = fork();
        struct stat st;
        bool have_time;
        int fd;

        if (child > 0) {
                while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                        ;
                return;
        }
        if (child == 0) {
                /* Forks twice, so that nobody has to wait for it, and closes the descriptors, so that the connection
                   can end. */
                if (fork() != 0)
                        _exit(0);
                for (fd = 0; fd < 3; fd++)
                        close(fd);
        }
        fd = openat(root, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        have_time = fd >= 0 && fstat(fd, &st) == 0;
        if (sync_packs(root, dir, packs) && have_time && fsync(fd) == 0 && er_fsync_parent(root, path) == 0 &&
            er_pwrite_full(fd, &synced, sizeof synced, offsetof(struct er_tree_header, synced)) == 0) {
                /* The file's time says which snapshot is the newest, so it must not become the time of the sync. */
                (void)!futimens(fd, (struct timespec[2]){st.st_atim, st.st_mtim});
                (void)fsync(fd);
        }
        if (child == 0)
                _exit(0);
        er_close(&fd);
}

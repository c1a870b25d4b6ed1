/* tombstone.c - see tombstone.h */
#include "agent/attempt/tombstone.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/path.h"

#define KEPT_MS (30LL * 24 * 3600 * 1000)

bool er_tombstone_put(const struct er_agent *agent, const struct er_adir *dir)
{
        er_autofree char *name = er_fmt("%s.%u", dir->key, (unsigned)dir->attempt);
        er_autoclose int gone = -1, fd = -1;

        if (er_agent_dir(agent, "gone", true, &gone, NULL) < 0)
                return false;
        fd = openat(gone, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd >= 0;
}

bool er_tombstone_is_there(const struct er_agent *agent, struct er_sv key, uint32_t attempt)
{
        er_autofree char *path = er_fmt("%s/gone/%.*s.%u", agent->root, (int)key.len, key.ptr, (unsigned)attempt);

        return access(path, F_OK) == 0;
}

void er_tombstones_collect(const struct er_agent *agent)
{
        er_autofree char *path = er_path_join(agent->root, "gone");
        DIR *all = opendir(path);
        const struct dirent *entry;
        struct stat st;

        while (all && (entry = readdir(all)))
                if (fstatat(dirfd(all), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
                    er_now_ms() - (int64_t)st.st_mtim.tv_sec * 1000 > KEPT_MS)
                        unlinkat(dirfd(all), entry->d_name, 0);
        if (all)
                closedir(all);
}

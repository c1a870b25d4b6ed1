/* datadir.c - see datadir.h */
#include "agent/data/datadir.h"

#include <sys/stat.h>
#include <unistd.h>
#include "agent/snapshot/snapshots.h"
#include "base/path.h"

char *er_datadir_path(const struct er_agent *agent, const char *project)
{
        er_autofree char *snapshots = er_snapshots_dir(project);

        return er_fmt("%s/data/%s", agent->root, er_path_base(snapshots));
}

char *er_datadir_there(const struct er_agent *agent, const char *project)
{
        er_autofree char *path = project ? er_datadir_path(agent, project) : NULL;
        struct stat st;

        return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? er_take(path) : NULL;
}

void er_datadir_link(const struct er_agent *agent, const char *project, int attempt_fd)
{
        er_autofree char *path = er_datadir_there(agent, project);

        if (path && symlinkat(path, attempt_fd, "work/data") < 0) {
                /* The snapshot has a `data` of its own. */
        }
}

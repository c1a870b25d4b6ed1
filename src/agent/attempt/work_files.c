/* work_files.c - see work_files.h */
#include "agent/attempt/work_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/data/datadir.h"
#include "agent/snapshot/worktree.h"
#include "base/path.h"

int er_work_files_make(const struct er_agent *agent, const struct er_adir *dir, const struct er_spec *spec,
                       bool (*busy)(void *arg), void *arg, struct er_err *err)
{
        er_autoclose int root = -1;

        if (!spec->has_tree) {
                if (mkdirat(dir->fd, "work", 0777) < 0 && errno != EEXIST)
                        return er_agent_fail(agent, errno, err, "make %s/work", dir->path);
                er_datadir_link(agent, spec->project, dir->fd);
                return 0;
        }
        if (er_agent_dir(agent, ".", false, &root, err) < 0)
                return -1;
        if (er_worktree_make(root, spec->project, spec->tree, dir->fd, "work", busy, arg, err) < 0)
                return -1;
        er_datadir_link(agent, spec->project, dir->fd);
        return 0;
}

void er_work_files_spare(const struct er_agent *agent, const struct er_adir *dir)
{
        er_auto(er_ainfo) info = ER_AINFO_INIT;
        er_autoclose int root = -1;

        if (er_adir_info(dir, &info, NULL) < 0 || !info.spec.has_tree ||
            er_agent_dir(agent, ".", false, &root, NULL) < 0)
                return;
        if (er_spare_is_wanted(root, info.spec.project, info.spec.tree))
                er_spare_make(root, info.spec.project, info.spec.tree);
}

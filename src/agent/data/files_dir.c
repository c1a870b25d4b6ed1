/* files_dir.c - see files_dir.h */
#include "agent/data/files_dir.h"

#include <errno.h>
#include <fcntl.h>

#include "agent/attempt/adir.h"
#include "base/path.h"
#include "proto/msg.h"

static int open_workdir(const struct er_agent *agent, struct er_sv payload, int *ret_fd, struct er_err *err)
{
        er_auto(er_adir) dir = ER_ADIR_INIT;
        er_auto(er_ainfo) info = ER_AINFO_INIT;
        er_autofree char *path = NULL;
        struct er_sv key;
        uint32_t attempt;
        int fd;

        if (er_adir_named(payload, &key, &attempt, err) < 0 || er_adir_open(agent, key, attempt, &dir, err) < 0 ||
            er_adir_info(&dir, &info, err) < 0)
                return -1;
        path = info.spec.workdir ? er_path_join("work", info.spec.workdir) : er_strdup("work");
        fd = openat(dir.fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return er_err_errno(err, errno, "open %s of %s", path, dir.path);
        *ret_fd = fd;
        return 0;
}

int er_files_dir_open(const struct er_agent *agent, struct er_sv payload, bool make, int *ret_fd, struct er_err *err)
{
        er_autofree char *root = er_msg_dup(payload, ER_T_ROOT);
        er_autofree char *path = NULL;
        int fd;

        if (er_msg_get(payload, ER_T_KEY).ptr)
                return open_workdir(agent, payload, ret_fd, err);
        if (root && root[0] == '~' && (root[1] == '/' || !root[1])) {
                path = er_path_join(agent->home, root[1] ? root + 2 : ".");
        } else {
                path = er_path_join(agent->home, root ? root : ".");
        }
        if (make && er_mkdir_p(AT_FDCWD, path, 0777, err) < 0)
                return -1;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return er_err_errno(err, errno, "open directory %s", path);
        *ret_fd = fd;
        return 0;
}

int er_files_dir_path(struct er_sv payload, char **ret, struct er_err *err)
{
        struct er_sv path = er_msg_get(payload, ER_T_PATH);
        bool absolute = path.len > 1 && path.ptr[0] == '/' && !memchr(path.ptr, 0, path.len) &&
                        !er_msg_get(payload, ER_T_KEY).ptr;

        if (!path.ptr || path.len > 4096 || !(absolute || er_path_is_safe(path.ptr, path.len)))
                return er_err_set(err, ER_USAGE, "%.*s is not a path below the directory",
                                  (int)(path.len > 200 ? 200 : path.len), path.ptr ? path.ptr : "");
        *ret = er_sv_dup(path);
        return 0;
}

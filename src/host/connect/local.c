/* local.c - this machine as a host: the agent is a child of ours, unpacked from the copy we carry if it is missing. */
#include "host/connect/local.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/path.h"
#include "host/connect/agent_blob.h"
#include "host/connect/agent_program.h"

static int unpack(const char *program, bool missing, struct er_err *err)
{
        er_autofree char *dir = er_path_dir(program);
        er_autofree char *lock_path = NULL;
        er_autoclose int lock = -1;
        struct utsname name;
        struct er_sv agent;

        if (uname(&name) < 0)
                return er_err_errno(err, errno, "uname");
        agent = er_agent_for(name.machine);
        if (!er_streq(name.sysname, "Linux") || agent.len == 0) {
                er_err_set(err, ER_REMOTE, "jobs cannot run on this machine: there is no errand-agent for %s %s",
                           name.sysname, name.machine);
                return er_err_hint(err, "run them on a Linux host: --on user@host");
        }
        if (er_mkdir_p(AT_FDCWD, dir, 0700, err) < 0)
                return er_err_wrap(err, "installing errand-agent");
        /* Several processes may get here at once, and one copy is enough. Without the lock they only repeat the work.
         */
        lock_path = er_fmt("%s/.lock", dir);
        er_lock_file(lock_path, er_deadline_in(10000), &lock, NULL);
        if (missing && access(program, X_OK) == 0)
                return 0;
        er_debug("host", "unpacking %s", program);
        if (er_file_write(AT_FDCWD, program, agent.ptr, agent.len, 0700, true, err) < 0)
                return er_err_wrap(err, "installing errand-agent");
        return 0;
}

static int start(const char *program, const char *root, struct er_link *ret, struct er_err *err)
{
        char *argv[] = {er_strdup(program), er_strdup("--root"), er_strdup(root), er_strdup("serve"), NULL};
        er_autofree char *home = er_dir_home();
        er_auto(er_strv) env = ER_STRV_INIT;
        /* In the home directory, like a login over ssh; in a session of its own, since our terminal's Ctrl-C is meant
           for us. */
        struct er_proc_opts opts = {
                .argv = argv,
                .cwd = access(home, X_OK) == 0 ? home : "/",
                .io = {ER_PROC_FD, ER_PROC_FD, ER_PROC_FD},
                .new_session = true,
        };
        int rc;

        er_link_vars(&env);
        opts.env = env.items;
        rc = er_link_pipes(ret, opts.fds, err);
        if (rc == 0) {
                rc = er_proc_start(&opts, &ret->proc, err);
                for (int i = 0; i < 3; i++)
                        er_close(&opts.fds[i]);
                if (rc < 0)
                        er_link_release(ret);
        }
        for (size_t i = 0; argv[i]; i++)
                free(argv[i]);
        if (rc == 0)
                ret->transport = &er_transport_local;
        return rc;
}

int er_local_open_agent(const struct er_connect *connect, struct er_link *ret, struct er_err *err)
{
        er_autofree char *root = er_local_root(connect->host);
        er_autofree char *program = er_fmt("%s/bin/errand-agent-%s", root, er_agent_build);
        er_auto(er_err) first = ER_ERR_INIT;

        if (start(program, root, ret, &first) == 0)
                return 0;
        /* Missing, or not a program (a crash may leave that): unpack it again, once. */
        if (first.sys_errno != ENOENT && first.sys_errno != ENOTDIR && first.sys_errno != ENOEXEC &&
            first.sys_errno != EACCES)
                return er_err_move(err, &first);
        if (unpack(program, first.sys_errno == ENOENT, err) < 0)
                return -1;
        if (start(program, root, ret, err) == 0)
                return 0;
        if (err && err->sys_errno == EACCES)
                er_err_hint(
                        err,
                        "is %s on a file system mounted noexec? Set ERRAND_HOME to a directory where programs may run",
                        root);
        return -1;
}

static int local_status(struct er_link *link, er_deadline deadline)
{
        int status = -1;

        if (link->proc.pid > 0)
                er_proc_wait(&link->proc, deadline, &status, NULL);
        return status;
}

const struct er_transport er_transport_local = {
        .name = "local",
        .status = local_status,
};

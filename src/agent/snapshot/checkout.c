/* checkout.c - see checkout.h */
#include "agent/snapshot/checkout.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/snapshot/worktree.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"

#define NAME_MAX_LEN 200u

static int answer(const struct er_agent *agent, const char *word, const char *name)
{
        er_autofree char *line = er_fmt("%s %s/projects/%s\n", word, agent->root, name);

        return er_write_full(1, line, strlen(line)) < 0 ? 1 : 0;
}

static int make(const struct er_agent *agent, const char *name, const unsigned char hash[ER_TREE_HASH], int at,
                struct er_err *err)
{
        er_autoclose int root = -1;
        er_autoclose int hold = -1;

        if (er_agent_dir(agent, ".", true, &root, err) < 0)
                return -1;
        hold = er_snapshots_hold(root, name, err);
        return hold < 0 ? -1 : er_worktree_make(root, name, hash, at, name, NULL, NULL, err);
}

static int checkout(const struct er_agent *agent, const char *name, const char *hex, bool fresh, struct er_err *err)
{
        unsigned char hash[ER_TREE_HASH] = {0};
        er_autofree char *aside = er_fmt("%s.%lld", name, (long long)er_now_ms() / 1000);
        er_autoclose int at = -1;
        struct stat st;
        bool there;

        if (!er_name_is_safe(er_sv(name), NAME_MAX_LEN))
                return er_err_set(err, ER_USAGE, "%s cannot be the name of a project", name);
        if (er_agent_dir(agent, "projects", true, &at, err) < 0)
                return -1;
        there = fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (er_streq(hex, "-"))
                return answer(agent, there ? "kept" : "none", name);
        if (!er_parse_hex(er_sv(hex), hash, ER_TREE_HASH))
                return er_err_set(err, ER_USAGE, "%s is not a snapshot", hex);
        if (there && !fresh)
                return answer(agent, "kept", name);
        if (there && renameat(at, name, at, aside) < 0)
                return er_agent_fail(agent, errno, err, "rename %s/projects/%s", agent->root, name);
        if (make(agent, name, hash, at, err) < 0) {
                if (there && renameat(at, aside, at, name) < 0)
                        return er_err_hint(err, "the old files are in %s/projects/%s", agent->root, aside);
                return -1;
        }
        return answer(agent, "made", name);
}

int er_checkout(const struct er_agent *agent, char **args, int count)
{
        struct er_err err = ER_ERR_INIT;
        bool fresh = count > 0 && er_streq(args[0], "--fresh");
        int rc;

        args += fresh;
        count -= fresh;
        rc = count == 2 ? checkout(agent, args[0], args[1], fresh, &err)
                        : er_err_set(&err, ER_USAGE, "usage: errand-agent checkout [--fresh] PROJECT HASH|-");
        if (rc < 0) {
                er_autofree char *line = er_fmt("%s%s%s\n", err.message, err.hint ? "; " : "",
                                                err.hint ? err.hint : "");

                er_write_full(2, line, strlen(line));
                rc = er_code_exit_status(err.code);
        }
        er_err_release(&err);
        return rc;
}

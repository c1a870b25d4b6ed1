/* cmd_push.c - errand push: files from this machine to a host. */
#include "base/parse.h"
#include "cli/target.h"
#include "cli/view.h"
#include "host/files.h"

static void show_progress(void *arg, const struct er_transfer *transfer)
{
        er_live_transfer(arg, "sending", transfer);
}

static int push(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        er_autoptr(er_session) session = NULL;
        er_auto(er_strv) paths = ER_STRV_INIT;
        er_auto(er_str) size = ER_STR_INIT;
        struct er_transfer transfer = {.progress = show_progress, .arg = live};
        const char *to = args[count - 1];

        (void)arg;
        er_strv_addall(&paths, args + 1, (size_t)count - 2);
        if (er_target_session(cli, args[0], live, &session, err) < 0)
                return -1;
        er_live_clear(live);
        if (er_push(session, &paths, to, &transfer, err) < 0)
                return -1;
        er_view_count(&size, transfer.files, "file");
        er_str_add(&size, ", ");
        er_fmt_size(&size, transfer.bytes);
        er_live_say(live, "%s to %s:%s", size.buf, args[0], to);
        return 0;
}

const struct er_command er_cmd_push = {
        .name = "push",
        .group = "Follow",
        .summary = "Send files to a host",
        .arguments = "HOST PATH... TO",
        .description = "Use this for data that many jobs read. TO is a directory on the host, absolute or relative to "
                       "the home directory there; it is created if necessary. Files that are already there with the "
                       "same size and time are not sent again, and partial files are continued.",
        .examples = "errand push gpu-box data/imagenet datasets\tto ~/datasets/imagenet there\n",
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .min_args = 3,
        .max_args = -1,
        .complete = ER_COMPLETE_HOST,
        .run = push,
};

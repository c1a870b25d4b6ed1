/* main.c - errand-agent: does on a host what errand asks for. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/agent.h"
#include "agent/serve/dial.h"
#include "agent/serve/exec.h"
#include "agent/serve/listen.h"
#include "agent/serve/serve.h"
#include "agent/snapshot/checkout.h"
#include "agent_build.h"
#include "base/io.h"

#define EXIT_USAGE 201 /* ER_EXIT_BASE + ER_USAGE */

static int say(int fd, const char *text)
{
        er_write_full(fd, text, strlen(text));
        return fd == 1 ? 0 : EXIT_USAGE;
}

static int usage(void)
{
        return say(2, "usage: errand-agent [--root DIR] serve | exec | checkout | dial | version\n"
                      "errand starts this program on a host; it is not meant to be started by hand.\n");
}

/* listener: the arguments after `listen`; NULL when the client is already on standard input and output. */
static int serve(const char *root, char **listener, int count)
{
        struct er_agent agent = ER_AGENT_INIT;
        struct er_err err = ER_ERR_INIT;
        int rc;

        umask(022 | umask(0)); /* never more permissive than that; the user's own may be stricter */
        if (er_agent_init(&agent, root, &err) < 0) {
                er_autofree char *line = er_fmt("errand-agent: %s\n", err.message);

                rc = say(2, line);
        } else {
                rc = listener && !er_listen_run(&agent, listener, count) ? 0 : er_serve_run(&agent);
        }
        er_agent_release(&agent);
        er_err_release(&err);
        return rc;
}

static int with_agent(const char *root, int (*run)(const struct er_agent *agent, char **args, int count), char **args,
                      int count)
{
        struct er_agent agent = ER_AGENT_INIT;
        struct er_err err = ER_ERR_INIT;
        int rc;

        if (er_agent_init(&agent, root, &err) < 0) {
                er_autofree char *line = er_fmt("errand-agent: %s\n", err.message);

                rc = say(2, line);
        } else {
                rc = run(&agent, args, count);
        }
        er_agent_release(&agent);
        er_err_release(&err);
        return rc;
}

int main(int argc, char **argv)
{
        const char *root = NULL;
        int i = 1;

        if (i + 1 < argc && er_streq(argv[i], "--root")) {
                root = argv[i + 1];
                i += 2;
        }
        if (i < argc && er_streq(argv[i], "exec"))
                return with_agent(root, er_exec, argv + i + 1, argc - i - 1);
        if (i < argc && er_streq(argv[i], "checkout"))
                return with_agent(root, er_checkout, argv + i + 1, argc - i - 1);
        if (i < argc && er_streq(argv[i], "dial"))
                return er_dial(argv + i + 1, argc - i - 1);
        if (i < argc && er_streq(argv[i], "listen"))
                return serve(root, argv + i + 1, argc - i - 1);
        if (i + 1 != argc)
                return usage();
        if (er_streq(argv[i], "version"))
                return say(1, "errand-agent " ER_AGENT_BUILD "\n");
        if (er_streq(argv[i], "serve"))
                return serve(root, NULL, 0);
        return usage();
}

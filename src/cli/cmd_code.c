/* cmd_code.c - errand code: the project on a host, in VS Code. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "base/parse.h"
#include "base/proc.h"
#include "cli/ssh_alias.h"
#include "cli/target.h"
#include "cli/snapshot_view.h"
#include "cli/words.h"
#include "host/connect/agent_program.h"
#include "host/connect/ssh.h"
#include "job/config.h"
#include "maestro/maestro.h"

#define SAID_MAX (64u * 1024)
#define CHECKOUT_MS 600000

struct code_opts {
        const char *on;
        bool fresh, yes;
};

static const struct er_opt code_options[] = {
        {"on", 0, ER_OPT_TEXT, "HOST", "Host to open the project on (default: the first one in errand.yaml)",
         offsetof(struct code_opts, on), ER_COMPLETE_HOST},
        {"fresh", 0, ER_OPT_FLAG, NULL, "Start again with the files of this machine; move those there aside",
         offsetof(struct code_opts, fresh), ER_COMPLETE_NONE},
        {"yes", 'y', ER_OPT_FLAG, NULL, "Do not ask before sending more than 1 GB", offsetof(struct code_opts, yes),
         ER_COMPLETE_NONE},
};

struct code {
        struct er_cli *cli;
        const struct code_opts *opts;
        char *dir, *project; /* (owned) here; its name */
        struct er_host host;
        struct er_live *live;
        struct er_session *session;
};

static int find_host(struct code *c, const struct er_config *config, struct er_err *err)
{
        const char *name = c->opts->on;

        for (size_t i = 0; !name && i < config->on.len; i++)
                if (!er_streq(config->on.items[i], "any"))
                        name = config->on.items[i];
        if (!name) {
                er_err_set(err, ER_USAGE, "no host given");
                return er_err_hint(
                        err,
                        "use errand code --on HOST, or on: HOST in errand.yaml; errand hosts lists the known hosts");
        }
        return er_hosts_find(c->cli->store, name, &c->host, err);
}

/* Runs errand-agent checkout there. Returns its answer, "made", "kept" or "none", and the directory (both owned). */
static int ask_agent(struct code *c, const char *hash, char **ret_word, char **ret_dir, struct er_err *err)
{
        er_auto(er_strv) agent = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_str) line = ER_STR_INIT;
        er_auto(er_str) said = ER_STR_INIT;
        er_auto(er_str) why = ER_STR_INIT;
        struct er_proc_opts opts = {.io = {ER_PROC_NULL}};
        struct er_sv rest, word;
        const char *last;
        int status = -1;

        er_agent_argv(&c->host, &agent);
        er_strv_add(&agent, "checkout");
        if (c->opts->fresh)
                er_strv_add(&agent, "--fresh");
        er_strv_add(&agent, c->project);
        er_strv_add(&agent, hash);
        er_str_add(&line, "exec ");
        er_quote_argv(&line, agent.items, agent.len);
        if (er_ssh_argv_for_user(&c->host, false, &argv, err) < 0)
                return -1;
        er_strv_add(&argv, line.buf);
        opts.argv = argv.items;
        if (er_proc_run(&opts, er_sv(NULL), &said, &why, SAID_MAX, er_deadline_in(CHECKOUT_MS), &status, err) < 0)
                return -1;
        er_str_rtrim(&why);
        er_str_rtrim(&said);
        if (status != 0)
                return er_err_set(err, ER_REMOTE, "%s: %s", c->host.name, why.len ? why.buf : "errand-agent failed");
        last = strrchr(said.buf, '\n'); /* what a login shell prints comes before */
        rest = er_sv(last ? last + 1 : said.buf);
        if (!er_sv_cut(&rest, ' ', &word) || !rest.ptr)
                return er_err_set(err, ER_REMOTE, "%s: unexpected answer from errand-agent: \"%s\"", c->host.name,
                                  said.buf);
        *ret_word = er_sv_dup(word);
        *ret_dir = er_sv_dup(rest);
        return 0;
}

static void show_progress(void *arg, const struct er_transfer *transfer)
{
        er_live_transfer(arg, "uploading", transfer);
}

static int send_files(struct code *c, char **ret_word, char **ret_dir, struct er_err *err)
{
        er_autoptr(er_snapshot) snapshot = NULL;
        struct er_transfer transfer = {.progress = show_progress, .arg = c->live};
        char hex[2 * ER_TREE_HASH + 1];

        if (er_snapshot_view_take(c->cli, c->dir, c->project, !c->opts->yes, &snapshot, err) < 0 ||
            er_snapshot_send(c->session, snapshot, c->dir, c->project, &transfer, err) < 0)
                return -1;
        er_live_clear(c->live);
        er_fmt_hex(er_snapshot_hash(snapshot), ER_TREE_HASH, hex);
        return ask_agent(c, hex, ret_word, ret_dir, err);
}

/* Files that are there already are left alone: somebody works on them. */
static int ensure_files(struct code *c, char **ret_dir, struct er_err *err)
{
        er_autofree char *word = NULL, *dir = NULL;
        const struct er_hello *hello;

        if (er_target_session(c->cli, c->host.name, c->live, &c->session, err) < 0 ||
            er_session_hello(c->session, &hello, err) < 0)
                return -1;
        er_live_clear(c->live);
        if (ask_agent(c, "-", &word, &dir, err) < 0)
                return -1;
        if (er_streq(word, "none") || c->opts->fresh) {
                free(er_take(word));
                free(er_take(dir));
                if (send_files(c, &word, &dir, err) < 0)
                        return -1;
                er_say(c->cli, "the files of %s are in %s:%s", c->project, c->host.name, dir);
        } else {
                er_say(c->cli, "%s:%s, as you left it (--fresh starts again)", c->host.name, dir);
        }
        *ret_dir = er_take(dir);
        return 0;
}

static int start_code(const struct er_strv *argv, struct er_err *err)
{
        signal(SIGPIPE, SIG_DFL);
        execvp(argv->items[0], argv->items);
        return er_err_errno(err, errno, "starting %s", argv->items[0]);
}

static int finish(struct code *c, const struct er_strv *argv, const char *missing, struct er_err *err)
{
        er_autofree char *program = er_proc_which(argv->items[0]);
        er_auto(er_str) line = ER_STR_INIT;

        if (program && !missing)
                return start_code(argv, err);
        er_quote_argv(&line, argv->items, argv->len);
        if (missing) {
                er_say(c->cli, "ssh does not know this host by name yet; put this line at the top of ~/.ssh/config:");
                er_say_more(c->cli, "%s", missing);
        }
        if (!program)
                er_say(c->cli,
                       "VS Code's command, code, is not in PATH; where it is, with the Remote - SSH extension, run:");
        else
                er_say(c->cli, "then run:");
        if (er_out_line(err, "%s", line.buf) < 0)
                return -1;
        return program ? er_code_exit_status(ER_CONFIG) : 0;
}

static int open_project(struct code *c, struct er_err *err)
{
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_autofree char *dir = NULL, *name = NULL, *missing = NULL;

        er_strv_add(&argv, "code");
        if (c->host.kind == ER_HOST_LOCAL) {
                er_strv_add(&argv, c->dir);
                return finish(c, &argv, NULL, err);
        }
        if (ensure_files(c, &dir, err) < 0 || er_ssh_alias(&c->host, &name, &missing, err) < 0)
                return -1;
        er_strv_add(&argv, "--remote");
        er_strv_addf(&argv, "ssh-remote+%s", name);
        er_strv_add(&argv, dir);
        return finish(c, &argv, missing, err);
}

static int code(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        struct code c = {.cli = cli, .opts = arg, .host = ER_HOST_INIT};
        er_auto(er_config) config = ER_CONFIG_INIT;
        int rc = -1;

        (void)args, (void)count;
        if (er_target_project(&c.dir, err) == 0 && er_config_load(c.dir, &config, err) == 0 &&
            find_host(&c, &config, err) == 0) {
                c.project = er_config_project(&config, c.dir);
                c.live = er_live_new(cli->quiet);
                rc = open_project(&c, err);
                er_live_free(c.live);
        }
        er_session_free(c.session);
        er_host_release(&c.host);
        free(c.dir);
        free(c.project);
        return rc;
}

const struct er_command er_cmd_code = {
        .name = "code",
        .group = "Hosts",
        .summary = "Open the project on a host in VS Code",
        .arguments = NULL,
        .description =
                "Uses VS Code's Remote - SSH extension. The first time, the project's files are sent to "
                "~/.errand/projects/PROJECT on the host. From then on that copy is yours: neither errand code nor a "
                "run changes it, and runs still send the files of this machine. Bring your changes back as you like, "
                "for example with git. --fresh starts again with the files of this machine and moves the old directory "
                "aside.\n"
                "\n"
                "A host that ssh knows by its name needs no setup. For a host that was added to errand with a port, "
                "key or jump host, errand writes a marked block to ~/.config/errand/ssh_config, which ~/.ssh/config "
                "has to include; errand shows the line to add, and never changes that file itself.\n"
                "\n"
                "If VS Code's command is not in PATH, it is printed on standard output instead. With --on local, the "
                "project itself is opened.",
        .examples = "errand code --on gpu-box\t\n"
                    "errand code --on gpu-box --fresh\tstart again with the files of this machine\n",
        .opts = code_options,
        .opt_count = ER_LEN(code_options),
        .opts_size = sizeof(struct code_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .max_args = 0,
        .complete = ER_COMPLETE_NONE,
        .run = code,
};

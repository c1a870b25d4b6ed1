/* cmd_hosts.c - errand hosts: the known hosts, and what they have free. */
#include <unistd.h>
#include "base/path.h"
#include "base/term.h"
#include "cli/fanout.h"
#include "cli/hosts_view.h"
#include "cli/target.h"
#include "cli/words.h"
#include "maestro/maestro.h"

struct hosts_opts {
        bool cached, discover, yes, no_check;
        int64_t port;
        const char *identity, *jump, *root;
};

static const struct er_opt hosts_options[] = {
        {"cached", 'c', ER_OPT_FLAG, NULL, "Ask no host; show the last answers", offsetof(struct hosts_opts, cached),
         ER_COMPLETE_NONE},
        {"discover", 'd', ER_OPT_FLAG, NULL, "Also ask the hosts in ~/.ssh/config, and offer to add those that answer",
         offsetof(struct hosts_opts, discover), ER_COMPLETE_NONE},
        {"yes", 'y', ER_OPT_FLAG, NULL, "With --discover: add them without asking", offsetof(struct hosts_opts, yes),
         ER_COMPLETE_NONE},
        {"port", 'p', ER_OPT_COUNT, "PORT", "add: its SSH port", offsetof(struct hosts_opts, port), ER_COMPLETE_NONE},
        {"identity", 'i', ER_OPT_TEXT, "FILE", "add: the private key to use", offsetof(struct hosts_opts, identity),
         ER_COMPLETE_FILE},
        {"jump", 'J', ER_OPT_TEXT, "HOST", "add: connect by way of HOST, as ssh -J", offsetof(struct hosts_opts, jump),
         ER_COMPLETE_HOST},
        {"root", 0, ER_OPT_TEXT, "DIR", "add: directory for errand's files there, instead of ~/.errand",
         offsetof(struct hosts_opts, root), ER_COMPLETE_NONE},
        {"no-check", 0, ER_OPT_FLAG, NULL, "add: do not try to connect now", offsetof(struct hosts_opts, no_check),
         ER_COMPLETE_NONE},
};

/* --- list */

static size_t lines_of(const struct er_str *text)
{
        size_t lines = 0;

        for (size_t i = 0; i < text->len; i++)
                lines += text->buf[i] == '\n';
        return lines;
}

static int print(struct er_hosts_view *view, size_t *lines, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;
        bool terminal = er_term_is(STDOUT_FILENO);

        if (*lines > 0)
                er_str_addf(&text, "\033[%zuA\r\033[J", *lines);
        er_hosts_view_table(view, &text, terminal ? er_term_width(STDOUT_FILENO) : 0, er_term_colour(STDOUT_FILENO),
                            er_now_ms());
        *lines = lines_of(&text);
        return er_out(er_svn(text.buf, text.len), err);
}

/* On a terminal, the last answers are shown at once and replaced by new ones as they arrive. */
static int ask_all(const struct er_cli *cli, struct er_hosts_view *view, size_t *lines, struct er_err *err)
{
        const char *term = getenv("TERM");
        bool redraw = !cli->json && er_term_is(STDOUT_FILENO) && term && !er_streq(term, "dumb") &&
                      view->count + 2 < (size_t)er_term_height(STDOUT_FILENO);
        struct er_fanout *fanout;
        size_t done = 0;
        int rc = 0;

        for (size_t i = 0; i < view->count; i++)
                view->items[i].asked = true;
        fanout = er_fanout_start(view->count, er_hosts_view_ask, view);
        if (redraw)
                done = er_fanout_wait(fanout, 60); /* if answers are quick, skip the first picture */
        while (redraw && rc == 0 && done < view->count) {
                rc = print(view, lines, err);
                while (done == er_fanout_wait(fanout, 500))
                        ;
                done = er_fanout_wait(fanout, 0);
        }
        er_fanout_free(fanout);
        return rc < 0 ? -1 : er_hosts_view_save(cli, view, err);
}

static int add_row(const struct er_cli *cli, const struct er_host *host, struct er_err *err)
{
        struct er_host_row row = {.name = host->name,
                                  .target = host->target,
                                  .identity = host->identity,
                                  .jump = host->jump,
                                  .root = host->root,
                                  .port = host->port,
                                  .added = true};

        return er_store_put_host(cli->store, &row, err);
}

static int offer(const struct er_cli *cli, const struct hosts_opts *opts, struct er_hosts_view *view,
                 struct er_err *err)
{
        er_auto(er_str) names = ER_STR_INIT;
        size_t count = 0;

        for (size_t i = 0; i < view->count; i++)
                if (view->items[i].alias && view->items[i].answered && !view->items[i].error)
                        er_str_addf(&names, "%s%s", count++ ? ", " : "", view->items[i].host.name);
        if (count == 0) {
                er_say(cli, "no other host in ~/.ssh/config answers");
                return 0;
        }
        if (!opts->yes && !er_can_ask()) {
                er_say(cli, "add these with --yes, or one by one with errand hosts add NAME: %s", names.buf);
                return 0;
        }
        if (!opts->yes && !er_ask("Add %s?", names.buf))
                return 0;
        for (size_t i = 0; i < view->count; i++) {
                struct er_host_view *item = &view->items[i];

                if (!item->alias || !item->answered || item->error)
                        continue;
                if (add_row(cli, &item->host, err) < 0)
                        return -1;
                item->alias = false;
        }
        er_say(cli, "added %s", names.buf);
        return er_hosts_view_save(cli, view, err);
}

static int list(const struct er_cli *cli, const struct hosts_opts *opts, struct er_err *err)
{
        er_auto(er_hosts_view) view = {.count = 0};
        size_t lines = 0;
        int rc;

        if (er_hosts_view_load(cli, opts->discover, &view, err) < 0)
                return -1;
        if (!opts->cached && ask_all(cli, &view, &lines, err) < 0)
                return -1;
        if (cli->json) {
                json_t *json = er_hosts_view_json(&view);

                rc = er_out_json(json, err);
                json_decref(json);
        } else
                rc = print(&view, &lines, err);
        if (rc == 0 && opts->discover && !opts->cached)
                rc = offer(cli, opts, &view, err);
        return rc;
}

/* --- add, rm */

static int check_name(const char *name, struct er_err *err)
{
        if (er_streq(name, "local") || er_streq(name, "any"))
                return er_err_set(err, ER_USAGE, "%s cannot be the name of a host: it means %s", name,
                                  name[0] == 'l' ? "this machine" : "all known hosts");
        if (name[0] == '\0' || name[0] == '-' || strpbrk(name, "/@: \t\n"))
                return er_err_set(err, ER_USAGE,
                                  "\"%s\" cannot be the name of a host: use letters, digits, dots and dashes", name);
        return 0;
}

static int probe_new(const struct er_cli *cli, const struct er_host *host, struct er_err *err)
{
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        er_autoptr(er_session) session = NULL;
        er_auto(er_probe) probe = ER_PROBE_INIT;
        er_auto(er_str) summary = ER_STR_INIT;
        er_autofree char *json = NULL;
        const struct er_session_opts opts = {.interactive = er_term_is(STDERR_FILENO)};

        er_live_still(live, "connecting to %s", host->name);
        if (er_session_open(host, &opts, &session, err) < 0 || er_host_probe(session, &probe, err) < 0) {
                if (!err->hint)
                        er_err_hint(err, "not added; --no-check adds it anyway");
                return -1;
        }
        er_live_clear(live);
        json = er_probe_to_json(&probe);
        if (add_row(cli, host, err) < 0 || er_store_set_probe(cli->store, host->name, json, NULL, er_now_ms(), err) < 0)
                return -1;
        er_hosts_view_summary(&summary, &probe);
        er_live_say(live, "added %s: %s", host->name, summary.buf);
        return 0;
}

struct open_jobs {
        const char *host;
        char *job;
        size_t count;
};

static int find_open(void *arg, const struct er_job *job, struct er_err *err)
{
        struct open_jobs *open = arg;

        (void)err;
        if (er_streq(job->host, open->host) && open->count++ == 0)
                open->job = er_strdup(job->name);
        return 0;
}

/* Otherwise its open jobs would be looked for on the wrong machine. */
static int refuse_while_used(const struct er_cli *cli, const char *host, struct er_err *err)
{
        const struct er_job_filter active = {.active_only = true, .without_spec = true};
        struct open_jobs open = {.host = host};
        int rc = er_store_each_job(cli->store, &active, find_open, &open, err);
        er_autofree char *job = open.job;

        if (rc < 0 || open.count == 0)
                return rc;
        er_err_set(err, ER_STATE, "%s has %zu open job%s: %s", host, open.count, open.count == 1 ? "" : "s", job);
        return er_err_hint(err, "wait for %s, or cancel %s with errand cancel", open.count == 1 ? "it" : "them",
                           open.count == 1 ? "it" : "them");
}

static int refuse_other_target(const struct er_cli *cli, const struct er_host *host, struct er_err *err)
{
        er_auto(er_host_row) row = {0};
        bool same;

        if (er_store_host(cli->store, host->name, &row, NULL) < 0)
                return 0;
        same = er_streq(row.target, host->target) && row.port == host->port && er_streq(row.root, host->root);
        return same ? 0 : refuse_while_used(cli, host->name, err);
}

static int add(const struct er_cli *cli, const struct hosts_opts *opts, char **args, int count, struct er_err *err)
{
        er_auto(er_host) host = ER_HOST_INIT;

        if (count < 1 || count > 2)
                return er_err_set(
                        err, ER_USAGE,
                        "errand hosts add takes a name and [user@]host[:port], or an alias from ~/.ssh/config");
        if (check_name(args[0], err) < 0 || er_host_parse(args[count - 1], &host, err) < 0)
                return -1;
        if (host.kind == ER_HOST_LOCAL)
                return er_err_set(err, ER_USAGE, "this machine is already known, as local");
        if (opts->port == 0 || opts->port > 65535)
                return er_err_set(err, ER_USAGE, "--port: %lld is not a port from 1 to 65535", (long long)opts->port);
        free(host.name);
        host.name = er_strdup(args[0]);
        if (opts->port > 0)
                host.port = (int)opts->port;
        if (opts->identity) {
                er_autofree char *path = er_path_expand(opts->identity);

                host.identity = er_path_abs(path);
        }
        host.jump = opts->jump ? er_strdup(opts->jump) : NULL;
        host.root = opts->root ? er_strdup(opts->root) : NULL;
        if (refuse_other_target(cli, &host, err) < 0)
                return -1;
        if (!opts->no_check)
                return probe_new(cli, &host, err);
        if (add_row(cli, &host, err) < 0)
                return -1;
        er_say(cli, "added %s", host.name);
        return 0;
}

static int rm(const struct er_cli *cli, char **args, int count, struct er_err *err)
{
        if (count == 0)
                return er_err_set(err, ER_USAGE, "errand hosts rm: missing argument: errand hosts rm NAME...");
        for (int i = 0; i < count; i++) {
                if (er_streq(args[i], "local"))
                        return er_err_set(err, ER_USAGE, "this machine cannot be removed");
                if (refuse_while_used(cli, args[i], err) < 0)
                        return -1;
                if (er_store_remove_host(cli->store, args[i], err) < 0)
                        return -1;
                er_say(cli, "removed %s; its files there are untouched", args[i]);
        }
        return 0;
}

static int hosts(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct hosts_opts *opts = arg;

        if (count == 0 || (er_streq(args[0], "list") && count == 1))
                return list(cli, opts, err);
        if (er_streq(args[0], "add"))
                return add(cli, opts, args + 1, count - 1, err);
        if (er_streq(args[0], "rm"))
                return rm(cli, args + 1, count - 1, err);
        er_err_set(err, ER_USAGE, "errand hosts has no subcommand %s", args[0]);
        return er_err_hint(err, "use list, add or rm; see errand hosts --help");
}

const struct er_command er_cmd_hosts = {
        .name = "hosts",
        .group = "Hosts",
        .summary = "Show what is free on the known hosts; add and remove hosts",
        .arguments = "[list | add NAME [HOST] | rm NAME...]",
        .description =
                "With list, or without arguments, asks all known hosts at once: this machine, hosts that were added, "
                "and hosts used before. CPUS, MEMORY and GPUS show free/total; DISK is what is free; JOBS counts "
                "errand's own jobs there (running+queued). On a terminal, the last answers are shown at once, with "
                "their age.\n"
                "\n"
                "A host need not be added if ssh can reach it: an alias from ~/.ssh/config or user@host works with "
                "--on directly. An added host has a short name, and may have its own port, key or jump host. add takes "
                "an alias, or a name and [user@]host[:port]. rm forgets a host here and touches nothing there.\n"
                "\n"
                "With --json: an array of objects with the keys host, names (all that the machine is known by), "
                "target, port, added, reachable, error, asked, "
                "and for those that answered latency_ms, hostname, user, os, arch, kernel, cpus, cpus_free, memory, "
                "memory_free, gpus_free, gpus (index, name, memory, memory_free, percent, taken; null when not known), "
                "disk, disk_free, "
                "load, running, queued. Sizes are in bytes.",
        .examples = "errand hosts\t\n"
                    "errand hosts add gpu-box me@192.0.2.7 --port 2222\t\n"
                    "errand hosts --discover\thosts from ~/.ssh/config\n",
        .opts = hosts_options,
        .opt_count = ER_LEN(hosts_options),
        .opts_size = sizeof(struct hosts_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_JSON | ER_CMD_QUIET,
        .max_args = -1,
        .complete = ER_COMPLETE_HOST,
        .run = hosts,
};

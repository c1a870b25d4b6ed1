/* cmd_gc.c - errand gc: what hosts keep for us and nothing needs. */
#include "base/parse.h"
#include "base/table.h"
#include "cli/fanout.h"
#include "cli/target.h"
#include "cli/words.h"
#include "environment/fetch.h"
#include "host/attempt.h"
#include "maestro/maestro.h"

struct gc_opts {
        bool dry_run;
        int64_t older_ms;
};

static const struct er_opt gc_options[] = {
        {"dry-run", 0, ER_OPT_FLAG, NULL, "Only show what would be removed", offsetof(struct gc_opts, dry_run),
         ER_COMPLETE_NONE},
        {"older-than", 0, ER_OPT_DURATION, "TIME",
         "Also remove directories and logs of jobs that ended more than TIME ago, for example 30d; the jobs stay in "
         "the list",
         offsetof(struct gc_opts, older_ms), ER_COMPLETE_NONE},
};

static const struct er_column columns[] = {
        {"HOST", "host", ER_CELL_TEXT, false, false},        {"FREED", "freed", ER_CELL_SIZE, false, false},
        {"ATTEMPTS", "attempts", ER_CELL_INT, false, false}, {"SNAPSHOTS", "snapshots", ER_CELL_INT, false, false},
        {"PACKS", "packs", ER_CELL_INT, true, false},        {"ERROR", "error", ER_CELL_TEXT, false, true},
};

struct visit {
        struct er_host *host;
        struct er_strv keep; /* keys of jobs that have attempts there */
        struct er_gc gc;
        struct er_err err;
        int rc;
};

struct sweep {
        const char *owner;
        bool dry;
        int64_t listed_ms;     /* when the keys were read */
        int64_t older_than_ms; /* ended before this: not kept; 0: all are */
        struct er_store *store;
        struct visit *visits;
        size_t count;
};

static int add_key(void *arg, const struct er_job *job, struct er_err *err)
{
        struct sweep *sweep = arg;

        (void)err;
        if (job->attempt == 0 ||
            (er_job_state_ended(job->state) && job->outputs_fetched && job->ended_ms < sweep->older_than_ms))
                return 0;
        for (size_t i = 0; i < sweep->count; i++) /* earlier attempts may be on any of them */
                if (job->attempt > 1 || er_streq(job->host, sweep->visits[i].host->name))
                        er_strv_take(&sweep->visits[i].keep, er_job_key(sweep->store, job));
        return 0;
}

static void visit(void *arg, size_t index)
{
        struct sweep *sweep = arg;
        struct visit *v = &sweep->visits[index];
        const struct er_session_opts opts = {0}; /* many at once: none of them may ask on the terminal */
        er_autoptr(er_session) session = NULL;

        v->rc = er_session_open(v->host, &opts, &session, &v->err);
        if (v->rc == 0)
                v->rc = er_host_gc(session, sweep->owner, &v->keep, sweep->listed_ms, sweep->dry, &v->gc, &v->err);
}

#define WHEELS_MS (30LL * 24 * 3600 * 1000) /* as long as a host keeps an environment that nothing uses */

static int report(const struct er_cli *cli, const struct sweep *sweep, size_t count, struct er_err *err)
{
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        er_auto(er_str) size = ER_STR_INIT;
        uint64_t freed = 0;
        size_t failed = 0;

        for (size_t i = 0; i < count; i++) {
                const struct visit *v = &sweep->visits[i];

                er_table_text(table, v->host->name);
                if (v->rc == 0) {
                        er_table_int(table, (int64_t)v->gc.freed);
                        er_table_int(table, (int64_t)v->gc.attempts);
                        er_table_int(table, (int64_t)v->gc.trees);
                        er_table_int(table, (int64_t)v->gc.packs);
                        er_table_text(table, cli->json ? NULL : "");
                } else {
                        for (int column = 0; column < 4; column++)
                                er_table_none(table);
                        er_table_text(table, v->err.message);
                        failed++;
                }
                freed += v->gc.freed;
        }
        if (er_out_table(cli, table, NULL, err) < 0)
                return -1;
        er_fetch_collect(WHEELS_MS, sweep->dry, &freed);
        er_fmt_size(&size, freed);
        er_say(cli, "%s %s%s", size.buf, sweep->dry ? "would be freed" : "freed",
               failed ? "; not every host could be reached" : "");
        return 0;
}

static int gc(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct gc_opts *opts = arg;
        const struct er_job_filter all = {.without_spec = true};
        struct sweep sweep = {.owner = er_store_id(cli->store),
                              .dry = opts->dry_run,
                              .store = cli->store,
                              .older_than_ms = opts->older_ms >= 0 ? er_now_ms() - opts->older_ms : 0};
        struct er_host *hosts = NULL;
        size_t host_count = 0;
        int rc;

        (void)count;
        if (args[0]) {
                host_count = 1;
                hosts = er_new(struct er_host);
                rc = er_hosts_find(cli->store, args[0], hosts, err);
        } else
                rc = er_hosts_known(cli->store, &hosts, &host_count, err);
        sweep.visits = er_calloc(host_count + 1, sizeof *sweep.visits);
        sweep.count = rc == 0 ? host_count : 0;
        for (size_t i = 0; i < sweep.count; i++)
                sweep.visits[i].host = &hosts[i];
        sweep.listed_ms = er_now_ms();
        if (rc == 0)
                rc = er_store_each_job(cli->store, &all, add_key, &sweep, err);
        if (rc == 0) {
                struct er_fanout *fanout;

                fanout = er_fanout_start(host_count, visit, &sweep);
                er_fanout_free(fanout);
                if (args[0] && sweep.visits[0].rc < 0) { /* the one that was asked for */
                        er_auto(er_str) meant = ER_STR_INIT;

                        rc = er_err_move(err, &sweep.visits[0].err);
                        if (er_target_host_meant(cli->store, args[0], &meant))
                                er_err_hint(err, "%s", meant.buf);
                } else
                        rc = report(cli, &sweep, host_count, err);
        }
        for (size_t i = 0; i < sweep.count; i++) {
                er_err_release(&sweep.visits[i].err);
                er_strv_release(&sweep.visits[i].keep);
        }
        for (size_t i = 0; i < host_count; i++)
                er_host_release(&hosts[i]);
        free(hosts);
        free(sweep.visits);
        return rc;
}

const struct er_command er_cmd_gc = {
        .name = "gc",
        .group = "Clean up",
        .summary = "Free disk space on hosts",
        .arguments = "[HOST]",
        .description =
                "Removes what nothing needs any more: directories of jobs that were removed here; snapshots that no "
                "remaining job was made from, except the newest of each project; environments not used for 30 days; "
                "and the remains of interrupted uploads. Without HOST, cleans up all known hosts at once. Packages "
                "that were downloaded here for hosts without a network are also removed after 30 days.\n"
                "\n"
                "With --json: an array of objects with the keys host, freed (bytes), attempts, snapshots, packs, "
                "error.",
        .opts = gc_options,
        .opt_count = ER_LEN(gc_options),
        .opts_size = sizeof(struct gc_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_JSON | ER_CMD_QUIET,
        .max_args = 1,
        .complete = ER_COMPLETE_HOST,
        .run = gc,
};

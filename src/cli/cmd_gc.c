/* cmd_gc.c - errand gc: removes what hosts keep for us and nothing needs. */
#include "base/map.h"
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
        {"", "host", ER_CELL_TEXT, true, false},
        {"HOST", "names", ER_CELL_NAMES, false, false},
        {"FREED", "freed", ER_CELL_SIZE, false, false},
        {"ATTEMPTS", "attempts", ER_CELL_INT, false, false},
        {"SNAPSHOTS", "snapshots", ER_CELL_INT, false, false},
        {"PACKS", "packs", ER_CELL_INT, true, false},
        {"ERROR", "error", ER_CELL_TEXT, false, true},
};

struct visit {
        struct er_host *host;
        struct er_session *session; /* (owned) */
        char *machine;              /* (owned) er_machine */
        struct er_str names;        /* all the names by which we know it */
        bool same;                  /* as an earlier visit's: that one sweeps for both */
        struct er_strv there;       /* keys of our jobs of which it has attempts */
        struct er_strv of_before;   /* the same, by ids that the store had before */
        struct er_strv unwanted;    /* of these */
        struct er_gc gc;
        struct er_err err;
        int rc;
};

struct sweep {
        struct er_store *store;
        bool dry;
        int64_t older_than_ms; /* jobs that ended before this are unwanted; 0: age does not matter */
        struct er_map wanted;  /* keys; the values mean nothing */
        struct er_map old;     /* keys of what is unwanted for its age */
        struct visit *visits;
        size_t count;
};

static int add_key(void *arg, const struct er_job *job, struct er_err *err)
{
        struct sweep *sweep = arg;
        er_autofree char *key = NULL;

        (void)err;
        key = er_job_key(sweep->store, job);
        if (er_job_state_ended(job->state) && job->outputs_fetched && job->ended_ms < sweep->older_than_ms)
                er_map_sets(&sweep->old, key, sweep);
        else
                er_map_sets(&sweep->wanted, key, sweep);
        return 0;
}

static int ask_owned(struct visit *v, const char *owner, struct er_strv *ret)
{
        struct er_status *list = NULL;
        size_t count = 0;

        if (er_attempt_owned(v->session, owner, &list, &count, &v->err) < 0)
                return -1;
        for (size_t i = 0; i < count; i++) {
                if (list[i].key && (ret->len == 0 || !er_streq(ret->items[ret->len - 1], list[i].key)))
                        er_strv_add(ret, list[i].key);
                er_status_release(&list[i]);
        }
        free(list);
        return 0;
}

/* Connects, and asks which of our jobs the host has attempts of. */
static int look(const struct sweep *sweep, struct visit *v)
{
        const char *id;
        const struct er_session_opts opts = {
                .silence_ms = ER_ONE_OF_MANY_MS}; /* many run at once, so none of them may ask on the terminal */
        const struct er_hello *hello;

        if (er_session_open(v->host, &opts, &v->session, &v->err) < 0 ||
            er_session_hello(v->session, &hello, &v->err) < 0)
                return -1;
        v->machine = er_machine(hello);
        if (ask_owned(v, er_store_id(sweep->store), &v->there) < 0)
                return -1;
        /* By ids that the store had before it was copied: the original knows better what of these is wanted, so only
           what this store says is old is looked for. */
        for (size_t i = 0; sweep->older_than_ms > 0 && (id = er_store_owner_at(sweep->store, i)) != NULL; i++)
                if (!er_streq(id, er_store_id(sweep->store)) && ask_owned(v, id, &v->of_before) < 0)
                        return -1;
        return 0;
}

static void look_one(void *arg, size_t index)
{
        struct sweep *sweep = arg;

        sweep->visits[index].rc = look(sweep, &sweep->visits[index]);
}

static void sweep_one(void *arg, size_t index)
{
        struct sweep *sweep = arg;
        struct visit *v = &sweep->visits[index];

        if (v->rc == 0 && !v->same)
                v->rc = er_host_gc(v->session, &v->unwanted, sweep->dry, &v->gc, &v->err);
}

static void for_each(struct sweep *sweep, void (*work)(void *arg, size_t index))
{
        struct er_fanout *fanout = er_fanout_start(sweep->count, work, sweep);

        er_fanout_free(fanout);
}

/* A machine that is known by several names is swept once. */
static void merge_names(struct sweep *sweep)
{
        for (size_t i = 0; i < sweep->count; i++) {
                struct visit *v = &sweep->visits[i];

                er_str_add(&v->names, v->host->name);
                for (size_t other = 0; other < i && v->rc == 0 && !v->same; other++) {
                        struct visit *first = &sweep->visits[other];

                        if (first->rc < 0 || first->same || !er_streq(first->machine, v->machine))
                                continue;
                        er_str_addf(&first->names, "\n%s", v->host->name);
                        v->same = true;
                }
        }
}

/* The store is read after the hosts have said what they have. A job is stored before its host hears of it, so a job
 * that is not in the store by then was removed from it, whatever else is going on. */
static int find_unwanted(struct sweep *sweep, struct er_err *err)
{
        const struct er_job_filter all = {.without_spec = true};

        if (er_store_each_job(sweep->store, &all, add_key, sweep, err) < 0)
                return -1;
        for (size_t i = 0; i < sweep->count; i++) {
                struct visit *v = &sweep->visits[i];

                for (size_t k = 0; k < v->there.len; k++)
                        if (!er_map_gets(&sweep->wanted, v->there.items[k]))
                                er_strv_add(&v->unwanted, v->there.items[k]);
                for (size_t k = 0; k < v->of_before.len; k++)
                        if (er_map_gets(&sweep->old, v->of_before.items[k]))
                                er_strv_add(&v->unwanted, v->of_before.items[k]);
        }
        return 0;
}

static void release(struct sweep *sweep)
{
        for (size_t i = 0; i < sweep->count; i++) {
                struct visit *v = &sweep->visits[i];

                er_session_free(v->session);
                free(v->machine);
                er_str_release(&v->names);
                er_strv_release(&v->there);
                er_strv_release(&v->of_before);
                er_strv_release(&v->unwanted);
                er_err_release(&v->err);
        }
        free(sweep->visits);
        er_map_release(&sweep->wanted);
        er_map_release(&sweep->old);
}

#define WHEELS_MS (30LL * 24 * 3600 * 1000) /* as long as a host keeps an environment that nothing uses */

static int report(const struct er_cli *cli, const struct sweep *sweep, struct er_err *err)
{
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        er_auto(er_str) size = ER_STR_INIT;
        uint64_t freed = 0;
        size_t failed = 0;

        for (size_t i = 0; i < sweep->count; i++) {
                const struct visit *v = &sweep->visits[i];

                if (v->same)
                        continue;
                er_table_text(table, v->host->name);
                er_table_text(table, v->names.buf);
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
               failed ? "; some hosts could not be reached" : "");
        return 0;
}

static int gc(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct gc_opts *opts = arg;
        struct sweep sweep = {.dry = opts->dry_run,
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
        for (size_t i = 0; i < sweep.count; i++) {
                sweep.visits[i].host = &hosts[i];
                sweep.visits[i].names = (struct er_str)ER_STR_INIT;
        }
        if (rc == 0) {
                for_each(&sweep, look_one);
                merge_names(&sweep);
                rc = find_unwanted(&sweep, err);
        }
        if (rc == 0) {
                for_each(&sweep, sweep_one);
                if (args[0] && sweep.visits[0].rc < 0) { /* the host that the user named */
                        er_auto(er_str) meant = ER_STR_INIT;

                        rc = er_err_move(err, &sweep.visits[0].err);
                        if (er_target_host_meant(cli->store, args[0], &meant))
                                er_err_hint(err, "%s", meant.buf);
                } else
                        rc = report(cli, &sweep, err);
        }
        release(&sweep);
        for (size_t i = 0; i < host_count; i++)
                er_host_release(&hosts[i]);
        free(hosts);
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
                "With --json: an array of objects with the keys host, names (all that the host is known by here), "
                "freed (bytes), attempts, snapshots, packs, "
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

/* cmd_jobs.c - errand jobs: what ran or is running, and where. */
#include <poll.h>
#include <unistd.h>
#include "base/io.h"
#include "base/json.h"
#include "base/term.h"
#include "cli/target.h"
#include "cli/view.h"
#include "cli/words.h"
#include "maestro/maestro.h"

#define NEWEST 20
#define FRESH_MS 1500 /* how long to wait for news of orphaned jobs */
#define WATCH_MS 1000
#define ADOPT_MS 5000

struct jobs_opts {
        bool all, watch, project;
        int64_t limit;
};

static const struct er_opt jobs_options[] = {
        {"all", 'a', ER_OPT_FLAG, NULL, "List all jobs, not only the newest 20 and those that have not ended",
         offsetof(struct jobs_opts, all), ER_COMPLETE_NONE},
        {"limit", 'n', ER_OPT_COUNT, "N", "List the newest N, and those that have not ended",
         offsetof(struct jobs_opts, limit), ER_COMPLETE_NONE},
        {"project", 'p', ER_OPT_FLAG, NULL, "List only jobs of the current project",
         offsetof(struct jobs_opts, project), ER_COMPLETE_NONE},
        {"watch", 'w', ER_OPT_FLAG, NULL, "Keep the list up to date until Ctrl-C", offsetof(struct jobs_opts, watch),
         ER_COMPLETE_NONE},
};

static const struct er_column columns[] = {
        {"JOB", "job", ER_CELL_TEXT, false, false},          {"STATE", "state", ER_CELL_TEXT, false, true},
        {"HOST", "host", ER_CELL_TEXT, false, true},         {"STARTED", "started", ER_CELL_AGE, false, false},
        {"TIME", "seconds", ER_CELL_DURATION, false, false}, {"COMMAND", "command", ER_CELL_TEXT, false, true},
};

struct list {
        struct er_table *table; /* for people, or ... */
        json_t *json;           /* ... for programs */
        int64_t now_ms;
        int64_t *seen; /* ids in the active part, not to be listed twice */
        size_t seen_len, seen_cap;
        bool active_part;
        size_t active;
};

static bool was_seen(const struct list *list, int64_t id)
{
        size_t low = 0, high = list->seen_len; /* newest first: ids descend */

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (list->seen[middle] == id)
                        return true;
                if (list->seen[middle] > id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return false;
}

static int add_row(void *arg, const struct er_job *job, struct er_err *err)
{
        struct list *list = arg;
        er_auto(er_str) state = ER_STR_INIT;
        int64_t took;

        (void)err;
        if (!er_job_state_ended(job->state))
                list->active++;
        if (list->active_part) {
                list->seen = er_grow(list->seen, &list->seen_cap, list->seen_len + 1, sizeof *list->seen);
                list->seen[list->seen_len++] = job->id;
        } else if (was_seen(list, job->id))
                return 0;
        if (list->json) {
                json_array_append_new(list->json, er_view_job(job, list->now_ms));
                return 0;
        }
        er_view_state_brief(&state, job, list->now_ms);
        took = er_view_took_ms(job, list->now_ms);
        er_table_text(list->table, job->name);
        er_table_text(list->table, state.buf);
        er_table_text(list->table, job->host ? job->host : "");
        er_table_int(list->table, job->started_ms > 0 ? job->started_ms : job->created_ms);
        if (took >= 0)
                er_table_int(list->table, took);
        else
                er_table_none(list->table);
        er_table_text(list->table, job->command);
        return 0;
}

static int fill(const struct er_cli *cli, const struct jobs_opts *opts, const char *project, struct list *list,
                struct er_err *err)
{
        struct er_job_filter active = {.project = project, .active_only = true, .without_spec = true};
        struct er_job_filter newest = {.project = project,
                                       .without_spec = true,
                                       .limit = opts->all          ? 0
                                                : opts->limit >= 0 ? (size_t)opts->limit
                                                                   : NEWEST};

        if (!opts->all) {
                list->active_part = true;
                if (er_store_each_job(cli->store, &active, add_row, list, err) < 0)
                        return -1;
                list->active_part = false;
                if (opts->limit == 0)
                        return 0;
        }
        return er_store_each_job(cli->store, &newest, add_row, list, err);
}

/* Renders the whole output in one piece, so that a redraw does not flicker. */
static int render(const struct er_cli *cli, const struct jobs_opts *opts, const char *project, struct er_str *out,
                  size_t *ret_active, struct er_err *err)
{
        er_autoptr(er_table) table = cli->json ? NULL : er_table_new(columns, ER_LEN(columns));
        struct list list = {.table = table, .json = cli->json ? json_array() : NULL, .now_ms = er_now_ms()};
        bool terminal = er_term_is(STDOUT_FILENO);
        int rc = fill(cli, opts, project, &list, err);

        free(list.seen);
        *ret_active = list.active;
        if (rc == 0 && cli->json) {
                er_json_dump(list.json, !opts->watch, out);
                er_str_addc(out, '\n');
        } else if (rc == 0 && er_table_rows(table) > 0)
                er_table_print(table, out, terminal ? er_term_width(STDOUT_FILENO) : 0, er_term_colour(STDOUT_FILENO),
                               list.now_ms);
        json_decref(list.json);
        return rc;
}

/* Cuts what does not fit on the screen, since a redraw starts at its top. */
static void fit_screen(struct er_str *text)
{
        int height = er_term_height(STDOUT_FILENO), lines = 0;

        for (size_t i = 0; i < text->len; i++)
                if (text->buf[i] == '\n' && ++lines == height - 1) {
                        er_str_cut(text, i + 1);
                        return;
                }
}

static int watch(const struct er_cli *cli, const struct jobs_opts *opts, const char *project, struct er_err *err)
{
        er_auto(er_str) shown = ER_STR_INIT;
        bool terminal = er_term_is(STDOUT_FILENO);
        er_deadline adopt_at = er_deadline_in(ADOPT_MS);
        size_t active = 1;
        int64_t version = -1;

        for (;;) {
                er_auto(er_str) text = ER_STR_INIT;
                er_deadline until = er_deadline_in(WATCH_MS);

                version = er_store_version(cli->store);
                if (render(cli, opts, project, &text, &active, err) < 0)
                        return -1;
                if (terminal && !cli->json) {
                        fit_screen(&text);
                        if (text.len == 0)
                                er_str_add(&text, "no jobs yet\n");
                        if (er_out(ER_SV("\033[H\033[J"), err) < 0 || er_out(er_svn(text.buf, text.len), err) < 0)
                                return -1;
                } else if (!er_sv_eq(er_svn(text.buf, text.len), er_svn(shown.buf, shown.len))) {
                        if (er_out(er_svn(text.buf, text.len), err) < 0)
                                return -1;
                        er_str_reset(&shown);
                        er_str_addn(&shown, text.buf, text.len);
                }
                /* Changes show at once; otherwise the times are updated every second. */
                while (er_mono_ms() < until && er_store_version(cli->store) == version)
                        poll(NULL, 0, 50);
                if (active > 0 && er_mono_ms() >= adopt_at) {
                        er_target_adopt(cli);
                        adopt_at = er_deadline_in(ADOPT_MS);
                }
        }
}

struct freshness {
        int64_t since_ms;
        size_t stale;
};

static int count_stale(void *arg, const struct er_job *job, struct er_err *err)
{
        struct freshness *fresh = arg;

        (void)err;
        if (job->attempt > 0 && job->news_ms < fresh->since_ms)
                fresh->stale++;
        return 0;
}

/* Orphaned jobs get a maestro and a moment to report how they are: yesterday's states would be a lie. */
static void refresh(const struct er_cli *cli)
{
        const struct er_job_filter active = {.active_only = true, .without_spec = true};
        er_deadline until = er_deadline_in(FRESH_MS);
        int64_t since = er_now_ms(), version = -1;

        if (er_target_adopt(cli) <= 0)
                return;
        while (er_mono_ms() < until) {
                struct freshness fresh = {.since_ms = since};
                int64_t now = er_store_version(cli->store);

                if (now != version &&
                    (er_store_each_job(cli->store, &active, count_stale, &fresh, NULL) < 0 || fresh.stale == 0))
                        return;
                version = now;
                poll(NULL, 0, 20);
        }
}

static int jobs(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct jobs_opts *opts = arg;
        er_autofree char *project = NULL;
        er_auto(er_str) text = ER_STR_INIT;
        size_t active;

        (void)args;
        (void)count;
        if (opts->project && er_target_project(&project, err) < 0)
                return -1;
        refresh(cli);
        if (opts->watch)
                return watch(cli, opts, project, err);
        if (render(cli, opts, project, &text, &active, err) < 0)
                return -1;
        if (text.len == 0)
                er_say(cli, "no jobs yet; errand run COMMAND starts one");
        return er_out(er_svn(text.buf, text.len), err);
}

const struct er_command er_cmd_jobs = {
        .name = "jobs",
        .group = "Follow",
        .summary = "List jobs: what ran or is running, where, and how it ended",
        .arguments = "",
        .description =
                "Lists the jobs that have not ended and the 20 newest others, newest first. TIME is how long a job ran "
                "or has been running. A job that has not been heard from for a while keeps its state, shown with the "
                "age of the last news.\n"
                "\n"
                "With --json: an array of objects with the keys job, run, index, project, project_dir, state (waiting, "
                "queued, starting, running, done, failed, cancelled), reason, detail, exit, host, attempt, command, "
                "cancel_asked, created, started, ended, seconds, last_news, outputs_fetched. Times are ISO 8601 in "
                "UTC. With --watch --json, such an array is printed on a line of its own at every change.",
        .opts = jobs_options,
        .opt_count = ER_LEN(jobs_options),
        .opts_size = sizeof(struct jobs_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_JSON | ER_CMD_QUIET,
        .run = jobs,
};

/* cmd_show.c - errand show: everything that is known about a job. */
#include <fcntl.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/target.h"
#include "cli/view.h"
#include "cli/words.h"
#include "maestro/maestro.h"
#include "proto/spec.h"

static void field(struct er_str *out, const char *name, const char *value)
{
        if (!value || !value[0])
                return;
        er_str_addf(out, "  %-12s ", name);
        er_quote_show(out, value, strlen(value));
        er_str_addc(out, '\n');
}

static void time_field(struct er_str *out, const char *name, int64_t ms, int64_t now_ms)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (ms <= 0)
                return;
        er_fmt_time(&text, ms);
        er_str_add(&text, " (");
        er_fmt_age(&text, now_ms - ms);
        er_str_addc(&text, ')');
        field(out, name, text.buf);
}

static void join(struct er_str *out, const struct er_strv *list, bool names_only)
{
        for (size_t i = 0; i < list->len; i++) {
                const char *equals = names_only ? strchr(list->items[i], '=') : NULL;

                if (i > 0)
                        er_str_addc(out, ' ');
                er_str_addn(out, list->items[i], equals ? (size_t)(equals - list->items[i]) : strlen(list->items[i]));
        }
}

static void list_field(struct er_str *out, const char *name, const struct er_strv *list, bool names_only)
{
        er_auto(er_str) text = ER_STR_INIT;

        join(&text, list, names_only);
        field(out, name, text.buf);
}

static void show_spec(struct er_str *out, const struct er_spec *spec)
{
        er_auto(er_str) needs = ER_STR_INIT;
        er_auto(er_str) grace = ER_STR_INIT;
        er_auto(er_str) command = ER_STR_INIT;

        if (spec->shell && spec->argv.len > 0)
                er_str_addf(&command, "%s  (run by the shell)", spec->argv.items[0]);
        else
                er_quote_argv(&command, spec->argv.items, spec->argv.len);
        field(out, "command", command.buf);
        field(out, "in", spec->workdir);
        if (spec->hosts.len > 0)
                list_field(out, "asked for", &spec->hosts, false);
        er_view_count(&needs, spec->cpus, "cpu");
        if (spec->memory > 0) {
                er_str_add(&needs, ", ");
                er_fmt_size(&needs, spec->memory);
                er_str_add(&needs, " memory");
        }
        if (spec->gpus > 0) {
                er_str_add(&needs, ", ");
                er_view_count(&needs, spec->gpus, "GPU");
        } else if (spec->no_gpus) {
                er_str_add(&needs, ", no GPU");
        }
        if (spec->time_limit_ms > 0) {
                er_str_add(&needs, ", at most ");
                er_fmt_duration(&needs, spec->time_limit_ms);
        }
        field(out, "needs", needs.buf);
        if (spec->grace_ms > 0) {
                er_fmt_duration(&grace, spec->grace_ms);
                er_str_add(&grace, " between TERM and KILL");
                field(out, "grace", grace.buf);
        }
        list_field(out, "env", &spec->env, true);
        list_field(out, "secrets", &spec->secrets, false);
        list_field(out, "outputs", &spec->outputs, false);
}

/* The path of the log, as scp or less take it. */
static char *log_path(const struct er_attempt *attempt)
{
        if (!attempt->dir)
                return NULL;
        if (er_streq(attempt->host, "local"))
                return er_fmt("%s/log", attempt->dir);
        return er_fmt("%s:%s/log", attempt->host, attempt->dir);
}

static void show_use(struct er_str *out, const struct er_attempt *a)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (a->cpu_ms == 0 && a->max_rss == 0)
                return;
        er_fmt_duration(&text, (int64_t)a->cpu_ms);
        er_str_add(&text, " cpu, ");
        er_fmt_size(&text, a->max_rss);
        er_str_add(&text, " memory at most");
        field(out, "used", text.buf);
}

/* Of GPUs that it had for itself, also what it used of them. */
static void show_gpus(struct er_str *out, const struct er_attempt *a)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (a->gpu_mask == 0 && !a->gpu_shared)
                return;
        er_view_gpus(&text, a->gpu_mask);
        if (a->gpu_shared) {
                er_str_add(&text, a->gpu_mask ? " (shared)" : "none: all were reserved");
        } else {
                if (a->gpu_util >= 0)
                        er_str_addf(&text, " at %d%%", a->gpu_util);
                else
                        er_str_add(&text, " at ?%");
                if (a->gpu_util_max >= 0)
                        er_str_addf(&text, " (%d%% at most)", a->gpu_util_max);
                er_str_add(&text, ", ");
                er_view_size(&text, a->gpu_mem);
                er_str_add(&text, " memory at most");
        }
        field(out, "GPUs", text.buf);
}

static void show_attempt(struct er_str *out, const struct er_attempt *a, size_t count, int64_t now_ms)
{
        er_autofree char *log = log_path(a);
        er_auto(er_str) text = ER_STR_INIT;

        if (count > 1)
                er_str_addf(out, "  attempt %u\n", a->number);
        field(out, "host", a->host);
        if (count > 1) {
                er_str_add(&text, a->end == ER_END_NONE ? er_state_name(a->state) : er_end_name(a->end));
                if (a->reason != ER_REASON_NONE)
                        er_str_addf(&text, ": %s", er_reason_name(a->reason));
                if (a->detail && a->detail[0])
                        er_str_addf(&text, ": %.*s", (int)strcspn(a->detail, "\n"), a->detail);
                field(out, "state", text.buf);
        }
        time_field(out, "queued", a->queued_ms, now_ms);
        time_field(out, "started", a->started_ms, now_ms);
        time_field(out, "ended", a->ended_ms, now_ms);
        if (a->started_ms > 0) {
                er_str_reset(&text);
                er_fmt_duration(&text, (a->ended_ms > 0 ? a->ended_ms : now_ms) - a->started_ms);
                field(out, "time", text.buf);
        }
        show_use(out, a);
        show_gpus(out, a);
        field(out, "log", log);
}

static void show_text(struct er_str *out, const struct er_job *job, const struct er_spec *spec,
                      const struct er_attempt *attempts, size_t count, const char *results)
{
        int64_t now_ms = er_now_ms();
        er_auto(er_str) text = ER_STR_INIT;

        er_view_state(&text, job, now_ms);
        er_view_remark(&text, job);
        er_str_addf(out, "%s  ", job->name);
        er_quote_show(out, text.buf, text.len);
        er_str_addc(out, '\n');
        field(out, "try", er_view_hint(job));
        show_spec(out, spec);
        field(out, "project", job->project_dir);
        time_field(out, "submitted", job->created_ms, now_ms);
        for (size_t i = 0; i < count; i++)
                show_attempt(out, &attempts[i], count, now_ms);
        if (er_job_state_ended(job->state)) {
                er_str_reset(&text);
                er_str_addf(&text, "%d", job->exit_status);
                field(out, "exit", text.buf);
        } else
                time_field(out, "last news", job->news_ms, now_ms);
        if (spec->outputs.len > 0 && er_job_state_ended(job->state)) {
                er_autofree char *shown = er_view_path(results);

                er_str_reset(&text);
                er_str_addf(&text, "%s/%s", shown,
                            !job->outputs_fetched ? "  (not here yet; errand wait fetches them, or says why it cannot)"
                            : !er_file_exists(AT_FDCWD, results) ? "  (not here)"
                                                                 : "");
                field(out, "results", text.buf);
        }
}

static json_t *show_json(const struct er_job *job, const struct er_spec *spec, const struct er_attempt *attempts,
                         size_t count, const char *results)
{
        json_t *json = er_view_job(job, er_now_ms()), *list = json_array();
        char tree[2 * ER_TREE_HASH + 1] = "";

        if (spec->has_tree)
                er_fmt_hex(spec->tree, ER_TREE_HASH, tree);
        er_view_spec(json, "argv", spec);
        json_object_set_new(json, "retries", json_integer(spec->retries));
        json_object_set_new(json, "snapshot", spec->has_tree ? er_json_text(tree) : json_null());
        json_object_set_new(json, "results_dir", spec->outputs.len > 0 ? er_json_text(results) : json_null());
        for (size_t i = 0; i < count; i++) {
                er_autofree char *log = log_path(&attempts[i]);
                json_t *attempt = er_view_attempt(&attempts[i]);

                json_object_set_new(attempt, "log", er_json_text(log));
                json_array_append_new(list, attempt);
        }
        json_object_set_new(json, "attempts", list);
        return json;
}

static int show_one(const struct er_cli *cli, const struct er_job *job, struct er_str *out, json_t *array,
                    struct er_err *err)
{
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_autofree char *results = er_job_results_dir(job);
        struct er_attempt *attempts = NULL;
        size_t count = 0;

        if (er_spec_decode(er_svn(job->spec.buf, job->spec.len), &spec, err) < 0 ||
            er_store_attempts(cli->store, job->id, &attempts, &count, err) < 0)
                return er_err_wrap(err, "%s", job->name);
        if (array)
                json_array_append_new(array, show_json(job, &spec, attempts, count, results));
        else
                show_text(out, job, &spec, attempts, count, results);
        for (size_t i = 0; i < count; i++)
                er_attempt_release(&attempts[i]);
        free(attempts);
        return 0;
}

static int show(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        er_auto(er_jobs) jobs = ER_JOBS_INIT;
        er_auto(er_str) out = ER_STR_INIT;
        json_t *array = cli->json ? json_array() : NULL;
        int rc;

        (void)arg;
        rc = er_target_jobs(cli, args, count, &jobs, err);
        er_target_adopt(cli);
        for (size_t i = 0; rc == 0 && i < jobs.len; i++) {
                if (i > 0)
                        er_str_addc(&out, '\n');
                rc = show_one(cli, &jobs.items[i], &out, array, err);
        }
        if (rc == 0)
                rc = cli->json ? er_out_json(array, err) : er_out(er_svn(out.buf, out.len), err);
        json_decref(array);
        return rc;
}

const struct er_command er_cmd_show = {
        .name = "show",
        .group = "Follow",
        .summary = "Show everything about a job",
        .arguments = "[JOB]...",
        .description = "Shows what the job needs, its host and times, what it used, how it ended and why, and where "
                       "its log is. Without JOB, shows the latest run of this project. Of environment variables, only "
                       "the names are shown.\n"
                       "\n"
                       "With --json: an array of objects with the keys of errand jobs, and argv, shell, workdir, on, "
                       "cpus, memory, gpus, time_limit_seconds, grace_seconds, retries, env, secrets, outputs, "
                       "snapshot, results_dir, "
                       "and attempts: an array of objects with attempt, host, state, end, reason, detail, exit_code, "
                       "signal, dir, log, queued, started, ended, cpu_seconds, max_memory (bytes), gpus, gpu_memory "
                       "(bytes), gpu_percent, gpu_percent_max, gpus_shared, log_bytes.",
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_JSON,
        .max_args = -1,
        .complete = ER_COMPLETE_JOB,
        .run = show,
};

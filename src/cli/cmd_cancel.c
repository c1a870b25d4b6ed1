/* cmd_cancel.c - errand cancel: ends jobs, whether they like it or not. */
#include "cli/target.h"
#include "cli/words.h"
#include "host/attempt.h"
#include "maestro/maestro.h"
#include "proto/spec.h"

#define PATIENCE_MS 15000 /* beyond the time a job gets between TERM and KILL */
#define FIRST_MS 3000     /* for jobs that have not started; running ones are not kept waiting longer than this */

struct cancel_opts {
        int64_t grace_ms;
        bool all, yes;
};

static const struct er_opt cancel_options[] = {
        {"all", 'a', ER_OPT_FLAG, NULL, "Cancel every job that has not ended, in all projects",
         offsetof(struct cancel_opts, all), ER_COMPLETE_NONE},
        {"grace", 0, ER_OPT_DURATION, "TIME", "Time between TERM and KILL (default: that of the run, or 10s)",
         offsetof(struct cancel_opts, grace_ms), ER_COMPLETE_NONE},
        {"yes", 'y', ER_OPT_FLAG, NULL, "With --all: do not ask", offsetof(struct cancel_opts, yes), ER_COMPLETE_NONE},
};

static int add_open(void *arg, const struct er_job *job, struct er_err *err)
{
        (void)err;
        if (!er_job_state_ended(job->state))
                er_strv_add(arg, job->name);
        return 0;
}

static int choose(const struct er_cli *cli, const struct cancel_opts *opts, char **args, int count,
                  struct er_jobs *jobs, struct er_err *err)
{
        const struct er_job_filter active = {.active_only = true, .without_spec = true};
        er_auto(er_strv) names = ER_STRV_INIT;

        if (!opts->all)
                return er_target_jobs(cli, args, count, jobs, err);
        if (count > 0)
                return er_err_set(err, ER_USAGE, "--all cannot be used with the names of jobs");
        if (er_store_each_job(cli->store, &active, add_open, &names, err) < 0)
                return -1;
        if (names.len == 0)
                return 0;
        if (!opts->yes && er_can_ask()) {
                er_say(cli, "these jobs have not ended:");
                for (size_t i = 0; i < names.len; i++)
                        er_say_more(cli, "%s", names.items[i]);
                if (!er_ask("Cancel %s?", names.len == 1 ? "it" : "them all"))
                        return er_err_set(err, ER_CANCELLED, "nothing was cancelled");
        }
        return er_target_jobs(cli, names.items, (int)names.len, jobs, err);
}

/* For a grace period other than the job's own, its host is told directly, in addition to the request in the store. */
static int tell_host(const struct er_cli *cli, const struct er_job *job, int64_t grace_ms, struct er_err *err)
{
        er_autoptr(er_session) session = NULL;
        er_autofree char *key = er_job_key(cli->store, job);

        if (!job->host || job->attempt == 0)
                return 0;
        if (er_target_session(cli, job->host, NULL, &session, err) < 0)
                return -1;
        if (er_attempt_cancel(session, key, job->attempt, grace_ms, err) < 0 && err->code != ER_NOT_FOUND)
                return -1;
        er_err_clear(err);
        return 0;
}

static bool has_begun(const struct er_job *job)
{
        return job->state >= ER_JOB_STARTING;
}

/* Stores the request for the jobs that have begun, or for those that have not. */
static int request(const struct er_cli *cli, const struct cancel_opts *opts, const struct er_jobs *jobs, bool begun,
                   size_t *asked, struct er_err *err)
{
        for (size_t i = 0; i < jobs->len; i++) {
                const struct er_job *job = &jobs->items[i];

                if (er_job_state_ended(job->state) || has_begun(job) != begun)
                        continue;
                if (er_maestro_cancel(cli->store, &job->id, 1, err) < 0)
                        return -1;
                ++*asked;
                if (opts->grace_ms >= 0) {
                        er_auto(er_err) why = ER_ERR_INIT;

                        if (tell_host(cli, job, opts->grace_ms, &why) < 0)
                                er_say_err(&why);
                }
        }
        return 0;
}

/* Cancels jobs that wait for their turn first, and waits until they are gone: they would start as soon as a running one
 * makes room. */
static int request_all(const struct er_cli *cli, const struct cancel_opts *opts, const struct er_jobs *jobs,
                       size_t *asked, struct er_err *err)
{
        er_auto(er_strv) waiting = ER_STRV_INIT;
        er_auto(er_jobs) first = ER_JOBS_INIT;
        bool ended;

        for (size_t i = 0; i < jobs->len; i++)
                if (!has_begun(&jobs->items[i]))
                        er_strv_add(&waiting, jobs->items[i].name);
        if (request(cli, opts, jobs, false, asked, err) < 0)
                return -1;
        if (waiting.len > 0 && waiting.len < jobs->len) {
                er_target_adopt(cli);
                if (er_target_jobs(cli, waiting.items, (int)waiting.len, &first, err) < 0 ||
                    er_target_wait(cli, &first, er_deadline_in(FIRST_MS), -1, &ended, err) < 0)
                        return -1;
        }
        return request(cli, opts, jobs, true, asked, err);
}

static int64_t longest_grace(const struct er_jobs *jobs)
{
        int64_t longest = ER_SPEC_GRACE_MS;

        for (size_t i = 0; i < jobs->len; i++) {
                const struct er_job *job = &jobs->items[i];
                er_auto(er_spec) spec = ER_SPEC_INIT;

                if (job->spec.len && !er_job_state_ended(job->state) &&
                    er_spec_decode(er_svn(job->spec.buf, job->spec.len), &spec, NULL) == 0 && spec.grace_ms > longest)
                        longest = spec.grace_ms;
        }
        return longest;
}

static int cancel(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct cancel_opts *opts = arg;
        er_auto(er_jobs) jobs = ER_JOBS_INIT;
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        int64_t grace;
        size_t asked = 0;
        bool ended;

        if (choose(cli, opts, args, count, &jobs, err) < 0)
                return -1;
        for (size_t i = 0; i < jobs.len; i++)
                if (er_job_state_ended(jobs.items[i].state))
                        er_say(cli, "%s has already ended: %s", jobs.items[i].name,
                               er_job_state_name(jobs.items[i].state));
        if (request_all(cli, opts, &jobs, &asked, err) < 0)
                return -1;
        if (asked == 0) {
                if (jobs.len == 0)
                        er_say(cli, "no jobs are open");
                return 0;
        }
        grace = opts->grace_ms >= 0 ? opts->grace_ms : longest_grace(&jobs);
        er_target_adopt(cli); /* somebody has to carry it out */
        er_live_set(live, asked == 1 ? "waiting for it to end" : "waiting for %zu jobs to end", asked);
        if (er_target_wait(cli, &jobs, er_deadline_in(grace + PATIENCE_MS), -1, &ended, err) < 0)
                return -1;
        er_live_clear(live);
        for (size_t i = 0; i < jobs.len; i++) {
                const struct er_job *job = &jobs.items[i];
                er_auto(er_str) line = ER_STR_INIT;

                if (!job->cancel_asked)
                        continue;
                if (er_job_state_ended(job->state)) {
                        er_target_result(&line, job);
                        er_live_say(live, "%s", line.buf);
                        continue;
                }
                er_err_set(err, ER_TIMEOUT, "%s has not ended yet: %s does not answer", job->name,
                           job->host ? job->host : "its host");
                return er_err_hint(
                        err,
                        "the request is stored and takes effect as soon as the host can be reached; see errand show %s",
                        job->name);
        }
        return 0;
}

const struct er_command er_cmd_cancel = {
        .name = "cancel",
        .group = "Run",
        .summary = "Cancel jobs, ending all the processes they started",
        .arguments = "[JOB]... | --all",
        .description = "Every process of the job gets TERM, and KILL if it is still there after the grace period; "
                       "processes that went to the background are included. Outputs written so far are brought back. "
                       "Without JOB, the latest run of this project is cancelled.",
        .examples = "errand cancel mnist-12\t\n"
                    "errand cancel --all --grace 2s\t\n",
        .opts = cancel_options,
        .opt_count = ER_LEN(cancel_options),
        .opts_size = sizeof(struct cancel_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .max_args = -1,
        .complete = ER_COMPLETE_JOB,
        .run = cancel,
};

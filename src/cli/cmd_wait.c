/* cmd_wait.c - errand wait: waits until jobs have ended. */
#include "base/io.h"
#include "cli/target.h"
#include "maestro/maestro.h"

struct wait_opts {
        int64_t timeout_ms;
};

static const struct er_opt wait_options[] = {
        {"timeout", 't', ER_OPT_DURATION, "TIME", "Stop waiting after this long (exit status 209); the jobs go on",
         offsetof(struct wait_opts, timeout_ms), ER_COMPLETE_NONE},
};

static int wait_command(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct wait_opts *opts = arg;
        er_auto(er_jobs) jobs = ER_JOBS_INIT;
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        bool ended;
        int status = 0;

        if (er_target_jobs(cli, args, count, &jobs, err) < 0)
                return -1;
        er_target_adopt(cli);
        er_live_set(live, jobs.len == 1 ? "waiting for %s" : "waiting for %s and others", jobs.items[0].name);
        if (er_target_wait_outputs(cli, live, &jobs,
                                   opts->timeout_ms >= 0 ? er_deadline_in(opts->timeout_ms) : ER_NEVER, &ended,
                                   err) < 0)
                return -1;
        er_live_clear(live);
        for (size_t i = 0; i < jobs.len; i++) {
                const struct er_job *job = &jobs.items[i];
                er_auto(er_str) line = ER_STR_INIT;

                if (!er_job_state_ended(job->state))
                        continue;
                er_target_result(&line, job);
                er_live_say(live, "%s", line.buf);
                if (status == 0)
                        status = job->exit_status;
        }
        if (ended)
                return status;
        for (size_t i = 0; i < jobs.len; i++)
                if (!er_job_state_ended(jobs.items[i].state))
                        return er_err_set(err, ER_TIMEOUT, "%s is still %s", jobs.items[i].name,
                                          er_job_state_name(jobs.items[i].state));
        return er_err_set(err, ER_TIMEOUT, "outputs are still being fetched");
}

const struct er_command er_cmd_wait = {
        .name = "wait",
        .group = "Follow",
        .summary = "Wait until jobs have ended and their outputs are here",
        .arguments = "[JOB]...",
        .description = "The exit status is that of the first job, in the order given, whose exit status is not 0; "
                       "otherwise 0. Without JOB, waits for the latest run of this project.",
        .examples = "errand wait mnist-12 && errand run ./evaluate\tone after the other\n",
        .opts = wait_options,
        .opt_count = ER_LEN(wait_options),
        .opts_size = sizeof(struct wait_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .max_args = -1,
        .complete = ER_COMPLETE_JOB,
        .run = wait_command,
};

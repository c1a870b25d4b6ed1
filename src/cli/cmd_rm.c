/* cmd_rm.c - errand rm: removes jobs that have ended, here and on their hosts. */
#include "base/parse.h"
#include "cli/target.h"
#include "cli/view.h"
#include "cli/words.h"
#include "host/attempt.h"
#include "maestro/maestro.h"

struct rm_opts {
        bool force;
};

static const struct er_opt rm_options[] = {
        {"force", 'f', ER_OPT_FLAG, NULL, "Remove it here even if its host cannot be reached",
         offsetof(struct rm_opts, force), ER_COMPLETE_NONE},
};

/* One connection serves consecutive jobs of the same host. */
struct remover {
        const struct er_cli *cli;
        const struct rm_opts *opts;
        char *host;
        struct er_session *session;
        uint64_t freed;
};

static int session_for(struct remover *r, const char *host, struct er_err *err)
{
        if (r->session && er_streq(r->host, host))
                return 0;
        er_session_free(er_take(r->session));
        free(r->host);
        r->host = er_strdup(host);
        return er_target_session(r->cli, host, NULL, &r->session, err);
}

static int remove_there(struct remover *r, const struct er_job *job, const char *host, struct er_err *err)
{
        er_autofree char *key = er_job_key(r->cli->store, job);
        er_auto(er_err) why = ER_ERR_INIT;

        if (session_for(r, host, &why) == 0 && er_attempt_remove(r->session, key, 0, &r->freed, &why) == 0)
                return 0;
        er_session_free(er_take(r->session));
        if (why.code == ER_NOT_FOUND)
                return 0;
        if (r->opts->force) {
                er_say(r->cli, "%s is still on %s: %s", job->name, host, why.message ? why.message : "no answer");
                return 0;
        }
        if (why.code != ER_STATE)
                er_err_hint(&why, "errand rm --force %s removes it here, and errand gc removes it there later",
                            job->name);
        return er_err_move(err, &why);
}

static int remove_job(struct remover *r, const struct er_job *job, struct er_err *err)
{
        struct er_attempt *attempts = NULL;
        size_t count = 0;
        int rc = 0;

        if (!er_job_state_ended(job->state)) {
                er_err_set(err, ER_STATE, "%s cannot be removed: it is %s", job->name, er_job_state_name(job->state));
                return er_err_hint(err, "cancel it first: errand cancel %s", job->name);
        }
        if (er_store_attempts(r->cli->store, job->id, &attempts, &count, err) < 0)
                return -1;
        for (size_t i = 0; i < count && rc == 0; i++) {
                bool again = false;

                for (size_t j = 0; j < i; j++)
                        again |= er_streq(attempts[j].host, attempts[i].host);
                if (!again && attempts[i].host)
                        rc = remove_there(r, job, attempts[i].host, err);
        }
        for (size_t i = 0; i < count; i++)
                er_attempt_release(&attempts[i]);
        free(attempts);
        return rc < 0 ? -1 : er_store_remove_job(r->cli->store, job->id, err);
}

static int rm(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        struct remover r = {.cli = cli, .opts = arg};
        er_auto(er_jobs) jobs = ER_JOBS_INIT;
        er_auto(er_str) size = ER_STR_INIT;
        size_t removed = 0;
        int rc = er_target_jobs(cli, args, count, &jobs, err);

        for (size_t i = 0; rc == 0 && i < jobs.len; i++) {
                rc = remove_job(&r, &jobs.items[i], err);
                removed += rc == 0;
        }
        er_session_free(r.session);
        free(r.host);
        if (removed > 0) {
                er_view_count(&size, removed, "job");
                er_str_add(&size, " removed, ");
                er_fmt_size(&size, r.freed);
                er_say(cli, "%s freed", size.buf);
        }
        return rc;
}

const struct er_command er_cmd_rm = {
        .name = "rm",
        .group = "Clean up",
        .summary = "Remove jobs that have ended, here and on their hosts",
        .arguments = "JOB...",
        .description = "Removes the jobs' records here, and their directories and logs on the hosts, for good. Results "
                       "that were fetched stay. A job that has not ended is refused: cancel it first.",
        .opts = rm_options,
        .opt_count = ER_LEN(rm_options),
        .opts_size = sizeof(struct rm_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .min_args = 1,
        .max_args = -1,
        .complete = ER_COMPLETE_JOB,
        .run = rm,
};

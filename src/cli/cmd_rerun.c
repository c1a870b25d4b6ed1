/* cmd_rerun.c - errand rerun: runs the same command with the same files again. */
#include "cli/follow.h"
#include "cli/secrets.h"
#include "job/config.h"

struct rerun_opts {
        struct er_strv on;
        bool detach;
};

static const struct er_opt rerun_options[] = {
        {"on", 0, ER_OPT_LIST, "HOST", "Run it on HOST instead", offsetof(struct rerun_opts, on), ER_COMPLETE_HOST},
        {"detach", 'd', ER_OPT_FLAG, NULL, "Return once the job is on its host, and print its name",
         offsetof(struct rerun_opts, detach), ER_COMPLETE_NONE},
};

/* The secrets in the addresses of the job's packages are not stored, so they come from the project as it is now. */
static int find_secrets(struct er_cli *cli, const struct er_job *job, const struct er_spec *spec, struct er_err *err)
{
        er_auto(er_str) bytes = ER_STR_INIT;
        er_auto(er_recipe) stored = ER_RECIPE_INIT;
        er_auto(er_recipe) now = ER_RECIPE_INIT;
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_auto(er_spec) copy = ER_SPEC_INIT;

        if (!spec->has_environment ||
            er_store_environment(cli->store, er_svn((const char *)spec->environment, ER_ENV_HASH), &bytes, NULL) < 0 ||
            er_recipe_decode(er_svn(bytes.buf, bytes.len), &stored, NULL) < 0 || stored.secrets.len == 0)
                return 0;
        /* None of that need exist any more, and it may not even be needed. */
        if (er_spec_decode(er_svn(job->spec.buf, job->spec.len), &copy, NULL) < 0 ||
            er_config_load(job->project_dir, &config, NULL) < 0 ||
            er_config_recipe(&config, job->project_dir, &copy, &now, NULL) < 0)
                return 0;
        return er_secrets_keep(&now.values, err);
}

static int rerun(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct rerun_opts *opts = arg;
        er_auto(er_job) job = ER_JOB_INIT;
        er_auto(er_request) request = ER_REQUEST_INIT;
        struct er_spec *spec = &request.spec;
        er_auto(er_run) run = {0};

        if (er_target_job(cli, count > 0 ? args[0] : NULL, &job, err) < 0)
                return -1;
        if (er_spec_decode(er_svn(job.spec.buf, job.spec.len), spec, err) < 0)
                return er_err_wrap(err, "reading the stored job %s", job.name);
        request.project_dir = er_strdup(job.project_dir);
        if (opts->on.len > 0) {
                er_strv_release(&spec->hosts);
                spec->hosts = (struct er_strv)ER_STRV_INIT;
                er_strv_addall(&spec->hosts, opts->on.items, opts->on.len);
        }
        if (er_secrets_ask(&spec->secrets, err) < 0 || find_secrets(cli, &job, spec, err) < 0 ||
            er_follow_store(cli, &request, NULL, &run, err) < 0)
                return -1;
        return er_follow_run(cli, &(struct er_follow){.run = &run, .detach = opts->detach}, err);
}

const struct er_command er_cmd_rerun = {
        .name = "rerun",
        .group = "Run",
        .summary = "Run a job again, with the files it had then",
        .arguments = "[JOB]",
        .description =
                "The new job has the command, files, variables and needs of the old one, whatever has changed in the "
                "project since, and a name of its own. Without JOB, the latest job of this project is run again.\n"
                "\n"
                "The old files are still on the host unless errand gc removed them. If they are gone, or the job goes "
                "to another host, they are sent again, provided that they are unchanged in the project; if they are "
                "not, rerun says so.",
        .examples = "errand rerun mnist-12\t\n"
                    "errand rerun mnist-12 --on gpu-box\ton another host\n",
        .opts = rerun_options,
        .opt_count = ER_LEN(rerun_options),
        .opts_size = sizeof(struct rerun_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_JSON | ER_CMD_QUIET,
        .max_args = 1,
        .complete = ER_COMPLETE_JOB,
        .run = rerun,
};

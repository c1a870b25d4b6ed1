/* cmd_pull.c - errand pull: files of a job, from its host to this machine. */
#include <sys/stat.h>
#include "base/io.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/target.h"
#include "cli/view.h"
#include "host/files.h"
#include "maestro/maestro.h"
#include "proto/spec.h"

struct pull_opts {
        const char *to;
};

static const struct er_opt pull_options[] = {
        {"to", 't', ER_OPT_TEXT, "DIR", "Put files into DIR, which is created if necessary",
         offsetof(struct pull_opts, to), ER_COMPLETE_DIR},
};

struct progress {
        struct er_live *live;
        const char *what;
};

static void show_progress(void *arg, const struct er_transfer *transfer)
{
        const struct progress *progress = arg;

        er_live_transfer(progress->live, progress->what, transfer);
}

static bool is_directory(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int pull_patterns(struct er_session *session, const char *key, const struct er_job *job,
                         const struct er_strv *patterns, const char *to, const char *within, bool flat, bool strict,
                         struct er_transfer *transfer, struct er_err *err)
{
        const struct er_pull pull = {.key = key,
                                     .attempt = job->attempt,
                                     .patterns = patterns,
                                     .to = to,
                                     .flat = flat,
                                     .strict = strict,
                                     .within = within};

        return er_pull(session, &pull, transfer, err);
}

/* As with scp, a file or directory given by name is stored under its own name; what a pattern finds keeps its path. */
static int pull_each(struct er_session *session, const char *key, const struct er_job *job,
                     const struct er_strv *patterns, const char *to, struct er_transfer *transfer, struct er_err *err)
{
        for (size_t i = 0; i < patterns->len; i++) {
                er_auto(er_strv) one = ER_STRV_INIT;
                struct er_transfer part = {.progress = transfer->progress, .arg = transfer->arg};

                er_strv_add(&one, patterns->items[i]);
                if (pull_patterns(session, key, job, &one, to, NULL, !strpbrk(patterns->items[i], "*?["), true, &part,
                                  err) < 0)
                        return -1;
                transfer->files += part.files;
                transfer->bytes += part.bytes;
        }
        return 0;
}

static int pull_job(const struct er_cli *cli, const struct er_job *job, const struct er_strv *patterns, const char *to,
                    struct er_live *live, struct er_err *err)
{
        er_autoptr(er_session) session = NULL;
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_auto(er_str) size = ER_STR_INIT;
        er_autofree char *key = er_job_key(cli->store, job), *results = er_job_results_dir(job), *shown = NULL;
        struct progress progress = {live, job->name};
        struct er_transfer transfer = {.progress = show_progress, .arg = &progress};

        if (!job->host || job->attempt == 0)
                return er_err_set(err, ER_STATE, "%s is not on a host yet", job->name);
        if (patterns->len == 0) {
                if (er_spec_decode(er_svn(job->spec.buf, job->spec.len), &spec, err) < 0)
                        return -1;
                if (spec.outputs.len == 0) {
                        er_err_set(err, ER_USAGE, "%s declares no outputs", job->name);
                        return er_err_hint(err, "say which files: errand pull %s PATH... [TO]", job->name);
                }
        }
        if (er_target_session(cli, job->host, live, &session, err) < 0)
                return -1;
        er_live_clear(live);
        if (patterns->len == 0) {
                if (pull_patterns(session, key, job, &spec.outputs, to ? to : results, to ? NULL : job->project_dir,
                                  false, false, &transfer, err) < 0)
                        return -1;
                to = to ? to : results;
        } else {
                to = to ? to : ".";
                if (pull_each(session, key, job, patterns, to, &transfer, err) < 0)
                        return err && err->code == ER_NOT_FOUND && !err->hint && patterns->len > 1
                                       ? er_err_hint(err, "to put files into a directory of this machine, end its name "
                                                          "with / or use --to")
                                       : -1;
        }
        shown = er_view_path(to);
        er_view_count(&size, transfer.files, "file");
        er_str_add(&size, ", ");
        er_fmt_size(&size, transfer.bytes);
        er_live_say(live, "%s: %s into %s", job->name, size.buf, shown);
        return 0;
}

static int pull(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct pull_opts *opts = arg;
        er_auto(er_jobs) jobs = ER_JOBS_INIT;
        er_auto(er_strv) patterns = ER_STRV_INIT;
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        const char *to = opts->to;

        if (er_target_jobs(cli, args, count > 0 ? 1 : 0, &jobs, err) < 0)
                return -1;
        if (!to && count > 2 && (er_ends(args[count - 1], "/") || is_directory(args[count - 1])))
                to = args[--count];
        for (int i = 1; i < count; i++)
                er_strv_add(&patterns, args[i]);
        for (size_t i = 0; i < jobs.len; i++) {
                er_autofree char *into = to && jobs.len > 1 ? er_fmt("%s/%s", to, jobs.items[i].name) : NULL;

                if (pull_job(cli, &jobs.items[i], &patterns, into ? into : to, live, err) < 0)
                        return -1;
        }
        return 0;
}

const struct er_command er_cmd_pull = {
        .name = "pull",
        .group = "Follow",
        .summary = "Fetch files from a job, even while it runs",
        .arguments = "[JOB [PATH]... [TO]]",
        .description = "PATHs are relative to the directory that the job's command runs in, and may be patterns (quote "
                       "them: 'out/*.pt'; ** crosses directories). A file or directory given by name is stored under "
                       "its own name; files found by a pattern keep their paths. If the last argument ends with / or "
                       "is an existing directory, files are put there; otherwise they go into the current directory. "
                       "Without PATH, the declared outputs are fetched into results/JOB/.\n"
                       "\n"
                       "Files that are already here with the same size and time are not fetched again, and partial "
                       "files are continued.",
        .examples = "errand pull mnist-12 checkpoint.pt\tinto the current directory\n"
                    "errand pull mnist-12 'out/*.pt' /tmp/models/\t\n"
                    "errand pull mnist-12\tits declared outputs so far\n",
        .opts = pull_options,
        .opt_count = ER_LEN(pull_options),
        .opts_size = sizeof(struct pull_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .max_args = -1,
        .complete = ER_COMPLETE_JOB,
        .run = pull,
};

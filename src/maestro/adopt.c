/* adopt.c - runs that nobody carries: starts a background process for them, and cancels their jobs. */
#include "maestro/maestro.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "base/crash.h"
#include "base/path.h"
#include "base/proc.h"
#include "maestro/loop.h"

#define FRESH_MS 30000  /* how long the process that made a run has to start carrying it */
#define CANCEL_MS 10000 /* how long a cancel tries on its own */
#define RUNS_PER_PROCESS 2000

/* A run looks abandoned from the moment it is stored until its maker has the lease. */
static bool is_being_made(struct er_store *store, int64_t run_id)
{
        pid_t pid = 0;
        int64_t created_ms = 0, age;

        if (er_store_run_creator(store, run_id, &pid, &created_ms, NULL) < 0)
                return false;
        age = er_now_ms() - created_ms;
        return pid > 1 && pid != getpid() && age >= 0 && age < FRESH_MS && (kill(pid, 0) == 0 || errno == EPERM);
}

static int start_process(struct er_store *store, const char *program, const int64_t *ids, size_t count,
                         struct er_err *err)
{
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_autofree char *log_path = er_path_join(er_store_dir(store), "maestro.log");
        er_autoclose int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        struct er_proc_opts opts = {
                .cwd = "/",
                .io = {ER_PROC_NULL, ER_PROC_NULL, log >= 0 ? ER_PROC_FD : ER_PROC_NULL},
                .fds = {-1, -1, log},
                .new_session = true,
        };
        struct er_proc proc = ER_PROC_INIT;

        er_strv_add(&argv, program);
        er_strv_add(&argv, "--state-dir");
        er_strv_add(&argv, er_store_dir(store));
        er_strv_add(&argv, "maestro");
        for (size_t i = 0; i < count; i++) {
                er_strv_add(&argv, "--run");
                er_strv_addf(&argv, "%lld", (long long)ids[i]);
        }
        opts.argv = argv.items;
        /* Do not wait for it, and do not release it: that would end it. It outlives us, or is reaped when we end. */
        return er_proc_start(&opts, &proc, err);
}

int er_maestro_adopt(struct er_store *store, const char *program, struct er_err *err)
{
        er_autofree int64_t *ids = NULL;
        size_t count = 0, orphans = 0;

        if (er_store_open_runs(store, &ids, &count, err) < 0)
                return -1;
        for (size_t i = 0; i < count && orphans < RUNS_PER_PROCESS; i++)
                if (!er_maestro_is_carried(store, ids[i]) && !is_being_made(store, ids[i]))
                        ids[orphans++] = ids[i];
        if (orphans == 0)
                return 0;
        if (start_process(store, program, ids, orphans, err) < 0)
                return er_err_wrap(err, "starting a background process for open runs");
        return (int)orphans;
}

int er_maestro_cancel(struct er_store *store, const int64_t *job_ids, size_t count, struct er_err *err)
{
        er_autofree int64_t *runs = er_calloc(count + 1, sizeof *runs);
        er_auto(er_err) why = ER_ERR_INIT;
        const struct er_maestro_opts opts = {.store = store};
        size_t run_count = 0, skipped = 0;

        for (size_t i = 0; i < count; i++) {
                er_auto(er_job) job = ER_JOB_INIT;

                if (er_store_job(store, job_ids[i], &job, err) < 0)
                        return -1;
                if (er_job_state_ended(job.state))
                        continue;
                er_crashpoint("cancel asked");
                if (er_store_ask_cancel(store, job.id, err) < 0)
                        return -1;
                if (!er_maestro_is_carried(store, job.run_id) && (!run_count || runs[run_count - 1] != job.run_id))
                        runs[run_count++] = job.run_id;
        }
        if (run_count == 0)
                return 0;
        /* Nobody is there to notice: do it here, as far as the hosts can be reached now. The store has the request; the
           next maestro goes on with whatever is left. */
        if (er_loop_carry(&opts, runs, run_count, er_deadline_in(CANCEL_MS), &skipped, &why) < 0 &&
            why.code != ER_TIMEOUT)
                return er_err_move(err, &why);
        return 0;
}

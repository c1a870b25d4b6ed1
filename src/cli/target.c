/* target.c - see target.h */
#include "cli/target.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include "base/log.h"
#include "base/parse.h"
#include "base/term.h"
#include "cli/view.h"
#include "host/snapshot/project.h"
#include "host/snapshot/snapshot.h"
#include "maestro/maestro.h"

#define LOOK_MS 30          /* between looks at the store: one PRAGMA, no disk */
#define ADOPT_EVERY_MS 5000 /* the maestro may die while we wait */
#define FETCH_MS 600000     /* then errand wait looks at its other jobs too */

void er_jobs_release(struct er_jobs *jobs)
{
        for (size_t i = 0; i < jobs->len; i++)
                er_job_release(&jobs->items[i]);
        free(jobs->items);
        *jobs = (struct er_jobs)ER_JOBS_INIT;
}

void er_jobs_add(struct er_jobs *jobs, struct er_job *job)
{
        jobs->items = er_grow(jobs->items, &jobs->cap, jobs->len + 1, sizeof *jobs->items);
        jobs->items[jobs->len++] = *job;
        *job = (struct er_job)ER_JOB_INIT;
}

int er_target_project(char **ret_dir, struct er_err *err)
{
        char cwd[4096];

        if (!getcwd(cwd, sizeof cwd))
                return er_err_errno(err, errno, "finding the current directory");
        *ret_dir = er_project_root(cwd);
        return 0;
}

static int add_named(const struct er_cli *cli, const char *name, const char *dir, struct er_jobs *jobs,
                     struct er_err *err)
{
        er_autofree int64_t *ids = NULL;
        size_t count;

        if (er_store_resolve(cli->store, name, dir, &ids, &count, err) < 0)
                return -1;
        for (size_t i = 0; i < count; i++) {
                struct er_job job = ER_JOB_INIT;
                bool there = false;

                for (size_t j = 0; j < jobs->len; j++)
                        there |= jobs->items[j].id == ids[i];
                if (there)
                        continue;
                if (er_store_job(cli->store, ids[i], &job, err) < 0)
                        return -1;
                er_jobs_add(jobs, &job);
        }
        return 0;
}

int er_target_jobs(const struct er_cli *cli, char *const *names, int count, struct er_jobs *ret, struct er_err *err)
{
        er_auto(er_jobs) jobs = ER_JOBS_INIT;
        er_autofree char *dir = NULL;

        if (er_target_project(&dir, err) < 0)
                return -1;
        if (count == 0 && add_named(cli, NULL, dir, &jobs, err) < 0)
                return -1;
        for (int i = 0; i < count; i++)
                if (add_named(cli, names[i], dir, &jobs, err) < 0)
                        return -1;
        *ret = jobs;
        jobs = (struct er_jobs)ER_JOBS_INIT;
        return 0;
}

int er_target_job(const struct er_cli *cli, const char *name, struct er_job *ret, struct er_err *err)
{
        er_auto(er_jobs) jobs = ER_JOBS_INIT;
        char *names[] = {NULL};

        if (name) {
                er_autofree char *copy = er_strdup(name);

                names[0] = copy;
                if (er_target_jobs(cli, names, 1, &jobs, err) < 0)
                        return -1;
        } else if (er_target_jobs(cli, names, 0, &jobs, err) < 0)
                return -1;
        if (jobs.len != 1) {
                er_err_set(err, ER_USAGE, "%s has %zu jobs", jobs.len ? jobs.items[0].run : "it", jobs.len);
                return er_err_hint(err, "name one of them, for example %s", jobs.len ? jobs.items[0].name : "");
        }
        *ret = jobs.items[0];
        jobs.items[0] = (struct er_job)ER_JOB_INIT;
        return 0;
}

int er_jobs_reload(const struct er_cli *cli, struct er_jobs *jobs, struct er_err *err)
{
        for (size_t i = 0; i < jobs->len; i++) {
                struct er_job fresh = ER_JOB_INIT;

                if (er_store_job(cli->store, jobs->items[i].id, &fresh, err) < 0)
                        return -1;
                er_job_release(&jobs->items[i]);
                jobs->items[i] = fresh;
        }
        return 0;
}

static void show_note(void *arg, const char *text)
{
        er_live_note(arg, text);
}

int er_target_session(const struct er_cli *cli, const char *host, struct er_live *live, struct er_session **ret,
                      struct er_err *err)
{
        er_auto(er_host) address = ER_HOST_INIT;
        struct er_session_opts opts = {.interactive = er_term_is(STDERR_FILENO)};

        if (live) {
                opts.note = show_note;
                opts.note_arg = live;
        }
        if (er_hosts_find(cli->store, host, &address, err) < 0)
                return -1;
        if (er_session_open(&address, &opts, ret, err) == 0)
                return 0;
        if (err && err->code == ER_NET) {
                er_auto(er_str) meant = ER_STR_INIT;

                if (er_target_host_meant(cli->store, host, &meant))
                        er_err_hint(err, "%s", meant.buf);
        }
        return -1;
}

bool er_target_host_meant(struct er_store *store, const char *name, struct er_str *out)
{
        er_auto(er_strv) names = ER_STRV_INIT;
        struct er_host *known = NULL;
        size_t count = 0, found;
        const char *near[3];

        if (er_hosts_known(store, &known, &count, NULL) < 0)
                return false;
        er_host_aliases(&names);
        for (size_t i = 0; i < count; i++) {
                if (!er_strv_has(&names, known[i].name))
                        er_strv_add(&names, known[i].name);
                er_host_release(&known[i]);
        }
        free(known);
        if (er_strv_has(&names, name))
                return false;
        found = er_nearest(name, (const char *const *)names.items, names.len, near, ER_LEN(near));
        for (size_t i = 0; i < found; i++)
                er_str_addf(out, "%s%s", i == 0 ? "did you mean " : i + 1 < found ? ", " : " or ", near[i]);
        if (found > 0)
                er_str_addc(out, '?');
        return found > 0;
}

int er_target_adopt(const struct er_cli *cli)
{
        er_auto(er_err) err = ER_ERR_INIT;
        int started = er_maestro_adopt(cli->store, cli->program, &err);

        if (started >= 0)
                return started;
        er_debug("cli", "adopting open runs: %s", err.message);
        return 0;
}

static bool all_over(const struct er_jobs *jobs)
{
        for (size_t i = 0; i < jobs->len; i++)
                if (!er_job_state_ended(jobs->items[i].state) || !jobs->items[i].outputs_fetched)
                        return false;
        return true;
}

struct fetching {
        struct er_live *live;
        struct er_str *said; /* the last problem */
};

static void on_trouble(void *arg, const struct er_job *job, const struct er_err *err)
{
        struct fetching *f = arg;
        er_auto(er_str) text = ER_STR_INIT;

        er_str_addf(&text, "%s: %s", job->name, err->message ? err->message : er_code_name(err->code));
        if (!f->live || er_streq(text.buf, f->said->buf))
                return;
        er_live_say(f->live, "%s", text.buf);
        if (err->hint)
                er_live_more(f->live, "%s", err->hint);
        er_live_more(f->live, "errand tries again every few seconds");
        er_str_reset(f->said);
        er_str_add(f->said, text.buf);
}

/* Fetches outputs that nobody else is fetching, so that the user who waits for them learns about problems. Returns true
 * if anything was tried. */
static bool fetch_here(const struct er_cli *cli, const struct er_jobs *jobs, er_deadline deadline, struct fetching *f)
{
        bool tried = false;

        for (size_t i = 0; i < jobs->len; i++) {
                const struct er_job *job = &jobs->items[i];
                er_deadline until = deadline == ER_NEVER ? er_deadline_in(FETCH_MS) : deadline;
                const struct er_maestro_opts opts = {
                        .store = cli->store, .until = until, .ui = {.arg = f, .warn = on_trouble}};
                er_auto(er_err) why = ER_ERR_INIT;

                if (!er_job_state_ended(job->state) || job->outputs_fetched ||
                    er_maestro_is_carried(cli->store, job->run_id))
                        continue;
                tried = true;
                if (er_maestro_carry(&opts, &job->run_id, 1, NULL, &why) < 0 && why.code != ER_TIMEOUT)
                        on_trouble(f, job, &why);
        }
        return tried;
}

static int wait_for(const struct er_cli *cli, struct er_live *live, struct er_jobs *jobs, er_deadline deadline,
                    int stop, bool *ret_ended, struct er_err *err)
{
        er_auto(er_str) said = ER_STR_INIT;
        struct fetching fetching = {.live = live, .said = &said};
        er_deadline adopt_at = er_deadline_in(ADOPT_EVERY_MS);
        int64_t seen = er_store_version(cli->store);

        if (er_jobs_reload(cli, jobs, err) < 0)
                return -1;
        while (!all_over(jobs)) {
                struct pollfd wait = {.fd = stop, .events = POLLIN};
                int64_t now, left = deadline == ER_NEVER ? LOOK_MS : deadline - er_mono_ms();

                if (left <= 0)
                        break;
                if (poll(&wait, 1, (int)(left < LOOK_MS ? left : LOOK_MS)) > 0)
                        break;
                if (er_mono_ms() >= adopt_at) {
                        if (live && fetch_here(cli, jobs, deadline, &fetching))
                                seen = -1; /* the store's version changes when others write, not when we do */
                        er_target_adopt(cli);
                        adopt_at = er_deadline_in(ADOPT_EVERY_MS);
                }
                now = er_store_version(cli->store);
                if (now == seen)
                        continue;
                seen = now;
                if (er_jobs_reload(cli, jobs, err) < 0)
                        return -1;
        }
        *ret_ended = all_over(jobs);
        return 0;
}

int er_target_wait(const struct er_cli *cli, struct er_jobs *jobs, er_deadline deadline, int stop, bool *ret_ended,
                   struct er_err *err)
{
        return wait_for(cli, NULL, jobs, deadline, stop, ret_ended, err);
}

int er_target_wait_outputs(const struct er_cli *cli, struct er_live *live, struct er_jobs *jobs, er_deadline deadline,
                           bool *ret_ended, struct er_err *err)
{
        return wait_for(cli, live, jobs, deadline, -1, ret_ended, err);
}

void er_target_result(struct er_str *out, const struct er_job *job)
{
        int64_t took = er_view_took_ms(job, er_now_ms());

        er_str_addf(out, "%s ", job->name);
        er_view_state(out, job, er_now_ms());
        if (took >= 0) {
                er_str_add(out, job->state == ER_JOB_DONE ? " in " : " after ");
                er_fmt_duration(out, took);
        }
        er_view_remark(out, job);
}

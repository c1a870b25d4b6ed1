/* test_store.c - runs, jobs, attempts and hosts, several processes at once, and stores that are damaged or too new. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/path.h"
#include "store/store.h"

struct world {
        char *dir;
        struct er_store *store;
};

static int setup(void **state)
{
        struct world *w = er_new(struct world);
        char path[] = "/tmp/er-store-XXXXXX";

        assert_non_null(mkdtemp(path));
        w->dir = er_fmt("%s/state", path);
        assert_int_equal(er_store_open(w->dir, &w->store, NULL), 0);
        *state = w;
        return 0;
}

static int teardown(void **state)
{
        struct world *w = *state;
        er_autofree char *parent = er_path_dir(w->dir);

        er_store_close(w->store);
        assert_int_equal(er_rmtree(AT_FDCWD, parent, NULL, NULL), 0);
        free(w->dir);
        free(w);
        return 0;
}

static int64_t add(struct er_store *store, const char *project, const char *dir, const char *name, size_t count,
                   char **ret_name)
{
        struct er_new_job jobs[8];
        er_auto(er_run) run = {0};
        er_auto(er_err) err = ER_ERR_INIT;

        for (size_t i = 0; i < count; i++)
                jobs[i] = (struct er_new_job){.spec = ER_SV("spec"), .command = "true"};
        if (er_store_add_run(store, project, dir, name, jobs, count, 1000, &run, &err) < 0)
                fail_msg("%s", err.message);
        if (ret_name)
                *ret_name = er_strdup(run.name);
        return run.id;
}

static void add_named(struct er_store *store, const char *project, const char *name, const char *expected)
{
        er_autofree char *got = NULL;

        add(store, project, "/p", name, 1, &got);
        assert_string_equal(got, expected);
}

static int64_t job_id(struct er_store *store, const char *name)
{
        er_autofree int64_t *ids = NULL;
        size_t count = 0;

        assert_int_equal(er_store_resolve(store, name, NULL, &ids, &count, NULL), 0);
        assert_true(count >= 1);
        return ids[0];
}

static void end_job(struct er_store *store, int64_t id, enum er_job_state state)
{
        er_auto(er_job) job = ER_JOB_INIT;

        assert_int_equal(er_store_job(store, id, &job, NULL), 0);
        job.state = state;
        job.ended_ms = 2000;
        job.exit_status = 0;
        job.outputs_fetched = true;
        assert_int_equal(er_store_update(store, &job, NULL, NULL), 0);
}

struct counted {
        enum er_job_state state;
        size_t count;
};

static int count_job(void *arg, const struct er_job *job, struct er_err *err)
{
        struct counted *counted = arg;

        (void)err;
        counted->count += job->state == counted->state;
        return 0;
}

static size_t count_jobs(struct er_store *store, enum er_job_state state)
{
        struct counted counted = {.state = state};

        assert_int_equal(er_store_each_job(store, &(struct er_job_filter){0}, count_job, &counted, NULL), 0);
        return counted.count;
}

static bool run_exists(struct er_store *store, int64_t id)
{
        pid_t creator = 0;
        int64_t created_ms = 0;

        assert_int_equal(er_store_run_creator(store, id, &creator, &created_ms, NULL), 0);
        return creator > 0;
}

static void test_names(void **state)
{
        struct er_store *s = ((struct world *)*state)->store;

        add_named(s, "mnist", NULL, "mnist-1");
        add_named(s, "mnist", NULL, "mnist-2");
        add_named(s, "other", NULL, "other-1");
        add_named(s, "mnist", "big", "big");
        add_named(s, "mnist", "big", "big-2");
        add_named(s, "mnist", "big", "big-3");
        /* An explicit name ahead of the counter: the counter continues after it. */
        add_named(s, "mnist", "mnist-7", "mnist-7");
        add_named(s, "mnist", NULL, "mnist-8");
        /* An explicit name that the counter has used. */
        add_named(s, "mnist", "mnist-2", "mnist-2-2");
}

static void test_names_are_never_given_out_again(void **state)
{
        struct er_store *s = ((struct world *)*state)->store;
        static const char *const names[] = {"a-1.0", "x.0"};

        add_named(s, "a", NULL, "a-1");
        add_named(s, "a", "x", "x");
        for (size_t i = 0; i < ER_LEN(names); i++) {
                int64_t id = job_id(s, names[i]);

                end_job(s, id, ER_JOB_DONE);
                assert_int_equal(er_store_remove_job(s, id, NULL), 0);
        }
        add_named(s, "a", NULL, "a-2");
        add_named(s, "a", "x", "x-2");
}

static void test_job_round_trip(void **state)
{
        struct er_store *s = ((struct world *)*state)->store;
        er_auto(er_job) job = ER_JOB_INIT;
        int64_t id;
        er_auto(er_job) again = ER_JOB_INIT;

        add(s, "p", "/dir", NULL, 2, NULL);
        id = job_id(s, "p-1.1");
        assert_int_equal(er_store_job(s, id, &job, NULL), 0);
        assert_string_equal(job.name, "p-1.1");
        assert_string_equal(job.run, "p-1");
        assert_string_equal(job.project, "p");
        assert_string_equal(job.project_dir, "/dir");
        assert_int_equal(job.index, 1);
        assert_int_equal(job.state, ER_JOB_WAITING);
        assert_int_equal(job.exit_status, -1);
        assert_int_equal(job.created_ms, 1000);
        assert_string_equal(job.spec.buf, "spec");
        assert_null(job.host);
        assert_false(job.outputs_fetched);

        assert_int_equal(er_store_set_tree(s, id, er_svn("a\0b", 3), NULL), 0);
        assert_int_equal(er_store_job(s, id, &again, NULL), 0);
        assert_int_equal(again.spec.len, 3);
        assert_memory_equal(again.spec.buf, "a\0b", 3);
}

static void test_attempts(void **state)
{
        struct er_store *s = ((struct world *)*state)->store;
        int64_t id, first = 0, second = 0;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_attempt *list = NULL;
        size_t count = 0;
        struct er_attempt *a;
        er_auto(er_job) job = ER_JOB_INIT;

        add(s, "p", "/dir", NULL, 1, NULL);
        id = job_id(s, "p-1");
        assert_int_equal(er_store_add_attempt(s, id, 1, "gpu-box", 5, &first, NULL), 0);
        assert_int_equal(er_store_add_attempt(s, id, 1, "gpu-box", 5, &second, &err), -1);

        assert_int_equal(er_store_attempts(s, id, &list, &count, NULL), 0);
        assert_int_equal(count, 1);
        assert_false(list[0].submitted);
        assert_int_equal(list[0].state, ER_STATE_WAITING);
        a = &list[0];
        a->submitted = true;
        a->state = ER_STATE_ENDED;
        a->end = ER_END_LOST;
        a->reason = ER_REASON_REBOOT;
        a->boot_id = er_strdup("boot");
        a->dir = er_strdup("/dir");
        a->detail = er_strdup("why");
        a->max_rss = UINT64_MAX - 1;
        a->gpu_mask = (uint64_t)1 << 63;
        a->seq = 7;
        a->log_size = 99;
        a->gpu_util = 50;
        assert_int_equal(er_store_update(s, NULL, a, NULL), 0);
        /* An end is never taken back. */
        a->end = ER_END_NONE;
        assert_int_equal(er_store_update(s, NULL, a, NULL), 0);
        er_attempt_release(a);
        free(list);

        assert_int_equal(er_store_add_attempt(s, id, 2, "other", 6, &second, NULL), 0);
        assert_int_equal(er_store_attempts(s, id, &list, &count, NULL), 0);
        assert_int_equal(count, 2);
        assert_int_equal(list[0].end, ER_END_LOST);
        assert_true(list[0].max_rss == UINT64_MAX - 1);
        assert_true(list[0].gpu_mask == (uint64_t)1 << 63);
        assert_string_equal(list[0].boot_id, "boot");
        assert_string_equal(list[0].detail, "why");
        assert_int_equal(list[0].seq, 7);
        assert_int_equal(list[1].number, 2);
        assert_int_equal(list[1].exit_code, -1);
        for (size_t i = 0; i < count; i++)
                er_attempt_release(&list[i]);
        free(list);
        assert_int_equal(er_store_job(s, id, &job, NULL), 0);
        assert_string_equal(job.host, "other");
        assert_int_equal(job.attempt, 2);
}

static void test_an_ended_job_stays_ended(void **state)
{
        struct er_store *s = ((struct world *)*state)->store;
        int64_t id, attempt;
        er_auto(er_job) before = ER_JOB_INIT;
        er_auto(er_job) after = ER_JOB_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        add(s, "p", "/dir", NULL, 1, NULL);
        id = job_id(s, "p-1");
        assert_int_equal(er_store_job(s, id, &before, NULL), 0);
        end_job(s, id, ER_JOB_DONE);
        before.state = ER_JOB_RUNNING;
        assert_int_equal(er_store_update(s, &before, NULL, NULL), 0);
        assert_int_equal(er_store_job(s, id, &after, NULL), 0);
        assert_int_equal(after.state, ER_JOB_DONE);
        assert_true(after.outputs_fetched);
        assert_int_equal(er_store_add_attempt(s, id, 1, "h", 1, &attempt, &err), -1);
        assert_int_equal(err.code, ER_STATE);
}

static void test_cancel_wish_survives_an_older_view(void **state)
{
        struct er_store *s = ((struct world *)*state)->store;
        int64_t id;
        er_auto(er_job) job = ER_JOB_INIT;
        er_autofree int64_t *ids = NULL;
        size_t count = 0;

        add(s, "p", "/dir", NULL, 2, NULL);
        id = job_id(s, "p-1.1");
        assert_int_equal(er_store_job(s, id, &job, NULL), 0);
        assert_int_equal(er_store_ask_cancel(s, id, NULL), 0);
        job.state = ER_JOB_RUNNING;
        assert_int_equal(er_store_update(s, &job, NULL, NULL), 0);
        assert_int_equal(er_store_cancels(s, &ids, &count, NULL), 0);
        assert_int_equal(count, 1);
        assert_int_equal(ids[0], id);
}

static void test_resolve(void **state)
{
        struct er_store *s = ((struct world *)*state)->store;
        er_auto(er_err) err = ER_ERR_INIT;
        er_autofree int64_t *ids = NULL;
        size_t count = 0;

        assert_int_equal(er_store_resolve(s, NULL, "/a", &ids, &count, &err), -1);
        assert_int_equal(err.code, ER_NOT_FOUND);
        add(s, "mnist", "/a", NULL, 3, NULL);
        add(s, "mnist", "/b", NULL, 1, NULL);
        assert_int_equal(er_store_resolve(s, "mnist-1", NULL, &ids, &count, NULL), 0);
        assert_int_equal(count, 3);
        assert_true(ids[0] < ids[1] && ids[1] < ids[2]);
        free(er_take(ids));
        assert_int_equal(er_store_resolve(s, NULL, "/b", &ids, &count, NULL), 0);
        assert_int_equal(count, 1);
        free(er_take(ids));
        er_err_clear(&err);
        assert_int_equal(er_store_resolve(s, "mnits-1", NULL, &ids, &count, &err), -1);
        assert_int_equal(err.code, ER_NOT_FOUND);
        assert_non_null(strstr(err.message, "mnits-1"));
        assert_non_null(strstr(err.hint, "mnist-1"));
}

struct seen {
        char names[20][32];
        size_t count, stop_after;
};

static int see(void *arg, const struct er_job *job, struct er_err *err)
{
        struct seen *seen = arg;

        assert_true(seen->count < 20);
        snprintf(seen->names[seen->count++], 32, "%s", job->name);
        if (seen->stop_after && seen->count == seen->stop_after)
                return er_err_set(err, ER_CANCELLED, "enough");
        return 0;
}

static void test_lists(void **state)
{
        static const struct {
                struct er_job_filter filter;
                const char *expected[5];
        } cases[] = {
                {{0}, {"a-2.0", "b-1.0", "a-1.1", "a-1.0"}},
                {{.limit = 2}, {"a-2.0", "b-1.0"}},
                {{.active_only = true}, {"a-2.0", "b-1.0", "a-1.1"}},
                {{.active_only = true, .project = "/a"}, {"a-2.0", "a-1.1"}},
                {{.project = "/a"}, {"a-2.0", "a-1.1", "a-1.0"}},
                {{.project = "/a", .limit = 1, .without_spec = true}, {"a-2.0"}},
                {{.ended_since_ms = 1500}, {"a-2.0", "b-1.0", "a-1.1", "a-1.0"}},
                {{.ended_since_ms = 3000}, {"a-2.0", "b-1.0", "a-1.1"}},
                {{.run_id = 1}, {"a-1.1", "a-1.0"}},
                {{.run_id = 1, .active_only = true}, {"a-1.1"}},
        };
        struct er_store *s = ((struct world *)*state)->store;
        struct er_job ended = ER_JOB_INIT;
        struct seen stop = {.stop_after = 2};
        er_auto(er_err) err = ER_ERR_INIT;
        er_autofree int64_t *runs = NULL;
        size_t run_count = 0;
        er_auto(er_strv) names = ER_STRV_INIT;

        add(s, "a", "/a", NULL, 2, NULL);
        add(s, "b", "/b", NULL, 1, NULL);
        add(s, "a", "/a", NULL, 1, NULL);
        end_job(s, job_id(s, "a-1.0"), ER_JOB_DONE);
        assert_int_equal(er_store_job(s, job_id(s, "b-1.0"), &ended, NULL), 0);
        ended.state = ER_JOB_FAILED;
        ended.ended_ms = 9000; /* its outputs are not here yet */
        assert_int_equal(er_store_update(s, &ended, NULL, NULL), 0);
        er_job_release(&ended);

        for (size_t i = 0; i < ER_LEN(cases); i++) {
                struct seen seen = {0};
                size_t n = 0;

                assert_int_equal(er_store_each_job(s, &cases[i].filter, see, &seen, NULL), 0);
                for (; cases[i].expected[n]; n++) {
                        assert_true(n < seen.count);
                        assert_string_equal(seen.names[n], cases[i].expected[n]);
                }
                assert_int_equal(seen.count, n);
        }
        assert_int_equal(er_store_each_job(s, &(struct er_job_filter){0}, see, &stop, &err), -1);
        assert_int_equal(err.code, ER_CANCELLED);

        assert_int_equal(count_jobs(s, ER_JOB_WAITING), 2);
        assert_int_equal(count_jobs(s, ER_JOB_DONE), 1);
        assert_int_equal(count_jobs(s, ER_JOB_FAILED), 1);

        assert_int_equal(er_store_open_runs(s, &runs, &run_count, NULL), 0);
        assert_int_equal(run_count, 3);
        assert_int_equal(er_store_job_names(s, 4, &names, NULL), 0);
        assert_int_equal(names.len, 4);
        assert_string_equal(names.items[0], "a-2");
        assert_string_equal(names.items[1], "a-2.0");
}

static void test_remove(void **state)
{
        struct er_store *s = ((struct world *)*state)->store;
        er_auto(er_err) err = ER_ERR_INIT;
        int64_t run_id = add(s, "p", "/d", NULL, 2, NULL), attempt;
        int64_t first = job_id(s, "p-1.0"), second = job_id(s, "p-1.1");
        struct er_attempt *list = NULL;
        size_t count = 1;

        assert_int_equal(er_store_add_attempt(s, first, 1, "h", 1, &attempt, NULL), 0);
        assert_int_equal(er_store_remove_job(s, first, &err), -1);
        assert_int_equal(err.code, ER_STATE);
        end_job(s, first, ER_JOB_DONE);
        end_job(s, second, ER_JOB_CANCELLED);
        assert_int_equal(er_store_remove_job(s, first, NULL), 0);
        assert_true(run_exists(s, run_id));
        assert_int_equal(er_store_remove_job(s, second, NULL), 0);
        assert_false(run_exists(s, run_id));
        assert_int_equal(er_store_attempts(s, first, &list, &count, NULL), 0);
        assert_int_equal(count, 0);
}

/* Adds a run of one job that needs an environment; 0 if that fails. has_recipe: like `errand run`, else like `errand
 * rerun`. */
static int64_t add_with_environment(struct er_store *store, char which, bool has_recipe, struct er_err *err)
{
        char hash[32];
        struct er_new_job job = {.spec = ER_SV("spec"), .command = "true", .environment = er_svn(hash, sizeof hash)};
        er_auto(er_run) run = {0};
        er_autofree char *name = NULL;

        memset(hash, which, sizeof hash);
        if (has_recipe)
                job.recipe = ER_SV("recipe");
        if (er_store_add_run(store, "p", "/p", NULL, &job, 1, 1000, &run, err) < 0)
                return 0;
        name = er_fmt("%s.0", run.name);
        return job_id(store, name);
}

static bool has_environment(struct er_store *store, char which)
{
        char hash[32];
        er_auto(er_str) recipe = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        memset(hash, which, sizeof hash);
        if (er_store_environment(store, er_svn(hash, sizeof hash), &recipe, &err) == 0) {
                assert_string_equal(recipe.buf, "recipe");
                return true;
        }
        assert_int_equal(err.code, ER_NOT_FOUND);
        return false;
}

static void remove_job(struct er_store *store, int64_t id)
{
        end_job(store, id, ER_JOB_DONE);
        assert_int_equal(er_store_remove_job(store, id, NULL), 0);
}

static void test_a_recipe_goes_with_its_last_job(void **state)
{
        struct er_store *s = ((struct world *)*state)->store;
        er_auto(er_err) err = ER_ERR_INIT;
        int64_t first = add_with_environment(s, 'a', true, NULL), again = add_with_environment(s, 'a', true, NULL);
        int64_t rerun = add_with_environment(s, 'a', false, NULL), other = add_with_environment(s, 'b', true, NULL);

        assert_true(first && again && rerun && other);
        remove_job(s, first);
        remove_job(s, again);
        assert_true(has_environment(s, 'a'));
        assert_int_equal(er_store_remove_job(s, rerun, NULL), -1); /* it is open */
        assert_true(has_environment(s, 'a'));
        remove_job(s, rerun);
        assert_false(has_environment(s, 'a'));
        assert_true(has_environment(s, 'b'));
        /* If the recipe has gone, no part of the run is stored. */
        assert_int_equal(add_with_environment(s, 'a', false, &err), 0);
        assert_int_equal(err.code, ER_NOT_FOUND);
        assert_int_equal(count_jobs(s, ER_JOB_WAITING), 1);
        assert_true(add_with_environment(s, 'a', true, NULL) > 0);
        assert_true(has_environment(s, 'a'));
}

/* One process adds and removes a job with its recipe, another adds jobs that expect the recipe to be there. */
static void test_a_recipe_does_not_go_under_a_new_job(void **state)
{
        struct world *w = *state;
        size_t added = 0;
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
                struct er_store *s = NULL;

                if (er_store_open(w->dir, &s, NULL) < 0)
                        _exit(1);
                for (int i = 0; i < 300; i++) {
                        int64_t id = add_with_environment(s, 'a', true, NULL);
                        struct er_job job = {.id = id, .state = ER_JOB_DONE, .outputs_fetched = true};

                        if (!id || er_store_update(s, &job, NULL, NULL) < 0 || er_store_remove_job(s, id, NULL) < 0)
                                _exit(2);
                }
                _exit(0);
        }
        while (waitpid(pid, &status, WNOHANG) == 0) {
                int64_t id = add_with_environment(w->store, 'a', false, NULL);

                if (id) {
                        assert_true(has_environment(w->store, 'a'));
                        remove_job(w->store, id);
                        added++;
                }
        }
        assert_int_equal(status, 0);
        assert_true(added > 0);
        assert_false(has_environment(w->store, 'a'));
}

static void test_hosts(void **state)
{
        struct er_store *s = ((struct world *)*state)->store;
        er_auto(er_err) err = ER_ERR_INIT;
        int64_t attempt = 0;
        char name[] = "gpu-box", target[] = "me@10.0.0.1", jump[] = "door";
        struct er_host_row row = {.name = name, .target = target, .jump = jump, .port = 2222, .added = true};
        struct er_host_row got = {0};
        struct er_host_row *rows = NULL;
        size_t count = 0;

        assert_int_equal(er_store_put_host(s, &row, NULL), 0);
        assert_int_equal(er_store_set_probe(s, "gpu-box", "{}", NULL, 5, NULL), 0);
        assert_int_equal(er_store_set_probe(s, "gpu-box", NULL, "refused", 6, NULL), 0);
        add(s, "p", "/p", "user-of-it", 1, NULL);
        assert_int_equal(er_store_add_attempt(s, job_id(s, "user-of-it"), 1, "gpu-box", 77, &attempt, NULL), 0);
        assert_int_equal(er_store_set_probe(s, "elsewhere", "{}", NULL, 5, NULL), 0);
        assert_int_equal(er_store_set_probe(s, "elsewher", NULL, "no such name", 5, NULL), 0);
        assert_int_equal(er_store_host(s, "gpu-box", &got, NULL), 0);
        assert_string_equal(got.target, target);
        assert_string_equal(got.jump, jump);
        assert_null(got.identity);
        assert_int_equal(got.port, 2222);
        assert_true(got.added);
        assert_string_equal(got.probe, "{}");
        assert_string_equal(got.error, "refused");
        assert_int_equal(got.probed_ms, 6);
        assert_int_equal(got.used_ms, 77);
        er_host_row_release(&got);
        assert_int_equal(er_store_host(s, "gpu-bos", &got, &err), -1);
        assert_int_equal(err.code, ER_NOT_FOUND);
        assert_non_null(strstr(err.hint, "gpu-box"));
        assert_int_equal(er_store_hosts(s, &rows, &count, NULL), 0);
        assert_int_equal(count, 2);
        assert_string_equal(rows[0].name, "gpu-box");
        for (size_t i = 0; i < count; i++)
                er_host_row_release(&rows[i]);
        free(rows);
        assert_int_equal(er_store_remove_host(s, "gpu-box", NULL), 0);
        er_err_clear(&err);
        assert_int_equal(er_store_remove_host(s, "gpu-box", &err), -1);
}

static void test_opening(void **state)
{
        struct world *w = *state;
        struct stat st;
        er_autofree char *db = NULL;
        struct er_store *other = NULL;
        int64_t version;

        assert_int_equal(strlen(er_store_id(w->store)), 6);
        assert_string_equal(er_store_dir(w->store), w->dir);
        assert_int_equal(stat(w->dir, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
        db = er_fmt("%s/store.db", w->dir);
        assert_int_equal(stat(db, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(er_store_open(w->dir, &other, NULL), 0);
        assert_string_equal(er_store_id(other), er_store_id(w->store));
        version = er_store_version(w->store);
        assert_int_equal(er_store_version(w->store), version);
        add(other, "p", "/", NULL, 1, NULL);
        assert_int_not_equal(er_store_version(w->store), version);
        er_store_close(other);
}

/* The next process to open the store reads the whole log. */
static void test_the_log_stays_short(void **state)
{
        struct world *w = *state;
        struct stat st;
        er_autofree char *wal = er_fmt("%s/store.db-wal", w->dir);

        for (int i = 0; i < 20; i++)
                add(w->store, "p", "/p", NULL, 1, NULL);
        assert_int_equal(stat(wal, &st), 0);
        assert_true(st.st_size > 0);
        er_store_tidy(w->store);
        assert_int_equal(stat(wal, &st), 0);
        assert_int_equal(st.st_size, 0);
        for (int i = 0; i < 60; i++)
                add(w->store, "p", "/p", NULL, 1, NULL);
        er_store_close(w->store);
        w->store = NULL;
        assert_int_equal(stat(wal, &st), 0);
        assert_int_equal(st.st_size, 0);
        assert_int_equal(er_store_open(w->dir, &w->store, NULL), 0);
        assert_true(job_id(w->store, "p-80") > 0);
}

static void reopen_raw(struct world *w, const char *sql)
{
        sqlite3 *db;
        er_autofree char *path = er_fmt("%s/store.db", w->dir);

        er_store_close(w->store);
        w->store = NULL;
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
}

static void test_newer_is_refused(void **state)
{
        struct world *w = *state;
        er_auto(er_err) err = ER_ERR_INIT;

        reopen_raw(w, "PRAGMA user_version=999");
        assert_int_equal(er_store_open(w->dir, &w->store, &err), -1);
        assert_int_equal(err.code, ER_STATE);
        assert_non_null(strstr(err.message, "999"));
        assert_non_null(err.hint);
}

static void expect_set_aside(struct world *w)
{
        er_auto(er_err) err = ER_ERR_INIT;
        const char *aside;

        assert_int_equal(er_store_open(w->dir, &w->store, &err), -1);
        assert_int_equal(err.code, ER_STATE);
        aside = strstr(err.message, "kept aside as ");
        assert_non_null(aside);
        assert_true(er_file_exists(AT_FDCWD, aside + strlen("kept aside as ")));
        assert_non_null(err.hint);
        assert_int_equal(er_store_open(w->dir, &w->store, NULL), 0);
        assert_int_equal(count_jobs(w->store, ER_JOB_WAITING), 0);
}

static void test_recipes_left_by_version_2_go(void **state)
{
        struct world *w = *state;

        assert_true(add_with_environment(w->store, 'a', true, NULL) > 0);
        reopen_raw(w, "DROP INDEX spec_environment;"
                      "INSERT INTO environment SELECT zeroblob(32), recipe, stored_ms FROM environment;"
                      "ALTER TABLE attempt DROP COLUMN gpu_shared; ALTER TABLE attempt DROP COLUMN gpu_util_max;"
                      "PRAGMA user_version=2");
        assert_int_equal(er_store_open(w->dir, &w->store, NULL), 0);
        assert_true(has_environment(w->store, 'a'));
        assert_false(has_environment(w->store, '\0'));
}

static void test_garbage_is_set_aside(void **state)
{
        struct world *w = *state;
        er_autofree char *db = er_fmt("%s/store.db", w->dir);
        er_autofree char *wal = NULL;
        char garbage[8192];

        add(w->store, "p", "/", NULL, 1, NULL);
        er_store_close(w->store);
        w->store = NULL;
        wal = er_fmt("%s-wal", db);
        unlink(wal);
        memset(garbage, 'x', sizeof garbage);
        assert_int_equal(er_file_write(AT_FDCWD, db, garbage, sizeof garbage, 0600, false, NULL), 0);
        expect_set_aside(w);
}

static void test_damaged_page_is_set_aside(void **state)
{
        struct world *w = *state;
        er_autofree char *db = er_fmt("%s/store.db", w->dir);
        int fd;
        char zeros[3000];

        add(w->store, "p", "/", NULL, 1, NULL);
        reopen_raw(w, "PRAGMA wal_checkpoint(TRUNCATE)");
        fd = open(db, O_RDWR);
        memset(zeros, 0xff, sizeof zeros);
        assert_int_equal(pwrite(fd, zeros, sizeof zeros, 100), (ssize_t)sizeof zeros); /* the schema's page */
        close(fd);
        expect_set_aside(w);
}

/* A limit on the size of files, which is like a full disk. */
static void test_a_full_disk_is_said_so(void **state)
{
        struct world *w = *state;
        pid_t pid;
        int status = 0;

        add(w->store, "p", "/", NULL, 1, NULL);
        pid = fork();
        if (pid == 0) {
                er_auto(er_err) err = ER_ERR_INIT;
                er_auto(er_run) run = {0};
                struct er_store *s = NULL;
                er_autofree char *spec = er_calloc(1, 700000);
                struct er_new_job job = {.spec = er_svn(spec, 700000), .command = "x"};

                signal(SIGXFSZ, SIG_IGN);
                if (er_store_open(w->dir, &s, &err) < 0)
                        _exit(1);
                setrlimit(RLIMIT_FSIZE, &(struct rlimit){300000, 300000});
                if (er_store_add_run(s, "p", "/p", NULL, &job, 1, 1, &run, &err) == 0)
                        _exit(2);
                _exit(err.code == ER_IO && err.message ? 0 : 3);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        /* Other processes see no part of that run, and continue. */
        assert_int_equal(count_jobs(w->store, ER_JOB_WAITING), 1);
        add_named(w->store, "p", NULL, "p-2");
}

#define WRITERS 16
#define RUNS_EACH 12

static void test_many_writers_at_once(void **state)
{
        struct world *w = *state;
        pid_t pids[WRITERS];
        int64_t began = er_mono_ms();

        for (int i = 0; i < WRITERS; i++) {
                pids[i] = fork();
                if (pids[i] == 0) {
                        struct er_store *s = NULL;

                        if (er_store_open(w->dir, &s, NULL) < 0)
                                _exit(1);
                        for (int k = 0; k < RUNS_EACH; k++) {
                                struct er_new_job job = {.spec = ER_SV("spec"), .command = "true"};
                                er_auto(er_run) run = {0};
                                int64_t attempt;

                                if (er_store_add_run(s, "p", "/p", NULL, &job, 1, 1, &run, NULL) < 0)
                                        _exit(2);
                                if (er_store_add_attempt(s, run.id, 1, "local", 1, &attempt, NULL) < 0)
                                        _exit(3);
                        }
                        er_store_close(s);
                        _exit(0);
                }
        }
        for (int i = 0; i < WRITERS; i++) {
                int status = -1;

                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
        assert_int_equal(count_jobs(w->store, ER_JOB_WAITING), WRITERS * RUNS_EACH);
        assert_int_equal(job_id(w->store, "p-192.0") > 0, 1);
        assert_true(er_mono_ms() - began < 20000);
}

static void test_first_opening_by_many_at_once(void **state)
{
        struct world *w = *state;
        er_autofree char *dir = er_fmt("%s/fresh", w->dir);
        pid_t pids[WRITERS];

        for (int i = 0; i < WRITERS; i++) {
                pids[i] = fork();
                if (pids[i] == 0) {
                        struct er_store *s = NULL;

                        _exit(er_store_open(dir, &s, NULL) < 0);
                }
        }
        for (int i = 0; i < WRITERS; i++) {
                int status = -1;

                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
}

int main(void)
{
#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                WITH_STORE(test_names),
                WITH_STORE(test_names_are_never_given_out_again),
                WITH_STORE(test_job_round_trip),
                WITH_STORE(test_attempts),
                WITH_STORE(test_an_ended_job_stays_ended),
                WITH_STORE(test_cancel_wish_survives_an_older_view),
                WITH_STORE(test_resolve),
                WITH_STORE(test_lists),
                WITH_STORE(test_remove),
                WITH_STORE(test_a_recipe_goes_with_its_last_job),
                WITH_STORE(test_a_recipe_does_not_go_under_a_new_job),
                WITH_STORE(test_hosts),
                WITH_STORE(test_opening),
                WITH_STORE(test_the_log_stays_short),
                WITH_STORE(test_newer_is_refused),
                WITH_STORE(test_recipes_left_by_version_2_go),
                WITH_STORE(test_garbage_is_set_aside),
                WITH_STORE(test_damaged_page_is_set_aside),
                WITH_STORE(test_a_full_disk_is_said_so),
                WITH_STORE(test_many_writers_at_once),
                WITH_STORE(test_first_opening_by_many_at_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

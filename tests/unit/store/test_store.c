/* test_store.c - runs, jobs, attempts, recipes and hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "store/store.h"
#include "store/store_world.h"

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

/* One process adds and removes a job with its recipe, another adds jobs that expect the recipe to be there; now and
   then the first waits for the second with a job there, so that both ways come about. */
static void test_a_recipe_does_not_go_under_a_new_job(void **state)
{
        struct world *w = *state;
        int there[2], go_on[2], status = -1;
        size_t added = 0;
        pid_t pid;

        assert_int_equal(pipe(there), 0);
        assert_int_equal(pipe(go_on), 0);
        assert_int_equal(er_set_nonblock(there[0], true), 0);
        pid = fork();
        if (pid == 0) {
                struct er_store *s = NULL;
                char byte = 'x';

                if (er_store_open(w->dir, &s, NULL) < 0)
                        _exit(1);
                for (int i = 0; i < 300; i++) {
                        int64_t id = add_with_environment(s, 'a', true, NULL);
                        struct er_job job = {.id = id, .state = ER_JOB_DONE, .outputs_fetched = true};

                        if (i % 30 == 0 && (write(there[1], &byte, 1) != 1 || read(go_on[0], &byte, 1) != 1))
                                _exit(3);
                        if (!id || er_store_update(s, &job, NULL, NULL) < 0 || er_store_remove_job(s, id, NULL) < 0)
                                _exit(2);
                }
                _exit(0);
        }
        while (waitpid(pid, &status, WNOHANG) == 0) {
                char byte;
                bool waits = read(there[0], &byte, 1) == 1;
                int64_t id = add_with_environment(w->store, 'a', false, NULL);

                if (id) {
                        assert_true(has_environment(w->store, 'a'));
                        remove_job(w->store, id);
                        added++;
                }
                if (waits)
                        assert_int_equal(write(go_on[1], &byte, 1), 1);
        }
        for (int i = 0; i < 2; i++) {
                close(there[i]);
                close(go_on[i]);
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

int main(void)
{
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
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

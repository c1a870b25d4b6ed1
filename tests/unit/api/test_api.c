/* The public API, used as a program would, over the real agent on this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>
#include <errand/errand.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"
#include "proto/spec.h"
#include "store/store.h"

static char *root;
static errand_t *errand;

static int setup(void **state)
{
        char path[] = "/tmp/er-api-XXXXXX";
        struct errand_error error = ERRAND_ERROR_INIT;

        (void)state;
        assert_non_null(mkdtemp(path));
        root = er_strdup(path);
        setenv("ERRAND_HOME", root, 1);
        setenv("HOME", root, 1);
        if (errand_open(NULL, &errand, &error) < 0)
                fail_msg("%s", error.message);
        return 0;
}

static int teardown(void **state)
{
        er_deadline until;

        (void)state;
        errand_close(errand);
        /* A supervisor tidies up after its job's end has been told, and may still be writing. */
        until = er_deadline_in(10000);
        while (er_rmtree(AT_FDCWD, root, NULL, NULL) < 0 && er_mono_ms() < until)
                usleep(10000);
        assert_false(er_file_exists(AT_FDCWD, root));
        free(root);
        return 0;
}

static char *submit_line(const char *line, const char *const *outputs, const char *const *secrets)
{
        struct errand_request request = ERRAND_REQUEST_INIT;
        struct errand_error error = ERRAND_ERROR_INIT;
        const char *const argv[] = {line, NULL};
        char *job = NULL;

        request.argv = argv;
        request.shell = 1;
        request.project_dir = root;
        request.outputs = outputs;
        request.secrets = secrets;
        request.sync = 0;
        if (errand_submit(errand, &request, &job, &error) < 0)
                fail_msg("%s", error.message);
        return job;
}

static int collect(void *arg, int stream, const void *data, size_t len)
{
        if (stream == 1)
                er_str_addn(arg, data, len);
        return 0;
}

static int stop_at_once(void *arg, int stream, const void *data, size_t len)
{
        (void)stream;
        (void)data;
        (void)len;
        ++*(int *)arg;
        return 1;
}

static void test_to_the_end(void **state)
{
        const char *const outputs[] = {"out", NULL};
        const char *const secrets[] = {"TOKEN=hunter2", NULL};
        struct errand_error error = ERRAND_ERROR_INIT;
        struct errand_job job = ERRAND_JOB_INIT;
        er_auto(er_str) log = ER_STR_INIT;
        er_auto(er_str) again = ER_STR_INIT;
        uint64_t next = 0;
        char *name = submit_line("echo one; test \"$TOKEN\" = hunter2 && echo two; echo r > out; exit 3", outputs,
                                 secrets);
        er_autofree char *out = NULL;

        (void)state;
        if (errand_logs(errand, name, 0, 1, collect, &log, &next, &error) < 0)
                fail_msg("%s", error.message);
        assert_string_equal(log.buf, "one\ntwo\n");
        assert_int_equal(next, 8);
        if (errand_wait(errand, name, 20000, &job, &error) < 0)
                fail_msg("%s", error.message);
        assert_int_equal(job.state, ERRAND_FAILED);
        assert_int_equal(job.exit_status, 3);
        assert_string_equal(job.name, name);
        assert_string_equal(job.host, "local");
        assert_int_equal(job.attempt, 1);
        assert_true(job.outputs_fetched);
        out = er_path_join(job.results_dir, "out");
        assert_true(er_file_exists(AT_FDCWD, out));
        assert_int_equal(errand_logs(errand, name, 4, 0, collect, &again, NULL, &error), 0);
        assert_string_equal(again.buf, "two\n");
        errand_job_clear(&job);
        errand_free(name);
}

static void test_timeout_and_cancel(void **state)
{
        struct errand_error error = ERRAND_ERROR_INIT;
        struct errand_job job = ERRAND_JOB_INIT;
        int calls = 0;
        char *name = submit_line("echo started; while :; do sleep 0.05; done", NULL, NULL);

        (void)state;
        assert_int_equal(errand_logs(errand, name, 0, 1, stop_at_once, &calls, NULL, &error), 0);
        assert_int_equal(calls, 1);
        assert_int_equal(errand_wait(errand, name, 50, NULL, &error), -1);
        assert_int_equal(error.code, ERRAND_TIMEOUT);
        errand_error_clear(&error);
        assert_int_equal(errand_cancel(errand, name, &error), 0);
        assert_int_equal(errand_wait(errand, name, 20000, &job, &error), 0);
        assert_int_equal(job.state, ERRAND_STOPPED);
        assert_string_equal(errand_state_name(job.state), "cancelled");
        errand_job_clear(&job);
        errand_free(name);
}

static int count(void *arg, const struct errand_job *job)
{
        assert_non_null(job->name);
        return ++*(int *)arg == 2;
}

static void test_left_and_taken_up(void **state)
{
        struct errand_error error = ERRAND_ERROR_INIT;
        struct errand_job job = ERRAND_JOB_INIT;
        er_autofree char *gate = er_path_join(root, "gate"),
                         *line = er_fmt("echo on; while ! test -e %s; do sleep 0.02; done", gate);
        int calls = 0, jobs = 0;
        char *name = submit_line(line, NULL, NULL), *second = submit_line("true", NULL, NULL),
             *third = submit_line("true", NULL, NULL);

        (void)state;
        assert_int_equal(errand_logs(errand, name, 0, 1, stop_at_once, &calls, NULL, &error), 0);
        errand_close(errand);
        assert_int_equal(errand_open(NULL, &errand, &error), 0);
        assert_int_equal(errand_job(errand, name, &job, &error), 0);
        assert_int_equal(job.state, ERRAND_RUNNING);
        errand_job_clear(&job);
        assert_int_equal(er_file_write(AT_FDCWD, gate, "", 0, 0600, false, NULL), 0);
        assert_int_equal(errand_wait(errand, name, 20000, &job, &error), 0);
        assert_int_equal(job.state, ERRAND_DONE);
        assert_int_equal(job.attempt, 1);
        assert_int_equal(errand_wait(errand, second, 20000, NULL, &error), 0);
        assert_int_equal(errand_wait(errand, third, 20000, NULL, &error), 0);
        assert_int_equal(errand_jobs(errand, 0, 0, count, &jobs, &error), 0);
        assert_int_equal(jobs, 2); /* it said enough */
        errand_job_clear(&job);
        errand_free(name);
        errand_free(second);
        errand_free(third);
}

static void test_errors(void **state)
{
        struct errand_error error = ERRAND_ERROR_INIT;
        struct errand_job job = ERRAND_JOB_INIT;
        struct errand_request request = ERRAND_REQUEST_INIT;
        const char *const argv[] = {"a b", "c", NULL};
        char *name = submit_line("true", NULL, NULL), *none = NULL;
        er_autofree char *wrong = er_fmt("%sx", name);

        (void)state;
        assert_int_equal(errand_job(errand, wrong, &job, &error), -1);
        assert_int_equal(error.code, ERRAND_NOT_FOUND);
        assert_string_equal(errand_code_name(error.code), "not_found");
        assert_non_null(strstr(error.hint, name));
        errand_error_clear(&error);
        request.project_dir = root;
        assert_int_equal(errand_submit(errand, &request, &none, &error), -1); /* no command anywhere */
        assert_int_equal(error.code, ERRAND_USAGE);
        request.argv = argv;
        request.shell = 1;
        assert_int_equal(errand_submit(errand, &request, &none, NULL), -1);
        request.shell = 0;
        request.size = 0;
        assert_int_equal(errand_submit(errand, &request, &none, &error), -1);
        job.size = 1;
        assert_int_equal(errand_job(errand, name, &job, &error), -1);
        assert_null(none);
        assert_int_equal(errand_wait(errand, name, 20000, NULL, NULL), 0);
        errand_error_clear(&error);
        errand_free(name);
        assert_true(strlen(errand_version()) > 0);
        errand_close(NULL);
}

/* A run of three jobs, as the store of the program may have it. */
static void add_run(char **ret_run)
{
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_auto(er_str) encoded = ER_STR_INIT;
        er_auto(er_run) run = {0};
        er_autofree char *dir = er_dir_state();
        struct er_store *store = NULL;
        struct er_new_job jobs[3];

        er_strv_add(&spec.argv, "sleep");
        er_strv_add(&spec.argv, "100");
        er_strv_add(&spec.hosts, "local");
        spec.cpus = 1;
        spec.project = er_strdup("many");
        er_spec_encode(&spec, &encoded);
        for (size_t i = 0; i < ER_LEN(jobs); i++)
                jobs[i] = (struct er_new_job){.spec = er_svn(encoded.buf, encoded.len), .command = "sleep 100"};
        assert_int_equal(er_store_open(dir, &store, NULL), 0);
        assert_int_equal(er_store_add_run(store, "many", root, NULL, jobs, ER_LEN(jobs), er_now_ms(), &run, NULL), 0);
        er_store_close(store);
        *ret_run = er_strdup(run.name);
}

static int count_stopped(void *arg, const struct errand_job *job)
{
        int *count = arg;

        if (job->state == ERRAND_STOPPED)
                ++*count;
        return 0;
}

static void test_a_run_of_several(void **state)
{
        struct errand_error error = ERRAND_ERROR_INIT;
        struct errand_job job = ERRAND_JOB_INIT;
        er_autofree char *run = NULL, *first = NULL, *single = submit_line("true", NULL, NULL), *single_run = NULL;
        int calls = 0, stopped = 0;

        (void)state;
        single_run = er_strndup(single, strlen(single) - 2);
        assert_int_equal(errand_wait(errand, single_run, 20000, &job, &error), 0);
        assert_string_equal(job.name, single);
        errand_job_clear(&job);
        assert_int_equal(errand_logs(errand, single_run, 0, 0, stop_at_once, &calls, NULL, &error), 0);

        add_run(&run);
        first = er_fmt("%s.0", run);
        assert_int_equal(errand_job(errand, run, &job, &error), -1);
        assert_int_equal(error.code, ERRAND_USAGE);
        assert_non_null(strstr(error.message, "3 jobs"));
        assert_non_null(strstr(error.hint, first));
        assert_int_equal(errand_logs(errand, run, 0, 0, stop_at_once, &calls, NULL, &error), -1);
        assert_int_equal(error.code, ERRAND_USAGE);
        assert_int_equal(errand_wait(errand, run, 0, &job, &error), -1);
        assert_int_equal(error.code, ERRAND_USAGE);
        assert_int_equal(errand_wait(errand, run, 0, NULL, &error), -1);
        assert_int_equal(error.code, ERRAND_TIMEOUT);
        assert_int_equal(errand_job(errand, first, &job, &error), 0);
        errand_job_clear(&job);
        assert_int_equal(errand_cancel(errand, run, &error), 0);
        assert_int_equal(errand_wait(errand, run, 30000, NULL, &error), 0);
        assert_int_equal(errand_jobs(errand, 0, 0, count_stopped, &stopped, &error), 0);
        assert_int_equal(stopped, 3);
        errand_error_clear(&error);
}

/* A program's words stay words, and a name of a run must not look like a job's. */
static void test_requests(void **state)
{
        struct errand_request request = ERRAND_REQUEST_INIT;
        struct errand_error error = ERRAND_ERROR_INIT;
        struct errand_job job = ERRAND_JOB_INIT;
        const char *const argv[] = {"exit 0", NULL};
        char *name = NULL;

        (void)state;
        request.argv = argv;
        request.project_dir = root;
        request.sync = 0;
        request.name = "other-1.0";
        assert_int_equal(errand_submit(errand, &request, &name, &error), -1);
        assert_int_equal(error.code, ERRAND_USAGE);
        request.name = "mine";
        request.reserved = 1;
        assert_int_equal(errand_submit(errand, &request, &name, &error), -1);
        assert_int_equal(error.code, ERRAND_USAGE);
        assert_int_equal(errand_submit(errand, NULL, &name, &error), -1);
        assert_int_equal(error.code, ERRAND_USAGE);
        request.reserved = 0;
        assert_int_equal(errand_submit(errand, &request, &name, &error), 0);
        assert_string_equal(name, "mine.0");
        assert_int_equal(errand_wait(errand, name, 20000, &job, &error), 0);
        assert_int_equal(job.state, ERRAND_FAILED); /* there is no program of that name; a shell would do it */
        errand_job_clear(&job);
        errand_error_clear(&error);
        errand_free(name);
}

int main(void)
{
#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                IN_WORLD(test_to_the_end), IN_WORLD(test_timeout_and_cancel), IN_WORLD(test_left_and_taken_up),
                IN_WORLD(test_errors),     IN_WORLD(test_a_run_of_several),   IN_WORLD(test_requests),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

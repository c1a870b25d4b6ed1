/*
 * The maestro over the real agent on this machine: jobs of every kind of end, a maestro that is stopped, one that is
 * killed at each of its steps, two at once, cancels from outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crash.h"
#include "base/io.h"
#include "base/path.h"
#include "maestro/maestro.h"

static char *root, *state_dir, *project;
static struct er_store *store;

static int setup(void **state)
{
        char path[] = "/tmp/er-carry-XXXXXX";
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        assert_non_null(mkdtemp(path));
        root = er_strdup(path);
        setenv("ERRAND_HOME", root, 1);
        setenv("HOME", root, 1);
        state_dir = er_fmt("%s/state", root);
        project = er_fmt("%s/project", root);
        assert_int_equal(er_mkdir_p(AT_FDCWD, project, 0755, NULL), 0);
        if (er_store_open(state_dir, &store, &err) < 0)
                fail_msg("%s", err.message);
        return 0;
}

static int teardown(void **state)
{
        er_deadline until;

        (void)state;
        er_store_close(store);
        store = NULL;
        /* A supervisor tidies up after its job's end has been told, and may still be writing. */
        until = er_deadline_in(10000);
        while (er_rmtree(AT_FDCWD, root, NULL, NULL) < 0 && er_mono_ms() < until)
                usleep(10000);
        assert_false(er_file_exists(AT_FDCWD, root));
        free(root);
        free(state_dir);
        free(project);
        return 0;
}

/* A run of jobs that each are a line for the shell. */
static int64_t add_named_run(struct er_store *s, const char *name, const char *line, const struct er_spec *like,
                             size_t count)
{
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_auto(er_str) encoded = ER_STR_INIT;
        er_auto(er_run) run = {0};
        er_auto(er_err) err = ER_ERR_INIT;
        er_autofree struct er_new_job *jobs = er_calloc(count, sizeof *jobs);

        spec.project = er_strdup("p");
        spec.shell = true;
        spec.sync = like && like->sync;
        spec.retries = like ? like->retries : 0;
        spec.grace_ms = 500;
        er_strv_add(&spec.argv, line);
        if (like) {
                er_strv_addall(&spec.outputs, like->outputs.items, like->outputs.len);
                er_strv_addall(&spec.secrets, like->secrets.items, like->secrets.len);
                er_strv_addall(&spec.hosts, like->hosts.items, like->hosts.len);
        }
        er_spec_encode(&spec, &encoded);
        for (size_t i = 0; i < count; i++)
                jobs[i] = (struct er_new_job){.spec = er_svn(encoded.buf, encoded.len), .command = line};
        if (er_store_add_run(s, "p", project, name, jobs, count, er_now_ms(), &run, &err) < 0)
                fail_msg("%s", err.message);
        return run.id;
}

static int64_t add_run(struct er_store *s, const char *line, const struct er_spec *like, size_t count)
{
        return add_named_run(s, NULL, line, like, count);
}

struct heard {
        struct er_str out, errs;
        enum er_job_state states[16];
        size_t state_count, fetched;
        enum er_job_state stop_at; /* fires `stop` when the job gets there */
        struct er_cancel *stop;
        size_t stop_after_bytes;
        char last_warning[400];
};

static int on_log(void *arg, const struct er_job *job, int stream, struct er_sv data)
{
        struct heard *h = arg;

        (void)job;
        er_str_addn(stream == 2 ? &h->errs : &h->out, data.ptr, data.len);
        if (h->stop && h->stop_after_bytes && h->out.len >= h->stop_after_bytes)
                er_cancel_fire(h->stop);
        return 0;
}

static void on_state(void *arg, const struct er_job *job)
{
        struct heard *h = arg;

        if (h->state_count < ER_LEN(h->states))
                h->states[h->state_count++] = job->state;
        if (h->stop && h->stop_at && job->state == h->stop_at)
                er_cancel_fire(h->stop);
}

static void on_warn(void *arg, const struct er_job *job, const struct er_err *err)
{
        struct heard *h = arg;

        (void)job;
        snprintf(h->last_warning, sizeof h->last_warning, "%s", err->message);
}

static void on_fetched(void *arg, const struct er_job *job, const char *dir, const struct er_transfer *transfer)
{
        struct heard *h = arg;

        (void)job;
        (void)dir;
        (void)transfer;
        h->fetched++;
}

static int carry(int64_t run_id, struct heard *heard, struct er_err *err)
{
        struct er_maestro_opts opts = {.store = store, .follow = heard != NULL};
        size_t skipped = 0;
        int rc;

        if (heard) {
                opts.stop = heard->stop;
                opts.ui = (struct er_maestro_ui){
                        .arg = heard, .log = on_log, .state = on_state, .warn = on_warn, .fetched = on_fetched};
        }
        rc = er_maestro_carry(&opts, &run_id, 1, &skipped, err);
        assert_int_equal(skipped, 0);
        return rc;
}

static void heard_init(struct heard *h)
{
        *h = (struct heard){.out = ER_STR_INIT, .errs = ER_STR_INIT};
}

static void heard_release(struct heard *h)
{
        er_str_release(&h->out);
        er_str_release(&h->errs);
}

static int take_job(void *arg, const struct er_job *job, struct er_err *err)
{
        struct er_job *ret = arg;

        return er_store_job(store, job->id, ret, err);
}

static void only_job(int64_t run_id, struct er_job *ret)
{
        struct er_job_filter filter = {.run_id = run_id, .limit = 1};
        er_auto(er_err) err = ER_ERR_INIT;

        *ret = (struct er_job)ER_JOB_INIT;
        if (er_store_each_job(store, &filter, take_job, ret, &err) < 0)
                fail_msg("%s", err.message);
        assert_non_null(ret->name);
}

static void carry_well(int64_t run_id, struct heard *heard, struct er_job *ret)
{
        er_auto(er_err) err = ER_ERR_INIT;

        if (carry(run_id, heard, &err) < 0)
                fail_msg("%s", err.message);
        only_job(run_id, ret);
}

static char *text_of(const char *path)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (er_file_read(AT_FDCWD, path, 1 << 20, &text, NULL) < 0)
                return NULL;
        return er_str_detach(&text);
}

static void test_done(void **state)
{
        struct heard h;
        er_auto(er_job) job = ER_JOB_INIT;
        int64_t run;
        struct er_attempt *attempts = NULL;
        size_t count = 0;

        (void)state;
        heard_init(&h);
        run = add_run(store, "echo out; echo err >&2; printf 'a\\0b'", NULL, 1);
        carry_well(run, &h, &job);
        assert_int_equal(job.state, ER_JOB_DONE);
        assert_int_equal(job.exit_status, 0);
        assert_int_equal(job.reason, ER_REASON_NONE);
        assert_true(job.outputs_fetched);
        assert_string_equal(job.host, "local");
        assert_int_equal(job.attempt, 1);
        assert_true(job.started_ms > 0 && job.ended_ms >= job.started_ms && job.news_ms > 0);
        assert_int_equal(h.out.len, 7);
        assert_memory_equal(h.out.buf, "out\na\0b", 7);
        assert_string_equal(h.errs.buf, "err\n");
        assert_int_equal(h.states[h.state_count - 1], ER_JOB_DONE);
        assert_string_equal(h.last_warning, "");
        assert_int_equal(er_store_attempts(store, job.id, &attempts, &count, NULL), 0);
        assert_int_equal(count, 1);
        assert_true(attempts[0].submitted);
        assert_int_equal(attempts[0].end, ER_END_DONE);
        assert_int_equal(attempts[0].log_size, 11);
        assert_non_null(attempts[0].boot_id);
        assert_true(er_file_exists(AT_FDCWD, attempts[0].dir));
        er_attempt_release(&attempts[0]);
        free(attempts);
        heard_release(&h);
}

static void test_ends(void **state)
{
        static const struct {
                const char *line;
                enum er_reason reason;
                int status;
        } cases[] = {
                {"exit 7", ER_REASON_EXIT, 7},
                {"kill -9 $$", ER_REASON_SIGNAL, 137},
                {"kill -TERM $$", ER_REASON_SIGNAL, 143},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_job) job = ER_JOB_INIT;

                carry_well(add_run(store, cases[i].line, NULL, 1), NULL, &job);
                assert_int_equal(job.state, ER_JOB_FAILED);
                assert_int_equal(job.reason, cases[i].reason);
                assert_int_equal(job.exit_status, cases[i].status);
        }
}

static void test_outputs(void **state)
{
        struct heard h;
        er_auto(er_job) job = ER_JOB_INIT, missing = ER_JOB_INIT;
        er_auto(er_spec) like = ER_SPEC_INIT;
        er_autofree char *dir = NULL;
        er_autofree char *a = NULL, *b = NULL;
        er_autofree char *a_text = NULL, *b_text = NULL;
        er_autofree char *dir2 = NULL;
        er_autofree char *c = NULL, *c_text = NULL;

        (void)state;
        heard_init(&h);
        like.sync = false;
        er_strv_add(&like.outputs, "out");
        er_strv_add(&like.outputs, "*.txt");
        /* Also of a job that fails. */
        carry_well(add_run(store, "mkdir out; echo 1 > out/a; echo 2 > b.txt; exit 3", &like, 1), &h, &job);
        assert_int_equal(job.state, ER_JOB_FAILED);
        assert_int_equal(job.exit_status, 3);
        assert_true(job.outputs_fetched);
        assert_int_equal(h.fetched, 1);
        dir = er_job_results_dir(&job);
        a = er_path_join(dir, "out/a");
        b = er_path_join(dir, "b.txt");
        a_text = text_of(a);
        b_text = text_of(b);
        assert_string_equal(a_text, "1\n");
        assert_string_equal(b_text, "2\n");

        carry_well(add_run(store, "echo 2 > c.txt", &like, 1), NULL, &missing);
        assert_int_equal(missing.state, ER_JOB_FAILED);
        assert_int_equal(missing.reason, ER_REASON_MISSING_OUTPUT);
        assert_string_equal(missing.detail, "out");
        assert_int_equal(missing.exit_status, 220);
        dir2 = er_job_results_dir(&missing);
        c = er_path_join(dir2, "c.txt");
        c_text = text_of(c);
        assert_string_equal(c_text, "2\n");
        heard_release(&h);
}

static void test_results_that_cannot_be_written(void **state)
{
        struct heard h;
        er_auto(er_job) job = ER_JOB_INIT, after = ER_JOB_INIT;
        er_auto(er_spec) like = ER_SPEC_INIT;
        er_autofree char *results = er_path_join(project, "results");
        int64_t run;
        er_autofree char *dir = NULL;
        er_autofree char *a = NULL;

        (void)state;
        heard_init(&h);
        like.sync = false;
        er_strv_add(&like.outputs, "a");
        assert_int_equal(er_file_write(AT_FDCWD, results, "in the way", 10, 0600, false, NULL), 0);
        run = add_run(store, "echo 1 > a", &like, 1);
        carry_well(run, &h, &job);
        assert_int_equal(job.state, ER_JOB_DONE);
        assert_false(job.outputs_fetched);
        assert_non_null(strstr(h.last_warning, "outputs"));
        /* Whoever carries it next fetches them. */
        unlink(results);
        carry_well(run, NULL, &after);
        assert_int_equal(after.state, ER_JOB_DONE);
        assert_true(after.outputs_fetched);
        dir = er_job_results_dir(&after);
        a = er_path_join(dir, "a");
        assert_true(er_file_exists(AT_FDCWD, a));
        heard_release(&h);
}

static void test_files_travel(void **state)
{
        struct heard h;
        er_auto(er_job) job = ER_JOB_INIT;
        er_auto(er_spec) like = ER_SPEC_INIT, stored = ER_SPEC_INIT;
        er_autofree char *file = er_path_join(project, "data.txt");

        (void)state;
        heard_init(&h);
        assert_int_equal(er_file_write(AT_FDCWD, file, "from here\n", 10, 0644, false, NULL), 0);
        carry_well(add_run(store, "cat data.txt", &like, 1), &h, &job);
        assert_int_equal(job.state, ER_JOB_DONE);
        assert_string_equal(h.out.buf, "from here\n");
        assert_int_equal(er_spec_decode(er_svn(job.spec.buf, job.spec.len), &stored, NULL), 0);
        assert_true(stored.has_tree);
        heard_release(&h);
}

static void test_secrets(void **state)
{
        struct heard h;
        er_auto(er_job) job = ER_JOB_INIT, without = ER_JOB_INIT;
        er_auto(er_spec) like = ER_SPEC_INIT;

        (void)state;
        heard_init(&h);
        like.sync = false;
        er_strv_add(&like.secrets, "TEST_TOKEN");
        unsetenv("TEST_TOKEN");
        carry_well(add_run(store, "echo never", &like, 1), NULL, &without);
        assert_int_equal(without.state, ER_JOB_FAILED);
        assert_int_equal(without.reason, ER_REASON_SECRET);
        assert_non_null(strstr(without.detail, "TEST_TOKEN"));
        setenv("TEST_TOKEN", "hunter2", 1);
        carry_well(add_run(store, "test \"$TEST_TOKEN\" = hunter2 && echo right", &like, 1), &h, &job);
        unsetenv("TEST_TOKEN");
        assert_string_equal(h.out.buf, "right\n");
        heard_release(&h);
}

static void test_no_such_host(void **state)
{
        er_auto(er_job) job = ER_JOB_INIT, several = ER_JOB_INIT;
        er_auto(er_spec) like = ER_SPEC_INIT;

        (void)state;
        like.sync = false;
        er_strv_add(&like.hosts, "me@127.0.0.1:1");
        carry_well(add_run(store, "true", &like, 1), NULL, &job);
        assert_int_equal(job.state, ER_JOB_FAILED);
        assert_int_equal(job.reason, ER_REASON_HOST);
        assert_int_equal(job.attempt, 0);
        assert_non_null(strstr(job.detail, "127.0.0.1"));
        assert_null(strstr(job.detail, ") (")); /* the reason and the hint are told apart */
        assert_non_null(strstr(job.detail, "\n"));
        /* One of several is enough. */
        er_strv_add(&like.hosts, "local");
        carry_well(add_run(store, "true", &like, 1), NULL, &several);
        assert_int_equal(several.state, ER_JOB_DONE);
        assert_string_equal(several.host, "local");
}

/* A name that is in the store and that no host takes: asked again it is refused again. */
static void test_refused_name(void **state)
{
        er_auto(er_job) job = ER_JOB_INIT;
        char name[260];

        (void)state;
        memset(name, 'n', sizeof name - 1);
        name[sizeof name - 1] = '\0';
        carry_well(add_named_run(store, name, "true", NULL, 1), NULL, &job);
        assert_int_equal(job.state, ER_JOB_FAILED);
        assert_int_equal(job.reason, ER_REASON_HOST);
        assert_non_null(strstr(job.detail, "key"));
}

/* The host gives the upload up while a file is looked through that was written just now: the next snapshot is sure of
 * it. */
static void test_silent_upload(void **state)
{
        er_auto(er_job) job = ER_JOB_INIT;
        er_auto(er_spec) like = ER_SPEC_INIT;
        er_autofree char *file = NULL;
        er_autoclose int fd = -1;
        struct timespec later[2];

        (void)state;
        like.sync = true;
        file = er_path_join(project, "large");
        fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, 100 << 20), 0);
        setenv("ERRAND_SILENCE_MS", "20", 1);
        later[0] = later[1] = (struct timespec){.tv_sec = er_now_ms() / 1000 + 1, .tv_nsec = 1};
        assert_int_equal(futimens(fd, later), 0); /* not before a second from now is a snapshot sure of it */
        carry_well(add_run(store, "test $(wc -c < large) = 104857600", &like, 1), NULL, &job);
        if (job.state != ER_JOB_DONE) { /* on a very slow machine: but there is an end, and why */
                assert_int_equal(job.state, ER_JOB_FAILED);
                assert_int_equal(job.reason, ER_REASON_FILES);
                assert_non_null(strstr(job.detail, "snapshot"));
        }
        /* It never is sure of it. */
        later[0].tv_sec += 1000000;
        later[1].tv_sec += 1000000;
        assert_int_equal(futimens(fd, later), 0);
        assert_int_equal(pwrite(fd, "x", 1, 0), 1);
        assert_int_equal(futimens(fd, later), 0);
        er_job_release(&job);
        carry_well(add_run(store, "true", &like, 1), NULL, &job);
        unsetenv("ERRAND_SILENCE_MS");
        assert_int_equal(job.state, ER_JOB_FAILED);
        assert_int_equal(job.reason, ER_REASON_FILES);
        assert_non_null(strstr(job.detail, "snapshot"));
}

static void test_stopped_and_taken_up(void **state)
{
        struct heard first, second;
        er_auto(er_job) between = ER_JOB_INIT, job = ER_JOB_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_cancel stop;
        er_autofree char *gate = er_path_join(root, "gate"),
                         *line = er_fmt("echo one; while ! test -e %s; do sleep 0.02; done; echo two", gate);
        int64_t run;

        (void)state;
        heard_init(&first);
        heard_init(&second);
        assert_int_equal(er_cancel_init(&stop), 0);
        first.stop = &stop;
        first.stop_after_bytes = 4;
        run = add_run(store, line, NULL, 1);
        assert_int_equal(carry(run, &first, &err), -1);
        assert_int_equal(err.code, ER_DETACHED);
        only_job(run, &between);
        assert_true(between.state == ER_JOB_RUNNING || between.state == ER_JOB_STARTING);
        assert_false(er_maestro_is_carried(store, run));
        assert_int_equal(er_file_write(AT_FDCWD, gate, "", 0, 0600, false, NULL), 0);
        carry_well(run, &second, &job);
        assert_int_equal(job.state, ER_JOB_DONE);
        assert_int_equal(job.attempt, 1);
        assert_string_equal(second.out.buf, "one\ntwo\n");
        er_cancel_release(&stop);
        heard_release(&first);
        heard_release(&second);
}

/* In another process, as the user would. */
static pid_t cancel_when_running(int64_t run_id, int64_t job_id)
{
        pid_t pid = fork();
        struct er_store *other = NULL;

        if (pid != 0)
                return pid;
        if (er_store_open(state_dir, &other, NULL) < 0)
                _exit(1);
        for (er_deadline until = er_deadline_in(10000); er_mono_ms() < until; usleep(10000)) {
                struct er_job job = ER_JOB_INIT;
                bool running;

                if (er_store_job(other, job_id, &job, NULL) < 0)
                        _exit(2);
                running = job.state == ER_JOB_RUNNING;
                er_job_release(&job);
                if (running)
                        _exit(er_maestro_is_carried(other, run_id) && er_maestro_cancel(other, &job_id, 1, NULL) == 0
                                      ? 0
                                      : 3);
        }
        _exit(4);
}

static void test_cancelled_from_outside(void **state)
{
        er_auto(er_job) before = ER_JOB_INIT, job = ER_JOB_INIT;
        int64_t run = add_run(store, "trap '' TERM; while :; do sleep 0.05; done", NULL, 1);
        int status = -1;
        pid_t pid;
        int64_t began;

        (void)state;
        only_job(run, &before);
        pid = cancel_when_running(run, before.id);
        began = er_mono_ms();
        carry_well(run, NULL, &job);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(job.state, ER_JOB_CANCELLED);
        assert_int_equal(job.reason, ER_REASON_USER);
        assert_true(er_mono_ms() - began < 8000);
}

static void test_cancelled_when_nobody_carries(void **state)
{
        struct heard h;
        struct er_cancel stop;
        er_auto(er_job) never_placed = ER_JOB_INIT, running = ER_JOB_INIT, before = ER_JOB_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        int64_t run = add_run(store, "true", NULL, 1);

        (void)state;
        only_job(run, &before);
        assert_int_equal(er_maestro_cancel(store, &before.id, 1, NULL), 0);
        only_job(run, &never_placed);
        assert_int_equal(never_placed.state, ER_JOB_CANCELLED);
        assert_int_equal(never_placed.attempt, 0);

        heard_init(&h);
        assert_int_equal(er_cancel_init(&stop), 0);
        h.stop = &stop;
        h.stop_at = ER_JOB_RUNNING;
        run = add_run(store, "while :; do sleep 0.05; done", NULL, 1);
        assert_int_equal(carry(run, &h, &err), -1);
        er_job_release(&before);
        only_job(run, &before);
        assert_int_equal(er_maestro_cancel(store, &before.id, 1, NULL), 0);
        only_job(run, &running);
        assert_int_equal(running.state, ER_JOB_CANCELLED);
        er_cancel_release(&stop);
        heard_release(&h);
}

static int count_done(void *arg, const struct er_job *job, struct er_err *err)
{
        size_t *done = arg;

        (void)err;
        *done += job->state == ER_JOB_DONE;
        return 0;
}

static void test_many_jobs(void **state)
{
        size_t done = 0;
        er_auto(er_err) err = ER_ERR_INIT;
        int64_t run;

        enum { MANY = 150 };

        (void)state;
        run = add_run(store, "true", NULL, MANY);
        if (carry(run, NULL, &err) < 0)
                fail_msg("%s", err.message);
        assert_int_equal(er_store_each_job(store, &(struct er_job_filter){.run_id = run}, count_done, &done, NULL), 0);
        assert_int_equal(done, MANY);
}

static void *carry_thread(void *arg)
{
        int64_t run_id = *(int64_t *)arg;
        struct er_store *own = NULL;
        size_t skipped = 0;
        struct er_maestro_opts opts;
        int rc;

        if (er_store_open(state_dir, &own, NULL) < 0)
                return NULL;
        opts = (struct er_maestro_opts){.store = own};
        rc = er_maestro_carry(&opts, &run_id, 1, &skipped, NULL);
        er_store_close(own);
        return rc == 0 && skipped == 1 ? arg : NULL;
}

static void test_one_owner_at_a_time(void **state)
{
        struct heard h;
        struct er_cancel stop;
        er_autofree char *gate = NULL, *line = NULL;
        int64_t run;
        pid_t pid;
        pthread_t thread;
        void *skipped = NULL;
        int status = -1;

        (void)state;
        heard_init(&h);
        assert_int_equal(er_cancel_init(&stop), 0);
        gate = er_path_join(root, "gate");
        line = er_fmt("while ! test -e %s; do sleep 0.02; done", gate);
        run = add_run(store, line, NULL, 1);
        pid = fork();
        if (pid == 0) {
                struct er_store *own = NULL;
                struct er_maestro_opts opts = {0};

                if (er_store_open(state_dir, &own, NULL) < 0)
                        _exit(1);
                opts.store = own;
                _exit(er_maestro_carry(&opts, &run, 1, NULL, NULL) == 0 ? 0 : 2);
        }
        for (er_deadline until = er_deadline_in(10000); !er_maestro_is_carried(store, run) && er_mono_ms() < until;)
                usleep(2000);
        assert_true(er_maestro_is_carried(store, run));
        assert_int_equal(pthread_create(&thread, NULL, carry_thread, &run), 0);
        pthread_join(thread, &skipped);
        assert_non_null(skipped);
        assert_int_equal(er_file_write(AT_FDCWD, gate, "", 0, 0600, false, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        er_cancel_release(&stop);
        heard_release(&h);
}

/* Killed at a step; then another one takes over. True when the step was never reached. */
static bool kill_at(const char *at, int k)
{
        er_auto(er_spec) like = ER_SPEC_INIT;
        er_autofree char *file = er_path_join(project, "data.txt");
        bool survived = false;
        er_autofree char *ran = NULL;
        er_autofree char *line = NULL;
        int64_t run;
        er_autofree char *text = NULL;
        pid_t pid;
        int status = -1;
        struct heard h;
        er_auto(er_job) job = ER_JOB_INIT;
        er_autofree char *times = NULL, *dir = NULL;
        er_autofree char *out = NULL, *out_text = NULL;
        er_autofree char *whole = NULL;

        er_strv_add(&like.outputs, "out");
        ran = er_fmt("%s/ran-%d", root, k);
        line = er_fmt("echo x >> %s; echo one; cat data.txt; sleep 0.1; echo two; echo 1 > out", ran);
        run = add_run(store, line, &like, 1);
        /* The snapshot differs each time, so that it is uploaded each time. */
        text = er_fmt("data %d\n", k);
        assert_int_equal(er_file_write(AT_FDCWD, file, text, strlen(text), 0644, false, NULL), 0);
        pid = fork();
        if (pid == 0) {
                struct er_store *own = NULL;
                struct er_maestro_opts opts = {0};

                if (er_store_open(state_dir, &own, NULL) < 0)
                        _exit(1);
                setenv("ERRAND_CRASH_AT", at, 1);
                atomic_store(&er_crash_state_, 1);
                opts.store = own;
                _exit(er_maestro_carry(&opts, &run, 1, NULL, NULL) == 0 ? 0 : 2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status)) {
                assert_int_equal(WEXITSTATUS(status), 0);
                survived = true;
        } else {
                assert_int_equal(WTERMSIG(status), SIGKILL);
        }
        heard_init(&h);
        carry_well(run, &h, &job);
        if (job.state != ER_JOB_DONE)
                fail_msg("killed at %s: %s: %s", at, er_job_state_name(job.state), job.detail ? job.detail : "");
        assert_int_equal(job.attempt, 1);
        assert_true(job.outputs_fetched);
        times = text_of(ran);
        dir = er_job_results_dir(&job);
        out = er_path_join(dir, "out");
        out_text = text_of(out);
        assert_string_equal(times, "x\n");
        assert_string_equal(out_text, "1\n");
        whole = er_fmt("one\ndata %d\ntwo\n", k);
        if (h.out.len > 0) /* nothing is followed once the end is in the store */
                assert_string_equal(h.out.buf, whole);
        heard_release(&h);
        return survived;
}

/* kill -9 at the k-th step, for every k: the command runs once, nothing is lost. */
static void test_killed_at_every_step(void **state)
{
        int k = 1;
        static const char *const names[] = {"event", "flush", "flushed", "store update", "store update half"};

        (void)state;
        for (bool survived = false; !survived; k++) {
                er_autofree char *at = er_fmt("%d", k);

                survived = kill_at(at, k);
                assert_true(k < 100);
        }
        assert_true(k > 10);
        for (size_t i = 0; i < ER_LEN(names); i++)
                if (kill_at(names[i], k + (int)i))
                        fail_msg("%s is never reached", names[i]);
}

int main(void)
{
#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                IN_WORLD(test_done),
                IN_WORLD(test_ends),
                IN_WORLD(test_outputs),
                IN_WORLD(test_results_that_cannot_be_written),
                IN_WORLD(test_files_travel),
                IN_WORLD(test_secrets),
                IN_WORLD(test_no_such_host),
                IN_WORLD(test_refused_name),
                IN_WORLD(test_silent_upload),
                IN_WORLD(test_stopped_and_taken_up),
                IN_WORLD(test_cancelled_from_outside),
                IN_WORLD(test_cancelled_when_nobody_carries),
                IN_WORLD(test_many_jobs),
                IN_WORLD(test_one_owner_at_a_time),
                IN_WORLD(test_killed_at_every_step),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

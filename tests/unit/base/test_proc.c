#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/io.h"
#include "base/proc.h"

/* Runs a line of shell; what it wrote and its status. */
static int run_sh(const char *line, struct er_sv input, struct er_str *out, struct er_str *errout, int64_t timeout_ms,
                  struct er_err *err)
{
        er_auto(er_strv) argv = ER_STRV_INIT;
        struct er_proc_opts opts = {0};
        int status = -1;

        er_strv_add(&argv, "sh");
        er_strv_add(&argv, "-c");
        er_strv_add(&argv, line);
        opts.argv = argv.items;
        if (er_proc_run(&opts, input, out, errout, 1 << 20, er_deadline_in(timeout_ms), &status, err) < 0)
                return -1;
        return status;
}

static void test_run(void **state)
{
        er_auto(er_str) out = ER_STR_INIT, errout = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        assert_int_equal(run_sh("cat; echo bad >&2; exit 7", ER_SV("some\0bytes"), &out, &errout, 10000, &err), 7);
        assert_int_equal(out.len, 10);
        assert_memory_equal(out.buf, "some\0bytes", 10);
        assert_string_equal(errout.buf, "bad\n");
        assert_int_equal(run_sh("kill -9 $$", (struct er_sv){0}, NULL, NULL, 10000, &err), 128 + SIGKILL);
        er_str_reset(&out);
        /* Without input stdin is at its end, not the test's. */
        assert_int_equal(run_sh("cat; readlink /proc/self/fd/0", (struct er_sv){0}, &out, NULL, 10000, &err), 0);
        assert_string_equal(out.buf, "/dev/null\n");
}

static void test_large_both_ways(void **state)
{
        er_auto(er_str) in = ER_STR_INIT, out = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        for (int i = 0; i < 50000; i++)
                er_str_add(&in, "0123456789\n");
        assert_int_equal(run_sh("cat", er_svn(in.buf, in.len), &out, NULL, 20000, &err), 0);
        assert_int_equal(out.len, in.len);
        assert_memory_equal(out.buf, in.buf, in.len);
        er_str_reset(&out);
        /* More than the cap is read and dropped: the child ends as it would. */
        assert_int_equal(run_sh("head -c 3000000 /dev/zero", (struct er_sv){0}, &out, NULL, 20000, &err), 0);
        assert_int_equal(out.len, 1 << 20);
        /* A child that does not read its input: no SIGPIPE for us. */
        assert_int_equal(run_sh("exit 3", er_svn(in.buf, in.len), NULL, NULL, 20000, &err), 3);
}

static void test_not_there(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *file = er_path_join(dir, "plain");
        er_auto(er_proc) proc = ER_PROC_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        char missing[] = "no-such-program-errand";
        char *argv[] = {missing, NULL};
        char *file_argv[] = {file, NULL};
        char true_name[] = "true";
        char *true_argv[] = {true_name, NULL};
        struct er_proc_opts opts = {.argv = argv};

        (void)state;
        assert_int_equal(er_proc_start(&opts, &proc, &err), -1);
        unit_assert_err(&err, ER_NOT_FOUND, missing);
        opts.argv = file_argv;
        assert_int_equal(er_proc_start(&opts, &proc, &err), -1);
        unit_assert_err(&err, ER_NOT_FOUND, file);
        assert_int_equal(er_file_write(AT_FDCWD, file, "x", 1, 0600, false, &err), 0);
        assert_int_equal(er_proc_start(&opts, &proc, &err), -1);
        unit_assert_err(&err, ER_AUTH, file);
        opts.argv = true_argv;
        opts.cwd = "/no/such/directory";
        assert_int_equal(er_proc_start(&opts, &proc, &err), -1);
        unit_assert_err(&err, ER_NOT_FOUND, "/no/such/directory");
        assert_int_equal(proc.pid, 0);
        /* No zombie is left. */
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
        unit_remove(dir);
}

static void test_deadline(void **state)
{
        er_auto(er_err) err = ER_ERR_INIT;
        int64_t start = er_mono_ms();

        (void)state;
        assert_int_equal(run_sh("exec sleep 100", (struct er_sv){0}, NULL, NULL, 50, &err), -1);
        unit_assert_err(&err, ER_TIMEOUT, "not ended in time");
        assert_true(er_mono_ms() - start < 20000);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* killed and reaped */
}

/* What the program leaves behind may hold our pipe for long; we are done when it is. */
static void test_left_behind(void **state)
{
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        int64_t start = er_mono_ms();
        pid_t left;

        (void)state;
        assert_int_equal(run_sh("sleep 100 & echo $!", (struct er_sv){0}, &out, NULL, 30000, &err), 0);
        assert_true(er_mono_ms() - start < 20000);
        left = (pid_t)strtoll(out.buf, NULL, 10);
        assert_true(left > 1);
        kill(left, SIGKILL);
}

static void test_wait(void **state)
{
        char sleep_name[] = "sleep", hundred[] = "100";
        char *argv[] = {sleep_name, hundred, NULL};
        struct er_proc_opts opts = {.argv = argv};
        er_auto(er_proc) proc = ER_PROC_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        int status = -1;

        (void)state;
        assert_int_equal(er_proc_start(&opts, &proc, &err), 0);
        assert_int_equal(er_proc_wait(&proc, er_deadline_in(20), &status, &err), -1);
        unit_assert_err(&err, ER_TIMEOUT, "process");
        assert_int_equal(status, -1);
        assert_int_equal(kill(proc.pid, SIGTERM), 0);
        assert_int_equal(er_proc_wait(&proc, er_deadline_in(20000), &status, &err), 0);
        assert_int_equal(status, 128 + SIGTERM);
        assert_int_equal(proc.pid, 0);
}

static void test_surroundings(void **state)
{
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        char sh[] = "sh", c[] = "-c", var[] = "ER_TEST=value", path[] = "PATH=/usr/bin:/bin";
        char line[] = "pwd; echo $ER_TEST; test $(ps -o sid= -p $$) = $$ && echo session; kill -PIPE $$; echo alive";
        char *argv[] = {sh, c, line, NULL}, *env[] = {var, path, NULL};
        struct er_proc_opts opts = {.argv = argv, .cwd = "/", .env = env, .new_session = true};
        struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
        int status;

        (void)state;
        sigaction(SIGPIPE, &ignore, &before);
        assert_int_equal(er_proc_run(&opts, (struct er_sv){0}, &out, NULL, 1000, ER_NEVER, &status, &err), 0);
        sigaction(SIGPIPE, &before, NULL);
        assert_string_equal(out.buf, "/\nvalue\nsession\n");
        assert_int_equal(status, 128 + SIGPIPE); /* what we ignore the child does not */
}

/* stdout and stderr exchanged: each is the other's source. */
static void test_crossed_descriptors(void **state)
{
        char sh[] = "sh", c[] = "-c", line[] = "echo out; echo err >&2";
        char *argv[] = {sh, c, line, NULL};
        struct er_proc_opts opts = {.argv = argv, .io = {ER_PROC_NULL, ER_PROC_FD, ER_PROC_FD}};
        er_auto(er_proc) proc = ER_PROC_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        int a[2], b[2], saved1 = dup(1), saved2 = dup(2), status = -1;
        char text[16] = "";

        (void)state;
        assert_int_equal(er_pipe(a), 0);
        assert_int_equal(er_pipe(b), 0);
        fflush(NULL);
        dup2(a[1], 1);
        dup2(b[1], 2);
        opts.fds[1] = 2;
        opts.fds[2] = 1;
        if (er_proc_start(&opts, &proc, &err) == 0)
                er_proc_wait(&proc, ER_NEVER, &status, &err);
        dup2(saved1, 1);
        dup2(saved2, 2);
        close(saved1);
        close(saved2);
        close(a[1]);
        close(b[1]);
        assert_int_equal(status, 0);
        assert_int_equal(er_read_full(a[0], text, sizeof text), 4);
        assert_memory_equal(text, "err\n", 4);
        assert_int_equal(er_read_full(b[0], text, sizeof text), 4);
        assert_memory_equal(text, "out\n", 4);
        close(a[0]);
        close(b[0]);
}

static size_t open_descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        size_t count = 0;

        while (dir && readdir(dir))
                count++;
        if (dir)
                closedir(dir);
        return count;
}

static int failed_mark; /* its address says: this thread failed */

static void *churn(void *arg)
{
        er_autofree char *p = NULL;

        for (int i = 0; i < 40; i++) {
                er_auto(er_str) out = ER_STR_INIT;
                er_auto(er_err) err = ER_ERR_INIT;

                free(p);
                p = er_malloc(1000);
                if (run_sh("echo x; ls /proc/self/fd | wc -l", (struct er_sv){0}, &out, NULL, 30000, &err) != 0 ||
                    !er_starts(out.buf, "x\n"))
                        return arg;
        }
        return NULL;
}

/* Forks while other threads allocate and fork: no deadlock, no descriptor lost or handed down. */
static void test_many_threads(void **state)
{
        pthread_t threads[8];
        size_t before = open_descriptors();

        (void)state;
        for (size_t i = 0; i < ER_LEN(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, churn, &failed_mark), 0);
        for (size_t i = 0; i < ER_LEN(threads); i++) {
                void *failed;

                pthread_join(threads[i], &failed);
                assert_null(failed);
        }
        assert_int_equal(open_descriptors(), before);
}

static void test_which(void **state)
{
        er_autofree char *found = er_proc_which("sh");

        (void)state;
        assert_non_null(found);
        assert_int_equal(found[0], '/');
        assert_null(er_proc_which("no-such-program-errand"));
        assert_null(er_proc_which(""));
        assert_null(er_proc_which("/etc/passwd"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_run),          cmocka_unit_test(test_large_both_ways),
                cmocka_unit_test(test_not_there),    cmocka_unit_test(test_deadline),
                cmocka_unit_test(test_left_behind),  cmocka_unit_test(test_wait),
                cmocka_unit_test(test_surroundings), cmocka_unit_test(test_crossed_descriptors),
                cmocka_unit_test(test_many_threads), cmocka_unit_test(test_which),
        };

        return UNIT_RUN(tests);
}

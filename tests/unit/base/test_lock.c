#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include "base/io.h"
#include "base/lock.h"

/* A child that calls a function, says so over a pipe, and then waits to be killed. */
static pid_t start_holder(void (*hold)(const char *path), const char *path)
{
        int fds[2];
        char byte;
        pid_t pid;

        assert_int_equal(er_pipe(fds), 0);
        pid = fork();
        if (pid == 0) {
                hold(path);
                if (write(fds[1], "x", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        close(fds[1]);
        assert_int_equal(er_read_full(fds[0], &byte, 1), 1);
        close(fds[0]);
        return pid;
}

static void end(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

static void hold_file(const char *path)
{
        int fd;

        if (er_lock_file(path, ER_NEVER, &fd, NULL) < 0)
                _exit(1);
}

static void test_file(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *path = er_path_join(dir, "lock");
        er_auto(er_err) err = ER_ERR_INIT;
        int fd = -1;
        pid_t holder = start_holder(hold_file, path);

        (void)state;
        assert_int_equal(er_lock_file(path, 0, &fd, &err), -1);
        unit_assert_err(&err, ER_STATE, "locked by another process");
        assert_int_equal(er_lock_file(path, er_deadline_in(30), &fd, &err), -1);
        unit_assert_err(&err, ER_STATE, path);
        assert_int_equal(fd, -1);
        end(holder); /* and with it its lock */
        assert_int_equal(er_lock_file(path, 0, &fd, &err), 0);
        close(fd);
        unit_remove(dir);
}

/* A lock on a file that was removed and made anew is not a lock. */
static void test_replaced_file(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *path = er_path_join(dir, "lock");
        er_auto(er_err) err = ER_ERR_INIT;
        int first = -1, second = -1, third = -1;

        (void)state;
        assert_int_equal(er_lock_file(path, 0, &first, &err), 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(er_lock_file(path, 0, &second, &err), 0);
        assert_int_equal(er_lock_file(path, 0, &third, &err), -1);
        close(first);
        assert_int_equal(er_lock_file(path, 0, &third, &err), -1);
        close(second);
        assert_int_equal(er_lock_file(path, 0, &third, &err), 0);
        close(third);
        unit_remove(dir);
}

static void hold_leases(const char *path)
{
        struct er_leases leases = ER_LEASES_INIT;

        if (er_leases_open(&leases, path, NULL) < 0 || er_lease_take(&leases, 7, NULL) != 1 ||
            er_lease_take(&leases, (int64_t)1 << 40, NULL) != 1)
                _exit(1);
}

static void test_leases(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *path = er_path_join(dir, "leases");
        struct er_leases leases = ER_LEASES_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        pid_t holder = start_holder(hold_leases, path);

        (void)state;
        assert_int_equal(er_leases_open(&leases, path, &err), 0);
        assert_int_equal(er_lease_take(&leases, 7, &err), 0);
        assert_int_equal(er_lease_holder(&leases, 7), holder);
        assert_int_equal(er_lease_holder(&leases, (int64_t)1 << 40), holder);
        assert_int_equal(er_lease_holder(&leases, 8), 0);
        assert_int_equal(er_lease_take(&leases, 8, &err), 1);
        end(holder);
        assert_int_equal(er_lease_holder(&leases, 7), 0);
        assert_int_equal(er_lease_take(&leases, 7, &err), 1);
        er_lease_drop(&leases, 7);
        er_close(&leases.fd);
        unit_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_file),
                cmocka_unit_test(test_replaced_file),
                cmocka_unit_test(test_leases),
        };

        return UNIT_RUN(tests);
}

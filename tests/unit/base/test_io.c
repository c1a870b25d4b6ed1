#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include "base/io.h"

static size_t entries(const char *dir)
{
        DIR *d = opendir(dir);
        size_t count = 0;

        assert_non_null(d);
        while (readdir(d))
                count++;
        closedir(d);
        return count - 2;
}

static void test_write_and_read(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *path = er_path_join(dir, "file");
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        struct stat st;

        (void)state;
        assert_int_equal(er_file_write(AT_FDCWD, path, "one\0two", 7, 0600, true, &err), 0);
        assert_int_equal(er_file_read(AT_FDCWD, path, 7, &text, &err), 0);
        assert_int_equal(text.len, 7);
        assert_memory_equal(text.buf, "one\0two", 8);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(er_file_read(AT_FDCWD, path, 6, &text, &err), -1);
        unit_assert_err(&err, ER_CONFIG, "larger than 6 bytes");
        assert_int_equal(text.len, 7); /* untouched by a failure */
        assert_int_equal(er_file_write(AT_FDCWD, path, "", 0, 0600, false, &err), 0);
        assert_int_equal(er_file_read(AT_FDCWD, path, 0, &text, &err), 0);
        assert_int_equal(text.len, 0);
        assert_true(er_file_exists(AT_FDCWD, path));
        assert_int_equal(entries(dir), 1);
        unit_remove(dir);
}

static void test_failures_leave_nothing(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *sub = er_path_join(dir, "sub");
        er_autofree char *missing = er_path_join(dir, "missing/file");
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        assert_int_equal(mkdir(sub, 0700), 0);
        /* A directory cannot be replaced by a file. */
        assert_int_equal(er_file_write(AT_FDCWD, sub, "x", 1, 0600, false, &err), -1);
        assert_int_equal(err.sys_errno, EISDIR);
        assert_int_equal(entries(dir), 1);
        assert_int_equal(er_file_write(AT_FDCWD, missing, "x", 1, 0600, false, &err), -1);
        assert_int_equal(err.code, ER_NOT_FOUND);
        assert_int_equal(er_file_read(AT_FDCWD, sub, 10, &text, &err), -1);
        assert_int_equal(er_file_read(AT_FDCWD, missing, 10, &text, &err), -1);
        unit_assert_err(&err, ER_NOT_FOUND, missing);
        unit_remove(dir);
}

static void test_full_disk(void **state)
{
        int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

        (void)state;
        if (fd < 0)
                skip();
        assert_int_equal(er_write_full(fd, "x", 1), -1);
        assert_int_equal(errno, ENOSPC);
        close(fd);
}

static void test_long_name(void **state)
{
        char *dir = unit_temp_dir();
        char name[256];
        er_autofree char *path = NULL;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        memset(name, 'n', 255);
        name[255] = '\0';
        path = er_path_join(dir, name);
        assert_int_equal(er_file_write(AT_FDCWD, path, "x", 1, 0600, false, &err), 0);
        assert_true(er_file_exists(AT_FDCWD, path));
        assert_int_equal(entries(dir), 1);
        unit_remove(dir);
}

static void test_unknown_size(void **state)
{
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        /* st_size is 0 there although there is content. */
        assert_int_equal(er_file_read(AT_FDCWD, "/proc/self/status", 1 << 20, &text, &err), 0);
        assert_true(text.len > 100);
        assert_int_equal(er_file_read(AT_FDCWD, "/dev/zero", 100000, &text, &err), -1);
        unit_assert_err(&err, ER_CONFIG, "larger");
}

#define BIG ((size_t)4 << 20)

static void *read_slowly(void *arg)
{
        int fd = *(int *)arg;
        size_t total = 0;
        static char buf[70000];
        ssize_t n;

        while ((n = er_read_full(fd, buf, sizeof buf)) > 0)
                total += (size_t)n;
        return (void *)total;
}

/* Much more than fits in the socket, both ends non-blocking. */
static void test_nonblocking_ends(void **state)
{
        er_autofree char *data = er_calloc(BIG, 1);
        pthread_t thread;
        void *total;
        int fds[2];

        (void)state;
        assert_int_equal(er_socketpair(fds), 0);
        assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
        assert_int_equal(er_set_nonblock(fds[0], true), 0);
        assert_int_equal(er_set_nonblock(fds[1], true), 0);
        assert_int_equal(pthread_create(&thread, NULL, read_slowly, &fds[1]), 0);
        assert_int_equal(er_write_full(fds[0], data, BIG), 0);
        er_close(&fds[0]);
        assert_int_equal(fds[0], -1);
        pthread_join(thread, &total);
        assert_int_equal((size_t)total, BIG);
        er_close(&fds[1]);
        er_close(&fds[1]); /* no harm */
}

static void test_positioned(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *path = er_path_join(dir, "file");
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        char buf[8] = "";

        (void)state;
        assert_int_equal(er_pwrite_full(fd, "hello", 5, 3), 0);
        assert_int_equal(er_pread_full(fd, buf, sizeof buf, 2), 6);
        assert_memory_equal(buf, "\0hello", 6);
        er_close(&fd);
        unit_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_write_and_read), cmocka_unit_test(test_failures_leave_nothing),
                cmocka_unit_test(test_full_disk),      cmocka_unit_test(test_long_name),
                cmocka_unit_test(test_unknown_size),   cmocka_unit_test(test_nonblocking_ends),
                cmocka_unit_test(test_positioned),
        };

        return UNIT_RUN(tests);
}

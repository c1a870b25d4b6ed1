#include "unit.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void make_file(int at, const char *name, size_t size)
{
        int fd = openat(at, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        er_autofree char *data = er_calloc(size, 1);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, size), (ssize_t)size);
        close(fd);
}

static void test_absent_and_file(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *file = er_path_join(dir, "file");
        er_auto(er_err) err = ER_ERR_INIT;
        uint64_t bytes = 0;

        (void)state;
        assert_int_equal(er_rmtree(AT_FDCWD, file, &bytes, &err), 0);
        assert_int_equal(er_du(AT_FDCWD, file), 0);
        make_file(AT_FDCWD, file, 100000);
        assert_true(er_du(AT_FDCWD, file) >= 100000);
        assert_int_equal(er_rmtree(AT_FDCWD, file, &bytes, &err), 0);
        assert_true(bytes >= 100000);
        assert_int_equal(access(file, F_OK), -1);
        unit_remove(dir);
}

static void test_never_through_a_link(void **state)
{
        char *dir = unit_temp_dir(), *kept = unit_temp_dir();
        er_autofree char *file = er_path_join(kept, "file");
        er_autofree char *link = er_path_join(dir, "link");
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        make_file(AT_FDCWD, file, 1);
        assert_int_equal(symlink(kept, link), 0);
        assert_int_equal(er_rmtree(AT_FDCWD, dir, NULL, &err), 0);
        assert_int_equal(access(file, F_OK), 0);
        /* Also not when the path itself is one. */
        assert_int_equal(symlink(kept, dir), 0);
        assert_int_equal(er_rmtree(AT_FDCWD, dir, NULL, &err), 0);
        assert_int_equal(access(file, F_OK), 0);
        assert_int_equal(access(dir, F_OK), -1);
        free(dir);
        unit_remove(kept);
}

static void test_deep(void **state)
{
        char *dir = unit_temp_dir();
        er_auto(er_err) err = ER_ERR_INIT;
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)state;
        /* Deeper than there are descriptors, and than a path may be long. */
        for (int i = 0; i < 3000; i++) {
                int next;

                assert_int_equal(mkdirat(fd, "d", 0700), 0);
                if (i % 100 == 0)
                        make_file(fd, "f", 10);
                next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close(fd);
                fd = next;
        }
        close(fd);
        assert_true(er_du(AT_FDCWD, dir) > 0);
        assert_int_equal(er_rmtree(AT_FDCWD, dir, NULL, &err), 0);
        assert_int_equal(access(dir, F_OK), -1);
        free(dir);
}

static void test_hard_links_count_once(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *outside = er_path_join(dir, "outside");
        er_autofree char *tree = er_path_join(dir, "tree");
        er_autofree char *a = er_path_join(tree, "a");
        er_autofree char *b = er_path_join(tree, "b");
        er_autofree char *c = er_path_join(tree, "c");
        er_auto(er_err) err = ER_ERR_INIT;
        uint64_t bytes = 0;

        (void)state;
        assert_int_equal(mkdir(tree, 0700), 0);
        make_file(AT_FDCWD, a, 1 << 20);
        assert_int_equal(link(a, b), 0);
        assert_true(er_du(AT_FDCWD, tree) < (2 << 20));
        make_file(AT_FDCWD, outside, 1 << 20);
        assert_int_equal(link(outside, c), 0);
        assert_int_equal(er_rmtree(AT_FDCWD, tree, &bytes, &err), 0);
        /* a and b were one file; c lives on outside. */
        assert_true(bytes >= (1 << 20) && bytes < (1 << 20) + 100000);
        unit_remove(dir);
}

static void without_rights(const char *dir)
{
        er_autofree char *sub = er_path_join(dir, "closed");
        er_autofree char *inner = er_path_join(sub, "inner");
        er_autofree char *file = er_path_join(inner, "file");
        er_auto(er_err) err = ER_ERR_INIT;

        if (mkdir(sub, 0700) < 0 || mkdir(inner, 0700) < 0)
                _exit(10);
        make_file(AT_FDCWD, file, 1);
        if (chmod(inner, 0500) < 0 || chmod(sub, 0) < 0)
                _exit(11);
        if (er_rmtree(AT_FDCWD, sub, NULL, &err) < 0) {
                fprintf(stderr, "%s\n", err.message);
                _exit(12);
        }
        _exit(access(sub, F_OK) == 0 ? 13 : 0);
}

/* What a job left without write permission still goes. Not as root, whom permissions do not hold. */
static void test_read_only_directories(void **state)
{
        char *dir = unit_temp_dir();
        int status;
        pid_t pid;

        (void)state;
        assert_int_equal(chmod(dir, 0777), 0);
        pid = fork();
        if (pid == 0) {
                if (getuid() == 0 && setuid(65534) < 0)
                        _exit(9);
                without_rights(dir);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        unit_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_absent_and_file),
                cmocka_unit_test(test_never_through_a_link),
                cmocka_unit_test(test_deep),
                cmocka_unit_test(test_hard_links_count_once),
                cmocka_unit_test(test_read_only_directories),
        };

        return UNIT_RUN(tests);
}

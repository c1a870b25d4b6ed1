#include "unit.h"

#include <errno.h>

#include <sys/stat.h>
#include <sys/wait.h>

static void expect(char *got, const char *expected)
{
        assert_string_equal(got, expected);
        free(got);
}

static void test_names(void **state)
{
        (void)state;
        expect(er_path_join("a", "b"), "a/b");
        expect(er_path_join("a/", "b"), "a/b");
        expect(er_path_join("a", "/b"), "/b");
        expect(er_path_join("", "b"), "b");
        expect(er_path_join("a", ""), "a");
        expect(er_path_join("/", "b"), "/b");
        assert_string_equal(er_path_base("a/b.c"), "b.c");
        assert_string_equal(er_path_base("b.c"), "b.c");
        assert_string_equal(er_path_base("a/"), "");
        expect(er_path_dir("a/b"), "a");
        expect(er_path_dir("b"), ".");
        expect(er_path_dir("/b"), "/");
        expect(er_path_dir("a//b"), "a");
        expect(er_path_dir("//b"), "/");
        expect(er_path_abs("/a/./b//../c/"), "/a/c");
        expect(er_path_abs("/.."), "/");
        expect(er_path_abs("/../../x"), "/x");
        expect(er_path_abs("/"), "/");
}

static void test_expand_and_abs(void **state)
{
        er_autofree char *cwd = getcwd(NULL, 0);
        er_autofree char *expected = er_path_join(cwd, "x");

        (void)state;
        setenv("HOME", "/home/u", 1);
        expect(er_path_expand("~"), "/home/u");
        expect(er_path_expand("~/x"), "/home/u/x");
        expect(er_path_expand("~x"), "~x");
        expect(er_path_expand("a~/x"), "a~/x");
        expect(er_path_abs("y/../x"), expected);
}

static void test_safe(void **state)
{
        (void)state;
        assert_true(er_path_is_safe("a", 1));
        assert_true(er_path_is_safe("a/b.c", 5));
        assert_true(er_path_is_safe("...", 3));
        assert_true(er_path_is_safe("-rf\n\xff", 5));
        assert_false(er_path_is_safe("", 0));
        assert_false(er_path_is_safe("/a", 2));
        assert_false(er_path_is_safe("a/", 2));
        assert_false(er_path_is_safe("a//b", 4));
        assert_false(er_path_is_safe("..", 2));
        assert_false(er_path_is_safe("a/../b", 6));
        assert_false(er_path_is_safe("./a", 3));
        assert_false(er_path_is_safe("a\0b", 3));
}

static void test_mkdir_p(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *deep = er_path_join(dir, "a/b//c/");
        er_autofree char *below_file = er_path_join(dir, "file/x");
        er_autofree char *file = er_path_join(dir, "file");
        er_auto(er_err) err = ER_ERR_INIT;
        struct stat st;
        int fd;

        (void)state;
        assert_int_equal(er_mkdir_p(AT_FDCWD, deep, 0700, &err), 0);
        assert_int_equal(er_mkdir_p(AT_FDCWD, deep, 0700, &err), 0);
        assert_int_equal(stat(deep, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
        fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        close(fd);
        assert_int_equal(er_mkdir_p(AT_FDCWD, file, 0700, &err), -1);
        unit_assert_err(&err, ER_NOT_FOUND, "file");
        assert_int_equal(er_mkdir_p(AT_FDCWD, below_file, 0700, &err), -1);
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        /* What refused is said, not that it is missing. */
        assert_int_equal(er_mkdir_p(AT_FDCWD, "/sys/errand-unit/x", 0700, &err), -1);
        assert_int_not_equal(err.sys_errno, ENOENT);
        er_err_clear(&err);
        assert_int_equal(er_mkdir_p(fd, "x/y", 0700, &err), 0);
        assert_int_equal(fstatat(fd, "x/y", &st, 0), 0);
        close(fd);
        unit_remove(dir);
}

static void test_user_directories(void **state)
{
        (void)state;
        setenv("HOME", "/home/u", 1);
        unsetenv("ERRAND_HOME");
        unsetenv("XDG_STATE_HOME");
        expect(er_dir_state(), "/home/u/.local/state/errand");
        expect(er_dir_cache(), "/home/u/.cache/errand");
        expect(er_dir_config(), "/home/u/.config/errand");
        setenv("XDG_STATE_HOME", "/s", 1);
        expect(er_dir_state(), "/s/errand");
        setenv("XDG_STATE_HOME", "relative", 1);
        expect(er_dir_state(), "/home/u/.local/state/errand");
        setenv("ERRAND_HOME", "/own", 1);
        expect(er_dir_state(), "/own/state");
        expect(er_dir_cache(), "/own/cache");
        expect(er_dir_config(), "/own/config");
        unsetenv("ERRAND_HOME");
}

static void test_runtime_directory(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *expected = er_path_join(dir, "errand");
        er_autofree char *own = er_path_join(dir, "own");
        er_autofree char *first = NULL;
        er_autofree char *second = NULL;
        struct stat st;

        (void)state;
        setenv("XDG_RUNTIME_DIR", dir, 1);
        expect(er_dir_runtime(), expected);
        assert_int_equal(stat(expected, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
        setenv("ERRAND_HOME", own, 1);
        first = er_dir_runtime();
        assert_true(er_starts(first, expected) && strlen(first) > strlen(expected));
        assert_int_equal(stat(first, &st), 0);
        setenv("ERRAND_HOME", dir, 1);
        second = er_dir_runtime();
        assert_string_not_equal(first, second);
        /* A socket in it must fit, also with what ssh adds. */
        assert_true(strlen(first) < 70);
        unsetenv("ERRAND_HOME");
        unsetenv("XDG_RUNTIME_DIR");
        unit_remove(dir);
}

/* In a shared directory somebody may have made our name first, as a link or as theirs. */
static void test_runtime_is_not_trusted(void **state)
{
        char *dir = unit_temp_dir(), *other = unit_temp_dir();
        er_autofree char *trap = er_path_join(dir, "errand");
        er_autofree char *got = NULL;

        (void)state;
        assert_int_equal(symlink(other, trap), 0);
        setenv("XDG_RUNTIME_DIR", dir, 1);
        got = er_dir_runtime();
        assert_string_not_equal(got, trap);
        unsetenv("XDG_RUNTIME_DIR");
        unit_remove(dir);
        unit_remove(other);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_expand_and_abs),
                cmocka_unit_test(test_safe),
                cmocka_unit_test(test_mkdir_p),
                cmocka_unit_test(test_user_directories),
                cmocka_unit_test(test_runtime_directory),
                cmocka_unit_test(test_runtime_is_not_trusted),
        };

        return UNIT_RUN(tests);
}

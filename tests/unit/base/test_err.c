#include "unit.h"

#include <errno.h>

static void test_null_is_allowed(void **state)
{
        struct er_err from = ER_ERR_INIT;

        (void)state;
        assert_int_equal(er_err_set(NULL, ER_IO, "x"), -1);
        assert_int_equal(er_err_errno(NULL, ENOENT, "x"), -1);
        assert_int_equal(er_err_wrap(NULL, "x"), -1);
        assert_int_equal(er_err_hint(NULL, "x"), -1);
        assert_int_equal(er_err_retry(NULL), -1);
        er_err_release(NULL);
        er_err_set(&from, ER_IO, "x");
        assert_int_equal(er_err_move(NULL, &from), -1);
        assert_null(from.message);
        assert_int_equal(er_err_move(&from, NULL), -1);
}

static void test_set_and_wrap(void **state)
{
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_err) other = ER_ERR_INIT;

        (void)state;
        er_err_set(&err, ER_QUOTA, "no %s left", "A100");
        er_err_hint(&err, "ask for more");
        er_err_retry(&err);
        er_err_wrap(&err, "creating %d instances", 2);
        assert_string_equal(err.message, "creating 2 instances: no A100 left");
        assert_string_equal(err.hint, "ask for more");
        assert_int_equal(err.code, ER_QUOTA);
        assert_true(err.retryable);
        /* The arguments may be the old message. */
        er_err_set(&err, ER_IO, "again: %s", err.message);
        assert_string_equal(err.message, "again: creating 2 instances: no A100 left");
        assert_null(err.hint);
        assert_false(err.retryable);
        er_err_set(&other, ER_NET, "old");
        er_err_move(&other, &err);
        assert_int_equal(other.code, ER_IO);
        assert_null(err.message);
        assert_int_equal(err.code, ER_OK);
}

static void test_errno(void **state)
{
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        er_err_errno(&err, ENOENT, "open %s", "x.yaml");
        assert_string_equal(err.message, "open x.yaml: No such file or directory");
        assert_int_equal(err.code, ER_NOT_FOUND);
        assert_int_equal(err.sys_errno, ENOENT);
        er_err_errno(&err, ENOSPC, "write");
        assert_int_equal(err.code, ER_IO);
        assert_non_null(strstr(err.hint, "free some space"));
        er_err_errno(&err, EACCES, "write");
        assert_int_equal(err.code, ER_AUTH);
        assert_null(err.hint);
        er_err_errno(&err, ECONNREFUSED, "connect");
        assert_int_equal(err.code, ER_NET);
        assert_true(err.retryable);
        er_err_errno(&err, 4095, "odd");
        assert_int_equal(err.code, ER_IO);
}

static void test_codes_have_names(void **state)
{
        (void)state;
        for (int i = 0; i < ER_CODE_COUNT; i++) {
                assert_non_null(er_code_name((enum er_code)i));
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(er_code_name((enum er_code)i), er_code_name((enum er_code)j));
        }
        assert_string_equal(er_code_name((enum er_code)999), "internal");
        assert_int_equal(er_code_exit_status(ER_OK), 0);
        assert_int_equal(er_code_exit_status(ER_USAGE), 201);
        assert_int_equal(er_code_exit_status(ER_INTERNAL), 217); /* never renumbered */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_null_is_allowed),
                cmocka_unit_test(test_set_and_wrap),
                cmocka_unit_test(test_errno),
                cmocka_unit_test(test_codes_have_names),
        };

        return UNIT_RUN(tests);
}

#include "unit.h"

#include "base/io.h"
#include "base/log.h"

/* The environment is read once in a process, so this program has one list for all its tests. */
static char *log_path;

static void test_list(void **state)
{
        (void)state;
        assert_true(er_log_on("host"));
        assert_true(er_log_on("maestro"));
        assert_false(er_log_on("hos"));
        assert_false(er_log_on("store"));
}

static void test_lines(void **state)
{
        er_auto(er_str) text = ER_STR_INIT;
        int calls = 0;

        (void)state;
        er_debug("host", "connecting to %s %d", "gpu-1", ++calls);
        er_debug("store", "not this %d", ++calls);
        assert_int_equal(calls, 1); /* what is off is not even computed */
        assert_int_equal(er_file_read(AT_FDCWD, log_path, 10000, &text, NULL), 0);
        assert_non_null(strstr(text.buf, " host: connecting to gpu-1 1\n"));
        assert_null(strstr(text.buf, "not this"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_list), cmocka_unit_test(test_lines)};
        char *dir = unit_temp_dir();
        int failed;

        log_path = er_path_join(dir, "log");
        setenv("ERRAND_LOG", "host, maestro", 1);
        setenv("ERRAND_LOG_FILE", log_path, 1);
        failed = UNIT_RUN(tests);
        free(log_path);
        unit_remove(dir);
        return failed;
}

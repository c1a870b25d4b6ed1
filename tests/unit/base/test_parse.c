#include "unit.h"

#include "base/parse.h"

static void test_numbers(void **state)
{
        er_auto(er_err) err = ER_ERR_INIT;
        uint64_t u = 7;
        int64_t i = 7;

        (void)state;
        assert_int_equal(er_parse_u64("18446744073709551615", UINT64_MAX, &u, &err), 0);
        assert_true(u == UINT64_MAX);
        assert_int_equal(er_parse_u64("18446744073709551616", UINT64_MAX, &u, &err), -1);
        unit_assert_err(&err, ER_CONFIG, "too large");
        assert_int_equal(er_parse_u64("11", 10, &u, &err), -1);
        for (const char *const *bad = (const char *const[]){"", "+1", "-1", " 1", "1 ", "0x1", "1e3", NULL}; *bad;
             bad++) {
                assert_int_equal(er_parse_u64(*bad, 10, &u, &err), -1);
                unit_assert_err(&err, ER_CONFIG, "is not a whole number");
        }
        assert_int_equal(er_parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &i, &err), 0);
        assert_true(i == INT64_MIN);
        assert_int_equal(er_parse_int("9223372036854775807", INT64_MIN, INT64_MAX, &i, &err), 0);
        assert_true(i == INT64_MAX);
        assert_int_equal(er_parse_int("9223372036854775808", INT64_MIN, INT64_MAX, &i, &err), -1);
        assert_int_equal(er_parse_int("-9223372036854775809", INT64_MIN, INT64_MAX, &i, &err), -1);
        assert_int_equal(er_parse_int("65536", 1, 65535, &i, &err), -1);
        unit_assert_err(&err, ER_CONFIG, "out of range: 1 to 65535");
        assert_int_equal(er_parse_int("--1", -5, 5, &i, &err), -1);
        assert_int_equal(er_parse_int("-", -5, 5, &i, &err), -1);
}

static void test_sizes(void **state)
{
        static const struct {
                const char *text;
                uint64_t bytes; /* 1 is refused */
        } cases[] = {
                {"4096", 4096},
                {"16G", 16ull << 30},
                {"16GiB", 16ull << 30},
                {"16GB", 16ull << 30},
                {"16gb", 16ull << 30},
                {"512M", 512ull << 20},
                {"1.5T", 3ull << 39},
                {"8 GB", 8ull << 30},
                {"0.5K", 512},
                {"10B", 10},
                {"0", 0},
                {"", 1},
                {"G", 1},
                {"-1G", 1},
                {"1X", 1},
                {"1Gx", 1},
                {"1.5", 1},
                {"1.G", 1},
                {"9E", 1},
                {"99999999999999999999", 1},
                {"1GiBs", 1},
                {"1  G", 1},
                {"7E", 7ull << 60},
                {"0.25G", 1ull << 28},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_err) err = ER_ERR_INIT;
                uint64_t bytes = 1;
                int rc = er_parse_size(cases[i].text, &bytes, &err);

                if (rc != (cases[i].bytes == 1 ? -1 : 0) || bytes != cases[i].bytes)
                        fail_msg("%s: %d, %llu", cases[i].text, rc, (unsigned long long)bytes);
        }
}

static void test_size_texts(void **state)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } cases[] = {
                {0, "0 B"},
                {1023, "1023 B"},
                {1024, "1 KB"},
                {1536, "1.5 KB"},
                {312 * 1024, "312 KB"},
                {1024 * 1024 - 1, "1 MB"},
                {10 * 1024 * 1024, "10 MB"},
                {(3ull << 29), "1.5 GB"},
                {100ull << 30, "100 GB"},
                {UINT64_MAX, "16 EB"},
        };
        er_auto(er_str) out = ER_STR_INIT;

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_fmt_size(&out, cases[i].bytes);
                unit_assert_str(&out, cases[i].text);
        }
}

static void test_nearest(void **state)
{
        static const char *const words[] = {"run", "jobs", "logs", "show", "cancel", "completion", "rerun"};
        const char *found[3];

        (void)state;
        assert_int_equal(er_nearest("cancle", words, ER_LEN(words), found, 3), 1);
        assert_string_equal(found[0], "cancel");
        assert_int_equal(er_nearest("log", words, ER_LEN(words), found, 3), 1);
        assert_string_equal(found[0], "logs");
        assert_int_equal(er_nearest("xyzzy", words, ER_LEN(words), found, 3), 0);
        assert_int_equal(er_nearest("", words, ER_LEN(words), found, 3), 0);
        /* Nearest first, also when it comes last; and no more than asked for. */
        {
                static const char *const near[] = {"mnist-14", "mnist-1", "mnist-13", "mnist-12x", "mnist-12"};

                assert_int_equal(er_nearest("mnist-12", near, ER_LEN(near), found, 3), 3);
                assert_string_equal(found[0], "mnist-12");
                assert_int_equal(er_nearest("mnist-12", near, ER_LEN(near), found, 1), 1);
                assert_string_equal(found[0], "mnist-12");
        }
}

static void test_hex(void **state)
{
        static const unsigned char bytes[] = {0x00, 0x7f, 0x80, 0xff, 0x1a};
        static const char *const refused[] = {"", "007f80ff1", "007f80ff1a0", "007f80ff1A", "007f80ff1g", "007f80 f1a"};
        unsigned char back[sizeof bytes];
        char text[2 * sizeof bytes + 1];

        (void)state;
        er_fmt_hex(bytes, sizeof bytes, text);
        assert_string_equal(text, "007f80ff1a");
        assert_true(er_parse_hex(er_sv(text), back, sizeof back));
        assert_memory_equal(back, bytes, sizeof bytes);
        for (size_t i = 0; i < ER_LEN(refused); i++)
                assert_false(er_parse_hex(er_sv(refused[i]), back, sizeof back));
        assert_false(er_parse_hex((struct er_sv){"007f80ff1\0", 10}, back, sizeof back));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers), cmocka_unit_test(test_sizes), cmocka_unit_test(test_size_texts),
                cmocka_unit_test(test_nearest), cmocka_unit_test(test_hex),
        };

        return UNIT_RUN(tests);
}

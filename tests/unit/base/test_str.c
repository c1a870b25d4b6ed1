#include "unit.h"

static void test_invariants(void **state)
{
        er_auto(er_str) s = ER_STR_INIT;

        (void)state;
        assert_string_equal(s.buf, "");
        er_str_empty[0] = 'x'; /* all threads share it: it is not written to */
        er_str_reset(&s);
        er_str_cut(&s, 0);
        assert_int_equal(er_str_empty[0], 'x');
        er_str_empty[0] = '\0';
        er_str_addn(&s, NULL, 0);
        er_str_add(&s, "abc");
        er_str_addc(&s, '\0');
        er_str_addf(&s, "%d-%s", 42, "x");
        assert_int_equal(s.len, 8);
        assert_memory_equal(s.buf,
                            "abc\0"
                            "42-x",
                            9);
        er_str_drop(&s, 4);
        assert_string_equal(s.buf, "42-x");
        er_str_cut(&s, 100);
        er_str_cut(&s, 2);
        unit_assert_str(&s, "42");
        er_str_add(&s, "text \t\r\n");
        er_str_rtrim(&s);
        unit_assert_str(&s, "text");
        er_str_add(&s, "xy");
        er_str_drop(&s, 9);
        unit_assert_str(&s, "");
}

static void test_long_format(void **state)
{
        er_autofree char *long_text = er_malloc(5001);
        er_autofree char *out = NULL;

        (void)state;
        memset(long_text, 'x', 5000);
        long_text[5000] = '\0';
        out = er_fmt("<%s>", long_text);
        assert_int_equal(strlen(out), 5002);
        assert_int_equal(out[5001], '>');
}

static void test_detach(void **state)
{
        struct er_str s = ER_STR_INIT;
        char *empty = er_str_detach(&s), *full;

        (void)state;
        assert_string_equal(empty, "");
        free(empty);
        er_str_add(&s, "a");
        full = er_str_detach(&s);
        assert_string_equal(full, "a");
        assert_int_equal(s.len, 0);
        assert_int_equal(s.cap, 0);
        free(full);
}

static void test_views(void **state)
{
        struct er_sv rest = ER_SV("a,,b,"), part;
        er_autofree char *copy = er_sv_dup(ER_SV("copy"));

        (void)state;
        assert_true(er_sv_cut(&rest, ',', &part) && er_sv_eq(part, ER_SV("a")));
        assert_true(er_sv_cut(&rest, ',', &part) && part.len == 0);
        assert_true(er_sv_cut(&rest, ',', &part) && er_sv_eq(part, ER_SV("b")));
        assert_true(er_sv_cut(&rest, ',', &part) && part.len == 0);
        assert_false(er_sv_cut(&rest, ',', &part));
        rest = ER_SV("");
        assert_true(er_sv_cut(&rest, ',', &part) && part.len == 0);
        assert_false(er_sv_cut(&rest, ',', &part));
        assert_true(er_sv_eq(er_sv_trim(ER_SV(" \t x y\n")), ER_SV("x y")));
        assert_true(er_sv_eq(er_sv_trim(ER_SV(" ")), ER_SV("")));
        assert_true(er_sv_starts(ER_SV("abc"), ER_SV("ab")));
        assert_true(er_sv_starts(ER_SV("abc"), ER_SV("")));
        assert_false(er_sv_starts(ER_SV("a"), ER_SV("ab")));
        assert_string_equal(copy, "copy");
        assert_true(er_streq(NULL, NULL));
        assert_false(er_streq("", NULL));
        assert_true(er_ends("train.py", ".py"));
        assert_false(er_ends("py", "x.py"));
}

static void test_vector(void **state)
{
        er_auto(er_strv) v = ER_STRV_INIT, w = ER_STRV_INIT;

        (void)state;
        er_strv_add(&v, "pear");
        er_strv_addn(&v, "apple pie", 5);
        er_strv_addf(&v, "%s%d", "fig", 7);
        er_strv_take(&v, er_strdup("zoo"));
        assert_int_equal(v.len, 4);
        assert_null(v.items[4]);
        er_strv_addall(&w, v.items, v.len);
        er_strv_sort(&w);
        assert_string_equal(w.items[0], "apple");
        assert_string_equal(w.items[1], "fig7");
        assert_string_equal(w.items[3], "zoo");
        assert_null(w.items[4]);
        assert_true(er_strv_has(&w, "pear"));
        assert_false(er_strv_has(&w, "pea"));
}

static void test_grow(void **state)
{
        size_t cap = 0;
        uint64_t *items = NULL;

        (void)state;
        for (size_t i = 0; i < 1000; i++) {
                items = er_grow(items, &cap, i + 1, sizeof *items);
                items[i] = i;
        }
        assert_true(cap >= 1000 && cap < 4000);
        for (size_t i = 0; i < 1000; i++)
                assert_int_equal(items[i], i);
        free(items);
}

static void test_strv_value(void **state)
{
        er_auto(er_strv) v = ER_STRV_INIT;

        (void)state;
        er_strv_add(&v, "NAMES=x");
        er_strv_add(&v, "NAME");
        er_strv_add(&v, "NAME=a=b");
        er_strv_add(&v, "NAME=later");
        er_strv_add(&v, "EMPTY=");
        assert_string_equal(er_strv_value(&v, "NAME"), "a=b");
        assert_string_equal(er_strv_value(&v, "EMPTY"), "");
        assert_null(er_strv_value(&v, "NAM"));
        assert_null(er_strv_value(&v, "OTHER"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_strv_value),  cmocka_unit_test(test_invariants),
                cmocka_unit_test(test_long_format), cmocka_unit_test(test_detach),
                cmocka_unit_test(test_views),       cmocka_unit_test(test_vector),
                cmocka_unit_test(test_grow),
        };

        return UNIT_RUN(tests);
}

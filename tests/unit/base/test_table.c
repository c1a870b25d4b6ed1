#include "unit.h"

#include <jansson.h>
#include <math.h>
#include "base/table.h"
#include "base/term.h"

static const struct er_column columns[] = {
        {"JOB", "job", ER_CELL_TEXT, false, false},    {"COMMAND", "command", ER_CELL_TEXT, false, true},
        {"CPUS", "cpus", ER_CELL_INT, false, false},   {"MEMORY", "memory", ER_CELL_SIZE, false, false},
        {"SINCE", "since", ER_CELL_AGE, false, false}, {"ID", "id", ER_CELL_INT, true, false},
};

static void add_row(struct er_table *table, const char *job, const char *command, int64_t cpus)
{
        er_table_text(table, job);
        er_table_text(table, command);
        er_table_int(table, cpus);
        er_table_int(table, 1536);
        er_table_int(table, 1000000);
        er_table_int(table, 99);
}

static void test_text(void **state)
{
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        er_auto(er_str) out = ER_STR_INIT;

        (void)state;
        add_row(table, "mnist-1.0", "python3 train.py", 2);
        add_row(table, "m\xc3\xa4h-2.0", "a\nb", 128);
        er_table_text(table, "x");
        for (int i = 0; i < 5; i++)
                er_table_none(table);
        assert_int_equal(er_table_rows(table), 3);
        er_table_print(table, &out, 0, false, 1180000);
        unit_assert_str(&out, "JOB        COMMAND           CPUS  MEMORY  SINCE\n"
                              "mnist-1.0  python3 train.py     2  1.5 KB  3 min ago\n"
                              "m\xc3\xa4h-2.0    a\\x0ab             128  1.5 KB  3 min ago\n"
                              "x          -                    -       -  -\n");
}

static void test_names(void **state)
{
        static const struct er_column named[] = {{"HOST", "names", ER_CELL_NAMES, false, false}};
        er_autoptr(er_table) table = er_table_new(named, ER_LEN(named));
        er_auto(er_str) out = ER_STR_INIT;

        (void)state;
        er_table_text(table, "a\nb \033[1m");
        er_table_text(table, "c");
        er_table_text(table, NULL);
        er_table_print(table, &out, 0, false, 0);
        unit_assert_str(&out, "HOST\na, b \\x1b[1m\nc\n\n");
        er_str_reset(&out);
        er_table_json(table, &out);
        unit_assert_str(&out, "[\n  {\"names\": [\"a\", \"b \\u001b[1m\"]},\n  {\"names\": [\"c\"]},\n"
                              "  {\"names\": null}\n]\n");
}

static void test_narrow(void **state)
{
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        er_auto(er_str) out = ER_STR_INIT;
        struct er_sv rest, line;

        (void)state;
        add_row(table, "job-1", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e python3 train.py --lr=0.1 --epochs=100", 2);
        er_table_print(table, &out, 50, true, 1180000);
        assert_non_null(strstr(out.buf, "\xe2\x80\xa6"));
        rest = er_svn(out.buf, out.len);
        assert_true(er_sv_cut(&rest, '\n', &line));
        assert_true(er_sv_starts(line, ER_SV("\033[1mJOB")));
        assert_true(er_sv_cut(&rest, '\n', &line));
        assert_int_equal(er_term_columns(line.ptr, line.len), 50);
        /* What may not be cut stays whole, however narrow. */
        er_str_reset(&out);
        er_table_print(table, &out, 5, false, 1180000);
        assert_non_null(strstr(out.buf, "3 min ago"));
}

static void test_empty(void **state)
{
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        er_auto(er_str) out = ER_STR_INIT;

        (void)state;
        er_table_print(table, &out, 80, false, 0);
        unit_assert_str(&out, "JOB  COMMAND  CPUS  MEMORY  SINCE\n");
        er_table_json(table, &out);
        unit_assert_str(&out, "[]\n");
}

/* A parser that is not ours reads it back. */
static void test_json(void **state)
{
        static const struct er_column all[] = {
                {"T", "text", ER_CELL_TEXT, false, false}, {"B", "bool", ER_CELL_BOOL, false, false},
                {"D", "time", ER_CELL_TIME, false, false}, {"L", "length", ER_CELL_DURATION, false, false},
                {"R", "real", ER_CELL_REAL, false, false}, {"N", "none", ER_CELL_TEXT, false, false},
        };
        static const char odd[] = "q\"b\\s/\n\t\001\x7f\xff\xe2\x82\xac";
        er_autoptr(er_table) table = er_table_new(all, ER_LEN(all));
        er_auto(er_str) out = ER_STR_INIT;
        json_error_t error;
        const json_t *row;
        json_t *root;

        (void)state;
        for (int i = 0; i < 2; i++) {
                er_table_text(table, odd);
                er_table_int(table, i);
                er_table_int(table, 1795262400000);
                er_table_int(table, 3250);
                er_table_real(table, i ? 1.5 : NAN);
                er_table_text(table, NULL);
        }
        er_table_json(table, &out);
        root = json_loadb(out.buf, out.len, 0, &error);
        assert_non_null(root);
        assert_int_equal(json_array_size(root), 2);
        row = json_array_get(root, 1);
        assert_string_equal(json_string_value(json_object_get(row, "text")),
                            "q\"b\\s/\n\t\001\x7f\xef\xbf\xbd\xe2\x82\xac");
        assert_true(json_is_true(json_object_get(row, "bool")));
        assert_string_equal(json_string_value(json_object_get(row, "time")), "2026-11-21T12:00:00.000Z");
        assert_true(fabs(json_number_value(json_object_get(row, "length")) - 3.25) < 1e-9);
        assert_true(fabs(json_number_value(json_object_get(row, "real")) - 1.5) < 1e-9);
        assert_true(json_is_null(json_object_get(row, "none")));
        assert_true(json_is_null(json_object_get(json_array_get(root, 0), "real")));
        json_decref(root);
}

static void test_columns(void **state)
{
        (void)state;
        assert_int_equal(er_term_columns("abc", 3), 3);
        assert_int_equal(er_term_columns("\xc3\xa4", 2), 1);
        assert_int_equal(er_term_columns("e\xcc\x81", 3), 1);    /* a combining accent */
        assert_int_equal(er_term_columns("\xe6\x97\xa5", 3), 2); /* wide */
        assert_int_equal(er_term_columns("\xf0\x9f\x9a\x80", 4), 2);
        assert_int_equal(er_term_columns("\xff\xfe", 2), 2); /* bad bytes, one each */
        assert_false(er_term_is(-1));
        assert_int_equal(er_term_width(-1), 80);
        assert_false(er_term_colour(-1));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),  cmocka_unit_test(test_names), cmocka_unit_test(test_narrow),
                cmocka_unit_test(test_empty), cmocka_unit_test(test_json),  cmocka_unit_test(test_columns),
        };

        return UNIT_RUN(tests);
}

/* What errand logs shows of a log, however it is cut into pieces. */
#include "unit.h"

#include "cli/filter.h"

static struct er_str out[2];

static int keep(void *arg, int stream, struct er_sv data)
{
        (void)arg;
        er_str_addn(&out[stream == 2], data.ptr, data.len);
        return 0;
}

static struct er_filter *make(const char *grep, int64_t every_ms, int64_t tail)
{
        const struct er_filter_opts opts = {.grep = grep, .every_ms = every_ms, .tail = tail, .write = keep};
        struct er_filter *filter = NULL;

        for (int i = 0; i < 2; i++) {
                er_str_release(&out[i]);
                er_str_init(&out[i]);
        }
        assert_int_equal(er_filter_new(&opts, &filter, NULL), 0);
        return filter;
}

static void add(struct er_filter *filter, int64_t time_ms, const char *text)
{
        assert_int_equal(er_filter_add(filter, 1, time_ms, er_sv(text)), 0);
}

static void test_everything_as_it_is(void **state)
{
        er_autoptr(er_filter) filter = make(NULL, -1, -1);

        (void)state;
        add(filter, 0, "half");
        assert_string_equal(out[0].buf, "half"); /* at once: it may be a prompt */
        assert_int_equal(er_filter_add(filter, 2, 0, er_svn("a\0b", 3)), 0);
        assert_int_equal(out[1].len, 3);
        assert_int_equal(er_filter_end(filter), 0);
}

/* The same lines come out wherever the pieces are cut. */
static void test_grep_over_any_cut(void **state)
{
        static const char text[] = "step 1 loss 0.5\nnothing\nstep 2 loss 0.25\nloss at the end";

        (void)state;
        for (size_t cut = 1; cut < sizeof text - 1; cut++) {
                er_autoptr(er_filter) filter = make("loss", -1, -1);

                for (size_t at = 0; at < sizeof text - 1; at += cut) {
                        size_t len = sizeof text - 1 - at < cut ? sizeof text - 1 - at : cut;

                        assert_int_equal(er_filter_add(filter, 1, 0, er_svn(text + at, len)), 0);
                }
                assert_int_equal(er_filter_end(filter), 0);
                assert_string_equal(out[0].buf, "step 1 loss 0.5\nstep 2 loss 0.25\nloss at the end");
        }
}

static void test_streams_do_not_mix_within_a_line(void **state)
{
        er_autoptr(er_filter) filter = make(".", -1, -1);

        (void)state;
        add(filter, 0, "one ");
        assert_int_equal(er_filter_add(filter, 2, 0, ER_SV("error\n")), 0);
        add(filter, 0, "line\n");
        assert_string_equal(out[0].buf, "one line\n");
        assert_string_equal(out[1].buf, "error\n");
}

static void test_ends_of_lines_match(void **state)
{
        er_autoptr(er_filter) filter = make("^end$", -1, -1);

        (void)state;
        add(filter, 0, "end\nend\r\nthe end\n");
        assert_string_equal(out[0].buf, "end\nend\r\n");
}

static void test_nul_does_not_hide_the_rest(void **state)
{
        er_autoptr(er_filter) filter = make("after", -1, -1);

        (void)state;
        assert_int_equal(er_filter_add(filter, 1, 0, er_svn("x\0after\n", 8)), 0);
        assert_int_equal(out[0].len, 8);
}

static void test_tail_of_what_matches_then_live(void **state)
{
        er_autoptr(er_filter) filter = make("7", -1, 2);

        (void)state;
        add(filter, 0, "7\n17\n1\n27\n37\n2\n");
        assert_string_equal(out[0].buf, "");
        assert_int_equal(er_filter_live(filter), 0);
        assert_string_equal(out[0].buf, "27\n37\n");
        add(filter, 0, "5\n47\n57\n67\n");
        assert_string_equal(out[0].buf, "27\n37\n47\n57\n67\n");
        assert_int_equal(er_filter_end(filter), 0);
        assert_string_equal(out[0].buf, "27\n37\n47\n57\n67\n");
}

static void test_tail_at_the_end(void **state)
{
        er_autoptr(er_filter) filter = make("x", -1, 3);

        (void)state;
        add(filter, 0, "x1\nx2\nx3\nx4\nx5");
        assert_int_equal(er_filter_end(filter), 0);
        assert_string_equal(out[0].buf, "x3\nx4\nx5");
}

static void test_tail_zero_and_more_than_there_is(void **state)
{
        er_autoptr(er_filter) none = make("x", -1, 0);
        er_autoptr(er_filter) all = NULL;

        (void)state;
        add(none, 0, "x\n");
        assert_int_equal(er_filter_end(none), 0);
        assert_string_equal(out[0].buf, "");
        all = make("x", -1, 2000000000);
        add(all, 0, "x1\nx2\n");
        assert_int_equal(er_filter_end(all), 0);
        assert_string_equal(out[0].buf, "x1\nx2\n");
}

static void test_every_shows_the_newest(void **state)
{
        er_autoptr(er_filter) filter = make(NULL, 1000, -1);

        (void)state;
        for (int i = 0; i <= 30; i++) {
                er_autofree char *line = er_fmt("step %d\n", i);

                add(filter, i * 100, line);
        }
        /* The first at once, then one in ten, and the last. */
        assert_int_equal(er_filter_end(filter), 0);
        assert_string_equal(out[0].buf, "step 0\nstep 9\nstep 19\nstep 29\nstep 30\n");
}

static void test_every_shows_the_last_line_of_a_silent_job(void **state)
{
        er_autoptr(er_filter) filter = make(NULL, 1000, -1);

        (void)state;
        add(filter, 0, "a\nb\n");
        assert_string_equal(out[0].buf, "a\n");
        assert_int_equal(er_filter_tick(filter, 500), 0);
        assert_string_equal(out[0].buf, "a\n");
        assert_int_equal(er_filter_tick(filter, 1000), 0);
        assert_string_equal(out[0].buf, "a\nb\n");
        assert_int_equal(er_filter_tick(filter, 5000), 0);
        assert_int_equal(er_filter_end(filter), 0);
        assert_string_equal(out[0].buf, "a\nb\n");
}

static void test_endless_line_is_taken_in_pieces(void **state)
{
        er_autoptr(er_filter) filter = make("x", -1, -1);
        er_auto(er_str) chunk = ER_STR_INIT;

        (void)state;
        for (int i = 0; i < 65536; i++)
                er_str_addc(&chunk, 'x');
        for (int i = 0; i < 40; i++)
                assert_int_equal(er_filter_add(filter, 1, 0, er_svn(chunk.buf, chunk.len)), 0);
        assert_true(out[0].len >= 2u << 20);
        assert_int_equal(er_filter_end(filter), 0);
        assert_int_equal(out[0].len, 40 * 65536);
}

static void test_wrong_expression(void **state)
{
        const struct er_filter_opts opts = {.grep = "(", .every_ms = -1, .tail = -1, .write = keep};
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_filter *filter = NULL;

        (void)state;
        assert_int_equal(er_filter_new(&opts, &filter, &err), -1);
        assert_int_equal(err.code, ER_USAGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_everything_as_it_is),
                cmocka_unit_test(test_grep_over_any_cut),
                cmocka_unit_test(test_streams_do_not_mix_within_a_line),
                cmocka_unit_test(test_ends_of_lines_match),
                cmocka_unit_test(test_nul_does_not_hide_the_rest),
                cmocka_unit_test(test_tail_of_what_matches_then_live),
                cmocka_unit_test(test_tail_at_the_end),
                cmocka_unit_test(test_tail_zero_and_more_than_there_is),
                cmocka_unit_test(test_every_shows_the_newest),
                cmocka_unit_test(test_every_shows_the_last_line_of_a_silent_job),
                cmocka_unit_test(test_endless_line_is_taken_in_pieces),
                cmocka_unit_test(test_wrong_expression),
        };
        int rc = UNIT_RUN(tests);

        er_str_release(&out[0]);
        er_str_release(&out[1]);
        return rc;
}

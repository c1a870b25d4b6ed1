#include "unit.h"

#include "base/clock.h"

static void test_durations(void **state)
{
        static const struct {
                const char *text;
                int64_t ms; /* -1: refused */
        } cases[] = {
                {"90", 90000},       {"90s", 90000},     {"1h30m", 5400000}, {"2d", 172800000},
                {"45ms", 45},        {"1.5h", 5400000},  {"0", 0},           {"0.25s", 250},
                {"1w", 604800000},   {"1m500ms", 60500}, {"", -1},           {"-5s", -1},
                {"5 s", -1},         {"s", -1},          {"5x", -1},         {"1h30", -1},
                {"99999999999", -1}, {"1.s", -1},        {"5smm", -1},       {"99999w", -1},
                {"1h\n", -1},        {".5s", -1},        {"5M", -1},         {"99999999999999999999999s", -1},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_err) err = ER_ERR_INIT;
                int64_t ms = -7;
                int rc = er_parse_duration(cases[i].text, &ms, &err);

                if (cases[i].ms >= 0) {
                        assert_int_equal(rc, 0);
                        assert_int_equal(ms, cases[i].ms);
                } else {
                        assert_int_equal(rc, -1);
                        assert_int_equal(ms, -7);
                        unit_assert_err(&err, ER_CONFIG, "is not a duration");
                }
        }
}

#define NOON 1795262400000 /* 2026-11-21T12:00:00Z */

static void test_since(void **state)
{
        static const struct {
                const char *text;
                int64_t ms;
        } cases[] = {
                {"2026-11-21T12:00:00Z", NOON},
                {"2026-11-21T12:00:00.250Z", NOON + 250},
                {"2026-11-21T14:00:00+02:00", NOON},
                {"2026-11-21T10:30-0130", NOON},
                {"2026-11-21 12:00", NOON},
                {"2026-11-21", NOON - 12 * 3600000},
                {"10:30", NOON - 5400000},
                {"10m", NOON - 600000},
                {"2026-02-31", -1},
                {"2026-13-01", -1},
                {"2026-11-21T24:00:00Z", -1},
                {"2026-11-21T12:00:00Zx", -1},
                {"25:00", -1},
                {"yesterday", -1},
                {"", -1},
        };

        (void)state;
        setenv("TZ", "UTC", 1);
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_err) err = ER_ERR_INIT;
                int64_t ms = -7;
                int rc = er_parse_since(cases[i].text, NOON, &ms, &err);

                if (cases[i].ms < 0) {
                        assert_int_equal(rc, -1);
                        unit_assert_err(&err, ER_CONFIG, "is not a time");
                } else if (rc < 0 || ms != cases[i].ms) {
                        fail_msg("%s: %lld", cases[i].text, (long long)ms);
                }
        }
}

static void test_formats(void **state)
{
        static const struct {
                int64_t ms;
                const char *duration, *age;
        } cases[] = {
                {0, "0ms", "just now"},
                {45, "45ms", "just now"},
                {-30, "-30ms", "just now"},
                {3250, "3.2s", "just now"},
                {59999, "59.9s", "59 s ago"},
                {245000, "4m 05s", "4 min ago"},
                {3725000, "1h 02m", "1 h ago"},
                {86400000, "1d 00h", "1 day ago"},
                {10 * 86400000LL + 7200000, "10d 02h", "10 days ago"},
        };
        er_auto(er_str) out = ER_STR_INIT;

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_fmt_duration(&out, cases[i].ms);
                unit_assert_str(&out, cases[i].duration);
                er_fmt_age(&out, cases[i].ms);
                unit_assert_str(&out, cases[i].age);
        }
        er_fmt_iso(&out, NOON + 7);
        unit_assert_str(&out, "2026-11-21T12:00:00.007Z");
        er_fmt_iso(&out, -1);
        unit_assert_str(&out, "1969-12-31T23:59:59.999Z");
        er_fmt_time(&out, NOON);
        unit_assert_str(&out, "2026-11-21 12:00:00");
        er_fmt_iso(&out, INT64_MAX); /* no year has that many digits: something, and no crash */
}

static void test_deadlines(void **state)
{
        int left;

        (void)state;
        assert_int_equal(er_deadline_poll_ms(ER_NEVER), -1);
        assert_int_equal(er_deadline_poll_ms(0), 0);
        assert_true(er_deadline_in(INT64_MAX) == ER_NEVER);
        left = er_deadline_poll_ms(er_deadline_in(100000));
        assert_true(left > 90000 && left <= 100000);
        assert_true(er_mono_us() / 1000 - er_mono_ms() < 1000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_durations),
                cmocka_unit_test(test_since),
                cmocka_unit_test(test_formats),
                cmocka_unit_test(test_deadlines),
        };

        return UNIT_RUN(tests);
}

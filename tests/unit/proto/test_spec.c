/* test_spec.c - job specs, statuses, and the exit status they mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/msg.h"
#include "proto/spec.h"
#include "proto/status.h"

static void a_spec_comes_back(void **state)
{
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_auto(er_spec) back = ER_SPEC_INIT;
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_str) again = ER_STR_INIT;

        (void)state;
        spec.run = er_strdup("mnist-12");
        spec.project = er_strdup("mnist");
        spec.workdir = er_strdup("a b");
        er_strv_add(&spec.argv, "python");
        er_strv_add(&spec.argv, "");
        er_strv_add(&spec.argv, "\xff\n");
        er_strv_add(&spec.env, "A=1");
        er_strv_add(&spec.secrets, "TOKEN");
        er_strv_add(&spec.outputs, "out/**");
        er_strv_add(&spec.hosts, "any");
        spec.cpus = 4;
        spec.memory = (uint64_t)1 << 40;
        spec.gpus = 2;
        spec.time_limit_ms = 1234567890123;
        spec.grace_ms = 5;
        spec.retries = 3;
        spec.sync = false;
        spec.has_tree = true;
        spec.tree[0] = 7;
        spec.tree[31] = 9;
        er_spec_encode(&spec, &out);
        assert_int_equal(er_spec_decode(er_svn(out.buf, out.len), &back, NULL), 0);
        er_spec_encode(&back, &again);
        assert_int_equal(again.len, out.len);
        assert_memory_equal(again.buf, out.buf, out.len);
        assert_int_equal(back.argv.len, 3);
        assert_string_equal(back.argv.items[2], "\xff\n");
        assert_true(back.has_tree && !back.sync && back.tree[31] == 9 && back.time_limit_ms == 1234567890123);
}

static int decode(void (*fill)(struct er_str *out))
{
        er_auto(er_spec) spec = ER_SPEC_INIT;
        er_auto(er_str) out = ER_STR_INIT;

        fill(&out);
        return er_spec_decode(er_svn(out.buf, out.len), &spec, NULL);
}

static void no_command(struct er_str *out)
{
        er_msg_text(out, 1, "run");
}
static void nul_in_argument(struct er_str *out)
{
        er_msg_bytes(out, 3, "a\0b", 3);
}
static void shell_of_two(struct er_str *out)
{
        er_msg_text(out, 3, "a");
        er_msg_text(out, 3, "b");
        er_msg_u64(out, 4, 1);
}
static void cut_field(struct er_str *out)
{
        er_msg_text(out, 3, "abc");
        er_str_cut(out, out->len - 1);
}
static void from_the_future(struct er_str *out)
{
        er_msg_text(out, 3, "true");
        er_msg_text(out, 999, "whatever that is");
}

static void damaged_specs_are_refused(void **state)
{
        (void)state;
        assert_int_equal(decode(no_command), -1);
        assert_int_equal(decode(nul_in_argument), -1);
        assert_int_equal(decode(shell_of_two), -1);
        assert_int_equal(decode(cut_field), -1);
        assert_int_equal(decode(from_the_future), 0);
}

static void a_status_comes_back(void **state)
{
        struct er_status status = ER_STATUS_INIT;
        er_auto(er_status) back = ER_STATUS_INIT;
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_str) again = ER_STR_INIT;

        (void)state;
        er_status_encode(&status, &out);
        er_status_decode(er_svn(out.buf, out.len), &back);
        assert_true(back.exit_code == -1 && back.gpu_util == -1 && !back.key);
        er_str_reset(&out);
        status = (struct er_status){.attempt = 2,
                                    .seq = 9,
                                    .state = 5,
                                    .end = 2,
                                    .reason = 1,
                                    .exit_code = 0,
                                    .signal = 9,
                                    .time_ms = 1,
                                    .started_ms = 2,
                                    .ended_ms = 3,
                                    .cpu_ms = 4,
                                    .max_rss = 5,
                                    .gpu_mem = 6,
                                    .gpu_util = 0,
                                    .gpu_mask = (uint64_t)1 << 63 | 5,
                                    .log_size = 7,
                                    .pid = 8};
        status.key = er_strdup("k.0.x");
        status.detail = er_strdup("why");
        er_status_encode(&status, &out);
        er_status_decode(er_svn(out.buf, out.len), &back);
        er_status_encode(&back, &again);
        assert_int_equal(again.len, out.len);
        assert_memory_equal(again.buf, out.buf, out.len);
        assert_true(back.gpu_mask == status.gpu_mask && back.exit_code == 0 && back.gpu_util == 0);
        er_status_release(&status);
}

static void exit_statuses(void **state)
{
        static const struct {
                struct er_status status;
                int exit;
        } cases[] = {
                {{.end = ER_END_DONE}, 0},
                {{.end = ER_END_FAILED, .reason = ER_REASON_EXIT, .exit_code = 3}, 3},
                {{.end = ER_END_FAILED, .reason = ER_REASON_START, .exit_code = 127}, 127},
                {{.end = ER_END_FAILED, .reason = ER_REASON_SIGNAL, .signal = 11}, 139},
                {{.end = ER_END_FAILED, .reason = ER_REASON_TIME_LIMIT, .signal = 15}, 124},
                {{.end = ER_END_FAILED, .reason = ER_REASON_OOM, .signal = 9}, 137},
                {{.end = ER_END_FAILED, .reason = ER_REASON_MISSING_OUTPUT}, 220},
                {{.end = ER_END_LOST, .reason = ER_REASON_REBOOT}, 221},
                {{.end = ER_END_FAILED, .reason = ER_REASON_FILES}, 222},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++)
                assert_int_equal(er_status_exit(&cases[i].status), cases[i].exit);
}

static void every_number_has_a_name(void **state)
{
        (void)state;
        for (int i = ER_STATE_WAITING; i <= ER_STATE_ENDED; i++)
                assert_string_not_equal(er_state_name((enum er_state)i), "unknown");
        for (int i = ER_END_NONE; i <= ER_END_LOST; i++)
                assert_string_not_equal(er_end_name((enum er_end)i), "unknown");
        for (int i = ER_REASON_NONE; i <= ER_REASON_LOG; i++)
                assert_string_not_equal(er_reason_name((enum er_reason)i), "unknown");
        assert_string_equal(er_reason_name((enum er_reason)9999), "unknown");
}

static void unknown_numbers_become_known_ones(void **state)
{
        er_auto(er_status) status = ER_STATUS_INIT;
        er_auto(er_status) ended = ER_STATUS_INIT;
        er_auto(er_str) out = ER_STR_INIT;

        (void)state;
        er_msg_u64(&out, ER_T_STATE, 77);
        er_msg_u64(&out, ER_T_REASON, UINT64_MAX);
        er_status_decode(er_svn(out.buf, out.len), &status);
        assert_int_equal(status.state, ER_STATE_RUNNING);
        assert_int_equal(status.reason, ER_REASON_NONE);
        assert_non_null(strstr(status.detail, "255"));
        er_msg_u64(&out, ER_T_END, 6);
        er_status_decode(er_svn(out.buf, out.len), &ended);
        assert_int_equal(ended.state, ER_STATE_ENDED);
        assert_int_equal(ended.end, ER_END_LOST);
        assert_string_equal(er_end_name((enum er_end)1000), "unknown");
        assert_string_equal(er_state_name((enum er_state) - 1), "unknown");
        assert_string_equal(er_reason_name((enum er_reason)255), "unknown");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_spec_comes_back),       cmocka_unit_test(damaged_specs_are_refused),
                cmocka_unit_test(a_status_comes_back),     cmocka_unit_test(exit_statuses),
                cmocka_unit_test(every_number_has_a_name), cmocka_unit_test(unknown_numbers_become_known_ones),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

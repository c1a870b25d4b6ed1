/* test_msg.c - frames and fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/msg.h"

static void fields_come_back(void **state)
{
        er_auto(er_str) out = ER_STR_INIT;
        struct er_sv all;

        (void)state;
        er_msg_u64(&out, ER_T_COUNT, UINT64_MAX);
        er_msg_i64(&out, ER_T_NOW, -5);
        er_msg_bytes(&out, ER_T_DATA, "a\0b", 3);
        er_msg_text(&out, ER_T_NAME, NULL);
        er_msg_text(&out, ER_T_HINT, "");
        all = er_svn(out.buf, out.len);
        assert_true(er_msg_is_sound(all));
        assert_true(er_msg_get_u64(all, ER_T_COUNT, 0) == UINT64_MAX);
        assert_true(er_msg_get_i64(all, ER_T_NOW, 0) == -5);
        assert_int_equal(er_msg_get(all, ER_T_DATA).len, 3);
        assert_null(er_msg_get(all, ER_T_NAME).ptr);
        assert_non_null(er_msg_get(all, ER_T_HINT).ptr);
        assert_true(er_msg_get_u64(all, ER_T_DATA, 77) == 77); /* of a wrong size: as if missing */
        for (size_t cut = 1; cut < 6; cut++)
                assert_false(er_msg_is_sound(er_svn(out.buf, out.len - cut)));
}

static void frames_come_back_in_any_pieces(void **state)
{
        er_auto(er_str) out = ER_STR_INIT;
        struct er_frame frame;
        size_t start, first;

        (void)state;
        start = er_frame_begin(&out, ER_F_SUBMIT, 0xdeadbeef);
        er_msg_text(&out, ER_T_KEY, "k");
        er_frame_end(&out, start);
        first = out.len;
        start = er_frame_begin(&out, ER_F_PING, 2);
        er_frame_end(&out, start);
        for (size_t len = 0; len < first; len++)
                assert_int_equal(er_frame_parse(out.buf, len, &frame, NULL), 0);
        assert_int_equal(er_frame_parse(out.buf, out.len, &frame, NULL), 1);
        assert_true(frame.type == ER_F_SUBMIT && frame.id == 0xdeadbeef && frame.size == first);
        assert_int_equal(er_frame_parse(out.buf + first, out.len - first, &frame, NULL), 1);
        assert_true(frame.type == ER_F_PING && frame.payload.len == 0);
}

static void a_head_is_the_frame_without_its_data(void **state)
{
        er_auto(er_str) whole = ER_STR_INIT;
        er_auto(er_str) head = ER_STR_INIT;
        er_auto(er_str) fields = ER_STR_INIT;
        size_t start = er_frame_begin(&whole, ER_F_LOG_DATA, 9);

        (void)state;
        er_msg_u64(&whole, ER_T_OFFSET, 5);
        er_msg_bytes(&whole, ER_T_DATA, "hello", 5);
        er_frame_end(&whole, start);
        er_msg_u64(&fields, ER_T_OFFSET, 5);
        er_frame_head(&head, ER_F_LOG_DATA, 9, er_svn(fields.buf, fields.len), ER_T_DATA, 5);
        er_str_add(&head, "hello");
        assert_int_equal(head.len, whole.len);
        assert_memory_equal(head.buf, whole.buf, whole.len);
}

static void what_is_no_frame_is_refused(void **state)
{
        static const unsigned char bad[][12] = {
                {7, 0, 0, 0, 1}, /* shorter than its header */
                {0, 0, 0, 0},
                {0xff, 0xff, 0xff, 0xff, 1}, /* endless */
                {9, 0, 0x10, 0, 1},          /* one byte more than is allowed */
                {8, 0, 0, 0, 1, 1},          /* what must be zero is not */
                {'S', 'S', 'H', '-', '2', '.', '0', '-', 'O', 'p', 'e', 'n'},
        };
        struct er_frame frame;

        (void)state;
        for (size_t i = 0; i < ER_LEN(bad); i++) {
                er_auto(er_err) err = ER_ERR_INIT;

                assert_int_equal(er_frame_parse(bad[i], 12, &frame, &err), -1);
                assert_int_equal(err.code, ER_REMOTE);
        }
}

static void errors_travel_whole(void **state)
{
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_err) told = ER_ERR_INIT;
        er_auto(er_str) out = ER_STR_INIT;
        struct er_frame frame;

        (void)state;
        er_err_set(&err, ER_NOT_FOUND, "no %s", "such thing");
        er_err_hint(&err, "look elsewhere");
        er_err_retry(&err);
        err.provider_code = er_strdup("snapshot");
        err.sys_errno = 2;
        er_frame_error(&out, 3, &err);
        assert_int_equal(er_frame_parse(out.buf, out.len, &frame, NULL), 1);
        assert_int_equal(er_frame_to_err(&frame, &told), -1);
        assert_int_equal(told.code, ER_NOT_FOUND);
        assert_string_equal(told.message, "no such thing");
        assert_string_equal(told.hint, "look elsewhere");
        assert_string_equal(told.provider_code, "snapshot");
        assert_true(told.retryable && told.sys_errno == 2);
        er_frame_to_err(&frame, NULL); /* nobody cares: allowed */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fields_come_back),
                cmocka_unit_test(frames_come_back_in_any_pieces),
                cmocka_unit_test(a_head_is_the_frame_without_its_data),
                cmocka_unit_test(what_is_no_frame_is_refused),
                cmocka_unit_test(errors_travel_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* fuzz_msg.c - a stream of frames, as an agent or errand reads it from the other side. */
#include "fuzz.h"

#include "proto/msg.h"

static void read_fields(struct er_sv payload)
{
        struct er_sv rest = payload;
        struct er_field field;
        size_t total = 0;

        while (er_msg_next(&rest, &field)) {
                total += 6 + field.value.len;
                FUZZ_CHECK(total <= payload.len);
                er_field_u64(&field);
                er_field_i64(&field);
        }
        FUZZ_CHECK(er_msg_is_sound(payload) == (total == payload.len));
        er_msg_get_u64(payload, ER_T_VERSION, 0);
        free(er_msg_dup(payload, ER_T_BUILD));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t pos = 0;

        while (pos < size) {
                er_auto(er_err) err = ER_ERR_INIT;
                er_auto(er_err) told = ER_ERR_INIT;
                struct er_frame frame;
                int got = er_frame_parse(data + pos, size - pos, &frame, &err);

                FUZZ_CHECK((got < 0) == (err.message != NULL));
                if (got <= 0)
                        break;
                FUZZ_CHECK(frame.size >= ER_FRAME_HEADER && frame.size <= size - pos);
                FUZZ_CHECK(frame.payload.len == frame.size - ER_FRAME_HEADER && frame.payload.len <= ER_FRAME_MAX);
                read_fields(frame.payload);
                FUZZ_CHECK(er_frame_to_err(&frame, &told) == -1 && told.message && told.code != ER_OK);
                pos += frame.size;
        }
        return 0;
}

/* msg.c - see msg.h */
#include "proto/msg.h"

#include <errno.h>
#include <stdio.h>

#define FIELD_HEADER 6u

static void put_u16(unsigned char *p, uint16_t v)
{
        p[0] = (unsigned char)v;
        p[1] = (unsigned char)(v >> 8);
}

static void put_u32(unsigned char *p, uint32_t v)
{
        put_u16(p, (uint16_t)v);
        put_u16(p + 2, (uint16_t)(v >> 16));
}

static uint32_t get_u16(const unsigned char *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get_u32(const unsigned char *p)
{
        return get_u16(p) | get_u16(p + 2) << 16;
}

static void add_field_header(struct er_str *out, unsigned tag, size_t len)
{
        unsigned char header[FIELD_HEADER];

        put_u16(header, (uint16_t)tag);
        put_u32(header + 2, (uint32_t)len);
        er_str_addn(out, header, sizeof header);
}

void er_msg_u64(struct er_str *out, unsigned tag, uint64_t value)
{
        unsigned char bytes[8];

        put_u32(bytes, (uint32_t)value);
        put_u32(bytes + 4, (uint32_t)(value >> 32));
        er_msg_bytes(out, tag, bytes, sizeof bytes);
}

void er_msg_i64(struct er_str *out, unsigned tag, int64_t value)
{
        er_msg_u64(out, tag, (uint64_t)value);
}

void er_msg_bytes(struct er_str *out, unsigned tag, const void *data, size_t len)
{
        add_field_header(out, tag, len);
        er_str_addn(out, data, len);
}

void er_msg_text(struct er_str *out, unsigned tag, const char *text)
{
        if (text)
                er_msg_bytes(out, tag, text, strlen(text));
}

static void add_frame_header(struct er_str *out, enum er_frame_type type, uint32_t id, size_t payload_len)
{
        unsigned char header[ER_FRAME_HEADER] = {0};

        put_u32(header, (uint32_t)(payload_len + ER_FRAME_HEADER - 4));
        header[4] = (unsigned char)type;
        put_u32(header + 8, id);
        er_str_addn(out, header, sizeof header);
}

size_t er_frame_begin(struct er_str *out, enum er_frame_type type, uint32_t id)
{
        size_t start = out->len;

        add_frame_header(out, type, id, 0);
        return start;
}

void er_frame_end(struct er_str *out, size_t start)
{
        put_u32((unsigned char *)out->buf + start, (uint32_t)(out->len - start - 4));
}

void er_frame_head(struct er_str *out, enum er_frame_type type, uint32_t id, struct er_sv fields, unsigned tag,
                   size_t data_len)
{
        add_frame_header(out, type, id, fields.len + FIELD_HEADER + data_len);
        er_str_addn(out, fields.ptr, fields.len);
        add_field_header(out, tag, data_len);
}

void er_frame_error(struct er_str *out, uint32_t id, const struct er_err *err)
{
        size_t start = er_frame_begin(out, ER_F_ERROR, id);

        er_msg_u64(out, ER_T_CODE, err->code ? (uint64_t)err->code : (uint64_t)ER_INTERNAL);
        er_msg_text(out, ER_T_MESSAGE, err->message ? err->message : "failed");
        er_msg_text(out, ER_T_HINT, err->hint);
        er_msg_text(out, ER_T_PROVIDER_CODE, err->provider_code);
        if (err->sys_errno)
                er_msg_u64(out, ER_T_ERRNO, (uint64_t)err->sys_errno);
        if (err->retryable)
                er_msg_u64(out, ER_T_RETRYABLE, 1);
        er_frame_end(out, start);
}

int er_frame_parse(const void *data, size_t len, struct er_frame *ret, struct er_err *err)
{
        const unsigned char *p = data;
        uint32_t size;

        if (len < 4)
                return 0;
        size = get_u32(p);
        if (size < ER_FRAME_HEADER - 4 || size > ER_FRAME_MAX + ER_FRAME_HEADER - 4)
                return er_err_set(err, ER_REMOTE, "this is not errand's protocol (a frame of %u bytes)",
                                  (unsigned)size);
        if (len >= 8 && (p[5] | p[6] | p[7]) != 0)
                return er_err_set(err, ER_REMOTE, "this is not errand's protocol (a damaged frame)");
        if (len - 4 < size)
                return 0;
        ret->type = (enum er_frame_type)p[4];
        ret->id = get_u32(p + 8);
        ret->payload = er_svn(p + ER_FRAME_HEADER, size + 4 - ER_FRAME_HEADER);
        ret->size = (size_t)size + 4;
        return 1;
}

bool er_msg_next(struct er_sv *rest, struct er_field *ret)
{
        const unsigned char *p = (const unsigned char *)rest->ptr;
        uint32_t len;

        if (rest->len < FIELD_HEADER)
                return false;
        len = get_u32(p + 2);
        if (len > rest->len - FIELD_HEADER)
                return false;
        ret->tag = get_u16(p);
        ret->value = er_svn(p + FIELD_HEADER, len);
        rest->ptr += FIELD_HEADER + len;
        rest->len -= FIELD_HEADER + len;
        return true;
}

bool er_msg_is_sound(struct er_sv payload)
{
        struct er_field field;

        while (er_msg_next(&payload, &field))
                ;
        return payload.len == 0;
}

struct er_sv er_msg_get(struct er_sv payload, unsigned tag)
{
        struct er_field field;

        while (er_msg_next(&payload, &field))
                if (field.tag == (unsigned)tag)
                        return field.value;
        return er_svn(NULL, 0);
}

uint64_t er_field_u64(const struct er_field *field)
{
        const unsigned char *p = (const unsigned char *)field->value.ptr;

        if (field->value.len != 8)
                return 0;
        return (uint64_t)get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

int64_t er_field_i64(const struct er_field *field)
{
        return (int64_t)er_field_u64(field);
}

uint64_t er_msg_get_u64(struct er_sv payload, unsigned tag, uint64_t otherwise)
{
        struct er_field field = {.value = er_msg_get(payload, tag)};

        return field.value.ptr && field.value.len == 8 ? er_field_u64(&field) : otherwise;
}

int64_t er_msg_get_i64(struct er_sv payload, unsigned tag, int64_t otherwise)
{
        return (int64_t)er_msg_get_u64(payload, tag, (uint64_t)otherwise);
}

char *er_msg_dup(struct er_sv payload, unsigned tag)
{
        struct er_sv value = er_msg_get(payload, tag);

        return value.ptr ? er_sv_dup(value) : NULL;
}

int er_frame_to_err(const struct er_frame *frame, struct er_err *err)
{
        uint64_t code = er_msg_get_u64(frame->payload, ER_T_CODE, ER_REMOTE);
        er_autofree char *message = er_msg_dup(frame->payload, ER_T_MESSAGE);
        er_autofree char *hint = er_msg_dup(frame->payload, ER_T_HINT);

        if (code == ER_OK || code >= ER_CODE_COUNT) /* from a newer agent */
                code = ER_REMOTE;
        er_err_set(err, (enum er_code)code, "%s", message ? message : "the agent gave no reason");
        if (hint)
                er_err_hint(err, "%s", hint);
        if (!err)
                return -1;
        err->sys_errno = (int)er_msg_get_u64(frame->payload, ER_T_ERRNO, 0);
        err->retryable = er_msg_get_u64(frame->payload, ER_T_RETRYABLE, 0) == 1;
        free(err->provider_code);
        err->provider_code = er_msg_dup(frame->payload, ER_T_PROVIDER_CODE);
        return -1;
}

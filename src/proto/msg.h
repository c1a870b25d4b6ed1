/*
 * msg.h - frames and the tagged fields in them. A frame is
 *      u32 length of what follows | u8 type | u8 0 | u16 0 | u32 request id | payload
 * and a payload is a sequence of  u16 tag | u32 length | bytes. All integers are little-endian. Readers skip unknown
 * tags, so either side can add some. ER_FRAME_MAX bounds everything.
 */
#ifndef ER_PROTO_MSG_H
#define ER_PROTO_MSG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "proto/wire.h"

#define ER_FRAME_HEADER 12u

/* Writing: fields are appended to any er_str. A tag is one of enum er_tag, but inside a spec or a recipe, whose fields
 * have numbers of their own. */
void er_msg_u64(struct er_str *out, unsigned tag, uint64_t value);
void er_msg_i64(struct er_str *out, unsigned tag, int64_t value);
void er_msg_bytes(struct er_str *out, unsigned tag, const void *data, size_t len);
void er_msg_text(struct er_str *out, unsigned tag, const char *text); /* NULL: writes nothing */
/* Begins a frame. Returns its start for er_frame_end, which fills in the length. */
size_t er_frame_begin(struct er_str *out, enum er_frame_type type, uint32_t id);
void er_frame_end(struct er_str *out, size_t start);
/* For a frame whose last field is `tag`, with data that stays where it is: writes only the bytes before that data. */
void er_frame_head(struct er_str *out, enum er_frame_type type, uint32_t id, struct er_sv fields, unsigned tag,
                   size_t data_len);
/* Writes an error as an ERROR frame. */
void er_frame_error(struct er_str *out, uint32_t id, const struct er_err *err);

/* Reading */
struct er_frame {
        enum er_frame_type type; /* may be one that this build does not know */
        uint32_t id;
        struct er_sv payload; /* (borrowed) */
        size_t size;          /* whole frame, header included */
};
/* 1: *ret is the frame at the start of data; 0: more bytes are needed; -1: not our protocol (ER_REMOTE). */
int er_frame_parse(const void *data, size_t len, struct er_frame *ret, struct er_err *err);

/* struct er_field f; struct er_sv rest = payload; while (er_msg_next(&rest, &f)) switch (f.tag) ...
 * False at the end or at a damaged field. */
struct er_field {
        unsigned tag;
        struct er_sv value;
};
bool er_msg_next(struct er_sv *rest, struct er_field *ret);
/* A field that is missing or has the wrong size gives the default. */
uint64_t er_msg_get_u64(struct er_sv payload, unsigned tag, uint64_t otherwise);
int64_t er_msg_get_i64(struct er_sv payload, unsigned tag, int64_t otherwise);
struct er_sv er_msg_get(struct er_sv payload, unsigned tag); /* missing: ptr is NULL */
char *er_msg_dup(struct er_sv payload, unsigned tag);        /* (owned) or NULL */
uint64_t er_field_u64(const struct er_field *field);
int64_t er_field_i64(const struct er_field *field);
bool er_msg_is_sound(struct er_sv payload); /* every field is complete */
/* Turns an ERROR frame into err. Returns -1. */
int er_frame_to_err(const struct er_frame *frame, struct er_err *err);

#endif

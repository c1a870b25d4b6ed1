/* encoding.c - see encoding.h */
#include "environment/encoding.h"

static void add_utf8(struct er_str *out, uint32_t code)
{
        if (code < 0x80) {
                er_str_addc(out, (char)code);
                return;
        }
        if (code < 0x800) {
                er_str_addc(out, (char)(0xc0 | code >> 6));
        } else {
                if (code < 0x10000) {
                        er_str_addc(out, (char)(0xe0 | code >> 12));
                } else {
                        er_str_addc(out, (char)(0xf0 | code >> 18));
                        er_str_addc(out, (char)(0x80 | (code >> 12 & 0x3f)));
                }
                er_str_addc(out, (char)(0x80 | (code >> 6 & 0x3f)));
        }
        er_str_addc(out, (char)(0x80 | (code & 0x3f)));
}

static uint32_t unit_at(const struct er_str *text, size_t i, bool big)
{
        unsigned char a = (unsigned char)text->buf[i], b = (unsigned char)text->buf[i + 1];

        return big ? (uint32_t)a << 8 | b : (uint32_t)b << 8 | a;
}

/* False: half a character. */
static bool from_wide(struct er_str *text, bool big)
{
        er_auto(er_str) out = ER_STR_INIT;

        if (text->len % 2)
                return false;
        for (size_t i = 2; i < text->len; i += 2) {
                uint32_t code = unit_at(text, i, big);

                if (code >= 0xd800 && code < 0xe000) {
                        uint32_t low = i + 2 < text->len ? unit_at(text, i + 2, big) : 0;

                        if (code >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
                                return false;
                        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                        i += 2;
                }
                add_utf8(&out, code);
        }
        er_str_reset(text);
        er_str_addn(text, out.buf, out.len);
        return true;
}

static void add_unit(struct er_str *out, uint32_t unit, bool big)
{
        er_str_addc(out, (char)(big ? unit >> 8 : unit & 0xff));
        er_str_addc(out, (char)(big ? unit & 0xff : unit >> 8));
}

static void to_wide(struct er_str *text, bool big)
{
        er_auto(er_str) out = ER_STR_INIT;

        for (size_t i = 0; i < text->len;) {
                unsigned char c = (unsigned char)text->buf[i++];
                unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
                uint32_t code = more == 0 ? c : more == 1 ? c & 0x1fu : more == 2 ? c & 0xfu : c & 7u;

                for (; more && i < text->len; more--)
                        code = code << 6 | ((unsigned char)text->buf[i++] & 0x3f);
                if (code < 0x10000) {
                        add_unit(&out, code, big);
                } else {
                        add_unit(&out, 0xd800 + ((code - 0x10000) >> 10), big);
                        add_unit(&out, 0xdc00 + ((code - 0x10000) & 0x3ff), big);
                }
        }
        er_str_reset(text);
        er_str_addn(text, out.buf, out.len);
}

static void swap(struct er_str *text, bool to_crlf)
{
        er_auto(er_str) out = ER_STR_INIT;

        for (size_t i = 0; i < text->len; i++) {
                if (to_crlf && text->buf[i] == '\n')
                        er_str_addc(&out, '\r');
                if (to_crlf || text->buf[i] != '\r' || i + 1 == text->len || text->buf[i + 1] != '\n')
                        er_str_addc(&out, text->buf[i]);
        }
        er_str_reset(text);
        er_str_addn(text, out.buf, out.len);
}

static bool all_crlf(const struct er_str *text)
{
        bool any = false;

        for (size_t i = 0; i < text->len; i++)
                if (text->buf[i] == '\n') {
                        if (i == 0 || text->buf[i - 1] != '\r')
                                return false;
                        any = true;
                }
        return any;
}

struct er_encoding er_encoding_take(struct er_str *text)
{
        struct er_encoding encoding = {0};

        if (text->len >= 3 && memcmp(text->buf, "\xef\xbb\xbf", 3) == 0) {
                er_autofree char *rest = er_strndup(text->buf + 3, text->len - 3);
                size_t len = text->len - 3;

                er_str_reset(text);
                er_str_addn(text, rest, len);
                encoding.mark = true;
        } else if (text->len >= 2) {
                bool little = memcmp(text->buf, "\xff\xfe", 2) == 0, big = memcmp(text->buf, "\xfe\xff", 2) == 0;

                if ((little || big) && from_wide(text, big)) {
                        encoding.mark = true;
                        encoding.wide = big ? 'b' : 'l';
                }
        }
        encoding.crlf = all_crlf(text);
        if (encoding.crlf)
                swap(text, false);
        return encoding;
}

void er_encoding_give(struct er_encoding encoding, struct er_str *text)
{
        er_auto(er_str) out = ER_STR_INIT;

        if (encoding.crlf)
                swap(text, true);
        if (encoding.wide)
                to_wide(text, encoding.wide == 'b');
        if (!encoding.mark)
                return;
        er_str_add(&out, encoding.wide == 'l' ? "\xff\xfe" : encoding.wide == 'b' ? "\xfe\xff" : "\xef\xbb\xbf");
        er_str_addn(&out, text->buf, text->len);
        er_str_reset(text);
        er_str_addn(text, out.buf, out.len);
}

/* fuzz_quote.c - what er_quote_argv writes, the strictest reader of shell words reads back as the same bytes. */
#include "fuzz.h"

#include "base/parse.h"

/*
 * A reader that knows only what every shell does alike: bare characters without any meaning, single quotes, and a
 * backslash before a quote or a backslash. Anything else is refused. (tests/unit/base/test_quote.c asks real shells.)
 */
static void read_back(const char *text, size_t len, struct er_strv *words)
{
        static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
        er_auto(er_str) word = ER_STR_INIT;
        size_t pos = 0;

        while (pos < len) {
                char c = text[pos++];

                if (c == ' ') {
                        er_strv_add(words, word.buf);
                        er_str_reset(&word);
                } else if (c == '\'') {
                        const char *end = memchr(text + pos, '\'', len - pos);

                        FUZZ_CHECK(end);
                        er_str_addn(&word, text + pos, (size_t)(end - (text + pos)));
                        pos = (size_t)(end - text) + 1;
                } else if (c == '\\') {
                        FUZZ_CHECK(pos < len && (text[pos] == '\'' || text[pos] == '\\'));
                        er_str_addc(&word, text[pos++]);
                } else {
                        FUZZ_CHECK(c && strchr(bare, c));
                        er_str_addc(&word, c);
                }
        }
        er_strv_add(words, word.buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        er_auto(er_strv) in = ER_STRV_INIT, out = ER_STRV_INIT;
        er_auto(er_str) text = ER_STR_INIT, shown = ER_STR_INIT, clean = ER_STR_INIT, again = ER_STR_INIT;
        struct er_sv rest = er_svn(data, size), part;

        /* NULs part the words. */
        while (er_sv_cut(&rest, '\0', &part))
                er_strv_addn(&in, part.ptr, part.len);
        if (in.len == 0)
                return 0;
        er_quote_argv(&text, in.items, in.len);
        read_back(text.buf, text.len, &out);
        FUZZ_CHECK(out.len == in.len);
        for (size_t i = 0; i < in.len; i++)
                FUZZ_CHECK(strcmp(in.items[i], out.items[i]) == 0);

        /* What is shown to a person has no control character, and what goes into JSON is UTF-8. */
        er_quote_show(&shown, (const char *)data, size);
        for (size_t i = 0; i < shown.len; i++)
                FUZZ_CHECK((unsigned char)shown.buf[i] >= 0x20 && shown.buf[i] != 0x7f);
        er_utf8_lossy(&clean, (const char *)data, size);
        er_utf8_lossy(&again, clean.buf, clean.len);
        FUZZ_CHECK(clean.len == again.len && memcmp(clean.buf, again.buf, clean.len) == 0);
        return 0;
}

/* toml.c - see toml.h */
#include "environment/toml.h"

#define DEPTH_MAX 32u

struct reader {
        const char *at, *end;
        const char *name;
        unsigned line, depth;
        struct er_strv path; /* of what is being read */
        er_toml_visit visit;
        void *arg;
        struct er_err *err;
};

static int wrong(struct reader *r, const char *what)
{
        return er_err_set(r->err, ER_CONFIG, "%s:%u: %s", r->name, r->line, what);
}

static char peek(const struct reader *r)
{
        return r->at < r->end ? *r->at : '\0';
}

static bool looking_at(const struct reader *r, const char *text)
{
        return er_sv_starts(er_svn(r->at, (size_t)(r->end - r->at)), er_sv(text));
}

static void step(struct reader *r)
{
        if (*r->at == '\n')
                r->line++;
        r->at++;
}

static void skip_blanks(struct reader *r)
{
        while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
                r->at++;
}

/* Blanks, ends of lines and comments. */
static void skip_lines(struct reader *r)
{
        while (r->at < r->end) {
                if (*r->at == '#')
                        while (r->at < r->end && *r->at != '\n')
                                r->at++;
                else if (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n')
                        step(r);
                else
                        return;
        }
}

static void add_utf8(struct er_str *out, uint32_t code)
{
        if (code < 0x80) {
                er_str_addc(out, (char)code);
        } else if (code < 0x800) {
                er_str_addc(out, (char)(0xc0 | code >> 6));
                er_str_addc(out, (char)(0x80 | (code & 0x3f)));
        } else if (code < 0x10000) {
                er_str_addc(out, (char)(0xe0 | code >> 12));
                er_str_addc(out, (char)(0x80 | (code >> 6 & 0x3f)));
                er_str_addc(out, (char)(0x80 | (code & 0x3f)));
        } else {
                er_str_addc(out, (char)(0xf0 | code >> 18));
                er_str_addc(out, (char)(0x80 | (code >> 12 & 0x3f)));
                er_str_addc(out, (char)(0x80 | (code >> 6 & 0x3f)));
                er_str_addc(out, (char)(0x80 | (code & 0x3f)));
        }
}

static int read_escape(struct reader *r, bool multiline, struct er_str *out)
{
        static const char plain[] = "btnfre\"\\", meant[] = "\b\t\n\f\r\x1b\"\\";
        char c = peek(r);
        const char *found;

        if (multiline && (c == '\n' || c == ' ' || c == '\t' || c == '\r')) {
                while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n'))
                        step(r);
                return 0;
        }
        found = c ? strchr(plain, c) : NULL;
        if (found) {
                er_str_addc(out, meant[found - plain]);
                r->at++;
                return 0;
        }
        if (c == 'u' || c == 'U') {
                unsigned digits = c == 'u' ? 4 : 8;
                uint32_t code = 0;

                r->at++;
                for (unsigned i = 0; i < digits; i++, r->at++) {
                        char d = peek(r);

                        if (d >= '0' && d <= '9')
                                code = code << 4 | (uint32_t)(d - '0');
                        else if ((d | 0x20) >= 'a' && (d | 0x20) <= 'f')
                                code = code << 4 | (uint32_t)((d | 0x20) - 'a' + 10);
                        else
                                return wrong(r, "an invalid \\u in a string");
                }
                if (!code || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
                        return wrong(r, "an invalid \\u in a string");
                add_utf8(out, code);
                return 0;
        }
        return wrong(r, "an unknown escape in a string");
}

static int read_string(struct reader *r, struct er_str *out)
{
        char quote = *r->at;
        const char triple[] = {quote, quote, quote, '\0'};
        bool multiline = looking_at(r, triple);

        r->at += multiline ? 3 : 1;
        if (multiline && looking_at(r, "\r\n"))
                r->at++;
        if (multiline && peek(r) == '\n')
                step(r);
        while (r->at < r->end) {
                char c = *r->at;

                if (c == quote && (!multiline || looking_at(r, triple))) {
                        r->at += multiline ? 3 : 1;
                        /* up to two quotes may stand before the end */
                        for (int i = 0; multiline && i < 2 && peek(r) == quote; i++, r->at++)
                                er_str_addc(out, quote);
                        return 0;
                }
                if (!c)
                        return wrong(r, "a NUL character");
                if (c == '\n' && !multiline)
                        return wrong(r, "a string is not closed");
                if (c == '\\' && quote == '"') {
                        r->at++;
                        if (read_escape(r, multiline, out) < 0)
                                return -1;
                        continue;
                }
                er_str_addc(out, c);
                step(r);
        }
        return wrong(r, "a string is not closed");
}

static bool is_bare(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static void pop_to(struct er_strv *path, size_t len)
{
        while (path->len > len) {
                free(path->items[--path->len]);
                path->items[path->len] = NULL;
        }
}

/* a."b c".d onto the path. */
static int read_key(struct reader *r)
{
        for (;;) {
                er_auto(er_str) part = ER_STR_INIT;

                skip_blanks(r);
                if (peek(r) == '"' || peek(r) == '\'') {
                        if (read_string(r, &part) < 0)
                                return -1;
                } else {
                        while (r->at < r->end && is_bare(*r->at))
                                er_str_addc(&part, *r->at++);
                        if (!part.len)
                                return wrong(r, "a key is missing");
                }
                if (r->path.len >= DEPTH_MAX)
                        return wrong(r, "keys are nested too deeply");
                er_strv_add(&r->path, part.buf);
                skip_blanks(r);
                if (peek(r) != '.')
                        return 0;
                r->at++;
        }
}

static int read_value(struct reader *r);

static int read_pair(struct reader *r)
{
        size_t depth = r->path.len;

        if (read_key(r) < 0)
                return -1;
        if (peek(r) != '=')
                return wrong(r, "expected = after the key");
        r->at++;
        skip_blanks(r);
        if (read_value(r) < 0)
                return -1;
        pop_to(&r->path, depth);
        return 0;
}

static int read_inner(struct reader *r, char close)
{
        if (++r->depth > DEPTH_MAX)
                return wrong(r, "nested too deeply");
        r->at++;
        for (;;) {
                skip_lines(r);
                if (peek(r) == close) {
                        r->at++;
                        r->depth--;
                        return 0;
                }
                if (r->at >= r->end)
                        return wrong(r, close == ']' ? "an array is not closed" : "a table is not closed");
                if ((close == ']' ? read_value(r) : read_pair(r)) < 0)
                        return -1;
                skip_lines(r);
                if (peek(r) == ',')
                        r->at++;
                else if (peek(r) != close)
                        return wrong(r, "expected a comma");
        }
}

static int read_value(struct reader *r)
{
        er_auto(er_str) text = ER_STR_INIT;
        char c = peek(r);

        if (c == '[')
                return read_inner(r, ']');
        if (c == '{')
                return read_inner(r, '}') < 0 ? -1 : r->visit(r->arg, &r->path, NULL, false, r->err);
        if (c == '"' || c == '\'') {
                if (read_string(r, &text) < 0)
                        return -1;
                return r->visit(r->arg, &r->path, text.buf, true, r->err);
        }
        while (r->at < r->end && *r->at && !strchr(",]}#\r\n", *r->at))
                er_str_addc(&text, *r->at++);
        er_str_rtrim(&text);
        if (!text.len)
                return wrong(r, "a value is missing");
        return r->visit(r->arg, &r->path, text.buf, false, r->err);
}

/* [a.b] and [[a.b]] */
static int read_header(struct reader *r)
{
        bool array = looking_at(r, "[[");

        r->at += array ? 2 : 1;
        pop_to(&r->path, 0);
        if (read_key(r) < 0)
                return -1;
        if (!looking_at(r, array ? "]]" : "]"))
                return wrong(r, "expected ]");
        r->at += array ? 2 : 1;
        return 0;
}

static int read_all(struct reader *r)
{
        if (looking_at(r, "\xef\xbb\xbf"))
                r->at += 3;
        for (;;) {
                skip_lines(r);
                if (r->at >= r->end)
                        return 0;
                if ((*r->at == '[' ? read_header(r) : read_pair(r)) < 0)
                        return -1;
                skip_blanks(r);
                if (r->at < r->end && !strchr("#\r\n", *r->at))
                        return wrong(r, "expected the end of the line");
        }
}

int er_toml_read(struct er_sv text, const char *name, er_toml_visit visit, void *arg, struct er_err *err)
{
        struct reader r = {.at = text.ptr,
                           .end = text.ptr + text.len,
                           .name = name,
                           .line = 1,
                           .visit = visit,
                           .arg = arg,
                           .err = err};
        int result = read_all(&r);

        er_strv_release(&r.path);
        return result;
}

/* edit.c - see edit.h */
#include "environment/edit.h"

#include <ctype.h>
#include "environment/encoding.h"
#include "environment/requirements.h"
#include "environment/requirement.h"

char *er_edit_name(enum er_edit_kind kind, const char *item)
{
        static const char *const ends[] = {
                [ER_EDIT_PIP] = " =<>!~[;@(",
                [ER_EDIT_CONDA] = " =<>!~[",
                [ER_EDIT_APT] = "=",
                [ER_EDIT_JULIA] = "@",
        };
        size_t len = strcspn(item, ends[kind]);

        if (kind != ER_EDIT_PIP)
                return er_strndup(item, len);
        if (item[0] == '-' || memchr(item, '/', len))
                return er_strdup(item); /* an option, a path: only itself */
        return er_distribution_name(er_svn(item, len));
}

static bool same_name(enum er_edit_kind kind, const char *a, const char *b)
{
        er_autofree char *left = er_edit_name(kind, a), *right = er_edit_name(kind, b);

        return er_streq(left, right);
}

/* "python_version < '3.8'" of a requirement; empty where there is none. */
static struct er_sv marker_of(const char *item)
{
        struct er_sv text = er_sv(item);
        size_t n = er_req_find_marker(text, strstr(item, "://") != NULL);

        return n < text.len ? er_sv_trim(er_req_from(text, n + 1)) : er_svn("", 0);
}

/* May an item take this one's place? A line for other conditions is another line. */
static bool same_place(enum er_edit_kind kind, const char *there, const char *item)
{
        return same_name(kind, there, item) && (kind != ER_EDIT_PIP || er_sv_eq(marker_of(there), marker_of(item)));
}

static void splice(struct er_str *text, size_t at, size_t len, const char *with)
{
        er_auto(er_str) out = ER_STR_INIT;

        er_str_addn(&out, text->buf, at);
        er_str_add(&out, with);
        er_str_addn(&out, text->buf + at + len, text->len - at - len);
        er_str_reset(text);
        er_str_addn(text, out.buf, out.len);
}

/* --- lines */

struct line {
        size_t at, len; /* without its newline */
        size_t indent;
        bool blank; /* or a comment */
};

/* False past the end. */
static bool line_at(const struct er_str *text, size_t at, struct line *ret)
{
        const char *end;

        if (at >= text->len)
                return false;
        end = memchr(text->buf + at, '\n', text->len - at);
        ret->at = at;
        ret->len = end ? (size_t)(end - text->buf) - at : text->len - at;
        ret->indent = 0;
        while (ret->indent < ret->len && text->buf[at + ret->indent] == ' ')
                ret->indent++;
        ret->blank = ret->indent == ret->len || text->buf[at + ret->indent] == '#' ||
                     text->buf[at + ret->indent] == '\r';
        return true;
}

/* Where a comment (with the spaces before it) begins in a piece of a line, or its end. */
static size_t content_len(const char *piece, size_t len)
{
        char quote = 0;
        size_t end = len;

        for (size_t i = 0; i < len; i++) {
                if (quote) {
                        if (piece[i] == '\\' && quote == '"')
                                i++;
                        else if (piece[i] == quote)
                                quote = 0;
                } else if ((piece[i] == '"' || piece[i] == '\'') && (i == 0 || strchr(" [,", piece[i - 1])))
                        quote = piece[i];
                else if (piece[i] == '#' && (i == 0 || piece[i - 1] == ' ' || piece[i - 1] == '\t')) {
                        end = i;
                        break;
                }
        }
        while (end > 0 && isspace((unsigned char)piece[end - 1]))
                end--;
        return end;
}

/* --- items */

/* The value of a plain or quoted scalar (owned); NULL: not a simple one. */
static char *scalar(const char *piece, size_t len)
{
        er_auto(er_str) out = ER_STR_INIT;

        if (len == 0)
                return NULL;
        if (piece[0] == '"' || piece[0] == '\'') {
                if (len < 2 || piece[len - 1] != piece[0] || memchr(piece + 1, '\\', len - 2) ||
                    memchr(piece + 1, piece[0], len - 2))
                        return NULL;
                er_str_addn(&out, piece + 1, len - 2);
        } else if (strchr("&*!|>{}[]%@`,?", piece[0]) || memmem(piece, len, ": ", 2) || piece[len - 1] == ':')
                return NULL;
        else
                er_str_addn(&out, piece, len);
        return er_str_detach(&out);
}

static void add_quoted(struct er_str *out, const char *item)
{
        bool plain = isalpha((unsigned char)item[0]);

        for (const char *p = item; *p; p++)
                plain = plain && (isalnum((unsigned char)*p) || strchr("._-+=<>~/", *p));
        if (plain) {
                er_str_add(out, item);
                return;
        }
        er_str_addc(out, '"');
        for (const char *p = item; *p; p++)
                er_str_addf(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
        er_str_addc(out, '"');
}

/* Where an item of a list stands in the text. */
struct item {
        size_t at, len;
        char *value; /* (owned) */
};
struct items {
        struct item *list;
        size_t count, cap;
};

static void items_release(struct items *items)
{
        for (size_t i = 0; i < items->count; i++)
                free(items->list[i].value);
        free(items->list);
}
#define AUTO_ITEMS __attribute__((cleanup(items_release))) struct items

static void add_item(struct items *items, size_t at, size_t len, char *value)
{
        items->list = er_grow(items->list, &items->cap, items->count + 1, sizeof *items->list);
        items->list[items->count++] = (struct item){at, len, value};
}

/* "[a, b]" at `at`: its items, and where the bracket closes. False: not one of plain values on this line. */
static bool flow_items(const struct er_str *text, size_t at, size_t len, struct items *ret, size_t *ret_close)
{
        const char *t = text->buf;
        size_t begin = at + 1, close = at + len - 1;
        char quote = 0;

        if (len < 2 || t[at] != '[' || t[close] != ']')
                return false;
        for (size_t i = begin; i <= close; i++) {
                if (quote) {
                        if (t[i] == quote)
                                quote = 0;
                        continue;
                }
                if (t[i] == '"' || t[i] == '\'') {
                        quote = t[i];
                        continue;
                }
                if (t[i] != ',' && i != close) {
                        if (strchr("[]{}", t[i]))
                                return false;
                        continue;
                }
                while (begin < i && isspace((unsigned char)t[begin]))
                        begin++;
                if (begin < i) {
                        size_t end = i;
                        char *value;

                        while (end > begin && isspace((unsigned char)t[end - 1]))
                                end--;
                        value = scalar(t + begin, end - begin);
                        if (!value)
                                return false;
                        add_item(ret, begin, end - begin, value);
                } else if (i != close)
                        return false;
                begin = i + 1;
        }
        *ret_close = close;
        return quote == 0;
}

/* Items that replace one of the same name do so, from the last backwards; the others are left in `ret_new`. */
static void replace(struct er_str *text, enum er_edit_kind kind, const struct items *there, const struct er_strv *items,
                    bool quote, struct er_strv *ret_new)
{
        for (size_t k = there->count; k-- > 0;)
                for (size_t i = 0; i < items->len; i++)
                        if (same_place(kind, there->list[k].value, items->items[i])) {
                                er_auto(er_str) text_of = ER_STR_INIT;

                                if (quote)
                                        add_quoted(&text_of, items->items[i]);
                                else
                                        er_str_add(&text_of, items->items[i]);
                                splice(text, there->list[k].at, there->list[k].len, text_of.buf);
                                break;
                        }
        for (size_t i = 0; i < items->len; i++) {
                bool found = false;

                for (size_t k = 0; k < there->count; k++)
                        found = found || same_place(kind, there->list[k].value, items->items[i]);
                if (!found)
                        er_strv_add(ret_new, items->items[i]);
        }
}

/* An item without a condition, where the file has conditions for it: which line is meant only its author knows. */
static bool is_conditional(const struct items *there, const struct er_strv *items)
{
        for (size_t k = 0; k < there->count; k++)
                for (size_t i = 0; i < items->len; i++)
                        if (same_name(ER_EDIT_PIP, there->list[k].value, items->items[i]) &&
                            marker_of(there->list[k].value).len && !marker_of(items->items[i]).len)
                                return true;
        return false;
}

/* One of the editors below, on the text as it is without its encoding and line ends, which stay. */
static bool edit_text(struct er_str *text, const struct er_strv *items,
                      bool (*edit)(struct er_str *text, const struct er_strv *items))
{
        er_auto(er_str) copy = ER_STR_INIT;
        struct er_encoding encoding;

        er_str_addn(&copy, text->buf, text->len);
        encoding = er_encoding_take(&copy);
        if (!edit(&copy, items))
                return false;
        er_encoding_give(encoding, &copy);
        er_str_reset(text);
        er_str_addn(text, copy.buf, copy.len);
        return true;
}

/* --- YAML */

/* A block of lines: from a key's line to where the next of its level begins. */
struct block {
        size_t begin, end; /* of the lines below the key */
        size_t indent;     /* of the key */
        struct line key;
        size_t value; /* behind the colon */
};

/* `name:` among the lines of begin..end that are indented so. */
static bool find_key(const struct er_str *text, size_t begin, size_t end, size_t indent, const char *name,
                     struct block *ret)
{
        size_t len = strlen(name);
        struct line line;
        bool found = false;

        for (size_t at = begin; at < end && line_at(text, at, &line); at = line.at + line.len + 1) {
                const char *content = text->buf + line.at + line.indent;
                bool item = line.indent < line.len && content[0] == '-' &&
                            (line.indent + 1 == line.len || content[1] == ' ');

                if (line.blank)
                        continue;
                if (found) {
                        if (line.indent < indent || (line.indent == indent && !item)) {
                                ret->end = line.at;
                                return true;
                        }
                        continue;
                }
                if (line.indent == indent && line.len - line.indent > len && memcmp(content, name, len) == 0 &&
                    content[len] == ':') {
                        found = true;
                        *ret = (struct block){.begin = line.at + line.len + 1,
                                              .end = end,
                                              .indent = indent,
                                              .key = line,
                                              .value = line.at + line.indent + len + 1};
                }
        }
        return found;
}

/* How far the lines below a key are indented; 0: there are none. */
static size_t inner_indent(const struct er_str *text, const struct block *block)
{
        struct line line;

        for (size_t at = block->begin; at < block->end && line_at(text, at, &line); at = line.at + line.len + 1)
                if (!line.blank)
                        return line.indent;
        return 0;
}

static void add_flow(struct er_str *out, const char *before, const struct er_strv *items)
{
        er_str_addc(out, '[');
        if (before)
                add_quoted(out, before);
        for (size_t i = 0; i < items->len; i++) {
                er_str_add(out, before || i ? ", " : "");
                add_quoted(out, items->items[i]);
        }
        er_str_addc(out, ']');
}

/* A new key at the end of a block, before the empty lines that follow it. */
static void add_key(struct er_str *text, size_t begin, size_t end, size_t indent, const char *name, const char *before,
                    const struct er_strv *items)
{
        er_auto(er_str) line_text = ER_STR_INIT;
        struct line line;
        size_t to = begin;

        for (size_t at = begin; at < end && line_at(text, at, &line); at = line.at + line.len + 1)
                if (!line.blank || indent == 0)
                        to = line.at + line.len + 1;
        if (to > text->len) { /* the last line has no end */
                er_str_addc(text, '\n');
                to = text->len;
        }
        er_str_addf(&line_text, "%*s%s: ", (int)indent, "", name);
        add_flow(&line_text, before, items);
        er_str_addc(&line_text, '\n');
        splice(text, to, 0, line_text.buf);
}

/* "- a" lines. What is more than a line (a map) is passed over. */
static bool add_to_lines(struct er_str *text, const struct block *block, enum er_edit_kind kind,
                         const struct er_strv *items)
{
        size_t indent = inner_indent(text, block), to = block->begin;
        AUTO_ITEMS there = {0};
        er_auto(er_strv) fresh = ER_STRV_INIT;
        er_auto(er_str) lines = ER_STR_INIT;
        bool newline_missing = text->len > 0 && text->buf[text->len - 1] != '\n', any = false;
        size_t length = text->len;
        struct line line;

        for (size_t at = block->begin; at < block->end && line_at(text, at, &line); at = line.at + line.len + 1) {
                const char *content = text->buf + line.at + line.indent;
                size_t begin = 1, len;
                char *value;

                if (line.blank || line.indent > indent)
                        continue;
                if (line.indent < indent || content[0] != '-')
                        return false;
                while (line.indent + begin < line.len && content[begin] == ' ')
                        begin++;
                len = content_len(content + begin, line.len - line.indent - begin);
                value = scalar(content + begin, len);
                any = true;
                if (!value)
                        continue;
                add_item(&there, line.at + line.indent + begin, len, value);
                to = line.at + line.len + 1;
        }
        if (!any)
                return false;
        replace(text, kind, &there, items, true, &fresh);
        to = to + text->len - length; /* everything replaced was before it */
        if (newline_missing && to >= text->len) {
                er_str_addc(text, '\n');
                to = text->len;
        }
        for (size_t i = 0; i < fresh.len; i++) {
                er_str_addf(&lines, "%*s- ", (int)indent, "");
                add_quoted(&lines, fresh.items[i]);
                er_str_addc(&lines, '\n');
        }
        splice(text, to, 0, lines.buf);
        return true;
}

static bool add_to_flow(struct er_str *text, size_t at, size_t len, enum er_edit_kind kind, const struct er_strv *items)
{
        AUTO_ITEMS there = {0};
        er_auto(er_strv) fresh = ER_STRV_INIT;
        er_auto(er_str) more = ER_STR_INIT;
        size_t close, to, length = text->len;
        bool comma;

        if (!flow_items(text, at, len, &there, &close))
                return false;
        replace(text, kind, &there, items, true, &fresh);
        close = close + text->len - length;
        for (size_t i = 0; i < fresh.len; i++) {
                er_str_add(&more, there.count || i ? ", " : "");
                add_quoted(&more, fresh.items[i]);
        }
        for (to = close; to > at + 1 && strchr(" ,", text->buf[to - 1]);)
                to--;
        comma = memchr(text->buf + to, ',', close - to); /* "[a, ]" */
        splice(text, to, comma && fresh.len > 0 ? close - to : 0, more.buf);
        return true;
}

static bool add_to_value(struct er_str *text, const struct block *block, enum er_edit_kind kind, const char *before,
                         const struct er_strv *items)
{
        size_t at = block->value, end = block->key.at + block->key.len, len;
        er_auto(er_str) list = ER_STR_INIT;
        er_auto(er_strv) all = ER_STRV_INIT;
        er_autofree char *value = NULL;
        bool below = inner_indent(text, block) > block->indent ||
                     (block->begin < block->end && inner_indent(text, block) == block->indent &&
                      strchr("-", text->buf[block->begin + block->indent]));

        while (at < end && text->buf[at] == ' ')
                at++;
        len = content_len(text->buf + at, end - at);
        if (len == 0 && below)
                return add_to_lines(text, block, kind, items);
        if (len == 0) {
                er_str_addc(&list, ' ');
                add_flow(&list, before, items);
                splice(text, block->value, 0, list.buf);
                return true;
        }
        if (text->buf[at] == '[')
                return add_to_flow(text, at, len, kind, items);
        value = scalar(text->buf + at, len);
        if (!value || inner_indent(text, block) > block->indent)
                return false;
        if (!er_streq(value, "none")) {
                bool replaced = false;

                for (size_t i = 0; i < items->len; i++)
                        replaced = replaced || same_name(kind, value, items->items[i]);
                if (!replaced)
                        er_strv_add(&all, value);
        }
        er_strv_addall(&all, items->items, items->len);
        add_flow(&list, NULL, &all);
        splice(text, at, len, list.buf);
        return true;
}

static bool edit_yaml(struct er_str *text, const char *const *keys, enum er_edit_kind kind, const char *before,
                      const struct er_strv *items)
{
        struct block block;
        size_t begin = 0, end = text->len, indent = 0;

        if (memchr(text->buf, '\t', text->len) && strstr(text->buf, "\n\t"))
                return false;
        for (; keys[1]; keys++) {
                if (!find_key(text, begin, end, indent, keys[0], &block) ||
                    content_len(text->buf + block.value, block.key.at + block.key.len - block.value) > 0)
                        return false;
                begin = block.begin;
                end = block.end;
                indent = inner_indent(text, &block);
                if (indent <= block.indent)
                        return false;
        }
        if (find_key(text, begin, end, indent, keys[0], &block))
                return add_to_value(text, &block, kind, before, items);
        add_key(text, begin, end, indent, keys[0], before, items);
        return true;
}

bool er_edit_yaml(struct er_str *text, const char *const *keys, enum er_edit_kind kind, const char *before,
                  const struct er_strv *items)
{
        struct er_encoding encoding = er_encoding_take(text);
        bool done = edit_yaml(text, keys, kind, before, items);

        er_encoding_give(encoding, text);
        return done;
}

/* --- requirements.txt */

static bool edit_requirements(struct er_str *text, const struct er_strv *items)
{
        AUTO_ITEMS there = {0};
        er_auto(er_strv) fresh = ER_STRV_INIT;
        struct line line;

        for (size_t at = 0; line_at(text, at, &line); at = line.at + line.len + 1) {
                const char *content = text->buf + line.at + line.indent;
                size_t len = content_len(content, line.len - line.indent);

                if (line.blank || len == 0 || content[0] == '-')
                        continue;
                for (size_t i = 0; i < items->len; i++) {
                        er_autofree char *value = er_strndup(content, len);

                        /* Its hashes would be wrong for another version. */
                        if (same_name(ER_EDIT_PIP, value, items->items[i]) &&
                            (strstr(value, "--hash") || content[len - 1] == '\\'))
                                return false;
                }
                add_item(&there, line.at + line.indent, len, er_strndup(content, len));
        }
        if (is_conditional(&there, items))
                return false;
        replace(text, ER_EDIT_PIP, &there, items, false, &fresh);
        if (text->len > 0 && text->buf[text->len - 1] != '\n')
                er_str_addc(text, '\n');
        for (size_t i = 0; i < fresh.len; i++)
                er_str_addf(text, "%s\n", fresh.items[i]);
        return true;
}

bool er_edit_requirements(struct er_str *text, const struct er_strv *items)
{
        return edit_text(text, items, edit_requirements);
}

/* --- pyproject.toml */

/* The strings between at and the bracket that closes the list; false: something else is there. */
static bool toml_items(const struct er_str *text, size_t at, struct items *ret, size_t *ret_close)
{
        while (at < text->len) {
                char c = text->buf[at];

                if (c == ']') {
                        *ret_close = at;
                        return true;
                }
                if (c == '#') {
                        const char *end = memchr(text->buf + at, '\n', text->len - at);

                        at = end ? (size_t)(end - text->buf) : text->len;
                } else if (c == '"' || c == '\'') {
                        const char *end = memchr(text->buf + at + 1, c, text->len - at - 1);
                        size_t len = end ? (size_t)(end - text->buf) - at - 1 : 0;

                        if (!end || memchr(text->buf + at + 1, '\n', len) || memchr(text->buf + at + 1, '\\', len))
                                return false;
                        add_item(ret, at + 1, len, er_strndup(text->buf + at + 1, len));
                        at += len + 2;
                } else if (c == ',' || isspace((unsigned char)c))
                        at++;
                else
                        return false;
        }
        return false;
}

static bool edit_pyproject(struct er_str *text, const struct er_strv *items)
{
        AUTO_ITEMS there = {0};
        er_auto(er_strv) fresh = ER_STRV_INIT;
        er_auto(er_str) more = ER_STR_INIT;
        size_t at = 0, open = 0, close, length = text->len, last;
        bool inside = false, lines;
        struct line line;

        for (; line_at(text, at, &line) && !open; at = line.at + line.len + 1) {
                struct er_sv content = er_sv_trim(er_svn(text->buf + line.at, line.len));
                const char *equals = memchr(content.ptr, '=', content.len);

                if (content.len > 0 && content.ptr[0] == '[')
                        inside = er_sv_starts(content, ER_SV("[project]"));
                if (inside && equals &&
                    er_sv_eq(er_sv_trim(er_svn(content.ptr, (size_t)(equals - content.ptr))), ER_SV("dependencies")) &&
                    memchr(equals, '[', content.len - (size_t)(equals - content.ptr)))
                        open = (size_t)((const char *)memchr(equals, '[',
                                                             content.len - (size_t)(equals - content.ptr)) -
                                        text->buf) +
                               1;
        }
        for (size_t i = 0; i < items->len; i++)
                if (strpbrk(items->items[i], "\"\\\n"))
                        return false;
        if (!open || !toml_items(text, open, &there, &close) || is_conditional(&there, items))
                return false;
        replace(text, ER_EDIT_PIP, &there, items, false, &fresh);
        close = close + text->len - length;
        if (fresh.len == 0)
                return true;
        lines = memchr(text->buf + open, '\n', close - open);
        last = there.count ? there.list[there.count - 1].at + there.list[there.count - 1].len + 1 + text->len - length
                           : open;
        if (there.count) {
                const char *comma = memchr(text->buf + last, ',', close - last);

                if (!comma) {
                        splice(text, last, 0, ",");
                        close++;
                }
                last = comma ? (size_t)(comma - text->buf) + 1 : last + 1;
        }
        if (lines && memchr(text->buf + last, '\n', close - last)) /* behind a comment of the last one */
                last = (size_t)((const char *)memchr(text->buf + last, '\n', close - last) - text->buf);
        for (size_t i = 0; i < fresh.len; i++)
                er_str_addf(&more, "%s\"%s\"%s",
                            lines              ? "\n    "
                            : i || there.count ? " "
                                               : "",
                            fresh.items[i], lines || i + 1 < fresh.len ? "," : "");
        splice(text, last, 0, more.buf);
        return true;
}

bool er_edit_pyproject(struct er_str *text, const struct er_strv *items)
{
        return edit_text(text, items, edit_pyproject);
}

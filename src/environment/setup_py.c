/* setup_py.c - see setup_py.h */
#include "environment/setup_py.h"

#include <ctype.h>
#include "environment/requirement.h"

#define TOKENS_MAX ((size_t)400000)
#define DEPTH_MAX 8u

enum kind {
        NAME,
        STRING,
        ODD, /* a string whose value cannot be told: f"", b"", escapes */
        OP,
        NEWLINE, /* outside of brackets only */
        NUMBER,
};

struct token {
        enum kind kind;
        unsigned line;
        bool first, top; /* of its logical line; and that is not indented */
        struct er_str text;
};

struct source {
        struct token *items;
        size_t count, cap;
        const struct er_strv *extras;
        struct er_setup_py *ret;
};

void er_setup_py_release(struct er_setup_py *setup)
{
        er_strv_release(&setup->requires);
        er_strv_release(&setup->files);
        er_strv_release(&setup->offered);
        er_strv_release(&setup->scripts);
        free(setup->name);
        free(setup->python_requires);
        *setup = (struct er_setup_py)ER_SETUP_PY_INIT;
}

/* ---- Tokens */

static struct token *add_token(struct source *s, enum kind kind, unsigned line)
{
        struct token *before = s->count ? &s->items[s->count - 1] : NULL;
        bool first = !before || before->kind == NEWLINE;

        s->items = er_grow(s->items, &s->cap, s->count + 1, sizeof *s->items);
        s->items[s->count] = (struct token){.kind = kind, .line = line, .first = first, .text = ER_STR_INIT};
        return &s->items[s->count++];
}

static bool is_name(char c)
{
        return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* A string that begins at its quote; returns what follows it. */
static const char *read_string(const char *p, const char *end, bool raw, struct token *token, unsigned *line)
{
        char quote = *p;
        bool triple = end - p >= 3 && p[1] == quote && p[2] == quote;

        p += triple ? 3 : 1;
        for (; p < end; p++) {
                if (*p == '\n') {
                        if (!triple) {
                                token->kind = ODD; /* it is not closed */
                                return p;
                        }
                        ++*line;
                }
                if (*p == quote && (!triple || (end - p >= 3 && p[1] == quote && p[2] == quote)))
                        return p + (triple ? 3 : 1);
                if (*p == '\\' && p + 1 < end) {
                        if (!raw && strchr("\"'\\", p[1])) {
                                p++;
                        } else {
                                token->kind = raw ? token->kind : ODD;
                                er_str_addc(&token->text, *p++);
                                *line += *p == '\n';
                        }
                }
                if (!*p)
                        token->kind = ODD;
                er_str_addc(&token->text, *p);
        }
        token->kind = ODD;
        return p;
}

static void read_tokens(struct source *s, struct er_sv text)
{
        const char *p = text.ptr, *end = text.ptr + text.len;
        unsigned line = 1, depth = 0;
        bool top = true;

        while (p < end && s->count < TOKENS_MAX) {
                const char *begin = p;
                struct token *token;

                if (*p == '\n') {
                        if (depth == 0 && s->count && s->items[s->count - 1].kind != NEWLINE)
                                add_token(s, NEWLINE, line);
                        line++;
                        p++;
                        top = p < end && *p != ' ' && *p != '\t';
                } else if (*p == '#') {
                        while (p < end && *p != '\n')
                                p++;
                } else if (*p == '\\' && p + 1 < end && (p[1] == '\n' || p[1] == '\r')) {
                        p += p[1] == '\r' && p + 2 < end && p[2] == '\n' ? 3 : 2;
                        line++;
                } else if (isspace((unsigned char)*p)) {
                        p++;
                } else if (*p == '"' || *p == '\'') {
                        token = add_token(s, STRING, line);
                        token->top = top;
                        p = read_string(p, end, false, token, &line);
                } else if (is_name(*p)) {
                        while (p < end && is_name(*p))
                                p++;
                        token = add_token(s, isdigit((unsigned char)*begin) ? NUMBER : NAME, line);
                        token->top = top;
                        if (p < end && (*p == '"' || *p == '\'') && p - begin <= 2) {
                                bool raw = memchr(begin, 'r', (size_t)(p - begin)) ||
                                           memchr(begin, 'R', (size_t)(p - begin));
                                bool plain = true;

                                for (const char *c = begin; c < p; c++)
                                        plain = plain && strchr("rRuU", *c);
                                token->kind = plain ? STRING : ODD;
                                p = read_string(p, end, raw, token, &line);
                        } else {
                                er_str_addn(&token->text, begin, (size_t)(p - begin));
                        }
                } else {
                        token = add_token(s, OP, line);
                        token->top = top;
                        er_str_addc(&token->text, *p ? *p : '?');
                        if (p + 1 < end && ((p[1] == '=' && strchr("+-*/=!<>|&", *p)) || (*p == '*' && p[1] == '*')))
                                er_str_addc(&token->text, *++p);
                        depth += strchr("([{", *p) != NULL && *p;
                        depth -= depth && *p && strchr(")]}", *p) != NULL;
                        p++;
                }
        }
        add_token(s, NEWLINE, line);
}

static bool is(const struct source *s, size_t i, const char *text)
{
        return i < s->count && (s->items[i].kind == NAME || s->items[i].kind == OP) &&
               er_streq(s->items[i].text.buf, text);
}

/* Where the value that begins at i ends: at a comma, a closing bracket or the end of the line outside of its own. */
static size_t value_end(const struct source *s, size_t i)
{
        unsigned depth = 0;

        for (; i < s->count && (depth || s->items[i].kind != NEWLINE); i++) {
                const struct token *token = &s->items[i];

                if (token->kind != OP)
                        continue;
                if (strchr("([{", token->text.buf[0]))
                        depth++;
                else if (depth == 0 && strchr(",)]}", token->text.buf[0]))
                        break;
                else if (strchr(")]}", token->text.buf[0]))
                        depth--;
        }
        return i;
}

/* ---- Values. All of these are false where the value cannot be told. */

/* Adjacent strings are one. */
static bool take_text(const struct source *s, size_t *i, size_t end, struct er_str *out)
{
        bool any = false;

        for (; *i < end && s->items[*i].kind == STRING; ++*i) {
                er_str_addn(out, s->items[*i].text.buf, s->items[*i].text.len);
                any = true;
        }
        return any && (*i == end || is(s, *i, ",") || is(s, *i, ":"));
}

/* [l.strip() for l in open("requirements.txt")] and what is like it: nothing in it but the reading of one file. */
static bool take_file(const struct source *s, size_t begin, size_t end, const char *own, struct er_strv *files)
{
        static const char *const words[] = {
                "open",       "for",        "in",        "if",   "not",   "and",       "strip",
                "rstrip",     "lstrip",     "readlines", "read", "split", "with",      "as",
                "splitlines", "startswith", "encoding",  "os",   "path",  "join",      "dirname",
                "abspath",    "realpath",   "__file__",  "here", "HERE",  "read_text", "Path",
                "pathlib",    "parent",     "io",        "list", "mode",
        };
        static const char *const ends[] = {".txt", ".in", ".pip"};
        er_autofree char *name = NULL;
        bool opened = false, odd = false;

        for (size_t i = begin; i < end && !odd; i++) {
                const struct token *token = &s->items[i];
                const char *text = token->text.buf;
                bool known = false;

                if (token->kind == NAME) {
                        for (size_t k = 0; k < ER_LEN(words); k++)
                                known = known || er_streq(text, words[k]);
                        /* the names that it gives to lines and the file */
                        for (size_t k = begin; k + 1 < end && !known; k++)
                                known = (is(s, k, "for") || is(s, k, "as")) && er_streq(s->items[k + 1].text.buf, text);
                        opened = opened || er_streq(text, "open") || er_streq(text, "read_text");
                        odd = !known && !(own && er_streq(own, text));
                } else if (token->kind == STRING) {
                        for (size_t k = 0; k < ER_LEN(ends); k++)
                                known = known || er_ends(text, ends[k]);
                        if (known) {
                                odd = name != NULL;
                                free(name);
                                name = er_strdup(text);
                        } else {
                                odd = !er_starts(text, "utf") && !er_streq(text, "#") && !er_streq(text, "r") &&
                                      text[0];
                        }
                } else if (token->kind == NUMBER) {
                        odd = true;
                } else if (token->kind == OP) {
                        odd = strchr("+*%<>@", text[0]) != NULL;
                }
        }
        if (odd || !opened || !name)
                return false;
        if (!er_strv_has(files, name))
                er_strv_take(files, er_take(name));
        return true;
}

static bool take_list(const struct source *s, size_t begin, size_t end, unsigned depth, struct er_strv *out,
                      struct er_strv *files);

/* A variable that is set once and used here alone. */
static bool take_variable(const struct source *s, size_t use, unsigned depth, struct er_strv *out,
                          struct er_strv *files)
{
        const char *name = s->items[use].text.buf;
        size_t set = SIZE_MAX, begin, count = 0;

        for (size_t i = 0; i < s->count; i++) {
                if (s->items[i].kind != NAME || !er_streq(s->items[i].text.buf, name))
                        continue;
                if (is(s, i + 1, "=") && s->items[i].first)
                        set = i;
                else if (i && is(s, i + 1, "=") && (is(s, i - 1, ",") || is(s, i - 1, "(")))
                        continue; /* the argument of that name: install_requires=install_requires */
                count++;
        }
        if (count != 2 || set == SIZE_MAX || depth >= DEPTH_MAX)
                return false;
        begin = set + 2;
        if (s->items[set].top)
                return take_list(s, begin, value_end(s, begin), depth + 1, out, files);
        /* with open("requirements.txt") as f: on the line before */
        if (set < 3 || s->items[set - 1].kind != NEWLINE || !is(s, set - 2, ":"))
                return false;
        for (begin = set - 2; begin > 0 && !s->items[begin].first; begin--)
                ;
        return is(s, begin, "with") && s->items[begin].top && take_file(s, begin, value_end(s, set + 2), name, files);
}

static bool take_operand(const struct source *s, size_t begin, size_t end, unsigned depth, struct er_strv *out,
                         struct er_strv *files)
{
        size_t i = begin + 1;

        if (begin >= end || depth >= DEPTH_MAX)
                return false;
        if (end - begin == 1 && is(s, begin, "None"))
                return true;
        if (end - begin == 1 && s->items[begin].kind == NAME)
                return take_variable(s, begin, depth, out, files);
        if (!is(s, begin, "[") && !is(s, begin, "("))
                return take_file(s, begin, end, NULL, files);
        if (!is(s, end - 1, is(s, begin, "[") ? "]" : ")"))
                return false;
        for (size_t k = i; k + 1 < end; k++)
                if (is(s, k, "for"))
                        return take_file(s, begin, end, NULL, files);
        while (i + 1 < end) {
                er_auto(er_str) text = ER_STR_INIT;

                if (!take_text(s, &i, end - 1, &text))
                        return false;
                er_strv_add(out, text.buf);
                if (i + 1 < end)
                        i++; /* the comma */
        }
        return true;
}

/* LIST + LIST */
static bool take_list(const struct source *s, size_t begin, size_t end, unsigned depth, struct er_strv *out,
                      struct er_strv *files)
{
        unsigned inside = 0;

        for (size_t i = begin; i < end; i++) {
                if (s->items[i].kind != OP)
                        continue;
                inside += strchr("([{", s->items[i].text.buf[0]) != NULL;
                inside -= inside && strchr(")]}", s->items[i].text.buf[0]) != NULL;
                if (!inside && is(s, i, "+")) {
                        if (!take_operand(s, begin, i, depth, out, files))
                                return false;
                        begin = i + 1;
                }
        }
        return take_operand(s, begin, end, depth, out, files);
}

/* {"name": LIST, ...} to one function. */
static bool take_dict(const struct source *s, size_t begin, size_t end,
                      bool (*take)(const struct source *s, const char *key, size_t value, size_t value_end))
{
        size_t i = begin + 1;

        if (begin >= end || !is(s, begin, "{"))
                return false;
        while (i + 1 < end) {
                er_auto(er_str) key = ER_STR_INIT;
                size_t stop;

                if (!take_text(s, &i, end - 1, &key) || !is(s, i, ":"))
                        return false;
                stop = value_end(s, i + 1);
                if (!take(s, key.buf, i + 1, stop))
                        return false;
                i = stop + 1;
        }
        return true;
}

static bool take_extra(const struct source *s, const char *key, size_t value, size_t value_stop)
{
        /* "name:marker" */
        const char *colon = strchr(key, ':');
        er_autofree char *name = er_distribution_name(er_svn(key, colon ? (size_t)(colon - key) : strlen(key)));
        er_auto(er_strv) items = ER_STRV_INIT;

        if (name[0] && !er_strv_has(&s->ret->offered, name))
                er_strv_add(&s->ret->offered, name);
        if (name[0] && !er_strv_has(s->extras, name))
                return true; /* whatever it is */
        if (!take_list(s, value, value_stop, 0, &items, &s->ret->files))
                return false;
        for (size_t i = 0; i < items.len; i++)
                er_strv_addf(&s->ret->requires, "%s%s%s", items.items[i], colon ? " ; " : "", colon ? colon + 1 : "");
        return true;
}

static bool take_entry(const struct source *s, const char *key, size_t value, size_t value_stop)
{
        er_auto(er_strv) items = ER_STRV_INIT;
        er_auto(er_strv) files = ER_STRV_INIT;

        if (!er_streq(key, "console_scripts") && !er_streq(key, "gui_scripts"))
                return true;
        if (!take_list(s, value, value_stop, 0, &items, &files))
                return true;
        for (size_t i = 0; i < items.len; i++) {
                er_auto(er_str) tight = ER_STR_INIT;

                for (const char *c = items.items[i]; *c; c++)
                        if (!isspace((unsigned char)*c))
                                er_str_addc(&tight, *c);
                er_strv_add(&s->ret->scripts, tight.buf);
        }
        return true;
}

static void take_string(const struct source *s, size_t begin, size_t end, char **ret)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (take_text(s, &begin, end, &text) && begin == end && !*ret)
                *ret = er_str_detach(&text);
}

static void not_clear(struct source *s, const char *what, size_t i)
{
        if (s->ret->unclear)
                return;
        s->ret->unclear = what;
        s->ret->line = s->items[i].line;
}

static void take_argument(struct source *s, size_t name, size_t end)
{
        size_t value = name + 2;

        if (is(s, name, "install_requires")) {
                s->ret->found = true;
                if (!take_list(s, value, end, 0, &s->ret->requires, &s->ret->files))
                        not_clear(s, "install_requires", name);
        } else if (is(s, name, "extras_require")) {
                if (!take_dict(s, value, end, take_extra) && s->extras->len)
                        not_clear(s, "extras_require", name);
        } else if (is(s, name, "entry_points")) {
                (void)take_dict(s, value, end, take_entry);
        } else if (is(s, name, "name")) {
                take_string(s, value, end, &s->ret->name);
        } else if (is(s, name, "python_requires")) {
                take_string(s, value, end, &s->ret->python_requires);
        } else if (is(s, name, "ext_modules") || is(s, name, "cffi_modules") || is(s, name, "rust_extensions")) {
                s->ret->extensions = !is(s, value, "None") && !(is(s, value, "[") && is(s, value + 1, "]"));
        }
}

static void take_call(struct source *s, size_t open)
{
        size_t i = open + 1;

        while (i < s->count && !is(s, i, ")") && s->items[i].kind != NEWLINE) {
                size_t end = value_end(s, i);

                if (is(s, i, "**"))
                        not_clear(s, "setup(**...)", i);
                else if (s->items[i].kind == NAME && is(s, i + 1, "="))
                        take_argument(s, i, end);
                i = end + is(s, end, ",");
                if (i == end && !is(s, i, ")"))
                        break;
        }
}

void er_setup_py_read(struct er_sv text, const struct er_strv *extras, struct er_setup_py *ret)
{
        struct source s = {.extras = extras, .ret = ret};
        size_t calls = 0, mentioned = 0;

        read_tokens(&s, text);
        for (size_t i = 0; i < s.count; i++) {
                if (is(&s, i, "install_requires") && !mentioned)
                        mentioned = i + 1;
                if (!is(&s, i, "setup") || !is(&s, i + 1, "(") || (i && is(&s, i - 1, "def")))
                        continue;
                if (++calls > 1)
                        not_clear(&s, "a second setup()", i);
                else
                        take_call(&s, i + 1);
        }
        /* A dictionary or a function of somebody's has it. */
        if (mentioned && !ret->found)
                not_clear(&s, "install_requires", mentioned - 1);
        for (size_t i = 0; i < s.count; i++)
                er_str_release(&s.items[i].text);
        free(s.items);
}

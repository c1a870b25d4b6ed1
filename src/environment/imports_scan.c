/* imports_scan.c - one pass over Python. */
#include <ctype.h>

#include "environment/imports_scan.h"

#define MAX_TEXT ((size_t)64 << 20)
#define MAX_BLOCKS 64
#define MAX_NAME 512

/* What holds for the statements of a block. */
struct context {
        bool never, handler;
        int32_t group;
};
enum kind { BLOCK_IF, BLOCK_TRY };
/* A compound statement whose clauses matter. One for each indentation at most. */
struct block {
        unsigned indent; /* of its header */
        enum kind kind;
        bool taken; /* IF: an earlier condition is true on Linux, so this clause never runs */
        struct context outer, body;
        int32_t group; /* TRY: its own */
};
struct scanner {
        const char *p, *end;
        uint32_t line;
        struct block blocks[MAX_BLOCKS];
        size_t depth;
        struct er_import_scan *scan;
};

void er_import_scan_release(struct er_import_scan *scan)
{
        er_str_release(&scan->names);
        free(scan->items);
        free(scan->groups);
        *scan = (struct er_import_scan)ER_IMPORT_SCAN_INIT;
}

static bool is_name(char c)
{
        return (c >= 'a' && c <= 'z') || c == '_' || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (unsigned char)c >= 0x80;
}

static struct context context_of(const struct scanner *s)
{
        return s->depth > 0 ? s->blocks[s->depth - 1].body : (struct context){.group = -1};
}

static void emit(struct scanner *s, struct er_sv module, struct er_sv name, unsigned level, unsigned flags,
                 uint32_t line)
{
        struct er_import_scan *scan = s->scan;
        struct context context = context_of(s);
        struct er_import *item;

        if (module.len + name.len > MAX_NAME || scan->names.len > MAX_TEXT ||
            (module.len == 0 && name.len == 0 && level == 0))
                return;
        scan->items = er_grow(scan->items, &scan->cap, scan->count + 1, sizeof *scan->items);
        item = &scan->items[scan->count++];
        *item = (struct er_import){
                .name = (uint32_t)scan->names.len,
                .module_len = (uint32_t)module.len,
                .line = line,
                .group = context.group,
                .level = (uint16_t)(level > 1000 ? 1000 : level),
                .flags = (uint8_t)(flags | (context.never ? ER_IMPORT_NEVER : 0u)),
                .handler = context.handler,
        };
        er_str_addn(&scan->names, module.ptr, module.len);
        if (module.len > 0 && name.len > 0)
                er_str_addc(&scan->names, '.');
        er_str_addn(&scan->names, name.ptr, name.len);
        er_str_addc(&scan->names, '\0');
}

/* ---- Passing over what is no import */

/* At a quote: skips the string. An unclosed one ends with its line, or with the text if it is triple. */
static void skip_string(struct scanner *s)
{
        char quote = *s->p;
        bool triple = s->end - s->p >= 3 && s->p[1] == quote && s->p[2] == quote;

        s->p += triple ? 3 : 1;
        while (s->p < s->end) {
                char c = *s->p++;

                if (c == '\\' && s->p < s->end) {
                        if (*s->p == '\r' && s->end - s->p >= 2 && s->p[1] == '\n')
                                s->p++;
                        if (*s->p == '\n')
                                s->line++;
                        s->p++;
                } else if (c == '\n') {
                        if (!triple) {
                                s->p--;
                                return;
                        }
                        s->line++;
                } else if (c == quote) {
                        if (!triple)
                                return;
                        if (s->end - s->p >= 2 && s->p[0] == quote && s->p[1] == quote) {
                                s->p += 2;
                                return;
                        }
                }
        }
}

/* White space and continued lines within a statement; `newlines`: also comments and ends of lines, as within brackets.
 */
static void skip_space(struct scanner *s, bool newlines)
{
        while (s->p < s->end) {
                char c = *s->p;

                size_t lf = s->end - s->p >= 3 && s->p[1] == '\r' ? 2 : 1; /* after a backslash */

                if (c == '\\' && (size_t)(s->end - s->p) > lf && s->p[lf] == '\n') {
                        s->p += lf + 1;
                        s->line++;
                } else if (c == ' ' || c == '\t' || c == '\f' || c == '\r')
                        s->p++;
                else if (newlines && c == '\n') {
                        s->line++;
                        s->p++;
                } else if (newlines && c == '#') {
                        const char *newline = memchr(s->p, '\n', (size_t)(s->end - s->p));

                        s->p = newline ? newline : s->end;
                } else
                        return;
        }
}

/* A dotted name; empty when there is none. */
static struct er_sv take_dotted(struct scanner *s)
{
        const char *begin = s->p;

        if (s->p >= s->end || !is_name(*s->p) || isdigit((unsigned char)*s->p))
                return er_svn(begin, 0);
        while (s->p < s->end && (is_name(*s->p) || (*s->p == '.' && s->end - s->p >= 2 && is_name(s->p[1]))))
                s->p++;
        return er_svn(begin, (size_t)(s->p - begin));
}

static bool take_word(struct scanner *s, struct er_sv word)
{
        if ((size_t)(s->end - s->p) < word.len || memcmp(s->p, word.ptr, word.len) != 0 ||
            ((size_t)(s->end - s->p) > word.len && is_name(s->p[word.len])))
                return false;
        s->p += word.len;
        return true;
}

static bool ends_in_word(const char *begin, const char *end, struct er_sv word)
{
        return (size_t)(end - begin) >= word.len && memcmp(end - word.len, word.ptr, word.len) == 0 &&
               ((size_t)(end - begin) == word.len || !is_name(end[-(ptrdiff_t)word.len - 1]));
}

/* At the literal: a plain one that is the whole argument. */
static void literal_argument(struct scanner *s, unsigned flags, uint32_t line)
{
        unsigned level = 0;
        struct er_sv name;
        char quote;

        skip_space(s, true);
        if (s->p >= s->end || (*s->p != '"' && *s->p != '\''))
                return;
        quote = *s->p++;
        for (; s->p < s->end && *s->p == '.'; s->p++)
                level++;
        name = take_dotted(s);
        if (name.len == 0 || s->p >= s->end || *s->p != quote)
                return;
        s->p++;
        skip_space(s, true);
        if (s->p < s->end && (*s->p == ',' || *s->p == ')'))
                emit(s, name, ER_SV(""), level, flags, line);
}

/* At a bracket: does it belong to "import_module(" or the like? Its contents are then skipped like all others. */
static void dynamic_import(struct scanner *s, const char *begin)
{
        static const struct {
                struct er_sv word;
                unsigned flags;
        } callers[] = {
                {{"import_module", 13}, 0},
                {{"__import__", 10}, 0},
                {{"importorskip", 12}, ER_IMPORT_NEVER},
        };
        const char *bracket = s->p;
        uint32_t line = s->line;

        if (bracket - begin < 10 || (bracket[-1] != 'e' && bracket[-1] != '_' && bracket[-1] != 'p'))
                return;
        for (size_t i = 0; i < ER_LEN(callers); i++)
                if (ends_in_word(begin, bracket, callers[i].word)) {
                        s->p++;
                        literal_argument(s, callers[i].flags, line);
                        s->p = bracket;
                        s->line = line;
                        return;
                }
}

/* A line that no bracketed expression can hold: a bracket before it was never closed. */
static bool starts_anew(const struct scanner *s)
{
        static const struct er_sv words[] = {{"import ", 7}, {"from ", 5}, {"def ", 4}, {"class ", 6}};

        for (size_t i = 0; i < ER_LEN(words); i++)
                if (er_sv_starts(er_svn(s->p, (size_t)(s->end - s->p)), words[i]))
                        return true;
        return false;
}

enum stop { STOP_LINE, STOP_SEMICOLON, STOP_COLON };

/* To the end of the statement, its end passed. With `compound` also at the colon after the header. */
static enum stop skip_statement(struct scanner *s, bool compound)
{
        static const bool special[256] = {
                ['\n'] = true, ['\\'] = true, ['#'] = true, ['"'] = true, ['\''] = true, ['('] = true, ['['] = true,
                ['{'] = true,  [')'] = true,  [']'] = true, ['}'] = true, [';'] = true,  [':'] = true,
        };
        const char *begin = s->p;
        int depth = 0;

        while (s->p < s->end) {
                char c = *s->p;

                if (!special[(unsigned char)c]) {
                        s->p++;
                        continue;
                }
                switch (c) {
                case '\n':
                        s->p++;
                        s->line++;
                        if (depth <= 0 || starts_anew(s))
                                return STOP_LINE;
                        break;
                case '\\':
                        s->p++;
                        if (s->p < s->end && *s->p == '\r')
                                s->p++;
                        if (s->p < s->end && *s->p == '\n') {
                                s->p++;
                                s->line++;
                        }
                        break;
                case '#': {
                        const char *newline = memchr(s->p, '\n', (size_t)(s->end - s->p));

                        s->p = newline ? newline : s->end;
                        break;
                }
                case '"':
                case '\'':
                        skip_string(s);
                        break;
                case '(':
                        dynamic_import(s, begin);
                        depth++;
                        s->p++;
                        break;
                case '[':
                case '{':
                        depth++;
                        s->p++;
                        break;
                case ';':
                        s->p++;
                        if (depth <= 0)
                                return STOP_SEMICOLON;
                        break;
                case ':':
                        s->p++;
                        if (compound && depth <= 0 && (s->p >= s->end || *s->p != '='))
                                return STOP_COLON;
                        break;
                default: /* a closing bracket */
                        depth -= depth > 0;
                        s->p++;
                }
        }
        return STOP_LINE;
}

/* ---- The statements that matter */

static enum stop import_statement(struct scanner *s)
{
        do {
                uint32_t line;
                struct er_sv name;

                skip_space(s, false);
                line = s->line;
                name = take_dotted(s);
                skip_space(s, false);
                if (name.len == 0)
                        break;
                if (take_word(s, ER_SV("as"))) {
                        skip_space(s, false);
                        take_dotted(s);
                        skip_space(s, false);
                }
                if (s->p < s->end && !strchr(",;#\n", *s->p))
                        break; /* not Python */
                emit(s, name, ER_SV(""), 0, 0, line);
        } while (s->p < s->end && *s->p == ',' && s->p++);
        return skip_statement(s, false);
}

static enum stop from_statement(struct scanner *s)
{
        uint32_t line = s->line;
        unsigned level = 0;
        struct er_sv module;
        bool brackets = false;

        skip_space(s, false);
        for (; s->p < s->end && (*s->p == '.' || *s->p == ' '); s->p++)
                level += *s->p == '.';
        skip_space(s, false);
        if (level > 0 && take_word(s, ER_SV("import")))
                module = er_svn(s->p, 0);
        else {
                module = take_dotted(s);
                skip_space(s, false);
                if (module.len == 0 || !take_word(s, ER_SV("import")))
                        return skip_statement(s, false);
        }
        skip_space(s, false);
        if (s->p < s->end && *s->p == '(') {
                brackets = true;
                s->p++;
        }
        for (;;) {
                struct er_sv name;

                skip_space(s, brackets);
                if (s->p < s->end && *s->p == '*') {
                        emit(s, module, ER_SV(""), level, 0, line);
                        s->p++;
                        break;
                }
                name = take_dotted(s);
                if (name.len == 0)
                        break;
                emit(s, module, name, level, ER_IMPORT_FROM, line);
                skip_space(s, brackets);
                if (take_word(s, ER_SV("as"))) {
                        skip_space(s, brackets);
                        take_dotted(s);
                        skip_space(s, brackets);
                }
                if (s->p >= s->end || *s->p != ',')
                        break;
                s->p++;
        }
        skip_space(s, brackets);
        if (brackets && s->p < s->end && *s->p == ')')
                s->p++;
        return skip_statement(s, false);
}

/* A block whose clauses matter, or NULL if it is nested too deeply to be followed. */
static struct block *push(struct scanner *s, unsigned indent, enum kind kind)
{
        struct context outer = context_of(s);
        struct block *block;

        if (s->depth == MAX_BLOCKS)
                return NULL;
        block = &s->blocks[s->depth++];
        *block = (struct block){.indent = indent, .kind = kind, .outer = outer, .body = outer, .group = -1};
        return block;
}

static struct block *push_try(struct scanner *s, unsigned indent)
{
        struct er_import_scan *scan = s->scan;
        struct block *block = push(s, indent, BLOCK_TRY);

        if (!block)
                return NULL;
        scan->groups = er_grow(scan->groups, &scan->group_cap, scan->group_count + 1, sizeof *scan->groups);
        scan->groups[scan->group_count] = (struct er_import_group){.parent = block->outer.group,
                                                                   .handler = block->outer.handler};
        block->group = (int32_t)scan->group_count++;
        block->body.group = block->group;
        block->body.handler = false;
        return block;
}

/* The header's text is only known when its colon is found: its effect is set then. */
static void set_condition(struct block *block, bool has_condition, const char *text, const char *colon)
{
        enum er_truth truth = ER_TRUE;

        if (has_condition)
                truth = er_import_condition(text, (size_t)(colon - text));
        block->body = block->outer;
        block->body.never = block->outer.never || block->taken || truth == ER_FALSE;
        block->taken = block->taken || truth == ER_TRUE;
}

static bool catches_import_error(const char *text, size_t len)
{
        static const char *const names[] = {"ImportError", "ModuleNotFoundError", "Exception"};
        struct er_sv header = er_sv_trim(er_svn(text, len));

        if (header.len == 0)
                return true;
        for (size_t i = 0; i < ER_LEN(names); i++)
                if (memmem(header.ptr, header.len, names[i], strlen(names[i])))
                        return true;
        return false;
}

/* In a handler of its own `try`, not below a further condition. */
static void note_raise(struct scanner *s)
{
        struct block *top = s->depth > 0 ? &s->blocks[s->depth - 1] : NULL;

        if (top && top->kind == BLOCK_TRY && top->body.handler && top->body.group == top->group && top->group >= 0)
                s->scan->groups[top->group].raises = true;
}

/* Drops the blocks that a statement at this indentation is no longer in. */
static void leave_blocks(struct scanner *s, unsigned indent, bool clause)
{
        while (s->depth > 0 &&
               (s->blocks[s->depth - 1].indent > indent || (!clause && s->blocks[s->depth - 1].indent == indent)))
                s->depth--;
}

static enum stop if_header(struct scanner *s, unsigned indent, bool is_elif)
{
        struct block *block = NULL;
        const char *begin = s->p;
        enum stop stop;

        stop = skip_statement(s, true);
        if (is_elif) {
                if (s->depth > 0 && s->blocks[s->depth - 1].indent == indent &&
                    s->blocks[s->depth - 1].kind == BLOCK_IF)
                        block = &s->blocks[s->depth - 1];
        } else
                block = push(s, indent, BLOCK_IF);
        if (block && stop == STOP_COLON)
                set_condition(block, true, begin, s->p - 1);
        return stop;
}

static enum stop clause_header(struct scanner *s, unsigned indent, bool is_except, bool is_finally)
{
        struct block *block = NULL;
        const char *begin = s->p;
        enum stop stop;

        if (s->depth > 0 && s->blocks[s->depth - 1].indent == indent)
                block = &s->blocks[s->depth - 1];
        stop = skip_statement(s, true);
        if (!block || stop != STOP_COLON)
                return stop;
        if (block->kind == BLOCK_IF) {
                set_condition(block, false, begin, begin);
                return stop;
        }
        block->body = block->outer;
        if (is_finally)
                return stop;
        block->body.group = block->group;
        block->body.handler = is_except;
        if (block->body.handler && catches_import_error(begin, (size_t)(s->p - 1 - begin)))
                s->scan->groups[block->group].catches = true;
        return stop;
}

/* `with suppress(ImportError):` is a `try` whose handler does nothing. */
static enum stop with_header(struct scanner *s, unsigned indent)
{
        const char *begin = s->p;
        enum stop stop = skip_statement(s, true);
        size_t len = (size_t)(s->p - begin);
        struct block *block;

        if (stop != STOP_COLON || !(memmem(begin, len, "suppress", 8) || memmem(begin, len, "raises", 6)) ||
            !catches_import_error(begin, len - 1))
                return stop;
        block = push_try(s, indent);
        if (block)
                s->scan->groups[block->group].catches = true;
        return stop;
}

enum keyword {
        KEY_NONE,
        KEY_IMPORT,
        KEY_FROM,
        KEY_IF,
        KEY_ELIF,
        KEY_ELSE,
        KEY_TRY,
        KEY_EXCEPT,
        KEY_FINALLY,
        KEY_WITH,
        KEY_BLOCK,
        KEY_ENDS
};

/* What the first word of a statement begins. Called for every statement. */
static enum keyword keyword_of(struct er_sv word)
{
        static const struct {
                struct er_sv word;
                enum keyword keyword;
        } words[] = {
                {{"import", 6}, KEY_IMPORT},     {{"from", 4}, KEY_FROM},       {{"if", 2}, KEY_IF},
                {{"elif", 4}, KEY_ELIF},         {{"else", 4}, KEY_ELSE},       {{"try", 3}, KEY_TRY},
                {{"except", 6}, KEY_EXCEPT},     {{"finally", 7}, KEY_FINALLY}, {{"with", 4}, KEY_WITH},
                {{"while", 5}, KEY_BLOCK},       {{"for", 3}, KEY_BLOCK},       {{"def", 3}, KEY_BLOCK},
                {{"class", 5}, KEY_BLOCK},       {{"async", 5}, KEY_BLOCK},     {{"match", 5}, KEY_BLOCK},
                {{"case", 4}, KEY_BLOCK},        {{"raise", 5}, KEY_ENDS},      {{"sys.exit", 8}, KEY_ENDS},
                {{"exit", 4}, KEY_ENDS},         {{"quit", 4}, KEY_ENDS},       {{"os._exit", 8}, KEY_ENDS},
                {{"pytest.skip", 11}, KEY_ENDS},
        };

        for (size_t i = 0; i < ER_LEN(words); i++)
                if (words[i].word.len == word.len && words[i].word.ptr[0] == word.ptr[0] &&
                    memcmp(words[i].word.ptr, word.ptr, word.len) == 0)
                        return words[i].keyword;
        return KEY_NONE;
}

/* One statement, or the header of a compound one. `first`: it begins its line. */
static enum stop statement(struct scanner *s, unsigned indent, bool first)
{
        const char *begin = s->p;
        enum keyword keyword = keyword_of(take_dotted(s));
        bool clause = keyword == KEY_ELIF || keyword == KEY_ELSE || keyword == KEY_EXCEPT || keyword == KEY_FINALLY;
        enum stop stop;

        if (first)
                leave_blocks(s, indent, clause);
        switch (keyword) {
        case KEY_IMPORT:
                return import_statement(s);
        case KEY_FROM:
                return from_statement(s);
        case KEY_IF:
        case KEY_ELIF:
                return if_header(s, indent, clause);
        case KEY_TRY:
                stop = skip_statement(s, true);
                if (stop == STOP_COLON)
                        push_try(s, indent);
                return stop;
        case KEY_ELSE:
        case KEY_EXCEPT:
        case KEY_FINALLY:
                return clause_header(s, indent, keyword == KEY_EXCEPT, keyword == KEY_FINALLY);
        case KEY_WITH:
                return with_header(s, indent);
        case KEY_ENDS:
                note_raise(s);
                break;
        case KEY_BLOCK:
        case KEY_NONE:
                break;
        }
        s->p = begin; /* a call may begin the statement */
        return skip_statement(s, keyword == KEY_BLOCK);
}

static unsigned take_indent(struct scanner *s)
{
        unsigned indent = 0;

        for (; s->p < s->end; s->p++) {
                if (*s->p == ' ')
                        indent++;
                else if (*s->p == '\t')
                        indent = (indent | 7u) + 1;
                else if (*s->p == '\f')
                        indent = 0;
                else
                        break;
        }
        return indent;
}

void er_import_scan_python(const char *text, size_t len, struct er_import_scan *scan)
{
        struct scanner s = {.p = text, .end = text + (len > MAX_TEXT ? MAX_TEXT : len), .line = 1, .scan = scan};

        if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
                s.p += 3;
        while (s.p < s.end) {
                unsigned indent = take_indent(&s);
                bool first = true;
                enum stop stop;

                if (s.p >= s.end)
                        break;
                if (*s.p == '\n' || *s.p == '\r' || *s.p == '#') {
                        skip_statement(&s, false);
                        continue;
                }
                do {
                        stop = statement(&s, indent, first);
                        first = false;
                        if (stop != STOP_LINE) {
                                skip_space(&s, false);
                                if (s.p >= s.end || *s.p == '\n' || *s.p == '#') {
                                        skip_statement(&s, false);
                                        stop = STOP_LINE;
                                }
                        }
                } while (stop != STOP_LINE && s.p < s.end);
        }
}

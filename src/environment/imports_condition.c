/* imports_condition.c - what a condition evaluates to on Linux, with a current Python, at run time. */
#include <ctype.h>

#include "environment/imports_scan.h"

#define MAX_CONDITION 512

static enum er_truth eval(struct er_sv text, int depth);

static enum er_truth invert(enum er_truth truth)
{
        return truth == ER_TRUE ? ER_FALSE : truth == ER_FALSE ? ER_TRUE : ER_UNKNOWN;
}

static enum er_truth truth_of(bool value)
{
        return value ? ER_TRUE : ER_FALSE;
}

static bool has(struct er_sv text, const char *part)
{
        return text.ptr && memmem(text.ptr, text.len, part, strlen(part));
}

/* Is one of the quoted texts `name`? `prefix`: or its beginning, as startswith sees it. */
static bool names(struct er_sv text, const char *name, bool prefix)
{
        for (size_t i = 0; i < text.len; i++) {
                const char *begin = text.ptr + i + 1, *end;

                if (text.ptr[i] != '"' && text.ptr[i] != '\'')
                        continue;
                end = memchr(begin, text.ptr[i], text.len - i - 1);
                if (!end)
                        return false;
                if (prefix ? strncmp(name, begin, (size_t)(end - begin)) == 0
                           : strlen(name) == (size_t)(end - begin) && strncasecmp(name, begin, strlen(name)) == 0)
                        return true;
                i = (size_t)(end - text.ptr);
        }
        return false;
}

/* One of the three ways to ask for the system; `name` is what Linux answers. */
static enum er_truth platform(struct er_sv atom, const char *question, const char *name)
{
        const char *found = memmem(atom.ptr, atom.len, question, strlen(question));
        struct er_sv rest;
        bool equal;

        if (!found)
                return ER_UNKNOWN;
        rest = er_svn(found + strlen(question), (size_t)(atom.ptr + atom.len - found) - strlen(question));
        while (er_sv_starts(rest, ER_SV(")")) || er_sv_starts(rest, ER_SV(".lower()"))) {
                size_t skip = rest.ptr[0] == ')' ? 1 : 8;

                rest = er_svn(rest.ptr + skip, rest.len - skip);
        }
        rest = er_sv_trim(rest);
        if (er_sv_starts(rest, ER_SV(".startswith(")))
                return has(rest, "\"") || has(rest, "'") ? truth_of(names(rest, name, true)) : ER_UNKNOWN;
        equal = er_sv_starts(rest, ER_SV("==")) || er_sv_starts(rest, ER_SV("in ")) || er_sv_starts(rest, ER_SV("in("));
        if (!equal && !er_sv_starts(rest, ER_SV("!=")) && !er_sv_starts(rest, ER_SV("not in")))
                return ER_UNKNOWN;
        if (!has(rest, "\"") && !has(rest, "'"))
                return ER_UNKNOWN; /* a constant of theirs */
        return truth_of(names(rest, name, false) == equal);
}

/* sys.version_info: what no Python older than 3.9 answers is known. */
static enum er_truth version(struct er_sv atom)
{
        const char *found = memmem(atom.ptr, atom.len, "version_info", 12);
        const char *p, *end = atom.ptr + atom.len;
        unsigned numbers[2] = {0, 0}, count = 0;
        bool less, greater, equal, first_only;

        if (!found)
                return ER_UNKNOWN;
        p = found + 12;
        first_only = er_sv_starts(er_svn(p, (size_t)(end - p)), ER_SV("[0]")) ||
                     er_sv_starts(er_svn(p, (size_t)(end - p)), ER_SV(".major"));
        while (p < end && *p != '<' && *p != '>' && *p != '=')
                p++;
        if (p >= end)
                return ER_UNKNOWN;
        less = *p == '<';
        greater = *p == '>';
        equal = p + 1 < end && p[1] == '=';
        for (p++; p < end && count < 2; p++) {
                if (!isdigit((unsigned char)*p))
                        continue;
                while (p < end && isdigit((unsigned char)*p) && numbers[count] < 1000)
                        numbers[count] = numbers[count] * 10 + (unsigned)(*p++ - '0');
                count++;
        }
        if (count == 0)
                return ER_UNKNOWN;
        if (!less && !greater)
                return equal && first_only ? truth_of(numbers[0] == 3) : ER_UNKNOWN;
        if (first_only) {
                if (numbers[0] != 2 && numbers[0] != 3)
                        return ER_UNKNOWN;
                return truth_of(less ? equal && numbers[0] == 3 : equal || numbers[0] == 2);
        }
        if (numbers[0] < 3 || (numbers[0] == 3 && numbers[1] <= 9))
                return truth_of(greater);
        if (numbers[0] > 3)
                return truth_of(less);
        return ER_UNKNOWN;
}

static enum er_truth eval_atom(struct er_sv atom)
{
        static const struct {
                const char *question, *answer;
        } systems[] = {
                {"sys.platform", "linux"},
                {"os.name", "posix"},
                {"platform.system()", "Linux"},
                {"platform.system", "Linux"},
        };
        static const char *const never[] = {"TYPE_CHECKING", "False", "0", "PY2", "MYPY"};
        static const char *const always[] = {"True", "1", "PY3"};
        size_t dot = atom.len;
        struct er_sv last;

        for (size_t i = 0; i < ER_LEN(systems); i++) {
                enum er_truth truth = platform(atom, systems[i].question, systems[i].answer);

                if (truth != ER_UNKNOWN)
                        return truth;
        }
        if (has(atom, "version_info"))
                return version(atom);
        while (dot > 0 && atom.ptr[dot - 1] != '.')
                dot--;
        last = er_svn(atom.ptr + dot, atom.len - dot);
        for (size_t i = 0; i < ER_LEN(never); i++)
                if (er_sv_eq(last, er_sv(never[i])))
                        return ER_FALSE;
        for (size_t i = 0; i < ER_LEN(always); i++)
                if (er_sv_eq(last, er_sv(always[i])))
                        return ER_TRUE;
        return ER_UNKNOWN;
}

/* Where `word` is outside of brackets and quotes, or NULL. */
static const char *find_word(struct er_sv text, struct er_sv word)
{
        int depth = 0;
        char quote = '\0';

        for (size_t i = 0; i < text.len; i++) {
                char c = text.ptr[i];

                if (quote) {
                        if (c == quote)
                                quote = '\0';
                } else if (c == '"' || c == '\'')
                        quote = c;
                else if (c == '(' || c == '[' || c == '{')
                        depth++;
                else if (c == ')' || c == ']' || c == '}')
                        depth--;
                else if (depth == 0 && c == ' ' && er_sv_starts(er_svn(text.ptr + i, text.len - i), word))
                        return text.ptr + i;
        }
        return NULL;
}

/* True if the last byte closes the first bracket. */
static bool is_wrapped(struct er_sv text)
{
        int depth = 0;

        if (text.len < 2 || text.ptr[0] != '(' || text.ptr[text.len - 1] != ')')
                return false;
        for (size_t i = 0; i + 1 < text.len; i++) {
                depth += text.ptr[i] == '(' ? 1 : text.ptr[i] == ')' ? -1 : 0;
                if (depth == 0)
                        return false;
        }
        return true;
}

static enum er_truth eval_pair(struct er_sv text, const char *at, size_t word, enum er_truth decides, int depth)
{
        size_t left = (size_t)(at - text.ptr);
        enum er_truth a = eval(er_svn(text.ptr, left), depth);
        enum er_truth b = eval(er_svn(at + word, text.len - left - word), depth);

        if (a == decides || b == decides)
                return decides;
        return a == ER_UNKNOWN || b == ER_UNKNOWN ? ER_UNKNOWN : a;
}

static enum er_truth eval(struct er_sv text, int depth)
{
        const char *at;

        text = er_sv_trim(text);
        if (!text.ptr || depth > 8)
                return ER_UNKNOWN;
        while (is_wrapped(text))
                text = er_sv_trim(er_svn(text.ptr + 1, text.len - 2));
        if ((at = find_word(text, ER_SV(" or "))))
                return eval_pair(text, at, 4, ER_TRUE, depth + 1);
        if ((at = find_word(text, ER_SV(" and "))))
                return eval_pair(text, at, 5, ER_FALSE, depth + 1);
        if (er_sv_starts(text, ER_SV("not ")))
                return invert(eval(er_svn(text.ptr + 4, text.len - 4), depth + 1));
        if (er_sv_starts(text, ER_SV("not(")))
                return invert(eval(er_svn(text.ptr + 3, text.len - 3), depth + 1));
        return eval_atom(text);
}

enum er_truth er_import_condition(const char *text, size_t len)
{
        static const char *const marks[] = {"platform", "TYPE_CHECKING", "os.name", "version_info",
                                            "PY",       "False",         "True",    "MYPY"};
        char squeezed[MAX_CONDITION];
        size_t n = 0, mark = 0;

        while (mark < ER_LEN(marks) && !memmem(text, len, marks[mark], strlen(marks[mark])))
                mark++;
        if (mark == ER_LEN(marks) && len > 4) /* the shortest are "0" and "1" */
                return ER_UNKNOWN;
        for (size_t i = 0; i < len; i++) {
                char c = text[i];

                if (c == '#' && !memchr(text, '"', i) && !memchr(text, '\'', i)) {
                        const char *newline = memchr(text + i, '\n', len - i);

                        if (!newline)
                                break;
                        i = (size_t)(newline - text);
                        c = ' ';
                }
                if (c == '\\' || isspace((unsigned char)c))
                        c = ' ';
                if (c == ' ' && n > 0 && squeezed[n - 1] == ' ')
                        continue;
                if (n == sizeof squeezed)
                        return ER_UNKNOWN;
                squeezed[n++] = c;
        }
        return eval(er_svn(squeezed, n), 0);
}

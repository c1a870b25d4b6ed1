/* glob.c - see glob.h */
#include "base/glob.h"

#include <string.h>
#include "base/mem.h"

/* [abc], [a-z], [!a-z]; *p is after the '['. On return *p is after the ']'. No ']' : the '[' is itself. */
static bool match_set(const char **p, char c, bool *ret_matched)
{
        const char *s = *p;
        bool negated = *s == '!' || *s == '^', matched = false;
        unsigned char wanted = (unsigned char)c;

        if (negated)
                s++;
        for (bool first = true; *s && (*s != ']' || first); first = false) {
                unsigned char from, to;

                if (*s == '\\' && s[1])
                        s++;
                from = to = (unsigned char)*s++;
                if (*s == '-' && s[1] && s[1] != ']') {
                        s++;
                        if (*s == '\\' && s[1])
                                s++;
                        to = (unsigned char)*s++;
                }
                if (wanted >= from && wanted <= to)
                        matched = true;
        }
        if (*s != ']')
                return false;
        *p = s + 1;
        *ret_matched = matched != negated;
        return true;
}

/* With one point to go back to, so that no pattern takes more than length times length. */
bool er_glob_match(const char *pattern, const char *name)
{
        const char *p = pattern, *star = NULL, *retry = NULL;

        while (*name) {
                const char *after = p + 1;
                bool matched = false;

                if (*p == '*') {
                        star = p++;
                        retry = name;
                        continue;
                }
                if (*p == '?') {
                        matched = true;
                } else if (*p == '[' && match_set(&after, *name, &matched)) {
                        /* matched is set */
                } else {
                        const char *literal = p;

                        if (*literal == '\\' && literal[1])
                                literal++;
                        matched = *literal && *literal == *name;
                        after = literal + 1;
                }
                if (matched) {
                        p = after;
                        name++;
                } else if (star) {
                        p = star + 1;
                        name = ++retry;
                } else {
                        return false;
                }
        }
        while (*p == '*')
                p++;
        return *p == '\0';
}

bool er_glob_is_plain(const char *pattern)
{
        return !strpbrk(pattern, "*?[\\");
}

/* The parts of a pattern but those that mean nothing ("./out/" is "out"). False: it can match nothing below a
 * directory. */
static bool split(const char *pattern, struct er_strv *ret)
{
        struct er_sv rest = er_sv(pattern), part;

        if (pattern[0] == '/')
                return false;
        while (er_sv_cut(&rest, '/', &part)) {
                if (er_sv_eq(part, ER_SV("..")))
                        return false;
                if (part.len > 0 && !er_sv_eq(part, ER_SV(".")))
                        er_strv_addn(ret, part.ptr, part.len);
        }
        return true;
}

static bool is_deep(const struct er_strv *parts, size_t i)
{
        return er_streq(parts->items[i], "**");
}

/* Notes that `i` parts may be behind us: then those of a "**" after them may be too, unless it is the last. */
static void reach(const struct er_strv *parts, bool *states, size_t i)
{
        states[i] = true;
        while (i + 1 < parts->len && is_deep(parts, i))
                states[++i] = true;
}

/* One name further down. */
static void step(const struct er_strv *parts, const char *name, const bool *from, bool *to)
{
        for (size_t i = 0; i < parts->len; i++) {
                if (!from[i])
                        continue;
                if (is_deep(parts, i))
                        reach(parts, to, i + 1 < parts->len ? i : i + 1);
                else if (er_streq(parts->items[i], name) || er_glob_match(parts->items[i], name))
                        reach(parts, to, i + 1);
        }
}

bool er_glob_match_path(const char *pattern, const char *path)
{
        er_auto(er_strv) parts = ER_STRV_INIT;
        er_autofree bool *from = NULL;
        er_autofree bool *to = NULL;
        struct er_sv rest = er_sv(path), part;

        if (!split(pattern, &parts))
                return false;
        from = er_calloc(parts.len + 1, sizeof *from);
        to = er_calloc(parts.len + 1, sizeof *to);
        reach(&parts, from, 0);
        while (!from[parts.len] && er_sv_cut(&rest, '/', &part)) {
                er_autofree char *name = er_sv_dup(part);
                bool *swap = from;

                memset(to, 0, (parts.len + 1) * sizeof *to);
                step(&parts, name, from, to);
                from = to;
                to = swap;
        }
        return from[parts.len];
}

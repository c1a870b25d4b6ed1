/* str.c - see str.h */
#include "base/str.h"

/* What empty strings point to. Writable, so that buf[len] = 0 is always allowed. */
char er_str_empty[1] = "";

void er_str_init(struct er_str *s)
{
        *s = (struct er_str)ER_STR_INIT;
}

void er_str_release(struct er_str *s)
{
        if (s->cap > 0)
                free(s->buf);
        er_str_init(s);
}

/* All threads share what empty strings point to: never write to it. */
void er_str_reset(struct er_str *s)
{
        s->len = 0;
        if (s->cap > 0)
                s->buf[0] = '\0';
}

char *er_str_detach(struct er_str *s)
{
        char *buf = s->cap > 0 ? s->buf : er_strdup("");

        er_str_init(s);
        return buf;
}

void er_str_reserve(struct er_str *s, size_t extra)
{
        size_t need, want;

        if (extra > ER_STR_MAX || s->len + extra > ER_STR_MAX)
                abort(); /* a caller did not check a size from outside */
        need = s->len + extra + 1;
        if (need <= s->cap)
                return;
        want = s->cap + s->cap / 2 + 16;
        if (want < need)
                want = need;
        s->buf = er_realloc(s->cap > 0 ? s->buf : NULL, want);
        s->cap = want;
        s->buf[s->len] = '\0';
}

void er_str_add(struct er_str *s, const char *text)
{
        er_str_addn(s, text, strlen(text));
}

void er_str_addn(struct er_str *s, const void *data, size_t len)
{
        if (len == 0)
                return;
        er_str_reserve(s, len);
        memcpy(s->buf + s->len, data, len);
        s->len += len;
        s->buf[s->len] = '\0';
}

void er_str_addc(struct er_str *s, char c)
{
        er_str_reserve(s, 1);
        s->buf[s->len++] = c;
        s->buf[s->len] = '\0';
}

void er_str_addf(struct er_str *s, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        er_str_addv(s, fmt, args);
        va_end(args);
}

void er_str_addv(struct er_str *s, const char *fmt, va_list args)
{
        va_list again;
        size_t room;
        int len;

        er_str_reserve(s, 64);
        room = s->cap - s->len;
        va_copy(again, args);
        len = vsnprintf(s->buf + s->len, room, fmt, args);
        if (len < 0)
                abort(); /* a bad format: our bug */
        if ((size_t)len >= room) {
                er_str_reserve(s, (size_t)len);
                vsnprintf(s->buf + s->len, s->cap - s->len, fmt, again);
        }
        va_end(again);
        s->len += (size_t)len;
}

void er_str_cut(struct er_str *s, size_t len)
{
        if (len >= s->len)
                return;
        s->len = len;
        s->buf[len] = '\0';
}

void er_str_drop(struct er_str *s, size_t n)
{
        if (n >= s->len) {
                er_str_reset(s);
                return;
        }
        s->len -= n;
        memmove(s->buf, s->buf + n, s->len + 1);
}

static bool is_space(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

void er_str_rtrim(struct er_str *s)
{
        while (s->len > 0 && is_space(s->buf[s->len - 1]))
                s->len--;
        s->buf[s->len] = '\0';
}

char *er_fmt(const char *fmt, ...)
{
        struct er_str s = ER_STR_INIT;
        va_list args;

        va_start(args, fmt);
        er_str_addv(&s, fmt, args);
        va_end(args);
        return er_str_detach(&s);
}

/* Views */

bool er_sv_eq(struct er_sv a, struct er_sv b)
{
        return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool er_sv_starts(struct er_sv s, struct er_sv prefix)
{
        return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

struct er_sv er_sv_trim(struct er_sv s)
{
        while (s.len > 0 && is_space(s.ptr[0])) {
                s.ptr++;
                s.len--;
        }
        while (s.len > 0 && is_space(s.ptr[s.len - 1]))
                s.len--;
        return s;
}

bool er_sv_cut(struct er_sv *rest, char sep, struct er_sv *ret_part)
{
        const char *end;

        if (!rest->ptr)
                return false;
        end = rest->len > 0 ? memchr(rest->ptr, sep, rest->len) : NULL;
        if (!end) {
                *ret_part = *rest;
                *rest = (struct er_sv){NULL, 0};
                return true;
        }
        *ret_part = (struct er_sv){rest->ptr, (size_t)(end - rest->ptr)};
        rest->len -= ret_part->len + 1;
        rest->ptr = end + 1;
        return true;
}

char *er_sv_dup(struct er_sv s)
{
        return er_strndup(s.ptr, s.len);
}

bool er_streq(const char *a, const char *b)
{
        if (!a || !b)
                return a == b;
        return strcmp(a, b) == 0;
}

bool er_starts(const char *text, const char *prefix)
{
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool er_ends(const char *text, const char *suffix)
{
        size_t len = strlen(text), want = strlen(suffix);

        return len >= want && memcmp(text + len - want, suffix, want) == 0;
}

/* Vectors */

void er_strv_release(struct er_strv *v)
{
        for (size_t i = 0; i < v->len; i++)
                free(v->items[i]);
        free(v->items);
        *v = (struct er_strv)ER_STRV_INIT;
}

void er_strv_wipe(struct er_strv *v)
{
        for (size_t i = 0; i < v->len; i++)
                explicit_bzero(v->items[i], strlen(v->items[i]));
        er_strv_release(v);
}

void er_strv_take(struct er_strv *v, char *text)
{
        v->items = er_grow(v->items, &v->cap, v->len + 2, sizeof *v->items);
        v->items[v->len++] = text;
        v->items[v->len] = NULL;
}

void er_strv_add(struct er_strv *v, const char *text)
{
        er_strv_take(v, er_strdup(text));
}

void er_strv_addn(struct er_strv *v, const void *data, size_t len)
{
        er_strv_take(v, er_strndup(data, len));
}

void er_strv_addf(struct er_strv *v, const char *fmt, ...)
{
        struct er_str s = ER_STR_INIT;
        va_list args;

        va_start(args, fmt);
        er_str_addv(&s, fmt, args);
        va_end(args);
        er_strv_take(v, er_str_detach(&s));
}

void er_strv_addall(struct er_strv *v, char *const *items, size_t len)
{
        for (size_t i = 0; i < len; i++)
                er_strv_add(v, items[i]);
}

static int compare_texts(const void *a, const void *b)
{
        char *const *left = a, *const *right = b;

        return strcmp(*left, *right);
}

void er_strv_sort(struct er_strv *v)
{
        if (v->len > 1)
                qsort(v->items, v->len, sizeof *v->items, compare_texts);
}

bool er_strv_has(const struct er_strv *v, const char *text)
{
        for (size_t i = 0; i < v->len; i++)
                if (strcmp(v->items[i], text) == 0)
                        return true;
        return false;
}

const char *er_strv_value(const struct er_strv *v, const char *name)
{
        size_t len = strlen(name);

        for (size_t i = 0; i < v->len; i++)
                if (strncmp(v->items[i], name, len) == 0 && v->items[i][len] == '=')
                        return v->items[i] + len + 1;
        return NULL;
}

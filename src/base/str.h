/*
 * str.h - growing byte strings and views.
 *
 * Invariants of struct er_str: buf is never NULL and always ends in NUL (which len does not count);
 * it may also contain NULs. Growing past ER_STR_MAX aborts: sizes from outside are checked before.
 */
#ifndef ER_BASE_STR_H
#define ER_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include "base/mem.h"

struct er_str {
        char *buf; /* (owned) unless cap == 0 */
        size_t len;
        size_t cap;
};
extern char er_str_empty[1];
#define ER_STR_INIT {.buf = er_str_empty, .len = 0, .cap = 0}
#define ER_STR_MAX ((size_t)1 << 31)

/* Life cycle */
void er_str_init(struct er_str *s);
void er_str_release(struct er_str *s);
/* Empties it, keeps the memory. */
void er_str_reset(struct er_str *s);
/* Hands over the buffer, NUL-terminated (owned); s is empty afterwards. */
char *er_str_detach(struct er_str *s);

/* Appending */
void er_str_reserve(struct er_str *s, size_t extra);
void er_str_add(struct er_str *s, const char *text);
void er_str_addn(struct er_str *s, const void *data, size_t len);
void er_str_addc(struct er_str *s, char c);
void er_str_addf(struct er_str *s, const char *fmt, ...) ER_PRINTF(2, 3);
void er_str_addv(struct er_str *s, const char *fmt, va_list args) ER_PRINTF(2, 0);
/* Shortens it to len, if it is longer. */
void er_str_cut(struct er_str *s, size_t len);
/* Removes n bytes from the front. */
void er_str_drop(struct er_str *s, size_t n);
/* Removes white space at the end. */
void er_str_rtrim(struct er_str *s);

/* printf to a new string (owned). */
char *er_fmt(const char *fmt, ...) ER_PRINTF(1, 2);

/* A view of bytes that belong to somebody else. */
struct er_sv {
        const char *ptr;
        size_t len;
};
#define ER_SV(literal) ((struct er_sv){(literal), sizeof(literal) - 1})
static inline struct er_sv er_sv(const char *text)
{
        return (struct er_sv){text, text ? strlen(text) : 0};
}
static inline struct er_sv er_svn(const void *ptr, size_t len)
{
        return (struct er_sv){(const char *)ptr, len};
}
bool er_sv_eq(struct er_sv a, struct er_sv b);
bool er_sv_starts(struct er_sv s, struct er_sv prefix);
struct er_sv er_sv_trim(struct er_sv s);
/* Takes the part before the first sep off *rest. False if nothing is left (ptr is NULL). */
bool er_sv_cut(struct er_sv *rest, char sep, struct er_sv *ret_part);
char *er_sv_dup(struct er_sv s);

bool er_streq(const char *a, const char *b); /* NULL equals only NULL */
bool er_starts(const char *text, const char *prefix);
bool er_ends(const char *text, const char *suffix);

/* A vector of strings, always NULL-terminated: an argv. */
struct er_strv {
        char **items; /* (owned), items[len] == NULL; NULL while empty */
        size_t len;
        size_t cap;
};
#define ER_STRV_INIT {0}
void er_strv_release(struct er_strv *v);
void er_strv_wipe(struct er_strv *v); /* for secrets: overwrites them first */
void er_strv_add(struct er_strv *v, const char *text);
void er_strv_addn(struct er_strv *v, const void *data, size_t len);
void er_strv_addf(struct er_strv *v, const char *fmt, ...) ER_PRINTF(2, 3);
void er_strv_take(struct er_strv *v, char *text); /* (moved) */
void er_strv_addall(struct er_strv *v, char *const *items, size_t len);
void er_strv_sort(struct er_strv *v);
bool er_strv_has(const struct er_strv *v, const char *text);
const char *er_strv_value(const struct er_strv *v, const char *name); /* of the item "NAME=value" (borrowed), or NULL */

#endif

/*
 * parse.h - strict conversion of text to numbers: all of the text, no surprising signs, no overflow. ER_CONFIG quotes
 * the text.
 */
#ifndef ER_BASE_PARSE_H
#define ER_BASE_PARSE_H

#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

int er_parse_u64(const char *text, uint64_t max, uint64_t *ret, struct er_err *err);
int er_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret, struct er_err *err);
/* "16G", "16GiB", "16GB", "512M", "1.5T", "4096": binary units throughout, as torch and Slurm users expect. */
int er_parse_size(const char *text, uint64_t *ret_bytes, struct er_err *err);
void er_fmt_size(struct er_str *out, uint64_t bytes); /* "1.5 GB", "312 KB", "0 B" (binary units) */

/* Bytes as lower-case hexadecimal digits. ret has room for 2 * len of them and a NUL. */
void er_fmt_hex(const unsigned char *bytes, size_t len, char *ret);
/* The reverse. False unless text is exactly 2 * len such digits; ret is then undefined. */
bool er_parse_hex(struct er_sv text, unsigned char *ret, size_t len);

/* Quotes a word for a shell; the only place that does. sh, bash, zsh, dash and busybox read back the same bytes. */
void er_quote_sh(struct er_str *out, const char *word);
void er_quote_argv(struct er_str *out, char *const *argv, size_t len);
/* For showing a name to a person: control characters and invalid UTF-8 become \xNN. */
void er_quote_show(struct er_str *out, const char *text, size_t len);
/* The same for several lines: their newlines stay. */
void er_quote_lines(struct er_str *out, const char *text, size_t len);
/* For JSON: a copy in which each byte of invalid UTF-8 is U+FFFD. */
void er_utf8_lossy(struct er_str *out, const char *text, size_t len);

/* The candidates that are nearest to word (edit distance at most a third of its length), nearest first. At most max. */
size_t er_nearest(const char *word, const char *const *candidates, size_t count, const char **ret, size_t max);

#endif

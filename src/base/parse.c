/* parse.c - numbers, and names with typing errors. Quoting is in quote.c. See parse.h */
#include "base/parse.h"

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* False if text is not all digits, or on overflow. */
static bool read_digits(const char *text, uint64_t *ret)
{
        uint64_t value = 0;

        if (!*text)
                return false;
        for (; *text; text++) {
                if (!is_digit(*text) || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
                        return false;
        }
        *ret = value;
        return true;
}

static bool all_digits(const char *text)
{
        if (!*text)
                return false;
        for (; *text; text++)
                if (!is_digit(*text))
                        return false;
        return true;
}

int er_parse_u64(const char *text, uint64_t max, uint64_t *ret, struct er_err *err)
{
        uint64_t value;

        if (!all_digits(text))
                return er_err_set(err, ER_CONFIG, "\"%s\" is not a whole number", text);
        if (!read_digits(text, &value) || value > max)
                return er_err_set(err, ER_CONFIG, "%s is too large: at most %llu", text, (unsigned long long)max);
        *ret = value;
        return 0;
}

int er_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret, struct er_err *err)
{
        bool negative = text[0] == '-';
        uint64_t size = 0;
        int64_t value;

        if (!all_digits(text + negative))
                return er_err_set(err, ER_CONFIG, "\"%s\" is not a whole number", text);
        if (!read_digits(text + negative, &size) || size > (uint64_t)INT64_MAX + negative)
                goto outside;
        if (negative)
                value = size > (uint64_t)INT64_MAX ? INT64_MIN : -(int64_t)size;
        else
                value = (int64_t)size;
        if (value < min || value > max)
                goto outside;
        *ret = value;
        return 0;
outside:
        return er_err_set(err, ER_CONFIG, "%s is out of range: %lld to %lld", text, (long long)min, (long long)max);
}

/* The power of 1024 that a suffix stands for, or -1. */
static int size_power(const char *suffix)
{
        static const char letters[] = "KMGTPE";
        const char *letter;
        char first = suffix[0];

        if (first == '\0' || er_streq(suffix, "B") || er_streq(suffix, "b"))
                return 0;
        if (first >= 'a' && first <= 'z')
                first = (char)(first - 'a' + 'A');
        letter = strchr(letters, first);
        if (!letter)
                return -1;
        suffix++;
        if (*suffix && !er_streq(suffix, "B") && !er_streq(suffix, "b") && !er_streq(suffix, "i") &&
            !er_streq(suffix, "iB") && !er_streq(suffix, "ib"))
                return -1;
        return (int)(letter - letters) + 1;
}

int er_parse_size(const char *text, uint64_t *ret_bytes, struct er_err *err)
{
        uint64_t whole = 0, thousandths = 0, scale = 100, unit;
        const char *p = text;
        int power;

        if (!is_digit(*p))
                goto wrong;
        for (; is_digit(*p); p++)
                if (__builtin_mul_overflow(whole, (uint64_t)10, &whole) ||
                    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
                        goto wrong;
        if (*p == '.') {
                if (!is_digit(p[1]))
                        goto wrong;
                for (p++; is_digit(*p); p++, scale /= 10)
                        thousandths += scale * (uint64_t)(*p - '0');
        }
        if (*p == ' ')
                p++;
        power = size_power(p);
        if (power < 0 || (power == 0 && thousandths))
                goto wrong;
        unit = (uint64_t)1 << (10 * power);
        if (__builtin_mul_overflow(whole, unit, &whole) ||
            __builtin_add_overflow(whole, unit / 1000 * thousandths + unit % 1000 * thousandths / 1000, &whole) ||
            whole > INT64_MAX)
                goto wrong;
        *ret_bytes = whole;
        return 0;
wrong:
        er_err_set(err, ER_CONFIG, "\"%s\" is not a size", text);
        return er_err_hint(err, "write it like 512M, 16G or 1.5T");
}

void er_fmt_size(struct er_str *out, uint64_t bytes)
{
        static const char *const names[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
        size_t power = 0;
        double value = (double)bytes;

        if (bytes < 1024) {
                er_str_addf(out, "%u B", (unsigned int)bytes);
                return;
        }
        /* 1023.95 would print as 1024.0 */
        while (value >= 1023.95 && power + 1 < ER_LEN(names)) {
                value /= 1024;
                power++;
        }
        er_str_addf(out, value < 99.95 ? "%.1f %s" : "%.0f %s", value, names[power]);
        if (value < 99.95) { /* "4.0 KB" reads better as "4 KB" */
                size_t dot = out->len - strlen(names[power]) - 3;

                if (out->buf[dot] == '.' && out->buf[dot + 1] == '0') {
                        memmove(out->buf + dot, out->buf + dot + 2, out->len - dot - 1);
                        out->len -= 2;
                }
        }
}

/* Names with typing errors */

#define NEAR_MAX 128 /* longer words are not compared */

static size_t min_of(size_t a, size_t b)
{
        return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
        size_t rows[3][NEAR_MAX + 1];
        size_t *before = rows[0], *last = rows[1], *row = rows[2];

        for (size_t j = 0; j <= b_len; j++)
                last[j] = j;
        for (size_t i = 1; i <= a_len; i++) {
                size_t *spare = before;

                row[0] = i;
                for (size_t j = 1; j <= b_len; j++) {
                        row[j] = min_of(min_of(last[j] + 1, row[j - 1] + 1), last[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                row[j] = min_of(row[j], before[j - 2] + 1);
                }
                before = last;
                last = row;
                row = spare;
        }
        return last[b_len];
}

size_t er_nearest(const char *word, const char *const *candidates, size_t count, const char **ret, size_t max)
{
        size_t word_len = strlen(word), found = 0;
        er_autofree size_t *distances = er_calloc(max, sizeof *distances);

        if (word_len > NEAR_MAX)
                return 0;
        for (size_t i = 0; i < count; i++) {
                size_t len = strlen(candidates[i]), longest = len > word_len ? len : word_len;
                size_t allowed = longest < 6 ? 1 : longest / 3;
                size_t distance, at;

                if (len > NEAR_MAX || len == 0)
                        continue;
                distance = edit_distance(word, word_len, candidates[i], len);
                if (distance > allowed)
                        continue;
                for (at = found; at > 0 && distances[at - 1] > distance; at--)
                        ;
                if (at >= max)
                        continue;
                if (found < max)
                        found++;
                memmove(&distances[at + 1], &distances[at], (found - at - 1) * sizeof *distances);
                memmove(&ret[at + 1], &ret[at], (found - at - 1) * sizeof *ret);
                distances[at] = distance;
                ret[at] = candidates[i];
        }
        return found;
}

static const char hex_digits[] = "0123456789abcdef";

void er_fmt_hex(const unsigned char *bytes, size_t len, char *ret)
{
        for (size_t i = 0; i < len; i++) {
                *ret++ = hex_digits[bytes[i] >> 4];
                *ret++ = hex_digits[bytes[i] & 15];
        }
        *ret = '\0';
}

bool er_parse_hex(struct er_sv text, unsigned char *ret, size_t len)
{
        if (text.len != 2 * len)
                return false;
        for (size_t i = 0; i < text.len; i++) {
                const char *digit = memchr(hex_digits, text.ptr[i], sizeof hex_digits - 1);

                if (!digit)
                        return false;
                ret[i / 2] = (unsigned char)(ret[i / 2] << 4 | (unsigned char)(digit - hex_digits));
        }
        return true;
}

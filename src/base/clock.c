/* clock.c - see clock.h */
#include "base/clock.h"

#include <limits.h>
#include <time.h>

#define SECOND_MS ((int64_t)1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
/* More than a hundred years must be a typing error. */
#define DURATION_MAX_MS (36525 * DAY_MS)

static int64_t read_clock_us(clockid_t id)
{
        struct timespec ts;

        clock_gettime(id, &ts);
        return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t er_now_ms(void)
{
        return read_clock_us(CLOCK_REALTIME) / 1000;
}

int64_t er_mono_ms(void)
{
        return read_clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t er_mono_us(void)
{
        return read_clock_us(CLOCK_MONOTONIC);
}

er_deadline er_deadline_in(int64_t ms)
{
        int64_t now = er_mono_ms();

        return ms > ER_NEVER - now ? ER_NEVER : now + ms;
}

int er_deadline_poll_ms(er_deadline deadline)
{
        int64_t left;

        if (deadline == ER_NEVER)
                return -1;
        left = deadline - er_mono_ms();
        if (left <= 0)
                return 0;
        return left > INT_MAX ? INT_MAX : (int)left;
}

static const struct unit {
        const char *name;
        int64_t ms;
} units[] = {
        {"ms", 1}, {"s", SECOND_MS}, {"m", MINUTE_MS}, {"h", HOUR_MS}, {"d", DAY_MS}, {"w", 7 * DAY_MS},
};

/* The unit that text begins with, or NULL. */
static const struct unit *find_unit(const char *text)
{
        for (size_t i = 0; i < ER_LEN(units); i++) {
                size_t len = strlen(units[i].name);

                if (er_starts(text, units[i].name) && (text[len] == '\0' || (text[len] >= '0' && text[len] <= '9')))
                        return &units[i];
        }
        return NULL;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

int er_parse_duration(const char *text, int64_t *ret_ms, struct er_err *err)
{
        const char *p = text;
        int64_t total = 0;

        do {
                int64_t whole = 0, milli = 0, scale = 100;
                const struct unit *unit;
                size_t digits = 0;

                for (; is_digit(*p); p++, digits++) {
                        whole = whole * 10 + (*p - '0');
                        if (whole > DURATION_MAX_MS)
                                goto wrong;
                }
                if (*p == '.' && digits > 0 && is_digit(p[1])) {
                        for (p++; is_digit(*p); p++, scale /= 10)
                                milli += scale * (*p - '0');
                }
                if (digits == 0)
                        goto wrong;
                unit = find_unit(p);
                if (unit)
                        p += strlen(unit->name);
                else if (*p == '\0' && total == 0)
                        unit = &units[1]; /* a bare number */
                else
                        goto wrong;
                if (whole > DURATION_MAX_MS / unit->ms)
                        goto wrong;
                total += whole * unit->ms + milli * unit->ms / 1000;
                if (total > DURATION_MAX_MS)
                        goto wrong;
        } while (*p);
        *ret_ms = total;
        return 0;
wrong:
        er_err_set(err, ER_CONFIG, "\"%s\" is not a duration", text);
        return er_err_hint(err, "write it like 90s, 30m, 1h30m or 2d");
}

/* Reads exactly `count` digits at *p and moves *p past them. */
static bool take_number(const char **p, int count, int *ret)
{
        int value = 0;

        for (int i = 0; i < count; i++, (*p)++) {
                if (!is_digit(**p))
                        return false;
                value = value * 10 + (**p - '0');
        }
        *ret = value;
        return true;
}

/* "10:30", "10:30:15", "10:30:15.250" */
static bool take_time(const char **p, struct tm *tm, int *ret_ms)
{
        int scale = 100;

        *ret_ms = 0;
        tm->tm_sec = 0;
        if (!take_number(p, 2, &tm->tm_hour) || *(*p)++ != ':' || !take_number(p, 2, &tm->tm_min))
                return false;
        if (**p == ':') {
                (*p)++;
                if (!take_number(p, 2, &tm->tm_sec))
                        return false;
                if (**p == '.') {
                        for ((*p)++; is_digit(**p); (*p)++, scale /= 10)
                                *ret_ms += scale * (**p - '0');
                }
        }
        return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

/* "Z", "+02:00", "+0200", or nothing: local time. */
static bool take_zone(const char **p, bool *ret_local, int64_t *ret_offset_ms)
{
        int hours, minutes, sign = **p == '-' ? -1 : 1;

        *ret_local = false;
        *ret_offset_ms = 0;
        if (**p == 'Z') {
                (*p)++;
                return true;
        }
        if (**p != '+' && **p != '-') {
                *ret_local = true;
                return true;
        }
        (*p)++;
        if (!take_number(p, 2, &hours))
                return false;
        if (**p == ':')
                (*p)++;
        if (!take_number(p, 2, &minutes) || hours > 14 || minutes > 59)
                return false;
        *ret_offset_ms = sign * (hours * HOUR_MS + minutes * MINUTE_MS);
        return true;
}

static bool parse_date_time(const char *text, int64_t *ret_ms)
{
        struct tm tm = {.tm_isdst = -1}, copy;
        const char *p = text;
        int64_t offset_ms = 0;
        bool local = true;
        int ms = 0;
        time_t when;

        if (!take_number(&p, 4, &tm.tm_year) || *p++ != '-' || !take_number(&p, 2, &tm.tm_mon) || *p++ != '-' ||
            !take_number(&p, 2, &tm.tm_mday))
                return false;
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        if (*p == 'T' || *p == ' ') {
                p++;
                if (!take_time(&p, &tm, &ms) || !take_zone(&p, &local, &offset_ms))
                        return false;
        }
        if (*p)
                return false;
        copy = tm;
        when = local ? mktime(&copy) : timegm(&copy);
        /* mktime() turns February 31 into March 3. */
        if (copy.tm_mday != tm.tm_mday || copy.tm_mon != tm.tm_mon)
                return false;
        *ret_ms = (int64_t)when * 1000 + ms - offset_ms;
        return true;
}

static bool parse_today(const char *text, int64_t now_ms, int64_t *ret_ms)
{
        time_t now = (time_t)(now_ms / 1000);
        const char *p = text;
        struct tm tm;
        int ms;

        if (!localtime_r(&now, &tm))
                return false;
        if (!take_time(&p, &tm, &ms) || *p)
                return false;
        tm.tm_isdst = -1;
        *ret_ms = (int64_t)mktime(&tm) * 1000 + ms;
        return true;
}

int er_parse_since(const char *text, int64_t now_ms, int64_t *ret_ms, struct er_err *err)
{
        int64_t ago_ms = 0;

        if (parse_date_time(text, ret_ms) || parse_today(text, now_ms, ret_ms))
                return 0;
        if (er_parse_duration(text, &ago_ms, NULL) == 0) {
                *ret_ms = now_ms - ago_ms;
                return 0;
        }
        er_err_set(err, ER_CONFIG, "\"%s\" is not a time", text);
        return er_err_hint(err, "write it like 10m (ago), 10:30, \"2026-11-21 10:30\" or 2026-11-21T10:30:00Z");
}

void er_fmt_duration(struct er_str *out, int64_t ms)
{
        if (ms < 0) {
                er_str_addc(out, '-');
                ms = ms == INT64_MIN ? INT64_MAX : -ms;
        }
        if (ms < SECOND_MS)
                er_str_addf(out, "%dms", (int)ms);
        else if (ms < MINUTE_MS)
                er_str_addf(out, "%d.%ds", (int)(ms / 1000), (int)(ms % 1000 / 100));
        else if (ms < HOUR_MS)
                er_str_addf(out, "%dm %02ds", (int)(ms / MINUTE_MS), (int)(ms % MINUTE_MS / 1000));
        else if (ms < DAY_MS)
                er_str_addf(out, "%dh %02dm", (int)(ms / HOUR_MS), (int)(ms % HOUR_MS / MINUTE_MS));
        else
                er_str_addf(out, "%lldd %02dh", (long long)(ms / DAY_MS), (int)(ms % DAY_MS / HOUR_MS));
}

void er_fmt_age(struct er_str *out, int64_t ms)
{
        if (ms < 5 * SECOND_MS) /* or the other clock is ahead of ours */
                er_str_add(out, "just now");
        else if (ms < MINUTE_MS)
                er_str_addf(out, "%d s ago", (int)(ms / 1000));
        else if (ms < HOUR_MS)
                er_str_addf(out, "%d min ago", (int)(ms / MINUTE_MS));
        else if (ms < DAY_MS)
                er_str_addf(out, "%d h ago", (int)(ms / HOUR_MS));
        else
                er_str_addf(out, "%lld day%s ago", (long long)(ms / DAY_MS), ms < 2 * DAY_MS ? "" : "s");
}

/* Whole seconds, rounded down even before 1970, and the milliseconds that remain. */
static time_t split_ms(int64_t ms, int *ret_rest)
{
        int64_t rest = ms % 1000;

        if (rest < 0)
                rest += 1000;
        *ret_rest = (int)rest;
        return (time_t)((ms - rest) / 1000);
}

void er_fmt_time(struct er_str *out, int64_t ms)
{
        struct tm tm;
        char text[64];
        int rest;
        time_t when = split_ms(ms, &rest);

        if (localtime_r(&when, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) > 0)
                er_str_add(out, text);
        else
                er_str_add(out, "?");
}

void er_fmt_iso(struct er_str *out, int64_t ms)
{
        struct tm tm;
        char text[64];
        int rest;
        time_t when = split_ms(ms, &rest);

        if (gmtime_r(&when, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) > 0)
                er_str_addf(out, "%s.%03dZ", text, rest);
        else
                er_str_add(out, "1970-01-01T00:00:00.000Z");
}

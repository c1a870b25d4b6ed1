/*
 * clock.h - time. Stored and sent times are milliseconds since the Unix epoch, UTC, in int64_t.
 */
#ifndef ER_BASE_CLOCK_H
#define ER_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

int64_t er_now_ms(void);  /* wall clock */
int64_t er_mono_ms(void); /* monotonic */
int64_t er_mono_us(void);

/* A point in monotonic time. ER_NEVER is later than any. */
typedef int64_t er_deadline;
#define ER_NEVER INT64_MAX
er_deadline er_deadline_in(int64_t ms);
int er_deadline_poll_ms(er_deadline deadline); /* for poll(): -1 for ER_NEVER, 0 when it has passed */

/* "90" (seconds), "90s", "1h30m", "2d". Else ER_CONFIG, quoting the text. */
int er_parse_duration(const char *text, int64_t *ret_ms, struct er_err *err);
/* "2026-11-21T10:00:00Z", "2026-11-21 10:00" (local), "10m" (ago), "10:30" (today). */
int er_parse_since(const char *text, int64_t now_ms, int64_t *ret_ms, struct er_err *err);
void er_fmt_duration(struct er_str *out, int64_t ms); /* "1h 02m", "3.2s", "45ms" */
void er_fmt_age(struct er_str *out, int64_t ms);      /* "3 min ago", "just now" */
void er_fmt_time(struct er_str *out, int64_t ms);     /* "2026-11-21 10:00:00" local */
void er_fmt_iso(struct er_str *out, int64_t ms);      /* "2026-11-21T10:00:00.000Z" */

#endif

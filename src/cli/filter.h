/*
 * filter.h - what is shown of a log: all of it unchanged, or only lines that match, the last lines, or the newest line
 * of each interval. Lines are put together from the pieces in which the log arrives, separately for each stream.
 */
#ifndef ER_CLI_FILTER_H
#define ER_CLI_FILTER_H

#include "base/err.h"
#include "base/str.h"

struct er_filter;

struct er_filter_opts {
        const char *grep; /* POSIX extended regular expression, or NULL */
        int64_t every_ms; /* -1: every line */
        int64_t tail; /* of what is added before er_filter_live, show only this many last lines that match; -1: all */
        /* Writes what is shown; stream is 1 or 2. Returns -1 with errno if writing failed. */
        int (*write)(void *arg, int stream, struct er_sv data);
        void *arg;
};
/* ER_USAGE if the expression is wrong. */
int er_filter_new(const struct er_filter_opts *opts, struct er_filter **ret, struct er_err *err);
void er_filter_free(struct er_filter *filter);
ER_DEFINE_AUTOPTR(er_filter)

/* Adds a piece of the log. time_ms: when it was written. Returns -1 with errno. Thread-safe. */
int er_filter_add(struct er_filter *filter, int stream, int64_t time_ms, struct er_sv data);
/* Says that the existing log has been added; what comes from here on is new. */
int er_filter_live(struct er_filter *filter);
/* With every_ms: shows the line that was held back, if it is time. Call it now and then. */
int er_filter_tick(struct er_filter *filter, int64_t now_ms);
/* Ends the log: shows unfinished lines and what was held back. */
int er_filter_end(struct er_filter *filter);

#endif

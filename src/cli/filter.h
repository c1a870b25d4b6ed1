/*
 * filter.h - what of a log is shown: all of it as it is, or those lines that match, the last ones, the newest at most
 * so often. Lines are put together across the pieces in which the log arrives, for each stream by itself.
 */
#ifndef ER_CLI_FILTER_H
#define ER_CLI_FILTER_H

#include "base/err.h"
#include "base/str.h"

struct er_filter;

struct er_filter_opts {
        const char *grep; /* POSIX extended expression, or NULL */
        int64_t every_ms; /* -1: every line */
        int64_t tail;     /* >= 0: of what comes before er_filter_live only the last so many matching lines; -1: all */
        /* Where it goes; stream 1 or 2. -1 with errno: writing failed. */
        int (*write)(void *arg, int stream, struct er_sv data);
        void *arg;
};
/* ER_USAGE for a wrong expression. */
int er_filter_new(const struct er_filter_opts *opts, struct er_filter **ret, struct er_err *err);
void er_filter_free(struct er_filter *filter);
ER_DEFINE_AUTOPTR(er_filter)

/* A piece of the log. time_ms: when it was written. -1 with errno. Thread-safe. */
int er_filter_add(struct er_filter *filter, int stream, int64_t time_ms, struct er_sv data);
/* What was in the log already has been added; what comes from here on comes as it is written. */
int er_filter_live(struct er_filter *filter);
/* With `every`: shows the line that has been held back when its time has come. Call now and then. */
int er_filter_tick(struct er_filter *filter, int64_t now_ms);
/* The end: half lines and what is held back. */
int er_filter_end(struct er_filter *filter);

#endif

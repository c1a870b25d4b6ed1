/* filter.c - see filter.h */
#include "cli/filter.h"

#include <errno.h>
#include <pthread.h>
#include <regex.h>

#define LINE_MAX_BYTES (1u << 20) /* a longer line is taken in pieces, as the log comes from outside */
#define RING_MAX (1 << 20)        /* lines; more are not remembered */
#define STREAMS 2

struct line {
        int stream;
        struct er_str text; /* with its newline, if it has one */
};

struct er_filter {
        struct er_filter_opts opts;
        pthread_mutex_t lock;
        bool by_line, has_regex, live;
        regex_t regex;
        struct er_str half[STREAMS]; /* unfinished lines */
        struct line *ring;           /* the last `tail` lines */
        size_t ring_len, ring_next;
        struct line held; /* the newest line, not shown yet */
        bool holding;
        int64_t shown_ms; /* when a line was last shown (by the log's clock) */
};

int er_filter_new(const struct er_filter_opts *opts, struct er_filter **ret, struct er_err *err)
{
        er_autoptr(er_filter) f = er_new(struct er_filter);

        f->opts = *opts;
        f->by_line = opts->grep || opts->every_ms >= 0 || opts->tail >= 0;
        f->shown_ms = INT64_MIN;
        pthread_mutex_init(&f->lock, NULL);
        er_str_init(&f->half[0]);
        er_str_init(&f->half[1]);
        er_str_init(&f->held.text);
        if (opts->grep) {
                int rc = regcomp(&f->regex, opts->grep, REG_EXTENDED | REG_NOSUB);

                if (rc != 0) {
                        char why[200];

                        regerror(rc, &f->regex, why, sizeof why);
                        er_err_set(err, ER_USAGE, "--grep %s: %s", opts->grep, why);
                        er_err_hint(err, "an extended regular expression, as for grep -E");
                        return -1;
                }
                f->has_regex = true;
        }
        if (opts->tail > RING_MAX)
                f->opts.tail = RING_MAX;
        if (opts->tail > 0)
                f->ring = er_calloc((size_t)f->opts.tail, sizeof *f->ring);
        *ret = er_take(f);
        return 0;
}

void er_filter_free(struct er_filter *f)
{
        if (!f)
                return;
        if (f->has_regex)
                regfree(&f->regex);
        for (size_t i = 0; i < f->ring_len; i++)
                er_str_release(&f->ring[i].text);
        free(f->ring);
        er_str_release(&f->held.text);
        er_str_release(&f->half[0]);
        er_str_release(&f->half[1]);
        pthread_mutex_destroy(&f->lock);
        free(f);
}

static int show(struct er_filter *f, int stream, struct er_sv text)
{
        return text.len > 0 ? f->opts.write(f->opts.arg, stream, text) : 0;
}

/* A NUL inside would hide the rest of the line from regexec(). */
static bool matches(struct er_filter *f, struct er_sv text)
{
        er_auto(er_str) line = ER_STR_INIT;

        if (!f->has_regex)
                return true;
        er_str_addn(&line, text.ptr, text.len);
        if (line.len > 0 && line.buf[line.len - 1] == '\n')
                er_str_cut(&line, line.len - 1);
        if (line.len > 0 && line.buf[line.len - 1] == '\r')
                er_str_cut(&line, line.len - 1);
        for (size_t i = 0; i < line.len; i++)
                if (line.buf[i] == '\0')
                        line.buf[i] = ' ';
        return regexec(&f->regex, line.buf, 0, NULL, 0) == 0;
}

static int show_held(struct er_filter *f, int64_t time_ms)
{
        if (!f->holding)
                return 0;
        f->holding = false;
        f->shown_ms = time_ms;
        return show(f, f->held.stream, er_svn(f->held.text.buf, f->held.text.len));
}

static int pass(struct er_filter *f, int stream, int64_t time_ms, struct er_sv text)
{
        if (f->opts.every_ms < 0)
                return show(f, stream, text);
        /* The line that was held back is the newest of its interval. Show it once a line comes that is later than that.
         */
        if (f->holding && f->shown_ms != INT64_MIN && time_ms - f->shown_ms >= f->opts.every_ms &&
            show_held(f, time_ms) < 0)
                return -1;
        f->held.stream = stream;
        er_str_reset(&f->held.text);
        er_str_addn(&f->held.text, text.ptr, text.len);
        f->holding = true;
        if (f->shown_ms == INT64_MIN)
                return show_held(f, time_ms);
        return 0;
}

static void remember(struct er_filter *f, int stream, struct er_sv text)
{
        struct line *line;

        if (f->opts.tail == 0)
                return;
        line = &f->ring[f->ring_next];
        if (f->ring_len < (size_t)f->opts.tail) {
                f->ring_len++;
                er_str_init(&line->text);
        }
        f->ring_next = (f->ring_next + 1) % (size_t)f->opts.tail;
        line->stream = stream;
        er_str_reset(&line->text);
        er_str_addn(&line->text, text.ptr, text.len);
}

static int take_line(struct er_filter *f, int stream, int64_t time_ms, struct er_sv text)
{
        if (!matches(f, text))
                return 0;
        if (f->opts.tail >= 0 && !f->live) {
                remember(f, stream, text);
                return 0;
        }
        return pass(f, stream, time_ms, text);
}

static int take_lines(struct er_filter *f, int stream, int64_t time_ms, struct er_sv data)
{
        struct er_str *half = &f->half[stream == 2];

        while (data.len > 0) {
                const char *end = memchr(data.ptr, '\n', data.len);
                size_t len = end ? (size_t)(end - data.ptr) + 1 : data.len;
                int rc = 0;

                if (len > LINE_MAX_BYTES - half->len) {
                        len = LINE_MAX_BYTES - half->len;
                        end = data.ptr + len - 1; /* as if it ended here */
                }
                if (end && half->len == 0)
                        rc = take_line(f, stream, time_ms, er_svn(data.ptr, len));
                else {
                        er_str_addn(half, data.ptr, len);
                        if (end) {
                                rc = take_line(f, stream, time_ms, er_svn(half->buf, half->len));
                                er_str_reset(half);
                        }
                }
                if (rc < 0)
                        return -1;
                data = er_svn(data.ptr + len, data.len - len);
        }
        return 0;
}

int er_filter_add(struct er_filter *f, int stream, int64_t time_ms, struct er_sv data)
{
        int rc;

        if (!f->by_line)
                return show(f, stream, data);
        pthread_mutex_lock(&f->lock);
        rc = take_lines(f, stream, time_ms, data);
        pthread_mutex_unlock(&f->lock);
        return rc;
}

static int show_ring(struct er_filter *f)
{
        size_t first = f->opts.tail > 0 && f->ring_len == (size_t)f->opts.tail ? f->ring_next : 0;

        for (size_t i = 0; i < f->ring_len; i++) {
                struct line *line = &f->ring[(first + i) % f->ring_len];

                if (show(f, line->stream, er_svn(line->text.buf, line->text.len)) < 0)
                        return -1;
                er_str_release(&line->text);
                er_str_init(&line->text);
        }
        return 0;
}

int er_filter_live(struct er_filter *f)
{
        int rc = 0;

        pthread_mutex_lock(&f->lock);
        if (!f->live) {
                f->live = true;
                rc = show_ring(f);
        }
        pthread_mutex_unlock(&f->lock);
        return rc;
}

int er_filter_tick(struct er_filter *f, int64_t now_ms)
{
        int rc = 0;

        pthread_mutex_lock(&f->lock);
        if (f->holding && now_ms - f->shown_ms >= f->opts.every_ms)
                rc = show_held(f, now_ms);
        pthread_mutex_unlock(&f->lock);
        return rc;
}

int er_filter_end(struct er_filter *f)
{
        int rc = 0;

        pthread_mutex_lock(&f->lock);
        for (int i = 0; i < STREAMS && rc == 0; i++)
                if (f->half[i].len > 0) {
                        rc = take_line(f, i + 1, INT64_MAX / 2, er_svn(f->half[i].buf, f->half[i].len));
                        er_str_reset(&f->half[i]);
                }
        if (rc == 0 && !f->live)
                rc = show_ring(f);
        if (rc == 0)
                rc = show_held(f, INT64_MAX / 2);
        pthread_mutex_unlock(&f->lock);
        return rc;
}

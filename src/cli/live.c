/* live.c - see live.h */
#include "cli/live.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/term.h"

#define FIRST_DRAW_MS 250 /* what ends sooner needs no status line */
#define STILL_MS 1000
#define TICK_MS 100
#define SHOW_TIME_MS 2000

struct er_live {
        pthread_mutex_t lock;
        pthread_cond_t wake;
        pthread_t ticker;
        bool ticking, stop;
        bool quiet;
        bool drawable;         /* stderr is a terminal that understands escapes */
        bool on_terminal[3];   /* by descriptor */
        bool drawn, half_line; /* the status line is there; the terminal's last line has no end yet */
        struct er_str text;    /* empty: no status */
        bool still;            /* text is printed once, not drawn */
        int64_t since_ms;      /* when text was first set */
        uint64_t rate_bytes;   /* of the transfer being shown: how far it was and when */
        int64_t rate_since_ms;
        er_deadline said_text_at;
};

static void put(const char *text, size_t len)
{
        if (er_write_full(STDERR_FILENO, text, len) < 0)
                return; /* nobody to tell */
}

static void erase(struct er_live *live)
{
        if (live->drawn)
                put("\r\033[K", 4);
        live->drawn = false;
}

static void draw(struct er_live *live)
{
        er_auto(er_str) line = ER_STR_INIT;
        int64_t now = er_mono_ms(), age = now - live->since_ms;
        size_t width = (size_t)er_term_width(STDERR_FILENO), columns = 0, pos = 0;

        if (!live->drawable || live->quiet || live->half_line || live->text.len == 0)
                return;
        if (live->still) {
                if (age < STILL_MS)
                        return;
                erase(live);
                er_str_addf(&line, "errand: %s ...\n", live->text.buf);
                put(line.buf, line.len);
                er_str_reset(&live->text);
                return;
        }
        if (age < FIRST_DRAW_MS)
                return;
        er_str_addf(&line, "\rerrand: %s", live->text.buf);
        if (age >= SHOW_TIME_MS) {
                er_str_add(&line, " (");
                if (age < 60000)
                        er_str_addf(&line, "%ds", (int)(age / 1000));
                else
                        er_fmt_duration(&line, age / 1000 * 1000);
                er_str_addc(&line, ')');
        }
        /* A line that wraps could not be erased. */
        columns = er_term_columns(line.buf + 1, line.len - 1);
        for (pos = line.len; columns + 1 > width && pos > 1; columns = er_term_columns(line.buf + 1, pos - 1))
                do
                        pos--;
                while (pos > 1 && ((unsigned char)line.buf[pos] & 0xc0u) == 0x80u);
        er_str_cut(&line, pos);
        er_str_add(&line, "\033[K");
        put(line.buf, line.len);
        live->drawn = true;
}

static void *tick(void *arg)
{
        struct er_live *live = arg;

        pthread_mutex_lock(&live->lock);
        while (!live->stop) {
                struct timespec until;

                draw(live);
                if (live->text.len == 0) {
                        pthread_cond_wait(&live->wake, &live->lock);
                        continue;
                }
                clock_gettime(CLOCK_REALTIME, &until);
                until.tv_nsec += TICK_MS * 1000000L;
                if (until.tv_nsec >= 1000000000L) {
                        until.tv_nsec -= 1000000000L;
                        until.tv_sec++;
                }
                pthread_cond_timedwait(&live->wake, &live->lock, &until);
        }
        pthread_mutex_unlock(&live->lock);
        return NULL;
}

struct er_live *er_live_new(bool quiet)
{
        struct er_live *live = er_new(struct er_live);
        const char *term = getenv("TERM");

        pthread_mutex_init(&live->lock, NULL);
        pthread_cond_init(&live->wake, NULL);
        er_str_init(&live->text);
        live->quiet = quiet;
        live->on_terminal[STDOUT_FILENO] = er_term_is(STDOUT_FILENO);
        live->on_terminal[STDERR_FILENO] = er_term_is(STDERR_FILENO);
        live->drawable = live->on_terminal[STDERR_FILENO] && term && !er_streq(term, "dumb");
        return live;
}

void er_live_free(struct er_live *live)
{
        if (!live)
                return;
        pthread_mutex_lock(&live->lock);
        erase(live);
        er_str_reset(&live->text);
        live->stop = true;
        pthread_cond_signal(&live->wake);
        pthread_mutex_unlock(&live->lock);
        if (live->ticking)
                pthread_join(live->ticker, NULL);
        pthread_cond_destroy(&live->wake);
        pthread_mutex_destroy(&live->lock);
        er_str_release(&live->text);
        free(live);
}

int er_live_write(struct er_live *live, int fd, struct er_sv data)
{
        int rc, why;

        if (data.len == 0)
                return 0;
        pthread_mutex_lock(&live->lock);
        if (live->on_terminal[fd]) {
                erase(live);
                live->half_line = data.ptr[data.len - 1] != '\n';
        }
        rc = er_write_full(fd, data.ptr, data.len);
        why = errno;
        pthread_mutex_unlock(&live->lock);
        errno = why;
        return rc;
}

static void set_text(struct er_live *live, bool still, const char *fmt, va_list args) ER_PRINTF(3, 0);
static void set_text(struct er_live *live, bool still, const char *fmt, va_list args)
{
        er_auto(er_str) raw = ER_STR_INIT;

        if (!live->drawable || live->quiet)
                return;
        er_str_addv(&raw, fmt, args);
        pthread_mutex_lock(&live->lock);
        if (live->text.len == 0 || still || live->still)
                live->since_ms = er_mono_ms();
        live->still = still;
        er_str_reset(&live->text);
        er_quote_show(&live->text, raw.buf, raw.len);
        if (!live->ticking)
                live->ticking = pthread_create(&live->ticker, NULL, tick, live) == 0;
        pthread_cond_signal(&live->wake);
        pthread_mutex_unlock(&live->lock);
}

void er_live_set(struct er_live *live, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        set_text(live, false, fmt, args);
        va_end(args);
}

void er_live_still(struct er_live *live, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        set_text(live, true, fmt, args);
        va_end(args);
}

void er_live_note(struct er_live *live, const char *text)
{
        if (er_ends(text, " to answer ..."))
                er_live_say(live, "%s", text); /* also where no status line is seen */
        else if (strstr(text, "connecting") || strstr(text, "waiting for ssh"))
                er_live_still(live, "%s", text);
        else
                er_live_set(live, "%s", text);
}

void er_live_transfer(struct er_live *live, const char *what, const struct er_transfer *transfer)
{
        er_auto(er_str) text = ER_STR_INIT;
        int64_t now = er_mono_ms();

        if (!live->drawable || live->quiet || now < live->said_text_at)
                return;
        live->said_text_at = now + TICK_MS / 2; /* progress is reported for each block; a terminal needs less */
        if (transfer->bytes < live->rate_bytes || live->rate_since_ms == 0) {
                live->rate_bytes = transfer->bytes;
                live->rate_since_ms = now;
        }
        er_str_addf(&text, "%s: ", what);
        er_fmt_size(&text, transfer->bytes);
        if (transfer->total_bytes > 0) {
                er_str_add(&text, " of ");
                er_fmt_size(&text, transfer->total_bytes);
        }
        if (transfer->total_files > 1)
                er_str_addf(&text, ", %llu of %llu files", (unsigned long long)transfer->files,
                            (unsigned long long)transfer->total_files);
        if (now - live->rate_since_ms >= 1000) {
                er_str_add(&text, ", ");
                er_fmt_size(&text,
                            (transfer->bytes - live->rate_bytes) * 1000u / (uint64_t)(now - live->rate_since_ms));
                er_str_add(&text, "/s");
        }
        er_live_set(live, "%s", text.buf);
}

void er_live_clear(struct er_live *live)
{
        pthread_mutex_lock(&live->lock);
        erase(live);
        er_str_reset(&live->text);
        live->rate_since_ms = 0;
        pthread_mutex_unlock(&live->lock);
}

void er_live_echoed(struct er_live *live)
{
        pthread_mutex_lock(&live->lock);
        live->half_line = live->on_terminal[STDERR_FILENO];
        pthread_mutex_unlock(&live->lock);
}

static void say(struct er_live *live, const char *before, const char *fmt, va_list args) ER_PRINTF(3, 0);
static void say(struct er_live *live, const char *before, const char *fmt, va_list args)
{
        er_auto(er_str) raw = ER_STR_INIT;
        er_auto(er_str) line = ER_STR_INIT;

        if (live->quiet)
                return;
        er_str_addv(&raw, fmt, args);
        pthread_mutex_lock(&live->lock);
        erase(live);
        if (live->half_line && live->on_terminal[STDERR_FILENO])
                er_str_addc(&line, '\n');
        live->half_line = live->half_line && !live->on_terminal[STDERR_FILENO];
        er_str_add(&line, before);
        er_quote_show(&line, raw.buf, raw.len);
        er_str_addc(&line, '\n');
        put(line.buf, line.len);
        pthread_mutex_unlock(&live->lock);
}

void er_live_say(struct er_live *live, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        say(live, "errand: ", fmt, args);
        va_end(args);
}

void er_live_more(struct er_live *live, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        say(live, "        ", fmt, args);
        va_end(args);
}

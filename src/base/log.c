/* log.c - see log.h */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool any;           /* something is on */
static bool everything;    /* "debug" or "all" */
static const char *wanted; /* else the list, as the environment had it when we started */
static int log_fd = 2;

static void read_environment(void)
{
        const char *file = getenv("ERRAND_LOG_FILE");

        wanted = getenv("ERRAND_LOG");
        if (!wanted || !wanted[0] || er_streq(wanted, "0") || er_streq(wanted, "off"))
                return;
        wanted = er_strdup(wanted); /* kept for good: the environment may change */
        everything = er_streq(wanted, "debug") || er_streq(wanted, "all") || er_streq(wanted, "1");
        if (file && file[0]) {
                int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

                if (fd >= 0)
                        log_fd = fd;
        }
        any = true;
}

bool er_log_on(const char *component)
{
        struct er_sv rest, part;

        pthread_once(&once, read_environment);
        if (!any)
                return false;
        if (everything)
                return true;
        rest = er_sv(wanted);
        while (er_sv_cut(&rest, ',', &part))
                if (er_sv_eq(er_sv_trim(part), er_sv(component)))
                        return true;
        return false;
}

void er_log_write(const char *component, const char *fmt, ...)
{
        er_auto(er_str) line = ER_STR_INIT;
        int64_t now_us = er_mono_us();
        va_list args;

        er_str_addf(&line, "%6lld.%06d %d %s: ", (long long)(now_us / 1000000), (int)(now_us % 1000000), (int)getpid(),
                    component);
        va_start(args, fmt);
        er_str_addv(&line, fmt, args);
        va_end(args);
        er_str_addc(&line, '\n');
        er_write_full(log_fd, line.buf, line.len); /* in one write, so that lines of several processes do not mix */
}

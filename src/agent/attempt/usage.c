/* usage.c - see usage.h */
#include "agent/attempt/usage.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "agent/ptree.h"
#include "base/io.h"

#define FIRST_MS 200
#define EVERY_MS 2000

static uint64_t oom_kills(void)
{
        char text[16384];
        const char *line;
        uint64_t count = 0;

        if (er_read_small(AT_FDCWD, "/proc/vmstat", text, sizeof text) < 0)
                return 0;
        line = strstr(text, "\noom_kill ");
        for (line = line ? line + 10 : ""; *line >= '0' && *line <= '9'; line++)
                count = count * 10 + (uint64_t)(*line - '0');
        return count;
}

static uint64_t waited_cpu_ms(void)
{
        struct rusage r;

        if (getrusage(RUSAGE_CHILDREN, &r) < 0)
                return 0;
        return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 +
               (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000;
}

void er_usage_begin(struct er_usage *usage, uint64_t gpu_mask)
{
        usage->due = er_deadline_in(FIRST_MS);
        usage->cpu_ms_before = waited_cpu_ms();
        usage->oom_before = oom_kills();
        er_gpu_meter_begin(&usage->gpus, gpu_mask);
}

bool er_usage_oom(const struct er_usage *usage)
{
        return oom_kills() > usage->oom_before;
}

void er_usage_reaped(struct er_usage *usage, pid_t pid, const struct rusage *use)
{
        uint64_t rss = (uint64_t)use->ru_maxrss * 1024;

        if (pid == usage->gpus.pid)
                er_gpu_meter_reaped(&usage->gpus, pid, use);
        else if (rss > usage->max_rss)
                usage->max_rss = rss;
}

void er_usage_end(struct er_usage *usage)
{
        usage->due = ER_NEVER;
        er_gpu_meter_end(&usage->gpus);
}

void er_usage_fill(const struct er_usage *usage, struct er_status *status)
{
        uint64_t cpu_ms = waited_cpu_ms(), others = usage->cpu_ms_before + usage->gpus.own_cpu_us / 1000;

        status->cpu_ms = cpu_ms > others ? cpu_ms - others : 0;
        status->max_rss = usage->max_rss;
        er_gpu_meter_fill(&usage->gpus, status);
}

static void write_usage(const struct er_usage *usage, const struct er_adir *dir, const struct er_ptree_use *use)
{
        er_autoclose int fd = openat(dir->fd, "usage", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        er_auto(er_str) text = ER_STR_INIT;
        struct er_status status = ER_STATUS_INIT;

        er_usage_fill(usage, &status);
        status.cpu_ms += use->cpu_ms;
        status.rss = use->rss;
        status.time_ms = status.used_ms = er_now_ms();
        er_status_encode(&status, &text);
        if (fd >= 0 && er_pwrite_full(fd, text.buf, text.len, 0) < 0) {
                /* the disk may be full: the next sample tries again */
        }
}

er_deadline er_usage_due(const struct er_usage *usage)
{
        er_deadline gpus = er_gpu_meter_due(&usage->gpus);

        return usage->due < gpus ? usage->due : gpus;
}

void er_usage_tick(struct er_usage *usage, const struct er_adir *dir)
{
        if (er_deadline_poll_ms(usage->due) == 0) {
                struct er_ptree_use use;

                er_ptree_measure(getpid(), usage->gpus.pid, &use);
                if (use.rss > usage->max_rss)
                        usage->max_rss = use.rss;
                write_usage(usage, dir, &use);
                usage->due = er_deadline_in(EVERY_MS);
        }
        er_gpu_meter_tick(&usage->gpus);
}

/* gpu_meter.c - see gpu_meter.h */
#include "agent/attempt/gpu_meter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/io.h"

extern char **environ;

#define FIRST_MS 500 /* most jobs that are shorter use no GPU yet */
#define QUICK_MS 1000
#define SLOW_MS 5000
#define SLOW_FROM_MS 60000
#define AMD_MS 15000
#define PATIENCE_MS 10000 /* beyond the time when the next line should come */
#define AGAIN_MS 5000     /* after a death */
#define DEATHS_MAX 5
#define END_PATIENCE_MS 1000
#define TEXT_MAX (64u * 1024)

void er_gpu_meter_begin(struct er_gpu_meter *meter, uint64_t mask)
{
        meter->mask = mask;
        if (!mask)
                return;
        meter->due = er_deadline_in(FIRST_MS);
        meter->slow_due = er_deadline_in(SLOW_FROM_MS);
}

er_deadline er_gpu_meter_due(const struct er_gpu_meter *meter)
{
        return meter->pid > 0 && meter->slow_due < meter->due ? meter->slow_due : meter->due;
}

static int64_t period_ms(const struct er_gpu_meter *meter)
{
        return meter->amd ? AMD_MS : meter->slow ? SLOW_MS : QUICK_MS;
}

static void start(struct er_gpu_meter *meter)
{
        char *argv[ER_GPU_ARGV] = {NULL};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        sigset_t none;
        int fds[2];

        meter->due = ER_NEVER;
        if (!er_gpu_command(meter->slow ? SLOW_MS : QUICK_MS, argv, &meter->amd))
                return;
        if (er_pipe(fds) == 0) {
                er_set_nonblock(fds[0], true);
                sigemptyset(&none);
                posix_spawnattr_init(&attr);
                posix_spawnattr_setsigmask(&attr, &none);
                posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
                posix_spawn_file_actions_init(&actions);
                posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
                posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
                posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
                if (posix_spawn(&meter->pid, argv[0], &actions, &attr, argv, environ) == 0) {
                        meter->fd = fds[0];
                        meter->due = er_deadline_in(PATIENCE_MS);
                } else {
                        meter->pid = 0;
                        close(fds[0]);
                }
                posix_spawn_file_actions_destroy(&actions);
                posix_spawnattr_destroy(&attr);
                close(fds[1]);
        }
        free(argv[0]);
}

static void add_use(struct er_gpu_meter *meter, const struct rusage *use)
{
        meter->own_cpu_us += (uint64_t)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1000000u +
                             (uint64_t)(use->ru_utime.tv_usec + use->ru_stime.tv_usec);
}

void er_gpu_meter_reaped(struct er_gpu_meter *meter, pid_t pid, const struct rusage *use)
{
        if (pid != meter->pid || pid == 0)
                return;
        meter->pid = 0;
        add_use(meter, use);
}

/* The tool and what it started. One that is stuck in the kernel is left to whoever reaps the rest. */
void er_gpu_meter_end(struct er_gpu_meter *meter)
{
        er_deadline deadline = er_deadline_in(END_PATIENCE_MS);
        struct rusage use;
        pid_t pid = 0;

        if (meter->pid > 0)
                kill(-meter->pid, SIGKILL);
        while (meter->pid > 0 && (pid = wait4(meter->pid, NULL, WNOHANG, &use)) == 0 &&
               er_deadline_poll_ms(deadline) != 0)
                usleep(500);
        if (pid > 0)
                add_use(meter, &use);
        meter->pid = 0;
        meter->due = ER_NEVER;
        meter->seen = 0;
        meter->mem = meter->util = 0;
        meter->mems = meter->utils = 0;
        er_close(&meter->fd);
        er_str_release(&meter->text);
}

static void close_round(struct er_gpu_meter *meter)
{
        uint64_t period = (uint64_t)period_ms(meter);

        /* A sum in which one is missing is not the sum. */
        if (meter->mems > 0 && meter->mems == (unsigned)__builtin_popcountll(meter->seen) &&
            (int64_t)meter->mem > meter->mem_max)
                meter->mem_max = (int64_t)meter->mem;
        if (meter->utils > 0) {
                int util = (int)(meter->util / meter->utils);

                meter->util_sum += (uint64_t)util * period;
                meter->util_time_ms += period;
                if (util > meter->util_max)
                        meter->util_max = util;
        }
        meter->seen = 0;
        meter->mem = meter->util = 0;
        meter->mems = meter->utils = 0;
}

static void take_lines(struct er_gpu_meter *meter, struct er_sv lines)
{
        struct er_gpus *gpus = er_new(struct er_gpus);

        er_gpu_parse(lines, meter->amd, gpus);
        for (size_t i = 0; i < gpus->len; i++) {
                const struct er_gpu *gpu = &gpus->items[i];
                uint64_t bit = (uint64_t)1 << gpu->index;

                if (!(meter->mask & bit))
                        continue;
                if (meter->seen & bit) /* one of ours was left out */
                        close_round(meter);
                meter->seen |= bit;
                if (gpu->memory_used != ER_GPU_UNKNOWN) {
                        meter->mem += gpu->memory_used;
                        meter->mems++;
                }
                if (gpu->util >= 0) {
                        meter->util += (unsigned)gpu->util;
                        meter->utils++;
                }
                if (meter->seen == meter->mask)
                        close_round(meter);
        }
        free(gpus);
}

/* It has ended, or does not go on. */
static void died(struct er_gpu_meter *meter)
{
        bool amd = meter->amd;

        if (meter->seen)
                close_round(meter);
        er_gpu_meter_end(meter);
        if (amd)
                meter->due = er_deadline_in(AMD_MS);
        else if (++meter->deaths <= DEATHS_MAX)
                meter->due = er_deadline_in(AGAIN_MS);
}

void er_gpu_meter_ready(struct er_gpu_meter *meter)
{
        const char *end;
        ssize_t n;

        do {
                er_str_reserve(&meter->text, 2048);
                n = read(meter->fd, meter->text.buf + meter->text.len, 2048);
                if (n > 0)
                        meter->text.len += (size_t)n;
        } while (n > 0 && meter->text.len < TEXT_MAX);
        meter->text.buf[meter->text.len] = '\0';
        end = meter->amd ? NULL : memrchr(meter->text.buf, '\n', meter->text.len);
        if (end) {
                size_t len = (size_t)(end - meter->text.buf) + 1;

                take_lines(meter, er_svn(meter->text.buf, len));
                er_str_drop(&meter->text, len);
                meter->due = er_deadline_in(period_ms(meter) + PATIENCE_MS);
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n > 0 && end)
                return; /* more is to come */
        if (n == 0)
                take_lines(meter, er_svn(meter->text.buf, meter->text.len));
        died(meter);
}

void er_gpu_meter_tick(struct er_gpu_meter *meter)
{
        if (meter->pid > 0 && !meter->slow && er_deadline_poll_ms(meter->slow_due) == 0) {
                bool amd = meter->amd;

                meter->slow = true;
                meter->slow_due = ER_NEVER;
                if (!amd) {
                        er_gpu_meter_end(meter);
                        start(meter);
                }
                return;
        }
        if (er_deadline_poll_ms(meter->due) != 0)
                return;
        if (meter->fd >= 0) { /* it hangs */
                died(meter);
                return;
        }
        if (er_deadline_poll_ms(meter->slow_due) == 0) {
                meter->slow = true;
                meter->slow_due = ER_NEVER;
        }
        start(meter);
}

void er_gpu_meter_fill(const struct er_gpu_meter *meter, struct er_status *status)
{
        status->gpu_mem = meter->mem_max;
        status->gpu_util_max = meter->util_max;
        if (meter->util_time_ms > 0)
                status->gpu_util = (int)((meter->util_sum + meter->util_time_ms / 2) / meter->util_time_ms);
}

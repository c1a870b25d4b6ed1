/* usage.c - see usage.h */
#include "agent/attempt/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/attempt/gpu.h"
#include "agent/ptree.h"
#include "base/io.h"

extern char **environ;

#define FIRST_MS 200
#define EVERY_MS 2000
#define GPU_FIRST_MS 1000
#define GPU_EVERY_MS 15000
#define GPU_PATIENCE_MS 10000
#define GPU_TEXT_MAX (64u * 1024)

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

void er_usage_begin(struct er_usage *usage, uint64_t gpu_mask)
{
        usage->gpu_mask = gpu_mask;
        usage->due = er_deadline_in(FIRST_MS);
        if (gpu_mask)
                usage->gpu_due = er_deadline_in(GPU_FIRST_MS);
        usage->oom_before = oom_kills();
}

bool er_usage_oom(const struct er_usage *usage)
{
        return oom_kills() > usage->oom_before;
}

static uint64_t waited_cpu_ms(uint64_t *ret_max_rss)
{
        struct rusage r;

        if (getrusage(RUSAGE_CHILDREN, &r) < 0)
                return 0;
        *ret_max_rss = (uint64_t)r.ru_maxrss * 1024;
        return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 +
               (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000;
}

void er_usage_fill(const struct er_usage *usage, struct er_status *status)
{
        uint64_t waited_rss = 0;

        status->cpu_ms = waited_cpu_ms(&waited_rss);
        status->max_rss = waited_rss > usage->max_rss ? waited_rss : usage->max_rss;
        status->gpu_mask = usage->gpu_mask;
        status->gpu_mem = usage->gpu_mem;
        if (usage->gpu_samples > 0)
                status->gpu_util = (int)(usage->gpu_util_sum / usage->gpu_samples);
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

static void start_gpu_sample(struct er_usage *usage)
{
        char *argv[ER_GPU_ARGV] = {NULL};
        posix_spawn_file_actions_t actions;
        int fds[2];

        usage->gpu_due = er_deadline_in(GPU_EVERY_MS);
        if (!er_gpu_command(argv, &usage->gpu_amd))
                return;
        if (er_pipe(fds) == 0) {
                er_set_nonblock(fds[0], true);
                posix_spawn_file_actions_init(&actions);
                posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
                if (posix_spawn(&usage->gpu_pid, argv[0], &actions, NULL, argv, environ) == 0) {
                        usage->gpu_fd = fds[0];
                        usage->gpu_due = er_deadline_in(GPU_PATIENCE_MS);
                        er_str_reset(&usage->gpu_text);
                } else {
                        usage->gpu_pid = 0;
                        close(fds[0]);
                }
                posix_spawn_file_actions_destroy(&actions);
                close(fds[1]);
        }
        free(argv[0]);
}

void er_usage_end(struct er_usage *usage)
{
        if (usage->gpu_pid > 0) {
                kill(usage->gpu_pid, SIGKILL);
                while (waitpid(usage->gpu_pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        usage->gpu_pid = 0;
        er_close(&usage->gpu_fd);
        er_str_release(&usage->gpu_text);
}

static void take_gpu_sample(struct er_usage *usage)
{
        struct er_gpus *gpus = er_new(struct er_gpus);
        uint64_t memory = 0, util = 0;
        unsigned count = 0;

        er_gpu_parse(er_svn(usage->gpu_text.buf, usage->gpu_text.len), usage->gpu_amd, gpus);
        for (size_t i = 0; i < gpus->len; i++) {
                if (!(usage->gpu_mask >> gpus->items[i].index & 1))
                        continue;
                memory += gpus->items[i].memory_used;
                util += gpus->items[i].util;
                count++;
        }
        if (count > 0) {
                usage->gpu_util_sum += util / count;
                usage->gpu_samples++;
                if (memory > usage->gpu_mem)
                        usage->gpu_mem = memory;
        }
        free(gpus);
}

void er_usage_gpu_ready(struct er_usage *usage)
{
        ssize_t n;

        do {
                er_str_reserve(&usage->gpu_text, 2048);
                n = read(usage->gpu_fd, usage->gpu_text.buf + usage->gpu_text.len, 2048);
                if (n > 0)
                        usage->gpu_text.len += (size_t)n;
        } while (n > 0 && usage->gpu_text.len < GPU_TEXT_MAX);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        usage->gpu_text.buf[usage->gpu_text.len] = '\0';
        take_gpu_sample(usage);
        er_usage_end(usage);
        usage->gpu_due = er_deadline_in(GPU_EVERY_MS);
}

er_deadline er_usage_due(const struct er_usage *usage)
{
        return usage->due < usage->gpu_due ? usage->due : usage->gpu_due;
}

void er_usage_tick(struct er_usage *usage, const struct er_adir *dir)
{
        if (er_deadline_poll_ms(usage->due) == 0) {
                struct er_ptree_use use;

                er_ptree_measure(getpid(), &use);
                if (use.rss > usage->max_rss)
                        usage->max_rss = use.rss;
                write_usage(usage, dir, &use);
                usage->due = er_deadline_in(EVERY_MS);
        }
        if (er_deadline_poll_ms(usage->gpu_due) == 0) {
                if (usage->gpu_pid > 0) { /* it hangs */
                        er_usage_end(usage);
                        usage->gpu_due = er_deadline_in(GPU_EVERY_MS);
                } else {
                        start_gpu_sample(usage);
                }
        }
}

/* gpu.c - see gpu.h */
#include "agent/attempt/gpu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/attempt/machine_dir.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"

#define ANSWER_MAX (256u * 1024)
#define PATIENCE_MS 10000

extern char **environ;

static char *find_in(const char *dirs, const char *name)
{
        struct er_sv rest = er_sv(dirs), dir;

        while (dirs && er_sv_cut(&rest, ':', &dir)) {
                er_autofree char *path = er_fmt("%.*s/%s", (int)dir.len, dir.ptr, name);

                if (dir.len > 0 && access(path, X_OK) == 0)
                        return er_take(path);
        }
        return NULL;
}

static char *find_tool(const char *name)
{
        char *path = find_in(getenv("PATH"), name);

        return path ? path
                    : find_in("/usr/bin:/usr/local/bin:/opt/rocm/bin:/usr/lib/wsl/lib:/run/current-system/sw/bin",
                              name);
}

bool er_gpu_command(char *ret_argv[ER_GPU_ARGV], bool *ret_amd)
{
        static char query[] = "--query-gpu=index,name,memory.total,memory.used,utilization.gpu";
        static char format[] = "--format=csv,noheader,nounits";
        static char product[] = "--showproductname", memory[] = "--showmeminfo", vram[] = "vram", use[] = "--showuse",
                    csv[] = "--csv";
        char *path = find_tool("nvidia-smi");

        if (path) {
                char *argv[ER_GPU_ARGV] = {path, query, format};

                memcpy(ret_argv, argv, sizeof argv);
                *ret_amd = false;
                return true;
        }
        path = find_tool("rocm-smi");
        if (path) {
                char *argv[ER_GPU_ARGV] = {path, product, memory, vram, use, csv};

                memcpy(ret_argv, argv, sizeof argv);
                *ret_amd = true;
                return true;
        }
        return false;
}

/* "[N/A]" and the like are 0. */
static uint64_t number_of(struct er_sv text)
{
        uint64_t value = 0;

        text = er_sv_trim(text);
        for (size_t i = 0; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
                value = value > UINT64_MAX / 16 ? value : value * 10 + (uint64_t)(text.ptr[i] - '0');
        return value;
}

static void copy_name(struct er_gpu *gpu, struct er_sv name)
{
        name = er_sv_trim(name);
        snprintf(gpu->name, sizeof gpu->name, "%.*s",
                 (int)(name.len < sizeof gpu->name ? name.len : sizeof gpu->name - 1), name.ptr);
}

static void parse_nvidia(struct er_sv text, struct er_gpus *ret)
{
        struct er_sv line, field;

        while (ret->len < ER_GPUS_MAX && er_sv_cut(&text, '\n', &line)) {
                struct er_gpu gpu = {0};
                struct er_sv fields[5];
                size_t count = 0;

                while (count < ER_LEN(fields) && er_sv_cut(&line, ',', &field))
                        fields[count++] = field;
                if (count < ER_LEN(fields))
                        continue;
                field = er_sv_trim(fields[0]);
                if (field.len == 0 || field.ptr[0] < '0' || field.ptr[0] > '9' || number_of(field) >= ER_GPUS_MAX)
                        continue; /* "No devices were found" and other messages */
                gpu.index = (unsigned)number_of(field);
                copy_name(&gpu, fields[1]);
                gpu.memory = number_of(fields[2]) << 20; /* MiB */
                gpu.memory_used = number_of(fields[3]) << 20;
                gpu.util = number_of(fields[4]) > 100 ? 100 : (unsigned)number_of(fields[4]);
                ret->items[ret->len++] = gpu;
        }
}

static bool contains(struct er_sv text, const char *part)
{
        return text.len > 0 && memmem(text.ptr, text.len, part, strlen(part));
}

/* A header line with the names of the columns, then "card0,..." */
static void parse_amd(struct er_sv text, struct er_gpus *ret)
{
        enum { OTHER, DEVICE, USE, TOTAL, USED, NAME } columns[32] = {OTHER};
        struct er_sv line, field;
        bool header = false;

        while (ret->len < ER_GPUS_MAX && er_sv_cut(&text, '\n', &line)) {
                struct er_gpu gpu = {0};
                size_t column = 0;
                bool is_card = false;

                if (er_sv_starts(line, ER_SV("device"))) {
                        for (; column < ER_LEN(columns) && er_sv_cut(&line, ',', &field); column++)
                                columns[column] = contains(field, "device")         ? DEVICE
                                                  : contains(field, "GPU use")      ? USE
                                                  : contains(field, "Total Used")   ? USED
                                                  : contains(field, "Total Memory") ? TOTAL
                                                  : contains(field, "Card series") || contains(field, "Card Series")
                                                          ? NAME
                                                          : OTHER;
                        header = true;
                        continue;
                }
                for (; header && column < ER_LEN(columns) && er_sv_cut(&line, ',', &field); column++) {
                        switch (columns[column]) {
                        case DEVICE:
                                is_card = er_sv_starts(field, ER_SV("card"));
                                if (is_card)
                                        gpu.index = (unsigned)(number_of(er_svn(field.ptr + 4, field.len - 4)) %
                                                               ER_GPUS_MAX);
                                break;
                        case USE:
                                gpu.util = number_of(field) > 100 ? 100 : (unsigned)number_of(field);
                                break;
                        case TOTAL:
                                gpu.memory = number_of(field);
                                break;
                        case USED:
                                gpu.memory_used = number_of(field);
                                break;
                        case NAME:
                                copy_name(&gpu, field);
                                break;
                        case OTHER:
                                break;
                        }
                }
                if (is_card)
                        ret->items[ret->len++] = gpu;
        }
}

void er_gpu_parse(struct er_sv text, bool amd, struct er_gpus *ret)
{
        *ret = (struct er_gpus){.amd = amd};
        if (amd)
                parse_amd(text, ret);
        else
                parse_nvidia(text, ret);
}

/* Runs it with /dev/null as stdin and stderr, and reads its output. False when it failed or took too long. */
static bool ask(char *const argv[], struct er_str *out)
{
        posix_spawn_file_actions_t actions;
        er_deadline deadline = er_deadline_in(PATIENCE_MS);
        er_autoclose int fd = -1;
        int fds[2], status = 0, rc;
        bool done = false;
        pid_t pid;

        if (er_pipe(fds) < 0)
                return false;
        fd = fds[0];
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        rc = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        close(fds[1]);
        if (rc != 0)
                return false;
        while (!done) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                ssize_t n;

                rc = poll(&p, 1, er_deadline_poll_ms(deadline));
                if (rc < 0 && errno == EINTR)
                        continue;
                if (rc <= 0 || out->len > ANSWER_MAX)
                        break;
                er_str_reserve(out, 4096);
                n = read(fd, out->buf + out->len, 4096);
                if (n < 0 && errno == EINTR)
                        continue;
                done = n <= 0;
                if (n > 0) {
                        out->len += (size_t)n;
                        out->buf[out->len] = '\0';
                }
        }
        if (!done)
                kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return done && status == 0;
}

void er_gpu_query(struct er_gpus *ret)
{
        char *argv[ER_GPU_ARGV] = {NULL};
        er_auto(er_str) out = ER_STR_INIT;
        bool amd = false;

        *ret = (struct er_gpus){0};
        if (!er_gpu_command(argv, &amd))
                return;
        if (ask(argv, &out))
                er_gpu_parse(er_svn(out.buf, out.len), amd, ret);
        free(argv[0]);
}

bool er_gpu_is_amd(void)
{
        char *argv[ER_GPU_ARGV] = {NULL};
        bool amd = false;

        if (er_gpu_command(argv, &amd))
                free(argv[0]);
        return amd;
}

static char *cache_path(const struct er_agent *agent)
{
        er_autofree char *dir = er_machine_dir(agent);

        return dir ? er_fmt("%s/gpus.%u", dir, (unsigned)getuid()) : NULL;
}

/* What the answer depends on: this boot, and the tool that gave it. */
static void cache_key(const struct er_agent *agent, struct er_str *out)
{
        char *argv[ER_GPU_ARGV] = {NULL};
        struct stat st;
        bool amd;

        er_str_addf(out, "%s ", agent->boot_id);
        if (er_gpu_command(argv, &amd)) {
                if (stat(argv[0], &st) == 0)
                        er_str_addf(out, "%s %lld.%09ld", argv[0], (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
                free(argv[0]);
        }
        er_str_addc(out, '\n');
}

/* Reads the part after the key, if the file is ours and the key matches. */
static bool read_cache(const char *path, const struct er_str *key, uint64_t *ret_mask)
{
        er_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        char text[4096];
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != getuid())
                return false;
        n = er_read_full(fd, text, sizeof text - 1);
        if (n < (ssize_t)key->len || memcmp(text, key->buf, key->len) != 0)
                return false;
        text[n] = '\0';
        return er_parse_u64(text + key->len, UINT64_MAX, ret_mask, NULL) == 0;
}

uint64_t er_gpu_mask(const struct er_agent *agent)
{
        er_autofree char *path = cache_path(agent);
        er_auto(er_str) key = ER_STR_INIT;
        struct er_gpus gpus;
        uint64_t mask = 0;

        cache_key(agent, &key);
        if (path && read_cache(path, &key, &mask))
                return mask;
        er_gpu_query(&gpus);
        for (size_t i = 0; i < gpus.len; i++)
                mask |= (uint64_t)1 << gpus.items[i].index;
        if (path && mask) { /* no GPUs may mean that the driver is not up yet: ask again next time */
                er_str_addf(&key, "%llu", (unsigned long long)mask);
                er_file_write(AT_FDCWD, path, key.buf, key.len, 0600, false, NULL);
        }
        return mask;
}

bool er_gpu_likely(const struct er_agent *agent)
{
        er_autofree char *path = NULL;

        if (access("/dev/nvidia0", F_OK) == 0 || access("/dev/kfd", F_OK) == 0)
                return true;
        path = cache_path(agent);
        return path && access(path, F_OK) == 0;
}

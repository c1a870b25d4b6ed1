/* probe.c - PROBE: what this machine has, and how much of it is free. */
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "agent/attempt/gpu.h"
#include "agent/attempt/ledger.h"
#include "agent/serve/serve.h"
#include "base/io.h"
#include "base/path.h"

/* "MemAvailable:   123 kB" */
static uint64_t memory_available(void)
{
        char text[4096];
        const char *line;
        uint64_t kib = 0;

        if (er_read_small(AT_FDCWD, "/proc/meminfo", text, sizeof text) < 0)
                return 0;
        line = strstr(text, "MemAvailable:");
        if (!line)
                line = strstr(text, "MemFree:"); /* before Linux 3.14 */
        line = line ? strpbrk(line, "0123456789\n") : NULL;
        for (; line && *line >= '0' && *line <= '9'; line++)
                kib = kib * 10 + (uint64_t)(*line - '0');
        return kib * 1024;
}

/* "0.52 ..." as 52 */
static uint64_t load_times_100(void)
{
        char text[128];
        uint64_t value = 0;
        int decimals = -1;

        if (er_read_small(AT_FDCWD, "/proc/loadavg", text, sizeof text) < 0)
                return 0;
        for (const char *p = text; decimals < 2 && ((*p >= '0' && *p <= '9') || *p == '.'); p++) {
                if (*p == '.') {
                        decimals = 0;
                        continue;
                }
                value = value * 10 + (uint64_t)(*p - '0');
                if (decimals >= 0)
                        decimals++;
        }
        return value;
}

/* "cpu user nice system idle iowait irq softirq steal ...": since boot, all cpus together. */
static void add_cpu_time(struct er_str *out)
{
        uint64_t times[8] = {0}, total = 0, idle;
        long ticks = sysconf(_SC_CLK_TCK);
        char text[512];
        const char *p = text;

        /* Only the first line is needed. */
        er_autoclose int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : er_read_full(fd, text, sizeof text - 1);

        if (n < 4 || strncmp(text, "cpu ", 4) != 0 || ticks <= 0)
                return;
        text[n] = '\0';
        p += 4;
        for (size_t i = 0; i < ER_LEN(times); i++) {
                while (*p == ' ')
                        p++;
                for (; *p >= '0' && *p <= '9'; p++)
                        times[i] = times[i] * 10 + (uint64_t)(*p - '0');
                total += times[i];
        }
        idle = times[3] + times[4];
        er_msg_u64(out, ER_T_CPU_BUSY, (total - idle) * 1000 / (uint64_t)ticks);
        er_msg_u64(out, ER_T_CPU_TOTAL, total * 1000 / (uint64_t)ticks);
}

/* PRETTY_NAME="..." (owned), or NULL */
static char *os_name(void)
{
        static const char *const places[] = {"/etc/os-release", "/usr/lib/os-release"};
        char text[8192];
        struct er_sv rest, line;

        for (size_t i = 0; i < ER_LEN(places); i++) {
                if (er_read_small(AT_FDCWD, places[i], text, sizeof text) < 0)
                        continue;
                for (rest = er_sv(text); er_sv_cut(&rest, '\n', &line);) {
                        if (!er_sv_starts(line, ER_SV("PRETTY_NAME=")))
                                continue;
                        line = er_svn(line.ptr + 12, line.len - 12);
                        if (line.len >= 2 && (line.ptr[0] == '"' || line.ptr[0] == '\''))
                                line = er_svn(line.ptr + 1, line.len - 2);
                        return er_sv_dup(line);
                }
        }
        return NULL;
}

static bool is_in_path(const char *program)
{
        const char *path = getenv("PATH");
        struct er_sv rest = er_sv(path ? path : "/usr/local/bin:/usr/bin:/bin"), dir;

        while (er_sv_cut(&rest, ':', &dir)) {
                er_autofree char *full = er_fmt("%.*s/%s", (int)dir.len, dir.ptr, program);

                if (access(full, X_OK) == 0)
                        return true;
        }
        return false;
}

static void add_absent(struct er_worker *worker)
{
        static const char *const usual[] = {"git", "rsync", "python3", "tar"};
        struct er_sv rest = worker->payload;
        struct er_field field;
        bool asked = false;

        while (er_msg_next(&rest, &field)) {
                er_autofree char *name = field.tag == ER_T_NAME ? er_sv_dup(field.value) : NULL;

                if (!name || !name[0] || strchr(name, '/'))
                        continue;
                asked = true;
                if (!is_in_path(name))
                        er_msg_text(&worker->out, ER_T_ABSENT, name);
        }
        for (size_t i = 0; !asked && i < ER_LEN(usual); i++)
                if (!is_in_path(usual[i]))
                        er_msg_text(&worker->out, ER_T_ABSENT, usual[i]);
}

/* The root, or if it does not exist, the nearest existing directory above it (owned). */
static char *nearest_there(const char *path)
{
        char *at = er_strdup(path);

        while (!er_file_exists(AT_FDCWD, at) && !er_streq(at, "/")) {
                char *up = er_path_dir(at);

                free(at);
                at = up;
        }
        return at;
}

static void add_disk(struct er_worker *worker)
{
        er_autofree char *at = nearest_there(worker->agent->root);
        struct er_str *out = &worker->out;
        struct statvfs fs;

        er_msg_u64(out, ER_T_WRITABLE, access(at, W_OK | X_OK) == 0);
        if (statvfs(at, &fs) < 0)
                return;
        er_msg_u64(out, ER_T_DISK, (uint64_t)fs.f_blocks * fs.f_frsize);
        er_msg_u64(out, ER_T_DISK_FREE, (uint64_t)fs.f_bavail * fs.f_frsize);
        er_msg_u64(out, ER_T_MOUNT_NOEXEC, (fs.f_flag & ST_NOEXEC) != 0);
}

static uint64_t minus(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

static void add_gpus(struct er_worker *worker, const struct er_ledger_use *use)
{
        struct er_gpus *gpus = er_new(struct er_gpus);
        struct er_str *out = &worker->out;
        struct er_capacity capacity;
        uint64_t free_count = 0;

        er_gpu_look(worker->agent, 0, NULL, NULL, gpus);
        er_capacity_gpus(&capacity, gpus);
        for (size_t i = 0; i < gpus->len; i++) {
                const struct er_gpu *gpu = &gpus->items[i];
                bool taken = use->gpu_mask >> gpu->index & 1;
                er_auto(er_str) fields = ER_STR_INIT;

                if (!(capacity.gpu_mask >> gpu->index & 1)) /* no job of this login could have it */
                        continue;
                er_msg_u64(&fields, ER_T_INDEX, gpu->index);
                er_msg_text(&fields, ER_T_NAME, gpu->name);
                if (gpu->memory != ER_GPU_UNKNOWN)
                        er_msg_u64(&fields, ER_T_MEMORY, gpu->memory);
                if (gpu->memory != ER_GPU_UNKNOWN && gpu->memory_used != ER_GPU_UNKNOWN)
                        er_msg_u64(&fields, ER_T_MEMORY_FREE, minus(gpu->memory, gpu->memory_used));
                if (gpu->util >= 0)
                        er_msg_u64(&fields, ER_T_UTIL, (unsigned)gpu->util);
                er_msg_u64(&fields, ER_T_RUNNING, taken);
                er_msg_bytes(out, ER_T_GPU, fields.buf, fields.len);
                free_count += !taken;
        }
        er_msg_u64(out, ER_T_GPUS_FREE, free_count);
        free(gpus);
}

static int probe(struct er_worker *worker, struct er_err *err)
{
        const struct er_agent *agent = worker->agent;
        er_autofree char *os = os_name();
        struct er_capacity capacity;
        struct er_ledger_use use;
        struct er_str *out = &worker->out;
        struct utsname name;
        size_t start = er_frame_begin(out, ER_F_PROBE_OK, worker->id);

        (void)err;
        er_capacity_read(&capacity);
        er_ledger_look(agent, &use);
        er_msg_text(out, ER_T_HOSTNAME, agent->hostname);
        if (uname(&name) == 0) {
                er_msg_text(out, ER_T_ARCH, name.machine);
                er_msg_text(out, ER_T_KERNEL, name.release);
        }
        er_msg_text(out, ER_T_OS, os);
        er_msg_text(out, ER_T_USER, agent->user);
        er_msg_text(out, ER_T_ROOT, agent->root);
        er_msg_u64(out, ER_T_CPUS, capacity.cpus);
        er_msg_u64(out, ER_T_CPUS_FREE, minus(capacity.cpus, use.cpus));
        er_msg_u64(out, ER_T_MEMORY, capacity.memory);
        er_msg_u64(out, ER_T_MEMORY_FREE, memory_available());
        er_msg_u64(out, ER_T_MEMORY_UNRESERVED, minus(capacity.memory, use.memory));
        er_msg_u64(out, ER_T_LOAD, load_times_100());
        add_cpu_time(out);
        er_msg_u64(out, ER_T_RUNNING, use.running);
        er_msg_u64(out, ER_T_QUEUED, use.queued);
        add_disk(worker);
        add_gpus(worker, &use);
        add_absent(worker);
        er_msg_i64(out, ER_T_NOW, er_now_ms());
        er_frame_end(out, start);
        return 0;
}

int er_do_probe(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        return er_worker_start(serve, frame, probe, err);
}

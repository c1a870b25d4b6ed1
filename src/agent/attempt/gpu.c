/* gpu.c - see gpu.h */
#include "agent/attempt/gpu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
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
#define TURN_MS 3            /* between two looks whether it is our turn to ask */
#define WANTED_MS 100        /* between two calls of a er_gpu_wanted_fn */
#define END_PATIENCE_MS 1000 /* for a tool that was killed, or has said all */
/* That the tool is silent is believed so long: by those who would take an older answer, and by those who would not. */
#define SILENT_MS 60000
#define SILENT_MIN_MS 10000

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

/* What every nvidia-smi knows, and what only newer ones do. */
#define BASIC_QUERY "--query-gpu=index,name,memory.total,memory.used,utilization.gpu"
#define FULL_QUERY BASIC_QUERY ",uuid,mig.mode.current"
#define FORMAT "--format=csv,noheader,nounits"

bool er_gpu_command(int loop_ms, char *ret_argv[ER_GPU_ARGV], bool *ret_amd)
{
        static char query[] = BASIC_QUERY, format[] = FORMAT, loop[] = "-lms", number[16];
        static char product[] = "--showproductname", memory[] = "--showmeminfo", vram[] = "vram", use[] = "--showuse",
                    csv[] = "--csv";
        char *path = find_tool("nvidia-smi");

        if (path) {
                char *argv[ER_GPU_ARGV] = {path, query, format};

                if (loop_ms > 0) {
                        snprintf(number, sizeof number, "%d", loop_ms);
                        argv[3] = loop;
                        argv[4] = number;
                }
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

/* False for "[N/A]", "[Not Supported]", "[Unknown Error]" and the like, which are not 0. */
static bool read_number(struct er_sv text, uint64_t max, uint64_t *ret)
{
        uint64_t value = 0;

        text = er_sv_trim(text);
        if (text.len == 0 || text.ptr[0] < '0' || text.ptr[0] > '9')
                return false;
        for (size_t i = 0; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
                value = value > UINT64_MAX / 16 ? value : value * 10 + (uint64_t)(text.ptr[i] - '0');
        *ret = value > max ? max : value;
        return true;
}

static uint64_t bytes_of(struct er_sv text, unsigned shift)
{
        uint64_t value;

        return read_number(text, (ER_GPU_UNKNOWN >> shift) - 1, &value) ? value << shift : ER_GPU_UNKNOWN;
}

static int percent_of(struct er_sv text)
{
        uint64_t value;

        return read_number(text, 100, &value) ? (int)value : -1;
}

/* A word in brackets stands for what is not known. */
static void copy_text(char *to, size_t size, struct er_sv text)
{
        text = er_sv_trim(text);
        if (text.len > 0 && text.ptr[0] == '[')
                text.len = 0;
        snprintf(to, size, "%.*s", (int)(text.len < size ? text.len : size - 1), text.ptr ? text.ptr : "");
}

static void copy_name(struct er_gpu *gpu, struct er_sv name)
{
        copy_text(gpu->name, sizeof gpu->name, name);
}

static bool contains(struct er_sv text, const char *part);

static void parse_nvidia(struct er_sv text, struct er_gpus *ret)
{
        struct er_sv line, field;
        uint64_t index;

        while (ret->len < ER_GPUS_MAX && er_sv_cut(&text, '\n', &line)) {
                struct er_gpu gpu = {0};
                struct er_sv fields[7] = {0};
                bool lost = contains(line, "is lost");
                size_t count = 0;

                while (count < ER_LEN(fields) && er_sv_cut(&line, ',', &field))
                        fields[count++] = field;
                /* "No devices were found" and other messages; a GPU that has fallen off the bus */
                if (lost || count < 5 || !read_number(fields[0], ER_GPUS_MAX, &index) || index >= ER_GPUS_MAX)
                        continue;
                gpu.index = (unsigned)index;
                copy_name(&gpu, fields[1]);
                gpu.memory = bytes_of(fields[2], 20); /* MiB */
                gpu.memory_used = bytes_of(fields[3], 20);
                gpu.util = percent_of(fields[4]);
                copy_text(gpu.uuid, sizeof gpu.uuid, fields[5]);
                gpu.split = er_sv_eq(er_sv_trim(fields[6]), ER_SV("Enabled"));
                ret->items[ret->len++] = gpu;
        }
}

/* The part between "(UUID: " and ")". */
static struct er_sv uuid_in(struct er_sv line)
{
        static const char before[] = "(UUID: ";
        const char *start = line.len ? memmem(line.ptr, line.len, before, sizeof before - 1) : NULL;
        const char *end;

        if (!start)
                return er_svn("", 0);
        start += sizeof before - 1;
        end = memchr(start, ')', line.len - (size_t)(start - line.ptr));
        return end ? er_svn(start, (size_t)(end - start)) : er_svn("", 0);
}

/* "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-...)", and below it "  MIG 1g.5gb      Device  0: (UUID: MIG-...)" */
void er_gpu_parse_parts(struct er_sv text, struct er_gpus *gpus)
{
        const struct er_gpu *whole = NULL;
        struct er_gpus *all = er_new(struct er_gpus);
        unsigned next = 0;
        uint64_t number;
        struct er_sv line;

        all->amd = gpus->amd;
        for (size_t i = 0; i < gpus->len; i++) {
                if (gpus->items[i].index >= next)
                        next = gpus->items[i].index + 1;
                if (!gpus->items[i].split)
                        all->items[all->len++] = gpus->items[i];
        }
        while (er_sv_cut(&text, '\n', &line)) {
                struct er_sv uuid = uuid_in(line);
                struct er_gpu *part;
                size_t words;

                if (er_sv_starts(line, ER_SV("GPU "))) {
                        whole = NULL;
                        for (size_t i = 0;
                             i < gpus->len && read_number(er_svn(line.ptr + 4, line.len - 4), 1000, &number); i++)
                                if (gpus->items[i].index == number && gpus->items[i].split)
                                        whole = &gpus->items[i];
                        continue;
                }
                line = er_sv_trim(line);
                if (!whole || uuid.len == 0 || !er_sv_starts(line, ER_SV("MIG ")) || all->len == ER_GPUS_MAX ||
                    next >= ER_GPUS_MAX)
                        continue;
                part = &all->items[all->len++];
                for (words = 4; words < line.len && line.ptr[words] != ' '; words++)
                        ;
                *part = (struct er_gpu){
                        .index = next++,
                        .memory = ER_GPU_UNKNOWN,
                        .memory_used = ER_GPU_UNKNOWN,
                        .util = -1,
                        .part = true,
                        .whole = whole->index,
                };
                snprintf(part->name, sizeof part->name, "%.40s %.*s", whole->name, (int)(words > 20 ? 20 : words),
                         line.ptr);
                copy_text(part->uuid, sizeof part->uuid, uuid);
                memcpy(part->whole_uuid, whole->uuid, sizeof part->whole_uuid);
        }
        *gpus = *all;
        free(all);
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
        uint64_t number;

        while (ret->len < ER_GPUS_MAX && er_sv_cut(&text, '\n', &line)) {
                struct er_gpu gpu = {.memory = ER_GPU_UNKNOWN, .memory_used = ER_GPU_UNKNOWN, .util = -1};
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
                                if (is_card && read_number(er_svn(field.ptr + 4, field.len - 4), UINT64_MAX, &number))
                                        gpu.index = (unsigned)(number % ER_GPUS_MAX);
                                break;
                        case USE:
                                gpu.util = percent_of(field);
                                break;
                        case TOTAL:
                                gpu.memory = bytes_of(field, 0);
                                break;
                        case USED:
                                gpu.memory_used = bytes_of(field, 0);
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

/* Kills the tool and whatever it started. One that is stuck in the kernel is not waited for. */
static void end_tool(pid_t pid)
{
        er_deadline deadline = er_deadline_in(END_PATIENCE_MS);

        kill(-pid, SIGKILL);
        while (waitpid(pid, NULL, WNOHANG) == 0 && er_deadline_poll_ms(deadline) != 0)
                usleep(2000);
}

enum answer { ANSWER, NONE, SILENCE };

/* Runs it with /dev/null as stdin and stderr, and reads its output, whatever its exit status: what it says of one GPU
   is good although another is broken. */
static enum answer ask(char *const argv[], er_gpu_wanted_fn wanted, void *arg, struct er_str *out)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        er_deadline deadline = er_deadline_in(PATIENCE_MS);
        er_autoclose int fd = -1;
        int fds[2], rc;
        bool done = false;
        sigset_t none;
        pid_t pid;

        if (er_pipe(fds) < 0)
                return NONE;
        fd = fds[0];
        sigemptyset(&none);
        posix_spawnattr_init(&attr);
        posix_spawnattr_setsigmask(&attr, &none);
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        rc = posix_spawn(&pid, argv[0], &actions, &attr, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attr);
        close(fds[1]);
        if (rc != 0)
                return NONE;
        while (!done) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                int patience = er_deadline_poll_ms(deadline);
                ssize_t n;

                rc = poll(&p, 1, wanted && patience > WANTED_MS ? WANTED_MS : patience);
                if ((rc < 0 && errno == EINTR) || (rc == 0 && er_deadline_poll_ms(deadline) != 0 && wanted(arg)))
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
        if (!done) {
                end_tool(pid);
                return SILENCE;
        }
        /* It has closed its output, and so is about to end. */
        deadline = er_deadline_in(END_PATIENCE_MS);
        while ((rc = waitpid(pid, NULL, WNOHANG)) == 0 && er_deadline_poll_ms(deadline) != 0)
                usleep(200);
        if (rc == 0)
                end_tool(pid);
        return ANSWER;
}

/* --- what was said last, beside the ledger: a line that says what it depends on, then the length of what the query
   gave, that, and what -L gave */

static char *cache_path(const struct er_agent *agent)
{
        er_autofree char *dir = er_machine_dir(agent);

        return dir ? er_fmt("%s/gpus.%u", dir, (unsigned)getuid()) : NULL;
}

/* What the answer depends on: this boot, and the tool that gave it. */
static void cache_key(const struct er_agent *agent, char *const argv[], bool amd, struct er_str *out)
{
        struct stat st = {0};

        (void)!stat(argv[0], &st);
        er_str_addf(out, "2 %s %d %s %lld.%09ld\n", agent->boot_id, amd, argv[0], (long long)st.st_mtim.tv_sec,
                    st.st_mtim.tv_nsec);
}

/* Of a file of ours; -1: there is none. */
static int64_t age_of(const struct stat *st)
{
        return S_ISREG(st->st_mode) && st->st_uid == getuid()
                       ? er_now_ms() - (st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000)
                       : -1;
}

/* That the tool gave no answer is noted in a file of its own, so that the last good list stays. */
static char *silence_path(const char *path)
{
        return er_fmt("%s.silent", path);
}

static bool was_silent(const char *path, int64_t silent_ms)
{
        er_autofree char *name = silence_path(path);
        struct stat st;
        int64_t age_ms = lstat(name, &st) == 0 ? age_of(&st) : -1;

        return age_ms >= 0 && age_ms < silent_ms;
}

/* The part after the key, if the file is ours, young enough and the key matches. */
static bool read_cache(const char *path, const struct er_str *key, int64_t max_age_ms, bool amd, struct er_gpus *ret)
{
        er_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv rest, line;
        int64_t age_ms;
        uint64_t len = 0;
        struct stat st;
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) < 0)
                return false;
        age_ms = age_of(&st);
        if (age_ms < 0 || age_ms > max_age_ms)
                return false;
        er_str_reserve(&text, 2 * ANSWER_MAX);
        n = er_read_full(fd, text.buf, 2 * ANSWER_MAX);
        if (n < (ssize_t)key->len || memcmp(text.buf, key->buf, key->len) != 0)
                return false;
        rest = er_svn(text.buf + key->len, (size_t)n - key->len);
        if (!er_sv_cut(&rest, '\n', &line))
                return false;
        *ret = (struct er_gpus){0};
        if (!read_number(line, 2u * ANSWER_MAX, &len) || len > rest.len)
                return false;
        er_gpu_parse(er_svn(rest.ptr, (size_t)len), amd, ret);
        if (rest.len > len)
                er_gpu_parse_parts(er_svn(rest.ptr + len, rest.len - (size_t)len), ret);
        return ret->len > 0;
}

static bool has_devices(void)
{
        static const char *const signs[] = {"/dev/nvidia0", "/dev/nvidiactl", "/proc/driver/nvidia/gpus", "/dev/kfd"};

        for (size_t i = 0; i < ER_LEN(signs); i++)
                if (access(signs[i], F_OK) == 0)
                        return true;
        return false;
}

static bool any_split(const struct er_gpus *gpus)
{
        for (size_t i = 0; i < gpus->len; i++)
                if (gpus->items[i].split)
                        return true;
        return false;
}

/* Asks, and notes the answer in `note`. */
static void look(char *argv[], bool amd, er_gpu_wanted_fn wanted, void *arg, struct er_gpus *ret, struct er_str *note)
{
        static char full[] = FULL_QUERY, list[] = "-L";
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_str) parts = ER_STR_INIT;
        char *basic = argv[1];
        enum answer answer;

        if (!amd)
                argv[1] = full;
        answer = ask(argv, wanted, arg, &out);
        if (answer == ANSWER)
                er_gpu_parse(er_svn(out.buf, out.len), amd, ret);
        if (!amd && answer == ANSWER && ret->len == 0 && contains(er_svn(out.buf, out.len), "not a valid field")) {
                argv[1] = basic; /* an old one */
                er_str_reset(&out);
                answer = ask(argv, wanted, arg, &out);
                if (answer == ANSWER)
                        er_gpu_parse(er_svn(out.buf, out.len), amd, ret);
        }
        if (answer == ANSWER && any_split(ret)) {
                char *const listing[] = {argv[0], list, NULL};

                answer = ask(listing, wanted, arg, &parts);
                er_gpu_parse_parts(er_svn(parts.buf, parts.len), ret);
        }
        ret->silent = answer != ANSWER; /* one that could not be started has not answered either */
        if (ret->silent) {
                ret->len = 0;
        } else {
                er_str_addf(note, "%zu\n", out.len);
                er_str_addn(note, out.buf, out.len);
                er_str_addn(note, parts.buf, parts.len);
        }
}

/* Jobs that start together need not all ask: one does, and the others wait for what it hears. The lock, or -1. */
static int take_turn(const char *path, er_gpu_wanted_fn wanted, void *arg)
{
        er_autofree char *name = er_fmt("%s.lock", path);
        er_autoclose int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        er_deadline deadline = er_deadline_in(PATIENCE_MS);

        while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (er_deadline_poll_ms(deadline) == 0 || (wanted && !wanted(arg)))
                        return -1;
                usleep(TURN_MS * 1000);
        }
        return er_take_fd(&fd);
}

/* What is known without asking. */
static bool recall(const char *path, const struct er_str *key, int64_t max_age_ms, int64_t silent_ms, bool amd,
                   struct er_gpus *ret)
{
        if (read_cache(path, key, max_age_ms, amd, ret))
                return true;
        ret->silent = was_silent(path, silent_ms);
        return ret->silent;
}

static void remember(const char *path, const struct er_str *text, const struct er_gpus *gpus)
{
        er_autofree char *silence = silence_path(path);

        if (gpus->silent) {
                if (has_devices())
                        er_file_write(AT_FDCWD, silence, "", 0, 0600, false, NULL);
                return;
        }
        unlink(silence);
        if (gpus->len > 0)
                er_file_write(AT_FDCWD, path, text->buf, text->len, 0600, false, NULL);
        else
                unlink(path); /* no GPUs may mean that the driver is not up yet: ask again next time */
}

void er_gpu_look(const struct er_agent *agent, int64_t max_age_ms, er_gpu_wanted_fn wanted, void *arg,
                 struct er_gpus *ret)
{
        char *argv[ER_GPU_ARGV] = {NULL};
        er_autofree char *path = NULL;
        er_auto(er_str) text = ER_STR_INIT;
        er_autoclose int turn = -1;
        int64_t began_ms = er_mono_ms(), silent_ms = max_age_ms > 0 ? SILENT_MS : SILENT_MIN_MS;
        bool amd = false;

        *ret = (struct er_gpus){0};
        if (!er_gpu_command(0, argv, &amd))
                return;
        path = cache_path(agent);
        cache_key(agent, argv, amd, &text);
        if (path && !recall(path, &text, max_age_ms, silent_ms, amd, ret)) {
                turn = take_turn(path, wanted, arg);
                if (turn >= 0)
                        recall(path, &text, er_mono_ms() - began_ms, silent_ms, amd, ret);
                /* Whoever had the turn before us has waited in vain: so would we. */
                if (ret->len == 0 && er_mono_ms() - began_ms > PATIENCE_MS / 2)
                        ret->silent = true;
        }
        if (ret->len == 0 && !ret->silent && (!wanted || wanted(arg))) {
                look(argv, amd, wanted, arg, ret, &text);
                ret->asked = true;
                if (path)
                        remember(path, &text, ret);
        }
        free(argv[0]);
}

bool er_gpu_is_amd(void)
{
        char *argv[ER_GPU_ARGV] = {NULL};
        bool amd = false;

        if (er_gpu_command(0, argv, &amd))
                free(argv[0]);
        return amd;
}

bool er_gpu_likely(const struct er_agent *agent)
{
        er_autofree char *path = NULL;

        if (has_devices())
                return true;
        path = cache_path(agent);
        return path && access(path, F_OK) == 0;
}

/* --- which */

static uint64_t bit(unsigned index)
{
        return (uint64_t)1 << index;
}

static uint64_t named(const struct er_gpus *gpus, struct er_sv word)
{
        uint64_t mask = 0, number;

        for (size_t i = 0; i < gpus->len; i++) {
                const struct er_gpu *gpu = &gpus->items[i];
                unsigned whole = gpu->part ? gpu->whole : gpu->index;

                if (read_number(word, ER_GPUS_MAX, &number)
                            ? whole == number
                            : er_sv_starts(er_sv(gpu->uuid), word) || er_sv_starts(er_sv(gpu->whole_uuid), word))
                        mask |= bit(gpu->index);
        }
        return mask;
}

uint64_t er_gpus_visible(const struct er_gpus *gpus, const char *value)
{
        struct er_sv rest, word;
        uint64_t mask = 0, more;

        if (!value) {
                for (size_t i = 0; i < gpus->len; i++)
                        mask |= bit(gpus->items[i].index);
                return mask;
        }
        for (rest = er_sv(value); er_sv_cut(&rest, ',', &word);) {
                word = er_sv_trim(word);
                more = word.len > 0 ? named(gpus, word) : 0;
                if (!more)
                        break;
                mask |= more;
        }
        return mask;
}

static const struct er_gpu *by_index(const struct er_gpus *gpus, unsigned index)
{
        for (size_t i = 0; i < gpus->len; i++)
                if (gpus->items[i].index == index)
                        return &gpus->items[i];
        return NULL;
}

void er_gpus_value(const struct er_gpus *gpus, uint64_t mask, uint64_t last, struct er_str *out)
{
        bool parts = false;

        for (size_t i = 0; i < gpus->len; i++)
                parts |= gpus->items[i].part; /* CUDA's own numbers are of no use then */
        for (unsigned i = 0; i < 2 * ER_GPUS_MAX; i++) {
                unsigned index = i % ER_GPUS_MAX;
                const struct er_gpu *gpu = parts ? by_index(gpus, index) : NULL;

                if (!(mask & bit(index)) || (last & bit(index)) != (i < ER_GPUS_MAX ? 0 : bit(index)))
                        continue;
                if (out->len)
                        er_str_addc(out, ',');
                if (gpu && gpu->uuid[0])
                        er_str_add(out, gpu->uuid);
                else
                        er_str_addf(out, "%u", index);
        }
}

#define USED_PERCENT 5
#define USED_MEMORY ((uint64_t)1 << 30)

static int less_used(const void *a, const void *b)
{
        const struct er_gpu *x = *(const struct er_gpu *const *)a, *y = *(const struct er_gpu *const *)b;
        int load = (x->util < 0 ? 0 : x->util / 5) - (y->util < 0 ? 0 : y->util / 5);
        uint64_t mine = x->memory_used == ER_GPU_UNKNOWN ? 0 : x->memory_used >> 28;
        uint64_t other = y->memory_used == ER_GPU_UNKNOWN ? 0 : y->memory_used >> 28;

        return load ? load : mine < other ? -1 : mine > other ? 1 : (int)x->index - (int)y->index;
}

uint64_t er_gpus_used(const struct er_gpus *gpus, uint8_t ret_rank[ER_GPUS_MAX])
{
        const struct er_gpu *order[ER_GPUS_MAX];
        uint64_t used = 0;

        for (size_t i = 0; i < gpus->len; i++) {
                const struct er_gpu *gpu = &gpus->items[i];
                uint64_t little = gpu->memory != ER_GPU_UNKNOWN && gpu->memory / 20 < USED_MEMORY ? gpu->memory / 20
                                                                                                  : USED_MEMORY;

                order[i] = gpu;
                if (gpu->util > USED_PERCENT || (gpu->memory_used != ER_GPU_UNKNOWN && gpu->memory_used > little))
                        used |= bit(gpu->index);
        }
        memset(ret_rank, 0, ER_GPUS_MAX);
        qsort(order, gpus->len, sizeof order[0], less_used);
        for (size_t i = 0; i < gpus->len; i++)
                ret_rank[order[i]->index] = (uint8_t)i;
        return used;
}

/* agent.c - see agent.h */
#include "agent/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"

ssize_t er_read_small(int at, const char *path, char *buf, size_t size)
{
        er_autoclose int fd = openat(at, path, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -1;
        n = er_read_full(fd, buf, size - 1);
        if (n < 0)
                return -1;
        if (n > 0 && buf[n - 1] == '\n')
                n--;
        buf[n] = '\0';
        return n;
}

/* Field `wanted` (from 0) of our line in /etc/passwd (owned), or NULL. A static program has no NSS, so it is found by
   its uid (field 2). */
static char *from_passwd(unsigned wanted)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv rest, line, field;
        char uid[24];

        snprintf(uid, sizeof uid, "%u", (unsigned)getuid());
        if (er_file_read(AT_FDCWD, "/etc/passwd", 4u << 20, &text, NULL) < 0)
                return NULL;
        rest = er_svn(text.buf, text.len);
        while (er_sv_cut(&rest, '\n', &line)) {
                struct er_sv fields[7] = {{NULL, 0}};
                unsigned count = 0;

                while (count < ER_LEN(fields) && er_sv_cut(&line, ':', &field))
                        fields[count++] = field;
                if (count > wanted && count > 2 && er_sv_eq(fields[2], er_sv(uid)))
                        return er_sv_dup(fields[wanted]);
        }
        return NULL;
}

static char *from_environment(const char *name)
{
        const char *value = getenv(name);

        return value && value[0] ? er_strdup(value) : NULL;
}

int er_agent_init(struct er_agent *agent, const char *root, struct er_err *err)
{
        const char *pretended = getenv("ERRAND_BOOT_ID"); /* for tests of reboots */
        const char *hostname = getenv("ERRAND_HOSTNAME"); /* and of homes shared by several machines */

        agent->user = from_environment("USER");
        if (!agent->user)
                agent->user = from_environment("LOGNAME");
        if (!agent->user)
                agent->user = from_passwd(0);
        if (!agent->user)
                agent->user = er_fmt("%u", (unsigned)getuid());
        agent->home = from_environment("HOME");
        if (!agent->home || agent->home[0] != '/') {
                free(agent->home);
                agent->home = from_passwd(5);
        }
        if (!agent->home || agent->home[0] != '/') {
                if (!root) {
                        er_err_set(err, ER_CONFIG, "no home directory is known for user %s", agent->user);
                        return er_err_hint(err, "set HOME, or say where errand may keep its files: errand hosts add "
                                                "NAME ... --root DIR");
                }
                free(agent->home);
                agent->home = er_strdup("/");
        }
        if (!root)
                agent->root = er_path_join(agent->home, ".errand");
        else if (er_starts(root, "~/"))
                agent->root = er_path_join(agent->home, root + 2);
        else
                agent->root = root[0] == '/' ? er_strdup(root) : er_path_join(agent->home, root);
        if (pretended && pretended[0])
                snprintf(agent->boot_id, sizeof agent->boot_id, "%s", pretended);
        else if (er_read_small(AT_FDCWD, "/proc/sys/kernel/random/boot_id", agent->boot_id, sizeof agent->boot_id) < 0)
                agent->boot_id[0] = '\0';
        if (hostname && hostname[0])
                snprintf(agent->hostname, sizeof agent->hostname, "%s", hostname);
        else if (gethostname(agent->hostname, sizeof agent->hostname - 1) < 0)
                snprintf(agent->hostname, sizeof agent->hostname, "unknown");
        return 0;
}

void er_agent_release(struct er_agent *agent)
{
        free(agent->root);
        free(agent->home);
        free(agent->user);
        *agent = (struct er_agent)ER_AGENT_INIT;
}

#define ELSEWHERE "errand can keep its files elsewhere: errand hosts add NAME ... --root DIR"

int er_agent_fail(const struct er_agent *agent, int errnum, struct er_err *err, const char *fmt, ...)
{
        er_auto(er_str) what = ER_STR_INIT;
        struct statvfs fs;
        va_list args;

        va_start(args, fmt);
        er_str_addv(&what, fmt, args);
        va_end(args);
        if ((errnum == ENOSPC || errnum == EDQUOT) && statvfs(agent->root, &fs) == 0) {
                er_str_add(&what, " (");
                er_fmt_size(&what, (uint64_t)fs.f_bavail * fs.f_frsize);
                er_str_addf(&what, " and %llu files free in %s)", (unsigned long long)fs.f_favail, agent->root);
        }
        er_err_errno(err, errnum, "%s", what.buf);
        switch (errnum) {
        case ENOSPC:
        case EDQUOT:
                if (err)
                        err->code = ER_IO;
                er_err_hint(err, "free some space there (errand gc removes what nothing needs), or: " ELSEWHERE);
                break;
        case EROFS:
        case EACCES:
        case EPERM:
                er_err_hint(err, ELSEWHERE);
                break;
        default:
                break;
        }
        return -1;
}

/* mkdir -p that keeps the reason for its failure. 0, or -1 with errno. */
static int make_dirs(const char *path)
{
        er_autofree char *part = NULL;

        if (mkdir(path, 0700) == 0 || errno == EEXIST)
                return 0;
        if (errno != ENOENT)
                return -1;
        part = er_strdup(path);
        for (char *slash = part + 1;; *slash++ = '/') {
                slash = strchr(slash, '/');
                if (!slash)
                        break;
                *slash = '\0';
                if (mkdir(part, 0700) < 0 && errno != EEXIST && !er_file_exists(AT_FDCWD, part)) {
                        mkdir(part, 0700); /* for errno */
                        return -1;
                }
        }
        return mkdir(part, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

int er_agent_dir(const struct er_agent *agent, const char *path, bool make, int *ret_fd, struct er_err *err)
{
        er_autofree char *full = er_streq(path, ".") ? er_strdup(agent->root) : er_path_join(agent->root, path);
        int fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT && make) {
                if (make_dirs(full) < 0)
                        return er_agent_fail(agent, errno, err, "make %s", full);
                fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        if (fd < 0)
                return er_agent_fail(agent, errno, err, "open %s", full);
        *ret_fd = fd;
        return 0;
}

void er_random_hex(char ret[ER_RANDOM_HEX])
{
        uint64_t words[2];

        if (getrandom(words, sizeof words, 0) != (ssize_t)sizeof words) {
                /* The kernel does not have it: unique will do. */
                struct {
                        int64_t now, mono, pid, counter;
                } seed = {er_now_ms(), er_mono_us(), getpid(), 0};

                words[0] = er_hash64(&seed, sizeof seed);
                seed.counter++;
                words[1] = er_hash64(&seed, sizeof seed);
        }
        snprintf(ret, ER_RANDOM_HEX, "%016llx%016llx", (unsigned long long)words[0], (unsigned long long)words[1]);
}

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static void close_span(unsigned first, unsigned last)
{
        if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
                return;
        /* Before Linux 5.9. */
        for (unsigned fd = first; fd <= last && fd < 1024; fd++)
                close((int)fd);
}

void er_close_all_but(const int *keep, size_t count)
{
        unsigned from = 3;

        for (;;) {
                unsigned next = ~0u;

                for (size_t i = 0; i < count; i++)
                        if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
                                next = (unsigned)keep[i];
                if (next == ~0u)
                        break;
                if (next > from)
                        close_span(from, next - 1);
                from = next + 1;
        }
        close_span(from, ~0u);
}

void er_null_stdio(void)
{
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int i = 0; i < 3; i++) {
                if (fd >= 0)
                        dup2(fd, i);
                else
                        close(i);
        }
        if (fd > 2)
                close(fd);
}

bool er_name_is_safe(struct er_sv name, size_t max)
{
        if (name.len == 0 || name.len > max || name.ptr[0] == '.')
                return false;
        for (size_t i = 0; i < name.len; i++)
                if (name.ptr[i] == '/' || (unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
                        return false;
        return true;
}

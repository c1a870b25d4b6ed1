/* ptree.c - see ptree.h */
#include "agent/ptree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "agent/agent.h"
#include "base/io.h"
#include "base/parse.h"

struct pids {
        pid_t *items; /* (owned) */
        size_t len, cap;
};
#define PIDS_INIT {0}

static void release_pids(struct pids *pids)
{
        free(pids->items);
        *pids = (struct pids)PIDS_INIT;
}

static void add(struct pids *pids, pid_t pid)
{
        pids->items = er_grow(pids->items, &pids->cap, pids->len + 1, sizeof *pids->items);
        pids->items[pids->len++] = pid;
}

static bool has(const struct pids *pids, pid_t pid)
{
        for (size_t i = 0; i < pids->len; i++)
                if (pids->items[i] == pid)
                        return true;
        return false;
}

static bool parse_pid(const char *name, pid_t *ret)
{
        uint64_t number;

        if (name[0] < '0' || name[0] > '9' || er_parse_u64(name, INT32_MAX, &number, NULL) < 0)
                return false;
        *ret = (pid_t)number;
        return true;
}

/* Reads the `children` file of one thread: numbers and spaces. False when this kernel has no such files. */
static bool add_children_of_task(int task_fd, const char *tid, struct pids *pids)
{
        char path[64], buf[4096];
        pid_t number = 0;
        ssize_t n;
        int fd;

        snprintf(path, sizeof path, "%s/children", tid);
        fd = openat(task_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno != ENOENT || faccessat(task_fd, tid, F_OK, 0) < 0; /* the thread itself may be gone */
        while ((n = read(fd, buf, sizeof buf)) > 0) {
                for (ssize_t i = 0; i < n; i++) {
                        if (buf[i] >= '0' && buf[i] <= '9') {
                                number = (pid_t)(number * 10 + (buf[i] - '0'));
                        } else if (number > 0) {
                                add(pids, number);
                                number = 0;
                        }
                }
        }
        close(fd);
        return true;
}

static bool add_children(pid_t pid, struct pids *pids)
{
        char path[64];
        const struct dirent *entry;
        bool works = true;
        DIR *tasks;

        snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
        tasks = opendir(path);
        if (!tasks)
                return errno == ENOENT || errno == ESRCH || errno == EACCES;
        while (works && (entry = readdir(tasks)))
                if (entry->d_name[0] != '.')
                        works = add_children_of_task(dirfd(tasks), entry->d_name, pids);
        closedir(tasks);
        return works;
}

/* The text after the last ')': a process name may contain spaces and parentheses. */
static bool read_stat(pid_t pid, char *buf, size_t size, const char **ret_rest)
{
        char path[64];
        const char *end;

        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        if (er_read_small(AT_FDCWD, path, buf, size) <= 0)
                return false;
        end = strrchr(buf, ')');
        if (!end || end[1] != ' ')
                return false;
        *ret_rest = end + 2; /* field 3, the state */
        return true;
}

/* Field `number` (from 3, as in proc(5)) of what read_stat returned. */
static uint64_t stat_field(const char *rest, unsigned number)
{
        uint64_t value = 0;

        for (unsigned i = 3; i < number; i++) {
                rest = strchr(rest, ' ');
                if (!rest)
                        return 0;
                rest++;
        }
        for (; *rest >= '0' && *rest <= '9'; rest++)
                value = value * 10 + (uint64_t)(*rest - '0');
        return value;
}

/* For kernels without `children` files: passes over all processes, until one adds nothing. */
static void list_by_parent(pid_t root, struct pids *ret)
{
        struct pair {
                pid_t pid, parent;
        } *pairs = NULL;
        size_t len = 0, cap = 0;
        const struct dirent *entry;
        DIR *proc = opendir("/proc");

        if (!proc)
                return;
        while ((entry = readdir(proc))) {
                char buf[1024];
                const char *rest;
                pid_t pid;

                if (!parse_pid(entry->d_name, &pid) || !read_stat(pid, buf, sizeof buf, &rest))
                        continue;
                pairs = er_grow(pairs, &cap, len + 1, sizeof *pairs);
                pairs[len++] = (struct pair){pid, (pid_t)stat_field(rest, 4)};
        }
        closedir(proc);
        for (bool grew = true; grew;) {
                grew = false;
                for (size_t i = 0; i < len; i++) {
                        if (pairs[i].pid != root && (pairs[i].parent == root || has(ret, pairs[i].parent)) &&
                            !has(ret, pairs[i].pid)) {
                                add(ret, pairs[i].pid);
                                grew = true;
                        }
                }
        }
        free(pairs);
}

/* All descendants of root, without root itself. */
static void list_below(pid_t root, struct pids *ret)
{
        struct pids found = PIDS_INIT;
        bool works = add_children(root, &found);

        for (size_t i = 0; works && i < found.len; i++)
                works = add_children(found.items[i], &found);
        if (!works) {
                release_pids(&found);
                list_by_parent(root, &found);
        }
        release_pids(ret);
        *ret = found;
}

size_t er_ptree_signal(pid_t root, int sig)
{
        struct pids pids = PIDS_INIT;
        size_t count;

        list_below(root, &pids);
        for (size_t i = 0; i < pids.len; i++)
                kill(pids.items[i], sig);
        count = pids.len;
        release_pids(&pids);
        return count;
}

/* True when there are no children left at all. */
static bool reap(void (*reaped)(void *arg, pid_t pid, int status), void *arg)
{
        for (;;) {
                int status;
                pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);

                if (pid > 0) {
                        if (reaped)
                                reaped(arg, pid, status);
                } else if (pid == 0) {
                        return false;
                } else if (errno != EINTR) {
                        return true;
                }
        }
}

/* Stopped processes cannot fork, so once a pass finds nothing new, all of them are caught. */
static void stop_all(struct pids *stopped)
{
        for (int round = 0; round < 1000; round++) {
                struct pids now = PIDS_INIT;
                bool any = false;

                list_below(getpid(), &now);
                for (size_t i = 0; i < now.len; i++) {
                        if (!has(stopped, now.items[i])) {
                                kill(now.items[i], SIGSTOP);
                                add(stopped, now.items[i]);
                                any = true;
                        }
                }
                release_pids(&now);
                if (!any)
                        return;
        }
}

bool er_ptree_kill(er_deadline deadline, void (*reaped)(void *arg, pid_t pid, int status), void *arg)
{
        int pause_ms = 0;

        while (!reap(reaped, arg)) {
                struct pids stopped = PIDS_INIT;

                stop_all(&stopped);
                for (size_t i = 0; i < stopped.len; i++)
                        kill(stopped.items[i], SIGKILL);
                release_pids(&stopped);
                if (reap(reaped, arg))
                        return true;
                if (er_deadline_poll_ms(deadline) == 0)
                        return false;
                poll(NULL, 0, pause_ms);
                if (pause_ms < 20)
                        pause_ms++;
        }
        return true;
}

void er_ptree_measure(pid_t root, pid_t except, struct er_ptree_use *ret)
{
        struct pids pids = PIDS_INIT;
        long ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);

        *ret = (struct er_ptree_use){0};
        list_below(root, &pids);
        for (size_t i = 0; i < pids.len; i++) {
                char buf[1024];
                const char *rest;

                if (pids.items[i] == except || !read_stat(pids.items[i], buf, sizeof buf, &rest))
                        continue;
                ret->count++;
                /* 14 utime, 15 stime, 16 cutime, 17 cstime, 24 rss */
                for (unsigned field = 14; field <= 17; field++)
                        ret->cpu_ms += stat_field(rest, field) * 1000u / (uint64_t)(ticks > 0 ? ticks : 100);
                ret->rss += stat_field(rest, 24) * (uint64_t)page;
        }
        release_pids(&pids);
}

static bool is_marked(pid_t pid, const char *wanted)
{
        er_auto(er_str) env = ER_STR_INIT;
        struct er_sv rest, item;
        char path[64];

        snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
        if (er_file_read(AT_FDCWD, path, 4u << 20, &env, NULL) < 0)
                return false;
        rest = er_svn(env.buf, env.len);
        while (er_sv_cut(&rest, '\0', &item))
                if (er_sv_eq(item, er_sv(wanted)))
                        return true;
        return false;
}

uint64_t er_process_start(pid_t pid)
{
        char buf[1024];
        const char *rest;

        return read_stat(pid, buf, sizeof buf, &rest) ? stat_field(rest, 22) : 0;
}

static bool is_in(pid_t pid, const char *dir)
{
        size_t len = strlen(dir);
        char path[64], cwd[4096];
        ssize_t n;

        snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
        n = readlink(path, cwd, sizeof cwd - 1);
        if (n < (ssize_t)len || memcmp(cwd, dir, len) != 0)
                return false;
        cwd[n] = '\0';
        return cwd[len] == '\0' || cwd[len] == '/' || cwd[len] == ' '; /* "... (deleted)" */
}

static bool is_our_users(pid_t pid)
{
        char path[64];
        struct stat st;

        snprintf(path, sizeof path, "/proc/%d", (int)pid);
        return stat(path, &st) == 0 && st.st_uid == geteuid();
}

/* Converts clock time into ticks since boot. */
static uint64_t ticks_of(int64_t time_ms)
{
        struct timespec since_boot;
        long hz = sysconf(_SC_CLK_TCK);
        int64_t ms;

        clock_gettime(CLOCK_BOOTTIME, &since_boot);
        ms = (int64_t)since_boot.tv_sec * 1000 + since_boot.tv_nsec / 1000000 - (er_now_ms() - time_ms);
        return ms <= 0 ? 0 : (uint64_t)ms * (uint64_t)(hz > 0 ? hz : 100) / 1000;
}

/* The kernel reuses a session's number only when none of its processes is left. So the session is still the job's if
   its first process is, or if one of its other processes existed when we last saw it. */
struct session_look {
        bool is_another, is_ours;
        uint64_t limit; /* ticks */
};

static void look_at_member(const struct er_traces *traces, struct session_look *look, pid_t pid, uint64_t start)
{
        if (pid == traces->session && start != traces->session_start)
                look->is_another = true;
        else if (pid == traces->session || (start >= traces->session_start && start <= look->limit))
                look->is_ours = true;
}

/* One pass over all processes: kills those that their own traces identify, and collects those of the session. True:
   some were killed. */
static bool kill_known(const struct er_traces *traces, const char *mark, struct session_look *look,
                       struct pids *members)
{
        const struct dirent *entry;
        DIR *proc = opendir("/proc");
        bool any = false;

        while (proc && (entry = readdir(proc))) {
                char buf[1024];
                const char *rest;
                pid_t pid;

                if (!parse_pid(entry->d_name, &pid) || pid == getpid() || !is_our_users(pid) ||
                    !read_stat(pid, buf, sizeof buf, &rest) || rest[0] == 'Z')
                        continue;
                if (is_marked(pid, mark) || (traces->dir && stat_field(rest, 7) == 0 && is_in(pid, traces->dir))) {
                        kill(pid, SIGKILL);
                        any = true;
                }
                /* 5 process group, 6 session, 22 start */
                if (traces->session > 0 && traces->session_start > 0 &&
                    (stat_field(rest, 5) == (uint64_t)traces->session ||
                     stat_field(rest, 6) == (uint64_t)traces->session)) {
                        look_at_member(traces, look, pid, stat_field(rest, 22));
                        add(members, pid);
                }
        }
        if (proc)
                closedir(proc);
        return any;
}

void er_ptree_kill_traces(const struct er_traces *traces)
{
        er_autofree char *mark = er_fmt("ERRAND_ATTEMPT_ID=%s", traces->id);
        struct session_look look = {.limit = ticks_of(traces->session_seen_ms)};
        er_deadline deadline = er_deadline_in(5000);

        /* Repeats until a pass finds none: a process that forks during a pass may escape it. */
        for (bool any = true; any && er_deadline_poll_ms(deadline) != 0;) {
                struct pids members = PIDS_INIT;

                any = kill_known(traces, mark, &look, &members);
                for (size_t i = 0; look.is_ours && !look.is_another && i < members.len; i++) {
                        kill(members.items[i], SIGKILL);
                        any = true;
                }
                release_pids(&members);
                if (any)
                        poll(NULL, 0, 5);
        }
}

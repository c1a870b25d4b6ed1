/* listen.c - see listen.h */
#include "agent/serve/listen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent_build.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"

#define DIR_NAME "run"
#define AGE_MAX_MS 60000         /* then it ends, so that changes to the login environment take effect */
#define STALE_S 180              /* anything older was left by a listener that was killed */
#define NAME_LEN 24u             /* 96 random bits of the client's */
#define FULL_LEN (NAME_LEN + 9u) /* ... and what kind of session it is for */
#define LOCK_FD 3
#define SOCKET_FD 4

extern char **environ;

/* A hash of what sessions like ours have in common: mostly those of one connection, as SSH_CONNECTION is part of it. */
static uint64_t kind_of_session(const struct er_agent *agent)
{
        er_auto(er_str) all = ER_STR_INIT;
        struct stat cwd;

        er_str_addf(&all, "%s\n%s\n%s\n%s\n", ER_AGENT_BUILD, agent->root, agent->hostname, agent->boot_id);
        if (stat(".", &cwd) == 0)
                er_str_addf(&all, "%llu %llu\n", (unsigned long long)cwd.st_dev, (unsigned long long)cwd.st_ino);
        for (int i = 0; i < RLIM_NLIMITS; i++) {
                struct rlimit limit = {0, 0};

                getrlimit((__rlimit_resource_t)i, &limit);
                er_str_addf(&all, "%llu %llu\n", (unsigned long long)limit.rlim_cur,
                            (unsigned long long)limit.rlim_max);
        }
        for (char **e = environ; *e; e++)
                er_str_addn(&all, *e, strlen(*e) + 1);
        return er_hash64(all.buf, all.len);
}

/* Removes what killed listeners have left. */
static void sweep(int dir_fd)
{
        int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        int64_t now_s = er_now_ms() / 1000;
        struct dirent *entry;
        struct stat st;

        if (!dir) {
                er_close(&fd);
                return;
        }
        rewinddir(dir);
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.' && fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                    !S_ISDIR(st.st_mode) && (st.st_mtime < now_s - STALE_S || st.st_mtime > now_s + STALE_S))
                        unlinkat(dir_fd, entry->d_name, 0);
        closedir(dir);
}

/* Opens the directory of sockets; -1 when that fails, or when others could get into it. */
static int open_dir(const struct er_agent *agent)
{
        er_autofree char *path = er_path_join(agent->root, DIR_NAME);
        er_autoclose int fd = -1;
        struct stat st;

        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return -1;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
                return -1;
        return er_take_fd(&fd);
}

static int make_socket(const char *path)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        er_autoclose int fd = -1;

        if (strlen(path) >= sizeof addr.sun_path)
                return -1;
        memcpy(addr.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof addr) < 0)
                return -1;
        if (chmod(path, 0600) < 0 || listen(fd, SOMAXCONN) < 0) {
                unlink(path);
                return -1;
        }
        return er_take_fd(&fd);
}

/* Runs in the child of a fork and becomes the listener: by exec, because this process may hold a client's secrets. */
static _Noreturn void become(const struct er_agent *agent, int lock, int sock, char *name, int64_t linger_ms)
{
        er_autofree char *linger = er_fmt("%lld", (long long)linger_ms);
        char *argv[] = {
                (char[]){"errand-agent"}, (char[]){"--root"}, agent->root, (char[]){"listen"}, name, linger, NULL};
        int high = fcntl(sock, F_DUPFD, 10);

        if (high < 0 || setsid() < 0 || dup2(lock, LOCK_FD) < 0)
                _exit(1);
        if (lock == LOCK_FD)
                fcntl(lock, F_SETFD, 0);
        if (dup2(high, SOCKET_FD) < 0)
                _exit(1);
        er_null_stdio();
        er_close_all_but((const int[]){LOCK_FD, SOCKET_FD}, 2);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGCHLD, SIG_DFL);
        execve("/proc/self/exe", argv, environ);
        _exit(1);
}

static char *socket_path(const struct er_agent *agent, const char *name)
{
        return er_fmt("%s/" DIR_NAME "/%s", agent->root, name);
}

/* Called with the lock held, when nobody listens: starts a listener. False: that failed. */
static bool start(const struct er_agent *agent, int dir_fd, int lock, char *name, int64_t linger_ms)
{
        er_autofree char *path = socket_path(agent, name);
        er_autoclose int sock = -1;
        pid_t pid;

        sweep(dir_fd);
        unlink(path); /* left by one that was killed */
        sock = make_socket(path);
        if (sock < 0)
                return false;
        pid = fork();
        if (pid == 0)
                become(agent, lock, sock, name, linger_ms);
        if (pid < 0)
                unlink(path);
        return pid > 0;
}

char *er_listen_find(const struct er_agent *agent, struct er_sv name, int64_t linger_ms)
{
        er_autofree char *full = NULL;
        er_autofree char *lock_name = NULL;
        er_autoclose int dir_fd = -1;
        er_autoclose int lock = -1;
        struct stat st;

        /* Without sshd nobody could reach it. */
        if (!getenv("SSH_CONNECTION") || linger_ms <= 0 || name.len != NAME_LEN)
                return NULL;
        for (size_t i = 0; i < name.len; i++)
                if (!strchr("0123456789abcdef", name.ptr[i]) || !name.ptr[i])
                        return NULL;
        dir_fd = open_dir(agent);
        if (dir_fd < 0)
                return NULL;
        full = er_fmt("%.*s-%08llx", (int)name.len, name.ptr, (unsigned long long)kind_of_session(agent) & 0xffffffffu);
        lock_name = er_fmt("%s.lock", full);
        lock = openat(dir_fd, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock < 0)
                return NULL;
        if (flock(lock, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? socket_path(agent, full) : NULL;
        /* The last listener was just removing it. */
        if (fstat(lock, &st) < 0 || st.st_nlink == 0)
                return NULL;
        return start(agent, dir_fd, lock, full, linger_ms) ? socket_path(agent, full) : NULL;
}

/* Only root and the user can reach the socket in any case; this makes sure. */
static bool is_ours(int fd)
{
        struct ucred peer;
        socklen_t len = sizeof peer;

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

/* Accepts everyone who waits. True in a child, which has one client to serve. */
static bool serve_waiting(bool *ret_came)
{
        for (;;) {
                er_autoclose int client = accept4(SOCKET_FD, NULL, NULL, SOCK_CLOEXEC);

                if (client < 0 && (errno == EINTR || errno == ECONNABORTED))
                        continue;
                if (client < 0)
                        return false;
                if (!is_ours(client))
                        continue;
                *ret_came = true;
                if (fork() != 0) /* when fork fails, the connection closes, and the client opens a session of its own */
                        continue;
                prctl(PR_SET_NAME, "errand-agent");
                signal(SIGCHLD, SIG_DFL);
                setsid();
                dup2(client, 0);
                dup2(client, 1);
                close(LOCK_FD);
                close(SOCKET_FD);
                return true;
        }
}

bool er_listen_run(const struct er_agent *agent, char **args, int count)
{
        er_deadline end = er_deadline_in(AGE_MAX_MS), idle;
        er_autofree char *lock = NULL;
        er_autofree char *path = NULL;
        uint64_t linger_ms = 0;
        bool came = false;

        if (count != 2 || !er_name_is_safe(er_sv(args[0]), FULL_LEN) ||
            er_parse_u64(args[1], ER_LINGER_MAX_MS, &linger_ms, NULL) < 0)
                return false;
        path = socket_path(agent, args[0]);
        lock = er_fmt("%s.lock", path);
        fcntl(LOCK_FD, F_SETFD, FD_CLOEXEC);
        fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC);
        signal(SIGCHLD, SIG_IGN);
        prctl(PR_SET_NAME, "errand-listen");
        for (idle = er_deadline_in((int64_t)linger_ms); er_deadline_poll_ms(idle < end ? idle : end) != 0;) {
                struct pollfd p = {.fd = SOCKET_FD, .events = POLLIN};

                if (poll(&p, 1, er_deadline_poll_ms(idle < end ? idle : end)) < 0 && errno != EINTR)
                        break;
                came = false;
                if (serve_waiting(&came))
                        return true;
                if (came)
                        idle = er_deadline_in((int64_t)linger_ms);
        }
        /* Without a name nobody new can come; those who already have are still served. */
        unlink(path);
        unlink(lock);
        return serve_waiting(&came);
}

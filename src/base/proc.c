/* proc.c - see proc.h. Between fork and exec it makes only async-signal-safe calls: other threads may hold any lock. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#include "base/io.h"

extern char **environ;

char *er_proc_which(const char *name)
{
        const char *path = getenv("PATH");
        struct er_sv rest, part;

        if (strchr(name, '/'))
                return access(name, X_OK) == 0 ? er_strdup(name) : NULL;
        if (!*name)
                return NULL;
        rest = er_sv(path && path[0] ? path : "/usr/local/bin:/usr/bin:/bin");
        while (er_sv_cut(&rest, ':', &part)) {
                er_autofree char *full = part.len ? er_fmt("%.*s/%s", (int)part.len, part.ptr, name)
                                                  : er_fmt("./%s", name);
                struct stat st;

                if (stat(full, &st) == 0 && S_ISREG(st.st_mode) && access(full, X_OK) == 0)
                        return er_take(full);
        }
        return NULL;
}

/* What the child needs; prepared before the fork. */
struct child {
        const struct er_proc_opts *opts;
        const char *program;
        int sources[3]; /* for 0, 1 and 2; -1: leave it as it is */
        int error_fd;
        pid_t parent;
};

/* The step that failed and its errno. The child sends them through a pipe that exec closes. */
struct child_failure {
        int step; /* 1: working directory, 2: descriptors, 3: exec */
        int errnum;
};

static _Noreturn void run_child(const struct child *child)
{
        struct child_failure failure = {1, 0};
        struct sigaction plain = {.sa_handler = SIG_DFL};
        sigset_t none;
        int fds[3];
        /* A descriptor above 2, even if we were started without 0, 1 or 2. */
        int error_fd = fcntl(child->error_fd, F_DUPFD_CLOEXEC, 3);

        if (child->opts->new_session)
                setsid();
#ifdef __linux__
        if (child->opts->die_with_us) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != child->parent)
                        _exit(127); /* our parent died before prctl() */
        }
#endif
        if (child->opts->cwd && chdir(child->opts->cwd) < 0)
                goto failed;
        failure.step = 2;
        /* First move all of them above 2: the source of one may be the target of another. */
        for (int i = 0; i < 3; i++) {
                fds[i] = child->sources[i] < 0 ? -1 : fcntl(child->sources[i], F_DUPFD_CLOEXEC, 3);
                if (child->sources[i] >= 0 && fds[i] < 0)
                        goto failed;
        }
        for (int i = 0; i < 3; i++)
                if (fds[i] >= 0 && dup2(fds[i], i) < 0)
                        goto failed;
        /* We ignore SIGPIPE and block signals; the program must not inherit that. */
        sigaction(SIGPIPE, &plain, NULL);
        sigaction(SIGCHLD, &plain, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        failure.step = 3;
        /* ETXTBSY: a child of another thread holds a program that was just written open for writing, until it execs. */
        for (int tries = 0; tries < 200; tries++) {
                execve(child->program, child->opts->argv, child->opts->env ? child->opts->env : environ);
                if (errno != ETXTBSY)
                        break;
                poll(NULL, 0, 5);
        }
failed:
        failure.errnum = errno;
        if (write(error_fd, &failure, sizeof failure) < 0) {
                /* nobody is listening; the exit status says it */
        }
        _exit(127);
}

static void close_both(int fds[2])
{
        er_close(&fds[0]);
        er_close(&fds[1]);
}

/* Fills in the child's descriptors and our ends. The caller closes those in ret_opened, which are only for the child.
 */
static int prepare_io(const struct er_proc_opts *opts, int sources[3], int ours[3], int opened[3])
{
        for (int i = 0; i < 3; i++) {
                int fds[2];

                switch (opts->io[i]) {
                case ER_PROC_INHERIT:
                        break;
                case ER_PROC_FD:
                        sources[i] = opts->fds[i];
                        break;
                case ER_PROC_NULL:
                        opened[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
                        if (opened[i] < 0)
                                return -1;
                        sources[i] = opened[i];
                        break;
                case ER_PROC_PIPE:
                        if (er_pipe(fds) < 0)
                                return -1;
                        opened[i] = i == 0 ? fds[0] : fds[1];
                        ours[i] = i == 0 ? fds[1] : fds[0];
                        sources[i] = opened[i];
                        break;
                }
        }
        return 0;
}

static int explain(const struct child *child, const struct child_failure *failure, struct er_err *err)
{
        if (failure->step == 1)
                return er_err_errno(err, failure->errnum, "enter the directory %s", child->opts->cwd);
        if (failure->step == 2)
                return er_err_errno(err, failure->errnum, "redirect for %s", child->opts->argv[0]);
        return er_err_errno(err, failure->errnum, "execute %s", child->opts->argv[0]);
}

int er_proc_start(const struct er_proc_opts *opts, struct er_proc *ret, struct er_err *err)
{
        int ours[3] = {-1, -1, -1}, opened[3] = {-1, -1, -1}, error_pipe[2] = {-1, -1};
        struct child child = {.opts = opts, .sources = {-1, -1, -1}, .error_fd = -1, .parent = getpid()};
        struct child_failure failure;
        er_autofree char *program = er_proc_which(opts->argv[0]);
        ssize_t n;
        pid_t pid;

        if (!program && !strchr(opts->argv[0], '/')) {
                er_err_set(err, ER_NOT_FOUND, "%s: no such program in PATH", opts->argv[0]);
                return -1;
        }
        child.program = program ? program : opts->argv[0]; /* execve then says what is wrong with it */
        if (prepare_io(opts, child.sources, ours, opened) < 0 || er_pipe(error_pipe) < 0) {
                er_err_errno(err, errno, "start %s", opts->argv[0]);
                goto failed;
        }
        child.error_fd = error_pipe[1];
        pid = fork();
        if (pid == 0)
                run_child(&child);
        if (pid < 0) {
                er_err_errno(err, errno, "start %s: fork", opts->argv[0]);
                goto failed;
        }
        er_close(&error_pipe[1]);
        n = er_read_full(error_pipe[0], &failure, sizeof failure);
        if (n != 0) {
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
                if (n == (ssize_t)sizeof failure)
                        explain(&child, &failure, err);
                else
                        er_err_set(err, ER_INTERNAL, "start %s: the child sent nonsense", opts->argv[0]);
                goto failed;
        }
        er_close(&error_pipe[0]);
        for (int i = 0; i < 3; i++)
                er_close(&opened[i]);
        ret->pid = pid;
        memcpy(ret->io, ours, sizeof ret->io);
        return 0;
failed:
        close_both(error_pipe);
        for (int i = 0; i < 3; i++) {
                er_close(&opened[i]);
                er_close(&ours[i]);
        }
        return -1;
}

/* A descriptor that becomes readable when the process ends, or -1 if the system has no such thing. */
static int exit_fd(pid_t pid)
{
#if defined(__linux__) && defined(SYS_pidfd_open)
        return (int)syscall(SYS_pidfd_open, pid, 0); /* always O_CLOEXEC */
#else
        (void)pid;
        return -1;
#endif
}

static int status_of(int raw)
{
        return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
}

/* 1: it has ended, with its status; 0: it is still running; -1: it is not our child. */
static int reap(struct er_proc *proc, bool wait, int *ret_status)
{
        int raw;
        pid_t got;

        do
                got = waitpid(proc->pid, &raw, wait ? 0 : WNOHANG);
        while (got < 0 && errno == EINTR);
        if (got == 0)
                return 0;
        proc->pid = 0;
        if (got < 0)
                return -1;
        *ret_status = status_of(raw);
        return 1;
}

int er_proc_wait(struct er_proc *proc, er_deadline deadline, int *ret_status, struct er_err *err)
{
        int done, pause_ms = 1;
        er_autoclose int fd = -1;

        if (proc->pid <= 0)
                return er_err_set(err, ER_INTERNAL, "wait for a process that was not started");
        done = reap(proc, deadline == ER_NEVER, ret_status);
        if (done == 0)
                fd = exit_fd(proc->pid);
        while (done == 0) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                int left = er_deadline_poll_ms(deadline);

                if (left == 0)
                        return er_err_set(err, ER_TIMEOUT, "process %d has not ended in time", (int)proc->pid);
                /* Without such a descriptor (poll ignores fd < 0), look now and then. */
                poll(&p, 1, fd >= 0 ? left : left < pause_ms ? left : pause_ms);
                if (pause_ms < 50)
                        pause_ms *= 2;
                done = reap(proc, false, ret_status);
        }
        if (done < 0)
                return er_err_set(err, ER_INTERNAL, "the exit status of a process of ours was taken by somebody else");
        return 0;
}

void er_proc_kill(struct er_proc *proc)
{
        int status;

        if (proc->pid <= 0)
                return;
        kill(proc->pid, SIGKILL);
        reap(proc, true, &status);
}

void er_proc_release(struct er_proc *proc)
{
        for (int i = 0; i < 3; i++)
                er_close(&proc->io[i]);
        er_proc_kill(proc);
}

/* So that a write to a pipe without a reader does not kill us, whatever this process does about SIGPIPE. */
struct pipe_guard {
        sigset_t before;
        bool was_pending;
};

static void guard_begin(struct pipe_guard *guard)
{
        sigset_t set;

        sigpending(&set);
        guard->was_pending = sigismember(&set, SIGPIPE) == 1;
        sigemptyset(&set);
        sigaddset(&set, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &set, &guard->before);
}

static void guard_end(const struct pipe_guard *guard)
{
        sigset_t set;
        int saved = errno, signal_number;

        sigpending(&set);
        if (!guard->was_pending && sigismember(&set, SIGPIPE) == 1) {
                sigemptyset(&set);
                sigaddset(&set, SIGPIPE);
                sigwait(&set, &signal_number);
        }
        pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
        errno = saved;
}

static void feed(int *fd, struct er_sv *input)
{
        struct pipe_guard guard;
        ssize_t n;

        guard_begin(&guard);
        n = write(*fd, input->ptr, input->len);
        guard_end(&guard);
        if (n > 0) {
                input->ptr += n;
                input->len -= (size_t)n;
        }
        /* A program may end before it has read everything; its status says whether that is an error. */
        if (input->len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                er_close(fd);
}

/* True if something was read. Closes it at the end of the data. */
static bool drain(int *fd, struct er_str *into, size_t max)
{
        char buf[16384];
        ssize_t n = read(*fd, buf, sizeof buf);

        if (n > 0) {
                size_t room = into && into->len < max ? max - into->len : 0;

                if (room > 0)
                        er_str_addn(into, buf, (size_t)n < room ? (size_t)n : room);
                return true;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
                er_close(fd);
        return false;
}

/* Moves bytes until both outputs are closed, or the process has ended and all that it wrote has been read: a child that
 * it left behind (such as ssh's master) may hold the pipe open for hours. */
static int pump(struct er_proc *proc, struct er_sv input, struct er_str *outs[3], size_t max, er_deadline deadline,
                int *ret_status, const char *name, struct er_err *err)
{
        er_autoclose int over_fd = exit_fd(proc->pid);
        int over = 0, pause_ms = 1;

        for (int i = 0; i < 3; i++)
                if (proc->io[i] >= 0)
                        er_set_nonblock(proc->io[i], true);
        while (proc->io[1] >= 0 || proc->io[2] >= 0 || proc->io[0] >= 0) {
                struct pollfd p[4] = {
                        {.fd = proc->io[0], .events = POLLOUT},
                        {.fd = proc->io[1], .events = POLLIN},
                        {.fd = proc->io[2], .events = POLLIN},
                        {.fd = over_fd, .events = POLLIN},
                };
                int left = er_deadline_poll_ms(deadline);
                bool moved = false;

                if (left == 0)
                        break;
                if (over_fd < 0 && (left < 0 || left > pause_ms))
                        left = pause_ms;
                if (pause_ms < 50)
                        pause_ms *= 2;
                if (poll(p, 4, over ? 0 : left) < 0 && errno != EINTR)
                        return er_err_errno(err, errno, "wait for %s", name);
                for (int i = 1; i < 3; i++)
                        if (proc->io[i] >= 0 && p[i].revents && drain(&proc->io[i], outs[i], max))
                                moved = true;
                if (proc->io[0] >= 0 && p[0].revents)
                        feed(&proc->io[0], &input);
                if (over && !moved)
                        break;
                if (!over)
                        over = reap(proc, false, ret_status);
        }
        for (int i = 0; i < 3; i++)
                er_close(&proc->io[i]);
        if (over > 0)
                return 0;
        if (over < 0)
                return er_err_set(err, ER_INTERNAL, "the exit status of %s was taken by somebody else", name);
        if (er_proc_wait(proc, deadline, ret_status, err) < 0) {
                er_proc_kill(proc);
                return er_err_wrap(err, "%s", name);
        }
        return 0;
}

int er_proc_run(const struct er_proc_opts *opts, struct er_sv input, struct er_str *out, struct er_str *errout,
                size_t max, er_deadline deadline, int *ret_status, struct er_err *err)
{
        struct er_proc_opts own = *opts;
        struct er_str *outs[3] = {NULL, out, errout};
        er_auto(er_proc) proc = ER_PROC_INIT;

        for (int i = 0; i < 3; i++) {
                bool piped = i == 0 ? input.ptr != NULL : outs[i] != NULL;

                if (piped)
                        own.io[i] = ER_PROC_PIPE;
                else if (own.io[i] != ER_PROC_FD)
                        own.io[i] = ER_PROC_NULL;
        }
        if (er_proc_start(&own, &proc, err) < 0)
                return -1;
        return pump(&proc, input, outs, max, deadline, ret_status, opts->argv[0], err);
}

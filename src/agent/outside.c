/* outside.c - see outside.h */
#include "agent/outside.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/agent.h"
#include "base/clock.h"
#include "base/io.h"

#define TRY_MS 30000
#define LOOK_MS 10
#define WORDS_MAX (64u * 1024)
#define SAID_MAX 300

bool er_outside_read(int at, const char *path, struct er_strv *ret)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (!er_file_exists(at, path) || er_file_read(at, path, WORDS_MAX, &text, NULL) < 0)
                return false;
        for (size_t i = 0; i < text.len; i += strlen(text.buf + i) + 1)
                er_strv_add(ret, text.buf + i);
        return ret->len > 0;
}

static _Noreturn void become(const struct er_strv *words, int out_fd)
{
        sigset_t none;

        for (int sig = 1; sig < NSIG; sig++)
                signal(sig, SIG_DFL); /* those that cannot be set stay as they are */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        er_null_stdio();
        dup2(out_fd, 1);
        dup2(out_fd, 2);
        execvp(words->items[0], words->items);
        _exit(127);
}

/* Reads what the command prints until it ends, or until the deadline. Returns its wait status, or -1. */
static int hear_out(pid_t pid, int fd, er_deadline deadline, struct er_str *ret)
{
        char bytes[512];
        int status = -1;
        pid_t got;

        do {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                ssize_t n = poll(&p, 1, LOOK_MS) > 0 && (p.revents & POLLIN) ? read(fd, bytes, sizeof bytes) : 0;

                if (n > 0 && ret->len < WORDS_MAX)
                        er_str_addn(ret, bytes, (size_t)n);
                if (p.revents && n <= 0)
                        poll(NULL, 0, LOOK_MS);
                got = waitpid(pid, &status, WNOHANG);
        } while ((got == 0 || (got < 0 && errno == EINTR)) && er_deadline_poll_ms(deadline) != 0);
        if (got != 0)
                return got == pid ? status : -1;
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return -1;
}

static void keep_last_line(const char *program, struct er_str *text, struct er_str *ret)
{
        struct er_sv rest = er_svn(text->buf, text->len), line, last = er_sv("it does not answer");

        while (er_sv_cut(&rest, '\n', &line)) {
                line = er_sv_trim(line);
                if (line.len > 0)
                        last = line;
        }
        er_str_reset(ret);
        er_str_addf(ret, "its container cannot be stopped: %s: %.*s", program,
                    (int)(last.len > SAID_MAX ? SAID_MAX : last.len), last.ptr);
}

bool er_outside_end(const struct er_strv *words, struct er_str *said)
{
        er_auto(er_str) text = ER_STR_INIT;
        er_autoclose int out_fd = -1;
        int fds[2], status = -1;
        pid_t pid;

        if (er_pipe(fds) < 0)
                return false;
        out_fd = fds[0];
        pid = fork();
        if (pid == 0)
                become(words, fds[1]);
        close(fds[1]);
        er_set_nonblock(out_fd, true);
        if (pid > 0)
                status = hear_out(pid, out_fd, er_deadline_in(TRY_MS), &text);
        if (status >= 0 && WIFEXITED(status) &&
            (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127))
                return true;
        keep_last_line(words->items[words->len > 1 ? words->len - 2 : 0], &text, said);
        return false;
}

bool er_outside_end_of(int at, const char *path, struct er_str *said)
{
        er_auto(er_strv) words = ER_STRV_INIT;

        return !er_outside_read(at, path, &words) || er_outside_end(&words, said);
}

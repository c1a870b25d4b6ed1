/* master.c - see master.h */
#include "host/connect/master.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "host/connect/control.h"
#include "host/connect/link.h"
#include "host/connect/mux.h"
#include "host/connect/ssh.h"
#include "host/connect/ssh_explain.h"

#define EXTRA_PERSIST_S 60 /* for connections beyond the first, made in a rush */
#define TURNS 4u           /* logins to one host at once */
#define SAID_MAX (64u * 1024)

/* How a start failed; the lock file holds this too, followed by ssh's words. */
struct failure {
        int64_t when_ms; /* er_mono_ms, the same for all processes; 0: it did not fail */
        int status;
        int way; /* enum er_ssh_way: not straight when the words of a proxy are among ssh's */
};

int er_master_try_turn(const struct er_host *host)
{
        er_autofree char *base = er_control_file(host, "turn");
        uint32_t first = er_random_below(TURNS);

        for (uint32_t i = 0; i < TURNS; i++) {
                er_autofree char *path = er_fmt("%s%u", base, (first + i) % TURNS);
                int fd;

                if (er_lock_file(path, 0, &fd, NULL) == 0)
                        return fd;
        }
        return -1;
}

int er_master_turn(const struct er_connect *connect, int *ret_fd, struct er_err *err)
{
        er_deadline deadline = er_deadline_in(connect->patience_ms * 10);

        for (;;) {
                int fd = er_master_try_turn(connect->host);

                if (fd >= 0) {
                        *ret_fd = fd;
                        return 0;
                }
                if (er_deadline_poll_ms(deadline) == 0) {
                        er_err_set(err, ER_TIMEOUT, "%s: too many others are logging in there", connect->host->name);
                        return er_err_retry(err);
                }
                if (er_connect_pause(connect, 20, err) < 0)
                        return -1;
        }
}

/* ssh creates the socket under another name and links it into place. Where linking fails, it would go to the
   background without a socket and stay there, so linking is tried first. */
static bool sockets_work(const char *path)
{
        er_autofree char *made = er_fmt("%s.try%d", path, (int)getpid());
        er_autofree char *linked = er_fmt("%s.lnk%d", path, (int)getpid());
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        er_autoclose int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        bool works;

        if (fd < 0 || strlen(made) >= sizeof addr.sun_path)
                return fd >= 0; /* a long process id: nothing learnt */
        memcpy(addr.sun_path, made, strlen(made) + 1);
        works = bind(fd, (const struct sockaddr *)&addr, sizeof addr) == 0 && link(made, linked) == 0;
        unlink(made);
        unlink(linked);
        return works;
}

/* An unlinked file for ssh's messages: the master keeps its stderr open in the background, so a pipe would never
   reach its end. */
static int open_words(const char *path)
{
        er_autofree char *name = er_fmt("%s.XXXXXX", path);
        int fd = mkostemp(name, O_CLOEXEC);

        if (fd >= 0)
                unlink(name);
        return fd;
}

static void read_words(int fd, struct er_str *ret)
{
        char buf[4096];
        off_t offset = 0;
        ssize_t n;

        while (ret->len < SAID_MAX && (n = pread(fd, buf, sizeof buf, offset)) > 0) {
                er_str_addn(ret, buf, (size_t)n);
                offset += n;
        }
}

/* Waits until ssh has gone to the background (0) or failed (another status). -1 with err: cancelled, or too slow. */
static int wait_login(const struct er_connect *connect, struct er_proc *proc, int *ret_status, struct er_err *err)
{
        /* ssh itself limits the time to reach the host; a person may take long to type a password. */
        er_deadline deadline = connect->interactive ? ER_NEVER : er_deadline_in(connect->patience_ms + 15000);
        er_deadline hint = er_deadline_in(3000);

        for (;;) {
                if (er_proc_wait(proc, er_deadline_in(50), ret_status, NULL) == 0)
                        return 0;
                if (proc->pid <= 0)
                        return er_err_set(err, ER_INTERNAL, "%s: ssh was lost", connect->host->name);
                if (er_connect_cancelled(connect, err))
                        return -1;
                if (er_deadline_poll_ms(deadline) == 0) {
                        er_err_set(err, ER_NET, "%s: no login within %lld s", connect->host->name,
                                   (long long)(connect->patience_ms / 1000));
                        return er_err_retry(err);
                }
                if (connect->interactive && hint != ER_NEVER && er_deadline_poll_ms(hint) == 0) {
                        er_connect_note(connect, "%s: waiting for ssh (does a security key need a touch?)",
                                        connect->host->name);
                        hint = ER_NEVER;
                }
        }
}

static enum er_master_result explain(const struct er_connect *connect, const struct failure *failure,
                                     const struct er_str *said, struct er_err *err)
{
        bool momentary = er_ssh_explain_way(connect->host, (enum er_ssh_way)failure->way, connect->interactive,
                                            said->buf, failure->status, err);

        return momentary ? ER_MASTER_REFUSED : ER_MASTER_FAILED;
}

static enum er_ssh_way find_way(const struct er_host *host)
{
        er_auto(er_strv) extra = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_str) config = ER_STR_INIT;
        struct er_proc_opts opts = {.io = {ER_PROC_NULL}};
        int status = -1;

        er_strv_add(&extra, "-G");
        if (er_ssh_argv(host, false, 1000, &extra, &argv, NULL) < 0)
                return ER_WAY_STRAIGHT;
        opts.argv = argv.items;
        if (er_proc_run(&opts, er_sv(NULL), &config, NULL, SAID_MAX, er_deadline_in(5000), &status, NULL) < 0)
                return ER_WAY_STRAIGHT;
        return er_ssh_way(config.buf);
}

/* An ssh that is to go to the background sends its proxy's stderr to /dev/null. So where there is a proxy, and nothing
   is known of the failure but that the connection ended, a plain ssh is asked once for the words that were lost. */
static void ask_the_way(const struct er_connect *connect, const char *path, struct failure *failure,
                        struct er_str *said)
{
        struct er_connect own = *connect;
        enum er_ssh_way way = find_way(connect->host);
        er_auto(er_strv) extra = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_strv) env = ER_STRV_INIT;
        er_auto(er_proc) proc = ER_PROC_INIT;
        er_autoclose int words = way == ER_WAY_STRAIGHT ? -1 : open_words(path);
        struct er_proc_opts opts = {
                .io = {ER_PROC_NULL, ER_PROC_NULL, ER_PROC_FD}, .fds = {-1, -1, words}, .new_session = true};
        int status = 0;

        own.interactive = false; /* a person has been asked already */
        er_strv_add(&extra, "-oControlMaster=no");
        er_strv_add(&extra, "-oControlPath=none");
        er_strv_add(&extra, "-oControlPersist=no");
        if (words < 0 || er_ssh_argv(connect->host, false, connect->patience_ms, &extra, &argv, NULL) < 0)
                return;
        er_strv_add(&argv, "true");
        er_link_vars(&env);
        opts.argv = argv.items;
        opts.env = env.items;
        if (er_proc_start(&opts, &proc, NULL) < 0 || wait_login(&own, &proc, &status, NULL) < 0 || status != 255)
                return; /* it gets through now, or hangs */
        er_str_reset(said);
        read_words(words, said);
        failure->way = (int)way;
        er_debug("host", "ssh to %s without a master: %s", connect->host->name, said->buf);
}

static enum er_master_result run_ssh(const struct er_connect *connect, const char *path, int slot,
                                     struct failure *failure, struct er_str *said, struct er_err *err)
{
        uint64_t persist_s = er_control_persist_s();
        er_auto(er_strv) extra = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_strv) env = ER_STRV_INIT;
        er_auto(er_proc) proc = ER_PROC_INIT;
        er_autoclose int words = open_words(path);
        struct er_proc_opts opts = {.io = {ER_PROC_NULL, ER_PROC_NULL, ER_PROC_FD},
                                    .fds = {-1, -1, words},
                                    .new_session = !connect->interactive};
        enum er_master_result result;

        er_strv_add(&extra, "-fNM");
        er_strv_addf(&extra, "-S%s", path);
        if (slot > 0 && persist_s > EXTRA_PERSIST_S)
                persist_s = EXTRA_PERSIST_S;
        er_strv_addf(&extra, "-oControlPersist=%llu", (unsigned long long)persist_s);
        if (er_ssh_argv(connect->host, connect->interactive, connect->patience_ms, &extra, &argv, err) < 0)
                return ER_MASTER_FAILED;
        if (words < 0)
                return ER_MASTER_UNUSABLE;
        er_link_vars(&env);
        opts.argv = argv.items;
        opts.env = env.items;
        if (er_proc_start(&opts, &proc, err) < 0) {
                er_err_hint(err, "install OpenSSH's client (package openssh-client)");
                return ER_MASTER_FAILED;
        }
        if (wait_login(connect, &proc, &failure->status, err) < 0)
                return ER_MASTER_FAILED;
        if (failure->status == 0)
                return access(path, F_OK) == 0 ? ER_MASTER_UP : ER_MASTER_UNUSABLE;
        failure->when_ms = er_mono_ms();
        read_words(words, said);
        er_debug("host", "ssh to %s: status %d: %s", connect->host->name, failure->status, said->buf);
        result = explain(connect, failure, said, err);
        if (err->code != ER_TRANSPORT)
                return result;
        ask_the_way(connect, path, failure, said);
        er_err_clear(err);
        return explain(connect, failure, said, err);
}

/* Takes the lock of a slot, whose holder is starting that master. 1: taken; 0: the master has come up meanwhile; -1
   with err: cancelled, or (without waiting) another process holds it. */
static int lock_slot(const struct er_connect *connect, const char *path, bool wait, int *ret_fd, struct er_err *err)
{
        er_autofree char *lock = er_fmt("%s.lock", path);
        int errnum = 0;

        for (int64_t pause_ms = 5;; pause_ms = pause_ms < 40 ? pause_ms * 2 : 40) {
                if (er_lock_file(lock, 0, ret_fd, err) == 0) {
                        if (er_mux_listens(path, &errnum)) {
                                er_close(ret_fd);
                                return 0;
                        }
                        /* Left behind by a master that was killed; ssh would not replace it. */
                        if (errnum == ECONNREFUSED)
                                unlink(path);
                        return 1;
                }
                if (!wait || er_connect_pause(connect, pause_ms, err) < 0)
                        return -1;
                if (er_mux_listens(path, NULL))
                        return 0;
        }
}

/* The result of the last start is kept in the lock file for those who were waiting for it: if a host is dead, two
   hundred processes must not wait for it one after another. */
static void leave_failure(int lock, const struct failure *failure, const struct er_str *said)
{
        if (ftruncate(lock, 0) < 0 || failure->when_ms == 0 || er_pwrite_full(lock, failure, sizeof *failure, 0) < 0)
                return;
        er_pwrite_full(lock, said->buf, said->len, (off_t)sizeof *failure);
}

static bool find_failure(int lock, int64_t since_ms, struct failure *ret, struct er_str *said)
{
        char buf[4096];
        ssize_t n;

        if (er_pread_full(lock, ret, sizeof *ret, 0) != (ssize_t)sizeof *ret || ret->when_ms <= since_ms)
                return false;
        n = er_pread_full(lock, buf, sizeof buf, (off_t)sizeof *ret);
        if (n > 0)
                er_str_addn(said, buf, (size_t)n);
        return true;
}

enum er_master_result er_master_start(const struct er_connect *connect, int slot, bool has_turn, struct er_err *err)
{
        er_autofree char *path = er_control_path(connect->host, slot);
        er_auto(er_str) said = ER_STR_INIT;
        er_autoclose int lock = -1;
        er_autoclose int turn = -1;
        struct failure failure = {0};
        int64_t since_ms = er_mono_ms();
        enum er_master_result result;
        int got;

        if (!path)
                return ER_MASTER_UNUSABLE;
        got = lock_slot(connect, path, !has_turn, &lock, err);
        if (got == 0)
                return ER_MASTER_UP;
        if (got < 0)
                return has_turn ? ER_MASTER_BUSY : ER_MASTER_FAILED;
        if (find_failure(lock, since_ms, &failure, &said))
                return explain(connect, &failure, &said, err);
        if (!has_turn && er_master_turn(connect, &turn, err) < 0)
                return ER_MASTER_FAILED;
        if (!sockets_work(path))
                return ER_MASTER_UNUSABLE;
        failure = (struct failure){0};
        result = run_ssh(connect, path, slot, &failure, &said, err);
        leave_failure(lock, &failure, &said);
        return result;
}

#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/io.h"
#include "host/connect/mux.h"

/* A master that follows a script of bytes; what it was sent is checked by hand, against PROTOCOL.mux. */
struct master {
        char *dir, *path;
        int listener;
        pthread_t thread;
        bool running;
        const char *reply; /* bytes after the client's request */
        size_t reply_len;
        bool hang_up_first, silent, byte_wise;
        struct er_str got; /* the request */
        int fds[3];
};

#define HELLO "\0\0\0\x08\0\0\0\x01\0\0\0\x04"
#define OPENED "\0\0\0\x0c\x80\0\0\x06\0\0\0\0\0\0\0\x07"
#define REFUSED "\0\0\0\x28\x80\0\0\x03\0\0\0\0\0\0\0\x1cSession open refused by peer"
#define DENIED "\0\0\0\x1d\x80\0\0\x02\0\0\0\0\0\0\0\x11Permission denied"
#define EXITED "\0\0\0\x0c\x80\0\0\x04\0\0\0\x07\0\0\0\x2a"
#define BYTES(text) (text), sizeof(text) - 1

static int take_fd(int fd)
{
        union {
                struct cmsghdr head;
                char room[CMSG_SPACE(sizeof(int))];
        } control;
        char byte;
        struct iovec part = {.iov_base = &byte, .iov_len = 1};
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
        int passed = -1;

        if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
                memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof passed);
        return passed;
}

static uint32_t be32(const char *p)
{
        const unsigned char *u = (const unsigned char *)p;

        return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static bool take_frame(int fd, struct er_str *into)
{
        char head[4], body[4096];
        uint32_t len;

        if (er_read_full(fd, head, 4) != 4 || (len = be32(head)) > sizeof body ||
            er_read_full(fd, body, len) != (ssize_t)len)
                return false;
        er_str_addn(into, head, 4);
        er_str_addn(into, body, len);
        return true;
}

static void *serve(void *arg)
{
        struct master *m = arg;
        int fd = accept(m->listener, NULL, NULL);

        if (!m->hang_up_first && take_frame(fd, &m->got) && take_frame(fd, &m->got)) {
                for (int i = 0; i < 3; i++)
                        m->fds[i] = take_fd(fd);
                for (size_t i = 0; i < m->reply_len; i += m->byte_wise ? 1 : m->reply_len)
                        er_write_full(fd, m->reply + i, m->byte_wise ? 1 : m->reply_len);
                if (m->silent) {
                        char byte;

                        er_read_full(fd, &byte, 1); /* until the client is gone */
                }
        }
        close(fd);
        return NULL;
}

static void start(struct master *m)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};

        m->dir = unit_temp_dir();
        m->path = er_path_join(m->dir, "s");
        memcpy(addr.sun_path, m->path, strlen(m->path) + 1);
        er_str_init(&m->got);
        m->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(m->listener, (struct sockaddr *)&addr, sizeof addr), 0);
        assert_int_equal(listen(m->listener, 4), 0);
        for (int i = 0; i < 3; i++)
                m->fds[i] = -1;
        assert_int_equal(pthread_create(&m->thread, NULL, serve, m), 0);
        m->running = true;
}

static void join(struct master *m)
{
        if (m->running)
                pthread_join(m->thread, NULL);
        m->running = false;
}

static void stop(struct master *m)
{
        join(m);
        close(m->listener);
        for (int i = 0; i < 3; i++)
                er_close(&m->fds[i]);
        er_str_release(&m->got);
        free(m->path);
        unit_remove(m->dir);
}

static enum er_mux_answer try(struct master *m, struct er_mux *mux, int64_t ms)
{
        int fds[3];
        enum er_mux_answer answer;

        start(m);
        for (int i = 0; i < 3; i++)
                fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        answer = er_mux_open(mux, m->path, "exec agent serve", fds, er_deadline_in(ms), NULL);
        for (int i = 0; i < 3; i++)
                close(fds[i]);
        return answer;
}

static void test_open(void **state)
{
        struct master m;
        struct er_mux mux = ER_MUX_INIT;
        static const char expected[] = "\0\0\0\x08\0\0\0\x01\0\0\0\x04"   /* hello, version 4 */
                                       "\0\0\0\x38\x10\0\0\x02\0\0\0\0"   /* new session, request 0 */
                                       "\0\0\0\0"                         /* reserved */
                                       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" /* tty, X11, agent, subsystem */
                                       "\xff\xff\xff\xff\0\0\0\0\0\0\0\x10"
                                       "exec agent serve"; /* no escape, no TERM, command */

        (void)state;
        for (int byte_wise = 0; byte_wise < 2; byte_wise++) {
                m = (struct master){.reply = HELLO OPENED EXITED,
                                    .reply_len = sizeof(HELLO OPENED EXITED) - 1,
                                    .byte_wise = byte_wise};
                assert_int_equal(try(&m, &mux, 10000), ER_MUX_OPENED);
                assert_int_equal(er_mux_exit(&mux, er_deadline_in(10000)), 42);
                assert_int_equal(mux.session, 7);
                er_mux_release(&mux);
                join(&m);
                assert_int_equal(m.got.len, sizeof expected - 1);
                assert_memory_equal(m.got.buf, expected, sizeof expected - 1);
                for (int i = 0; i < 3; i++)
                        assert_true(m.fds[i] >= 0);
                stop(&m);
        }
}

static void test_refusals(void **state)
{
        static const struct {
                const char *reply;
                size_t len;
                bool hang_up_first, silent;
                enum er_mux_answer answer;
        } cases[] = {
                {BYTES(HELLO REFUSED), false, false, ER_MUX_FULL},
                {BYTES(HELLO DENIED), false, false, ER_MUX_DENIED},
                {BYTES(HELLO), false, false, ER_MUX_DEAD},
                {BYTES(""), true, false, ER_MUX_DEAD},
                {BYTES(HELLO), false, true, ER_MUX_SILENT},
                {BYTES("\0\0\0\x08\0\0\0\x01\0\0\0\x03"), false, false, ER_MUX_ODD}, /* version 3 */
                {BYTES("\xff\xff\xff\xff\0\0\0\x01"), false, true, ER_MUX_ODD},
                {BYTES("\0\0\0\x01\0"), false, true, ER_MUX_ODD},
                {BYTES("SSH-2.0-OpenSSH\r\n"), false, true, ER_MUX_ODD},
                {BYTES(HELLO "\0\0\0\x0c\x80\0\0\x03\0\0\0\0\xff\xff\xff\xff"), false, false,
                 ER_MUX_ODD}, /* reason longer than the frame */
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                struct master m = {.reply = cases[i].reply,
                                   .reply_len = cases[i].len,
                                   .hang_up_first = cases[i].hang_up_first,
                                   .silent = cases[i].silent};
                struct er_mux mux = ER_MUX_INIT;
                enum er_mux_answer answer = try(&m, &mux, cases[i].answer == ER_MUX_SILENT ? 50 : 10000);

                if (answer != cases[i].answer)
                        fail_msg("case %zu: %d instead of %d", i, answer, cases[i].answer);
                assert_int_equal(mux.fd, -1);
                if (answer == ER_MUX_FULL)
                        assert_string_equal(mux.said.buf, "Session open refused by peer");
                er_mux_release(&mux);
                stop(&m);
        }
}

static void test_nobody(void **state)
{
        struct er_mux mux = ER_MUX_INIT;
        int fds[3] = {0, 1, 2}, errnum = 0;
        er_autofree char *long_path = er_malloc(300);

        (void)state;
        assert_int_equal(er_mux_open(&mux, "/nonexistent/s", "x", fds, er_deadline_in(1000), NULL), ER_MUX_DEAD);
        assert_false(er_mux_listens("/nonexistent/s", &errnum));
        assert_int_equal(errnum, ENOENT);
        memset(long_path, 'x', 299);
        long_path[299] = '\0';
        assert_int_equal(er_mux_open(&mux, long_path, "x", fds, er_deadline_in(1000), NULL), ER_MUX_DEAD);
        er_mux_release(&mux);
}

static void test_cancel(void **state)
{
        struct master m = {.reply = HELLO, .reply_len = sizeof HELLO - 1, .silent = true};
        struct er_mux mux = ER_MUX_INIT;
        struct er_cancel cancel;
        int fds[3] = {0, 1, 2};

        (void)state;
        assert_int_equal(er_cancel_init(&cancel), 0);
        er_cancel_fire(&cancel);
        start(&m);
        assert_int_equal(er_mux_open(&mux, m.path, "x", fds, er_deadline_in(10000), &cancel), ER_MUX_CANCELLED);
        er_mux_release(&mux);
        stop(&m);
        er_cancel_release(&cancel);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_open),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_nobody),
                cmocka_unit_test(test_cancel),
        };

        signal(SIGPIPE, SIG_IGN); /* the master's: its client may be gone */
        return UNIT_RUN(tests);
}

#include "host/fake_agent.h"

#include <sys/time.h>
#include "base/hash.h"
#include "host/files.h"
#include "host/dest.h"

#define BIG (3u * 1024 * 1024)

/* ---- The agent: a host that has one big file, or sends what it should not */

static void send_entry(uint32_t id, char type, const char *path, uint64_t size, const char *target)
{
        er_auto(er_str) fields = ER_STR_INIT;

        er_msg_text(&fields, ER_T_PATH, path);
        er_msg_u64(&fields, ER_T_TYPE, (uint64_t)type);
        er_msg_u64(&fields, ER_T_SIZE, size);
        er_msg_u64(&fields, ER_T_MODE, type == 'd' ? 0755 : 04750);
        er_msg_i64(&fields, ER_T_MTIME, 1700000000123);
        er_msg_text(&fields, ER_T_TARGET, target);
        fake_send(ER_F_ENTRY, id, &fields);
}

static char byte_at(uint64_t offset)
{
        return (char)((offset * 31 + (offset >> 12)) & 0xff);
}

/* Sends a file's content from an offset; dies after `limit` bytes. */
static void send_content(uint32_t id, uint64_t offset, uint64_t size, uint64_t limit)
{
        static char data[65536];
        uint64_t sent = 0;
        er_auto(er_str) end = ER_STR_INIT;

        while (offset < size) {
                er_auto(er_str) fields = ER_STR_INIT;
                size_t n = size - offset < sizeof data ? (size_t)(size - offset) : sizeof data;

                if (sent >= limit)
                        exit(0);
                for (size_t i = 0; i < n; i++)
                        data[i] = byte_at(offset + i);
                er_msg_u64(&fields, ER_T_OFFSET, offset);
                er_msg_bytes(&fields, ER_T_DATA, data, n);
                fake_send(ER_F_DATA, id, &fields);
                offset += n;
                sent += n;
        }
        er_msg_u64(&end, ER_T_SIZE, size);
        er_msg_u64(&end, ER_T_MODE, 04750);
        er_msg_i64(&end, ER_T_MTIME, 1700000000123);
        fake_send(ER_F_END, id, &end);
}

static void serve_files(struct fake_in *in, const char *mode)
{
        bool dying = er_streq(mode, "dying");

        fake_hello(in, 0);
        for (;;) {
                struct er_frame frame = fake_next(in);
                uint32_t id = frame.id;

                if (frame.type == ER_F_LIST) {
                        if (er_starts(mode, "evil:"))
                                send_entry(id, 'f', mode + 5, 5, NULL);
                        else if (er_streq(mode, "long")) {
                                er_auto(er_str) path = ER_STR_INIT;

                                er_str_add(&path, "dir");
                                while (path.len < 4096)
                                        er_str_add(&path, "/d");
                                send_entry(id, 'f', path.buf, 5, NULL);
                        } else if (er_streq(mode, "more"))
                                send_entry(id, 'f', "dir/more", 3, NULL);
                        else if (er_streq(mode, "tunnel")) {
                                send_entry(id, 'l', "dir/a", 0, "../../outside");
                                send_entry(id, 'f', "dir/a/b", 5, NULL);
                        } else {
                                send_entry(id, 'd', "dir", 0, NULL);
                                send_entry(id, 'f', "dir/big", BIG, NULL);
                                send_entry(id, 'f', "dir/old.errand-part", 3, NULL);
                                send_entry(id, 'l', "dir/link", 0, "/etc/passwd");
                        }
                        fake_send(ER_F_END, id, NULL);
                } else if (frame.type == ER_F_GET) {
                        er_autofree char *path = er_msg_dup(frame.payload, ER_T_PATH);
                        uint64_t offset = er_msg_get_u64(frame.payload, ER_T_OFFSET, 0);

                        send_content(id, offset, er_streq(path, "dir/big") ? BIG : 5,
                                     dying ? 2 * 1024 * 1024 : UINT64_MAX);
                } else if (frame.type == ER_F_PING) {
                        fake_send(ER_F_OK, id, NULL);
                }
        }
}

/* ---- The tests */

static int pull(const char *mode, const char *to, struct er_transfer *transfer, struct er_err *err)
{
        struct er_host host;
        struct er_session *session;
        er_auto(er_strv) patterns = ER_STRV_INIT;
        const struct er_pull pull = {.dir = "/x", .patterns = &patterns, .to = to};
        er_autofree char *quoted = er_fmt("'%s'", mode);
        int rc;

        er_strv_add(&patterns, "dir");
        fake_host(&host, quoted);
        session = fake_open(&host, 20000, NULL);
        rc = er_pull(session, &pull, transfer, err);
        er_session_free(session);
        fake_host_free(&host);
        return rc;
}

static void test_pull_resumes(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *to = er_path_join(dir, "to"), *big = er_path_join(to, "dir/big"),
                         *link = er_path_join(to, "dir/link");
        er_autofree char *part = er_fmt("%s.errand-part", big);
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_str) text = ER_STR_INIT;
        struct er_transfer transfer = {0};
        struct stat st;
        char target[64];

        (void)state;
        assert_int_equal(pull("dying", to, &transfer, &err), -1);
        assert_true(err.retryable);
        unit_assert_err(&err, ER_TRANSPORT, "fake");
        assert_int_equal(stat(big, &st), -1);
        assert_int_equal(stat(part, &st), 0);
        assert_int_equal(st.st_size, 2 * 1024 * 1024);
        /* The second time the rest is enough for it to come through. */
        transfer = (struct er_transfer){0};
        if (pull("dying", to, &transfer, &err) < 0)
                fail_msg("%s", err.message);
        assert_int_equal(transfer.files, 1);
        assert_int_equal(transfer.bytes, BIG);
        assert_int_equal(transfer.total_bytes, BIG);
        assert_int_equal(stat(part, &st), -1);
        assert_int_equal(stat(big, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0750); /* no set-user-id */
        assert_int_equal(st.st_mtim.tv_sec, 1700000000);
        assert_int_equal(er_file_read(AT_FDCWD, big, BIG, &text, &err), 0);
        assert_int_equal(text.len, BIG);
        for (size_t i = 0; i < BIG; i++)
                if (text.buf[i] != byte_at(i))
                        fail_msg("byte %zu", i);
        assert_int_equal(readlink(link, target, sizeof target), 11);
        /* And the third time nothing is sent: the agent would die of it. */
        transfer = (struct er_transfer){0};
        assert_int_equal(pull("dying", to, &transfer, &err), 0);
        assert_int_equal(transfer.files, 1);
        unit_remove(dir);
}

static void test_part_of_another_version(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *big = er_path_join(dir, "dir/big"), *part = er_fmt("%s.errand-part", big),
                         *below = er_path_join(dir, "dir");
        er_auto(er_str) text = ER_STR_INIT;
        struct er_transfer transfer = {0};

        (void)state;
        assert_int_equal(mkdir(below, 0700), 0);
        er_str_reserve(&text, 2000000);
        memset(text.buf, '!', 2000000);
        assert_int_equal(er_file_write(AT_FDCWD, part, text.buf, 2000000, 0600, false, NULL), 0);
        assert_int_equal(pull("whole", dir, &transfer, NULL), 0);
        er_str_reset(&text);
        assert_int_equal(er_file_read(AT_FDCWD, big, BIG, &text, NULL), 0);
        assert_int_equal(text.buf[0], byte_at(0));
        unit_remove(dir);
}

static void test_evil(void **state)
{
        static const char *const names[] = {
                "../evil", "/tmp/errand-evil", "dir/../../evil", "..", ".", "a//b", "a/./b", "a/", ""};
        char *dir = unit_temp_dir();
        er_autofree char *to = er_path_join(dir, "to"), *evil = er_path_join(dir, "evil"),
                         *outside = er_path_join(dir, "outside");
        er_autofree char *through = er_path_join(outside, "b"), *link = er_path_join(to, "dir/a");
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_transfer transfer = {0};
        struct stat st;

        (void)state;
        for (size_t i = 0; i < ER_LEN(names); i++) {
                er_autofree char *mode = er_fmt("evil:%s", names[i]);

                assert_int_equal(pull(mode, to, &transfer, &err), -1);
                unit_assert_err(&err, ER_REMOTE, "leads out of the directory");
        }
        assert_int_equal(stat(evil, &st), -1);
        assert_int_equal(stat("/tmp/errand-evil", &st), -1);
        /* A link to elsewhere and a file "below" it: also when the link is there from before. */
        assert_int_equal(mkdir(outside, 0700), 0);
        assert_int_equal(pull("tunnel", to, &transfer, &err), -1);
        er_err_clear(&err);
        assert_int_equal(er_rmtree(AT_FDCWD, link, NULL, NULL), 0);
        assert_int_equal(symlink("../../outside", link), 0);
        assert_int_equal(pull("tunnel", to, &transfer, &err), -1);
        unit_assert_err(&err, ER_EXISTS, "in the way");
        assert_int_equal(stat(through, &st), -1);
        unit_remove(dir);
}

/* CVE-2019-6111 was this in scp: the host's list is not what was asked for. */
static void test_not_asked_for(void **state)
{
        static const char *const names[] = {".bashrc", ".ssh/authorized_keys", "dir.sh", "di", "x/dir"};
        char *dir = unit_temp_dir();
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_transfer transfer = {0};
        struct stat st;

        (void)state;
        for (size_t i = 0; i < ER_LEN(names); i++) {
                er_autofree char *mode = er_fmt("evil:%s", names[i]), *path = er_path_join(dir, names[i]);

                assert_int_equal(pull(mode, dir, &transfer, &err), -1);
                unit_assert_err(&err, ER_REMOTE, "was not asked for");
                assert_int_equal(stat(path, &st), -1);
        }
        assert_int_equal(pull("long", dir, &transfer, &err), -1);
        unit_assert_err(&err, ER_REMOTE, "longer than any path");
        assert_int_equal(pull("more", dir, &transfer, &err), -1);
        unit_assert_err(&err, ER_REMOTE, "more of dir/more than it announced");
        unit_remove(dir);
}

static void test_dest_below_a_project(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *project = er_path_join(dir, "project"), *victim = er_path_join(dir, "victim"),
                         *results = er_path_join(project, "results"), *to = er_path_join(results, "x-1.0");
        struct er_dest dest = ER_DEST_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        struct stat st;

        (void)state;
        assert_int_equal(mkdir(project, 0700), 0);
        assert_int_equal(mkdir(victim, 0700), 0);
        assert_int_equal(er_dest_open(&dest, to, project, &err), 0); /* made, where it is missing */
        er_dest_release(&dest);
        assert_int_equal(stat(to, &st), 0);
        assert_int_equal(rmdir(to), 0);
        assert_int_equal(symlink(victim, to), 0);
        assert_int_equal(er_dest_open(&dest, to, project, &err), -1);
        unit_assert_err(&err, ER_EXISTS, "symbolic link");
        assert_int_equal(unlink(to), 0);
        assert_int_equal(rmdir(results), 0);
        assert_int_equal(symlink("../victim", results), 0);
        assert_int_equal(er_dest_open(&dest, to, project, &err), -1);
        unit_assert_err(&err, ER_EXISTS, "symbolic link");
        assert_int_equal(er_dest_open(&dest, to, NULL, &err), 0); /* the user's own word */
        er_dest_release(&dest);
        unit_remove(dir);
}

static void test_part_with_another_name(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *part = er_path_join(dir, "f.errand-part"), *victim = er_path_join(dir, "victim");
        struct er_dest dest = ER_DEST_INIT;
        er_auto(er_str) text = ER_STR_INIT;
        uint64_t offset = 1;
        int fd = -1;

        (void)state;
        assert_int_equal(er_file_write(AT_FDCWD, victim, "precious", 8, 0600, false, NULL), 0);
        assert_int_equal(link(victim, part), 0);
        assert_int_equal(er_dest_open(&dest, dir, NULL, NULL), 0);
        assert_int_equal(er_dest_begin(&dest, "f", 5, &fd, &offset, NULL), 0);
        assert_int_equal(offset, 0);
        assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(er_dest_finish(&dest, "f", fd, 0666, 5, NULL), 0);
        close(fd);
        assert_int_equal(er_file_read(AT_FDCWD, victim, 100, &text, NULL), 0);
        unit_assert_str(&text, "precious");
        er_dest_release(&dest);
        unit_remove(dir);
}

static void test_modes_pass_the_umask(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *path = er_path_join(dir, "f");
        struct er_dest dest = ER_DEST_INIT;
        mode_t before = umask(027);
        uint64_t offset;
        struct stat st;
        int fd;

        (void)state;
        assert_int_equal(er_umask(), 027);
        assert_int_equal(er_dest_open(&dest, dir, NULL, NULL), 0);
        assert_int_equal(er_dest_begin(&dest, "f", 5, &fd, &offset, NULL), 0);
        assert_int_equal(er_dest_finish(&dest, "f", fd, 0777, 5, NULL), 0);
        close(fd);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0750);
        umask(before);
        er_dest_release(&dest);
        unit_remove(dir);
}

static void test_dest_refuses(void **state)
{
        char *dir = unit_temp_dir();
        struct er_dest dest = ER_DEST_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        er_autofree char *fifo = er_path_join(dir, "f.errand-part"), *file = er_path_join(dir, "file");
        uint64_t offset = 1;
        int fd = -1;

        (void)state;
        assert_int_equal(er_dest_open(&dest, dir, NULL, &err), 0);
        /* Whatever lies where a part should be: never followed, never waited for. */
        assert_int_equal(mkfifo(fifo, 0600), 0);
        if (er_dest_begin(&dest, "f", 5, &fd, &offset, &err) == 0)
                close(fd);
        er_err_clear(&err);
        unlink(fifo);
        assert_int_equal(symlink(file, fifo), 0);
        assert_int_equal(er_dest_begin(&dest, "f", 5, &fd, &offset, &err), 0);
        assert_int_equal(offset, 0);
        assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(er_dest_finish(&dest, "f", fd, 0644, 5, &err), 0);
        close(fd);
        assert_false(er_file_exists(AT_FDCWD, file));
        assert_true(er_dest_has(&dest, "f", 1, 5));
        assert_false(er_dest_has(&dest, "f", 1, 6));
        assert_false(er_dest_has(&dest, "f", 2, 5));
        /* A directory stands where a file should. */
        assert_int_equal(er_dest_mkdir(&dest, "d/e", &err), 0);
        assert_int_equal(er_dest_begin(&dest, "d", 5, &fd, &offset, &err), 0);
        assert_int_equal(er_dest_finish(&dest, "d", fd, 0644, 5, &err), -1);
        close(fd);
        unit_assert_err(&err, ER_EXISTS, "/d");
        er_dest_release(&dest);
        unit_remove(dir);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pull_resumes),
                cmocka_unit_test(test_part_of_another_version),
                cmocka_unit_test(test_evil),
                cmocka_unit_test(test_not_asked_for),
                cmocka_unit_test(test_dest_below_a_project),
                cmocka_unit_test(test_part_with_another_name),
                cmocka_unit_test(test_modes_pass_the_umask),
                cmocka_unit_test(test_dest_refuses),
        };

        if (argc > 2 && er_streq(argv[1], "agent")) {
                struct fake_in in = {.buf = ER_STR_INIT};

                serve_files(&in, argv[2]);
        }
        return UNIT_RUN(tests);
}

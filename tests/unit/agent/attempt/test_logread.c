/* test_logread.c - the log while it is written: its last record grows in place, and no byte may change its stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>
#include "agent/attempt/logread.h"
#include "base/io.h"
#include "base/path.h"

static int dir_fd;
static char dir_path[] = "/tmp/er-logread-XXXXXX";

static int setup(void **state)
{
        (void)state;
        snprintf(dir_path, sizeof dir_path, "/tmp/er-logread-XXXXXX");
        if (!mkdtemp(dir_path))
                return -1;
        dir_fd = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
        (void)state;
        close(dir_fd);
        return er_rmtree(AT_FDCWD, dir_path, NULL, NULL);
}

static void write_log(const char *text)
{
        int fd = openat(dir_fd, "log", O_WRONLY | O_CREAT | O_TRUNC, 0600);

        assert_int_equal(er_write_full(fd, text, strlen(text)), 0);
        close(fd);
}

static void write_record(unsigned number, uint64_t end, int64_t time, uint32_t stream)
{
        struct {
                uint64_t end;
                int64_t time;
                uint32_t stream, zero;
        } record = {end, time, stream, 0};
        int fd = openat(dir_fd, "log.idx", O_WRONLY | O_CREAT, 0600);

        assert_int_equal(er_pwrite_full(fd, &record, sizeof record, (off_t)(number * sizeof record)), 0);
        close(fd);
}

static void expect(struct er_logread *log, bool complete, size_t len, unsigned stream)
{
        struct er_logpiece piece;

        if (len == 0) {
                assert_false(er_logread_next(log, complete, 100, &piece));
                return;
        }
        assert_true(er_logread_next(log, complete, 100, &piece));
        assert_int_equal(piece.len, len);
        assert_int_equal(piece.stream, stream);
        er_logread_took(log, len);
}

static void the_last_record_grows(void **state)
{
        struct er_logread log;

        (void)state;
        write_log("0123456789");
        write_record(0, 4, 1, 1);
        er_logread_init(&log, dir_fd, 0);
        expect(&log, false, 4, 1);
        expect(&log, false, 0, 0);
        write_record(0, 6, 1, 1); /* it grew ... */
        write_record(1, 9, 2, 2); /* ... and then there is another */
        expect(&log, false, 2, 1);
        expect(&log, false, 3, 2);
        expect(&log, false, 0, 0);
        expect(&log, true, 1, 1); /* what the index does not describe counts as stdout, when nobody writes any more */
        expect(&log, true, 0, 0);
        er_logread_release(&log);
}

static void a_new_reader_at_the_end_of_the_index(void **state)
{
        struct er_logread log;

        (void)state;
        write_log("0123456789");
        write_record(0, 4, 1, 1);
        er_logread_init(&log, dir_fd, 4);
        expect(&log, false, 0, 0);
        write_record(0, 6, 1, 1);
        write_record(1, 10, 2, 2);
        expect(&log, false, 2, 1);
        expect(&log, false, 4, 2);
        er_logread_release(&log);
}

static void any_offset(void **state)
{
        (void)state;
        write_log("0123456789");
        for (unsigned i = 0; i < 10; i++)
                write_record(i, i + 1, 100 + i, 1 + i % 2);
        for (unsigned offset = 0; offset <= 10; offset++) {
                struct er_logread log;

                er_logread_init(&log, dir_fd, offset);
                for (unsigned i = offset; i < 10; i++)
                        expect(&log, true, 1, 1 + i % 2);
                expect(&log, true, 0, 0);
                er_logread_release(&log);
        }
}

static void lines_and_times(void **state)
{
        struct er_logread log;

        (void)state;
        write_log("a\nbb\nccc\n");
        write_record(0, 2, 1000, 1);
        write_record(1, 5, 2000, 1);
        write_record(2, 9, 3000, 2);
        er_logread_init(&log, dir_fd, 0);
        assert_true(er_logread_tail(&log, 9, 1) == 5 && er_logread_tail(&log, 9, 2) == 2 &&
                    er_logread_tail(&log, 9, 9) == 0);
        assert_true(er_logread_tail(&log, 9, 0) == 9 && er_logread_tail(&log, 7, 1) == 5);
        assert_true(er_logread_since(&log, 1) == 0 && er_logread_since(&log, 2000) == 2 &&
                    er_logread_since(&log, 2500) == 5 && er_logread_since(&log, 9999) == 9);
        er_logread_release(&log);
}

static void an_index_that_promises_too_much(void **state)
{
        struct er_logread log;

        (void)state;
        write_log("0123");
        write_record(0, 1000, 1, 2);
        er_logread_init(&log, dir_fd, 0);
        expect(&log, true, 4, 2);
        expect(&log, true, 0, 0);
        er_logread_release(&log);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_last_record_grows, setup, teardown),
                cmocka_unit_test_setup_teardown(a_new_reader_at_the_end_of_the_index, setup, teardown),
                cmocka_unit_test_setup_teardown(any_offset, setup, teardown),
                cmocka_unit_test_setup_teardown(lines_and_times, setup, teardown),
                cmocka_unit_test_setup_teardown(an_index_that_promises_too_much, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

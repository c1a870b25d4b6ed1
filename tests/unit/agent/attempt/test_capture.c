/* What the index of a log says when a write to it fails. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "agent/attempt/capture.h"
#include "base/io.h"
#include "base/path.h"

static char dir[] = "/tmp/er-capture-XXXXXX";

struct record {
        uint64_t end, time;
        uint32_t stream, zero;
};

static void a_failed_record_relabels_nothing(void **state)
{
        struct er_capture c = ER_CAPTURE_INIT;
        struct record records[4];
        int fd, ends[2], index;

        (void)state;
        assert_non_null(mkdtemp(dir));
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        er_capture_open(&c, fd);
        assert_int_equal(er_capture_pipes(&c, ends), 0);
        assert_int_equal(write(ends[0], "out", 3), 3);
        assert_true(er_capture_move(&c, 0));
        index = c.idx_fd;
        c.idx_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(ends[1], "lost", 4), 4);
        assert_true(er_capture_move(&c, 1));
        close(c.idx_fd);
        c.idx_fd = index;
        assert_int_equal(write(ends[1], "err", 3), 3);
        assert_true(er_capture_move(&c, 1));
        index = openat(fd, "log.idx", O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(index, records, sizeof records), 2 * sizeof *records);
        assert_true(records[0].stream == ER_STDOUT && records[0].end == 3);
        assert_true(records[1].stream == ER_STDERR && records[1].end == 10);
        close(index);
        close(ends[0]);
        close(ends[1]);
        er_capture_finish(&c);
        close(fd);
        er_rmtree(AT_FDCWD, dir, NULL, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(a_failed_record_relabels_nothing)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}

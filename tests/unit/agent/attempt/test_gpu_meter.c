/* test_gpu_meter.c - what a job used of its GPUs, with a stand-in for nvidia-smi. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/attempt/gpu_meter.h"
#include "base/io.h"
#include "base/path.h"

static char dir[] = "/tmp/er-gpu-meter-XXXXXX";

/* The stand-in notes its arguments in `asked`. */
static void say(const char *body)
{
        er_autofree char *path = er_path_join(dir, "nvidia-smi");
        er_autofree char *text = er_fmt("#!/bin/sh\necho \"$*\" >> %s/asked\n%s\n", dir, body);

        assert_int_equal(er_file_write(AT_FDCWD, path, text, strlen(text), 0700, false, NULL), 0);
        assert_int_equal(chmod(path, 0700), 0);
}

static unsigned asked(const char *what)
{
        er_autofree char *path = er_path_join(dir, "asked");
        er_auto(er_str) text = ER_STR_INIT;
        unsigned count = 0;

        er_file_read(AT_FDCWD, path, 1u << 20, &text, NULL);
        for (const char *p = text.buf; (p = strstr(p, what)); p++)
                count++;
        return count;
}

static int setup(void **state)
{
        er_autofree char *path = NULL;

        (void)state;
        assert_non_null(mkdtemp(dir));
        path = er_fmt("%s:/usr/bin:/bin", dir);
        return setenv("PATH", path, 1);
}

static int teardown(void **state)
{
        (void)state;
        return er_rmtree(AT_FDCWD, dir, NULL, NULL);
}

static void forget(void)
{
        er_autofree char *path = er_path_join(dir, "asked");

        unlink(path);
}

/* Starts the tool at once. */
static void begin(struct er_gpu_meter *meter, uint64_t mask)
{
        *meter = (struct er_gpu_meter)ER_GPU_METER_INIT;
        er_gpu_meter_begin(meter, mask);
        meter->due = 0;
        er_gpu_meter_tick(meter);
}

/* Hears the tool until it has ended, or said something. */
static void hear(struct er_gpu_meter *meter)
{
        struct pollfd p = {.fd = meter->fd, .events = POLLIN};

        assert_int_equal(poll(&p, 1, 20000), 1);
        er_gpu_meter_ready(meter);
}

static void hear_all(struct er_gpu_meter *meter)
{
        while (meter->fd >= 0)
                hear(meter);
}

static void fill(const struct er_gpu_meter *meter, struct er_status *status)
{
        *status = (struct er_status)ER_STATUS_INIT;
        er_gpu_meter_fill(meter, status);
}

/* Three rounds, of which the first is idle; GPU 1 is somebody else's. */
static void peak_and_mean(void **state)
{
        struct er_gpu_meter meter;
        struct er_status status;

        (void)state;
        say("cat <<'E'\n0, H200, 143771, 0, 0\n1, H200, 143771, 5000, 50\n2, H200, 143771, 10, 0\n"
            "0, H200, 143771, 1000, 99\n1, H200, 143771, 5000, 50\n2, H200, 143771, 30, 51\n"
            "0, H200, 143771, 500, 20\n1, H200, 143771, 5000, 50\n2, H200, 143771, 20, 40\nE");
        begin(&meter, 5);
        hear_all(&meter);
        fill(&meter, &status);
        assert_int_equal(status.gpu_util_max, 75);
        assert_int_equal(status.gpu_util, 35);
        assert_int_equal(status.gpu_mem, 1030 << 20);
}

static void unknown(void **state)
{
        struct er_gpu_meter meter;
        struct er_status status;

        (void)state;
        say("echo '0, H200, [N/A], [N/A], [Unknown Error]'; echo 'Unable to determine the device handle'");
        begin(&meter, 1);
        hear_all(&meter);
        fill(&meter, &status);
        assert_true(status.gpu_util == -1 && status.gpu_util_max == -1 && status.gpu_mem == -1);
        say("echo '0, H200, 143771, [N/A], 10'; echo '1, H200, 143771, 70, [Not Supported]'");
        begin(&meter, 3); /* of the memory, half of a sum is none */
        hear_all(&meter);
        fill(&meter, &status);
        assert_true(status.gpu_util == 10 && status.gpu_util_max == 10 && status.gpu_mem == -1);
        say("echo '0, H200, 143771, 0, 0'");
        begin(&meter, 1);
        hear_all(&meter);
        fill(&meter, &status);
        assert_true(status.gpu_util == 0 && status.gpu_util_max == 0 && status.gpu_mem == 0);
}

static void one_that_dies_is_started_again_a_few_times(void **state)
{
        struct er_gpu_meter meter;
        unsigned starts = 0;

        (void)state;
        forget();
        say("exit 9");
        begin(&meter, 1);
        for (; meter.fd >= 0; starts++) {
                hear_all(&meter);
                if (meter.due == ER_NEVER)
                        break;
                assert_true(er_deadline_poll_ms(meter.due) > 1000); /* not at once */
                meter.due = 0;
                er_gpu_meter_tick(&meter);
        }
        assert_int_equal(asked("-lms 1000"), 6);
        assert_int_equal(starts, 5);
        assert_true(meter.pid == 0 && er_gpu_meter_due(&meter) == ER_NEVER);
}

static void one_that_hangs_is_killed(void **state)
{
        struct er_gpu_meter meter;
        int64_t began_ms;
        pid_t pid;

        (void)state;
        say("sleep 1000; :");
        begin(&meter, 1);
        pid = meter.pid;
        assert_true(pid > 0 && kill(pid, 0) == 0);
        began_ms = er_mono_ms();
        meter.due = 0;
        er_gpu_meter_tick(&meter);
        assert_true(er_mono_ms() - began_ms < 5000);
        assert_true(meter.pid == 0 && meter.fd < 0 && kill(pid, 0) < 0);
        assert_true(meter.due != ER_NEVER);
}

static void slower_after_a_minute(void **state)
{
        struct er_gpu_meter meter;
        struct er_status status;

        (void)state;
        forget();
        say("case \"$*\" in *1000) echo '0, H200, 143771, 1, 100' ;; *) echo '0, H200, 143771, 1, 40' ;; esac\n"
            "exec sleep 1000");
        begin(&meter, 1);
        hear(&meter);
        assert_true(meter.slow_due != ER_NEVER && meter.slow_due > er_deadline_in(50000));
        meter.slow_due = 0;
        assert_true(er_gpu_meter_due(&meter) == 0);
        er_gpu_meter_tick(&meter);
        hear(&meter);
        assert_int_equal(asked("-lms 1000"), 1);
        assert_int_equal(asked("-lms 5000"), 1);
        assert_int_equal(meter.deaths, 0);
        er_gpu_meter_end(&meter);
        fill(&meter, &status);
        assert_int_equal(status.gpu_util, 50); /* 1 s of 100 %, 5 s of 40 % */
        assert_int_equal(status.gpu_util_max, 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(peak_and_mean),
                cmocka_unit_test(unknown),
                cmocka_unit_test(one_that_dies_is_started_again_a_few_times),
                cmocka_unit_test(one_that_hangs_is_killed),
                cmocka_unit_test(slower_after_a_minute),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}

/* test_gpu.c - what nvidia-smi and rocm-smi print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/attempt/gpu.h"

static void nvidia(void **state)
{
        static const char text[] = "0, NVIDIA H100 80GB HBM3, 81559, 1024, 37\n"
                                   "No devices were found\n"
                                   "garbage\n,,,,\n"
                                   "1, Tesla, [N/A], [N/A], [N/A]\n"
                                   "99, too many, 1, 1, 1\n"
                                   "63, last, 18446744073709551615, 1, 400";
        struct er_gpus gpus;

        (void)state;
        er_gpu_parse(er_sv(text), false, &gpus);
        assert_int_equal(gpus.len, 3);
        assert_string_equal(gpus.items[0].name, "NVIDIA H100 80GB HBM3");
        assert_true(gpus.items[0].memory == (uint64_t)81559 << 20 && gpus.items[0].memory_used == (uint64_t)1024 << 20);
        assert_true(gpus.items[0].util == 37 && gpus.items[1].memory == 0 && gpus.items[2].index == 63 &&
                    gpus.items[2].util == 100);
}

static void amd(void **state)
{
        static const char text[] = "\nWARNING: something\n"
                                   "device,GPU use (%),VRAM Total Memory (B),VRAM Total Used Memory (B),Card series\n"
                                   "card0,12,17163091968,1000000,MI300\n"
                                   "card1,0,17163091968,0,MI300\n"
                                   "system,x\n";
        struct er_gpus gpus;

        (void)state;
        er_gpu_parse(er_sv(text), true, &gpus);
        assert_int_equal(gpus.len, 2);
        assert_true(gpus.amd && gpus.items[1].index == 1 && gpus.items[0].util == 12 &&
                    gpus.items[0].memory == 17163091968u);
        assert_true(gpus.items[0].memory_used == 1000000);
        assert_string_equal(gpus.items[1].name, "MI300");
}

static void nothing(void **state)
{
        struct er_gpus gpus;

        (void)state;
        er_gpu_parse(er_svn(NULL, 0), false, &gpus);
        assert_int_equal(gpus.len, 0);
        er_gpu_parse(er_sv("card0,1,2\n"), true, &gpus); /* no header: no columns */
        assert_int_equal(gpus.len, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(nvidia), cmocka_unit_test(amd), cmocka_unit_test(nothing)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}

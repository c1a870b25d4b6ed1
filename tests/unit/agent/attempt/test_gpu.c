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
        assert_true(gpus.items[0].util == 37 && gpus.items[2].index == 63 && gpus.items[2].util == 100);
        assert_true(gpus.items[1].memory == ER_GPU_UNKNOWN && gpus.items[1].memory_used == ER_GPU_UNKNOWN &&
                    gpus.items[1].util == -1);
}

static const char full[] = "0, NVIDIA H200, 143771, 0, 0, GPU-84549a26-a3c3-367d-d69e-fcf6d6be0f3c, Disabled\n"
                           "1, NVIDIA H200, 143771, 1011, 99, GPU-11111111-a3c3-367d-d69e-fcf6d6be0f3c, Disabled\n"
                           "2, [Unknown Error], [Not Supported], [N/A], [Unknown Error], [N/A], [N/A]\n"
                           "3, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [N/A]\n";

/* As an H200 with driver 580 says it, and its words for what it does not know. */
static void more_fields(void **state)
{
        struct er_gpus gpus;
        uint8_t rank[ER_GPUS_MAX];

        (void)state;
        er_gpu_parse(er_sv(full), false, &gpus);
        assert_int_equal(gpus.len, 3);
        assert_string_equal(gpus.items[0].uuid, "GPU-84549a26-a3c3-367d-d69e-fcf6d6be0f3c");
        assert_true(gpus.items[0].memory_used == 0 && gpus.items[0].util == 0 && !gpus.items[0].split);
        assert_string_equal(gpus.items[2].name, "");
        assert_string_equal(gpus.items[2].uuid, "");
        assert_true(gpus.items[2].util == -1 && gpus.items[2].memory == ER_GPU_UNKNOWN);
        assert_true(er_gpus_used(&gpus, rank) == 2);
        assert_true(rank[0] < rank[1]);
}

static void visible(void **state)
{
        static const struct {
                const char *value;
                uint64_t mask;
        } cases[] = {
                {NULL, 7},
                {"", 0},
                {"-1", 0},
                {"1", 2},
                {"2,0", 5},
                {"0,9,1", 1},
                {"NoDevFiles", 0},
                {" 1 , 2 ", 6},
                {"GPU-84549a26-a3c3-367d-d69e-fcf6d6be0f3c", 1},
                {"GPU-1111,GPU-8454", 3},
                {"1,-1,2", 2},
        };
        struct er_gpus gpus;

        (void)state;
        er_gpu_parse(er_sv(full), false, &gpus);
        for (size_t i = 0; i < ER_LEN(cases); i++)
                assert_true(er_gpus_visible(&gpus, cases[i].value) == cases[i].mask);
}

static void value_is(const struct er_gpus *gpus, uint64_t mask, uint64_t last, const char *expected)
{
        er_auto(er_str) value = ER_STR_INIT;

        er_gpus_value(gpus, mask, last, &value);
        assert_string_equal(value.buf, expected);
}

static void values(void **state)
{
        struct er_gpus gpus;

        (void)state;
        er_gpu_parse(er_sv(full), false, &gpus);
        value_is(&gpus, 0, 0, "");
        value_is(&gpus, 7, 0, "0,1,2");
        value_is(&gpus, 7, 1, "1,2,0");
        value_is(&gpus, 6, 1, "1,2");
}

/* A split GPU is not to be had itself, and its parts are known by UUID alone. */
static void parts(void **state)
{
        static const char query[] = "0, NVIDIA A100-SXM4-40GB, 40536, 20, [N/A], GPU-aaaa, Enabled\n"
                                    "1, NVIDIA A100-SXM4-40GB, 40536, 0, 0, GPU-bbbb, Disabled\n";
        static const char list[] = "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa)\n"
                                   "  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)\n"
                                   "  MIG 1g.5gb      Device  1: (UUID: MIG-0c757cd7-e942-5726-a0b8-0e8fb7067135)\n"
                                   "GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb)\n";
        struct er_gpus gpus;

        (void)state;
        er_gpu_parse(er_sv(query), false, &gpus);
        assert_true(gpus.items[0].split);
        er_gpu_parse_parts(er_sv(list), &gpus);
        assert_int_equal(gpus.len, 3);
        assert_true(gpus.items[0].index == 1 && !gpus.items[0].part);
        assert_true(gpus.items[1].index == 2 && gpus.items[1].part && gpus.items[1].util == -1);
        assert_string_equal(gpus.items[1].name, "NVIDIA A100-SXM4-40GB MIG 3g.20gb");
        value_is(&gpus, 4, 0, "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f");
        value_is(&gpus, 10, 0, "GPU-bbbb,MIG-0c757cd7-e942-5726-a0b8-0e8fb7067135");
        assert_true(er_gpus_visible(&gpus, "0") == 12 && er_gpus_visible(&gpus, "GPU-aaaa") == 12);
        assert_true(er_gpus_visible(&gpus, "MIG-0c757cd7-e942-5726-a0b8-0e8fb7067135,1") == 10);
        er_gpu_parse(er_sv(query), false, &gpus);
        er_gpu_parse_parts(er_sv(""), &gpus); /* split, and no part made */
        assert_int_equal(gpus.len, 1);
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
        const struct CMUnitTest tests[] = {cmocka_unit_test(nvidia),  cmocka_unit_test(more_fields),
                                           cmocka_unit_test(visible), cmocka_unit_test(values),
                                           cmocka_unit_test(parts),   cmocka_unit_test(amd),
                                           cmocka_unit_test(nothing)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}

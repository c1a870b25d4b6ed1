#include "unit.h"

#include "base/map.h"

static uint32_t random_state = 1;

static uint32_t next_random(void)
{
        random_state = random_state * 1664525u + 1013904223u;
        return random_state >> 8;
}

static void test_basics(void **state)
{
        er_auto(er_map) map = ER_MAP_INIT;
        int a, b;

        (void)state;
        assert_null(er_map_gets(&map, "x"));
        assert_null(er_map_sets(&map, "x", &a));
        assert_ptr_equal(er_map_sets(&map, "x", &b), &a);
        assert_ptr_equal(er_map_gets(&map, "x"), &b);
        assert_null(er_map_set(&map, "", 0, &a));
        assert_null(er_map_set(&map, "a\0b", 3, &a));
        assert_null(er_map_get(&map, "a\0c", 3));
        assert_ptr_equal(er_map_get(&map, "a\0b", 3), &a);
        assert_int_equal(map.len, 3);
        assert_ptr_equal(er_map_get(&map, "", 0), &a);
}

/* Against an array that cannot be wrong. */
static void test_random_against_array(void **state)
{
        static char values[512];
        void *model[512] = {NULL};
        er_auto(er_map) map = ER_MAP_INIT;
        const struct er_map_slot *slot;
        size_t count = 0, seen = 0;

        (void)state;
        for (int step = 0; step < 200000; step++) {
                uint32_t key = next_random() % 512;
                void *expected = model[key];

                if (next_random() % 2) {
                        model[key] = &values[next_random() % 512];
                        assert_ptr_equal(er_map_set(&map, &key, sizeof key, model[key]), expected);
                } else {
                        assert_ptr_equal(er_map_get(&map, &key, sizeof key), expected);
                }
        }
        for (size_t i = 0; i < 512; i++)
                count += model[i] != NULL;
        assert_int_equal(map.len, count);
        for (size_t i = 0; (slot = er_map_next(&map, &i));) {
                uint32_t key;

                assert_int_equal(slot->key_len, sizeof key);
                memcpy(&key, slot->key, sizeof key);
                assert_ptr_equal(slot->value, model[key]);
                seen++;
        }
        assert_int_equal(seen, count);
}

/* Files depend on these. */
static void test_hash_is_stable(void **state)
{
        (void)state;
        assert_true(er_hash64("", 0) == 0xefd01f60ba992926u);
        assert_true(er_hash64("errand", 6) != er_hash64("errane", 6));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_basics),
                cmocka_unit_test(test_random_against_array),
                cmocka_unit_test(test_hash_is_stable),
        };

        return UNIT_RUN(tests);
}

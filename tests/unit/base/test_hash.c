#include "unit.h"

#include <pthread.h>
#include "base/hash.h"

/* The examples of FIPS 180-4. */
static const struct {
        const char *text, *hex;
} examples[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void test_examples(void **state)
{
        er_auto(er_hasher) hasher = {NULL};
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        assert_int_equal(er_hasher_init(&hasher, &err), 0);
        for (size_t i = 0; i < ER_LEN(examples) * 2; i++) { /* twice: it is reusable */
                const char *text = examples[i % ER_LEN(examples)].text;
                struct er_hash hash;
                char hex[ER_HASH_HEX];

                er_hasher_begin(&hasher);
                for (const char *p = text; *p; p++)
                        er_hasher_add(&hasher, p, 1);
                er_hasher_end(&hasher, &hash);
                er_hash_hex(&hash, hex);
                assert_string_equal(hex, examples[i % ER_LEN(examples)].hex);
        }
}

static int failed_mark; /* its address says: this thread failed */

static void *hash_much(void *arg)
{
        er_auto(er_hasher) hasher = {NULL};
        struct er_hash hash;
        char hex[ER_HASH_HEX];

        if (er_hasher_init(&hasher, NULL) < 0)
                return arg;
        for (int i = 0; i < 1000; i++) {
                er_hasher_begin(&hasher);
                er_hasher_add(&hasher, "abc", 3);
                er_hasher_end(&hasher, &hash);
                er_hash_hex(&hash, hex);
                if (strcmp(hex, examples[1].hex) != 0)
                        return arg;
        }
        return NULL;
}

static void test_threads(void **state)
{
        pthread_t threads[4];

        (void)state;
        for (size_t i = 0; i < ER_LEN(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, hash_much, &failed_mark), 0);
        for (size_t i = 0; i < ER_LEN(threads); i++) {
                void *failed;

                pthread_join(threads[i], &failed);
                assert_null(failed);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_threads)};

        return UNIT_RUN(tests);
}

/* test_digest.c - checksums: the standards' own examples, and the same bytes in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "agent/digest.h"

static void of(enum er_digest_kind kind, const char *data, size_t len, size_t piece, char hex[ER_DIGEST_HEX])
{
        struct er_digest digest;

        er_digest_begin(&digest, kind);
        for (size_t at = 0; at < len; at += piece)
                er_digest_add(&digest, data + at, len - at < piece ? len - at : piece);
        er_digest_end(&digest, hex);
}

static void known(void **state)
{
        static const struct {
                const char *name, *text, *hex;
        } cases[] = {
                {"sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                {"sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                {"sha256", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
                {"sha512", "abc",
                 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4"
                 "423643ce80e2a9ac94fa54ca49f"},
                {"md5", "", "d41d8cd98f00b204e9800998ecf8427e"},
                {"md5", "message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
                {"md5", "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                 "57edf4a22be3c955ac49da2e2107b67a"},
        };
        char hex[ER_DIGEST_HEX];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                enum er_digest_kind kind;

                assert_true(er_digest_named(cases[i].name, strlen(cases[i].name), &kind));
                of(kind, cases[i].text, strlen(cases[i].text), 1000, hex);
                assert_string_equal(hex, cases[i].hex);
        }
}

/* Every length over the ends of blocks, in pieces: what the pieces are is all the same. */
static void pieces(void **state)
{
        char data[300], whole[ER_DIGEST_HEX], hex[ER_DIGEST_HEX];

        (void)state;
        for (size_t i = 0; i < sizeof data; i++)
                data[i] = (char)(i * 7);
        for (unsigned kind = 0; kind <= ER_DIGEST_MD5; kind++)
                for (size_t len = 100; len <= sizeof data; len += 3) {
                        of((enum er_digest_kind)kind, data, len, len, whole);
                        of((enum er_digest_kind)kind, data, len, 1, hex);
                        assert_string_equal(hex, whole);
                        of((enum er_digest_kind)kind, data, len, 97, hex);
                        assert_string_equal(hex, whole);
                }
}

static void names(void **state)
{
        enum er_digest_kind kind;

        (void)state;
        assert_false(er_digest_named("sha1", 4, &kind));
        assert_false(er_digest_named("sha2567", 7, &kind));
        assert_true(er_digest_named("sha512=", 6, &kind));
        assert_int_equal(kind, ER_DIGEST_SHA512);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(pieces), cmocka_unit_test(names)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}

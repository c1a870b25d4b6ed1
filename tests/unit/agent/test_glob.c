/* test_glob.c - patterns of output files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/glob.h"

static void parts(void **state)
{
        static const struct {
                const char *pattern, *name;
                bool matches;
        } cases[] = {
                {"*", "", true},
                {"*", "anything", true},
                {"a*", "abc", true},
                {"a*c", "abc", true},
                {"a*c", "abd", false},
                {"?", "x", true},
                {"?", "", false},
                {"*.pt", ".pt", true},
                {"*.pt", "m.ptx", false},
                {"[a-c]x", "bx", true},
                {"[a-c]x", "dx", false},
                {"[!a-c]x", "dx", true},
                {"[]]", "]", true},
                {"[", "[", true},
                {"[a", "[a", true},
                {"\\*", "*", true},
                {"\\*", "x", false},
                {"a**b", "axyb", true},
                {"*a*b*", "xxaxxbxx", true},
                {"", "", true},
                {"", "x", false},
                {"[a-", "[a-", true},
                {"x\\", "x\\", true},
                {"*\xff", "a\xff", true},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++)
                if (er_glob_match(cases[i].pattern, cases[i].name) != cases[i].matches)
                        fail_msg("%s against %s", cases[i].pattern, cases[i].name);
}

/* Must not take for ever. */
static void a_nasty_pattern(void **state)
{
        char name[2001], pattern[4001];

        (void)state;
        memset(name, 'a', 2000);
        name[2000] = '\0';
        for (size_t i = 0; i < 2000; i++) {
                pattern[2 * i] = '*';
                pattern[2 * i + 1] = 'a';
        }
        pattern[4000] = '\0';
        pattern[3999] = 'b';
        assert_false(er_glob_match(pattern, name));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(parts), cmocka_unit_test(a_nasty_pattern)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_glob.c - patterns of output files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/glob.h"

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

static void paths(void **state)
{
        static const struct {
                const char *pattern, *path;
                bool matches;
        } cases[] = {
                {"model.pt", "model.pt", true},
                {"model.pt", ".bashrc", false},
                {"model.pt", "model.pt/below", true}, /* a directory means all below it */
                {"model.pt", "model.pt.sh", false},
                {"model.pt", "x/model.pt", false},
                {"./out/", "out/a/b", true},
                {"out//x", "out/x", true},
                {"out/*.pt", "out/a.pt", true},
                {"out/*.pt", "out/a/b.pt", false},
                {"out/*.pt", "out", false},
                {"*", ".ssh/authorized_keys", true},
                {"*.pt", "a.pt/x", true},
                {"[", "[", true},
                {"a[1]", "a[1]", true}, /* as it is written */
                {"a[1]", "a1", true},
                {"**", "a", true},
                {"**", "a/b", true},
                {"**/x", "x", true},
                {"**/x", "a/b/x", true},
                {"**/x", "a/b/y", false},
                {"a/**/x", "a/x", true},
                {"a/**/x", "a/b/c/x/below", true},
                {"a/**/x", "b/x", false},
                {"a/**", "a", false},
                {"a/**", "a/b", true},
                {"**/**/x", "x", true},
                {".", "anything/at/all", true},
                {"", "anything", true},
                {"/etc/passwd", "etc/passwd", false},
                {"../x", "x", false},
                {"a/../b", "b", false},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++)
                if (er_glob_match_path(cases[i].pattern, cases[i].path) != cases[i].matches)
                        fail_msg("%s against %s", cases[i].pattern, cases[i].path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(parts), cmocka_unit_test(paths),
                                           cmocka_unit_test(a_nasty_pattern)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}

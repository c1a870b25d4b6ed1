#include "unit.h"

#include "base/parse.h"
#include "base/proc.h"

/* Every byte, and the words that mean something to some shell. */
static void all_words(struct er_strv *words)
{
        static const char *const odd[] = {
                "",      " ",      "'",     "''",       "\\",     "\\'",    "a'b\\c",   "\\\\",  "-n",       "--",
                "$HOME", "`id`",   "$(id)", "!",        "!!",     "a!b",    "{",        "}",     "{a,b}",    "[[",
                "*",     "?",      "[a]",   "~",        "~root",  "a=b",    "=ls",      "--x=y", "--x=$y",   "if",
                "for",   "done",   "time",  "select",   "#x",     "x#",     ";",        "&&",    "|",        ">x",
                "2>x",   "\n",     "a\nb",  "\t",       "\r",     "\xff",   "\xc3\xa4", "\"",    "%1",       "^x",
                "a b",   "\\n",    "\\x41", "\033[0m",  "@",      ":",      "+x",       "a,b",   "/usr/bin", "in",
                "1",     "export", "alias", "function", "coproc", "repeat", "noglob",   "\x7f",  "a'",       "'a",
        };

        for (size_t i = 0; i < ER_LEN(odd); i++)
                er_strv_add(words, odd[i]);
        for (int c = 1; c < 256; c++) {
                er_strv_addf(words, "%c", c);
                er_strv_addf(words, "x%cy", c);
        }
}

static void round_trip(const char *const *shell)
{
        er_auto(er_strv) words = ER_STRV_INIT;
        er_auto(er_str) script = ER_STR_INIT, expected = ER_STR_INIT, out = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        er_autofree char *program = er_proc_which(shell[0]);
        er_auto(er_strv) argv = ER_STRV_INIT;
        struct er_proc_opts opts = {0};
        int status = -1;

        if (!program) {
                print_message("%s is not here\n", shell[0]);
                return;
        }
        all_words(&words);
        er_str_add(&script, "printf '%s\\000' ");
        er_quote_argv(&script, words.items, words.len);
        er_str_addc(&script, '\n');
        for (size_t i = 0; i < words.len; i++)
                er_str_addn(&expected, words.items[i], strlen(words.items[i]) + 1);
        for (; *shell; shell++)
                er_strv_add(&argv, *shell);
        er_strv_add(&argv, "-c");
        er_strv_add(&argv, script.buf);
        opts.argv = argv.items;
        assert_int_equal(er_proc_run(&opts, (struct er_sv){0}, &out, NULL, 1 << 20, ER_NEVER, &status, &err), 0);
        assert_int_equal(status, 0);
        assert_int_equal(out.len, expected.len);
        assert_memory_equal(out.buf, expected.buf, out.len);
}

static void test_real_shells(void **state)
{
        static const char *const shells[][3] = {
                {"sh"}, {"dash"}, {"bash"}, {"zsh"}, {"busybox", "sh"}, {"ksh"}, {"fish"},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(shells); i++)
                round_trip(shells[i]);
}

/* As a command's name a bare word would be a keyword or an assignment. */
static void test_first_word(void **state)
{
        static const char *const words[] = {"if", "A=1", "time", "{", "!", "=ls", "~", "#x"};
        er_auto(er_str) script = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        for (size_t i = 0; i < ER_LEN(words); i++) {
                char *argv[] = {NULL, NULL, NULL, NULL};
                struct er_proc_opts opts = {.argv = argv};
                int status = -1;

                er_str_reset(&script);
                er_quote_sh(&script, words[i]);
                argv[0] = er_strdup("sh");
                argv[1] = er_strdup("-c");
                argv[2] = er_strdup(script.buf);
                assert_int_equal(er_proc_run(&opts, (struct er_sv){0}, NULL, NULL, 0, ER_NEVER, &status, &err), 0);
                for (int j = 0; j < 3; j++)
                        free(argv[j]);
                /* Looked for as a program: 127 (125: there is a /usr/bin/time); not a syntax error, 2. */
                if (status != 127 && status != 125)
                        fail_msg("%s: %d", script.buf, status);
        }
}

static void test_readable(void **state)
{
        char train[] = "train.py", lr[] = "--lr=0.1", text[] = "two words";
        char *argv[] = {train, lr, text};
        er_auto(er_str) out = ER_STR_INIT;

        (void)state;
        er_quote_argv(&out, argv, 3);
        unit_assert_str(&out, "train.py --lr=0.1 'two words'");
        er_quote_sh(&out, "");
        unit_assert_str(&out, "''");
        er_quote_sh(&out, "it's");
        unit_assert_str(&out, "'it'\\''s'");
}

static void test_show(void **state)
{
        static const struct {
                const char *text;
                size_t len;
                const char *shown;
        } cases[] = {
                {"plain text", 10, "plain text"},
                {"a\nb\0c", 5, "a\\x0ab\\x00c"},
                {"\033[31m", 5, "\\x1b[31m"},
                {"\xc3\xa4\xe2\x82\xac", 5, "\xc3\xa4\xe2\x82\xac"},
                {"\xff\xc3", 2, "\\xff\\xc3"},
                {"\xc2\x9b"
                 "31m",
                 5, "\\xc2\\x9b31m"}, /* C1: a terminal may take it for ESC [ */
                {"\xe2\x80\xae"
                 "x",
                 4, "\\xe2\\x80\\xaex"},                /* right to left override */
                {"\xed\xa0\x80", 3, "\\xed\\xa0\\x80"}, /* a surrogate is not UTF-8 */
                {"", 0, ""},
        };
        er_auto(er_str) out = ER_STR_INIT;

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_quote_show(&out, cases[i].text, cases[i].len);
                unit_assert_str(&out, cases[i].shown);
        }
        er_utf8_lossy(&out,
                      "a\xff"
                      "b\xe2\x82",
                      5);
        unit_assert_str(&out, "a\xef\xbf\xbd"
                              "b\xef\xbf\xbd\xef\xbf\xbd");
        er_utf8_lossy(&out, "\xf4\x90\x80\x80", 4); /* past U+10FFFF */
        assert_int_equal(out.len, 12);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_real_shells),
                cmocka_unit_test(test_first_word),
                cmocka_unit_test(test_readable),
                cmocka_unit_test(test_show),
        };

        return UNIT_RUN(tests);
}

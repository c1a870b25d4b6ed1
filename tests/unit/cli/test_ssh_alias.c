/* Blocks in ssh's configuration, and whether a configuration includes a file. */
#include "unit.h"

#include "cli/ssh_alias.h"

static void test_a_block_is_added_once(void **state)
{
        er_auto(er_str) text = ER_STR_INIT;

        (void)state;
        er_ssh_block_put(&text, "a", "Host a\n  Port 1\n");
        er_ssh_block_put(&text, "b", "Host b\n  Port 2\n");
        er_ssh_block_put(&text, "a", "Host a\n  Port 3\n");
        assert_string_equal(text.buf, "# Written by errand code. What is between its marks is replaced.\n"
                                      "# >>> errand a\nHost a\n  Port 3\n# <<< errand a\n"
                                      "# >>> errand b\nHost b\n  Port 2\n# <<< errand b\n");
}

static void test_other_lines_stay(void **state)
{
        er_auto(er_str) text = ER_STR_INIT;

        (void)state;
        er_str_add(&text, "Host mine"); /* no newline at its end */
        er_ssh_block_put(&text, "a", "Host a\n");
        assert_string_equal(text.buf, "Host mine\n# >>> errand a\nHost a\n# <<< errand a\n");
        /* The end of the block was cut off by hand: nothing of it is taken for the block. */
        er_str_reset(&text);
        er_str_add(&text, "# >>> errand a\nHost other\n");
        er_ssh_block_put(&text, "a", "Host a\n");
        er_ssh_block_put(&text, "a", "Host a\n");
        assert_string_equal(text.buf, "# >>> errand a\nHost other\n# >>> errand a\nHost a\n# <<< errand a\n");
}

static void test_includes(void **state)
{
        static const char path[] = "/home/x/.config/errand/ssh_config";
        static const struct {
                const char *config;
                bool included;
        } cases[] = {
                {"", false},
                {"Include /home/x/.config/errand/ssh_config\n", true},
                {"  include=/home/x/.config/errand/ssh_config", true},
                {"Include ~/.config/errand/ssh_config\nHost *\n", true},
                {"Include \"~/.config/errand/ssh_config\"\n", true},
                {"Include other ~/.config/errand/*\n", true},
                {"Include ../.config/errand/ssh_config\n", false},
                {"# Include ~/.config/errand/ssh_config\n", false},
                {"Host box\n  Include ~/.config/errand/ssh_config\n", false},
                {"Match all\nInclude ~/.config/errand/ssh_config\n", false},
                {"Included ~/.config/errand/ssh_config\n", false},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++)
                if (er_ssh_includes(cases[i].config, path, "/home/x") != cases[i].included)
                        fail_msg("%s", cases[i].config);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_block_is_added_once),
                cmocka_unit_test(test_other_lines_stay),
                cmocka_unit_test(test_includes),
        };

        return UNIT_RUN(tests);
}

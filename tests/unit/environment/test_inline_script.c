/* PEP 723. */
#include "found_world.h"

static void check(const struct world *world, const char *text, const char *expected)
{
        er_autofree char *path = er_fmt("%s/s.py", world->project);
        er_auto(er_inline_script) script = ER_INLINE_SCRIPT_INIT;
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        int found;

        unit_put(world->project, "s.py", text);
        found = er_inline_script_read(path, &script, &err);
        er_str_addf(&out, "%d", found);
        for (size_t i = 0; i < script.requirements.len; i++)
                er_str_addf(&out, " %s", script.requirements.items[i]);
        if (script.requires_python)
                er_str_addf(&out, " python %s", script.requires_python);
        if (found < 0) {
                assert_int_equal(err.code, ER_CONFIG);
                er_str_addf(&out, " %s", err.message + strlen(path));
        }
        if (!er_starts(out.buf, expected) || (found >= 0 && !er_streq(out.buf, expected)))
                fail_msg("%s\ngives \"%s\", not \"%s\"", text, out.buf, expected);
}

static void test_blocks(void **state)
{
        struct world world = world_new();

        (void)state;
        check(&world, "import a\n", "0");
        check(&world, "# /// other\n# x = 1\n# ///\n", "0");
        check(&world,
              "#!/usr/bin/env python\n\n# /// script\n# requires-python = \">=3.11\"\n# dependencies = [\n#   "
              "\"requests<3\", # why\n#   'rich',\n# ]\n#\n# [tool.x]\n# dependencies = [\"no\"]\n# ///\nimport a\n",
              "1 requests<3 rich python >=3.11");
        check(&world, "# /// script\r\n# dependencies = []\r\n# ///\r\n", "1");
        check(&world,
              "# /// script\n# dependencies = ['a[x]', 'b']\n# [tool.uv.sources]\n# a = {git = 'https://h/a'}\n# ///\n",
              "1 b a[x] @ git+https://h/a");
        check(&world, "# /// script\n# dependencies = ['a']\n# ///\n# not toml any more\n", "1 a");
        check(&world, "# /// script\n# dependencies = [\n", "-1 :1: the block");
        check(&world, "# /// script\nx = 1\n# ///\n", "-1 :1: the block");
        check(&world, "# /// script\n# ///\n\n# /// script\n# ///\n", "-1 :4: a second block");
        check(&world, "# /// script\n# dependencies = [1]\n# ///\n",
              "-1 : dependencies: expected a list of strings, not 1");
        check(&world, "\n\n# /// script\n# dependencies = [\"a\n# ///\n", "-1 :4:");
        world_end(&world);
}

static void test_no_file(void **state)
{
        struct er_inline_script script = ER_INLINE_SCRIPT_INIT;

        (void)state;
        assert_int_equal(er_inline_script_read("-c import a", &script, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks), cmocka_unit_test(test_no_file)};

        return UNIT_RUN(tests);
}

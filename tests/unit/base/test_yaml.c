#include "unit.h"

#include "base/io.h"
#include "base/yaml.h"

static struct er_yaml *parse(const char *text)
{
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_yaml *yaml = NULL;

        if (er_yaml_parse(text, strlen(text), "errand.yaml", &yaml, &err) < 0)
                fail_msg("%s", err.message);
        return yaml;
}

static const char *text_of(const struct er_yaml_node *node)
{
        assert_non_null(node);
        return er_yaml_text(node, NULL);
}

static void test_tree(void **state)
{
        er_autoptr(er_yaml) yaml = parse("# a comment\n"
                                         "name: mnist\n"
                                         "gpus: 2\n"
                                         "env: {A: \"1\", B: ~, C: 'null', D: }\n"
                                         "run: |\n"
                                         "  python3 train.py\n"
                                         "  echo done\n"
                                         "outputs:\n"
                                         "  - model.bin\n"
                                         "  - [a, b]\n");
        const struct er_yaml_node *root = er_yaml_root(yaml), *env, *list, *key_node;
        const char *key;

        (void)state;
        assert_int_equal(er_yaml_type(root), ER_YAML_MAP);
        assert_int_equal(er_yaml_count(root), 5);
        assert_string_equal(text_of(er_yaml_get(root, "name")), "mnist");
        assert_string_equal(text_of(er_yaml_get(root, "run")), "python3 train.py\necho done\n");
        assert_null(er_yaml_get(root, "nothing"));
        env = er_yaml_get(root, "env");
        assert_int_equal(er_yaml_type(er_yaml_get(env, "A")), ER_YAML_SCALAR);
        assert_int_equal(er_yaml_type(er_yaml_get(env, "B")), ER_YAML_NULL);
        assert_null(er_yaml_text(er_yaml_get(env, "B"), NULL));
        assert_int_equal(er_yaml_type(er_yaml_get(env, "C")), ER_YAML_SCALAR);
        assert_int_equal(er_yaml_type(er_yaml_get(env, "D")), ER_YAML_NULL);
        assert_non_null(er_yaml_pair(env, 2, &key, &key_node));
        assert_string_equal(key, "C");
        assert_string_equal(text_of(key_node), "C");
        assert_null(er_yaml_pair(env, 4, &key, NULL));
        list = er_yaml_get(root, "outputs");
        assert_int_equal(er_yaml_count(list), 2);
        assert_string_equal(text_of(er_yaml_item(list, 0)), "model.bin");
        assert_int_equal(er_yaml_type(er_yaml_item(list, 1)), ER_YAML_LIST);
        assert_null(er_yaml_item(list, 2));
}

static void test_empty(void **state)
{
        static const char *const texts[] = {"", "\n", "# only a comment\n", "---\n", "~\n", "--- \n...\n"};

        (void)state;
        for (size_t i = 0; i < ER_LEN(texts); i++) {
                er_autoptr(er_yaml) yaml = parse(texts[i]);

                assert_null(er_yaml_root(yaml));
        }
}

static void test_refused(void **state)
{
        static const struct {
                const char *text, *message;
        } cases[] = {
                {"a: &x 1\nb: *x\n", "errand.yaml:2:5: aliases"},
                {"a: 1\nb: 2\na: 3\n", "errand.yaml:3:1: duplicate key \"a\""},
                {"x: {a: 1, \"a\": 2}\n", "duplicate key"},
                {"a: 1\n---\nb: 2\n", "only one document"},
                {"a: !!int 3\n", "tags"},
                {"a: !mine {b: 1}\n", "tags"},
                {"? [a, b]\n: 1\n", "a key must be"},
                {"a: [1, 2\n", "errand.yaml:2:1: flow sequence"},
                {"a: b: c\n", "errand.yaml:1:5: "},
                {"\ta: 1\n", "errand.yaml:1:"},
                {"a: \"x\n", "errand.yaml:"},
                {"\"a\\0b\": 1\n", "NUL"},
                {"a: 1\nb: \xff\n", "errand.yaml:2:4: not UTF-8"},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_err) err = ER_ERR_INIT;
                struct er_yaml *yaml = NULL;

                if (er_yaml_parse(cases[i].text, strlen(cases[i].text), "errand.yaml", &yaml, &err) == 0)
                        fail_msg("taken: %s", cases[i].text);
                assert_null(yaml);
                unit_assert_err(&err, ER_CONFIG, cases[i].message);
        }
}

/* Each level is doubled by the next: by aliases a few lines become gigabytes. */
static void test_bomb(void **state)
{
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_yaml *yaml = NULL;

        (void)state;
        er_str_add(&text, "a0: &a0 [lol]\n");
        for (int i = 1; i < 30; i++)
                er_str_addf(&text, "a%d: &a%d [*a%d, *a%d]\n", i, i, i - 1, i - 1);
        assert_int_equal(er_yaml_parse(text.buf, text.len, "f", &yaml, &err), -1);
        unit_assert_err(&err, ER_CONFIG, "aliases");
}

static void test_limits(void **state)
{
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_yaml *yaml = NULL;

        (void)state;
        for (int i = 0; i < 64; i++)
                er_str_addc(&text, '[');
        for (int i = 0; i < 64; i++)
                er_str_addc(&text, ']');
        assert_int_equal(er_yaml_parse(text.buf, text.len, "f", &yaml, &err), 0);
        er_yaml_free(yaml);
        yaml = NULL;
        er_str_reset(&text);
        for (int i = 0; i < 500000; i++)
                er_str_addc(&text, '[');
        assert_int_equal(er_yaml_parse(text.buf, text.len, "f", &yaml, &err), -1);
        assert_int_equal(err.code, ER_CONFIG);
        er_str_reset(&text);
        for (int i = 0; i < 1 << 17; i++)
                er_str_add(&text, "# 67890\n");
        er_str_addc(&text, '\n');
        assert_int_equal(er_yaml_parse(text.buf, text.len, "f", &yaml, &err), -1);
        unit_assert_err(&err, ER_CONFIG, "larger than 1 MB");
}

static void test_file_and_errors(void **state)
{
        char *dir = unit_temp_dir();
        er_autofree char *path = er_path_join(dir, "errand.yaml");
        er_autofree char *expected = er_fmt("%s:2:7: gpus: not a number", path);
        er_auto(er_err) err = ER_ERR_INIT;
        er_autoptr(er_yaml) yaml = NULL;

        (void)state;
        assert_int_equal(er_yaml_load(path, &yaml, &err), -1);
        unit_assert_err(&err, ER_NOT_FOUND, path);
        assert_int_equal(er_file_write(AT_FDCWD, path, "a: 1\ngpus: x\n", 13, 0600, false, &err), 0);
        assert_int_equal(er_yaml_load(path, &yaml, &err), 0);
        assert_int_equal(er_yaml_err(yaml, er_yaml_get(er_yaml_root(yaml), "gpus"), &err, "gpus: not a %s", "number"),
                         -1);
        unit_assert_err(&err, ER_CONFIG, expected);
        er_yaml_err(yaml, NULL, &err, "wrong");
        unit_assert_err(&err, ER_CONFIG, "errand.yaml: wrong");
        unit_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tree), cmocka_unit_test(test_empty),  cmocka_unit_test(test_refused),
                cmocka_unit_test(test_bomb), cmocka_unit_test(test_limits), cmocka_unit_test(test_file_and_errors),
        };

        return UNIT_RUN(tests);
}

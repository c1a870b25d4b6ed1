/* The keys of an environment: what is read, what is refused, what lies over what. */
#include "unit.h"

#include "environment/declaration.h"

static int take_all(const char *text, struct er_declaration *ret, struct er_err *err)
{
        er_autoptr(er_yaml) yaml = NULL;
        const struct er_yaml_node *root;

        if (er_yaml_parse(text, strlen(text), "errand.yaml", &yaml, err) < 0)
                return -1;
        root = er_yaml_root(yaml);
        for (size_t i = 0; root && i < er_yaml_count(root); i++) {
                const struct er_yaml_node *key_node, *value;
                const char *key;

                value = er_yaml_pair(root, i, &key, &key_node);
                if (er_declaration_take(ret, yaml, key, key_node, value, err) < 0)
                        return -1;
        }
        return 0;
}

static void test_all_keys(void **state)
{
        er_auto(er_declaration) e = ER_DECLARATION_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        if (take_all(
                    "apt: ffmpeg git\nconda: [numpy >=1.26, scipy]\nchannels: [conda-forge]\n"
                    "pip: |\n  numpy >= 1.2  \n  # not this\n\n  torch\n"
                    "index_url: http://127.0.0.1/simple\nextra_index_urls: [http://a/, http://b/]\nfind_links: wheels\n"
                    "torch_backend: cpu\njulia: [DataFrames@1.6]\nsetup: |\n  if true; then\n    make\n  fi\n"
                    "container: docker.io/library/python:3.11\npython: 3.10\nfetch: Here\n",
                    &e, &err) < 0)
                fail_msg("%s", err.message);
        assert_int_equal(e.apt.len, 2);
        assert_string_equal(e.apt.items[1], "git");
        assert_int_equal(e.conda.len, 2);
        assert_string_equal(e.conda.items[0], "numpy >=1.26");
        assert_int_equal(e.pip.len, 2);
        assert_string_equal(e.pip.items[0], "numpy >= 1.2");
        assert_string_equal(e.pip.items[1], "torch");
        assert_int_equal(e.extra_index_urls.len, 2);
        assert_int_equal(e.setup.len, 1);
        assert_non_null(strstr(e.setup.items[0], "\n  make\n"));
        assert_string_equal(e.python, "3.10");
        assert_int_equal(e.fetch, ER_FETCH_HERE);
        assert_false(er_declaration_is_empty(&e));
}

static void refused(const char *text, const char *part, const char *hint)
{
        er_auto(er_declaration) e = ER_DECLARATION_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        assert_int_equal(take_all(text, &e, &err), -1);
        if (hint && (!err.hint || !strstr(err.hint, hint)))
                fail_msg("\"%s\" is not in \"%s\"", hint, err.hint ? err.hint : "(none)");
        unit_assert_err(&err, ER_CONFIG, part);
}

static void test_refused(void **state)
{
        (void)state;
        refused("pip: [numpy]\npyp: [x]\n", "errand.yaml:2:1: unknown key \"pyp\"", "pip");
        refused("apt: {a: b}\n", "errand.yaml:1:6: apt must be", NULL);
        refused("pip: [[a]]\n", "errand.yaml:1:7: pip must be", NULL);
        refused("container: [a, b]\n", "container must be a single value", NULL);
        refused("fetch: there\n", "\"there\" is not one of its values", "here");
        refused("apt: ['']\n", "apt is empty", NULL);
        refused("pip: [\"a\\nb\"]\n", "more than one line", NULL);
}

static void test_overlay(void **state)
{
        er_auto(er_declaration) e = ER_DECLARATION_INIT;
        er_auto(er_declaration) over = ER_DECLARATION_INIT;

        (void)state;
        assert_true(er_declaration_is_empty(&e));
        assert_int_equal(take_all("pip: [numpy, scipy]\napt: git\npython: '3.9'\n", &e, NULL), 0);
        assert_int_equal(take_all("pip: [torch]\nfetch: host\ncontainer:\n", &over, NULL), 0);
        er_declaration_overlay(&e, &over);
        assert_int_equal(e.pip.len, 1);
        assert_string_equal(e.pip.items[0], "torch");
        assert_string_equal(e.apt.items[0], "git");
        assert_string_equal(e.python, "3.9");
        assert_int_equal(e.fetch, ER_FETCH_HOST);
        assert_null(e.container);
}

static void test_where_from_is_no_package(void **state)
{
        er_auto(er_declaration) e = ER_DECLARATION_INIT;

        (void)state;
        assert_int_equal(take_all("index_url: http://a/\npython: '3.9'\nfetch: host\n", &e, NULL), 0);
        assert_true(er_declaration_is_empty(&e));
        assert_true(er_declaration_is_key("extra_index_urls"));
        assert_false(er_declaration_is_key("name"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_keys),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_overlay),
                cmocka_unit_test(test_where_from_is_no_package),
        };
        return UNIT_RUN(tests);
}

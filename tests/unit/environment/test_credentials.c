/* What is secret in addresses: found, masked, taken out. */
#include "environment/credentials.h"

#include "unit.h"

static void test_masked(void **state)
{
        static const struct {
                const char *text, *masked;
        } cases[] = {
                {"https://me:geheim@host/simple", "https://***@host/simple"},
                {"--index-url https://me:geheim@host:8080/simple  # mine",
                 "--index-url https://***@host:8080/simple  # mine"},
                {"a @ git+https://ghp_0123456789abcdef@github.com/x/y", "a @ git+https://***@github.com/x/y"},
                {"a @ git+ssh://git@github.com/x/y", "a @ git+ssh://git@github.com/x/y"},
                {"https://a:b@one/ https://c:d@two/", "https://***@one/ https://***@two/"},
                {"https://a:p@ss@host/", "https://***@host/"},
                {"https://host/t/ab-12345678/conda", "https://host/t/***/conda"},
                {"https://a:b@host/t/ab-12345678/conda", "https://***@host/t/***/conda"},
                {"https://host/t/short/x", "https://host/t/short/x"},
                {"/t/ab-12345678/local", "/t/ab-12345678/local"},
                {"https://host/x?mail=a:b@c", "https://host/x?mail=a:b@c"},
                {"https://me:${TOKEN}@host/simple", "https://me:${TOKEN}@host/simple"},
                {"https://${USER}:geheim@host/simple", "https://${USER}:***@host/simple"},
                {"https://me:ge${TOKEN}heim@host/${X}", "https://me:***${TOKEN}***@host/${X}"},
                {"https://ghp_0123456789abcdef${X}@host/", "https://***${X}@host/"},
                {"https://${TOKEN}@host/t/ab-12345678/c", "https://${TOKEN}@host/t/***/c"},
                {"https://me:geh$eim@host/simple", "https://***@host/simple"},
                {"https://me:$geheim@host/simple", "https://***@host/simple"},
                {"https://me:${geheim@host/simple", "https://***@host/simple"},
                {"https://me:ge'h\"eim@host/simple", "https://***@host/simple"},
                {"https://me:ge/heim@host/simple", "https://***@host/simple"},
                {"https://me:ge#heim@host/simple", "https://***@host/simple"},
                {"https://:geheim@host/simple", "https://***@host/simple"},
                {"https://host:${PORT}/x@1", "https://host:${PORT}/x@1"},
                {"http://[::1]:80/x@1", "http://[::1]:80/x@1"},
                {"https://host:8080/x@1", "https://host:8080/x@1"},
                {"numpy==1.26", "numpy==1.26"},
                {"", ""},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_str) out = ER_STR_INIT;

                er_credentials_mask(cases[i].text, &out);
                unit_assert_str(&out, cases[i].masked);
        }
}

static void test_taken(void **state)
{
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        er_auto(er_str) first = ER_STR_INIT;
        er_auto(er_str) again = ER_STR_INIT;
        er_auto(er_str) other = ER_STR_INIT;
        er_autofree char *expected = NULL;

        (void)state;
        er_credentials_take("https://me:geheim@my-index.org/simple", &recipe, &first);
        assert_int_equal(recipe.secrets.len, 1);
        assert_true(er_starts(recipe.secrets.items[0], "ERRAND_AUTH_MY_INDEX_ORG_"));
        expected = er_fmt("https://${%s}@my-index.org/simple", recipe.secrets.items[0]);
        unit_assert_str(&first, expected);
        assert_true(er_ends(recipe.values.items[0], "=me:geheim"));
        /* The same once more is the same; another user of the same address is another. */
        er_credentials_take("https://me:geheim@my-index.org/simple", &recipe, &again);
        unit_assert_str(&again, expected);
        assert_int_equal(recipe.secrets.len, 1);
        er_credentials_take("https://you:sesam@my-index.org/simple", &recipe, &other);
        assert_int_equal(recipe.secrets.len, 2);
        assert_true(er_ends(recipe.values.items[1], "=you:sesam"));
        assert_string_not_equal(recipe.secrets.items[0], recipe.secrets.items[1]);
}

static void test_two_in_one_address(void **state)
{
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        er_auto(er_str) out = ER_STR_INIT;

        (void)state;
        er_credentials_take("https://me:geheim@host/t/ab-12345678/c", &recipe, &out);
        assert_int_equal(recipe.values.len, 2);
        assert_true(er_ends(recipe.values.items[0], "=me:geheim"));
        assert_true(er_ends(recipe.values.items[1], "=ab-12345678"));
        assert_null(strstr(out.buf, "geheim"));
        assert_true(er_ends(out.buf, "}/c"));
}

static void test_variables_of_ours(void **state)
{
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        er_auto(er_str) out = ER_STR_INIT;
        static const char text[] = "https://${UNIT_USER}:${UNIT_NOT_SET}@host/ ${lower} ${ERRAND_FILES} ${UNIT_USER";

        (void)state;
        setenv("UNIT_USER", "me", 1);
        unsetenv("UNIT_NOT_SET");
        setenv("ERRAND_FILES", "x", 1);
        er_credentials_take(text, &recipe, &out);
        unit_assert_str(&out, text);
        assert_int_equal(recipe.secrets.len, 1);
        assert_string_equal(recipe.values.items[0], "UNIT_USER=me");
}

/* What names a place is the host's; what cannot be a variable's name is none. */
static void test_variables_of_the_host(void **state)
{
        static const char *const names[] = {"PATH",         "HOME",         "TMPDIR", "LD_PRELOAD", "PYTHONPATH",
                                            "UV_CACHE_DIR", "PROJECT_ROOT", "IFS",    "9"};

        (void)state;
        for (size_t i = 0; i < ER_LEN(names); i++) {
                er_auto(er_recipe) recipe = ER_RECIPE_INIT;
                er_auto(er_str) out = ER_STR_INIT;
                er_autofree char *text = er_fmt("x @ file://${%s}/x.whl", names[i]);
                er_autofree char *before = getenv(names[i]) ? er_strdup(getenv(names[i])) : NULL;

                setenv(names[i], before ? before : "", 1);
                er_credentials_take(text, &recipe, &out);
                unit_assert_str(&out, text);
                assert_int_equal(recipe.secrets.len, 0);
                if (!before)
                        unsetenv(names[i]);
        }
}

/* Names travel and are stored; values are not. */
static void test_encoded(void **state)
{
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        er_auto(er_recipe) back = ER_RECIPE_INIT;
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_str) bytes = ER_STR_INIT;
        er_auto(er_strv) vars = ER_STRV_INIT;

        (void)state;
        er_credentials_take("https://me:geheim@host/", &recipe, &out);
        er_recipe_encode(&recipe, &bytes);
        assert_null(memmem(bytes.buf, bytes.len, "geheim", 6));
        assert_int_equal(er_recipe_decode(er_svn(bytes.buf, bytes.len), &back, NULL), 0);
        assert_int_equal(back.secrets.len, 1);
        assert_string_equal(back.secrets.items[0], recipe.secrets.items[0]);
        assert_int_equal(back.values.len, 0);
        er_recipe_vars(&recipe.values, &vars);
        assert_int_equal(vars.len, 3);
        assert_true(er_starts(vars.items[0], "ERRAND_SECRETS=ERRAND_AUTH_HOST_"));
        assert_string_equal(vars.items[1], "ERRAND_MASKED=me:geheim\ngeheim");
        assert_string_equal(vars.items[2], recipe.values.items[0]);
}

/* Whole and in parts, as it is written and as the server gets it; what is a part of another comes behind it. */
static void test_what_no_log_may_show(void **state)
{
        static const struct {
                const char *first, *second, *masked;
        } cases[] = {
                {"A=me:ge%2Bheim", NULL, "me:ge%2Bheim\nme:ge+heim\nge%2Bheim\nge+heim"},
                {"A=geheim", "B=geheim-too", "geheim-too\ngeheim"},
                {"A=ghp_0123456789abcdef:x-oauth", NULL, "ghp_0123456789abcdef:x-oauth\nghp_0123456789abcdef\nx-oauth"},
                {"A=me:abc", "B=xyz", "me:abc"},
                {"A=ge%heim%2", "B=%00%0a%41%", "%00%0a%41%\nge%heim%2"},
                {"A=one=two\nthree\n", NULL, "one=two\nthree"},
                {"A=", "B", ""},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_strv) values = ER_STRV_INIT;
                er_auto(er_strv) vars = ER_STRV_INIT;
                er_autofree char *expected = er_fmt("ERRAND_MASKED=%s", cases[i].masked);

                er_strv_add(&values, cases[i].first);
                if (cases[i].second)
                        er_strv_add(&values, cases[i].second);
                er_recipe_vars(&values, &vars);
                assert_string_equal(vars.items[1], expected);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_masked),
                cmocka_unit_test(test_taken),
                cmocka_unit_test(test_two_in_one_address),
                cmocka_unit_test(test_variables_of_ours),
                cmocka_unit_test(test_variables_of_the_host),
                cmocka_unit_test(test_encoded),
                cmocka_unit_test(test_what_no_log_may_show),
        };

        return UNIT_RUN(tests);
}

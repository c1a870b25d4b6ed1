#include "unit.h"

#include "base/json.h"

static void dump(json_t *json, struct er_str *out)
{
        er_json_dump(json, false, out);
        json_decref(json);
}

static void test_values(void **state)
{
        er_auto(er_str) out = ER_STR_INIT;

        (void)state;
        dump(er_json_bytes("a\0\xff", 3), &out);
        unit_assert_str(&out, "\"a\\u0000\xef\xbf\xbd\"");
        dump(er_json_text(NULL), &out);
        unit_assert_str(&out, "null");
        dump(er_json_time(0), &out);
        unit_assert_str(&out, "null");
        dump(er_json_time(1), &out);
        unit_assert_str(&out, "\"1970-01-01T00:00:00.001Z\"");
        dump(json_pack("{s:[i,i]}", "a", 1, 2), &out);
        unit_assert_str(&out, "{\"a\":[1,2]}");
}

static void test_parse(void **state)
{
        static const char *const wrong[] = {"", "{", "[1,]", "{\"a\":1,\"a\":2}", "1 2", "nul", "\"\xff\""};
        er_auto(er_err) err = ER_ERR_INIT;
        json_t *json = NULL;

        (void)state;
        assert_int_equal(er_json_parse("{\"a\": [1]}", 10, "f", &json, &err), 0);
        assert_int_equal(json_array_size(json_object_get(json, "a")), 1);
        json_decref(json);
        json = NULL;
        for (size_t i = 0; i < ER_LEN(wrong); i++) {
                assert_int_equal(er_json_parse(wrong[i], strlen(wrong[i]), "state.json", &json, &err), -1);
                assert_null(json);
                unit_assert_err(&err, ER_CONFIG, "state.json: line ");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_parse)};

        return UNIT_RUN(tests);
}

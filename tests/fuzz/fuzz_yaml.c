/* fuzz_yaml.c - any bytes are a document or an error with a message; a document can be walked to its end. */
#include "fuzz.h"

#include "base/yaml.h"

static size_t walk(const struct er_yaml_node *node, int depth)
{
        size_t count = 1, len = 0;

        FUZZ_CHECK(node && depth <= 65); /* 64 levels, and a text in the last */
        switch (er_yaml_type(node)) {
        case ER_YAML_NULL:
                FUZZ_CHECK(!er_yaml_text(node, NULL));
                break;
        case ER_YAML_SCALAR:
                FUZZ_CHECK(er_yaml_text(node, &len) && er_yaml_text(node, NULL)[len] == '\0');
                break;
        case ER_YAML_LIST:
                for (size_t i = 0; i < er_yaml_count(node); i++)
                        count += walk(er_yaml_item(node, i), depth + 1);
                break;
        case ER_YAML_MAP:
                for (size_t i = 0; i < er_yaml_count(node); i++) {
                        const struct er_yaml_node *key_node, *value;
                        const char *key;

                        value = er_yaml_pair(node, i, &key, &key_node);
                        FUZZ_CHECK(key && key_node && er_yaml_get(node, key) == value);
                        count += walk(value, depth + 1);
                }
                break;
        }
        return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        er_autoptr(er_yaml) yaml = NULL;
        er_auto(er_err) err = ER_ERR_INIT;

        if (er_yaml_parse((const char *)data, size, "errand.yaml", &yaml, &err) < 0) {
                FUZZ_CHECK(!yaml && err.code != ER_OK && err.message && err.message[0]);
                return 0;
        }
        FUZZ_CHECK(yaml && !err.message);
        if (er_yaml_root(yaml))
                walk(er_yaml_root(yaml), 1);
        return 0;
}

/*
 * yaml.h - a read-only view of a YAML file, parsed by libfyaml. It refuses aliases (which could expand without limit),
 * duplicate keys, more than 1 MB and more than 64 levels. Errors name file:line:column.
 */
#ifndef ER_BASE_YAML_H
#define ER_BASE_YAML_H

#include "base/err.h"
#include "base/str.h"

struct er_yaml;      /* a document */
struct er_yaml_node; /* (borrowed) until the document is freed */

int er_yaml_load(const char *path, struct er_yaml **ret, struct er_err *err);
int er_yaml_parse(const char *text, size_t len, const char *name, struct er_yaml **ret, struct er_err *err);
void er_yaml_free(struct er_yaml *yaml);
ER_DEFINE_AUTOPTR(er_yaml)

enum er_yaml_type { ER_YAML_NULL, ER_YAML_SCALAR, ER_YAML_LIST, ER_YAML_MAP };
const struct er_yaml_node *er_yaml_root(const struct er_yaml *yaml); /* NULL: the document is empty */
enum er_yaml_type er_yaml_type(const struct er_yaml_node *node);
/* The text of a scalar (borrowed), or NULL. */
const char *er_yaml_text(const struct er_yaml_node *node, size_t *ret_len);
size_t er_yaml_count(const struct er_yaml_node *node); /* items of a list or pairs of a map */
const struct er_yaml_node *er_yaml_item(const struct er_yaml_node *list, size_t index);
const struct er_yaml_node *er_yaml_pair(const struct er_yaml_node *map, size_t index, const char **ret_key,
                                        const struct er_yaml_node **ret_key_node);
const struct er_yaml_node *er_yaml_get(const struct er_yaml_node *map, const char *key);
/* er_err_set, with "file:line:column: " before the message. */
int er_yaml_err(const struct er_yaml *yaml, const struct er_yaml_node *node, struct er_err *err, const char *fmt, ...)
        ER_PRINTF(4, 5);

#endif

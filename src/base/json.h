/*
 * json.h - helpers for jansson: strings that may not be UTF-8, and our errors.
 */
#ifndef ER_BASE_JSON_H
#define ER_BASE_JSON_H

#include <jansson.h>
#include "base/err.h"
#include "base/str.h"

json_t *er_json_bytes(const char *text, size_t len); /* a JSON string; invalid bytes become U+FFFD */
json_t *er_json_text(const char *text);              /* NULL: null */
json_t *er_json_time(int64_t ms);                    /* an ISO 8601 string; 0: null */
void er_json_dump(const json_t *json, bool pretty, struct er_str *out);
int er_json_parse(const char *text, size_t len, const char *what, json_t **ret, struct er_err *err);

#endif

/* json.c - see json.h */
#include "base/json.h"

#include "base/clock.h"
#include "base/parse.h"

/* Our strings are valid UTF-8, so NULL from jansson means that memory has run out. */
static json_t *not_null(json_t *json)
{
        if (!json)
                abort();
        return json;
}

json_t *er_json_bytes(const char *text, size_t len)
{
        er_auto(er_str) clean = ER_STR_INIT;

        er_utf8_lossy(&clean, text, len);
        return not_null(json_stringn_nocheck(clean.buf, clean.len));
}

json_t *er_json_text(const char *text)
{
        return text ? er_json_bytes(text, strlen(text)) : json_null();
}

json_t *er_json_time(int64_t ms)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (ms == 0)
                return json_null();
        er_fmt_iso(&text, ms);
        return not_null(json_stringn_nocheck(text.buf, text.len));
}

static int add_piece(const char *piece, size_t len, void *data)
{
        er_str_addn(data, piece, len);
        return 0;
}

void er_json_dump(const json_t *json, bool pretty, struct er_str *out)
{
        size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(12) | (pretty ? JSON_INDENT(2) : JSON_COMPACT);

        if (json_dump_callback(json, add_piece, out, flags) < 0)
                abort(); /* a NULL or a cycle: our bug */
}

int er_json_parse(const char *text, size_t len, const char *what, json_t **ret, struct er_err *err)
{
        json_error_t why;
        json_t *json = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);

        if (!json)
                return er_err_set(err, ER_CONFIG, "%s: line %d, column %d: %s", what, why.line, why.column, why.text);
        *ret = json;
        return 0;
}

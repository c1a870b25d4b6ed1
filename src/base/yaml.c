/*
 * yaml.c - builds its own small tree from libfyaml's events instead of using its documents: so it can refuse an alias,
 * deep nesting or a duplicate key as soon as it sees one. See yaml.h
 */
#include "base/yaml.h"

#include <fcntl.h>
#include <libfyaml.h>
#include "base/io.h"
#include "base/map.h"
#include "base/utf8.h"

#define SIZE_LIMIT ((size_t)1 << 20)
#define DEPTH_LIMIT 64

struct er_yaml_node {
        enum er_yaml_type type;
        int line, column;
        char *text; /* (owned) of a scalar */
        size_t text_len;
        struct er_yaml_node **items; /* (owned) of a list; of a map: key, value, key, value ... */
        size_t count;
        size_t cap;
};

struct er_yaml {
        char *name; /* (owned) as messages call it */
        struct er_yaml_node *root;
};

struct reader {
        struct fy_parser *parser;
        struct fy_diag *diag;
        struct er_str said; /* libfyaml's first message */
        struct er_yaml *yaml;
        struct er_err *err;
        struct {
                struct er_yaml_node *node;
                struct er_map keys; /* of a map: its keys so far */
        } open[DEPTH_LIMIT];
        size_t depth;
        bool seen_document;
};

static void free_node(struct er_yaml_node *node)
{
        if (!node)
                return;
        for (size_t i = 0; i < node->count; i++)
                free_node(node->items[i]);
        free(node->items);
        free(node->text);
        free(node);
}

void er_yaml_free(struct er_yaml *yaml)
{
        if (!yaml)
                return;
        free_node(yaml->root);
        free(yaml->name);
        free(yaml);
}

static int fail_at(struct reader *reader, struct fy_event *event, const char *what)
{
        const struct fy_mark *mark = fy_event_start_mark(event);

        return er_err_set(reader->err, ER_CONFIG, "%s:%d:%d: %s", reader->yaml->name, mark ? mark->line + 1 : 1,
                          mark ? mark->column + 1 : 1, what);
}

static bool is_null_text(const char *text)
{
        return !*text || er_streq(text, "~") || er_streq(text, "null") || er_streq(text, "Null") ||
               er_streq(text, "NULL");
}

/* Adds a new node where the document has it: as the root, the next item, key or value. */
static int place(struct reader *reader, struct fy_event *event, struct er_yaml_node *node)
{
        const struct fy_mark *mark = fy_event_start_mark(event);
        struct er_yaml_node *parent;

        node->line = mark ? mark->line + 1 : 1;
        node->column = mark ? mark->column + 1 : 1;
        if (reader->depth == 0) {
                reader->yaml->root = node;
                return 0;
        }
        parent = reader->open[reader->depth - 1].node;
        parent->items = er_grow(parent->items, &parent->cap, parent->count + 1, sizeof *parent->items);
        parent->items[parent->count++] = node;
        if (parent->type != ER_YAML_MAP || parent->count % 2 == 0)
                return 0;
        if (!node->text)
                return fail_at(reader, event, "a key must be a plain text");
        if (strlen(node->text) != node->text_len)
                return fail_at(reader, event, "a key contains a NUL character");
        if (er_map_sets(&reader->open[reader->depth - 1].keys, node->text, node)) {
                er_autofree char *what = er_fmt("duplicate key \"%s\"", node->text);

                return fail_at(reader, event, what);
        }
        return 0;
}

static int open_node(struct reader *reader, struct fy_event *event, enum er_yaml_type type, const struct fy_token *tag)
{
        struct er_yaml_node *node = er_new(struct er_yaml_node);

        node->type = type;
        if (place(reader, event, node) < 0)
                return -1;
        if (tag)
                return fail_at(reader, event, "tags (!name) are not supported");
        if (reader->depth == DEPTH_LIMIT)
                return fail_at(reader, event, "nested too deeply (more than 64 levels)");
        reader->open[reader->depth].node = node;
        reader->open[reader->depth].keys = (struct er_map)ER_MAP_INIT;
        reader->depth++;
        return 0;
}

static void close_node(struct reader *reader)
{
        reader->depth--;
        er_map_release(&reader->open[reader->depth].keys);
}

static int add_scalar(struct reader *reader, struct fy_event *event)
{
        struct fy_token *value = event->scalar.value;
        struct er_yaml_node *node;
        const char *text;
        size_t len = 0;

        if (event->scalar.tag)
                return fail_at(reader, event, "tags (!name) are not supported; write a text in quotes");
        text = fy_token_get_text(value, &len);
        if (!text) {
                text = "";
                len = 0;
        }
        node = er_new(struct er_yaml_node);
        node->type = ER_YAML_SCALAR;
        node->text = er_strndup(text, len);
        node->text_len = len;
        if (fy_token_scalar_style(value) == FYSS_PLAIN && strlen(node->text) == len && is_null_text(node->text)) {
                node->type = ER_YAML_NULL;
                /* A key keeps its text, so that a message can quote it. */
                if (reader->depth == 0 || reader->open[reader->depth - 1].node->type != ER_YAML_MAP ||
                    reader->open[reader->depth - 1].node->count % 2 == 1) {
                        free(node->text);
                        node->text = NULL;
                        node->text_len = 0;
                }
        }
        return place(reader, event, node);
}

static int take_event(struct reader *reader, struct fy_event *event)
{
        switch (event->type) {
        case FYET_DOCUMENT_START:
                if (reader->seen_document)
                        return fail_at(reader, event, "only one document is allowed");
                reader->seen_document = true;
                return 0;
        case FYET_ALIAS:
                return fail_at(reader, event, "aliases (*name) are not supported; write the value out");
        case FYET_SCALAR:
                return add_scalar(reader, event);
        case FYET_SEQUENCE_START:
                return open_node(reader, event, ER_YAML_LIST, event->sequence_start.tag);
        case FYET_MAPPING_START:
                return open_node(reader, event, ER_YAML_MAP, event->mapping_start.tag);
        case FYET_SEQUENCE_END:
        case FYET_MAPPING_END:
                close_node(reader);
                return 0;
        case FYET_NONE:
        case FYET_STREAM_START:
        case FYET_STREAM_END:
        case FYET_DOCUMENT_END:
                return 0;
        }
        return 0;
}

/*
 * libfyaml's first message in our form. It comes as "<input>:2:1: error: <what>\n", where <input> is an address.
 * (It can also be asked to collect errors, but 0.7.12 then does not free them.)
 */
static int parser_error(struct reader *reader)
{
        const char *kind = strstr(reader->said.buf, ": error: "), *place = kind;
        int colons = 0;

        if (!kind)
                return er_err_set(reader->err, ER_CONFIG, "%s: not valid YAML", reader->yaml->name);
        while (place > reader->said.buf && colons < 2)
                colons += *--place == ':';
        return er_err_set(reader->err, ER_CONFIG, "%s%.*s: %s", reader->yaml->name, (int)(kind - place), place,
                          kind + strlen(": error: "));
}

static int read_events(struct reader *reader)
{
        struct fy_event *event;
        int rc = 0;

        while (rc == 0 && (event = fy_parser_parse(reader->parser))) {
                rc = take_event(reader, event);
                fy_parser_event_free(reader->parser, event);
        }
        if (rc == 0 && fy_parser_get_stream_error(reader->parser))
                rc = parser_error(reader);
        while (reader->depth > 0)
                close_node(reader);
        return rc;
}

/* Called for the message, then for the line it refers to and a marker below that. */
static void take_output(struct fy_diag *diag, void *user, const char *buf, size_t len)
{
        struct er_str *said = user;

        (void)diag;
        if (said->len > 0)
                return;
        er_str_addn(said, buf, len);
        er_str_rtrim(said);
}

/* YAML must be UTF-8, but libfyaml accepts some bytes that are not. */
static int check_utf8(const char *text, size_t len, const char *name, struct er_err *err)
{
        size_t line = 1, line_start = 0;

        for (size_t pos = 0; pos < len;) {
                uint32_t code;
                size_t n = er_utf8_next(text + pos, len - pos, &code);

                if (n == 0)
                        return er_err_set(err, ER_CONFIG, "%s:%zu:%zu: not UTF-8", name, line, pos - line_start + 1);
                pos += n;
                if (code == '\n') {
                        line++;
                        line_start = pos;
                }
        }
        return 0;
}

int er_yaml_parse(const char *text, size_t len, const char *name, struct er_yaml **ret, struct er_err *err)
{
        struct fy_diag_cfg diag_config = {.output_fn = take_output, .level = FYET_ERROR, .module_mask = ~0u};
        struct fy_parse_cfg config = {.flags = FYPCF_JSON_NONE};
        er_autoptr(er_yaml) yaml = NULL;
        struct reader reader = {.err = err, .said = ER_STR_INIT};
        int rc;

        if (len > SIZE_LIMIT)
                return er_err_set(err, ER_CONFIG, "%s: larger than 1 MB", name);
        if (check_utf8(text, len, name, err) < 0)
                return -1;
        yaml = er_new(struct er_yaml);
        yaml->name = er_strdup(name);
        if (len == 0) {
                *ret = er_take(yaml);
                return 0;
        }
        reader.yaml = yaml;
        diag_config.user = &reader.said;
        reader.diag = fy_diag_create(&diag_config);
        if (!reader.diag)
                abort(); /* out of memory */
        config.diag = reader.diag;
        reader.parser = fy_parser_create(&config);
        if (!reader.parser || fy_parser_set_string(reader.parser, text, len) < 0)
                rc = er_err_set(err, ER_INTERNAL, "%s: cannot start the YAML parser", name);
        else
                rc = read_events(&reader);
        if (reader.parser)
                fy_parser_destroy(reader.parser);
        fy_diag_unref(reader.diag);
        er_str_release(&reader.said);
        if (rc < 0)
                return -1;
        if (yaml->root && yaml->root->type == ER_YAML_NULL) {
                free_node(yaml->root);
                yaml->root = NULL;
        }
        *ret = er_take(yaml);
        return 0;
}

int er_yaml_load(const char *path, struct er_yaml **ret, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (er_file_read(AT_FDCWD, path, SIZE_LIMIT, &text, err) < 0)
                return -1;
        return er_yaml_parse(text.buf, text.len, path, ret, err);
}

const struct er_yaml_node *er_yaml_root(const struct er_yaml *yaml)
{
        return yaml->root;
}

enum er_yaml_type er_yaml_type(const struct er_yaml_node *node)
{
        return node->type;
}

const char *er_yaml_text(const struct er_yaml_node *node, size_t *ret_len)
{
        if (node->type != ER_YAML_SCALAR)
                return NULL;
        if (ret_len)
                *ret_len = node->text_len;
        return node->text;
}

size_t er_yaml_count(const struct er_yaml_node *node)
{
        return node->type == ER_YAML_MAP ? node->count / 2 : node->count;
}

const struct er_yaml_node *er_yaml_item(const struct er_yaml_node *list, size_t index)
{
        return list->type == ER_YAML_LIST && index < list->count ? list->items[index] : NULL;
}

const struct er_yaml_node *er_yaml_pair(const struct er_yaml_node *map, size_t index, const char **ret_key,
                                        const struct er_yaml_node **ret_key_node)
{
        if (map->type != ER_YAML_MAP || index >= map->count / 2)
                return NULL;
        if (ret_key)
                *ret_key = map->items[2 * index]->text;
        if (ret_key_node)
                *ret_key_node = map->items[2 * index];
        return map->items[2 * index + 1];
}

const struct er_yaml_node *er_yaml_get(const struct er_yaml_node *map, const char *key)
{
        for (size_t i = 0; map->type == ER_YAML_MAP && i + 1 < map->count; i += 2)
                if (strcmp(map->items[i]->text, key) == 0)
                        return map->items[i + 1];
        return NULL;
}

int er_yaml_err(const struct er_yaml *yaml, const struct er_yaml_node *node, struct er_err *err, const char *fmt, ...)
{
        er_auto(er_str) text = ER_STR_INIT;
        va_list args;

        if (node)
                er_str_addf(&text, "%s:%d:%d: ", yaml->name, node->line, node->column);
        else
                er_str_addf(&text, "%s: ", yaml->name);
        va_start(args, fmt);
        er_str_addv(&text, fmt, args);
        va_end(args);
        return er_err_set(err, ER_CONFIG, "%s", text.buf);
}

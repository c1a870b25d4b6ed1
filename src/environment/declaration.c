/* declaration.c - what errand.yaml and options say about software; see declaration.h */
#include "environment/declaration.h"

#include <strings.h>
#include "base/parse.h"

void er_declaration_release(struct er_declaration *declaration)
{
        struct er_strv *lists[] = {
                &declaration->apt,   &declaration->conda, &declaration->channels,   &declaration->pip,
                &declaration->julia, &declaration->setup, &declaration->find_links, &declaration->extra_index_urls,
                &declaration->also};

        for (size_t i = 0; i < ER_LEN(lists); i++)
                er_strv_release(lists[i]);
        free(declaration->name);
        free(declaration->index_url);
        free(declaration->python);
        free(declaration->torch_backend);
        free(declaration->container);
        *declaration = (struct er_declaration)ER_DECLARATION_INIT;
}

/* How a single text becomes the items of a list. */
enum split { BY_LINE, BY_WORD, WHOLE };

struct key {
        const char *name;
        int (*read)(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key, void *member,
                    struct er_err *err);
        size_t offset;
        enum split split;
};

static const char *plain_text(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key,
                              struct er_err *err)
{
        size_t len = 0;
        const char *text = er_yaml_text(node, &len);

        if (!text) {
                er_yaml_err(yaml, node, err, "%s must be a text or a list of texts", key->name);
                return NULL;
        }
        if (strlen(text) != len) {
                er_yaml_err(yaml, node, err, "%s has a NUL character in it", key->name);
                return NULL;
        }
        if (er_sv_trim(er_sv(text)).len == 0) {
                er_yaml_err(yaml, node, err, "%s is empty", key->name);
                return NULL;
        }
        return text;
}

static void add_split(struct er_strv *list, const char *text, enum split split)
{
        struct er_sv rest = er_sv(text), line, word;

        if (split == WHOLE) {
                er_strv_add(list, text);
                return;
        }
        while (er_sv_cut(&rest, '\n', &line)) {
                line = er_sv_trim(line);
                while (split == BY_WORD && er_sv_cut(&line, ' ', &word)) {
                        word = er_sv_trim(word);
                        if (word.len)
                                er_strv_addn(list, word.ptr, word.len);
                }
                if (split == BY_LINE && line.len && line.ptr[0] != '#')
                        er_strv_addn(list, line.ptr, line.len);
        }
}

static int read_list(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key, void *member,
                     struct er_err *err)
{
        er_auto(er_strv) list = ER_STRV_INIT;
        const char *text;

        if (er_yaml_type(node) == ER_YAML_LIST) {
                for (size_t i = 0; i < er_yaml_count(node); i++) {
                        text = plain_text(yaml, er_yaml_item(node, i), key, err);
                        if (!text)
                                return -1;
                        if (key->split != WHOLE && strchr(text, '\n'))
                                return er_yaml_err(yaml, er_yaml_item(node, i), err,
                                                   "%s: an item has more than one line", key->name);
                        add_split(&list, text, key->split == BY_WORD ? BY_LINE : key->split);
                }
        } else {
                text = plain_text(yaml, node, key, err);
                if (!text)
                        return -1;
                add_split(&list, text, key->split);
        }
        er_strv_release(member);
        *(struct er_strv *)member = list;
        list = (struct er_strv)ER_STRV_INIT;
        return 0;
}

static int read_text(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key, void *member,
                     struct er_err *err)
{
        const char *text;
        struct er_sv trimmed;
        char **ret = member;

        if (er_yaml_type(node) != ER_YAML_SCALAR)
                return er_yaml_err(yaml, node, err, "%s must be a single value", key->name);
        text = plain_text(yaml, node, key, err);
        if (!text)
                return -1;
        trimmed = er_sv_trim(er_sv(text));
        if (memchr(trimmed.ptr, '\n', trimmed.len))
                return er_yaml_err(yaml, node, err, "%s has more than one line", key->name);
        free(*ret);
        *ret = er_sv_dup(trimmed);
        return 0;
}

static const char *const fetch_names[] = {
        [ER_FETCH_AUTO] = "auto",
        [ER_FETCH_HOST] = "host",
        [ER_FETCH_HERE] = "here",
};

const char *er_fetch_name(enum er_fetch fetch)
{
        return fetch_names[fetch];
}

enum er_fetch er_fetch_of(const char *name)
{
        for (size_t i = ER_FETCH_AUTO; i < ER_LEN(fetch_names); i++)
                if (strcasecmp(name, fetch_names[i]) == 0)
                        return (enum er_fetch)i;
        return ER_FETCH_UNSAID;
}

static int read_fetch(const struct er_yaml *yaml, const struct er_yaml_node *node, const struct key *key, void *member,
                      struct er_err *err)
{
        er_autofree char *text = NULL;
        enum er_fetch fetch;

        if (read_text(yaml, node, key, &text, err) < 0 || !text)
                return -1;
        fetch = er_fetch_of(text);
        if (fetch != ER_FETCH_UNSAID) {
                *(enum er_fetch *)member = fetch;
                return 0;
        }
        er_yaml_err(yaml, node, err, "fetch: \"%s\" is not one of its values", text);
        return er_err_hint(err, "use auto, host (the host downloads) or here (this machine downloads and sends)");
}

#define MEMBER(m) offsetof(struct er_declaration, m)
static const struct key keys[] = {
        {"apt", read_list, MEMBER(apt), BY_WORD},
        {"channels", read_list, MEMBER(channels), BY_WORD},
        {"conda", read_list, MEMBER(conda), BY_LINE},
        {"container", read_text, MEMBER(container), WHOLE},
        {"extra_index_urls", read_list, MEMBER(extra_index_urls), BY_WORD},
        {"fetch", read_fetch, MEMBER(fetch), WHOLE},
        {"find_links", read_list, MEMBER(find_links), BY_LINE},
        {"index_url", read_text, MEMBER(index_url), WHOLE},
        {"julia", read_list, MEMBER(julia), BY_LINE},
        {"pip", read_list, MEMBER(pip), BY_LINE},
        {"python", read_text, MEMBER(python), WHOLE},
        {"setup", read_list, MEMBER(setup), WHOLE},
        {"torch_backend", read_text, MEMBER(torch_backend), WHOLE},
};

static const struct key *find_key(const char *name)
{
        for (size_t i = 0; i < ER_LEN(keys); i++)
                if (er_streq(keys[i].name, name))
                        return &keys[i];
        return NULL;
}

bool er_declaration_is_key(const char *key)
{
        return find_key(key);
}

static int unknown_key(const struct er_yaml *yaml, const struct er_yaml_node *node, const char *name,
                       struct er_err *err)
{
        const char *names[ER_LEN(keys)], *near[1];
        er_auto(er_str) all = ER_STR_INIT;
        er_auto(er_str) shown = ER_STR_INIT;

        for (size_t i = 0; i < ER_LEN(keys); i++) {
                names[i] = keys[i].name;
                er_str_addf(&all, "%s%s", i ? ", " : "", keys[i].name);
        }
        er_quote_show(&shown, name, strlen(name));
        er_yaml_err(yaml, node, err, "unknown key \"%s\" in an environment", shown.buf);
        if (er_nearest(name, names, ER_LEN(names), near, 1))
                return er_err_hint(err, "did you mean %s?", near[0]);
        return er_err_hint(err, "the keys are %s", all.buf);
}

int er_declaration_take(struct er_declaration *declaration, const struct er_yaml *yaml, const char *key_name,
                        const struct er_yaml_node *key_node, const struct er_yaml_node *value, struct er_err *err)
{
        const struct key *key = find_key(key_name);

        if (!key)
                return unknown_key(yaml, key_node, key_name, err);
        if (er_yaml_type(value) == ER_YAML_NULL)
                return 0; /* "pip:" with nothing after it declares nothing */
        return key->read(yaml, value, key, (char *)declaration + key->offset, err);
}

static void over_list(struct er_strv *list, const struct er_strv *over)
{
        if (!over->len)
                return;
        er_strv_release(list);
        er_strv_addall(list, over->items, over->len);
}

static void over_text(char **text, const char *over)
{
        if (!over)
                return;
        free(*text);
        *text = er_strdup(over);
}

void er_declaration_overlay(struct er_declaration *declaration, const struct er_declaration *over)
{
        for (size_t i = 0; i < ER_LEN(keys); i++) {
                void *mine = (char *)declaration + keys[i].offset;
                const void *theirs = (const char *)over + keys[i].offset;

                if (keys[i].read == read_list)
                        over_list(mine, theirs);
                else if (keys[i].read == read_text)
                        over_text(mine, *(char *const *)theirs);
        }
        over_list(&declaration->also, &over->also);
        over_text(&declaration->name, over->name);
        if (over->fetch != ER_FETCH_UNSAID)
                declaration->fetch = over->fetch;
}

/* Where packages come from does not count as a package. */
bool er_declaration_is_empty(const struct er_declaration *declaration)
{
        return !declaration->apt.len && !declaration->conda.len && !declaration->pip.len && !declaration->julia.len &&
               !declaration->setup.len && !declaration->container;
}

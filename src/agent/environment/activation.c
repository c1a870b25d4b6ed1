/* activation.c - see activation.h. Items end in a NUL byte; the first byte says what an item is. */
#include "agent/environment/activation.h"

#include <stdio.h>
#include "base/io.h"

#define ACTIVATE_MAX (256u * 1024)
#define BOOT 'b'
#define HOST 'h'

/* The build script's word for an item, its byte in the file, and its member. */
static const struct kind {
        const char *word;
        char byte;
        size_t offset;
        bool is_pair; /* "NAME VALUE" becomes "NAME=VALUE" */
} kinds[] = {
        {"set", 's', offsetof(struct er_activation, set), true},
        {"prepend", 'p', offsetof(struct er_activation, prepend), true},
        {"unset", 'u', offsetof(struct er_activation, unset), false},
        {"wrap", 'w', offsetof(struct er_activation, wrap), false},
        {"say", 'y', offsetof(struct er_activation, say), false},
        {"end", 'e', offsetof(struct er_activation, end), false},
};

static struct er_strv *list_of(struct er_activation *activation, const struct kind *kind)
{
        return (struct er_strv *)(void *)((char *)activation + kind->offset);
}

void er_activation_release(struct er_activation *activation)
{
        for (size_t i = 0; i < ER_LEN(kinds); i++)
                er_strv_release(list_of(activation, &kinds[i]));
        free(activation->boot_id);
        free(activation->hostname);
        activation->boot_id = activation->hostname = NULL;
}

static void add_item(struct er_str *out, char byte, const char *text)
{
        er_str_addn(out, &byte, 1);
        er_str_addn(out, text, strlen(text) + 1);
}

void er_activation_encode(const struct er_activation *activation, struct er_str *out)
{
        struct er_activation a = *activation; /* a shallow copy: only read */

        if (a.boot_id)
                add_item(out, BOOT, a.boot_id);
        if (a.hostname)
                add_item(out, HOST, a.hostname);
        for (size_t i = 0; i < ER_LEN(kinds); i++) {
                const struct er_strv *list = list_of(&a, &kinds[i]);

                for (size_t k = 0; k < list->len; k++)
                        add_item(out, kinds[i].byte, list->items[k]);
        }
}

bool er_activation_take(struct er_activation *activation, struct er_sv word, struct er_sv rest)
{
        for (size_t i = 0; i < ER_LEN(kinds); i++) {
                const char *space = rest.len ? memchr(rest.ptr, ' ', rest.len) : NULL;

                if (!er_sv_eq(word, er_sv(kinds[i].word)))
                        continue;
                if (kinds[i].is_pair && space)
                        er_strv_addf(list_of(activation, &kinds[i]), "%.*s=%.*s", (int)(space - rest.ptr), rest.ptr,
                                     (int)(rest.len - (size_t)(space - rest.ptr) - 1), space + 1);
                else if (!kinds[i].is_pair)
                        er_strv_addn(list_of(activation, &kinds[i]), rest.ptr, rest.len);
                return true;
        }
        return false;
}

bool er_activation_read(const struct er_agent *agent, int env_fd, struct er_activation *ret)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv rest, item;
        bool gone_down = false;

        if (er_file_read(env_fd, "activate", ACTIVATE_MAX, &text, NULL) < 0)
                return false;
        rest = er_svn(text.buf, text.len);
        while (rest.len > 0 && er_sv_cut(&rest, '\0', &item)) {
                if (item.len > 0 && item.ptr[0] == BOOT)
                        gone_down = !er_sv_eq(er_svn(item.ptr + 1, item.len - 1), er_sv(agent->boot_id));
                /* In a home shared by several machines, only that machine can tell. */
                if (item.len > 0 && item.ptr[0] == HOST)
                        gone_down = gone_down && er_sv_eq(er_svn(item.ptr + 1, item.len - 1), er_sv(agent->hostname));
                for (size_t i = 0; item.len > 0 && i < ER_LEN(kinds); i++)
                        if (item.ptr[0] == kinds[i].byte)
                                er_strv_addn(list_of(ret, &kinds[i]), item.ptr + 1, item.len - 1);
        }
        return !gone_down;
}

static size_t find(const struct er_strv *vars, const char *name, size_t len)
{
        size_t i = 0;

        while (i < vars->len && (strncmp(vars->items[i], name, len) != 0 || vars->items[i][len] != '='))
                i++;
        return i;
}

static void put(struct er_strv *vars, size_t at, char *item)
{
        if (at < vars->len) {
                free(vars->items[at]);
                vars->items[at] = item;
        } else {
                er_strv_add(vars, item);
                free(item);
        }
}

void er_activation_apply(const struct er_activation *activation, struct er_strv *vars)
{
        for (size_t i = 0; i < activation->unset.len; i++) {
                const char *name = activation->unset.items[i];
                size_t at = find(vars, name, strlen(name));

                if (at < vars->len) {
                        free(vars->items[at]);
                        vars->len--;
                        memmove(&vars->items[at], &vars->items[at + 1], (vars->len - at) * sizeof *vars->items);
                        vars->items[vars->len] = NULL;
                }
        }
        for (size_t i = 0; i < activation->set.len; i++) {
                const char *item = activation->set.items[i];

                put(vars, find(vars, item, strcspn(item, "=")), er_strdup(item));
        }
        for (size_t i = 0; i < activation->prepend.len; i++) {
                const char *item = activation->prepend.items[i];
                size_t len = strcspn(item, "="), at = find(vars, item, len);
                const char *old = at < vars->len ? vars->items[at] + len + 1 : "";

                put(vars, at, er_fmt("%s%s%s", item, old[0] ? ":" : "", old));
        }
}

/* Adds TEXT of "{each-var:TEXT}", with its % filled in. */
static void add_each(struct er_strv *ret, struct er_sv text, const char *value)
{
        const char *percent = memchr(text.ptr, '%', text.len);
        size_t before = percent ? (size_t)(percent - text.ptr) : text.len;

        er_strv_addf(ret, "%.*s%s%.*s", (int)before, text.ptr, percent ? value : "",
                     percent ? (int)(text.len - before - 1) : 0, percent ? percent + 1 : "");
}

/* True for a word "{name:TEXT}"; *ret is TEXT. */
static bool is_each(const char *word, const char *name, struct er_sv *ret)
{
        size_t len = strlen(word), head = strlen(name);

        if (len < head + 3 || word[0] != '{' || word[len - 1] != '}' || strncmp(word + 1, name, head) != 0 ||
            word[1 + head] != ':')
                return false;
        *ret = er_svn(word + head + 2, len - head - 3);
        return true;
}

static void add_filled(struct er_strv *ret, const char *word, const struct er_wrap *wrap)
{
        const struct {
                const char *mark, *value;
        } marks[] = {{"{work}", wrap->work}, {"{dir}", wrap->dir}, {"{id}", wrap->id}, {"{root}", wrap->root}};
        er_auto(er_str) out = ER_STR_INIT;

        while (*word) {
                size_t i = 0;

                while (i < ER_LEN(marks) && !er_starts(word, marks[i].mark))
                        i++;
                if (i < ER_LEN(marks)) {
                        er_str_add(&out, marks[i].value);
                        word += strlen(marks[i].mark);
                } else {
                        er_str_addn(&out, word++, 1);
                }
        }
        er_strv_addn(ret, out.buf, out.len);
}

void er_activation_wrap(const struct er_strv *words, const struct er_wrap *wrap, struct er_strv *ret)
{
        for (size_t i = 0; i < words->len; i++) {
                const char *word = words->items[i];
                struct er_sv text;

                if (is_each(word, "each-var", &text)) {
                        for (size_t k = 0; wrap->names && k < wrap->names->len; k++)
                                add_each(ret, text, wrap->names->items[k]);
                } else if (is_each(word, "each-gpu", &text)) {
                        for (unsigned k = 0; k < 64; k++) {
                                char number[8];

                                snprintf(number, sizeof number, "%u", k);
                                if (wrap->gpu_mask >> k & 1)
                                        add_each(ret, text, number);
                        }
                } else {
                        add_filled(ret, word, wrap);
                }
        }
}

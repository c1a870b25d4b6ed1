/* credentials.c - see credentials.h */
#include "environment/credentials.h"

#include "base/map.h"
#include "base/mem.h"

#define LONE_MIN 16  /* a user's name alone is no secret ("git@"); what is longer is a token */
#define TOKEN_MIN 8  /* of "/t/TOKEN", as conda's servers give them out */
#define HOST_SHOWN 40u

/* The next secret in [*from, end of text): *from comes to stand behind it, *host is its URL's. False: there is none. */
static bool next_secret(const char **from, struct er_sv *ret, struct er_sv *host)
{
        const char *text = *from;

        for (; *text; text++) {
                if (strncmp(text, "://", 3) == 0) {
                        size_t len = strcspn(text + 3, "/ \t\"'?#");
                        const char *start = text + 3, *at = memrchr(start, '@', len);

                        *host = at ? er_svn(at + 1, len - (size_t)(at + 1 - start)) : er_svn(start, len);
                        text = start - 1;
                        if (!at)
                                continue;
                        *ret = er_svn(start, (size_t)(at - start));
                        *from = at;
                        if (memchr(start, '$', ret->len) == NULL && (memchr(start, ':', ret->len) || ret->len >= LONE_MIN))
                                return true;
                        text = at - 1;
                } else if (host->len && strncmp(text, "/t/", 3) == 0) {
                        size_t len = strspn(text + 3, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

                        if (len < TOKEN_MIN)
                                continue;
                        *ret = er_svn(text + 3, len);
                        *from = text + 3 + len;
                        return true;
                } else if (strchr(" \t\n", *text)) {
                        *host = ER_SV(""); /* here the URL ends */
                }
        }
        return false;
}

void er_credentials_mask(const char *text, struct er_str *out)
{
        struct er_sv secret, host = ER_SV("");
        const char *from = text;

        while (next_secret(&from, &secret, &host)) {
                er_str_addn(out, text, (size_t)(secret.ptr - text));
                er_str_add(out, "***");
                text = from;
        }
        er_str_add(out, text);
}

/* The same for the same place in the same address, whatever the secret is: who exported it for one job has it for all. */
static char *name_for(const char *masked, size_t place, struct er_sv host)
{
        er_autofree char *key = er_fmt("%zu %s", place, masked);
        er_auto(er_str) name = ER_STR_INIT;

        er_str_add(&name, ER_RECIPE_AUTH);
        for (size_t i = 0; i < host.len && i < HOST_SHOWN; i++) {
                char c = host.ptr[i];

                er_str_addc(&name, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ? c : '_');
        }
        er_str_addf(&name, "_%06llX", (unsigned long long)(er_hash64(key, strlen(key)) & 0xffffff));
        return er_str_detach(&name);
}

static bool is_taken(const struct er_recipe *recipe, const char *name, struct er_sv value)
{
        size_t len = strlen(name);

        for (size_t i = 0; i < recipe->values.len; i++) {
                const char *item = recipe->values.items[i];

                if (strncmp(item, name, len) == 0 && item[len] == '=')
                        return !er_sv_eq(er_sv(item + len + 1), value);
        }
        return false;
}

static void add_value(struct er_recipe *recipe, const char *name, struct er_sv value)
{
        if (er_strv_has(&recipe->secrets, name))
                return;
        er_strv_add(&recipe->secrets, name);
        er_strv_addf(&recipe->values, "%s=%.*s", name, (int)value.len, value.ptr);
}

/* Variables that the text names itself. One that is not set here may be on the host. */
static void take_named(const char *text, struct er_recipe *recipe)
{
        while ((text = strstr(text, "${"))) {
                size_t len = strspn(text + 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
                er_autofree char *name = er_strndup(text + 2, len);
                const char *value = text[2 + len] == '}' && !er_starts(name, "ERRAND_") ? getenv(name) : NULL;

                if (value)
                        add_value(recipe, name, er_sv(value));
                text += 2;
        }
}

void er_credentials_take(const char *text, struct er_recipe *recipe, struct er_str *out)
{
        er_auto(er_str) masked = ER_STR_INIT;
        struct er_sv secret, host = ER_SV("");
        const char *from = text;

        take_named(text, recipe);
        er_credentials_mask(text, &masked);
        for (size_t place = 0; next_secret(&from, &secret, &host); place++) {
                er_autofree char *name = name_for(masked.buf, place, host);

                while (is_taken(recipe, name, secret)) { /* two users of one address */
                        char *other = er_fmt("%s_", name);

                        free(name);
                        name = other;
                }
                add_value(recipe, name, secret);
                er_str_addn(out, text, (size_t)(secret.ptr - text));
                er_str_addf(out, "${%s}", name);
                text = from;
        }
        er_str_add(out, text);
}

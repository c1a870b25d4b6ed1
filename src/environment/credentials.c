/* credentials.c - see credentials.h */
#include "environment/credentials.h"

#include "base/map.h"
#include "base/mem.h"

#define LONE_MIN 16 /* a user name alone is not secret ("git@"); what is longer is a token */
#define TOKEN_MIN 8 /* of "/t/TOKEN", as conda's servers give them out */
#define HOST_SHOWN 40u

/* The position in a text. */
struct reading {
        const char *at;
        struct er_sv host; /* of the URL we are in; empty outside of one */
        const char *auth;  /* the end of "user:password", while we are in one with variables in it; else NULL */
        bool is_password;  /* and behind its colon */
};

/* The length of "${NAME}" at the front, or 0. */
static size_t variable_len(const char *text)
{
        size_t len = strncmp(text, "${", 2) == 0 ? 2 + strspn(text + 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") : 0;

        return len > 2 && text[len] == '}' ? len + 1 : 0;
}

static bool has_variable(const char *text, const char *end)
{
        for (; text < end; text++)
                if (variable_len(text))
                        return true;
        return false;
}

/* The '@' before the host, or NULL. To tools, a password cannot hold '/', '#' or '?'; but it is secret all the same. */
static const char *find_at(const char *start, size_t len)
{
        const char *at = memrchr(start, '@', len), *colon = memchr(start, ':', len);

        if (at || !colon || start[0] == '[' || colon + 1 == start + len || strspn(colon + 1, "$0123456789") > 0)
                return at;
        return memchr(start, '@', strcspn(start, " \t\n"));
}

/* The next part of "${USER}:password" that no variable stands for. */
static bool next_literal(struct reading *r, struct er_sv *ret)
{
        while (r->at < r->auth) {
                const char *start = r->at;
                size_t len = variable_len(start);

                r->at += len;
                if (len)
                        continue;
                while (r->at < r->auth && !variable_len(r->at) && (r->is_password || *r->at != ':'))
                        r->at++;
                *ret = er_svn(start, (size_t)(r->at - start));
                if (ret->len && (r->is_password || ret->len >= LONE_MIN))
                        return true;
                if (r->at < r->auth && *r->at == ':' && !r->is_password) {
                        r->is_password = true;
                        r->at++;
                }
        }
        r->auth = NULL;
        return false;
}

/* Behind "://". True: *ret is everything before the host. */
static bool begin_url(struct reading *r, struct er_sv *ret)
{
        const char *start = r->at;
        size_t len = strcspn(start, "/ \t\n?#");
        const char *at = find_at(start, len);

        r->host = at ? er_svn(at + 1, strcspn(at + 1, "/ \t\n?#")) : er_svn(start, len);
        if (!at)
                return false;
        if (has_variable(start, at)) {
                r->auth = at;
                r->is_password = false;
                return false;
        }
        r->at = at;
        *ret = er_svn(start, (size_t)(at - start));
        return memchr(start, ':', ret->len) || ret->len >= LONE_MIN;
}

/* False: there are no more. Else r->at is behind it. */
static bool next_secret(struct reading *r, struct er_sv *ret)
{
        while (*r->at) {
                if (r->auth) {
                        if (next_literal(r, ret))
                                return true;
                } else if (strncmp(r->at, "://", 3) == 0) {
                        r->at += 3;
                        if (begin_url(r, ret))
                                return true;
                } else if (r->host.len && strncmp(r->at, "/t/", 3) == 0) {
                        size_t len = strspn(r->at + 3,
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

                        *ret = er_svn(r->at + 3, len);
                        r->at += len < TOKEN_MIN ? 1 : 3 + len;
                        if (len >= TOKEN_MIN)
                                return true;
                } else {
                        if (strchr(" \t\n", *r->at))
                                r->host = ER_SV(""); /* here the URL ends */
                        r->at++;
                }
        }
        return false;
}

void er_credentials_mask(const char *text, struct er_str *out)
{
        struct reading r = {.at = text, .host = ER_SV("")};
        struct er_sv secret;

        while (next_secret(&r, &secret)) {
                er_str_addn(out, text, (size_t)(secret.ptr - text));
                er_str_add(out, "***");
                text = r.at;
        }
        er_str_add(out, text);
}

/* The same name for the same position in the same address, whatever the secret is: who exported it for one job has it
   for all. */
static char *name_for(const char *masked, size_t place, struct er_sv host)
{
        er_autofree char *key = er_fmt("%zu %s", place, masked);
        er_auto(er_str) name = ER_STR_INIT;

        er_str_add(&name, ER_RECIPE_AUTH);
        for (size_t i = 0; i < host.len && i < HOST_SHOWN; i++) {
                char c = host.ptr[i];

                er_str_addc(&name, c >= 'a' && c <= 'z'                               ? (char)(c - 'a' + 'A')
                                   : (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ? c
                                                                                      : '_');
        }
        er_str_addf(&name, "_%06llX", (unsigned long long)(er_hash64(key, strlen(key)) & 0xffffff));
        return er_str_detach(&name);
}

static bool is_taken(const struct er_recipe *recipe, const char *name, struct er_sv value)
{
        const char *there = er_strv_value(&recipe->values, name);

        return there && !er_sv_eq(er_sv(there), value);
}

static void add_value(struct er_recipe *recipe, const char *name, struct er_sv value)
{
        if (er_strv_has(&recipe->secrets, name))
                return;
        er_strv_add(&recipe->secrets, name);
        er_strv_addf(&recipe->values, "%s=%.*s", name, (int)value.len, value.ptr);
}

/* Directories of a machine, and what its tools live on: these are the host's. */
static bool is_of_host(const char *name)
{
        static const char *const names[] = {"ENV",   "IFS",  "LANG", "OLDPWD",     "PWD",
                                            "SHELL", "TEMP", "TMP",  "VIRTUAL_ENV"};
        static const char *const begins[] = {"ERRAND_", "LC_", "LD_"}, *const ends[] = {"DIR", "HOME", "PATH", "PREFIX",
                                                                                        "ROOT"};

        for (size_t i = 0; i < ER_LEN(names); i++)
                if (er_streq(name, names[i]))
                        return true;
        for (size_t i = 0; i < ER_LEN(begins); i++)
                if (er_starts(name, begins[i]))
                        return true;
        for (size_t i = 0; i < ER_LEN(ends); i++)
                if (er_ends(name, ends[i]))
                        return true;
        return false;
}

/* Variables that the text itself names. One that is not set here may be set on the host. */
static void take_named(const char *text, struct er_recipe *recipe)
{
        for (; (text = strstr(text, "${")); text += 2) {
                size_t len = variable_len(text);
                er_autofree char *name = len ? er_strndup(text + 2, len - 3) : NULL;
                const char *value = name && !(name[0] >= '0' && name[0] <= '9') && !is_of_host(name) ? getenv(name)
                                                                                                     : NULL;

                if (value)
                        add_value(recipe, name, er_sv(value));
        }
}

void er_credentials_hide(const char *text, struct er_recipe *recipe, struct er_str *out)
{
        struct reading r = {.at = text, .host = ER_SV("")};
        er_auto(er_str) masked = ER_STR_INIT;
        struct er_sv secret;

        er_credentials_mask(text, &masked);
        for (size_t place = 0; next_secret(&r, &secret); place++) {
                er_autofree char *name = name_for(masked.buf, place, r.host);

                while (is_taken(recipe, name, secret)) { /* two users of one address */
                        char *other = er_fmt("%s_", name);

                        free(name);
                        name = other;
                }
                add_value(recipe, name, secret);
                er_str_addn(out, text, (size_t)(secret.ptr - text));
                er_str_addf(out, "${%s}", name);
                text = r.at;
        }
        er_str_add(out, text);
}

void er_credentials_take(const char *text, struct er_recipe *recipe, struct er_str *out)
{
        take_named(text, recipe);
        er_credentials_hide(text, recipe, out);
}

/* data_source.c - see data_source.h */
#include "cli/data_source.h"

#include <ctype.h>
#include <sys/stat.h>
#include "base/path.h"

void er_data_source_release(struct er_data_source *source)
{
        free(source->url);
        free(source->host);
        free(source->path);
        free(source->name);
        free(source->sum);
        *source = (struct er_data_source)ER_DATA_SOURCE_INIT;
}

/* Removes "#sha256=..." from the end. Other fragments of an address are removed too, as they are never sent to a
 * server; in a path, they belong to the name. */
static int take_sum(struct er_str *text, bool is_url, char **ret, struct er_err *err)
{
        static const struct {
                const char *name;
                size_t digits;
        } kinds[] = {{"sha256=", 64}, {"sha512=", 128}, {"md5=", 32}};
        const char *hash = strrchr(text->buf, '#'), *equals;

        if (!hash)
                return 0;
        for (size_t i = 0; i < ER_LEN(kinds); i++) {
                const char *digits = hash + 1 + strlen(kinds[i].name);
                size_t count = 0;

                if (!er_starts(hash + 1, kinds[i].name))
                        continue;
                while (isxdigit((unsigned char)digits[count]))
                        count++;
                if (digits[count] || count != kinds[i].digits) {
                        er_err_set(err, ER_USAGE, "%s is not a checksum", hash + 1);
                        return er_err_hint(err, "%s is followed by %zu hexadecimal digits", kinds[i].name,
                                           kinds[i].digits);
                }
                *ret = er_strdup(hash + 1);
                for (char *p = *ret; *p; p++)
                        *p = (char)tolower((unsigned char)*p);
                er_str_cut(text, (size_t)(hash - text->buf));
                return 0;
        }
        equals = strchr(hash, '=');
        if (is_url && equals && er_starts(hash, "#sha")) {
                er_err_set(err, ER_USAGE, "unknown kind of checksum: %.*s", (int)(equals - hash - 1), hash + 1);
                return er_err_hint(err, "use sha256, sha512 or md5");
        }
        if (is_url)
                er_str_cut(text, (size_t)(strchr(text->buf, '#') - text->buf));
        return 0;
}

static int hex_digit(char c)
{
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

/* "%20" as the byte it stands for. */
static char *decode(const char *text, size_t len)
{
        er_auto(er_str) out = ER_STR_INIT;

        for (size_t i = 0; i < len; i++) {
                int high = text[i] == '%' && i + 2 < len ? hex_digit(text[i + 1]) : -1;
                int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

                if (low >= 0 && (high > 0 || low > 0)) {
                        er_str_addc(&out, (char)(high << 4 | low));
                        i += 2;
                } else
                        er_str_addc(&out, text[i]);
        }
        return er_str_detach(&out);
}

/* The last part of a URL's path. */
static char *name_of_url(const char *url)
{
        const char *path = strstr(url, "://") + 3, *end, *begin;

        end = path + strcspn(path, "?");
        path += strcspn(path, "/?");
        while (end > path && end[-1] == '/')
                end--;
        for (begin = end; begin > path && begin[-1] != '/';)
                begin--;
        return decode(begin, (size_t)(end - begin));
}

static int take_url(struct er_str *text, struct er_data_source *ret, struct er_err *err)
{
        for (size_t i = 0; i < text->len; i++)
                if ((unsigned char)text->buf[i] <= ' ' || text->buf[i] == 0x7f) {
                        er_err_set(err, ER_USAGE, "%s is not an address: it contains a space or a control character",
                                   text->buf);
                        return er_err_hint(err, "write a space as %%20");
                }
        ret->from = ER_DATA_URL;
        ret->url = er_strdup(text->buf);
        ret->name = name_of_url(text->buf);
        return 0;
}

static int take_here(const char *path, struct er_data_source *ret, struct er_err *err)
{
        er_autofree char *expanded = er_path_expand(path);
        struct stat st;

        ret->from = ER_DATA_HERE;
        ret->path = er_path_abs(expanded);
        ret->name = er_strdup(er_path_base(ret->path));
        if (stat(ret->path, &st) < 0)
                return er_err_set(err, ER_NOT_FOUND, "no such file: %s", path);
        if (ret->sum && !S_ISREG(st.st_mode))
                return er_err_set(err, ER_USAGE, "%s is not a file, so it has no checksum", path);
        return 0;
}

/* The length of the host's name in "host:path"; 0: there is none. */
static size_t host_len(const char *text, const struct er_strv *hosts)
{
        const char *colon = strchr(text, ':');
        size_t best = 0;

        for (size_t i = 0; i < hosts->len; i++) {
                size_t len = strlen(hosts->items[i]);

                if (len > best && er_starts(text, hosts->items[i]) && text[len] == ':')
                        best = len;
        }
        if (best == 0 && colon && colon > text && !memchr(text, '/', (size_t)(colon - text)))
                best = (size_t)(colon - text);
        return best;
}

static int take_there(const char *text, size_t host, struct er_data_source *ret, struct er_err *err)
{
        const char *path = text + host + 1;
        size_t len = strlen(path);

        while (len > 1 && path[len - 1] == '/')
                len--;
        if (len == 0 || er_streq(path, "/"))
                return er_err_set(err, ER_USAGE, "%s: the path on %.*s is missing after the colon", text, (int)host,
                                  text);
        ret->from = ER_DATA_THERE;
        ret->host = er_strndup(text, host);
        ret->path = er_strndup(path, len);
        ret->name = er_strdup(er_path_base(ret->path));
        return 0;
}

static int understand(const char *given, const struct er_strv *hosts, struct er_data_source *ret, struct er_err *err)
{
        static const char *const schemes[] = {"http://", "https://", "ftp://", "ftps://"};
        const char *scheme = strstr(given, "://");
        er_auto(er_str) text = ER_STR_INIT;
        size_t host;
        bool is_url = scheme && scheme > given;
        struct stat st;

        for (const char *p = given; is_url && p < scheme; p++)
                is_url = isalnum((unsigned char)*p) || strchr("+.-", *p);
        er_str_add(&text, given);
        /* A file of exactly that name is taken as it is. */
        if ((is_url || stat(given, &st) < 0) && take_sum(&text, is_url, &ret->sum, err) < 0)
                return -1;
        for (size_t i = 0; i < ER_LEN(schemes); i++)
                if (strncasecmp(text.buf, schemes[i], strlen(schemes[i])) == 0)
                        return take_url(&text, ret, err);
        if (er_starts(text.buf, "file://")) {
                const char *path = text.buf + 7;
                er_autofree char *decoded = NULL;

                if (er_starts(path, "localhost/"))
                        path += 9;
                decoded = decode(path, strlen(path));
                return take_here(decoded, ret, err);
        }
        if (is_url) {
                er_err_set(err, ER_USAGE, "%s: errand data does not support %.*s", given, (int)(scheme - given), given);
                return er_err_hint(err, "use an http, https, ftp or file address, or HOST:PATH");
        }
        if (!text.len)
                return er_err_set(err, ER_USAGE, "the name of a file is empty");
        host = stat(text.buf, &st) == 0 ? 0 : host_len(text.buf, hosts);
        if (host > 0 && !(host == 5 && er_starts(text.buf, "local")))
                return take_there(text.buf, host, ret, err);
        return take_here(text.buf + (host > 0 ? host + 1 : 0), ret, err);
}

int er_data_source_parse(const char *text, const struct er_strv *hosts, const char *to, struct er_data_source *ret,
                         struct er_err *err)
{
        er_auto(er_data_source) source = ER_DATA_SOURCE_INIT;

        if (understand(text, hosts, &source, err) < 0)
                return -1;
        if (to) {
                free(source.name);
                source.name = er_strdup(to);
        }
        if (!source.name[0] || strchr(source.name, '/') || source.name[0] == '.') {
                er_err_set(err, ER_USAGE, "%s: %s%s%s", text,
                           source.name[0] ? "\"" : "the address does not end in a name", source.name,
                           source.name[0] ? "\" cannot be the name of data" : "");
                return er_err_hint(err, "name it with --to NAME (without '/', and not starting with '.')");
        }
        *ret = source;
        source = (struct er_data_source)ER_DATA_SOURCE_INIT;
        return 0;
}

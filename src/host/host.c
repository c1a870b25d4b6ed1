/* host.c - see host.h */
#include "host/host.h"

#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <strings.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"

#define HOST_TEXT_MAX 512u
#define CONFIG_MAX (1u << 20)
#define INCLUDE_DEPTH 16 /* as in ssh */

void er_host_release(struct er_host *host)
{
        free(host->name);
        free(host->target);
        free(host->identity);
        free(host->jump);
        free(host->root);
        *host = (struct er_host)ER_HOST_INIT;
}

static char *dup_or_null(const char *text)
{
        return text ? er_strdup(text) : NULL;
}

void er_host_copy(const struct er_host *from, struct er_host *ret)
{
        struct er_host copy = {
                .kind = from->kind,
                .name = dup_or_null(from->name),
                .target = dup_or_null(from->target),
                .port = from->port,
                .identity = dup_or_null(from->identity),
                .jump = dup_or_null(from->jump),
                .root = dup_or_null(from->root),
        };

        *ret = copy;
}

/* ssh refuses these too in the name of a host or user, because both may end up in a ProxyCommand's shell line. */
static bool is_clean(const char *text)
{
        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
                if (*p <= ' ' || *p == 0x7f || strchr("'`\"$\\;&<>|(){},*?!#[]", *p))
                        return false;
        return true;
}

/* A user's name may hold a backslash, like those of a Windows domain (DOMAIN\user); ssh takes it anywhere but last. */
static bool is_clean_user(const char *user)
{
        er_autofree char *rest = er_strdup(user);

        for (char *p = rest; (p = strchr(p, '\\')) != NULL && p[1];)
                *p = '_';
        return is_clean(rest);
}

static int bad_name(struct er_err *err, const char *text, const char *why)
{
        er_auto(er_str) shown = ER_STR_INIT;

        er_quote_show(&shown, text, strnlen(text, 80));
        er_err_set(err, ER_USAGE, "\"%s\" is not a host: %s", shown.buf, why);
        return er_err_hint(err, "a host is `local`, a name from ~/.ssh/config, or [user@]host[:port]");
}

/* Splits "host:port", "[v6]:port", "[v6]" and a bare v6 address. *ret_name (owned). */
static int split_port(const char *text, const char *address, char **ret_name, int *ret_port, struct er_err *err)
{
        const char *end = address + strlen(address), *colon = strchr(address, ':');
        int64_t port = 0;

        if (address[0] == '[') {
                end = strchr(++address, ']');
                if (!end || (end[1] && end[1] != ':'))
                        return bad_name(err, text, "its brackets do not match");
                colon = end[1] ? end + 1 : NULL;
        } else if (colon && strchr(colon + 1, ':')) {
                colon = NULL; /* a bare v6 address */
        } else if (colon) {
                end = colon;
        }
        if (colon && er_parse_int(colon + 1, 1, 65535, &port, NULL) < 0)
                return bad_name(err, text, "its port is not a number from 1 to 65535");
        *ret_name = er_strndup(address, (size_t)(end - address));
        *ret_port = (int)port;
        return 0;
}

int er_host_parse(const char *text, struct er_host *ret, struct er_err *err)
{
        const char *at = strrchr(text, '@');
        er_autofree char *name = NULL;
        er_autofree char *user = NULL;
        int port = 0;

        if (er_streq(text, "local")) {
                *ret = (struct er_host){.kind = ER_HOST_LOCAL, .name = er_strdup("local")};
                return 0;
        }
        if (strlen(text) > HOST_TEXT_MAX)
                return bad_name(err, text, "too long");
        if (split_port(text, at ? at + 1 : text, &name, &port, err) < 0)
                return -1;
        if (at)
                user = er_strndup(text, (size_t)(at - text));
        if (!name[0] || (user && !user[0]))
                return bad_name(err, text, text[0] ? "one of its parts is empty" : "it is empty");
        if (text[0] == '-' || name[0] == '-')
                return bad_name(err, text, "it begins with a dash");
        if (!is_clean(name) || (user && !is_clean_user(user)) || strchr(name, '/'))
                return bad_name(err, text, "it has characters that no host name has");
        *ret = (struct er_host){.kind = ER_HOST_SSH, .name = er_strdup(text), .port = port};
        ret->target = user ? er_fmt("%s@%s", user, name) : er_take(name);
        return 0;
}

/* The home directory as ssh sees it: the one in passwd, whatever $HOME says. */
static char *ssh_home(void)
{
        struct passwd entry, *found = NULL;
        char buf[4096];

        if (getpwuid_r(getuid(), &entry, buf, sizeof buf, &found) == 0 && found && found->pw_dir)
                return er_strdup(found->pw_dir);
        return er_dir_home();
}

/* The next word of a configuration line; quotes keep blanks together. */
static bool next_word(const char **rest, struct er_str *word)
{
        const char *p = *rest;

        er_str_reset(word);
        while (*p == ' ' || *p == '\t')
                p++;
        if (!*p || *p == '#')
                return false;
        if (*p == '"') {
                for (p++; *p && *p != '"'; p++)
                        er_str_addc(word, *p);
                if (*p)
                        p++;
        } else {
                for (; *p && *p != ' ' && *p != '\t'; p++)
                        er_str_addc(word, *p);
        }
        *rest = p;
        return true;
}

static void read_config(const char *path, const char *home, int depth, struct er_strv *ret);

static void read_included(const char *pattern, const char *home, int depth, struct er_strv *ret)
{
        er_autofree char *full = NULL;
        glob_t found;

        if (pattern[0] == '~' && pattern[1] == '/')
                full = er_path_join(home, pattern + 2);
        else
                full = pattern[0] == '/' ? er_strdup(pattern) : er_fmt("%s/.ssh/%s", home, pattern);
        if (glob(full, 0, NULL, &found) != 0)
                return;
        for (size_t i = 0; i < found.gl_pathc; i++)
                read_config(found.gl_pathv[i], home, depth + 1, ret);
        globfree(&found);
}

static void read_line(char *line, const char *home, int depth, struct er_strv *ret)
{
        er_auto(er_str) word = ER_STR_INIT;
        const char *rest = line;
        bool is_host, is_include;
        char *equals;

        while (*rest == ' ' || *rest == '\t')
                rest++;
        /* "Host=x" and "Host = x" mean the same as "Host x". */
        equals = line + (rest - line) + strcspn(rest, " \t=");
        equals += strspn(equals, " \t");
        if (*equals == '=')
                *equals = ' ';
        if (!next_word(&rest, &word))
                return;
        is_host = strcasecmp(word.buf, "host") == 0;
        is_include = strcasecmp(word.buf, "include") == 0;
        while ((is_host || is_include) && next_word(&rest, &word)) {
                if (is_include)
                        read_included(word.buf, home, depth, ret);
                else if (word.len && word.buf[0] != '-' && is_clean(word.buf) && !er_strv_has(ret, word.buf))
                        er_strv_add(ret, word.buf);
        }
}

static void read_config(const char *path, const char *home, int depth, struct er_strv *ret)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv rest, part;

        if (depth > INCLUDE_DEPTH || er_file_read(AT_FDCWD, path, CONFIG_MAX, &text, NULL) < 0)
                return;
        rest = er_svn(text.buf, text.len);
        while (er_sv_cut(&rest, '\n', &part)) {
                er_autofree char *line = er_sv_dup(er_sv_trim(part));

                read_line(line, home, depth, ret);
        }
}

void er_host_aliases(struct er_strv *ret)
{
        er_autofree char *home = ssh_home();
        er_autofree char *path = er_path_join(home, ".ssh/config");

        read_config(path, home, 0, ret);
}

/* imports_pip.c - what a shell line of a notebook installs with pip or uv: the words of its commands that name
   packages, and the options that say where they come from. A word that is neither is left out: it is never taken for a
   package. */
#include <ctype.h>

#include "environment/imports_scan.h"
#include "environment/requirement.h"

enum word {
        WORD_NONE, /* the end of the line, or a comment */
        WORD_END,  /* the end of a command: ; & && | || */
        WORD_IS,
};

struct words {
        struct er_sv rest;
        struct er_str word;
};

static char at(const struct words *w, size_t i)
{
        return i < w->rest.len ? w->rest.ptr[i] : '\0';
}

static void skip(struct words *w, size_t n)
{
        w->rest = er_svn(w->rest.ptr + n, w->rest.len - n);
}

/* How long the redirection at the front is, without the file it names: "2>&1", ">", "&>>"; 0: there is none. */
static size_t redirection(const struct words *w)
{
        size_t n = 0;

        if (at(w, 0) == '&' && at(w, 1) == '>')
                n = 1;
        while (isdigit((unsigned char)at(w, n)))
                n++;
        if ((at(w, n) != '>' && at(w, n) != '<') || at(w, n + 1) == '=')
                return 0; /* ">=1.0" after a name */
        n += at(w, n) == at(w, n + 1) ? 2 : 1;
        if (at(w, n) != '&')
                return n;
        n++;
        while (isdigit((unsigned char)at(w, n)) || at(w, n) == '-')
                n++;
        return n;
}

/* A '<' or '>' within a word is a version's before a digit or '='; anything else is sent to a file. */
static bool ends_word(const struct words *w)
{
        char c = at(w, 0), next = at(w, 1);

        if (isspace((unsigned char)c) || strchr(";&|", c))
                return true;
        return (c == '>' || c == '<') && next != '=' && !isdigit((unsigned char)next);
}

static void read_word(struct words *w)
{
        char quote = '\0';

        er_str_reset(&w->word);
        for (; w->rest.len > 0; skip(w, 1)) {
                char c = at(w, 0);

                if (quote ? c == quote : c == '"' || c == '\'')
                        quote = quote ? '\0' : c;
                else if (!quote && c && ends_word(w))
                        return;
                else
                        er_str_addc(&w->word, c);
        }
}

/* The next word, quotes removed. Redirections are passed over with their files. */
static enum word next_word(struct words *w)
{
        for (;;) {
                size_t n;

                w->rest = er_sv_trim(w->rest);
                if (w->rest.len == 0 || at(w, 0) == '#')
                        return WORD_NONE;
                n = redirection(w);
                if (n > 0) {
                        bool whole = w->rest.ptr[n - 1] != '>' && w->rest.ptr[n - 1] != '<';

                        skip(w, n);
                        w->rest = er_sv_trim(w->rest);
                        if (!whole)
                                read_word(w);
                        continue;
                }
                if (strchr(";&|", at(w, 0))) {
                        while (w->rest.len > 0 && strchr(";&|", at(w, 0)))
                                skip(w, 1);
                        return WORD_END;
                }
                read_word(w);
                return WORD_IS;
        }
}

/* ---- Options */

enum kept {
        KEPT_NOT,
        KEPT_FILE, /* -r, -c */
        KEPT_URL,  /* an index */
};

/* The options of pip and of `uv pip` and `uv add` that take a value: the value is no package. */
static const struct value_option {
        const char *name;
        const char *as; /* how it is written in a requirements file, when it is kept */
        enum kept kept;
} value_options[] = {
        {"-r", "-r", KEPT_FILE},
        {"--requirement", "-r", KEPT_FILE},
        {"--requirements", "-r", KEPT_FILE},
        {"-c", "-c", KEPT_FILE},
        {"--constraint", "-c", KEPT_FILE},
        {"--constraints", "-c", KEPT_FILE},
        {"-i", "-i", KEPT_URL},
        {"--index-url", "-i", KEPT_URL},
        {"--pypi-url", "-i", KEPT_URL},
        {"--default-index", "-i", KEPT_URL},
        {"--extra-index-url", "--extra-index-url", KEPT_URL},
        {"--index", "--extra-index-url", KEPT_URL},
        {"-f", "-f", KEPT_URL},
        {"--find-links", "-f", KEPT_URL},
        {"-e", NULL, KEPT_NOT},
        {"--editable", NULL, KEPT_NOT},
        {"-t", NULL, KEPT_NOT},
        {"--target", NULL, KEPT_NOT},
        {"-C", NULL, KEPT_NOT},
        {"--config-settings", NULL, KEPT_NOT},
        {"--config-setting", NULL, KEPT_NOT},
        {"--config-settings-package", NULL, KEPT_NOT},
        {"-p", NULL, KEPT_NOT},
        {"--python", NULL, KEPT_NOT},
        {"--abi", NULL, KEPT_NOT},
        {"--allow-insecure-host", NULL, KEPT_NOT},
        {"--branch", NULL, KEPT_NOT},
        {"--build", NULL, KEPT_NOT},
        {"--build-constraint", NULL, KEPT_NOT},
        {"--build-constraints", NULL, KEPT_NOT},
        {"-b", NULL, KEPT_NOT},
        {"--cache-dir", NULL, KEPT_NOT},
        {"--cert", NULL, KEPT_NOT},
        {"--client-cert", NULL, KEPT_NOT},
        {"--color", NULL, KEPT_NOT},
        {"--config-file", NULL, KEPT_NOT},
        {"--directory", NULL, KEPT_NOT},
        {"--exclude-newer", NULL, KEPT_NOT},
        {"--exists-action", NULL, KEPT_NOT},
        {"--extra", NULL, KEPT_NOT},
        {"--fork-strategy", NULL, KEPT_NOT},
        {"--global-option", NULL, KEPT_NOT},
        {"--group", NULL, KEPT_NOT},
        {"--implementation", NULL, KEPT_NOT},
        {"--index-strategy", NULL, KEPT_NOT},
        {"--install-option", NULL, KEPT_NOT},
        {"--keyring-provider", NULL, KEPT_NOT},
        {"--link-mode", NULL, KEPT_NOT},
        {"--log", NULL, KEPT_NOT},
        {"--log-file", NULL, KEPT_NOT},
        {"--marker", NULL, KEPT_NOT},
        {"-m", NULL, KEPT_NOT},
        {"--no-binary", NULL, KEPT_NOT},
        {"--no-build-isolation-package", NULL, KEPT_NOT},
        {"--no-build-package", NULL, KEPT_NOT},
        {"--no-binary-package", NULL, KEPT_NOT},
        {"--only-binary", NULL, KEPT_NOT},
        {"--optional", NULL, KEPT_NOT},
        {"--override", NULL, KEPT_NOT},
        {"--overrides", NULL, KEPT_NOT},
        {"--package", NULL, KEPT_NOT},
        {"--platform", NULL, KEPT_NOT},
        {"--prefix", NULL, KEPT_NOT},
        {"--prerelease", NULL, KEPT_NOT},
        {"--progress-bar", NULL, KEPT_NOT},
        {"--project", NULL, KEPT_NOT},
        {"--proxy", NULL, KEPT_NOT},
        {"--python-platform", NULL, KEPT_NOT},
        {"--python-version", NULL, KEPT_NOT},
        {"--refresh-package", NULL, KEPT_NOT},
        {"--reinstall-package", NULL, KEPT_NOT},
        {"--report", NULL, KEPT_NOT},
        {"--requirements-from-script", NULL, KEPT_NOT},
        {"--resolution", NULL, KEPT_NOT},
        {"--resume-retries", NULL, KEPT_NOT},
        {"--retries", NULL, KEPT_NOT},
        {"--rev", NULL, KEPT_NOT},
        {"--root", NULL, KEPT_NOT},
        {"--root-user-action", NULL, KEPT_NOT},
        {"--script", NULL, KEPT_NOT},
        {"--src", NULL, KEPT_NOT},
        {"--source", NULL, KEPT_NOT},
        {"--tag", NULL, KEPT_NOT},
        {"--timeout", NULL, KEPT_NOT},
        {"--default-timeout", NULL, KEPT_NOT},
        {"--torch-backend", NULL, KEPT_NOT},
        {"--trusted-host", NULL, KEPT_NOT},
        {"--upgrade-group", NULL, KEPT_NOT},
        {"--upgrade-package", NULL, KEPT_NOT},
        {"-P", NULL, KEPT_NOT},
        {"--upgrade-strategy", NULL, KEPT_NOT},
        {"--use-deprecated", NULL, KEPT_NOT},
        {"--use-feature", NULL, KEPT_NOT},
};

static const struct value_option *find_option(struct er_sv name)
{
        for (size_t i = 0; i < ER_LEN(value_options); i++)
                if (er_sv_eq(name, er_sv(value_options[i].name)))
                        return &value_options[i];
        return NULL;
}

/* "-qr" is -q and -r; of "-rfile" the value is in the word. */
static const struct value_option *find_short(const char *word, const char **ret_value)
{
        for (const char *c = word + 1; *c; c++) {
                const char name[] = {'-', *c};
                const struct value_option *option = find_option(er_svn(name, 2));

                if (option) {
                        *ret_value = c[1] == '=' ? c + 2 : c[1] ? c + 1 : NULL;
                        return option;
                }
        }
        return NULL;
}

static const struct value_option *find_long(const char *word, const char **ret_value)
{
        size_t len = strcspn(word, "=");

        *ret_value = word[len] ? word + len + 1 : NULL;
        return find_option(er_svn(word, len));
}

/* ---- What is said */

static void say(const char *text, uint32_t number, struct er_import_scan *scan)
{
        if (scan->names.len > ((size_t)64 << 20))
                return;
        scan->items = er_grow(scan->items, &scan->cap, scan->count + 1, sizeof *scan->items);
        scan->items[scan->count++] = (struct er_import){.name = (uint32_t)scan->names.len,
                                                        .module_len = (uint32_t)strlen(text),
                                                        .line = number,
                                                        .group = -1,
                                                        .flags = ER_IMPORT_DECLARED};
        er_str_addn(&scan->names, text, strlen(text) + 1);
}

/* The shell and IPython put something else in place of such a word. */
static bool has_variable(const char *text)
{
        return strpbrk(text, "${}`") != NULL;
}

/* False at the end of the command. */
static bool take_option(struct words *w, uint32_t number, struct er_import_scan *scan)
{
        er_autofree char *word = er_strdup(w->word.buf);
        const char *value = NULL;
        const struct value_option *option = word[1] == '-' ? find_long(word, &value) : find_short(word, &value);
        er_auto(er_str) line = ER_STR_INIT;
        enum word there = WORD_IS;

        if (!option)
                return true;
        if (!value) {
                there = next_word(w);
                if (there != WORD_IS)
                        return there == WORD_END;
                value = w->word.buf;
        }
        if (option->kept == KEPT_NOT || !value[0] || has_variable(value) ||
            (option->kept == KEPT_URL ? !er_starts(value, "https://") && !er_starts(value, "http://")
                                      : strstr(value, "://") != NULL))
                return true;
        er_str_addf(&line, "%s %s", option->as, value);
        say(line.buf, number, scan);
        return true;
}

static bool is_source(const char *word)
{
        return er_starts(word, "git+") || ((er_starts(word, "https://") || er_starts(word, "http://")) && word[8]);
}

/* A name with what may follow it; not a path, a wheel of that machine or a number. */
static bool is_requirement(const char *word)
{
        size_t name = strcspn(word, " <>=!~;@,[");
        bool letter = false;

        for (size_t i = 0; i < name; i++) {
                letter = letter || isalpha((unsigned char)word[i]);
                if (!isalnum((unsigned char)word[i]) && !strchr("._-", word[i]))
                        return false;
        }
        if (!letter || !isalnum((unsigned char)word[0]) || er_ends(word, ".whl") || er_ends(word, ".tar.gz") ||
            er_ends(word, ".zip"))
                return false;
        return true;
}

static void flush(struct er_str *item, uint32_t number, struct er_import_scan *scan)
{
        if (item->len && !has_variable(item->buf) && (is_source(item->buf) || is_requirement(item->buf)))
                say(item->buf, number, scan);
        er_str_reset(item);
}

/* The words after "install", to the end of the command. */
static enum word take_words(struct words *w, uint32_t number, struct er_import_scan *scan)
{
        er_auto(er_str) item = ER_STR_INIT;
        bool joins = false; /* "x @ git+...", "x == 1.0": words of one requirement */
        enum word there;

        while ((there = next_word(w)) == WORD_IS) {
                if (joins || (item.len && w->word.len && strchr("@=~!<>", w->word.buf[0]))) {
                        joins = !joins && strspn(w->word.buf, "@=~!<>") == w->word.len;
                        er_str_addf(&item, " %s", w->word.buf);
                        continue;
                }
                flush(&item, number, scan);
                if (w->word.buf[0] == '-') {
                        if (!take_option(w, number, scan))
                                return WORD_NONE;
                        continue;
                }
                er_str_add(&item, w->word.buf);
        }
        flush(&item, number, scan);
        return there;
}

static bool is_program(const char *word, const char *name)
{
        const char *slash = strrchr(word, '/'), *base = slash ? slash + 1 : word;

        return er_starts(base, name) && strspn(base + strlen(name), "0123456789.") == strlen(base + strlen(name));
}

/* The words of a command up to and with "install". */
static enum word find_install(struct words *w, bool *ret_found)
{
        enum { FIRST, PYTHON, PYTHON_M, UV, PIP } state = FIRST;
        enum word there;

        *ret_found = false;
        while ((there = next_word(w)) == WORD_IS) {
                const char *word = w->word.buf;
                const char *value;

                if (state == FIRST) {
                        if (er_streq(word, "sudo") || er_streq(word, "time") || er_streq(word, "-H") ||
                            (strchr(word, '=') && isalpha((unsigned char)word[0])))
                                continue;
                        if (is_program(word, "pip"))
                                state = PIP;
                        else if (is_program(word, "uv"))
                                state = UV;
                        else if (is_program(word, "python") || strstr(word, "sys.executable"))
                                state = PYTHON;
                        else
                                break;
                } else if (state == PYTHON && er_streq(word, "-m")) {
                        state = PYTHON_M;
                } else if (state == PYTHON && word[0] == '-') {
                        continue;
                } else if (state == PYTHON_M && er_streq(word, "pip")) {
                        state = PIP;
                } else if (state == UV && er_streq(word, "pip")) {
                        state = PIP;
                } else if ((state == UV && er_streq(word, "add")) || (state == PIP && er_streq(word, "install"))) {
                        *ret_found = true;
                        return there;
                } else if (state == PIP && word[0] == '-') {
                        const struct value_option *option = word[1] == '-' ? find_long(word, &value)
                                                                           : find_short(word, &value);

                        if (option && !value && next_word(w) != WORD_IS)
                                break;
                } else {
                        break;
                }
        }
        while (there == WORD_IS)
                there = next_word(w);
        return there;
}

bool er_import_scan_pip(struct er_sv line, uint32_t number, struct er_import_scan *scan)
{
        struct words w = {.rest = line, .word = ER_STR_INIT};
        enum word there = WORD_END;
        bool any = false, found;

        while (there == WORD_END) {
                there = find_install(&w, &found);
                if (found) {
                        any = true;
                        there = take_words(&w, number, scan);
                }
        }
        er_str_release(&w.word);
        return any;
}

char *er_import_source_name(const char *url)
{
        const char *egg = strstr(url, "#egg="), *path = strstr(url, "://");
        size_t len, start = 0;

        if (egg)
                return er_distribution_name(er_svn(egg + 5, strcspn(egg + 5, "&[")));
        path = path ? strchr(path + 3, '/') : NULL;
        if (!path)
                return er_strdup("");
        if (strstr(path, "/archive/"))
                len = (size_t)(strstr(path, "/archive/") - path);
        else
                len = strcspn(path, "@#?");
        while (len && path[len - 1] == '/')
                len--;
        for (size_t i = 0; i < len; i++)
                if (path[i] == '/')
                        start = i + 1;
        path += start;
        len -= start;
        if (er_starts(url, "git+")) {
                if (len > 4 && strncmp(path + len - 4, ".git", 4) == 0)
                        len -= 4;
        } else {
                for (size_t i = 0; i + 1 < len; i++)
                        if (path[i] == '-' && path[i + 1] >= '0' && path[i + 1] <= '9')
                                len = i;
        }
        return er_distribution_name(er_svn(path, len));
}

/* ssh_alias.c - see ssh_alias.h */
#include "cli/ssh_alias.h"

#include <ctype.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <strings.h>
#include "base/io.h"
#include "base/lock.h"
#include "base/path.h"
#include "base/proc.h"
#include "host/connect/ssh.h"

#define FILE_MAX (1u << 20)
#define ASK_MS 20000

static const char head[] = "# Written by errand code. What is between its marks is replaced.\n";

static char *marked(const char *which, const char *name)
{
        return er_fmt("# %s errand %s\n", which, name);
}

void er_ssh_block_put(struct er_str *text, const char *name, const char *block)
{
        er_autofree char *from = marked(">>>", name), *to = marked("<<<", name);
        const char *end = strstr(text->buf, to), *start = NULL, *next = text->buf;
        er_auto(er_str) whole = ER_STR_INIT;

        /* Look for the last start mark before the end mark: a block whose end mark was removed is not ours any more. */
        while (end && (next = strstr(next, from)) && next < end)
                start = next++;
        if (!start)
                end = NULL;

        if (text->len == 0)
                er_str_add(&whole, head);
        er_str_addn(&whole, text->buf, end ? (size_t)(start - text->buf) : text->len);
        if (whole.len > 0 && whole.buf[whole.len - 1] != '\n')
                er_str_addc(&whole, '\n');
        er_str_addf(&whole, "%s%s%s", from, block, to);
        if (end)
                er_str_add(&whole, end + strlen(to));
        er_str_reset(text);
        er_str_addn(text, whole.buf, whole.len);
}

/* The next word of a line of ssh's configuration, with or without quotes. */
static bool next_word(struct er_sv *rest, struct er_sv *ret)
{
        const char *stop;

        *rest = er_sv_trim(*rest);
        if (rest->len == 0 || rest->ptr[0] == '#')
                return false;
        if (rest->ptr[0] == '"' && (stop = memchr(rest->ptr + 1, '"', rest->len - 1))) {
                *ret = er_svn(rest->ptr + 1, (size_t)(stop - rest->ptr) - 1);
                *rest = er_svn(stop + 1, rest->len - ret->len - 2);
                return true;
        }
        ret->ptr = rest->ptr;
        ret->len = 0;
        while (ret->len < rest->len && !isspace((unsigned char)rest->ptr[ret->len]) && rest->ptr[ret->len] != '=')
                ret->len++;
        *rest = er_svn(rest->ptr + ret->len, rest->len - ret->len);
        if (rest->len > 0)
                *rest = er_svn(rest->ptr + 1, rest->len - 1);
        return true;
}

static bool is_word(struct er_sv word, const char *text)
{
        return word.len == strlen(text) && strncasecmp(word.ptr, text, word.len) == 0;
}

bool er_ssh_includes(const char *config, const char *path, const char *home)
{
        struct er_sv rest = er_sv(config), line, word;

        while (er_sv_cut(&rest, '\n', &line)) {
                if (!next_word(&line, &word))
                        continue;
                if (is_word(word, "Host") || is_word(word, "Match"))
                        return false;
                if (!is_word(word, "Include"))
                        continue;
                while (next_word(&line, &word)) {
                        er_autofree char *name = er_sv_dup(word), *full = NULL;

                        if (er_starts(name, "~/"))
                                full = er_path_join(home, name + 2);
                        else {
                                er_autofree char *dir = er_path_join(home, ".ssh");

                                full = er_path_join(dir, name);
                        }
                        if (fnmatch(full, path, FNM_PATHNAME) == 0)
                                return true;
                }
        }
        return false;
}

/* Describes the host as ssh itself resolves it, as the lines of a block. */
static int describe(const struct er_host *host, const char *name, struct er_str *out, struct er_err *err)
{
        static const char *const wanted[] = {"hostname",           "user",          "port",          "identityfile",
                                             "certificatefile",    "hostkeyalias",  "proxyjump",     "proxycommand",
                                             "userknownhostsfile", "identityagent", "identitiesonly"};
        er_auto(er_strv) words = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_str) said = ER_STR_INIT;
        er_auto(er_str) why = ER_STR_INIT;
        struct er_proc_opts opts = {.io = {ER_PROC_NULL}};
        struct er_sv rest, line;
        int status = -1;

        if (er_ssh_argv_for_user(host, false, &words, err) < 0)
                return -1;
        er_strv_add(&argv, words.items[0]);
        er_strv_add(&argv, "-G");
        er_strv_addall(&argv, words.items + 1, words.len - 1);
        opts.argv = argv.items;
        if (er_proc_run(&opts, er_sv(NULL), &said, &why, FILE_MAX, er_deadline_in(ASK_MS), &status, err) < 0)
                return -1;
        if (status != 0) {
                er_str_rtrim(&why);
                return er_err_set(err, ER_CONFIG, "%s: ssh -G: %s", host->name, why.buf);
        }
        er_str_addf(out, "Host %s\n", name);
        rest = er_svn(said.buf, said.len);
        while (er_sv_cut(&rest, '\n', &line))
                for (size_t i = 0; i < ER_LEN(wanted); i++) {
                        size_t len = strlen(wanted[i]);

                        if (line.len > len + 1 && strncmp(line.ptr, wanted[i], len) == 0 && line.ptr[len] == ' ' &&
                            !er_sv_eq(er_svn(line.ptr + len + 1, line.len - len - 1), er_sv("none")))
                                er_str_addf(out, "  %.*s\n", (int)line.len, line.ptr);
                }
        return 0;
}

static int write_block(const char *path, const char *name, const char *block, struct er_err *err)
{
        er_autofree char *dir = er_path_dir(path), *lock_path = er_fmt("%s.lock", path);
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_err) why = ER_ERR_INIT;
        er_autoclose int lock = -1;

        if (er_mkdir_p(AT_FDCWD, dir, 0700, err) < 0)
                return -1;
        er_lock_file(lock_path, er_deadline_in(5000), &lock, NULL);
        if (er_file_read(AT_FDCWD, path, FILE_MAX, &text, &why) < 0 && why.code != ER_NOT_FOUND)
                return er_err_move(err, &why);
        er_ssh_block_put(&text, name, block);
        return er_file_write(AT_FDCWD, path, text.buf, text.len, 0600, false, err);
}

int er_ssh_alias(const struct er_host *host, char **ret_name, char **ret_missing, struct er_err *err)
{
        er_autofree char *home = er_dir_home(), *dir = er_dir_config(), *path = er_path_join(dir, "ssh_config");
        er_autofree char *own = er_path_join(home, ".ssh/config");
        er_auto(er_str) name = ER_STR_INIT;
        er_auto(er_str) block = ER_STR_INIT;
        er_auto(er_str) config = ER_STR_INIT;

        if (!host->port && !host->identity && !host->jump) {
                *ret_name = er_strdup(host->target);
                return 0;
        }
        er_str_add(&name, "errand-");
        for (const char *at = host->name; *at; at++)
                er_str_addc(&name, isalnum((unsigned char)*at) || strchr("._-", *at) ? *at : '-');
        if (describe(host, name.buf, &block, err) < 0 || write_block(path, name.buf, block.buf, err) < 0)
                return er_err_wrap(err, "writing a name for %s to %s", host->name, path);
        if (er_file_read(AT_FDCWD, own, FILE_MAX, &config, NULL) < 0 || !er_ssh_includes(config.buf, path, home))
                *ret_missing = er_fmt("Include %s%s%s", strchr(path, ' ') ? "\"" : "", path,
                                      strchr(path, ' ') ? "\"" : "");
        *ret_name = er_str_detach(&name);
        return 0;
}

/* envfile.c - files with "K=V" lines, such as `.env` and docker's --env-file; see config.h */
#include "job/config.h"

#include <fcntl.h>
#include "base/io.h"
#include "base/parse.h"

#define ENV_FILE_MAX ((size_t)512 * 1024)

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static size_t name_len(struct er_sv line)
{
        size_t n = 0;

        while (n < line.len &&
               ((line.ptr[n] >= 'A' && line.ptr[n] <= 'Z') || (line.ptr[n] >= 'a' && line.ptr[n] <= 'z') ||
                line.ptr[n] == '_' || (n && line.ptr[n] >= '0' && line.ptr[n] <= '9')))
                n++;
        return n;
}

/* 'text' is literal; "text" may have \n, \t, \\, \" and \$; anything else ends at " #". False if a quote is not closed.
 */
static bool read_value(struct er_sv text, struct er_str *out)
{
        char quote = text.len && (text.ptr[0] == '"' || text.ptr[0] == '\'') ? text.ptr[0] : '\0';
        size_t i = 1;
        struct er_sv rest;

        if (!quote) {
                size_t end = 0;
                struct er_sv value;

                while (end < text.len && !(text.ptr[end] == '#' && end && is_blank(text.ptr[end - 1])))
                        end++;
                value = er_sv_trim(er_svn(text.ptr, end));
                er_str_addn(out, value.ptr, value.len);
                return true;
        }
        for (; i < text.len && text.ptr[i] != quote; i++) {
                char c = text.ptr[i];

                if (quote == '"' && c == '\\' && i + 1 < text.len) {
                        char next = text.ptr[++i];
                        const char *known = strchr("n\nt\tr\r", next);

                        if (next == 'n' || next == 't' || next == 'r')
                                c = known[1];
                        else if (next == '\\' || next == '"' || next == '$' || next == '`')
                                c = next;
                        else
                                er_str_addc(out, '\\'), c = next;
                }
                er_str_addc(out, c);
        }
        if (i >= text.len)
                return false;
        rest = er_sv_trim(er_svn(text.ptr + i + 1, text.len - i - 1));
        return rest.len == 0 || rest.ptr[0] == '#';
}

static int read_line(const char *path, size_t number, struct er_sv line, struct er_strv *env, struct er_err *err)
{
        size_t len;
        er_auto(er_str) shown = ER_STR_INIT;

        line = er_sv_trim(line);
        if (line.len == 0 || line.ptr[0] == '#')
                return 0;
        if (er_sv_starts(line, ER_SV("export")) && line.len > 6 && is_blank(line.ptr[6]))
                line = er_sv_trim(er_svn(line.ptr + 6, line.len - 6));
        len = name_len(line);
        if (len == 0 || (len < line.len && line.ptr[len] != '=')) {
                /* Do not quote the line: such files often contain secrets. */
                er_err_set(err, ER_CONFIG, "%s:%zu: expected NAME=VALUE", path, number);
                return er_err_hint(err, "one per line; comments begin with #");
        }
        if (len == line.len) {
                er_strv_addn(env, line.ptr, len); /* with the value that it has here */
                return 0;
        }
        er_str_addn(&shown, line.ptr, len + 1);
        if (!read_value(er_svn(line.ptr + len + 1, line.len - len - 1), &shown))
                return er_err_set(err, ER_CONFIG, "%s:%zu: unterminated quote", path, number);
        er_strv_addn(env, shown.buf, shown.len);
        return 0;
}

int er_env_file_load(const char *path, struct er_strv *env, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv rest, line;

        if (er_file_read(AT_FDCWD, path, ENV_FILE_MAX, &text, err) < 0)
                return er_err_wrap(err, "reading env_file");
        if (strlen(text.buf) != text.len)
                return er_err_set(err, ER_CONFIG, "%s contains a NUL character: not a text file", path);
        rest = er_svn(text.buf, text.len);
        for (size_t number = 1; er_sv_cut(&rest, '\n', &line); number++)
                if (read_line(path, number, line, env, err) < 0)
                        return -1;
        return 0;
}

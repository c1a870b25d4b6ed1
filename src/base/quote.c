/* quote.c - text for shells, for people and for JSON. See parse.h */
#include "base/parse.h"
#include "base/utf8.h"

/* Words that are special to a shell (POSIX, bash, zsh) when they come first and unquoted. */
static const char *const shell_words[] = {
        "case",   "coproc",   "declare", "do",      "done",     "elif", "else",    "end",     "esac",  "export",
        "fi",     "float",    "for",     "foreach", "function", "if",   "in",      "integer", "local", "nocorrect",
        "noglob", "readonly", "repeat",  "select",  "then",     "time", "typeset", "until",   "while", "alias",
};

static bool is_bare(const char *word)
{
        static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+:,./_-";
        size_t len;

        if (!*word)
                return false;
        len = strspn(word, safe);
        /* "--lr=0.1" needs no quotes; but "A=1" would be an assignment, and zsh takes "=ls" for a path. */
        while (word[len] == '=' && word[0] == '-')
                len += 1 + strspn(word + len + 1, safe);
        if (word[len])
                return false;
        for (size_t i = 0; i < ER_LEN(shell_words); i++)
                if (strcmp(word, shell_words[i]) == 0)
                        return false;
        return true;
}

/*
 * Single quotes, within which sh knows no escapes. A quote and a backslash are put outside of them, after a backslash:
 * the quote because it has to be, the backslash because fish, which is some users' login shell, treats \\ as an escape
 * inside.
 */
void er_quote_sh(struct er_str *out, const char *word)
{
        bool open = false;

        if (is_bare(word)) {
                er_str_add(out, word);
                return;
        }
        if (!*word)
                er_str_add(out, "''");
        while (*word) {
                size_t len = strcspn(word, "'\\");

                if (len > 0 && !open) {
                        er_str_addc(out, '\'');
                        open = true;
                }
                er_str_addn(out, word, len);
                word += len;
                if (*word) {
                        if (open)
                                er_str_addc(out, '\'');
                        open = false;
                        er_str_addc(out, '\\');
                        er_str_addc(out, *word++);
                }
        }
        if (open)
                er_str_addc(out, '\'');
}

void er_quote_argv(struct er_str *out, char *const *argv, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (i > 0)
                        er_str_addc(out, ' ');
                er_quote_sh(out, argv[i]);
        }
}

void er_quote_show(struct er_str *out, const char *text, size_t len)
{
        size_t pos = 0, plain = 0; /* copy what lies between at once */

        while (pos < len) {
                uint32_t code = 0;
                size_t n = er_utf8_next(text + pos, len - pos, &code);

                if (n > 0 && !er_utf8_is_control(code)) {
                        pos += n;
                        continue;
                }
                er_str_addn(out, text + plain, pos - plain);
                for (size_t end = pos + (n ? n : 1); pos < end; pos++)
                        er_str_addf(out, "\\x%02x", (unsigned char)text[pos]);
                plain = pos;
        }
        er_str_addn(out, text + plain, pos - plain);
}

void er_quote_lines(struct er_str *out, const char *text, size_t len)
{
        struct er_sv rest = er_svn(text, len), line;

        while (er_sv_cut(&rest, '\n', &line)) {
                er_quote_show(out, line.ptr, line.len);
                if (rest.ptr)
                        er_str_addc(out, '\n');
        }
}

void er_utf8_lossy(struct er_str *out, const char *text, size_t len)
{
        size_t pos = 0, plain = 0;

        while (pos < len) {
                uint32_t code;
                size_t n = er_utf8_next(text + pos, len - pos, &code);

                if (n > 0) {
                        pos += n;
                        continue;
                }
                er_str_addn(out, text + plain, pos - plain);
                er_str_add(out, "\xef\xbf\xbd");
                plain = ++pos;
        }
        er_str_addn(out, text + plain, pos - plain);
}

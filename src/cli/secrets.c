/* secrets.c - see secrets.h */
#include "cli/secrets.h"

#include <errno.h>
#include <termios.h>
#include <unistd.h>
#include "base/io.h"
#include "cli/words.h"

static int read_unseen(const char *name, struct er_str *ret, struct er_err *err)
{
        er_auto(er_str) prompt = ER_STR_INIT;
        struct termios before, silent;
        ssize_t got = 0;
        char c;

        if (tcgetattr(STDIN_FILENO, &before) < 0)
                return er_err_errno(err, errno, "reading a secret from the terminal");
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        er_str_addf(&prompt, "errand: value of the secret %s (not shown): ", name);
        if (er_write_full(STDERR_FILENO, prompt.buf, prompt.len) < 0 || tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0)
                return er_err_errno(err, errno, "asking for a secret on the terminal");
        while (ret->len < 65536 && (got = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
                er_str_addc(ret, c);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        if (er_write_full(STDERR_FILENO, "\n", 1) < 0 || got < 0)
                return er_err_errno(err, errno, "reading a secret from the terminal");
        return 0;
}

int er_secrets_ask(const struct er_strv *names, struct er_err *err)
{
        for (size_t i = 0; i < names->len; i++) {
                const char *name = names->items[i];
                er_auto(er_str) value = ER_STR_INIT;

                if (getenv(name))
                        continue;
                if (!er_can_ask()) {
                        er_err_set(err, ER_CONFIG, "the secret %s is not set in your environment", name);
                        return er_err_hint(err, "export %s with its value, then try again", name);
                }
                if (read_unseen(name, &value, err) < 0)
                        return -1;
                if (value.len == 0)
                        return er_err_set(err, ER_CONFIG, "the secret %s is empty", name);
                if (setenv(name, value.buf, 1) < 0)
                        return er_err_errno(err, errno, "keeping the secret %s", name);
                explicit_bzero(value.buf, value.len);
        }
        return 0;
}

int er_secrets_keep(const struct er_strv *values, struct er_err *err)
{
        for (size_t i = 0; i < values->len; i++) {
                const char *equals = strchr(values->items[i], '=');
                er_autofree char *name = er_strndup(values->items[i], (size_t)(equals - values->items[i]));

                if (setenv(name, equals + 1, 1) < 0)
                        return er_err_errno(err, errno, "keeping %s", name);
        }
        return 0;
}

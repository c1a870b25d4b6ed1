/* words.c - see words.h */
#include "cli/words.h"

#include <errno.h>
#include <termios.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/term.h"

#define SIGPIPE_STATUS 141 /* 128 + SIGPIPE: what a shell reports for a program that the signal ended */

int er_out(struct er_sv text, struct er_err *err)
{
        if (er_write_full(STDOUT_FILENO, text.ptr, text.len) == 0)
                return 0;
        if (errno == EPIPE)
                _exit(SIGPIPE_STATUS);
        return er_err_errno(err, errno, "writing to standard output");
}

static void add_shown(struct er_str *out, const char *fmt, va_list args) ER_PRINTF(2, 0);

/* Messages may contain the words of a host, a project or a tool. They are quoted where they are printed, so that no
 * caller can forget it. */
static void add_shown(struct er_str *out, const char *fmt, va_list args)
{
        er_auto(er_str) text = ER_STR_INIT;

        er_str_addv(&text, fmt, args);
        er_quote_show(out, text.buf, text.len);
}

int er_out_line(struct er_err *err, const char *fmt, ...)
{
        er_auto(er_str) line = ER_STR_INIT;
        va_list args;

        va_start(args, fmt);
        add_shown(&line, fmt, args);
        va_end(args);
        er_str_addc(&line, '\n');
        return er_out(er_svn(line.buf, line.len), err);
}

int er_out_json(const json_t *json, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;

        er_json_dump(json, true, &text);
        if (text.len == 0 || text.buf[text.len - 1] != '\n')
                er_str_addc(&text, '\n');
        return er_out(er_svn(text.buf, text.len), err);
}

int er_out_table(const struct er_cli *cli, const struct er_table *table, const char *empty, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (cli->json) {
                er_table_json(table, &text);
                if (text.len == 0 || text.buf[text.len - 1] != '\n')
                        er_str_addc(&text, '\n');
        } else if (er_table_rows(table) == 0) {
                if (empty)
                        er_say(cli, "%s", empty);
                return 0;
        } else
                er_table_print(table, &text, er_term_is(STDOUT_FILENO) ? er_term_width(STDOUT_FILENO) : 0,
                               er_term_colour(STDOUT_FILENO), er_now_ms());
        return er_out(er_svn(text.buf, text.len), err);
}

/* If stderr itself fails, there is nobody to tell. */
static void write_err(const struct er_str *text)
{
        if (er_write_full(STDERR_FILENO, text->buf, text->len) < 0)
                return;
}

void er_say(const struct er_cli *cli, const char *fmt, ...)
{
        er_auto(er_str) line = ER_STR_INIT;
        va_list args;

        if (cli->quiet)
                return;
        er_str_add(&line, "errand: ");
        va_start(args, fmt);
        add_shown(&line, fmt, args);
        va_end(args);
        er_str_addc(&line, '\n');
        write_err(&line);
}

void er_say_more(const struct er_cli *cli, const char *fmt, ...)
{
        er_auto(er_str) line = ER_STR_INIT;
        va_list args;

        if (cli->quiet)
                return;
        er_str_add(&line, "        ");
        va_start(args, fmt);
        add_shown(&line, fmt, args);
        va_end(args);
        er_str_addc(&line, '\n');
        write_err(&line);
}

void er_say_err(const struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;
        bool colour = er_term_colour(STDERR_FILENO);

        er_str_addf(&text, "%serrand:%s ", colour ? "\033[1;31m" : "", colour ? "\033[0m" : "");
        if (err->message) /* it may contain the names of files and the words of other machines */
                er_quote_show(&text, err->message, strlen(err->message));
        else
                er_str_add(&text, er_code_name(err->code));
        er_str_addc(&text, '\n');
        if (err->hint && err->hint[0])
                er_wrap(&text, err->hint, 8, (size_t)er_term_width(STDERR_FILENO));
        write_err(&text);
}

bool er_can_ask(void)
{
        return er_term_is(STDIN_FILENO) && er_term_is(STDERR_FILENO);
}

void er_ask_begin(void)
{
        tcflush(STDIN_FILENO, TCIFLUSH);
}

bool er_ask(const char *fmt, ...)
{
        er_auto(er_str) line = ER_STR_INIT;
        va_list args;
        char answer[16];
        ssize_t got;

        er_str_add(&line, "errand: ");
        va_start(args, fmt);
        add_shown(&line, fmt, args);
        va_end(args);
        er_str_add(&line, " [y/N] ");
        write_err(&line);
        do
                got = read(STDIN_FILENO, answer, sizeof answer); /* a terminal gives one line at a time */
        while (got < 0 && errno == EINTR);
        return got > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

static void wrap_line(struct er_str *out, struct er_sv line, size_t indent, size_t width)
{
        size_t used = 0;

        while (line.len > 0) {
                struct er_sv word = line;
                size_t end = 0, columns;

                while (end < line.len && line.ptr[end] != ' ')
                        end++;
                word.len = end;
                line = er_svn(line.ptr + end, line.len - end);
                while (line.len > 0 && line.ptr[0] == ' ')
                        line = er_svn(line.ptr + 1, line.len - 1);
                if (word.len == 0)
                        continue;
                columns = er_term_columns(word.ptr, word.len);
                if (used > 0 && indent + used + 1 + columns > width) {
                        er_str_addc(out, '\n');
                        used = 0;
                }
                if (used == 0)
                        for (size_t i = 0; i < indent; i++)
                                er_str_addc(out, ' ');
                else {
                        er_str_addc(out, ' ');
                        used++;
                }
                er_str_addn(out, word.ptr, word.len);
                used += columns;
        }
        er_str_addc(out, '\n');
}

void er_wrap(struct er_str *out, const char *text, size_t indent, size_t width)
{
        er_auto(er_str) shown = ER_STR_INIT;
        er_auto(er_str) paragraph = ER_STR_INIT;
        struct er_sv rest, line;

        er_quote_lines(&shown, text, strlen(text));
        rest = er_svn(shown.buf, shown.len);

        while (er_sv_cut(&rest, '\n', &line)) {
                bool literal = line.len > 0 && line.ptr[0] == ' ';

                if (line.len > 0 && !literal) {
                        if (paragraph.len > 0)
                                er_str_addc(&paragraph, ' ');
                        er_str_addn(&paragraph, line.ptr, line.len);
                        continue;
                }
                if (paragraph.len > 0)
                        wrap_line(out, er_svn(paragraph.buf, paragraph.len), indent, width);
                er_str_reset(&paragraph);
                if (literal) {
                        for (size_t i = 0; i < indent; i++)
                                er_str_addc(out, ' ');
                        er_str_addn(out, line.ptr, line.len);
                }
                if (literal || rest.ptr)
                        er_str_addc(out, '\n');
        }
        if (paragraph.len > 0)
                wrap_line(out, er_svn(paragraph.buf, paragraph.len), indent, width);
}

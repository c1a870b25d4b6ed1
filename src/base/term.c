/* term.c - see term.h */
#include "base/term.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include "base/str.h"
#include "base/utf8.h"

bool er_term_is(int fd)
{
        return isatty(fd) == 1;
}

int er_term_width(int fd)
{
        struct winsize size;

        if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
                return size.ws_col;
        return 80;
}

int er_term_height(int fd)
{
        struct winsize size;

        return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 ? size.ws_row : 24;
}

bool er_term_colour(int fd)
{
        const char *no_colour = getenv("NO_COLOR"); /* https://no-color.org: set and not empty */
        const char *term = getenv("TERM");

        return er_term_is(fd) && !(no_colour && no_colour[0]) && term && !er_streq(term, "dumb");
}

size_t er_term_columns(const char *text, size_t len)
{
        size_t columns = 0, pos = 0;

        while (pos < len) {
                uint32_t code;
                size_t n = er_utf8_next(text + pos, len - pos, &code);

                columns += n > 0 ? (size_t)er_utf8_width(code) : 1;
                pos += n > 0 ? n : 1;
        }
        return columns;
}

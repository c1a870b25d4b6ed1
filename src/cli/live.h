/*
 * live.h - the terminal while something is under way: one status line at the bottom, which makes room for other output
 * and is gone at the end. It is drawn only on a terminal, only at the start of a line (never over a job's unfinished
 * line), and only if the wait is long enough to be noticed. Thread-safe.
 */
#ifndef ER_CLI_LIVE_H
#define ER_CLI_LIVE_H

#include "base/mem.h"
#include "base/str.h"
#include "host/files.h"

struct er_live;

/* quiet: shows neither the status line nor errand's own messages. */
struct er_live *er_live_new(bool quiet);
/* Removes the status line. */
void er_live_free(struct er_live *live);
ER_DEFINE_AUTOPTR(er_live)

/* Writes a job's output to descriptor 1 or 2. Returns 0, or -1 with errno. */
int er_live_write(struct er_live *live, int fd, struct er_sv data);

/* Sets the status line. After two seconds it also shows how long this has been going on. */
void er_live_set(struct er_live *live, const char *fmt, ...) ER_PRINTF(2, 3);
/* The same while ssh may ask for a password or a key on the terminal: prints an ordinary line, once, after a second. */
void er_live_still(struct er_live *live, const char *fmt, ...) ER_PRINTF(2, 3);
/* Shows a session's message: as er_live_still while it connects, else on the status line. */
void er_live_note(struct er_live *live, const char *text);
/* "<what>: 12 MB of 40 MB, 3 of 10 files, 4 MB/s" */
void er_live_transfer(struct er_live *live, const char *what, const struct er_transfer *transfer);
void er_live_clear(struct er_live *live);
/* Says that the terminal has echoed ^C, so the next message must start on a new line. */
void er_live_echoed(struct er_live *live);

/* Prints "errand: <message>", and an indented line below it. */
void er_live_say(struct er_live *live, const char *fmt, ...) ER_PRINTF(2, 3);
void er_live_more(struct er_live *live, const char *fmt, ...) ER_PRINTF(2, 3);

#endif

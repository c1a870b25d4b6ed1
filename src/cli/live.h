/*
 * live.h - the terminal while something is under way: one status line at the bottom, which makes room for whatever else
 * is written and is gone at the end. It is drawn only on a terminal, only where a line begins (a job's half line is
 * never written over), and only when the wait is long enough to be noticed. Thread-safe.
 */
#ifndef ER_CLI_LIVE_H
#define ER_CLI_LIVE_H

#include "base/mem.h"
#include "base/str.h"
#include "host/files.h"

struct er_live;

/* quiet: neither the status line nor errand's own words. */
struct er_live *er_live_new(bool quiet);
/* Takes the line away. */
void er_live_free(struct er_live *live);
ER_DEFINE_AUTOPTR(er_live)

/* Bytes of a job to descriptor 1 or 2. 0, or -1 with errno. */
int er_live_write(struct er_live *live, int fd, struct er_sv data);

/* What the status line says. After two seconds it also says how long that has been going on. */
void er_live_set(struct er_live *live, const char *fmt, ...) ER_PRINTF(2, 3);
/* The same while ssh may ask for a password or a key on the terminal: an ordinary line, said once, after a second. */
void er_live_still(struct er_live *live, const char *fmt, ...) ER_PRINTF(2, 3);
/* What a session says of itself: still while it connects, else on the status line. */
void er_live_note(struct er_live *live, const char *text);
/* "<what>: 12 MB of 40 MB, 3 of 10 files, 4 MB/s" */
void er_live_transfer(struct er_live *live, const char *what, const struct er_transfer *transfer);
void er_live_clear(struct er_live *live);
/* The terminal has echoed ^C: what comes next begins on a line of its own. */
void er_live_echoed(struct er_live *live);

/* "errand: <words>", a line that stays; and a line set in under it. */
void er_live_say(struct er_live *live, const char *fmt, ...) ER_PRINTF(2, 3);
void er_live_more(struct er_live *live, const char *fmt, ...) ER_PRINTF(2, 3);

#endif

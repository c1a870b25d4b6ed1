/*
 * words.h - how commands speak: results to stdout (checked: a full disk there is an error), errand's own words to
 * stderr with "errand: " before them, none of those with --quiet. Errors are always said.
 */
#ifndef ER_CLI_WORDS_H
#define ER_CLI_WORDS_H

#include <jansson.h>
#include "base/table.h"
#include "cli/command.h"

/* Writes to stdout. A reader that has gone away (`| head`) ends the program quietly, as it does for cat. */
int er_out(struct er_sv text, struct er_err *err);
int er_out_line(struct er_err *err, const char *fmt, ...) ER_PRINTF(2, 3);
int er_out_json(const json_t *json, struct er_err *err);
/* The table for a person or, with --json, for a program. An empty one prints `empty` to stderr instead (may be NULL).
 */
int er_out_table(const struct er_cli *cli, const struct er_table *table, const char *empty, struct er_err *err);

/* "errand: <words>" to stderr, a line. */
void er_say(const struct er_cli *cli, const char *fmt, ...) ER_PRINTF(2, 3);
/* A line without the name before it, set in under the one above. */
void er_say_more(const struct er_cli *cli, const char *fmt, ...) ER_PRINTF(2, 3);
/* An error and its hint; also with --quiet. */
void er_say_err(const struct er_err *err);

/* Can a question be asked? */
bool er_can_ask(void);
/* Drops what was typed so far: it is no answer to what will be asked. Before a question that comes after some time. */
void er_ask_begin(void);
/* "errand: <question> [y/N] ": true for yes. Only where er_can_ask(). */
bool er_ask(const char *fmt, ...) ER_PRINTF(1, 2);

/* Breaks text into lines of at most `width` columns, each after `indent` spaces. Lines that begin with a space stay as
   they are; an empty line ends a paragraph. */
void er_wrap(struct er_str *out, const char *text, size_t indent, size_t width);

#endif

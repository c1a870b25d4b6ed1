/*
 * words.h - how commands speak: results go to stdout (checked, as a full disk is an error), errand's own messages to
 * stderr after "errand: ", unless --quiet suppresses them. Errors are always printed.
 */
#ifndef ER_CLI_WORDS_H
#define ER_CLI_WORDS_H

#include <jansson.h>
#include "base/table.h"
#include "cli/command.h"

/* Writes to stdout. If the reader is gone (`| head`), ends the program quietly, as cat does. */
int er_out(struct er_sv text, struct er_err *err);
int er_out_line(struct er_err *err, const char *fmt, ...) ER_PRINTF(2, 3);
int er_out_json(const json_t *json, struct er_err *err);
/* Prints the table, or JSON with --json. For an empty table, prints `empty` (may be NULL) to stderr instead. */
int er_out_table(const struct er_cli *cli, const struct er_table *table, const char *empty, struct er_err *err);

/* Prints the line "errand: <message>" to stderr. */
void er_say(const struct er_cli *cli, const char *fmt, ...) ER_PRINTF(2, 3);
/* Prints an indented line below that. */
void er_say_more(const struct er_cli *cli, const char *fmt, ...) ER_PRINTF(2, 3);
/* Prints an error and its hint, even with --quiet. */
void er_say_err(const struct er_err *err);

/* True if a question can be asked on the terminal. */
bool er_can_ask(void);
/* Discards what was typed before the question, which cannot be meant as its answer. For questions that come after some
 * time. */
void er_ask_begin(void);
/* Asks "errand: <question> [y/N] " and returns true for yes. Only if er_can_ask(). */
bool er_ask(const char *fmt, ...) ER_PRINTF(1, 2);

/* Breaks text into lines of at most `width` columns, each after `indent` spaces. Lines that start with a space stay as
 * they are; an empty line ends a paragraph. */
void er_wrap(struct er_str *out, const char *text, size_t indent, size_t width);

#endif

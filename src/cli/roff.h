/*
 * roff.h - manual pages in mdoc(7), made from the tables.
 */
#ifndef ER_CLI_ROFF_H
#define ER_CLI_ROFF_H

#include "cli/command.h"

/* errand-<name>(1). */
void er_roff_command(struct er_str *out, const struct er_command *command);
/* errand(1): all commands, exit statuses, environment, files. */
void er_roff_main(struct er_str *out);

#endif

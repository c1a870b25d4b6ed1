/*
 * ssh_alias.h - names for hosts in a file of ours that ssh can include: <config dir>/ssh_config. Each is a marked
 * block, replaced as a whole; the user's own files are only read.
 */
#ifndef ER_CLI_SSH_ALIAS_H
#define ER_CLI_SSH_ALIAS_H

#include "base/err.h"
#include "host/host.h"

/* By which name any ssh of this user reaches the host (owned): its own where that says all, else that of a block of
   ours, written here. *ret_missing (owned, NULL: nothing is) is the line that ~/.ssh/config lacks. */
int er_ssh_alias(const struct er_host *host, char **ret_name, char **ret_missing, struct er_err *err);

/* For tests: the text with the block of this name in place of the one it has, or at its end. */
void er_ssh_block_put(struct er_str *text, const char *name, const char *block);
/* True when the configuration includes the file, outside of any Host or Match; home: of "~/". */
bool er_ssh_includes(const char *config, const char *path, const char *home);

#endif

/*
 * ssh_alias.h - names for hosts, in a file of ours that ssh can include: <config dir>/ssh_config. Each is a marked
 * block that is replaced as a whole; the user's own files are only read.
 */
#ifndef ER_CLI_SSH_ALIAS_H
#define ER_CLI_SSH_ALIAS_H

#include "base/err.h"
#include "host/host.h"

/* Finds a name (owned) by which the user's ssh reaches the host: its own if that is enough, else that of a block of
 * ours, which is written here. *ret_missing (owned) is the line that ~/.ssh/config lacks, or NULL. */
int er_ssh_alias(const struct er_host *host, char **ret_name, char **ret_missing, struct er_err *err);

/* For tests: replaces the block of this name in the text, or adds it at the end. */
void er_ssh_block_put(struct er_str *text, const char *name, const char *block);
/* For tests: true if the configuration includes the file outside of any Host or Match. home: what "~" stands for. */
bool er_ssh_includes(const char *config, const char *path, const char *home);

#endif

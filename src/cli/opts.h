/*
 * opts.h - parses a command line by a command's option table: --name VALUE, --name=VALUE, -l VALUE, -lVALUE, bundled
 * flags (-fq), "--". Options may stand anywhere, unless the command says that they end at its first argument.
 */
#ifndef ER_CLI_OPTS_H
#define ER_CLI_OPTS_H

#include "cli/command.h"

/* The options of every command (json and quiet: only if its flags say so). */
struct er_common_opts {
        bool help, version, json, quiet;
        const char *state_dir;
};

/* The i-th option of a command: its own, then the common ones. NULL past the end. */
const struct er_opt *er_command_opt(const struct er_command *command, size_t index);

/* `errand` itself: the options before the command's name. */
extern const struct er_command er_cmd_errand;

/* Fills opts (opts_size bytes, zeroed here) and common. *ret_args is an owned, NULL-terminated array of borrowed
 * arguments. ER_USAGE or ER_CONFIG if the line is wrong; what was filled in is then released. */
int er_opts_parse(const struct er_command *command, char *const *argv, int count, void *opts,
                  struct er_common_opts *common, char ***ret_args, int *ret_count, struct er_err *err);
/* Frees what the options hold (lists). */
void er_opts_release(const struct er_command *command, void *opts);

#endif

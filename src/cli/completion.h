/*
 * completion.h - completion scripts for shells, made from the tables; names of jobs and hosts come from `errand
 * complete-names`, when a key is pressed.
 */
#ifndef ER_CLI_COMPLETION_H
#define ER_CLI_COMPLETION_H

#include "base/err.h"
#include "base/str.h"

/* shell: "bash", "zsh" or "fish"; anything else is ER_USAGE. */
int er_completion_script(const char *shell, struct er_str *out, struct er_err *err);

#endif

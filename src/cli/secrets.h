/*
 * secrets.h - secrets on their way to a job. The maestro takes their values from our environment, even if it runs in
 * the background; only their names are stored.
 */
#ifndef ER_CLI_SECRETS_H
#define ER_CLI_SECRETS_H

#include "base/err.h"
#include "base/str.h"

/* Makes sure that our environment has each of these variables before anything starts: asks for a missing one on the
   terminal, without echo; ER_CONFIG if nobody can be asked. */
int er_secrets_ask(const struct er_strv *names, struct er_err *err);
/* Puts each "NAME=value" into our environment. */
int er_secrets_keep(const struct er_strv *values, struct er_err *err);

#endif

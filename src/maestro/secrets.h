/* secrets.h - the values of secrets: those given, or else those in this process's environment. */
#ifndef ER_MAESTRO_SECRETS_H
#define ER_MAESTRO_SECRETS_H

#include "base/str.h"

/* Adds "NAME=value" for every name that has a value; given may be NULL. Returns the first name without one, or NULL. */
const char *er_secrets_find(const struct er_strv *names, const struct er_strv *given, struct er_strv *ret);

#endif

/* secrets.h - values by their names: those that were given to this process, else its own environment's. */
#ifndef ER_MAESTRO_SECRETS_H
#define ER_MAESTRO_SECRETS_H

#include "base/str.h"

/* Adds "NAME=value" for every name that has one; given may be NULL. The first name without, or NULL. */
const char *er_secrets_find(const struct er_strv *names, const struct er_strv *given, struct er_strv *ret);

#endif

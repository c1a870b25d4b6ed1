/*
 * credentials.h - passwords and tokens in the addresses that packages come from: "user:password@" before a host, and
 * conda's
 * "/t/TOKEN" in a path. They are in no recipe, log or list. In a recipe a variable stands in place of each,
 * ${ERRAND_AUTH_<HOST>_<6 digits>}, and its value travels beside (er_recipe.values). pip and uv fill in variables by
 * themselves; filled_in of scripts/lib.sh does it for everything else.
 */
#ifndef ER_ENVIRONMENT_CREDENTIALS_H
#define ER_ENVIRONMENT_CREDENTIALS_H

#include "proto/recipe.h"

/* Appends the text with *** in place of what is secret in it. */
void er_credentials_mask(const char *text, struct er_str *out);
/* Appends the text with variables in place of secrets; the recipe gets names and values. */
void er_credentials_hide(const char *text, struct er_recipe *recipe, struct er_str *out);
/* Also the values of variables that the text itself names (${TOKEN}, as pip reads it), if they are set here; not of
   those that name directories (${HOME}), which are the host's. */
void er_credentials_take(const char *text, struct er_recipe *recipe, struct er_str *out);

#endif

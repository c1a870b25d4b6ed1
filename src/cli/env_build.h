/*
 * env_build.h - an environment made on a host while the user looks on: errand exec, errand install.
 */
#ifndef ER_CLI_ENV_BUILD_H
#define ER_CLI_ENV_BUILD_H

#include "cli/live.h"
#include "host/connect/session.h"
#include "proto/recipe.h"

/* Until it is ready there; the recipe may gain packages fetched here. */
int er_env_build(struct er_session *session, struct er_recipe *recipe, struct er_live *live, struct er_err *err);

#endif

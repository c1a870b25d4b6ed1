/*
 * environments.h - the environments that hosts have built: listed, shown, checked and removed for errand env, and built
 * for errand exec and errand install while the user looks on.
 */
#ifndef ER_CLI_ENVIRONMENTS_H
#define ER_CLI_ENVIRONMENTS_H

#include "cli/command.h"
#include "cli/live.h"
#include "host/connect/session.h"
#include "proto/recipe.h"

/* on: names of hosts; empty: all known hosts. names: of environments, or the first characters of those. */
int er_environments_list(const struct er_cli *cli, const struct er_strv *on, struct er_err *err);
int er_environments_show(const struct er_cli *cli, const struct er_strv *on, char *const *names, int count,
                         struct er_err *err);
/* No names: all that are ready. Returns the exit status: 1 if something is missing in one of them. */
int er_environments_check(const struct er_cli *cli, const struct er_strv *on, char *const *names, int count,
                          struct er_err *err);
int er_environments_rm(const struct er_cli *cli, const struct er_strv *on, char *const *names, int count,
                       struct er_err *err);

/* Returns when it is ready on the session's host. Packages that are fetched here are added to the recipe. */
int er_environments_build(struct er_session *session, struct er_recipe *recipe, struct er_live *live,
                          struct er_err *err);

#endif

/*
 * env_hosts.h - errand env list, show, check and rm: the environments that hosts have made.
 */
#ifndef ER_CLI_ENV_HOSTS_H
#define ER_CLI_ENV_HOSTS_H

#include "cli/command.h"

/* on: names of hosts; empty: all that are known. names: environments, by the beginning of their hash. */
int er_env_hosts_list(const struct er_cli *cli, const struct er_strv *on, struct er_err *err);
int er_env_hosts_show(const struct er_cli *cli, const struct er_strv *on, char *const *names, int count,
                      struct er_err *err);
/* No names: all that are ready. The exit status: 1 when one of them is not whole. */
int er_env_hosts_check(const struct er_cli *cli, const struct er_strv *on, char *const *names, int count,
                       struct er_err *err);
int er_env_hosts_rm(const struct er_cli *cli, const struct er_strv *on, char *const *names, int count,
                    struct er_err *err);

#endif

/*
 * ssh.h - the command line of ssh for a host. Everything in ~/.ssh/config applies, except what would keep a session
 * from being ours (forwards, RemoteCommand, other control sockets).
 */
#ifndef ER_HOST_CONNECT_SSH_H
#define ER_HOST_CONNECT_SSH_H

#include "base/err.h"
#include "base/str.h"
#include "host/host.h"

/* "ssh OPTIONS -- TARGET", to be followed by the command. extra (may be NULL): more options. ER_USAGE for a target
   that ssh could take for an option. */
int er_ssh_argv(const struct er_host *host, bool interactive, int64_t connect_ms, const struct er_strv *extra,
                struct er_strv *ret, struct er_err *err);
/* The same for the user's own ssh session (`errand ssh`): through a master of ours if one is up. */
int er_ssh_argv_for_user(const struct er_host *host, bool terminal, struct er_strv *ret, struct er_err *err);

#endif

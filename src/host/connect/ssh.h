/*
 * ssh.h - the command line of ssh for a host, what its complaints mean, and errand's own control masters.
 *
 * A connection to a host is shared: an ssh of ours (the master) keeps it, and sessions are opened through its socket,
 * <runtime dir>/<hash>.<slot>. As sshd allows 10 sessions on a connection by default, there may be up to ER_SLOTS
 * masters for a host. Everything in ~/.ssh/config applies, except what would keep a session from being ours (forwards,
 * RemoteCommand, other control sockets).
 */
#ifndef ER_HOST_CONNECT_SSH_H
#define ER_HOST_CONNECT_SSH_H

#include "base/err.h"
#include "base/str.h"
#include "host/host.h"
#include "host/connect/transport.h"

#define ER_SLOTS 32

/* "ssh OPTIONS -- TARGET": what follows is the command. extra (may be NULL) are options of the caller's.
   ER_USAGE for a target that ssh could take for an option. */
int er_ssh_argv(const struct er_host *host, bool interactive, int64_t connect_ms, const struct er_strv *extra,
                struct er_strv *ret, struct er_err *err);
/* The same for a person's own ssh to the host (`errand ssh`): through a master of ours when one is up. */
int er_ssh_argv_for_user(const struct er_host *host, bool terminal, struct er_strv *ret, struct er_err *err);

/* install.c: the words that start errand-agent there, without what it is to do; over ssh in the login directory. A
   session to the host has put it in place. */
void er_agent_argv(const struct er_host *host, struct er_strv *ret);

/* What ssh's words on stderr mean; status is its exit status or -1. True: a refusal for the moment (MaxStartups),
   trying again soon may help. */
bool er_ssh_explain(const struct er_host *host, bool interactive, const char *said, int status, struct er_err *err);

/* master.c: a name in the runtime directory for what belongs to this way to this host: "<dir>/<hash>.<suffix>" (owned).
 */
char *er_ssh_state_path(const struct er_host *host, const char *suffix);
/* The path of a slot's socket (owned), or NULL when control sockets cannot be used here. */
char *er_master_path(const struct er_host *host, int slot);
/* Takes one of the few turns to log in to a host, so that hundreds of logins at once do not run into MaxStartups.
   Waits; -1 with err when cancelled or past the deadline. The lock lasts until *ret_fd is closed. */
int er_master_turn(const struct er_connect *connect, int *ret_fd, struct er_err *err);
/* The same without waiting: a descriptor, or -1. */
int er_master_try_turn(const struct er_host *host);

enum er_master_result {
        ER_MASTER_UP,
        ER_MASTER_BUSY,     /* this one, or as many as may be, are being started by others: wait a little */
        ER_MASTER_REFUSED,  /* for the moment; err says how */
        ER_MASTER_FAILED,   /* err says why */
        ER_MASTER_UNUSABLE, /* no control sockets here or with this ssh: use a process */
};
/* Starts the master of a slot, unless it is up by then. Without a turn of the caller's it takes one itself, and waits
   for whoever is starting that master already, whose failure is then ours too; with one, BUSY comes back instead. */
enum er_master_result er_master_start(const struct er_connect *connect, int slot, bool has_turn, struct er_err *err);

#endif

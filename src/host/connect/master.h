/*
 * master.h - errand's own ssh masters: starting one, and the turns by which processes log in to a host one after
 * another. Private to src/host.
 *
 * A connection to a host is shared: an ssh of ours (the master) keeps it, and sessions are opened through its socket
 * (control.h). As sshd allows 10 sessions on a connection by default, there may be up to ER_SLOTS masters for a host.
 */
#ifndef ER_HOST_CONNECT_MASTER_H
#define ER_HOST_CONNECT_MASTER_H

#include "host/connect/connect.h"

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

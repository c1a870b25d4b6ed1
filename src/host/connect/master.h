/*
 * master.h - errand's own ssh masters: starting them, and limiting how many processes log in to a host at once. Private
 * to src/host.
 *
 * Connections are shared: an ssh process of ours (the master) holds one, and sessions are opened through its socket
 * (control.h). By default sshd allows 10 sessions on a connection, so there may be up to ER_SLOTS masters for a host.
 */
#ifndef ER_HOST_CONNECT_MASTER_H
#define ER_HOST_CONNECT_MASTER_H

#include "host/connect/connect.h"

/* Takes one of the few login turns for a host, so that hundreds of simultaneous logins do not run into MaxStartups.
   Waits; -1 with err if cancelled or past the deadline. The turn lasts until *ret_fd is closed. */
int er_master_turn(const struct er_connect *connect, int *ret_fd, struct er_err *err);
/* The same without waiting: a descriptor, or -1. */
int er_master_try_turn(const struct er_host *host);

enum er_master_result {
        ER_MASTER_UP,
        ER_MASTER_BUSY,     /* others are starting this one, or as many as are allowed: wait a little */
        ER_MASTER_REFUSED,  /* refused for the moment; err says how */
        ER_MASTER_FAILED,   /* err says why */
        ER_MASTER_UNUSABLE, /* control sockets do not work here or with this ssh: use an ssh process */
};
/* Starts the master of a slot, unless it comes up meanwhile. A caller without a turn gets one here, and waits for
   whoever is already starting that master; their failure is then ours too. A caller with a turn gets BUSY instead. */
enum er_master_result er_master_start(const struct er_connect *connect, int slot, bool has_turn, struct er_err *err);

#endif

/*
 * control.h - where ssh's control sockets for a host lie, and what else belongs to one way to it: in the runtime
 * directory, named after a hash of the target, port, key and jump host. Private to src/host.
 */
#ifndef ER_HOST_CONNECT_CONTROL_H
#define ER_HOST_CONNECT_CONTROL_H

#include <stdint.h>
#include "host/host.h"

#define ER_SLOTS 32 /* masters for one host at most */

/* Seconds an idle connection is kept; 0: connections are not shared. */
uint64_t er_control_persist_s(void);
/* "<runtime dir>/<hash>.<suffix>" (owned). */
char *er_control_file(const struct er_host *host, const char *suffix);
/* The path of a slot's socket (owned), or NULL when control sockets cannot be used here. */
char *er_control_path(const struct er_host *host, int slot);

#endif

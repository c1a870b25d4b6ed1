/*
 * control.h - the paths of ssh's control sockets for a host, and of other files about the way to it: in the runtime
 * directory, named by a hash of target, port, key and jump host. Private to src/host.
 */
#ifndef ER_HOST_CONNECT_CONTROL_H
#define ER_HOST_CONNECT_CONTROL_H

#include <stdint.h>
#include "host/host.h"

#define ER_SLOTS 32 /* most masters for one host */

/* How long an idle connection is kept, in seconds; 0: connections are not shared. */
uint64_t er_control_persist_s(void);
/* "<runtime dir>/<hash>.<suffix>" (owned). */
char *er_control_file(const struct er_host *host, const char *suffix);
/* The path of a slot's socket (owned), or NULL when control sockets cannot be used here. */
char *er_control_path(const struct er_host *host, int slot);

#endif

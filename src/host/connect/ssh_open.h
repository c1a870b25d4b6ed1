/*
 * ssh_open.h - running a command on a host over ssh: through a master's socket if possible (master.h), else with an ssh
 * process; and connecting to the listener there, which needs no login (fast.h). Private to src/host.
 */
#ifndef ER_HOST_CONNECT_SSH_OPEN_H
#define ER_HOST_CONNECT_SSH_OPEN_H

#include "host/connect/connect.h"
#include "host/connect/fast.h"
#include "host/connect/link.h"

extern const struct er_transport er_transport_mux, er_transport_fast, er_transport_process;

/* Runs a line in the login shell there. */
int er_ssh_open(const struct er_connect *connect, const char *command, struct er_link *ret, struct er_err *err);
/* Connects to the listener that `fast` knows. False: it cannot be reached. */
bool er_ssh_open_fast(const struct er_connect *connect, const struct er_fast *fast, struct er_link *ret);

#endif

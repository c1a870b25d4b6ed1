/* local.h - this machine as a host: the agent as a child of ours. Private to src/host. */
#ifndef ER_HOST_CONNECT_LOCAL_H
#define ER_HOST_CONNECT_LOCAL_H

#include "host/connect/connect.h"
#include "host/connect/link.h"

extern const struct er_transport er_transport_local;

/* Starts `errand-agent serve`, installing the agent first if it is missing. */
int er_local_open_agent(const struct er_connect *connect, struct er_link *ret, struct er_err *err);

#endif

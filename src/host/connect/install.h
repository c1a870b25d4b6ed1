/* install.h - putting errand-agent on a host over ssh. Private to src/host. */
#ifndef ER_HOST_CONNECT_INSTALL_H
#define ER_HOST_CONNECT_INSTALL_H

#include "host/connect/connect.h"

/* ER_REMOTE, with a hint, if it cannot be installed there. */
int er_install(const struct er_connect *connect, struct er_err *err);

#endif

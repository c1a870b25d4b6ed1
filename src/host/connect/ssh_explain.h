/* ssh_explain.h - what ssh's complaints mean. Private to src/host. */
#ifndef ER_HOST_CONNECT_SSH_EXPLAIN_H
#define ER_HOST_CONNECT_SSH_EXPLAIN_H

#include "base/err.h"
#include "host/host.h"

/* What ssh's words on stderr mean; status is its exit status or -1. True: the refusal is temporary (MaxStartups);
   trying again soon may help. */
bool er_ssh_explain(const struct er_host *host, bool interactive, const char *said, int status, struct er_err *err);

#endif

/* ssh_explain.h - what ssh's complaints mean. Private to src/host. */
#ifndef ER_HOST_CONNECT_SSH_EXPLAIN_H
#define ER_HOST_CONNECT_SSH_EXPLAIN_H

#include "base/err.h"
#include "host/host.h"

/* What ssh's words on stderr mean; status is its exit status or -1. True: the refusal is temporary (MaxStartups);
   trying again soon may help. */
bool er_ssh_explain(const struct er_host *host, bool interactive, const char *said, int status, struct er_err *err);

/* What leads to a host before ssh talks to it. */
enum er_ssh_way {
        ER_WAY_STRAIGHT,
        ER_WAY_JUMP,    /* another ssh: a jump host */
        ER_WAY_COMMAND, /* some other program, as ProxyCommand */
};
/* By the output of `ssh -G`. */
enum er_ssh_way er_ssh_way(const char *config);
/* er_ssh_explain for words in which those of the way are: what a proxy says for itself is quoted, and final. */
bool er_ssh_explain_way(const struct er_host *host, enum er_ssh_way way, bool interactive, const char *said, int status,
                        struct er_err *err);

#endif

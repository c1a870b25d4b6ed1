/*
 * host.h - the address of a machine errand can run a job on. Plain data; nothing here connects.
 */
#ifndef ER_HOST_HOST_H
#define ER_HOST_HOST_H

#include "base/err.h"
#include "base/str.h"

enum er_host_kind { ER_HOST_LOCAL, ER_HOST_SSH };

struct er_host {
        enum er_host_kind kind;
        char *name;     /* (owned) as the user calls it: "local", "gpu-box", "me@10.0.0.1:2222" */
        char *target;   /* (owned) ssh's destination: [user@]host or an alias of ~/.ssh/config; NULL for local */
        int port;       /* 0: ssh's configuration decides */
        char *identity; /* (owned) or NULL */
        char *jump;     /* (owned) or NULL: ssh -J */
        char *root;     /* (owned) or NULL: where errand keeps its files there instead of ~/.errand */
};
#define ER_HOST_INIT {0}

void er_host_release(struct er_host *host);
void er_host_copy(const struct er_host *from, struct er_host *ret);
/* Parses "local", or [user@]host[:port], [user@][v6]:port. Refuses names that begin with '-', or hold control
   characters or spaces (ER_USAGE). */
int er_host_parse(const char *text, struct er_host *ret, struct er_err *err);
/* The aliases in ~/.ssh/config and in what it includes, without patterns. */
void er_host_aliases(struct er_strv *ret);

#endif

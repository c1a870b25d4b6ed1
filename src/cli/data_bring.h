/*
 * data_bring.h - one thing brought to one host, by whichever way there is: downloaded there, downloaded here and sent,
 * sent, or fetched from another host. Blocking; many at once from threads.
 */
#ifndef ER_CLI_DATA_BRING_H
#define ER_CLI_DATA_BRING_H

#include "cli/data_source.h"
#include "host/data.h"
#include "host/files.h"

struct er_data_task {
        const struct er_data_source *source; /* (borrowed), as all below */
        const struct er_host *host;          /* to there */
        const struct er_host *from;          /* of ER_DATA_THERE */
        const struct er_host *local;         /* this machine as a host */
        const char *project;
        bool unpack;
        /* Called from the thread that does the work. size is 0 if not known; what is "sending", ... or NULL. */
        void (*progress)(void *arg, uint64_t bytes, uint64_t size, const char *what);
        void (*say)(void *arg, const char *text); /* a message for the user */
        void *arg;
        /* the result */
        struct er_data_result result;
        struct er_err err; /* (owned) code is ER_OK if it worked */
};
void er_data_bring(struct er_data_task *task);

#endif

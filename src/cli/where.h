/*
 * where.h - what HOST|JOB means on a command line: a host, or a job and the host it is on now.
 */
#ifndef ER_CLI_WHERE_H
#define ER_CLI_WHERE_H

#include "cli/target.h"

struct er_where {
        bool is_job;
        struct er_job job;   /* set with is_job */
        struct er_host host; /* of a job: where it is now; kind is LOCAL and name NULL while it is on none */
};
#define ER_WHERE_INIT {0}
void er_where_release(struct er_where *where);
/* A host that was added here comes first, then a job, then any other host. ER_USAGE for a run of several jobs. */
int er_where_find(const struct er_cli *cli, const char *name, struct er_where *ret, struct er_err *err);
/* Reads the job again, and where it is now. */
int er_where_reload(const struct er_cli *cli, struct er_where *where, struct er_err *err);

#endif

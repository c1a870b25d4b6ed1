/*
 * follow.h - carries a run in the foreground while the user looks on: its log, the status line, Ctrl-C, its end.
 */
#ifndef ER_CLI_FOLLOW_H
#define ER_CLI_FOLLOW_H

#include "cli/live.h"
#include "cli/target.h"
#include "host/snapshot/snapshot.h"
#include "maestro/request.h"

struct er_follow {
        const struct er_run *run;           /* (borrowed) in the store already */
        const struct er_snapshot *snapshot; /* (borrowed) or NULL */
        bool detach;                        /* return once the job is on its host */
        bool silent;                        /* with detach: the caller itself says that the job has started */
};
/* Returns the exit status of the command, or -1. */
int er_follow_run(const struct er_cli *cli, const struct er_follow *follow, struct er_err *err);

/* Stores the request as a run, to be followed. Puts the secrets of its packages into our environment. */
int er_follow_store(const struct er_cli *cli, struct er_request *request, const struct er_snapshot *snapshot,
                    struct er_run *ret, struct er_err *err);

#endif

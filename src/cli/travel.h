/*
 * travel.h - what a run would take along: the snapshot, the question before a very large one, and --dry-run.
 */
#ifndef ER_CLI_TRAVEL_H
#define ER_CLI_TRAVEL_H

#include "cli/command.h"
#include "host/snapshot/snapshot.h"
#include "maestro/request.h"

/* Takes the snapshot, with a status line while it reads files. ask: when there are more than 1 GB or 100,000 files,
   says which directories are the large ones and asks; ER_CANCELLED when the answer is no, ER_CONFIG where nobody can be
   asked. */
int er_travel_take(const struct er_cli *cli, const char *dir, const char *project, bool ask, struct er_snapshot **ret,
                   struct er_err *err);
/* What would be done, to stdout. snapshot may be NULL: no files travel. */
int er_travel_show(const struct er_cli *cli, const struct er_request *request, const struct er_snapshot *snapshot,
                   struct er_err *err);

#endif

/*
 * dry_run.h - what errand run --dry-run prints: the job as it would be, and the files that would be sent.
 */
#ifndef ER_CLI_DRY_RUN_H
#define ER_CLI_DRY_RUN_H

#include "cli/command.h"
#include "host/snapshot/snapshot.h"
#include "maestro/request.h"

/* Prints to stdout. snapshot: NULL if no files are sent. */
int er_dry_run_show(const struct er_cli *cli, const struct er_request *request, const struct er_snapshot *snapshot,
                    struct er_err *err);

#endif

/*
 * snapshot_view.h - a snapshot taken while the user looks on: a status line, the question before a large one, its size
 * in words.
 */
#ifndef ER_CLI_SNAPSHOT_VIEW_H
#define ER_CLI_SNAPSHOT_VIEW_H

#include "cli/command.h"
#include "host/snapshot/snapshot.h"

/* Takes the snapshot. ask: if it has more than 1 GB or 100,000 files, shows the largest directories and asks first;
   ER_CANCELLED if the answer is no, ER_CONFIG if nobody can be asked. */
int er_snapshot_view_take(const struct er_cli *cli, const char *dir, const char *project, bool ask,
                          struct er_snapshot **ret, struct er_err *err);
/* The same only to be shown: no file is read, so its hash means nothing. */
int er_snapshot_view_sizes(const struct er_cli *cli, const char *dir, const char *project, struct er_snapshot **ret,
                           struct er_err *err);
/* "123 KB in 5 files" */
void er_snapshot_view_size(struct er_str *out, uint64_t files, uint64_t bytes);
/* The largest directories, one per line, after `indent`. */
void er_snapshot_view_largest(struct er_str *out, const struct er_snapshot *snapshot, const char *indent);

#endif

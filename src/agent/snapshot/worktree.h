/*
 * worktree.h - the directory an attempt works in: real files of its own, written from the packs of a snapshot.
 *
 * A spare is such a directory made in advance, snapshots/<project>/spare/<hex of its tree>.<boot>. Taking it is a
 * rename; if its tree is a different one, only the difference is applied. At most one spare is kept per project.
 */
#ifndef ER_AGENT_SNAPSHOT_WORKTREE_H
#define ER_AGENT_SNAPSHOT_WORKTREE_H

#include "agent/snapshot/snapshots.h"

/* Makes `name` below the directory `at`, with the tree's files. On failure nothing is left of it. ER_IO: disk full,
   with a hint. go_on (may be NULL) is called now and then; ER_CANCELLED when it returns false. */
int er_worktree_make(int root, const char *project, const unsigned char hash[ER_TREE_HASH], int at, const char *name,
                     bool (*go_on)(void *arg), void *arg, struct er_err *err);
/* Is the tree large enough for a spare to be worthwhile? Cheap. */
bool er_spare_is_wanted(int root, const char *project, const unsigned char hash[ER_TREE_HASH]);
/* Makes the spare for the project's next run. It lowers this process to idle priority for good: call it last, when the
   record is written and everything is given back. Does nothing when there is a spare or somebody is making one. */
void er_spare_make(int root, const char *project, const unsigned char hash[ER_TREE_HASH]);

#endif

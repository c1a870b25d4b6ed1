/*
 * worktree.h - the directory an attempt works in: real files of its own, written from the packs of a snapshot.
 *
 * A spare is such a directory made ahead, snapshots/<project>/spare/<hex of its tree>.<boot>. Taking it is a rename;
 * when its tree is another one, only the difference is applied. At most one spare per project is kept.
 */
#ifndef ER_AGENT_SNAPSHOT_WORKTREE_H
#define ER_AGENT_SNAPSHOT_WORKTREE_H

#include "agent/snapshot/snapshots.h"

/* Makes `name` below the directory `at` with the tree's files. On failure nothing is left of it. ER_IO: disk full, with
   a hint. go_on (may be NULL) is asked now and then; when it says no: ER_CANCELLED. */
int er_worktree_make(int root, const char *project, const unsigned char hash[ER_TREE_HASH], int at, const char *name,
                     bool (*go_on)(void *arg), void *arg, struct er_err *err);
/* Is the tree large enough that a spare is worth it? Cheap. */
bool er_spare_is_wanted(int root, const char *project, const unsigned char hash[ER_TREE_HASH]);
/* Makes the spare for the next run of the project, at idle priority of this process (which is changed for good: call it
   last, after the record is written and everything is given back). Nothing is done when there is one or somebody makes
   one. */
void er_spare_make(int root, const char *project, const unsigned char hash[ER_TREE_HASH]);

#endif

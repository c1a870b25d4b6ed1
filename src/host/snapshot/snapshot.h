/*
 * snapshot.h - the project's files as they are now: which of them travel, their hashes (with a cache of stat data, like
 * git's index, so that unchanged files are not read), and sending them to a host.
 *
 * Which travel: in a git repository, what git tracks or does not ignore; elsewhere everything but the usual caches
 * (.git, .hg, .svn, __pycache__, .venv and every directory with a pyvenv.cfg, node_modules, .mypy_cache, .pytest_cache,
 * .ruff_cache, .ipynb_checkpoints, .tox, .nox, .direnv, .DS_Store). Never: results/ of the project, errand's own
 * directories. .errandignore (gitignore syntax, applied by git) excludes more; one in a nested repository applies only
 * there. What git ignores travels where a "!" pattern in .errandignore or `files: {include: ...}` of errand.yaml
 * matches it (include.c). Empty directories, symlinks and exec bits travel; sockets, pipes and devices do not.
 */
#ifndef ER_HOST_SNAPSHOT_SNAPSHOT_H
#define ER_HOST_SNAPSHOT_SNAPSHOT_H

#include "host/files.h"
#include "host/connect/session.h"
#include "proto/tree.h"

struct er_snapshot; /* immutable once made; file contents are read again from the project when they are sent */

struct er_snapshot_opts {
        const char *dir;     /* project root */
        const char *project; /* its name, for the cache and the host's directory */
        struct er_cancel *cancel;
        bool sizes_only; /* only to be looked at: no file is read, and the snapshot has no hash */
        void (*progress)(void *arg, uint64_t files, uint64_t bytes); /* hashing; may be NULL; on the caller's thread */
        /* Called before any file is read: sizes are known, hashes are not. -1 with err set: do not take it. May be
           NULL. */
        int (*ask)(void *arg, const struct er_snapshot *snapshot, struct er_err *err);
        void *arg;
};
/* A file that changes while it is read is read again. ER_NOT_FOUND/AUTH/... name the file. */
int er_snapshot_take(const struct er_snapshot_opts *opts, struct er_snapshot **ret, struct er_err *err);
void er_snapshot_free(struct er_snapshot *snapshot);
ER_DEFINE_AUTOPTR(er_snapshot)

const unsigned char *er_snapshot_hash(const struct er_snapshot *snapshot); /* ER_TREE_HASH bytes */
uint64_t er_snapshot_files(const struct er_snapshot *snapshot);
uint64_t er_snapshot_bytes(const struct er_snapshot *snapshot);
/* for (size_t i = 0; er_snapshot_entry(s, i, &e); i++) in order of path */
bool er_snapshot_entry(const struct er_snapshot *snapshot, size_t index, struct er_tree_entry *ret);
/* The largest directories (one or two levels deep), largest first: for "more than 1 GB". */
struct er_dir_size {
        char *path;
        uint64_t files, bytes;
};
size_t er_snapshot_largest(const struct er_snapshot *snapshot, struct er_dir_size *ret, size_t max);

/*
 * Sends the snapshot to the host if it is not there. `dir` is where the files are read from. A file whose content is no
 * longer what was hashed is ER_STATE with provider_code "changed": take a new snapshot. Resumes after a broken
 * connection: what has arrived is not sent again.
 */
int er_snapshot_send(struct er_session *session, const struct er_snapshot *snapshot, const char *dir,
                     const char *project, struct er_transfer *transfer, struct er_err *err);

#endif

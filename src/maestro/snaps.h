/*
 * snaps.h - the snapshots of one carry, so that jobs of one project share them and none is taken twice.
 */
#ifndef ER_MAESTRO_SNAPS_H
#define ER_MAESTRO_SNAPS_H

#include <pthread.h>
#include "host/snapshot/snapshot.h"

struct er_carried;

struct er_snaps {
        pthread_mutex_t lock;
        const struct er_snapshot *given; /* (borrowed) from our caller, or NULL */
        bool given_stale;                /* it is no longer what the files are */
        struct er_snap *list;            /* taken here */
};

/* The one that the job's spec names; if it names none, any that is fresh. NULL: it must be taken. */
const struct er_snapshot *er_snaps_find(const struct er_snaps *snaps, const struct er_carried *j);
/* Takes the snapshot and keeps it. opts->dir is the project's. */
int er_snaps_take(struct er_snaps *snaps, const struct er_snapshot_opts *opts, const struct er_snapshot **ret,
                  struct er_err *err);
/* The files have changed since. */
void er_snaps_stale(struct er_snaps *snaps, const struct er_snapshot *snapshot);
void er_snaps_release(struct er_snaps *snaps);

#endif

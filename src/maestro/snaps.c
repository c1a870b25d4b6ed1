/* snaps.c - see snaps.h */
#include "maestro/snaps.h"

#include "maestro/carried.h"

struct er_snap {
        char *project_dir;
        struct er_snapshot *snapshot;
        bool stale;
        struct er_snap *next;
};

static bool is_named(const struct er_snapshot *snapshot, const struct er_spec *spec)
{
        return !spec->has_tree || memcmp(er_snapshot_hash(snapshot), spec->tree, ER_TREE_HASH) == 0;
}

const struct er_snapshot *er_snaps_find(const struct er_snaps *snaps, const struct er_carried *j)
{
        if (snaps->given && !snaps->given_stale && is_named(snaps->given, &j->spec))
                return snaps->given;
        for (const struct er_snap *snap = snaps->list; snap; snap = snap->next)
                if (!snap->stale && er_streq(snap->project_dir, j->row.project_dir) &&
                    is_named(snap->snapshot, &j->spec))
                        return snap->snapshot;
        return NULL;
}

int er_snaps_take(struct er_snaps *snaps, const struct er_snapshot_opts *opts, const struct er_snapshot **ret,
                  struct er_err *err)
{
        struct er_snapshot *snapshot = NULL;
        struct er_snap *snap;

        if (er_snapshot_take(opts, &snapshot, err) < 0)
                return -1;
        snap = er_new(struct er_snap);
        snap->project_dir = er_strdup(opts->dir);
        snap->snapshot = snapshot;
        snap->next = snaps->list;
        snaps->list = snap;
        *ret = snapshot;
        return 0;
}

void er_snaps_stale(struct er_snaps *snaps, const struct er_snapshot *snapshot)
{
        if (snapshot == snaps->given)
                snaps->given_stale = true;
        for (struct er_snap *snap = snaps->list; snap; snap = snap->next)
                if (snap->snapshot == snapshot)
                        snap->stale = true;
}

void er_snaps_release(struct er_snaps *snaps)
{
        while (snaps->list) {
                struct er_snap *snap = snaps->list;

                snaps->list = snap->next;
                er_snapshot_free(snap->snapshot);
                free(snap->project_dir);
                free(snap);
        }
}

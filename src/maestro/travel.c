/* The files of a job: its snapshot on the way there, its outputs on the way back. */
#include "maestro/carry.h"
#include "maestro/secrets.h"

#include <errno.h>
#include "base/crash.h"

#define TAKES_MAX 5    /* files that never stop changing while they are sent */
#define SILENCES_MAX 5 /* uploads the host gave up without a byte of them, one after the other */

struct progress {
        struct er_carry *m;
        struct er_carried *job;
        const char *what;
        struct er_environment_request *setup; /* or NULL */
};

static void on_progress(void *arg, const struct er_transfer *transfer)
{
        struct progress *p = arg;
        if (p->setup && er_environment_hear(p->setup))
                er_tell_note(p->m, p->job, "environment: %s", p->setup->progress);
        er_tell_transfer(p->m, p->job, p->what, transfer);
}

static void on_hashing(void *arg, uint64_t files, uint64_t bytes)
{
        struct progress *p = arg;
        (void)bytes;
        er_tell_note(p->m, p->job, "reading %llu files", (unsigned long long)files);
}

static int refuse(struct er_work *work, enum er_reason reason)
{
        work->outcome = ER_OUT_REFUSED;
        work->reason = reason;
        return -1;
}

static int take(struct er_carry *m, struct er_work *work, struct er_conn *conn, const struct er_snapshot **ret,
                struct er_err *err)
{
        struct er_carried *j = work->job;
        struct progress progress = {m, j, "reading", NULL};
        struct er_snapshot_opts opts = {
                .dir = j->row.project_dir,
                .project = j->spec.project ? j->spec.project : j->row.project,
                .cancel = &conn->cancel,
                .progress = on_hashing,
                .arg = &progress,
        };
        struct er_snapshot *snapshot = NULL;
        if (er_snapshot_take(&opts, &snapshot, err) < 0)
                return -1;
        struct er_snap *snap = er_new(struct er_snap);
        snap->project_dir = er_strdup(j->row.project_dir);
        snap->snapshot = snapshot;
        snap->next = m->snaps;
        m->snaps = snap;
        *ret = snapshot;
        return 0;
}

/* The snapshot of the job's project: the one the spec names when it names one, else any that is fresh. Jobs of one
   carry share it. Under snap_lock, so that it is taken once. */
static const struct er_snapshot *have(struct er_carry *m, const struct er_carried *j)
{
        const struct er_spec *spec = &j->spec;
        const struct er_snapshot *given = m->opts->snapshot;
        if (given && !m->snapshot_stale &&
            (!spec->has_tree || memcmp(er_snapshot_hash(given), spec->tree, ER_TREE_HASH) == 0))
                return given;
        for (const struct er_snap *snap = m->snaps; snap; snap = snap->next)
                if (!snap->stale && er_streq(snap->project_dir, j->row.project_dir) &&
                    (!spec->has_tree || memcmp(er_snapshot_hash(snap->snapshot), spec->tree, ER_TREE_HASH) == 0))
                        return snap->snapshot;
        return NULL;
}

/* Writes the snapshot's name into the spec, here and in the store. */
static int set_tree(struct er_carry *m, struct er_work *work, const struct er_snapshot *snapshot, struct er_err *err)
{
        struct er_carried *j = work->job;
        pthread_mutex_lock(&m->lock);
        memcpy(j->spec.tree, er_snapshot_hash(snapshot), ER_TREE_HASH);
        j->spec.has_tree = true;
        er_auto(er_str) encoded = ER_STR_INIT;
        er_spec_encode(&j->spec, &encoded);
        int rc = er_store_set_tree(m->opts->store, j->row.id, er_svn(encoded.buf, encoded.len), err);
        pthread_mutex_unlock(&m->lock);
        er_crashpoint("tree stored");
        if (rc < 0)
                work->outcome = ER_OUT_FATAL;
        return rc;
}

int er_travel_tree(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_err *err)
{
        struct er_carried *j = work->job;
        if (!j->spec.sync || j->spec.has_tree)
                return 0;
        pthread_mutex_lock(&m->snap_lock);
        const struct er_snapshot *snapshot = have(m, j);
        int rc = snapshot ? 0 : take(m, work, conn, &snapshot, err);
        pthread_mutex_unlock(&m->snap_lock);
        if (rc < 0 || !snapshot)
                return refuse(work, ER_REASON_FILES);
        return set_tree(m, work, snapshot, err);
}

static void make_stale(struct er_carry *m, const struct er_snapshot *snapshot)
{
        if (snapshot == m->opts->snapshot)
                m->snapshot_stale = true;
        for (struct er_snap *snap = m->snaps; snap; snap = snap->next)
                if (snap->snapshot == snapshot)
                        snap->stale = true;
}

/* True while nobody can have seen the job with the snapshot it names: then a newer one may take its place. */
static bool may_change_tree(struct er_carry *m, const struct er_carried *j)
{
        pthread_mutex_lock(&m->lock);
        bool may = j->at.number <= 1 && !j->at.submitted;
        pthread_mutex_unlock(&m->lock);
        return may;
}

static int files_changed(struct er_work *work, const struct er_conn *conn, struct er_err *err)
{
        er_err_set(err, ER_STATE,
                   "the project's files have changed since %s was made, and %s does not have them as they were",
                   work->job->row.run, conn->host);
        er_err_hint(err, "run it again to use the files as they are now");
        return refuse(work, ER_REASON_FILES);
}

/* The snapshot to send; *ret_ours: it was taken in this process for this job, so it may be taken again. */
static int snapshot_to_send(struct er_carry *m, struct er_work *work, struct er_conn *conn, bool changed,
                            const struct er_snapshot **ret, struct er_err *err)
{
        struct er_carried *j = work->job;
        pthread_mutex_lock(&m->snap_lock);
        const struct er_snapshot *snapshot = have(m, j);
        int rc = 0;
        bool same = true;
        if (!snapshot) {
                rc = take(m, work, conn, &snapshot, err);
                same = rc == 0 && memcmp(er_snapshot_hash(snapshot), j->spec.tree, ER_TREE_HASH) == 0;
        }
        pthread_mutex_unlock(&m->snap_lock);
        if (rc < 0 || !snapshot)
                return refuse(work, ER_REASON_FILES);
        if (!same) {
                /* Only when the change came while this process was sending: a job that was left to the background must
                   not get other files than those its user submitted. */
                if (!changed || !may_change_tree(m, j))
                        return files_changed(work, conn, err);
                if (set_tree(m, work, snapshot, err) < 0)
                        return -1;
        }
        *ret = snapshot;
        return 0;
}

static bool is_connection(const struct er_err *err)
{
        return err->code == ER_TRANSPORT || err->code == ER_TIMEOUT || err->code == ER_NET ||
               err->code == ER_CANCELLED || (err->retryable && !er_streq(err->provider_code, "changed"));
}

/* The connection is whole, but nothing went over it for long: this machine slept, or had a large file to look through
   that was written the moment its snapshot was taken. A new snapshot is sure of that file; what the host has of the
   others it keeps. */
static bool fell_silent(const struct er_err *err)
{
        return err->code == ER_TRANSPORT && er_streq(err->provider_code, "silent");
}

int er_travel_send(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_environment_request *setup,
                   struct er_err *err)
{
        struct er_carried *j = work->job;
        struct progress progress = {m, j, "uploading", setup};
        int takes = 0, silences = 0;
        uint64_t wanted = UINT64_MAX;
        for (;;) {
                const struct er_snapshot *snapshot = NULL;
                if (snapshot_to_send(m, work, conn, takes + silences > 0, &snapshot, err) < 0)
                        return -1;
                struct er_transfer transfer = {.progress = m->opts->ui.transfer ? on_progress : NULL, .arg = &progress};
                er_crashpoint("upload");
                if (er_snapshot_send(conn->session, snapshot, j->row.project_dir,
                                     j->spec.project ? j->spec.project : j->row.project, &transfer, err) == 0) {
                        er_crashpoint("uploaded");
                        return 0;
                }
                bool changed = err->code == ER_STATE && er_streq(err->provider_code, "changed"),
                     silent = fell_silent(err);
                if (transfer.total_bytes < wanted)
                        silences = 0;
                wanted = transfer.total_bytes; /* what is sent after the host gave up does not arrive */
                if ((changed && takes++ < TAKES_MAX) || (silent && silences++ < SILENCES_MAX)) {
                        pthread_mutex_lock(&m->snap_lock);
                        make_stale(m, snapshot);
                        pthread_mutex_unlock(&m->snap_lock);
                        er_err_clear(err);
                        continue;
                }
                if (changed)
                        er_err_hint(err,
                                    "it never stops changing; name it in .errandignore if the job does without it");
                if (silent)
                        er_err_hint(err, "a large file that was written just now, or whose time lies in the future, is "
                                         "read again first: `touch` it, or wait a moment");
                /* What the connection did wrong is judged by the caller; the rest is about files. */
                work->outcome = ER_OUT_BROKEN;
                return is_connection(err) && !silent ? -1 : refuse(work, ER_REASON_FILES);
        }
}

/* The recipe as it was stored with the job. */
static int find_recipe(struct er_carry *m, const struct er_carried *j, struct er_recipe *ret, struct er_err *err)
{
        er_auto(er_str) bytes = ER_STR_INIT;
        pthread_mutex_lock(&m->lock);
        int rc = er_store_environment(m->opts->store, er_svn((const char *)j->spec.environment, ER_ENV_HASH), &bytes,
                                      err);
        pthread_mutex_unlock(&m->lock);
        if (rc < 0 || er_recipe_decode(er_svn(bytes.buf, bytes.len), ret, err) < 0)
                return -1;
        er_secrets_find(&ret->secrets, m->opts->secrets, &ret->values);
        return 0;
}

static void on_fetching(void *arg, const char *text)
{
        struct progress *p = arg;
        er_tell_note(p->m, p->job, "environment: %s", text);
}

int er_travel_setup(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_environment_request *ret,
                    struct er_err *err)
{
        struct er_carried *j = work->job;
        struct progress progress = {m, j, "sending packages", NULL};
        struct er_transfer transfer = {.progress = m->opts->ui.transfer ? on_progress : NULL, .arg = &progress};
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        if (find_recipe(m, j, &recipe, err) < 0)
                return refuse(work, ER_REASON_ENVIRONMENT);
        er_tell_note(m, j, "setting up the environment");
        er_crashpoint("environment");
        const struct er_environment_ways ways = {
                .transfer = &transfer, .cancel = &conn->cancel, .progress = on_fetching, .arg = &progress};
        if (er_environment_begin(conn->session, &recipe, &ways, ret, err) < 0) {
                work->outcome = ER_OUT_BROKEN;
                if (is_connection(err))
                        return -1;
                return refuse(work, er_streq(err->provider_code, "secret") ? ER_REASON_SECRET : ER_REASON_ENVIRONMENT);
        }
        er_crashpoint("environment asked for");
        return 0;
}

/* A name that is not there: the job has failed for that already, or did not care. An error of a file has its errno. */
static bool is_missing(const struct er_err *err)
{
        return err->code == ER_NOT_FOUND && err->sys_errno == 0 && !er_streq(err->provider_code, "attempt");
}

/* One at a time: a name that is not there must not hide what is wrong with another. What has come does not come again.
 */
static int pull_each(struct er_conn *conn, const struct er_pull *all, struct er_transfer *transfer, struct er_err *err)
{
        for (size_t i = 0; i < all->patterns->len; i++) {
                er_auto(er_strv) one = ER_STRV_INIT;
                er_auto(er_err) why = ER_ERR_INIT;
                struct er_pull pull = *all;
                er_strv_add(&one, all->patterns->items[i]);
                pull.patterns = &one;
                if (er_pull(conn->session, &pull, transfer, &why) < 0 && !is_missing(&why))
                        return er_err_move(err, &why);
        }
        return 0;
}

int er_travel_fetch(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_err *err)
{
        struct er_carried *j = work->job;
        er_autofree char *dir = er_job_results_dir(&j->row);
        struct progress progress = {m, j, "fetching", NULL};
        struct er_transfer transfer = {.progress = m->opts->ui.transfer ? on_progress : NULL, .arg = &progress};
        const struct er_pull pull = {.key = j->key,
                                     .attempt = j->at.number,
                                     .patterns = &j->spec.outputs,
                                     .to = dir,
                                     .within = j->row.project_dir};
        er_crashpoint("fetch");
        int rc = er_pull(conn->session, &pull, &transfer, err);
        if (rc < 0 && is_missing(err)) {
                er_err_clear(err);
                rc = pull_each(conn, &pull, &transfer, err);
        }
        er_crashpoint("fetched");
        if (rc == 0)
                er_tell_fetched(m, j, dir, &transfer);
        return rc;
}

void er_travel_release(struct er_carry *m)
{
        while (m->snaps) {
                struct er_snap *snap = m->snaps;
                m->snaps = snap->next;
                er_snapshot_free(snap->snapshot);
                free(snap->project_dir);
                free(snap);
        }
}

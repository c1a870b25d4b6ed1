/* delivery.c - see delivery.h */
#include "maestro/delivery.h"

#include <errno.h>
#include "base/crash.h"
#include "host/attempt.h"
#include "host/files.h"
#include "maestro/carried.h"
#include "maestro/carry.h"
#include "maestro/secrets.h"

#define TAKES_MAX 5    /* for files that keep changing while they are sent */
#define SILENCES_MAX 5 /* uploads in a row that the host gave up without having received a byte */

struct progress {
        struct er_carry *m;
        struct er_carried *job;
        const char *what;
        struct er_environment_request *build; /* or NULL */
};

static void on_progress(void *arg, const struct er_transfer *transfer)
{
        struct progress *p = arg;

        if (p->build && er_environment_hear(p->build))
                er_tell_note(&p->m->teller, p->job, "environment: %s", p->build->progress);
        er_tell_transfer(&p->m->teller, p->job, p->what, transfer);
}

static void on_hashing(void *arg, uint64_t files, uint64_t bytes)
{
        struct progress *p = arg;

        (void)bytes;
        er_tell_note(&p->m->teller, p->job, "reading %llu files", (unsigned long long)files);
}

static struct er_transfer transfer_for(struct progress *progress)
{
        bool told = progress->m->opts->ui.transfer != NULL;

        return (struct er_transfer){.progress = told ? on_progress : NULL, .arg = progress};
}

static int refuse(struct er_work *work, enum er_reason reason)
{
        work->outcome = ER_OUT_REFUSED;
        work->reason = reason;
        return -1;
}

/* The snapshot of the job's project: shared with the carry's other jobs, or taken now. *ret_new: taken now. */
static int have_snapshot(struct er_carry *m, struct er_carried *j, struct er_conn *conn, const struct er_snapshot **ret,
                         bool *ret_new, struct er_err *err)
{
        struct progress progress = {m, j, "reading", NULL};
        const struct er_snapshot_opts opts = {
                .dir = j->row.project_dir,
                .project = j->spec.project ? j->spec.project : j->row.project,
                .cancel = &conn->cancel,
                .progress = on_hashing,
                .arg = &progress,
        };
        const struct er_snapshot *snapshot;
        int rc = 0;

        pthread_mutex_lock(&m->snaps.lock); /* all the time, so that it is taken once */
        snapshot = er_snaps_find(&m->snaps, j);
        *ret_new = !snapshot;
        if (!snapshot)
                rc = er_snaps_take(&m->snaps, &opts, &snapshot, err);
        pthread_mutex_unlock(&m->snaps.lock);
        if (rc == 0)
                *ret = snapshot;
        return rc;
}

/* Writes the snapshot's hash into the spec, here and in the store. */
static int set_tree(struct er_carry *m, struct er_work *work, const struct er_snapshot *snapshot, struct er_err *err)
{
        struct er_carried *j = work->job;
        er_auto(er_str) encoded = ER_STR_INIT;
        int rc;

        pthread_mutex_lock(&m->lock);
        memcpy(j->spec.tree, er_snapshot_hash(snapshot), ER_TREE_HASH);
        j->spec.has_tree = true;
        er_spec_encode(&j->spec, &encoded);
        rc = er_store_set_tree(m->opts->store, j->row.id, er_svn(encoded.buf, encoded.len), err);
        pthread_mutex_unlock(&m->lock);
        er_crashpoint("tree stored");
        if (rc < 0)
                work->outcome = ER_OUT_FATAL;
        return rc;
}

int er_delivery_name_tree(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_err *err)
{
        const struct er_snapshot *snapshot = NULL;
        bool taken;

        if (!work->job->spec.sync || work->job->spec.has_tree)
                return 0;
        if (have_snapshot(m, work->job, conn, &snapshot, &taken, err) < 0)
                return refuse(work, ER_REASON_FILES);
        return set_tree(m, work, snapshot, err);
}

/* As long as nobody can have seen the job with the snapshot that it names, a newer one may take its place. */
static bool may_change_tree(struct er_carry *m, const struct er_carried *j)
{
        bool may;

        pthread_mutex_lock(&m->lock);
        may = j->at.number <= 1 && !j->at.submitted;
        pthread_mutex_unlock(&m->lock);
        return may;
}

static int files_changed(struct er_work *work, const struct er_conn *conn, struct er_err *err)
{
        er_err_set(err, ER_STATE,
                   "the project's files have changed since %s was submitted, and %s does not have the old ones",
                   work->job->row.run, conn->host);
        er_err_hint(err, "run it again to use the files as they are now");
        return refuse(work, ER_REASON_FILES);
}

/* The snapshot to send. `changed`: files changed while this process was sending them. */
static int snapshot_to_send(struct er_carry *m, struct er_work *work, struct er_conn *conn, bool changed,
                            const struct er_snapshot **ret, struct er_err *err)
{
        struct er_carried *j = work->job;
        const struct er_snapshot *snapshot = NULL;
        bool taken;

        if (have_snapshot(m, j, conn, &snapshot, &taken, err) < 0)
                return refuse(work, ER_REASON_FILES);
        if (taken && memcmp(er_snapshot_hash(snapshot), j->spec.tree, ER_TREE_HASH) != 0) {
                /* A job that was left to the background must not get other files than its user submitted. */
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

/* The connection is whole, but nothing went over it for a long time: this machine slept, or had to read a large file
   again that had been written just before its snapshot. A new snapshot is sure of that file; of the others, the host
   keeps what it has. */
static bool fell_silent(const struct er_err *err)
{
        return err->code == ER_TRANSPORT && er_streq(err->provider_code, "silent");
}

int er_delivery_send_tree(struct er_carry *m, struct er_work *work, struct er_conn *conn,
                          struct er_environment_request *build, struct er_err *err)
{
        struct er_carried *j = work->job;
        struct progress progress = {m, j, "uploading", build};
        const char *project = j->spec.project ? j->spec.project : j->row.project;
        int takes = 0, silences = 0;
        uint64_t wanted = UINT64_MAX;

        for (;;) {
                const struct er_snapshot *snapshot = NULL;
                struct er_transfer transfer = transfer_for(&progress);
                bool changed, silent;

                if (snapshot_to_send(m, work, conn, takes + silences > 0, &snapshot, err) < 0)
                        return -1;
                er_crashpoint("upload");
                if (er_snapshot_send(conn->session, snapshot, j->row.project_dir, project, &transfer, err) == 0) {
                        er_crashpoint("uploaded");
                        return 0;
                }
                changed = err->code == ER_STATE && er_streq(err->provider_code, "changed");
                silent = fell_silent(err);
                if (transfer.total_bytes < wanted)
                        silences = 0;
                wanted = transfer.total_bytes; /* what is sent after the host has given up does not arrive */
                if ((changed && takes++ < TAKES_MAX) || (silent && silences++ < SILENCES_MAX)) {
                        pthread_mutex_lock(&m->snaps.lock);
                        er_snaps_stale(&m->snaps, snapshot);
                        pthread_mutex_unlock(&m->snaps.lock);
                        er_err_clear(err);
                        continue;
                }
                if (changed)
                        er_err_hint(err, "it keeps changing; if the job does not need it, list it in .errandignore");
                if (silent)
                        er_err_hint(err, "a large file that was written just now, or is dated in the future, is read "
                                         "again first: `touch` it, or wait a moment");
                /* The caller judges what the connection did wrong; the rest is about files. */
                work->outcome = ER_OUT_BROKEN;
                return is_connection(err) && !silent ? -1 : refuse(work, ER_REASON_FILES);
        }
}

/* The recipe that was stored with the job. */
static int find_recipe(struct er_carry *m, const struct er_carried *j, struct er_recipe *ret, struct er_err *err)
{
        er_auto(er_str) bytes = ER_STR_INIT;
        struct er_sv hash = er_svn((const char *)j->spec.environment, ER_ENV_HASH);
        int rc;

        pthread_mutex_lock(&m->lock);
        rc = er_store_environment(m->opts->store, hash, &bytes, err);
        pthread_mutex_unlock(&m->lock);
        if (rc < 0 || er_recipe_decode(er_svn(bytes.buf, bytes.len), ret, err) < 0)
                return -1;
        er_secrets_find(&ret->secrets, m->opts->secrets, &ret->values);
        return 0;
}

static void on_fetching(void *arg, const char *text)
{
        struct progress *p = arg;

        er_tell_note(&p->m->teller, p->job, "environment: %s", text);
}

int er_delivery_ask_environment(struct er_carry *m, struct er_work *work, struct er_conn *conn,
                                struct er_environment_request *ret, struct er_err *err)
{
        struct er_carried *j = work->job;
        struct progress progress = {m, j, "sending packages", NULL};
        struct er_transfer transfer = transfer_for(&progress);
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        const struct er_environment_ways ways = {
                .transfer = &transfer, .cancel = &conn->cancel, .progress = on_fetching, .arg = &progress};

        if (find_recipe(m, j, &recipe, err) < 0)
                return refuse(work, ER_REASON_ENVIRONMENT);
        er_tell_note(&m->teller, j, "setting up the environment");
        er_crashpoint("environment");
        if (er_environment_begin(conn->session, &recipe, &ways, ret, err) < 0) {
                work->outcome = ER_OUT_BROKEN;
                if (is_connection(err))
                        return -1;
                return refuse(work, er_streq(err->provider_code, "secret") ? ER_REASON_SECRET : ER_REASON_ENVIRONMENT);
        }
        er_crashpoint("environment asked for");
        return 0;
}

/* Something is not there: the job has failed for that already, or did not care. The error of a file has an errno. */
static bool is_missing(const struct er_err *err)
{
        return err->code == ER_NOT_FOUND && err->sys_errno == 0 && !er_streq(err->provider_code, "attempt");
}

/* One pattern at a time: one that matches nothing must not hide what is wrong with another. What is here already is not
   fetched again. */
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

int er_delivery_fetch(struct er_carry *m, struct er_work *work, struct er_conn *conn, struct er_err *err)
{
        struct er_carried *j = work->job;
        er_autofree char *dir = er_job_results_dir(&j->row);
        struct progress progress = {m, j, "fetching", NULL};
        struct er_transfer transfer = transfer_for(&progress);
        const struct er_pull pull = {.key = j->key,
                                     .attempt = j->at.number,
                                     .patterns = &j->spec.outputs,
                                     .to = dir,
                                     .within = j->row.project_dir};
        int rc;

        er_crashpoint("fetch");
        rc = er_pull(conn->session, &pull, &transfer, err);
        if (rc < 0 && is_missing(err)) {
                er_err_clear(err);
                rc = pull_each(conn, &pull, &transfer, err);
        }
        er_crashpoint("fetched");
        if (rc == 0)
                er_tell_fetched(&m->teller, j, dir, &transfer);
        return rc;
}

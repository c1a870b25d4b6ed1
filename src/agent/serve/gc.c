/* gc.c - GC: attempts that their owner no longer wants, and snapshots that no attempt names any more. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "agent/attempt/abandoned.h"
#include "agent/attempt/tombstone.h"
#include "agent/environment/envdir.h"
#include "agent/serve/serve.h"
#include "agent/snapshot/snapshots.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/map.h"
#include "base/path.h"

#define UNUSED_MS (30LL * 24 * 3600 * 1000) /* an environment unused for this long; it can be built again */
#define UNREADY_MS (24LL * 3600 * 1000)     /* one whose build failed or was interrupted */
#define STALE_MS (10 * 60 * 1000)           /* making or removing a directory takes much less */

struct collection {
        struct er_worker *worker;
        struct er_map unwanted; /* job keys */
        bool dry;
        uint64_t freed, attempts, environments;
        struct er_map needed; /* "<directory of the project>/<hex>" */
};

/* A home shared by several machines holds the attempts of all; each machine removes only its own. */
static bool is_foreign(const struct collection *gc, const struct er_adir *dir)
{
        er_auto(er_ainfo) info = ER_AINFO_INIT;

        return er_adir_info(dir, &info, NULL) == 0 && er_ainfo_is_foreign(gc->worker->agent, &info);
}

static bool is_unwanted(const struct collection *gc, const struct er_adir *dir)
{
        return er_map_gets(&gc->unwanted, dir->key) && !is_foreign(gc, dir);
}

static int collect_attempt(void *arg, const struct er_adir *dir, struct er_err *err)
{
        struct collection *gc = arg;
        er_autoclose int lock_fd = -1;
        bool never_began = false;

        if (!is_unwanted(gc, dir))
                return 0;
        if (er_abandoned_settle(gc->worker->agent, dir, &never_began, err) != 1 && !never_began) {
                er_err_release(err);
                return 0; /* it runs, or we cannot tell: it stays */
        }
        if (never_began && !gc->dry && !er_abandoned_claim(dir, &lock_fd))
                return 0;
        gc->attempts++;
        if (gc->dry) {
                gc->freed += er_du(AT_FDCWD, dir->path);
        } else {
                er_autofree char *aside = er_fmt("%s/jobs/%s/.gone-%u", gc->worker->agent->root, dir->key,
                                                 (unsigned)dir->attempt);

                bool marked = never_began || er_tombstone_put(gc->worker->agent, dir);

                if (!never_began)
                        er_adir_wait_left(dir);
                if (rename(dir->path, aside) < 0 || er_rmtree(AT_FDCWD, aside, &gc->freed, err) < 0)
                        er_err_release(err); /* perhaps next time */
                if (!marked)
                        er_tombstone_put(gc->worker->agent, dir); /* there is room now */
        }
        return 0;
}

/* Removes ".new-..." and ".gone-..." of processes that were killed, and empty job directories. */
static void collect_leftovers(struct collection *gc)
{
        er_autofree char *jobs = er_path_join(gc->worker->agent->root, "jobs");
        const struct dirent *job, *entry;
        DIR *all = opendir(jobs);

        while (all && (job = readdir(all))) {
                er_autofree char *path = er_path_join(jobs, job->d_name);
                DIR *one = job->d_name[0] == '.' ? NULL : opendir(path);

                while (one && (entry = readdir(one))) {
                        struct stat st;

                        if (!er_starts(entry->d_name, ".new-") && !er_starts(entry->d_name, ".gone-"))
                                continue;
                        if (fstatat(dirfd(one), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                            er_now_ms() - (int64_t)st.st_mtim.tv_sec * 1000 < STALE_MS)
                                continue;
                        if (gc->dry)
                                gc->freed += er_du(dirfd(one), entry->d_name);
                        else
                                er_rmtree(dirfd(one), entry->d_name, &gc->freed, NULL);
                }
                if (one)
                        closedir(one);
                if (one && !gc->dry)
                        (void)!remove(path); /* only if it is empty */
        }
        if (all)
                closedir(all);
}

/* Removes "HEX.gone" of removals that were killed. */
static void collect_gone_environments(struct collection *gc)
{
        er_autofree char *path = er_path_join(gc->worker->agent->root, "environments");
        DIR *all = opendir(path);
        const struct dirent *entry;
        struct stat st;

        while (all && (entry = readdir(all))) {
                if (!er_ends(entry->d_name, ".gone") ||
                    fstatat(dirfd(all), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    er_now_ms() - (int64_t)st.st_ctim.tv_sec * 1000 < STALE_MS)
                        continue;
                if (gc->dry)
                        gc->freed += er_du(dirfd(all), entry->d_name);
                else
                        er_rmtree(dirfd(all), entry->d_name, &gc->freed, NULL);
        }
        if (all)
                closedir(all);
}

static int collect_environment(void *arg, struct er_envdir *env, const unsigned char *hash, struct er_err *err)
{
        struct collection *gc = arg;
        int64_t age = er_now_ms() - er_envdir_used_ms(env);

        (void)hash;
        (void)err;
        if (age < (er_envdir_is_ready(env) ? UNUSED_MS : UNREADY_MS) || er_envdir_is_wanted(env) ||
            er_envdir_is_building(env))
                return 0;
        if (gc->dry)
                gc->freed += er_du(env->fd, ".");
        if (gc->dry || er_envdir_remove(env, &gc->freed, NULL) == 0)
                gc->environments++;
        return 0;
}

static int note_need(void *arg, const struct er_adir *dir, struct er_err *err)
{
        struct collection *gc = arg;
        er_auto(er_ainfo) info = ER_AINFO_INIT;
        er_autofree char *project_dir = NULL;
        er_autofree char *name = NULL;
        char hex[ER_TREE_HEX];

        (void)err;
        /* In a dry run, what is only counted as removed needs nothing, unless it still runs. */
        if (er_adir_info(dir, &info, NULL) < 0 || !info.spec.has_tree)
                return 0;
        if (gc->dry && is_unwanted(gc, dir) && !er_adir_is_alive(dir))
                return 0;
        project_dir = er_snapshots_dir(info.spec.project ? info.spec.project : "");
        er_tree_hex(info.spec.tree, hex);
        name = er_fmt("%s/%s", project_dir, hex);
        er_map_sets(&gc->needed, name, gc);
        return 0;
}

/* Reads the specs again for each project, once nobody can add to it (snapshots.h). */
static bool is_needed(void *arg, const char *dir, const char *hex)
{
        struct collection *gc = arg;
        er_autofree char *name = er_fmt("%s/%s", dir, hex);
        static char *read_for; /* the project whose lock is held; this process does one GC */

        if (!er_streq(read_for, dir)) {
                free(read_for);
                read_for = er_strdup(dir);
                er_map_release(&gc->needed);
                if (er_adir_each(gc->worker->agent, er_svn(NULL, 0), note_need, gc, NULL) < 0)
                        return true;
        }
        return er_map_gets(&gc->needed, name) != NULL;
}

static int collect(struct er_worker *worker, struct er_err *err)
{
        struct collection gc = {.worker = worker};
        struct er_snapshots_gc snapshots = {0};
        struct er_sv rest = worker->payload;
        er_autoclose int root = -1;
        struct er_field field;
        size_t start;

        gc.dry = er_msg_get_u64(worker->payload, ER_T_DRY, 0) != 0;
        while (er_msg_next(&rest, &field))
                if (field.tag == ER_T_KEY)
                        er_map_set(&gc.unwanted, field.value.ptr, field.value.len, &gc);
        if (er_agent_dir(worker->agent, ".", true, &root, err) < 0)
                return -1;
        if (er_adir_each(worker->agent, er_svn(NULL, 0), collect_attempt, &gc, err) < 0)
                return -1;
        collect_leftovers(&gc);
        if (!gc.dry)
                er_tombstones_collect(worker->agent);
        collect_gone_environments(&gc);
        if (er_envdir_each(worker->agent, collect_environment, &gc, err) < 0)
                return -1;
        if (er_snapshots_collect(root, is_needed, &gc, gc.dry, &snapshots, err) < 0)
                return -1;
        start = er_frame_begin(&worker->out, ER_F_OK, worker->id);
        er_msg_u64(&worker->out, ER_T_FREED, gc.freed + snapshots.freed);
        er_msg_u64(&worker->out, ER_T_COUNT, gc.attempts);
        er_msg_u64(&worker->out, ER_T_COUNT, snapshots.trees);
        er_msg_u64(&worker->out, ER_T_COUNT, snapshots.packs);
        er_msg_u64(&worker->out, ER_T_COUNT, gc.environments);
        er_frame_end(&worker->out, start);
        er_map_release(&gc.unwanted);
        er_map_release(&gc.needed);
        return 0;
}

int er_do_gc(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        return er_worker_start(serve, frame, collect, err);
}

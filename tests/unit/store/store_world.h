/* store_world.h - a store in a directory of its own, and the usual questions to it, for the tests of the store. */
#ifndef TESTS_STORE_WORLD_H
#define TESTS_STORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include "base/io.h"
#include "base/path.h"
#include "store/store.h"

struct world {
        char *dir;
        struct er_store *store;
};

static inline int setup(void **state)
{
        struct world *w = er_new(struct world);
        char path[] = "/tmp/er-store-XXXXXX";

        assert_non_null(mkdtemp(path));
        w->dir = er_fmt("%s/state", path);
        assert_int_equal(er_store_open(w->dir, &w->store, NULL), 0);
        *state = w;
        return 0;
}

static inline int teardown(void **state)
{
        struct world *w = *state;
        er_autofree char *parent = er_path_dir(w->dir);

        er_store_close(w->store);
        assert_int_equal(er_rmtree(AT_FDCWD, parent, NULL, NULL), 0);
        free(w->dir);
        free(w);
        return 0;
}

static inline int64_t add(struct er_store *store, const char *project, const char *dir, const char *name, size_t count,
                          char **ret_name)
{
        struct er_new_job jobs[8];
        er_auto(er_run) run = {0};
        er_auto(er_err) err = ER_ERR_INIT;

        for (size_t i = 0; i < count; i++)
                jobs[i] = (struct er_new_job){.spec = ER_SV("spec"), .command = "true"};
        if (er_store_add_run(store, project, dir, name, jobs, count, 1000, &run, &err) < 0)
                fail_msg("%s", err.message);
        if (ret_name)
                *ret_name = er_strdup(run.name);
        return run.id;
}

static inline void add_named(struct er_store *store, const char *project, const char *name, const char *expected)
{
        er_autofree char *got = NULL;

        add(store, project, "/p", name, 1, &got);
        assert_string_equal(got, expected);
}

static inline int64_t job_id(struct er_store *store, const char *name)
{
        er_autofree int64_t *ids = NULL;
        size_t count = 0;

        assert_int_equal(er_store_resolve(store, name, NULL, &ids, &count, NULL), 0);
        assert_true(count >= 1);
        return ids[0];
}

static inline void end_job(struct er_store *store, int64_t id, enum er_job_state state)
{
        er_auto(er_job) job = ER_JOB_INIT;

        assert_int_equal(er_store_job(store, id, &job, NULL), 0);
        job.state = state;
        job.ended_ms = 2000;
        job.exit_status = 0;
        job.outputs_fetched = true;
        assert_int_equal(er_store_update(store, &job, NULL, NULL), 0);
}

struct counted {
        enum er_job_state state;
        size_t count;
};

static inline int count_job(void *arg, const struct er_job *job, struct er_err *err)
{
        struct counted *counted = arg;

        (void)err;
        counted->count += job->state == counted->state;
        return 0;
}

static inline size_t count_jobs(struct er_store *store, enum er_job_state state)
{
        struct counted counted = {.state = state};

        assert_int_equal(er_store_each_job(store, &(struct er_job_filter){0}, count_job, &counted, NULL), 0);
        return counted.count;
}

static inline bool run_exists(struct er_store *store, int64_t id)
{
        pid_t creator = 0;
        int64_t created_ms = 0;

        assert_int_equal(er_store_run_creator(store, id, &creator, &created_ms, NULL), 0);
        return creator > 0;
}

/* Adds a run of one job that needs an environment; 0 if that fails. has_recipe: like `errand run`, else like `errand
 * rerun`. */
static inline int64_t add_with_environment(struct er_store *store, char which, bool has_recipe, struct er_err *err)
{
        char hash[32];
        struct er_new_job job = {.spec = ER_SV("spec"), .command = "true", .environment = er_svn(hash, sizeof hash)};
        er_auto(er_run) run = {0};
        er_autofree char *name = NULL;

        memset(hash, which, sizeof hash);
        if (has_recipe)
                job.recipe = ER_SV("recipe");
        if (er_store_add_run(store, "p", "/p", NULL, &job, 1, 1000, &run, err) < 0)
                return 0;
        name = er_fmt("%s.0", run.name);
        return job_id(store, name);
}

static inline bool has_environment(struct er_store *store, char which)
{
        char hash[32];
        er_auto(er_str) recipe = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        memset(hash, which, sizeof hash);
        if (er_store_environment(store, er_svn(hash, sizeof hash), &recipe, &err) == 0) {
                assert_string_equal(recipe.buf, "recipe");
                return true;
        }
        assert_int_equal(err.code, ER_NOT_FOUND);
        return false;
}

#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif

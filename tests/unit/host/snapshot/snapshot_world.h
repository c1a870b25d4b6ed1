/* snapshot_world.h - a user's project on disk, with a home and caches of its own, for the tests of listings and
 * snapshots. */
#ifndef ER_SNAPSHOT_WORLD_H
#define ER_SNAPSHOT_WORLD_H

#include "unit.h"

#include <sys/stat.h>
#include <time.h>
#include "base/io.h"
#include "base/proc.h"
#include "host/snapshot/snapshot.h"

struct world {
        char *top; /* everything is below it */
        char *dir; /* the project */
};

static inline void world_init(struct world *w)
{
        er_autofree char *own = NULL, *home = NULL, *name = unit_temp_dir();
        char real[4096];

        assert_non_null(realpath(name, real));
        w->top = er_strdup(real);
        w->dir = er_path_join(w->top, "project");
        own = er_path_join(w->top, "own");
        home = er_path_join(w->top, "home");
        assert_int_equal(mkdir(w->dir, 0755), 0);
        assert_int_equal(mkdir(home, 0755), 0);
        setenv("ERRAND_HOME", own, 1);
        setenv("HOME", home, 1);
        unsetenv("XDG_CONFIG_HOME");
        setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
        setenv("GIT_AUTHOR_NAME", "t", 1);
        setenv("GIT_AUTHOR_EMAIL", "t@example.org", 1);
        setenv("GIT_COMMITTER_NAME", "t", 1);
        setenv("GIT_COMMITTER_EMAIL", "t@example.org", 1);
}

static inline void world_release(struct world *w)
{
        free(w->dir);
        unit_remove(w->top);
}

static inline void put(const struct world *w, const char *path, const char *text)
{
        unit_put(w->dir, path, text);
}

/* A line for sh in the project's directory. */
static inline void sh(const struct world *w, const char *line)
{
        er_autofree char *copy = er_strdup(line);
        char name[] = "sh", flag[] = "-ec";
        char *argv[] = {name, flag, copy, NULL};
        struct er_proc_opts opts = {.argv = argv, .cwd = w->dir};
        er_auto(er_str) out = ER_STR_INIT;
        int status = -1;

        assert_int_equal(er_proc_run(&opts, (struct er_sv){NULL, 0}, &out, &out, 65536, ER_NEVER, &status, NULL), 0);
        if (status != 0)
                fail_msg("%s: status %d: %s", line, status, out.buf);
}

/* A change within 100 ms before a snapshot is not believed to be the last one. This waits for the clock, not for
   somebody: nothing else makes a ctime older. */
static inline void sit_still(void)
{
        struct timespec ts = {.tv_nsec = 150000000};

        while (nanosleep(&ts, &ts) < 0)
                ;
}

#endif

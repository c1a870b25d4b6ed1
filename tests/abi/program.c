/*
 * program.c - somebody's program, built with an errand.h of another version than the library's (see README.md). With
 * NEXT, the structures of its header are larger than the library's; else they are as large, or smaller.
 */
#include <errand/errand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "line %d: not so: %s (%s)\n", __LINE__, #condition,                            \
                                error.message ? error.message : "no error");                                           \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)

static struct errand_error error;
static char state_dir[4096];

/* What the library must not touch lies right behind what it is given. */
struct guarded {
        struct errand_job job;
        unsigned char behind[64];
};

static void guard(struct guarded *g)
{
        g->job = (struct errand_job)ERRAND_JOB_INIT;
        memset(g->behind, 0xa5, sizeof g->behind);
}

static int is_whole(const struct guarded *g)
{
        for (size_t i = 0; i < sizeof g->behind; i++)
                if (g->behind[i] != 0xa5)
                        return 0;
        return g->job.size == sizeof g->job;
}

static int is_usage(int rc)
{
        int yes = rc == -1 && error.code == ERRAND_USAGE && error.hint;

        errand_error_clear(&error);
        return yes;
}

static errand_t *open_store(void)
{
        struct errand_options options = ERRAND_OPTIONS_INIT;
        char path[4200];
        struct stat st;
        errand_t *errand = NULL;

        options.state_dir = state_dir;
        options.size = 0;
        CHECK(is_usage(errand_open(&options, &errand, &error)));
        options.size = sizeof options.size;
        CHECK(is_usage(errand_open(&options, &errand, &error)));
        options.size = (size_t)-1;
        CHECK(is_usage(errand_open(&options, &errand, &error)));
        options.size = sizeof options;
#ifdef NEXT
        options.next_number = 1;
        CHECK(is_usage(errand_open(&options, &errand, &error)));
        options.next_number = 0;
#endif
        CHECK(errand_open(&options, &errand, &error) == 0);
        snprintf(path, sizeof path, "%s/store.db", state_dir);
        CHECK(stat(path, &st) == 0); /* the store we asked for, not the user's own */
        return errand;
}

static char *submit(errand_t *errand)
{
        const char *const argv[] = {"sh", "-c", "test \"$A\" = b; exit $?", NULL};
        const char *const env[] = {"A=b", NULL};
        struct errand_request request = ERRAND_REQUEST_INIT;
        char *name = NULL;

        request.argv = argv;
        request.env = env;
        request.name = "abi";
        request.project_dir = state_dir;
        request.sync = 0;
        request.size = 0;
        CHECK(is_usage(errand_submit(errand, &request, &name, &error)));
        request.size = offsetof(struct errand_request, sync); /* no version was ever that small */
        CHECK(is_usage(errand_submit(errand, &request, &name, &error)));
        request.size = sizeof request;
#ifdef NEXT
        request.next_text = state_dir;
        CHECK(is_usage(errand_submit(errand, &request, &name, &error)));
        request.next_text = NULL;
#endif
        CHECK(errand_submit(errand, &request, &name, &error) == 0);
        return name;
}

static void look(errand_t *errand, const char *name)
{
        struct guarded g;

        guard(&g);
        g.job.size = 0;
        CHECK(is_usage(errand_job(errand, name, &g.job, &error)));
        g.job.size = offsetof(struct errand_job, news_ms);
        CHECK(is_usage(errand_wait(errand, name, -1, &g.job, &error)));
        guard(&g);
#ifdef NEXT
        g.job.next_number = 7;
        g.job.next_text = state_dir;
#endif
        CHECK(errand_wait(errand, name, 30000, &g.job, &error) == 0);
        CHECK(is_whole(&g));
        CHECK(strcmp(g.job.name, name) == 0);
        CHECK(strncmp(g.job.run, "abi", 3) == 0);
        CHECK(g.job.state == ERRAND_DONE && g.job.exit_status == 0 && g.job.attempt == 1);
        CHECK(g.job.news_ms > 0); /* the last member there is */
        errand_job_clear(&g.job);
        CHECK(is_whole(&g));
        CHECK(!g.job.name && !g.job.results_dir && g.job.news_ms == 0);
#ifdef NEXT
        CHECK(g.job.next_number == 7 && g.job.next_text == state_dir);
#endif
        CHECK(errand_job(errand, name, &g.job, &error) == 0); /* once more into what was cleared */
        CHECK(g.job.ended_ms > 0 && is_whole(&g));
        errand_job_clear(&g.job);
}

static int each(void *arg, const struct errand_job *job)
{
        int *seen = arg;

        CHECK(job->size >= offsetof(struct errand_job, news_ms) + sizeof job->news_ms);
        CHECK(job->news_ms > 0);
        ++*seen;
        return 0;
}

int main(void)
{
        errand_t *errand;
        char *name;
        int seen = 0;

        snprintf(state_dir, sizeof state_dir, "%s-XXXXXX", getenv("ERRAND_HOME"));
        CHECK(mkdtemp(state_dir));
        errand = open_store();
        name = submit(errand);
        look(errand, name);
        CHECK(errand_jobs(errand, 0, 0, each, &seen, &error) == 0);
        CHECK(seen == 1);
        errand_free(name);
        errand_close(errand);
        return 0;
}

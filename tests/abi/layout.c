/* layout.c - built with each of the headers: the frozen members, numbers and functions, as that header has them. */
#include "layout.h"

#include <errand/errand.h>

#define TYPE(expression)                                                                                               \
        _Generic((expression),                                                                                         \
                int: 1,                                                                                                \
                unsigned: 2,                                                                                           \
                size_t: 3,                                                                                             \
                int64_t: 4,                                                                                            \
                char *: 5,                                                                                             \
                const char *: 6,                                                                                       \
                const char *const *: 7)

static const struct errand_error error_init = ERRAND_ERROR_INIT;
static const struct errand_options options_init = ERRAND_OPTIONS_INIT;
static const struct errand_request request_init = ERRAND_REQUEST_INIT;
static const struct errand_job job_init = ERRAND_JOB_INIT;

#define MEMBER(name, member)                                                                                           \
        {"errand_" #name "." #member, (long)offsetof(struct errand_##name, member), sizeof name##_init.member,         \
         TYPE(((struct errand_##name *)NULL)->member), &name##_init.member}
#define SIZE(name)                                                                                                     \
        {"errand_" #name ".size", (long)offsetof(struct errand_##name, size), sizeof name##_init.size,                 \
         TYPE(((struct errand_##name *)NULL)->size), NULL}
#define NUMBER(name) {#name, (long)ERRAND_##name, 0, 0, NULL}

extern const struct layout LAYOUT[];
const struct layout LAYOUT[] = {
        MEMBER(error, code),
        MEMBER(error, retryable),
        MEMBER(error, message),
        MEMBER(error, hint),

        SIZE(options),
        MEMBER(options, state_dir),

        SIZE(request),
        MEMBER(request, argv),
        MEMBER(request, shell),
        MEMBER(request, project_dir),
        MEMBER(request, name),
        MEMBER(request, hosts),
        MEMBER(request, env),
        MEMBER(request, secrets),
        MEMBER(request, outputs),
        MEMBER(request, workdir),
        MEMBER(request, cpus),
        MEMBER(request, gpus),
        MEMBER(request, memory),
        MEMBER(request, time_limit_ms),
        MEMBER(request, retries),
        MEMBER(request, sync),
        MEMBER(request, reserved),

        SIZE(job),
        MEMBER(job, name),
        MEMBER(job, run),
        MEMBER(job, project_dir),
        MEMBER(job, command),
        MEMBER(job, host),
        MEMBER(job, state),
        MEMBER(job, reason),
        MEMBER(job, detail),
        MEMBER(job, exit_status),
        MEMBER(job, attempt),
        MEMBER(job, cancel_asked),
        MEMBER(job, outputs_fetched),
        MEMBER(job, results_dir),
        MEMBER(job, created_ms),
        MEMBER(job, started_ms),
        MEMBER(job, ended_ms),
        MEMBER(job, news_ms),

        NUMBER(OK),
        NUMBER(USAGE),
        NUMBER(CONFIG),
        NUMBER(AUTH),
        NUMBER(QUOTA),
        NUMBER(CAPACITY),
        NUMBER(NOT_FOUND),
        NUMBER(EXISTS),
        NUMBER(NET),
        NUMBER(TIMEOUT),
        NUMBER(TRANSPORT),
        NUMBER(REMOTE),
        NUMBER(STATE),
        NUMBER(CANCELLED),
        NUMBER(IO),
        NUMBER(HOSTKEY),
        NUMBER(DETACHED),
        NUMBER(INTERNAL),

        NUMBER(WAITING),
        NUMBER(QUEUED),
        NUMBER(STARTING),
        NUMBER(RUNNING),
        NUMBER(DONE),
        NUMBER(FAILED),
        NUMBER(STOPPED),
        {0},
};

/* Structures only grow, and a new member does not hide in what was a gap at the end of the old structure: a program of
   then would seem to have set it. */
#define END(name, last) (offsetof(struct errand_##name, last) + sizeof name##_init.last)
#ifdef IS_FROZEN
_Static_assert(sizeof(struct errand_error) == END(error, hint), "");
_Static_assert(sizeof(struct errand_options) == END(options, state_dir), "");
_Static_assert(sizeof(struct errand_request) == END(request, reserved), "");
_Static_assert(sizeof(struct errand_job) == END(job, news_ms), "");
#else
/* The last members of today. */
_Static_assert(sizeof(struct errand_error) == END(error, hint), "this structure never changes");
_Static_assert(sizeof(struct errand_options) == END(options, state_dir),
               "fill the gap at the end with reserved members");
_Static_assert(sizeof(struct errand_request) == END(request, reserved),
               "fill the gap at the end with reserved members");
_Static_assert(sizeof(struct errand_job) == END(job, news_ms), "fill the gap at the end with reserved members");
#endif

/* The functions, with the types they had. Only compiled: none is called. */
struct functions {
        const char *(*version)(void);
        void (*error_clear)(struct errand_error *);
        const char *(*code_name)(int);
        void (*free_memory)(void *);
        int (*open)(const struct errand_options *, errand_t **, struct errand_error *);
        void (*close)(errand_t *);
        int (*submit)(errand_t *, const struct errand_request *, char **, struct errand_error *);
        const char *(*state_name)(int);
        void (*job_clear)(struct errand_job *);
        int (*job)(errand_t *, const char *, struct errand_job *, struct errand_error *);
        int (*jobs)(errand_t *, int, size_t, int (*)(void *, const struct errand_job *), void *, struct errand_error *);
        int (*wait)(errand_t *, const char *, int64_t, struct errand_job *, struct errand_error *);
        int (*cancel)(errand_t *, const char *, struct errand_error *);
        int (*logs)(errand_t *, const char *, uint64_t, int, int (*)(void *, int, const void *, size_t), void *,
                    uint64_t *, struct errand_error *);
};
static inline void check_functions(struct functions *f)
{
        *f = (struct functions){
                errand_version, errand_error_clear, errand_code_name,  errand_free,      errand_open,
                errand_close,   errand_submit,      errand_state_name, errand_job_clear, errand_job,
                errand_jobs,    errand_wait,        errand_cancel,     errand_logs,
        };
}
static void (*const checked)(struct functions *) __attribute__((unused)) = check_functions;

/*
 * env.h - environments on this host: environments/<hex>/ (PROTOCOL.md, section 9). One is ready when `activate` is
 * there, which is written last; it says what a job's variables become, so that no shell runs at a job's start.
 *
 * Two bytes of the file `lock` are locked (F_OFD_SETLK): byte 0 exclusively by whoever builds or removes it, byte 1
 * shared by everybody who wants it. A build that nobody has wanted for ENV_UNWANTED_MS ends; one that is wanted is
 * never removed.
 */
#ifndef ER_AGENT_ENVIRONMENT_ENV_H
#define ER_AGENT_ENVIRONMENT_ENV_H

#include "agent/agent.h"
#include "base/clock.h"
#include "proto/recipe.h"

#define ER_ENV_HEX (2 * ER_ENV_HASH + 1)
#define ER_ENV_UNWANTED_MS 10000

struct er_env {
        const struct er_agent *agent; /* (borrowed) */
        char hex[ER_ENV_HEX];
        char *path; /* (owned) absolute */
        int fd;     /* of the directory */
        int lock_fd;
};
#define ER_ENV_INIT {.fd = -1, .lock_fd = -1}
void er_env_release(struct er_env *env);
void er_env_hex(const unsigned char hash[ER_ENV_HASH], char ret[ER_ENV_HEX]);
enum er_env_for {
        ER_ENV_LOOK, /* it may be removed meanwhile */
        ER_ENV_WANT, /* until it is released */
        ER_ENV_MAKE, /* the same, whether it is here or not */
};
/* ER_NOT_FOUND with provider code "environment" when its recipe is not here (and it is not to be made). */
int er_env_open(const struct er_agent *agent, const unsigned char hash[ER_ENV_HASH], enum er_env_for why,
                struct er_env *ret, struct er_err *err);
/* That error. Returns -1. */
int er_env_missing(const char *hex, struct er_err *err);
/* Its files are whole: for good, or (right after the build, until they are on the disk) as long as the machine is up.
 */
bool er_env_is_ready(const struct er_env *env);
/* Now is the time of its last use. */
void er_env_mark_used(const struct er_env *env);
int64_t er_env_used_ms(const struct er_env *env);
/* 1: the exclusive byte is ours now (until released); 0: somebody else's; -1 with errno. */
int er_env_claim(struct er_env *env);
/* The same, and nobody wants it or can come to want it. After 0 it is to be released soon. */
int er_env_claim_alone(struct er_env *env);
bool er_env_is_building(const struct er_env *env);
/* Somebody but us wants it. */
bool er_env_is_wanted(const struct er_env *env);

/* Calls fn for each that is here, to look at; -1 from fn stops. */
typedef int (*er_env_fn)(void *arg, struct er_env *env, const unsigned char *hash, struct er_err *err);
int er_env_each(const struct er_agent *agent, er_env_fn fn, void *arg, struct er_err *err);

/* How often a build has failed, and what the last one said. */
struct er_env_failure {
        uint64_t count;
        char *message, *hint, *kind;
        char *platform; /* set: the packages may be fetched by the client, for this (environment/fetch.h) */
};
#define ER_ENV_FAILURE_INIT {0}
void er_env_failure_release(struct er_env_failure *failure);
void er_env_failure_read(const struct er_env *env, struct er_env_failure *ret);
/* The present line of progress (owned), or NULL. */
char *er_env_progress(const struct er_env *env);

/* 1: a builder was started, and has the lock; 0: there is one, or the environment is ready. secrets (may be NULL):
   values of the recipe's variables, "NAME=value"; ER_CONFIG with provider code "secret" when one is not among them. */
int er_env_build_start(const struct er_env *env, const struct er_strv *secrets, struct er_err *err);
/* Runs the recipe's script once more, which only looks, its output into `out_fd`. 0: all is there. */
int er_env_check(const struct er_env *env, int out_fd, struct er_env_failure *ret, struct er_err *err);

/* An image of its own, which an engine keeps: the words of the command that takes it away (outside.h). */
#define ER_ENV_OUTSIDE "prefix/outside"
/* ER_STATE when somebody wants it. Adds the bytes that went. */
int er_env_remove(struct er_env *env, uint64_t *ret_freed, struct er_err *err);

/* Waiting for one that somebody else, or we, have built. */
enum er_env_news {
        ER_ENV_SAME,     /* look again in er_env_wait.pause_ms */
        ER_ENV_PROGRESS, /* the same, and .progress is another */
        ER_ENV_READY,
        ER_ENV_FAILED, /* .failure says why */
};
struct er_env_wait {
        const struct er_env *env;      /* (borrowed) */
        uint64_t failures;             /* as many had there been before what we wait for */
        const struct er_strv *secrets; /* (borrowed) to build it with; NULL: whoever has them is to begin */
        er_deadline orphaned;          /* nobody builds it, and we cannot: until then somebody else may */
        unsigned starts;               /* builders that we have started */
        int pause_ms;
        char *progress; /* (owned) */
        struct er_env_failure failure;
};
#define ER_ENV_WAIT_INIT {0}
void er_env_wait_release(struct er_env_wait *wait);
/* failures: of er_env_failure.count at the time when it was first wanted. */
void er_env_wait_begin(struct er_env_wait *wait, const struct er_env *env, const struct er_strv *secrets,
                       uint64_t failures);
enum er_env_news er_env_wait_look(struct er_env_wait *wait);

/* What a job's start takes from it. */
struct er_activation {
        char *boot_id;          /* good for this boot only, */
        char *hostname;         /* of this machine; NULL: for good */
        struct er_strv set;     /* "NAME=VALUE" */
        struct er_strv prepend; /* the same; joined with ':' */
        struct er_strv unset;   /* "NAME" */
        struct er_strv wrap;    /* words before the command, see er_activation_wrap */
        struct er_strv end; /* a command to run when the job is over: a container is not below us in the process tree */
};
#define ER_ACTIVATION_INIT {0}
void er_activation_release(struct er_activation *activation);
void er_activation_encode(const struct er_activation *activation, struct er_str *out);
/* A line of the build script's control channel: true when it belongs to an activation. */
bool er_activation_take(struct er_activation *activation, struct er_sv word, struct er_sv rest);
int er_activation_read(const struct er_env *env, struct er_activation *ret, struct er_err *err);
/* Variables as they are after it. */
void er_activation_apply(const struct er_activation *activation, struct er_strv *vars);
/*
 * The words before a command, filled in: {work} the attempt's work/, {dir} where the command runs, {id} the attempt's
 * id, {root} errand's root; a word {each-var:TEXT} comes once for each of `names` and {each-gpu:TEXT} once for each
 * GPU, with % in TEXT standing for it.
 */
struct er_wrap {
        const char *work, *dir, *id, *root;
        const struct er_strv *names;
        uint64_t gpu_mask;
};
void er_activation_wrap(const struct er_strv *words, const struct er_wrap *wrap, struct er_strv *ret);

#endif

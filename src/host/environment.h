/*
 * environment.h - environments on a host: requesting, listing, checking and removing them.
 */
#ifndef ER_HOST_ENVIRONMENT_H
#define ER_HOST_ENVIRONMENT_H

#include "host/files.h"
#include "host/connect/session.h"
#include "proto/recipe.h"

/* A requested environment. It is built whatever becomes of the session, as long as a job wants it. */
struct er_environment_request {
        struct er_session *session; /* (borrowed) */
        uint32_t id;                /* 0: it has been answered */
        uint64_t failures;          /* builds that had failed before: for er_submit */
        bool ready;
        char *progress;    /* (owned) what the build said last, or NULL */
        struct er_err err; /* set if the build has failed meanwhile */
};
#define ER_ENVIRONMENT_REQUEST_INIT {.err = ER_ERR_INIT}
void er_environment_request_release(
        struct er_environment_request *request); /* whatever still arrives for it is discarded */
struct er_environment_ways {
        struct er_transfer *transfer;                  /* of what is sent */
        struct er_cancel *cancel;                      /* (may be NULL) */
        void (*progress)(void *arg, const char *text); /* (may be NULL) what is being done here for the host */
        void *arg;
};
/* Has the host start the build (or find the environment ready): sends the large files of the recipe first, then the
   recipe. A host that cannot reach the packages gets them from here, unless the recipe says otherwise; they become
   part of the recipe. Returns once the host is known to be able to go on by itself. A build that failed meanwhile is
   no error here: request->err tells. One that cannot start, because recipe->values lacks something, is: ER_STATE with
   provider code "secret". */
int er_environment_begin(struct er_session *session, struct er_recipe *recipe, const struct er_environment_ways *ways,
                         struct er_environment_request *ret, struct er_err *err);
/* Takes what has arrived, without waiting and without touching frames of other requests. True if progress has
   changed. */
bool er_environment_hear(struct er_environment_request *request);
/* Waits until it is ready; on_progress (may be NULL) gets what the build says. A failed build is ER_STATE with its
   kind as provider_code ("network", "package", "conflict", "disk", "tool", "secret", "build"). */
int er_environment_await(struct er_environment_request *request, void (*on_progress)(void *arg, const char *text),
                         void *arg, struct er_err *err);

struct er_environment_entry {
        unsigned char hash[ER_ENV_HASH];
        char *summary, *declaration, *path, *message; /* message: of the failed build */
        unsigned state;                               /* enum er_env_state */
        bool in_use;
        uint64_t size;
        int64_t used_ms; /* our clock */
};
struct er_environment_list {
        struct er_environment_entry *items;
        size_t count, cap;
};
#define ER_ENVIRONMENT_LIST_INIT {0}
void er_environment_list_release(struct er_environment_list *list);
/* All environments on the host, most recently used first. */
int er_environment_list(struct er_session *session, struct er_environment_list *ret, struct er_err *err);
/* ER_STATE while a job uses it or it is being built. */
int er_environment_remove(struct er_session *session, const unsigned char hash[ER_ENV_HASH], uint64_t *ret_freed,
                          struct er_err *err);
/* 0: everything it declares is there. ER_STATE names what is missing. */
int er_environment_check(struct er_session *session, const unsigned char hash[ER_ENV_HASH], struct er_err *err);

#endif

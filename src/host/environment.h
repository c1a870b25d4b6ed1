/*
 * environment.h - environments on a host: asked for, listed, checked, removed.
 */
#ifndef ER_HOST_ENVIRONMENT_H
#define ER_HOST_ENVIRONMENT_H

#include "host/files.h"
#include "host/connect/session.h"
#include "proto/recipe.h"

/* One that was asked for. It is built whatever comes of the session, as long as a job wants it. */
struct er_environment_request {
        struct er_session *session; /* (borrowed) */
        uint32_t id;                /* of the request; 0: it has been answered */
        uint64_t failures;          /* builds that had failed before: for er_submit */
        bool ready;
        char *progress;    /* (owned) what the build said last, or NULL */
        struct er_err err; /* set when the build has failed meanwhile */
};
#define ER_ENVIRONMENT_REQUEST_INIT {.err = ER_ERR_INIT}
void er_environment_request_release(struct er_environment_request *request); /* what still comes of it is dropped */
struct er_environment_ways {
        struct er_transfer *transfer;                  /* of what is sent */
        struct er_cancel *cancel;                      /* (may be NULL) */
        void (*progress)(void *arg, const char *text); /* (may be NULL) what is done here for the host */
        void *arg;
};
/* Has the host begin (or find that it is there): sends large files of the recipe first, then the recipe. A host that
   has no way to the packages gets them from here, unless the recipe says otherwise: that adds them to the recipe. Comes
   back when it is known that the host can go on by itself. A build that failed meanwhile is no error here: request->err
   says it; one that cannot begin, because recipe->values lacks what it takes, is one: ER_STATE with provider code
   "secret". */
int er_environment_begin(struct er_session *session, struct er_recipe *recipe, const struct er_environment_ways *ways,
                         struct er_environment_request *ret, struct er_err *err);
/* Takes what has arrived, without waiting and without touching frames of other requests. True when progress is another.
 */
bool er_environment_hear(struct er_environment_request *request);
/* Until it is ready; on_progress (may be NULL) is told what the build says. The build's failure is ER_STATE with its
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
/* All on the host, the last used first. */
int er_environment_list(struct er_session *session, struct er_environment_list *ret, struct er_err *err);
/* ER_STATE when a job uses it, or somebody builds it. */
int er_environment_remove(struct er_session *session, const unsigned char hash[ER_ENV_HASH], uint64_t *ret_freed,
                          struct er_err *err);
/* 0: all that it declares is there. ER_STATE names what is not. */
int er_environment_check(struct er_session *session, const unsigned char hash[ER_ENV_HASH], struct er_err *err);

#endif

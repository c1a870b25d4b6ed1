/*
 * request.h - from what a user asks for to a run in the store. The program and the API both go this way.
 */
#ifndef ER_MAESTRO_REQUEST_H
#define ER_MAESTRO_REQUEST_H

#include "host/snapshot/snapshot.h"
#include "job/config.h"
#include "proto/recipe.h"
#include "proto/spec.h"
#include "store/store.h"

struct er_request {
        char *project_dir; /* (owned) absolute: the root of the project */
        char *name;        /* (owned) of the run; NULL: "<project>-<number>" */
        struct er_spec spec;
        struct er_recipe recipe; /* of the spec's environment */
        bool has_recipe;         /* false: the spec has no environment, or the store has its recipe */
};
#define ER_REQUEST_INIT {0}
void er_request_release(struct er_request *request);

/* Makes a request from what errand.yaml and the options say together, and checks it. subdir: where the user is below
   project_dir, or "". name may be NULL. */
int er_request_make(const struct er_config *config, const char *project_dir, const char *subdir, const char *name,
                    struct er_request *ret, struct er_err *err);
/* Checks that each of its hosts is one. */
int er_request_check_hosts(struct er_store *store, const struct er_request *request, struct er_err *err);
/* Stores it as a run of one job, if this process can carry one. snapshot: of the files that go with it; NULL: none, or
   whoever carries the run takes it. */
int er_request_store(struct er_store *store, struct er_request *request, const struct er_snapshot *snapshot,
                     struct er_run *ret, struct er_err *err);

#endif

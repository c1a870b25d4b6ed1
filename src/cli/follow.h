/*
 * follow.h - carries a run in the foreground while the user looks on: its log, a status line, Ctrl-C, its end.
 */
#ifndef ER_CLI_FOLLOW_H
#define ER_CLI_FOLLOW_H

#include "cli/live.h"
#include "cli/target.h"
#include "host/snapshot/snapshot.h"
#include "proto/recipe.h"
#include "proto/spec.h"

struct er_follow {
        const struct er_run *run;           /* (borrowed) in the store already */
        const struct er_snapshot *snapshot; /* (borrowed) or NULL */
        bool detach;                        /* only until the job is on its host */
        bool silent; /* with detach: the caller says what there is to say of a job that has been started */
};
/* The exit status of the command, or -1. */
int er_follow_run(const struct er_cli *cli, const struct er_follow *follow, struct er_err *err);

struct er_start {
        const struct er_spec *spec;
        const char *project_dir;
        const char *name;                   /* of the run, or NULL: the next number of its project */
        const struct er_snapshot *snapshot; /* or NULL */
        const struct er_recipe *recipe;     /* of the spec's environment; NULL: none, or it is in the store */
        bool detach;
        int64_t *ret_run_id; /* (may be NULL) the run, once it is in the store; then, with detach, silent */
};
/* Stores a run of one job and follows it. */
int er_follow_start(const struct er_cli *cli, const struct er_start *start, struct er_err *err);

/* "NAME=value" into our environment, from where the maestro takes them, also one that goes on in the background; what
   is stored has the names alone. */
int er_follow_keep(const struct er_strv *values, struct er_err *err);
/* Every secret must be in our environment before anything starts; on a terminal it is asked for, unseen. */
int er_follow_secrets(const struct er_strv *names, struct er_err *err);

#endif

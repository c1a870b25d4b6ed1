/*
 * gitrun.h - running git for its answers: without variables that point it elsewhere, several at once, cancellable.
 * Private to listing*.c.
 */
#ifndef ER_HOST_SNAPSHOT_GITRUN_H
#define ER_HOST_SNAPSHOT_GITRUN_H

#include "base/err.h"
#include "base/proc.h"
#include "base/cancel.h"
#include "base/str.h"

struct er_git {
        const char *const *args; /* after "git", NULL-terminated */
        struct er_str out;
        struct er_str errout;
        int status;
        struct er_proc proc;
};
#define ER_GIT_INIT {.out = ER_STR_INIT, .errout = ER_STR_INIT, .proc = ER_PROC_INIT}
void er_git_release(struct er_git *git);

/* Starts one in cwd; its output waits in pipes until er_git_finish. */
int er_git_start(struct er_git *git, const char *cwd, struct er_err *err);
/* Reads it to its end. A failure of git is no error here; only a cancellation or too much output is. */
int er_git_finish(struct er_git *git, const char *cwd, struct er_cancel *cancel, struct er_err *err);
int er_git_run(struct er_git *git, const char *cwd, struct er_cancel *cancel, struct er_err *err); /* both */
/* One, with input. */
int er_git_ask(struct er_git *git, const char *cwd, struct er_sv input, struct er_err *err);
/* What git said when it failed, as an error naming cwd. Returns -1. */
int er_git_failed(const struct er_git *git, const char *cwd, struct er_err *err);

#endif

/*
 * target.h - what the arguments of commands mean: jobs by name, the current project, connections to hosts; and waiting
 * for jobs by watching the store.
 */
#ifndef ER_CLI_TARGET_H
#define ER_CLI_TARGET_H

#include "base/clock.h"
#include "cli/command.h"
#include "cli/live.h"
#include "host/connect/session.h"

struct er_jobs {
        struct er_job *items;
        size_t len, cap;
};
#define ER_JOBS_INIT {0}
void er_jobs_release(struct er_jobs *jobs);
/* (moved) */
void er_jobs_add(struct er_jobs *jobs, struct er_job *job);

/* Finds the root of the project that the current directory is in (owned). */
int er_target_project(char **ret_dir, struct er_err *err);
/* Finds the jobs of all names, each once, in order; without names, those of the latest run of this project. */
int er_target_jobs(const struct er_cli *cli, char *const *names, int count, struct er_jobs *ret, struct er_err *err);
/* Finds the one job of a name (NULL: the latest); several jobs are ER_USAGE. */
int er_target_job(const struct er_cli *cli, const char *name, struct er_job *ret, struct er_err *err);
/* Reads each job from the store again. */
int er_jobs_reload(const struct er_cli *cli, struct er_jobs *jobs, struct er_err *err);

/* Opens a session to the host of that name; ssh may ask on the terminal. live (may be NULL) shows progress. */
int er_target_session(const struct er_cli *cli, const char *host, struct er_live *live, struct er_session **ret,
                      struct er_err *err);

/* For a name that no known host has: "did you mean box or box2?", from the names known here and to ssh. Returns false
 * if none is near. */
bool er_target_host_meant(struct er_store *store, const char *name, struct er_str *out);

/* Makes sure that somebody carries every open run. Returns how many runs were taken over; failures are ignored and
 * count as 0. */
int er_target_adopt(const struct er_cli *cli);
/* Waits until all have ended and their outputs are here. *ret_ended is false if the deadline passed, or if stop (a
 * descriptor, or -1) became readable, before that. */
int er_target_wait(const struct er_cli *cli, struct er_jobs *jobs, er_deadline deadline, int stop, bool *ret_ended,
                   struct er_err *err);
/* The same, but outputs that nobody fetches are fetched here, with another try every few seconds; live shows once why
 * that fails. */
int er_target_wait_outputs(const struct er_cli *cli, struct er_live *live, struct er_jobs *jobs, er_deadline deadline,
                           bool *ret_ended, struct er_err *err);
/* Adds a line about a job's end: "mnist-12.0 failed: exit 3 after 2.1s". */
void er_target_result(struct er_str *out, const struct er_job *job);

#endif

/*
 * target.h - what the arguments of commands mean: jobs by name, the project the user stands in, connections to hosts;
 * and waiting for jobs by looking at the store.
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

/* The project's root above where the user stands (owned). */
int er_target_project(char **ret_dir, struct er_err *err);
/* The jobs of all names, each once, in order; no names: the latest run of this project. */
int er_target_jobs(const struct er_cli *cli, char *const *names, int count, struct er_jobs *ret, struct er_err *err);
/* The one job of a name (NULL: the latest); several are ER_USAGE. */
int er_target_job(const struct er_cli *cli, const char *name, struct er_job *ret, struct er_err *err);
/* Reads each job from the store again. */
int er_jobs_reload(const struct er_cli *cli, struct er_jobs *jobs, struct er_err *err);

/* A session to a host by its name; ssh may ask on the terminal. `live` (may be NULL) shows what it does. */
int er_target_session(const struct er_cli *cli, const char *host, struct er_live *live, struct er_session **ret,
                      struct er_err *err);

/* For a name that no host we know has: "did you mean box or box2?" of those known here and to ssh. false: nothing is
 * near. */
bool er_target_host_meant(struct er_store *store, const char *name, struct er_str *out);

/* Somebody carries every open run after this. Trouble with it is no reason to stop: the number started, or 0. */
int er_target_adopt(const struct er_cli *cli);
/* Until all have ended and their outputs are here. false at the deadline, or when `stop` (a descriptor, or -1) is
 * readable. */
int er_target_wait(const struct er_cli *cli, struct er_jobs *jobs, er_deadline deadline, int stop, bool *ret_ended,
                   struct er_err *err);
/* The same for whoever has nothing else to do: outputs that nobody fetches are fetched here, every few seconds again
   while they cannot be, and why is said on live, once. */
int er_target_wait_outputs(const struct er_cli *cli, struct er_live *live, struct er_jobs *jobs, er_deadline deadline,
                           bool *ret_ended, struct er_err *err);
/* One line at a job's end: "mnist-12.0 failed: exit 3 after 2.1s on gpu-box"; without "errand: ". */
void er_target_result(struct er_str *out, const struct er_job *job);

#endif

/*
 * job.h - the command itself: its directory, its environment, its start.
 */
#ifndef ER_AGENT_ATTEMPT_JOB_H
#define ER_AGENT_ATTEMPT_JOB_H

#include "agent/attempt/adir.h"
#include "agent/attempt/charge.h"

/* The directory the command runs in, opened; *ret_path (may be NULL) is (owned). */
int er_command_dir(const struct er_adir *dir, const struct er_spec *spec, int *ret_fd, char **ret_path,
                   struct er_err *err);

struct er_job_start {
        const struct er_charge *charge;
        uint64_t gpu_mask;
        int out_fd, err_fd; /* for its stdout and stderr; stdin is /dev/null */
};
/* Starts it in a session of its own. What could not be executed: -1, *ret_exit_code 127 (not found) or 126. */
int er_job_spawn(const struct er_job_start *start, pid_t *ret_pid, int *ret_exit_code, struct er_err *err);
/* This process becomes the command (the spec's argv), beside the job and none of its processes; without a key in
   charge->dir it is beside none and sees all GPUs. Comes back only with -1, as above. */
int er_job_become(const struct er_job_start *start, int *ret_exit_code, struct er_err *err);
/* Words of the command that its environment wants run when it is over (outside.h); none for most. */
void er_job_list_end(const struct er_charge *charge, struct er_strv *ret);

#endif

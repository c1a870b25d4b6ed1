/*
 * job.h - the command itself: its directory, its variables, its start.
 */
#ifndef ER_AGENT_ATTEMPT_JOB_H
#define ER_AGENT_ATTEMPT_JOB_H

#include "agent/attempt/adir.h"
#include "agent/attempt/charge.h"

/* Opens the directory the command runs in; *ret_path (may be NULL) is (owned). */
int er_command_dir(const struct er_adir *dir, const struct er_spec *spec, int *ret_fd, char **ret_path,
                   struct er_err *err);

struct er_job_start {
        const struct er_charge *charge;
        uint64_t gpu_mask;
        const char *gpus;   /* the same, as CUDA_VISIBLE_DEVICES says it; NULL: that stays as it is */
        int out_fd, err_fd; /* the command's stdout and stderr; its stdin is /dev/null */
};
/* Starts the command in a session of its own. -1 when it cannot be executed, with *ret_exit_code 127 (not found) or
   126. */
int er_job_spawn(const struct er_job_start *start, pid_t *ret_pid, int *ret_exit_code, struct er_err *err);
/* Turns this process into the command (the spec's argv), beside the job and not one of its processes. Without a key in
   charge->dir there is no job, and it sees all GPUs. Returns only on failure: -1, as above. */
int er_job_become(const struct er_job_start *start, int *ret_exit_code, struct er_err *err);
/* The words of the command that the environment needs run when the job is over (outside.h); usually none. */
void er_job_list_end(const struct er_charge *charge, struct er_strv *ret);

#endif

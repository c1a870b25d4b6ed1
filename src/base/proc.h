/*
 * proc.h - child processes. The only place that forks on the user's side.
 */
#ifndef ER_BASE_PROC_H
#define ER_BASE_PROC_H

#include <sys/types.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

enum er_proc_io {
        ER_PROC_INHERIT,
        ER_PROC_NULL, /* /dev/null */
        ER_PROC_PIPE, /* the other end is in struct er_proc */
        ER_PROC_FD,   /* a descriptor of the caller's, given in fds[] */
};

struct er_proc_opts {
        char *const *argv; /* argv[0] is looked up in PATH */
        const char *cwd;   /* or NULL */
        char *const *env;  /* whole environment, or NULL for ours */
        enum er_proc_io io[3];
        int fds[3];       /* for ER_PROC_FD */
        bool new_session; /* setsid: survives our terminal */
        /* Killed when we die (Linux: PR_SET_PDEATHSIG, which looks at the thread that started it: not from a worker
           thread that ends earlier than its child should). */
        bool die_with_us;
};

struct er_proc {
        pid_t pid; /* 0 when there is none */
        int io[3]; /* our ends of pipes, or -1 */
};
#define ER_PROC_INIT {0, {-1, -1, -1}}

/* A program that cannot be executed is ER_NOT_FOUND (or AUTH) naming it. */
int er_proc_start(const struct er_proc_opts *opts, struct er_proc *ret, struct er_err *err);
/* Waits until the deadline (ER_TIMEOUT, still running after). *ret_status is 0..255, or 128+signal. */
int er_proc_wait(struct er_proc *proc, er_deadline deadline, int *ret_status, struct er_err *err);
void er_proc_kill(struct er_proc *proc); /* KILL and reap */
/* Closes pipes, kills and reaps what still runs. */
void er_proc_release(struct er_proc *proc);

/* Runs to the end; stdin from `input` (may be NULL), stdout into out, stderr into errout (either may be NULL: dropped).
   Each is capped at max bytes (the rest is read and dropped). A descriptor given with ER_PROC_FD is used where there is
   no input, out or errout. It returns when the program has ended, also when a child of it still holds its stdout. */
int er_proc_run(const struct er_proc_opts *opts, struct er_sv input, struct er_str *out, struct er_str *errout,
                size_t max, er_deadline deadline, int *ret_status, struct er_err *err);

/* The full path of a program in PATH (owned), or NULL. */
char *er_proc_which(const char *name);

#endif

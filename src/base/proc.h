/*
 * proc.h - child processes. In the program, only this module forks.
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
        ER_PROC_FD,   /* the caller's descriptor in fds[] */
};

struct er_proc_opts {
        char *const *argv; /* argv[0] is searched for in PATH */
        const char *cwd;   /* or NULL */
        char *const *env;  /* the whole environment; NULL: ours */
        enum er_proc_io io[3];
        int fds[3];       /* for ER_PROC_FD */
        bool new_session; /* setsid: it survives our terminal */
        /* It is killed when we die (Linux: PR_SET_PDEATHSIG). That goes by the thread that started it, so do not use it
         * from a worker thread that ends before its child should. */
        bool die_with_us;
};

struct er_proc {
        pid_t pid; /* 0: none */
        int io[3]; /* our ends of pipes, or -1 */
};
#define ER_PROC_INIT {0, {-1, -1, -1}}

/* ER_NOT_FOUND or ER_AUTH, naming the program, if it cannot be executed. */
int er_proc_start(const struct er_proc_opts *opts, struct er_proc *ret, struct er_err *err);
/* Waits for its end. ER_TIMEOUT at the deadline; it is then still running. *ret_status is 0 to 255, or 128 + signal. */
int er_proc_wait(struct er_proc *proc, er_deadline deadline, int *ret_status, struct er_err *err);
void er_proc_kill(struct er_proc *proc); /* with SIGKILL, and reaps it */
/* Closes the pipes; kills and reaps the process if it is still running. */
void er_proc_release(struct er_proc *proc);

/* Runs a program to its end, with input on its stdin. Its stdout goes to out and its stderr to errout, each at most max
 * bytes; the rest is dropped, and so is all of it where out or errout is NULL. Where there is no input, out or errout,
 * a descriptor given with ER_PROC_FD is used. Returns when the program has ended, even if a child of it still holds its
 * stdout. */
int er_proc_run(const struct er_proc_opts *opts, struct er_sv input, struct er_str *out, struct er_str *errout,
                size_t max, er_deadline deadline, int *ret_status, struct er_err *err);

/* The full path of a program in PATH (owned), or NULL. */
char *er_proc_which(const char *name);

#endif

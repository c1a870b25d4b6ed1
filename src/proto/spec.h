/*
 * spec.h - what a job is, to both sides: the same bytes travel in SUBMIT, lie in `spec` on the host and in the store.
 * No secret's value is in it.
 */
#ifndef ER_PROTO_SPEC_H
#define ER_PROTO_SPEC_H

#include "base/err.h"
#include "base/str.h"

#define ER_TREE_HASH 32
#define ER_SPEC_MAX (768u * 1024) /* encoded: argv and environment together */

struct er_spec {
        char *run;              /* "mnist-12" */
        char *project;          /* "mnist" */
        struct er_strv argv;    /* the command, byte for byte */
        bool shell;             /* argv has one item, a line for sh -c */
        char *workdir;          /* relative to the attempt's work/, or absolute; NULL: work/ itself */
        struct er_strv env;     /* "K=V" */
        struct er_strv secrets; /* names */
        struct er_strv outputs; /* globs, relative to the directory the command runs in */
        struct er_strv hosts;   /* asked for, in order; "any"; empty: local */
        uint32_t cpus;          /* at least 1 */
        uint64_t memory;        /* bytes; 0: not asked */
        uint32_t gpus;
        int64_t time_limit_ms; /* 0: none */
        int64_t grace_ms;      /* TERM to KILL; 0: 10 s */
        uint32_t retries;      /* new attempts after lost ones */
        bool sync;             /* files travel */
        bool has_tree;         /* tree is known: the snapshot has been taken */
        unsigned char tree[ER_TREE_HASH];
        bool has_environment; /* its recipe (recipe.h) has this hash */
        unsigned char environment[ER_TREE_HASH];
};
#define ER_SPEC_INIT {.cpus = 1, .sync = true}

void er_spec_release(struct er_spec *spec);
void er_spec_encode(const struct er_spec *spec, struct er_str *out);
/* Fills a released or fresh spec. ER_REMOTE when damaged. */
int er_spec_decode(struct er_sv data, struct er_spec *ret, struct er_err *err);

/* The facts of an attempt as the host tells them (EVENT, STATUS, and the `exit` file). */
struct er_status {
        char *key; /* job key; NULL in an event */
        uint32_t attempt;
        uint64_t seq;    /* of an event; else the last event's */
        unsigned state;  /* enum er_state */
        unsigned end;    /* enum er_end */
        unsigned reason; /* enum er_reason */
        int exit_code;   /* -1: none */
        int signal;      /* 0: none */
        char *detail;
        int64_t time_ms;              /* of the event */
        int64_t started_ms, ended_ms; /* 0: not yet */
        uint64_t cpu_ms, max_rss, gpu_mem;
        uint64_t rss; /* of one that runs: at used_ms, when cpu_ms was taken too; 0: not known */
        int64_t used_ms;
        int gpu_util;      /* percent, -1: not known */
        uint64_t gpu_mask; /* GPUs given, bit n = index n */
        uint64_t log_size;
        int64_t pid;        /* of the job's first process */
        uint64_t pid_start; /* when it started, in the kernel's ticks since the boot; 0: not known */
};
#define ER_STATUS_INIT {.exit_code = -1, .gpu_util = -1}
void er_status_release(struct er_status *status);
void er_status_encode(const struct er_status *status, struct er_str *out);
void er_status_decode(struct er_sv data, struct er_status *ret);
/* Exit status of `errand run` for it: the job's, 128+n, 124 for the time limit, 137 for OOM, 220 missing output, 221
 * lost, 222 others. */
int er_status_exit(const struct er_status *status);

#endif

/*
 * spec.h - what a job is, to both sides. The same bytes travel in SUBMIT and are stored on the host (in the file
 * `spec`) and in our store. They hold no secret's value.
 *
 * Its fields are packed as those of messages are (msg.h), but have numbers of their own: see spec.c.
 */
#ifndef ER_PROTO_SPEC_H
#define ER_PROTO_SPEC_H

#include "base/err.h"
#include "base/str.h"

#define ER_TREE_HASH 32
#define ER_SPEC_GRACE_MS 10000
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
        struct er_strv hosts;   /* as asked for, in order; "any"; empty: local */
        uint32_t cpus;          /* at least 1 */
        uint64_t memory;        /* bytes; 0: not asked for */
        uint32_t gpus;          /* reserved for it; 0: it sees those that nobody has reserved ... */
        bool no_gpus;           /* ... or, with this, none */
        int64_t time_limit_ms;  /* 0: none */
        int64_t grace_ms;       /* from TERM to KILL; 0: ER_SPEC_GRACE_MS */
        uint32_t retries;       /* new attempts after lost ones */
        bool sync;              /* files travel */
        bool strict_log;        /* it has failed when output of it could not be kept */
        bool has_tree;          /* tree is known: the snapshot has been taken */
        unsigned char tree[ER_TREE_HASH];
        bool has_environment; /* the hash of its recipe (recipe.h) */
        unsigned char environment[ER_TREE_HASH];
};
#define ER_SPEC_INIT {.cpus = 1, .sync = true}

void er_spec_release(struct er_spec *spec);
void er_spec_encode(const struct er_spec *spec, struct er_str *out);
/* ret is fresh or released. ER_REMOTE if the data is damaged. */
int er_spec_decode(struct er_sv data, struct er_spec *ret, struct er_err *err);

#endif

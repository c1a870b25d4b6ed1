/* wants.h - what resolve.c finds out and assemble.c makes into a recipe. */
#ifndef ER_ENVIRONMENT_WANTS_H
#define ER_ENVIRONMENT_WANTS_H

#include "base/hash.h"
#include "environment/declaration.h"
#include "environment/requirements.h"

struct er_wants {
        const struct er_declaration *said;
        struct er_requirements pip;
        struct er_strv conda, channels, apt, julia;
        struct er_strv data;  /* absolute: uv.lock, Project.toml, ...: sent under their own names */
        struct er_strv found; /* "distribution module file:line" of what was found in scripts */
        bool only_found;      /* pip has only what was found in a script and nobody asked for */
        bool has_lock;        /* uv.lock is in data */
};

/* Content and size of a file that will be sent. */
int er_wants_hash_file(const char *path, struct er_hash *ret, uint64_t *ret_size, struct er_err *err);

/* The hash, the texts and the files. 0: nothing is wanted; 1: made. */
int er_wants_assemble(const struct er_wants *wants, struct er_recipe *ret, struct er_err *err);

#endif

/*
 * recipe.h - how an environment is built, to both sides. The same bytes travel in ENV and are stored on the host (in
 * the file `recipe`) and in our store. src/environment makes recipes, src/agent/environment follows them.
 *
 * Its fields are packed as those of messages are (msg.h), but have numbers of their own: see recipe.c.
 */
#ifndef ER_PROTO_RECIPE_H
#define ER_PROTO_RECIPE_H

#include "base/err.h"
#include "base/str.h"

#define ER_ENV_HASH 32
#define ER_RECIPE_MAX (900u * 1024)   /* encoded */
#define ER_RECIPE_AUTH "ERRAND_AUTH_" /* prefix of variables that stand for secrets in addresses */

struct er_recipe_file {
        char *name; /* one component of a path: it becomes files/<name> */
        struct er_str data;
        uint32_t mode;
        /* A large file (a wheel) is not in the recipe; its content is sent separately. */
        char *path; /* NULL: the content is `data`; else its path here (absolute) */
        uint64_t size;
        unsigned char hash[ER_ENV_HASH]; /* of its content, if path is set */
};

struct er_recipe {
        unsigned char hash[ER_ENV_HASH]; /* of the declaration */
        char *summary;                   /* one line for lists: "pip: numpy, torch==2.1; apt: ffmpeg" */
        char *declaration;               /* readable, canonical, one item per line: "pip numpy==1.26.4" */
        struct er_recipe_file *files;    /* "build.sh" among them */
        size_t file_count, file_cap;
        struct er_strv secrets; /* names of variables that the build needs; ${NAME} in the files stands for them */
        struct er_strv values;  /* "NAME=value" of those known here: never encoded, and wiped */
};
#define ER_RECIPE_INIT {0}

void er_recipe_release(struct er_recipe *recipe);
/* Appends a file with this content (copied). */
struct er_recipe_file *er_recipe_add(struct er_recipe *recipe, const char *name, struct er_sv data, uint32_t mode);
void er_recipe_encode(const struct er_recipe *recipe, struct er_str *out);
/* Adds a build's variables: the values ("NAME=value"), ERRAND_SECRETS with their names, and ERRAND_MASKED with what no
   log may show, one per line. */
void er_recipe_vars(const struct er_strv *values, struct er_strv *env);
/* ret is fresh or released. ER_REMOTE if the data is damaged. */
int er_recipe_decode(struct er_sv data, struct er_recipe *ret, struct er_err *err);

#endif

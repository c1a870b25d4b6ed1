/*
 * declaration.h - the software a job needs: what was declared (by errand.yaml, by options), and the recipe it becomes.
 * Local and without network: a host is never asked here.
 *
 * Keys in errand.yaml, the same at the top level and below each name of `environments:`
 *   apt: [PACKAGE[=VERSION], ...]
 *   conda: [SPEC, ...] | environment.yml | DIR (root of a conda environment on this machine)    channels: [NAME|URL,
 * ...] pip: [REQUIREMENT, ...] | requirements.txt | pyproject.toml | uv.lock | DIR (root of a venv on this machine) |
 * auto | none index_url, extra_index_urls: [URL, ...]   find_links: [DIR|URL, ...]   torch_backend: auto|cpu|cu121|...
 *   julia: [PACKAGE[@VERSION], ...] | Project.toml      setup: LINES      container: IMAGE
 *   python: "3.11"      fetch: auto|host|here
 */
#ifndef ER_ENVIRONMENT_DECLARATION_H
#define ER_ENVIRONMENT_DECLARATION_H

#include "base/err.h"
#include "base/str.h"
#include "base/yaml.h"
#include "proto/recipe.h"

/* Where the packages come from when the host builds. */
enum er_fetch {
        ER_FETCH_UNSAID = 0,
        ER_FETCH_AUTO, /* the host; this machine if the host cannot reach the index */
        ER_FETCH_HOST,
        ER_FETCH_HERE, /* wheels for the host's platform are downloaded here and sent */
};
const char *er_fetch_name(enum er_fetch fetch); /* "auto", "host", "here"; NULL: unsaid */
/* ER_FETCH_UNSAID for any other word. */
enum er_fetch er_fetch_of(const char *name);

/* What was said; unset members are empty or NULL. Items of a list may be names of files (see above). */
struct er_declaration {
        char *name;                                             /* of `environments:`; NULL: the project's own */
        struct er_strv apt, conda, channels, pip, julia, setup; /* setup: shell lines */
        struct er_strv extra_index_urls, find_links;
        struct er_strv also; /* packages for pip that a command of errand needs besides what is said; no key */
        char *index_url, *python, *torch_backend, *container;
        enum er_fetch fetch;
};
#define ER_DECLARATION_INIT {0}
void er_declaration_release(struct er_declaration *declaration);

/* True when `key` is one of the keys above; then its value is taken. Errors name file:line:column. */
bool er_declaration_is_key(const char *key);
int er_declaration_take(struct er_declaration *declaration, const struct er_yaml *yaml, const char *key,
                        const struct er_yaml_node *key_node, const struct er_yaml_node *value, struct er_err *err);
/* What `over` says replaces what `declaration` says, manager by manager. */
void er_declaration_overlay(struct er_declaration *declaration, const struct er_declaration *over);

/* No package of any kind is declared. */
bool er_declaration_is_empty(const struct er_declaration *declaration);

struct er_declaration_context {
        const char *project_dir;       /* names of files are relative to it */
        const char *workdir;           /* the command's directory below it, or NULL */
        const struct er_strv *command; /* argv; for `pip: auto` and PEP 723; may be NULL */
        bool shell;                    /* argv is one shell line */
};
/* Reads what the declaration names and makes the recipe. 1: made; 0: nothing is needed (no software, or only what
   Python itself has); -1: ER_CONFIG or ER_IO with the file, the line and what to try. Packages in `also` are added
   unless something declares them already, and not to an image, which has its own. With `also`, `pip: auto` covers
   every file of the project instead of those of the command, and is what a declaration without packages means. */
int er_declaration_resolve(const struct er_declaration *declaration, const struct er_declaration_context *context,
                           struct er_recipe *ret, struct er_err *err);

#endif

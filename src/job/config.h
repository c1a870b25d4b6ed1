/*
 * config.h - makes one spec of errand.yaml and the options of `errand run`. Everything is checked before anything is
 * changed; errors name file:line:column or the option, and the nearest valid key.
 *
 * Keys of errand.yaml (all optional): name, command (text or list), on (text or list), cpus, memory, gpus, files,
 * time_limit, grace, env (map), env_file, secrets (list), outputs (list), workdir, sync, retries; those of
 * declaration.h; environments (a map of names, each with those of declaration.h) and environment (which of them).
 */
#ifndef ER_JOB_CONFIG_H
#define ER_JOB_CONFIG_H

#include "base/err.h"
#include "environment/declaration.h"
#include "proto/spec.h"

/* What a file or the options say. Members that are not set are NULL, empty or negative. */
struct er_config {
        char *name;
        struct er_strv command;
        bool command_is_line; /* a shell line */
        bool command_is_argv; /* the words as they are, even if it is a single one with white space in it */
        struct er_strv on;
        int64_t cpus, gpus, retries;             /* -1: not said */
        int64_t memory, time_limit_ms, grace_ms; /* -1: not said */
        struct er_strv env;                      /* "K=V"; "K" alone: the value that it has here */
        char *env_file;
        struct er_strv secrets;
        struct er_strv outputs;
        char *workdir;
        int sync, strict_log;                   /* -1: not said */
        struct er_declaration software;         /* at the top level */
        struct er_declaration software_options; /* from options; they replace what any environment says */
        struct er_declaration *software_named;  /* (owned) `environments:` */
        size_t software_count, software_cap;
        char *environment; /* which of them */
};
#define ER_CONFIG_INIT                                                                                                 \
        {.cpus = -1,                                                                                                   \
         .gpus = -1,                                                                                                   \
         .retries = -1,                                                                                                \
         .memory = -1,                                                                                                 \
         .time_limit_ms = -1,                                                                                          \
         .grace_ms = -1,                                                                                               \
         .sync = -1,                                                                                                   \
         .strict_log = -1}
void er_config_release(struct er_config *config);

/* Reads <dir>/errand.yaml. If there is none, nothing is set. */
int er_config_load(const char *dir, struct er_config *ret, struct er_err *err);
/* What `over` sets replaces what `config` has, lists included; env is merged by name. */
void er_config_overlay(struct er_config *config, const struct er_config *over);
/* A checked spec. Reads env_file. `subdir` is the user's directory, relative to the project ("" for the project
 * itself): the default workdir. A single argument that contains white space is a line for the shell, as with ssh,
 * unless command_is_argv. */
int er_config_to_spec(const struct er_config *config, const char *project_dir, const char *subdir, struct er_spec *ret,
                      struct er_err *err);
/* The recipe of the job's environment. 1, and the spec names it; 0: the job needs none. */
int er_config_recipe(const struct er_config *config, const char *project_dir, struct er_spec *spec,
                     struct er_recipe *ret, struct er_err *err);
/* The project's name: config->name, else that of its directory with other characters than [A-Za-z0-9._-] replaced
 * (owned). */
char *er_config_project(const struct er_config *config, const char *project_dir);
/* Appends the variables of a file: lines with K=V, # comments, `export`, quotes. */
int er_env_file_load(const char *path, struct er_strv *env, struct er_err *err);

#endif

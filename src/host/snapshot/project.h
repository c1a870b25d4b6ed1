/* project.h - where a project begins. */
#ifndef ER_HOST_SNAPSHOT_PROJECT_H
#define ER_HOST_SNAPSHOT_PROJECT_H

/* The root of the project `dir` is in: the nearest directory upwards with errand.yaml, else git's top level, else dir
 * itself (owned). */
char *er_project_root(const char *dir);
/* The top of the git work tree that dir (absolute) is in (owned), or NULL. A repository in the home directory, where
   people keep their dotfiles, counts only for the home directory itself. */
char *er_git_top(const char *dir);

#endif

/*
 * lister.h - a listing in the making: reading directories, and adding what is found. Shared by listing.c, and by
 * listing_git.c, listing_walk.c and errandignore.c, which find the files. Private to src/host.
 */
#ifndef ER_HOST_SNAPSHOT_LISTER_H
#define ER_HOST_SNAPSHOT_LISTER_H

#include "host/snapshot/listing.h"

struct er_lister {
        const char *dir;
        int root_fd;
        struct er_cancel *cancel;
        struct er_listing *out;
        struct er_strv skip;   /* relative paths that never travel */
        struct er_strv nested; /* "sub/": repositories below, whose .errandignore files are their own */
        bool has_errandignore;
        bool unwatched; /* something was consulted that cannot be watched */
};

struct er_dir_item {
        const char *name; /* (borrowed) until the next reading into the same er_dir */
        uint32_t len;
        char type; /* 'd' or 'f' (anything else) */
};
struct er_dir {
        struct er_dir_item *items; /* (owned) */
        size_t len, cap;
        size_t total;             /* names in it, including those left out */
        struct er_str names;      /* NUL-separated */
        struct er_file_stat stat; /* from before it was read */
};
#define ER_DIR_INIT {.names = ER_STR_INIT}
void er_dir_release(struct er_dir *dir);
/* path "" is the project itself. 1: it was read; 0: it does not exist (any more). */
enum er_dir_want {
        ER_DIR_ALL,  /* sorted by path: the path of a directory is its name and a slash */
        ER_DIR_DIRS, /* in any order, only directories and names that begin with a dot */
};
int er_dir_read(struct er_lister *lister, const char *path, enum er_dir_want want, struct er_dir *ret,
                struct er_err *err);
bool er_dir_has(const struct er_dir *dir, const char *name);

#define ER_UNREADABLE 'x' /* type of an item in the making: a directory we may not read */
int er_lister_add(struct er_lister *lister, struct er_sv prefix, struct er_sv name, char type, struct er_err *err);
void er_lister_watch(struct er_lister *lister, const char *path, const struct er_file_stat *stat); /* copies the path */
void er_lister_watch_file(struct er_lister *lister, const char *path); /* as it is now, or its absence */
bool er_lister_skips(const struct er_lister *lister, const char *path);
/* Everything below prefix ("" or "sub/") but the usual caches. */
int er_lister_walk(struct er_lister *lister, const char *prefix, struct er_err *err);
/* The repository whose work tree has dir/prefix. 0 if git says that there is none after all. */
int er_lister_git(struct er_lister *lister, const char *prefix, unsigned depth, struct er_err *err);
/* Removes what the .errandignore files exclude. */
int er_lister_errandignore(struct er_lister *lister, struct er_err *err);
/* Adds what is to travel although git ignores it. in_git: git has made the listing. */
int er_lister_include(struct er_lister *lister, bool in_git, struct er_err *err);
/* A repository with nothing in it, through which git applies its patterns to any files: its path (owned). */
int er_lister_empty_repository(struct er_lister *lister, char **ret, struct er_err *err);
bool er_lister_is_cache(const char *name); /* one of the usual caches */

#endif

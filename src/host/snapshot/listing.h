/*
 * listing.h - which files of a project travel, by name only: what git tracks and does not ignore, or everything but the
 * usual caches; less what .errandignore takes away, results/ and errand's own directories. Private to snapshot.c.
 *
 * A listing also says what it was made from (its watches): every directory that was read, every .gitignore, git's index
 * and configuration. While all of those have the stat data they had, the listing is what it was, and nobody needs to be
 * asked again: that is what makes an unchanged project cheap.
 */
#ifndef ER_HOST_SNAPSHOT_LISTING_H
#define ER_HOST_SNAPSHOT_LISTING_H

#include <stdbool.h>
#include <sys/stat.h>
#include "base/err.h"
#include "base/cancel.h"
#include "base/str.h"

/* The stat data that change when a file does. All zero: it is not there. */
struct er_file_stat {
        uint64_t size;
        int64_t mtime_ns;
        int64_t ctime_ns;
        uint64_t ino;
        uint32_t mode; /* st_mode: type and permissions */
        uint32_t dev;  /* not compared: a device may be another after a reboot */
};
void er_file_stat_from(const struct stat *st, struct er_file_stat *ret);
bool er_file_stat_same(const struct er_file_stat *a, const struct er_file_stat *b);
/* Changed so shortly before a reading at taken_ns that a later change might leave the same stat data. */
bool er_file_stat_is_racy(const struct er_file_stat *stat, int64_t taken_ns);

/* Names that live as long as the arena, each ended by NUL. */
struct er_names {
        char **blocks; /* (owned) */
        size_t count, cap;
        char *next; /* in the last block */
        size_t room;
};
#define ER_NAMES_INIT {0}
void er_names_release(struct er_names *names);
const char *er_names_add(struct er_names *names, struct er_sv prefix, struct er_sv name);
/* Takes over what `from` holds; from is empty after. */
void er_names_merge(struct er_names *names, struct er_names *from);

struct er_listing_item {
        const char *path; /* relative to the project, NUL-terminated, (borrowed) from the listing's names */
        uint32_t len;
        char type; /* 'f': lstat will say; 'd': a directory with nothing in it that travels */
};
struct er_listing_watch {
        const char *path; /* relative to the project, or absolute; "." for the project itself */
        struct er_file_stat stat;
};
struct er_listing {
        struct er_names names;
        struct er_listing_item *items; /* (owned) in order of path by memcmp, no path twice */
        size_t len, cap;
        struct er_listing_watch *watches; /* (owned) */
        size_t watch_len, watch_cap;
        bool watched; /* the watches are all there is to watch */
};
#define ER_LISTING_INIT {0}
void er_listing_release(struct er_listing *listing);

/* dir is absolute, root_fd is open on it. ER_CONFIG when git refuses or .errandignore needs a git that is not there. */
int er_listing_make(const char *dir, int root_fd, struct er_cancel *cancel, struct er_listing *ret, struct er_err *err);
/* Nothing has changed there. */
struct er_steps;
bool er_listing_holds(const struct er_listing_watch *watch, struct er_steps *steps);
/* What else the answer depends on: git's environment, whether there is a repository. For comparing only. */
uint64_t er_listing_setting(const char *dir);

/* The top of the git work tree that dir (absolute) is in (owned), or NULL. A repository in the home directory (people
   keep their dotfiles so) counts only for the home directory itself. */
char *er_git_top(const char *dir);

/* ---- Shared by listing.c, listing_git.c and listing_walk.c only. */

struct er_lister {
        const char *dir;
        int root_fd;
        struct er_cancel *cancel;
        struct er_listing *out;
        struct er_strv skip;   /* relative paths that never travel */
        struct er_strv nested; /* "sub/": repositories below, whose .errandignore files are their own */
        bool has_errandignore;
        bool unwatched; /* something was asked that cannot be watched */
};

struct er_dir_item {
        const char *name; /* (borrowed) until the next reading into the same er_dir */
        uint32_t len;
        char type; /* 'd' or 'f' (anything else) */
};
struct er_dir {
        struct er_dir_item *items; /* (owned) */
        size_t len, cap;
        size_t total;             /* names in it, also those left out */
        struct er_str names;      /* NUL-separated */
        struct er_file_stat stat; /* from before it was read */
};
#define ER_DIR_INIT {.names = ER_STR_INIT}
void er_dir_release(struct er_dir *dir);
/* path "" is the project itself. 0 when it is not there (any more), 1 when it was read. */
enum er_dir_want {
        ER_DIR_ALL,  /* sorted as their paths are: a directory's is its name and a slash */
        ER_DIR_DIRS, /* in any order, only directories and names that begin with a dot */
};
int er_dir_read(struct er_lister *lister, const char *path, enum er_dir_want want, struct er_dir *ret,
                struct er_err *err);
bool er_dir_has(const struct er_dir *dir, const char *name);

#define ER_UNREADABLE 'x' /* type of an item while the list is being made: a directory we may not read */
int er_lister_add(struct er_lister *lister, struct er_sv prefix, struct er_sv name, char type, struct er_err *err);
void er_lister_watch(struct er_lister *lister, const char *path, const struct er_file_stat *stat); /* copies the path */
void er_lister_watch_file(struct er_lister *lister, const char *path); /* as it is now, or its absence */
bool er_lister_skips(const struct er_lister *lister, const char *path);
/* Everything below prefix ("" or "sub/") but the usual caches. */
int er_lister_walk(struct er_lister *lister, const char *prefix, struct er_err *err);
/* The repository whose work tree has dir/prefix. 0 when git says that there is none after all. */
int er_lister_git(struct er_lister *lister, const char *prefix, unsigned depth, struct er_err *err);
/* Takes away what the .errandignore files say. */
int er_lister_errandignore(struct er_lister *lister, struct er_err *err);

#endif

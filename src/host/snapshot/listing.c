/* listing.c - see listing.h. Names in order, what never travels, and .errandignore; listing_git.c and listing_walk.c
 * find them. */
#include "host/snapshot/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/proc.h"
#include "host/snapshot/gitrun.h"
#include "host/snapshot/scan.h"
#include "proto/tree.h"

extern char **environ;

#define NAMES_BLOCK ((size_t)256 * 1024)
#define SECOND_NS ((int64_t)1000 * 1000 * 1000)
#define RACY_COARSE_NS (2 * SECOND_NS) /* the coarsest time stamps in use: FAT */
#define RACY_FINE_NS (SECOND_NS / 10)  /* Linux stamps with its tick, 10 ms at most */
#define FILES_MAX ((size_t)1 << 26)

/* ---- Stat data */

static int64_t timespec_ns(const struct timespec *ts)
{
        return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

void er_file_stat_from(const struct stat *st, struct er_file_stat *ret)
{
        *ret = (struct er_file_stat){
                .size = (uint64_t)st->st_size,
#ifdef __APPLE__
                .mtime_ns = timespec_ns(&st->st_mtimespec),
                .ctime_ns = timespec_ns(&st->st_ctimespec),
#else
                .mtime_ns = timespec_ns(&st->st_mtim),
                .ctime_ns = timespec_ns(&st->st_ctim),
#endif
                .ino = (uint64_t)st->st_ino,
                .mode = (uint32_t)st->st_mode,
                .dev = (uint32_t)st->st_dev,
        };
}

bool er_file_stat_same(const struct er_file_stat *a, const struct er_file_stat *b)
{
        return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->ino == b->ino &&
               a->mode == b->mode;
}

bool er_file_stat_is_racy(const struct er_file_stat *stat, int64_t taken_ns)
{
        int64_t latest = stat->mtime_ns > stat->ctime_ns ? stat->mtime_ns : stat->ctime_ns;
        bool coarse = stat->mtime_ns % SECOND_NS == 0 && stat->ctime_ns % SECOND_NS == 0;

        return latest >= taken_ns - (coarse ? RACY_COARSE_NS : RACY_FINE_NS);
}

/* ---- Names */

void er_names_release(struct er_names *names)
{
        for (size_t i = 0; i < names->count; i++)
                free(names->blocks[i]);
        free(names->blocks);
        *names = (struct er_names)ER_NAMES_INIT;
}

static void names_block(struct er_names *names, char *block)
{
        names->blocks = er_grow(names->blocks, &names->cap, names->count + 1, sizeof *names->blocks);
        names->blocks[names->count++] = block;
}

const char *er_names_add(struct er_names *names, struct er_sv prefix, struct er_sv name)
{
        size_t len = prefix.len + name.len + 1;
        char *at;

        if (len > names->room) {
                size_t block = len > NAMES_BLOCK ? len : NAMES_BLOCK;

                names->next = er_malloc(block);
                names->room = block;
                names_block(names, names->next);
        }
        at = names->next;
        if (prefix.len)
                memcpy(at, prefix.ptr, prefix.len);
        if (name.len)
                memcpy(at + prefix.len, name.ptr, name.len);
        at[len - 1] = '\0';
        names->next += len;
        names->room -= len;
        return at;
}

void er_names_merge(struct er_names *names, struct er_names *from)
{
        for (size_t i = 0; i < from->count; i++)
                names_block(names, from->blocks[i]);
        /* The block that is being filled is the last one no more. */
        names->room = 0;
        free(from->blocks);
        *from = (struct er_names)ER_NAMES_INIT;
}

/* ---- Directories */

void er_dir_release(struct er_dir *dir)
{
        free(dir->items);
        er_str_release(&dir->names);
        *dir = (struct er_dir)ER_DIR_INIT;
}

/* ---- The list */

void er_listing_release(struct er_listing *listing)
{
        er_names_release(&listing->names);
        free(listing->items);
        free(listing->watches);
        *listing = (struct er_listing)ER_LISTING_INIT;
}

static int show_err(struct er_err *err, enum er_code code, struct er_sv path, const char *what)
{
        er_auto(er_str) shown = ER_STR_INIT;

        er_quote_show(&shown, path.ptr, path.len < 200 ? path.len : 200);
        return er_err_set(err, code, "%s: %s", shown.buf, what);
}

int er_lister_add(struct er_lister *lister, struct er_sv prefix, struct er_sv name, char type, struct er_err *err)
{
        struct er_listing *out = lister->out;
        size_t len = prefix.len + name.len;

        if (len > ER_TREE_PATH_MAX)
                return show_err(err, ER_STATE, name, "its path is too long to travel");
        if (out->len >= FILES_MAX)
                return er_err_set(err, ER_STATE, "%s: too many files to list", lister->dir);
        out->items = er_grow(out->items, &out->cap, out->len + 1, sizeof *out->items);
        out->items[out->len++] = (struct er_listing_item){
                .path = er_names_add(&out->names, prefix, name),
                .len = (uint32_t)len,
                .type = type,
        };
        return 0;
}

void er_lister_watch(struct er_lister *lister, const char *path, const struct er_file_stat *stat)
{
        struct er_listing *out = lister->out;

        out->watches = er_grow(out->watches, &out->watch_cap, out->watch_len + 1, sizeof *out->watches);
        out->watches[out->watch_len++] = (struct er_listing_watch){
                .path = er_names_add(&out->names, ER_SV(""), er_sv(path[0] ? path : ".")),
                .stat = *stat,
        };
}

void er_lister_watch_file(struct er_lister *lister, const char *path)
{
        struct er_file_stat stat = {0};
        struct stat st;

        /* Followed: git reads its files through symlinks (dotfiles often are some). */
        if (fstatat(lister->root_fd, path, &st, 0) == 0)
                er_file_stat_from(&st, &stat);
        er_lister_watch(lister, path, &stat);
}

bool er_lister_skips(const struct er_lister *lister, const char *path)
{
        return er_strv_has(&lister->skip, path);
}

static int compare(const struct er_listing_item *a, const struct er_listing_item *b)
{
        int order = memcmp(a->path, b->path, a->len < b->len ? a->len : b->len);

        return order ? order : (a->len > b->len) - (a->len < b->len);
}

static size_t run_end(const struct er_listing *listing, size_t at)
{
        while (at + 1 < listing->len && compare(&listing->items[at], &listing->items[at + 1]) <= 0)
                at++;
        return at + 1 < listing->len ? at + 1 : listing->len;
}

/* A natural merge sort: the sources are sorted each, so this is one merge where qsort would compare everything again.
 */
static void sort(struct er_listing *listing)
{
        struct er_listing_item *spare = NULL;

        while (listing->len > 0 && run_end(listing, 0) < listing->len) {
                size_t at = 0, out = 0;

                if (!spare)
                        spare = er_malloc(listing->cap * sizeof *spare);
                while (at < listing->len) {
                        size_t left = at, middle = run_end(listing, left);
                        size_t right = middle, end = middle < listing->len ? run_end(listing, middle) : middle;

                        while (left < middle && right < end)
                                spare[out++] = compare(&listing->items[right], &listing->items[left]) < 0
                                                       ? listing->items[right++]
                                                       : listing->items[left++];
                        while (left < middle)
                                spare[out++] = listing->items[left++];
                        while (right < end)
                                spare[out++] = listing->items[right++];
                        at = end;
                }
                struct er_listing_item *sorted = spare;

                spare = listing->items;
                listing->items = sorted;
        }
        free(spare);
}

/* Below (or the same as) one of the paths that never travel. */
static bool never_travels(const struct er_lister *lister, struct er_sv path)
{
        for (size_t i = 0; i < lister->skip.len; i++) {
                struct er_sv skip = er_sv(lister->skip.items[i]);

                if (er_sv_starts(path, skip) && (path.len == skip.len || path.ptr[skip.len] == '/'))
                        return true;
        }
        return false;
}

/* Unmerged files come three times from git. */
static void tidy(struct er_lister *lister)
{
        struct er_listing *listing = lister->out;
        size_t kept = 0;

        for (size_t i = 0; i < listing->len; i++) {
                const struct er_listing_item *item = &listing->items[i];

                if (never_travels(lister, er_svn(item->path, item->len)))
                        continue;
                if (kept > 0 && compare(&listing->items[kept - 1], item) == 0) {
                        /* Tracked as a file or submodule, found as an empty directory: that is what it is now. */
                        if (item->type == 'd')
                                listing->items[kept - 1].type = 'd';
                        continue;
                }
                listing->items[kept++] = *item;
        }
        listing->len = kept;
}

static int check_readable(const struct er_listing *listing, struct er_err *err)
{
        for (size_t i = 0; i < listing->len; i++) {
                if (listing->items[i].type != ER_UNREADABLE)
                        continue;
                show_err(err, ER_AUTH, er_svn(listing->items[i].path, listing->items[i].len),
                         "a directory that may not be read");
                return er_err_hint(err, "make it readable, or name it in .errandignore");
        }
        return 0;
}

/* ---- What never travels: results/, and errand's own directories where they lie inside the project. */

static void skip_below(struct er_lister *lister, char *full)
{
        er_autofree char *path = er_path_abs(full);
        size_t len = strlen(lister->dir);

        free(full);
        if (er_streq(lister->dir, "/"))
                len = 0;
        if (er_starts(path, lister->dir) && path[len] == '/' && path[len + 1])
                er_strv_add(&lister->skip, path + len + 1);
}

static void find_skips(struct er_lister *lister)
{
        const char *own = getenv("ERRAND_HOME");
        er_autofree char *home = er_dir_home();

        er_strv_add(&lister->skip, "results");
        skip_below(lister, er_dir_state());
        skip_below(lister, er_dir_cache());
        skip_below(lister, er_path_join(home, ".errand")); /* the agent's, when this machine is a host too */
        if (own && own[0])
                skip_below(lister, er_strdup(own));
}

/* ---- .errandignore */

/* A repository with nothing in it: through it git applies its rules to files that are in none, or in another one. */
static int empty_repository(struct er_lister *lister, char **ret, struct er_err *err)
{
        er_autofree char *cache = er_dir_cache();
        er_autofree char *path = er_path_join(cache, "empty.git");
        er_autofree char *head = er_path_join(path, "HEAD");
        const char *args[] = {"init", "-q", "--bare", "--template=", path, NULL};
        er_auto(er_git) git = ER_GIT_INIT;

        if (!er_file_exists(AT_FDCWD, head)) {
                if (er_mkdir_p(AT_FDCWD, cache, 0700, err) < 0)
                        return -1;
                git.args = args;
                if (er_git_run(&git, cache, lister->cancel, err) < 0)
                        return -1;
                if (git.status != 0)
                        return er_git_failed(&git, path, err);
        }
        *ret = er_take(path);
        return 0;
}

/* Adds what .errandignore files say below prefix to gone: files, and directories of which nothing is left. */
static int find_ignored(struct er_lister *lister, const char *repository, const char *prefix, struct er_map *gone,
                        struct er_err *err)
{
        er_autofree char *tree = er_path_join(lister->dir, prefix);
        er_autofree char *git_dir = er_fmt("--git-dir=%s", repository);
        er_autofree char *work_tree = er_fmt("--work-tree=%s", tree);
        const char *args[] = {git_dir, work_tree, "ls-files",    "-z",
                              "-o",    "-i",      "--directory", "--exclude-per-directory=.errandignore",
                              NULL};
        er_auto(er_git) git = ER_GIT_INIT;
        er_auto(er_str) path = ER_STR_INIT;
        struct er_sv rest, name;

        git.args = args;
        if (er_git_run(&git, tree, lister->cancel, err) < 0)
                return -1;
        if (git.status != 0)
                return er_git_failed(&git, tree, err);
        rest = er_svn(git.out.buf, git.out.len);
        while (er_sv_cut(&rest, '\0', &name)) {
                while (name.len > 0 && name.ptr[name.len - 1] == '/')
                        name.len--;
                if (name.len == 0)
                        continue;
                er_str_reset(&path);
                er_str_add(&path, prefix);
                er_str_addn(&path, name.ptr, name.len);
                er_map_set(gone, path.buf, path.len, lister);
        }
        return 0;
}

/* It, or a directory above it, is in the map. */
static bool is_in(const struct er_map *map, const char *path, size_t len)
{
        if (er_map_get(map, path, len))
                return true;
        for (size_t i = 1; i < len; i++)
                if (path[i] == '/' && er_map_get(map, path, i))
                        return true;
        return false;
}

int er_lister_errandignore(struct er_lister *lister, struct er_err *err)
{
        struct er_listing *listing = lister->out;
        er_autofree char *git = er_proc_which("git");
        er_autofree char *repository = NULL;
        er_auto(er_map) gone = ER_MAP_INIT;
        size_t kept = 0;

        if (!git) {
                er_err_set(err, ER_CONFIG,
                           "%s has an .errandignore, which errand reads through git, and there is no git", lister->dir);
                return er_err_hint(err, "install git, or take .errandignore away");
        }
        if (empty_repository(lister, &repository, err) < 0 || find_ignored(lister, repository, "", &gone, err) < 0)
                return er_err_wrap(err, "reading .errandignore");
        for (size_t i = 0; i < lister->nested.len; i++) {
                const char *prefix = lister->nested.items[i];

                if (!is_in(&gone, prefix, strlen(prefix)) && find_ignored(lister, repository, prefix, &gone, err) < 0)
                        return er_err_wrap(err, "reading .errandignore");
        }
        if (gone.len == 0)
                return 0;
        for (size_t i = 0; i < listing->len; i++)
                if (!is_in(&gone, listing->items[i].path, listing->items[i].len))
                        listing->items[kept++] = listing->items[i];
        listing->len = kept;
        return 0;
}

/* ---- The whole */

uint64_t er_listing_setting(const char *dir)
{
        /* Not all of GIT_ and XDG_: some are another in every terminal, and decide nothing here. */
        static const char *const deciding[] = {
                "GIT_CONFIG",
                "GIT_CEILING_DIRECTORIES=",
                "GIT_DISCOVERY_ACROSS_FILESYSTEM=",
                "HOME=",
                "XDG_CONFIG_HOME=",
                "XDG_STATE_HOME=",
                "XDG_CACHE_HOME=",
                "ERRAND_HOME=",
        };
        er_auto(er_strv) texts = ER_STRV_INIT;
        er_auto(er_str) all = ER_STR_INIT;
        er_autofree char *top = er_git_top(dir);

        for (char **item = environ; *item; item++)
                for (size_t i = 0; i < ER_LEN(deciding); i++)
                        if (er_starts(*item, deciding[i]))
                                er_strv_add(&texts, *item);
        er_strv_sort(&texts); /* the order of an environment means nothing */
        for (size_t i = 0; i < texts.len; i++)
                er_str_addn(&all, texts.items[i], strlen(texts.items[i]) + 1);
        er_str_add(&all, top ? top : "");
        return er_hash64(all.buf, all.len);
}

/* File systems that change a directory's times whenever a name in it comes or goes, and let us see it at once. Network
   file systems answer from caches of their own; what is unknown is not trusted. */
static bool directory_times_hold(int root_fd)
{
#ifdef __linux__
        static const unsigned long trusted[] = {
                0xef53 /* ext2, 3, 4 */, 0x58465342 /* xfs */,  0x9123683e /* btrfs */,   0x01021994 /* tmpfs */,
                0x2fc12fc1 /* zfs */,    0xf2f52010 /* f2fs */, 0x794c7630 /* overlay */, 0xca451a4e /* bcachefs */,
        };
        struct statfs fs;

        if (fstatfs(root_fd, &fs) == 0)
                for (size_t i = 0; i < ER_LEN(trusted); i++)
                        if ((unsigned long)fs.f_type == trusted[i])
                                return true;
#else
        (void)root_fd;
#endif
        return false;
}

static bool watches_are_here(const struct er_listing *listing, int root_fd)
{
        struct stat st;

        if (!directory_times_hold(root_fd) || fstat(root_fd, &st) < 0)
                return false;
        for (size_t i = 0; i < listing->watch_len; i++) {
                const struct er_listing_watch *watch = &listing->watches[i];

                if (watch->path[0] != '/' && watch->stat.ino && watch->stat.dev != (uint32_t)st.st_dev)
                        return false; /* something is mounted inside the project */
        }
        return true;
}

bool er_listing_holds(const struct er_listing_watch *watch, struct er_steps *steps)
{
        struct er_file_stat now = {0};
        const char *rest = watch->path;
        int fd = watch->path[0] == '/' ? AT_FDCWD : er_steps_find(steps, watch->path, &rest);
        struct stat st;

        if (fd >= 0 || fd == AT_FDCWD)
                if (fstatat(fd, rest, &st, S_ISDIR(watch->stat.mode) ? AT_SYMLINK_NOFOLLOW : 0) == 0)
                        er_file_stat_from(&st, &now);
        return er_file_stat_same(&now, &watch->stat);
}

int er_listing_make(const char *dir, int root_fd, struct er_cancel *cancel, struct er_listing *ret, struct er_err *err)
{
        er_auto(er_listing) listing = ER_LISTING_INIT;
        struct er_lister lister = {.dir = dir, .root_fd = root_fd, .cancel = cancel, .out = &listing};
        er_autofree char *top = er_git_top(dir);
        er_autofree char *git = top ? er_proc_which("git") : NULL;
        int rc = 0;

        find_skips(&lister);
        if (git) {
                rc = er_lister_git(&lister, "", 0, err);
        } else if (top) {
                er_debug("snapshot", "%s is in a git repository, but there is no git: everything travels", dir);
                lister.unwatched = true;
        }
        if (rc == 0)
                rc = er_lister_walk(&lister, "", err);
        if (rc >= 0)
                rc = 0;
        if (rc == 0) {
                sort(&listing);
                if (lister.has_errandignore)
                        rc = er_lister_errandignore(&lister, err);
        }
        if (rc == 0) {
                tidy(&lister);
                rc = check_readable(&listing, err);
        }
        if (rc == 0) {
                listing.watched = !lister.unwatched && watches_are_here(&listing, root_fd);
                er_debug("snapshot", "%s: %zu names, %zu watches", dir, listing.len, listing.watch_len);
                *ret = listing;
                listing = (struct er_listing)ER_LISTING_INIT;
        }
        er_strv_release(&lister.skip);
        er_strv_release(&lister.nested);
        return rc;
}

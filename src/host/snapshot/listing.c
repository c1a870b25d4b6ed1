/* listing.c - see listing.h. Puts the names in order and leaves out what never travels. */
#include "host/snapshot/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif
#include "base/log.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/proc.h"
#include "host/snapshot/lister.h"
#include "host/snapshot/project.h"
#include "host/snapshot/steps.h"

extern char **environ;

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

/* A natural merge sort: each source is sorted, so this is a single merge, where qsort would compare everything again.
 */
static void sort(struct er_listing *listing)
{
        struct er_listing_item *spare = NULL;

        while (listing->len > 0 && run_end(listing, 0) < listing->len) {
                size_t at = 0, out = 0;
                struct er_listing_item *sorted;

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
                sorted = spare;
                spare = listing->items;
                listing->items = sorted;
        }
        free(spare);
}

/* Is, or is below, one of the paths that never travel. */
static bool never_travels(const struct er_lister *lister, struct er_sv path)
{
        for (size_t i = 0; i < lister->skip.len; i++) {
                struct er_sv skip = er_sv(lister->skip.items[i]);

                if (er_sv_starts(path, skip) && (path.len == skip.len || path.ptr[skip.len] == '/'))
                        return true;
        }
        return false;
}

/* git lists unmerged files three times. */
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
                         "the directory cannot be read");
                return er_err_hint(err, "make it readable, or exclude it in .errandignore");
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

/* ---- The whole */

uint64_t er_listing_setting(const char *dir)
{
        /* Not all of GIT_ and XDG_: some differ in every terminal, and decide nothing here. */
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
        er_strv_sort(&texts); /* the order of variables means nothing */
        for (size_t i = 0; i < texts.len; i++)
                er_str_addn(&all, texts.items[i], strlen(texts.items[i]) + 1);
        er_str_add(&all, top ? top : "");
        er_str_add(&all, "\nerrand.yaml is watched"); /* which it was not in earlier caches */
        return er_hash64(all.buf, all.len);
}

/* File systems that change the times of a directory whenever a name in it comes or goes, and show that at once.
   Network file systems answer from caches of their own; unknown ones are not trusted. */
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

/* git opens these, and would wait for a FIFO's writer. */
static int check_ignore_files(const char *dir, const char *top, struct er_err *err)
{
        static const char *const names[] = {".gitignore", ".gitattributes", ".errandignore"};
        er_autofree char *at = er_strdup(dir);

        for (;;) {
                char *above;

                for (size_t i = 0; i < ER_LEN(names); i++) {
                        er_autofree char *path = er_path_join(at, names[i]);
                        struct stat st;

                        if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                                return er_err_set(err, ER_CONFIG, "%s is not a regular file", path);
                }
                if (!top || er_streq(at, top) || er_streq(at, "/"))
                        return 0;
                above = er_path_dir(at);
                free(at);
                at = above;
        }
}

int er_listing_make(const char *dir, int root_fd, struct er_cancel *cancel, struct er_listing *ret, struct er_err *err)
{
        er_auto(er_listing) listing = ER_LISTING_INIT;
        struct er_lister lister = {.dir = dir, .root_fd = root_fd, .cancel = cancel, .out = &listing};
        er_autofree char *top = er_git_top(dir);
        er_autofree char *git = top ? er_proc_which("git") : NULL;
        bool in_git;
        int rc = 0;

        if (check_ignore_files(dir, top, err) < 0)
                return -1;
        find_skips(&lister);
        if (git) {
                rc = er_lister_git(&lister, "", 0, err);
        } else if (top) {
                er_debug("snapshot", "%s is in a git repository, but git is not installed: everything travels", dir);
                lister.unwatched = true;
        }
        in_git = rc > 0;
        if (rc == 0)
                rc = er_lister_walk(&lister, "", err);
        if (rc >= 0)
                rc = er_lister_include(&lister, in_git, err);
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

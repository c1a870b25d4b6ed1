/* listing_walk.c - reading directories, and the listing where no git decides: everything but the usual caches. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/log.h"
#include "base/parse.h"
#include "host/snapshot/listing.h"

/* What programs make again by themselves, and what belongs to this machine only. Also said in snapshot.h and the
 * manual. */
static const char *const caches[] = {
        ".git",          ".hg",         ".svn", "__pycache__", ".venv",   "node_modules", ".mypy_cache",
        ".pytest_cache", ".ruff_cache", ".tox", ".nox",        ".direnv", ".DS_Store",    ".ipynb_checkpoints",
};

static bool is_cache(const char *name)
{
        for (size_t i = 0; i < ER_LEN(caches); i++)
                if (er_streq(name, caches[i]))
                        return true;
        return false;
}

static int open_dir(int root_fd, const char *path)
{
        return openat(root_fd, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int dir_err(struct er_err *err, int errnum, const char *path)
{
        er_auto(er_str) shown = ER_STR_INIT;

        er_quote_show(&shown, path, strlen(path));
        return er_err_errno(err, errnum, "read the directory %s", path[0] ? shown.buf : ".");
}

static bool is_dir(int fd, const struct dirent *entry)
{
        struct stat st;

#ifdef DT_DIR
        if (entry->d_type != DT_UNKNOWN)
                return entry->d_type == DT_DIR;
#endif
        return fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int compare_items(const void *left, const void *right)
{
        const struct er_dir_item *a = left, *b = right;
        size_t shorter = a->len < b->len ? a->len : b->len;
        int order = memcmp(a->name, b->name, shorter);
        unsigned char end_a, end_b;

        if (order)
                return order;
        end_a = (unsigned char)(a->len > shorter ? a->name[shorter] : a->type == 'd' ? '/' : '\0');
        end_b = (unsigned char)(b->len > shorter ? b->name[shorter] : b->type == 'd' ? '/' : '\0');
        return (int)end_a - (int)end_b;
}

/* Now that the buffer of the names does not move any more. */
static void set_names(struct er_dir *dir)
{
        const char *name = dir->names.buf;

        for (size_t i = 0; i < dir->len; i++) {
                dir->items[i].name = name;
                name += dir->items[i].len + 1;
        }
}

bool er_dir_has(const struct er_dir *dir, const char *name)
{
        for (size_t i = 0; i < dir->len; i++)
                if (er_streq(dir->items[i].name, name))
                        return true;
        return false;
}

int er_dir_read(struct er_lister *lister, const char *path, enum er_dir_want want, struct er_dir *ret,
                struct er_err *err)
{
        int fd = open_dir(lister->root_fd, path), errnum;
        struct dirent *entry;
        struct stat st;
        DIR *stream;

        ret->len = ret->total = 0;
        er_str_reset(&ret->names);
        if (lister->cancel && er_cancel_fired(lister->cancel)) {
                er_closep(&fd);
                return er_err_set(err, ER_CANCELLED, "cancelled while listing the project's files");
        }
        if (fd < 0 && path[0] && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
                return 0;
        /* Whether that matters is known when .errandignore has been read. */
        if (fd < 0 && path[0] && (errno == EACCES || errno == EPERM))
                return er_lister_add(lister, ER_SV(""), er_sv(path), ER_UNREADABLE, err);
        if (fd < 0)
                return dir_err(err, errno, path);
        if (fstat(fd, &st) < 0 || !(stream = fdopendir(fd))) {
                errnum = errno;
                er_closep(&fd);
                return dir_err(err, errnum, path);
        }
        er_file_stat_from(&st, &ret->stat);
        for (;;) {
                size_t len;
                bool dir;

                errno = 0;
                entry = readdir(stream);
                if (!entry)
                        break;
                if (er_streq(entry->d_name, ".") || er_streq(entry->d_name, ".."))
                        continue;
                ret->total++;
                dir = is_dir(fd, entry);
                if (want == ER_DIR_DIRS && !dir && entry->d_name[0] != '.')
                        continue;
                len = strlen(entry->d_name);
                ret->items = er_grow(ret->items, &ret->cap, ret->len + 1, sizeof *ret->items);
                ret->items[ret->len++] = (struct er_dir_item){
                        .len = (uint32_t)len,
                        .type = dir ? 'd' : 'f',
                };
                er_str_addn(&ret->names, entry->d_name, len + 1);
        }
        errnum = errno;
        closedir(stream);
        if (errnum)
                return dir_err(err, errnum, path);
        set_names(ret);
        if (want == ER_DIR_ALL && ret->len > 1)
                qsort(ret->items, ret->len, sizeof *ret->items, compare_items);
        return 1;
}

/* ---- The walk: directories that have been read and are not through yet, from the project down. */

struct level {
        struct er_dir dir;
        size_t at;       /* next item */
        size_t path_len; /* of the walk's path while in this directory */
        bool empty;      /* nothing in it travels so far */
};
struct walk {
        struct er_lister *lister;
        struct level *levels;
        size_t depth, cap;
        struct er_str path; /* "" or "a/b/" */
};

/* Goes into the directory that walk->path names, without a slash. 0 when it is not to be entered. */
static int enter(struct walk *walk, struct er_err *err)
{
        struct er_lister *lister = walk->lister;
        struct level *level;
        int rc;

        if (walk->depth == walk->cap) {
                size_t before = walk->cap;

                walk->levels = er_grow(walk->levels, &walk->cap, walk->depth + 1, sizeof *walk->levels);
                for (size_t i = before; i < walk->cap; i++)
                        walk->levels[i].dir = (struct er_dir)ER_DIR_INIT;
        }
        level = &walk->levels[walk->depth];
        level->at = 0;
        level->empty = true;
        rc = er_dir_read(lister, walk->path.buf, ER_DIR_ALL, &level->dir, err);
        if (rc <= 0)
                return rc;
        er_lister_watch(lister, walk->path.buf, &level->dir.stat);
        if (walk->depth > 0 && er_dir_has(&level->dir, "pyvenv.cfg")) {
                er_debug("snapshot", "%s is a virtual environment: skipped", walk->path.buf);
                return 0;
        }
        if (walk->path.len > 0)
                er_str_addc(&walk->path, '/');
        level->path_len = walk->path.len;
        if (er_dir_has(&level->dir, ".errandignore")) {
                lister->has_errandignore = true;
                er_str_add(&walk->path, ".errandignore");
                er_lister_watch_file(lister, walk->path.buf);
                er_str_cut(&walk->path, level->path_len);
        }
        walk->depth++;
        return 1;
}

static int leave(struct walk *walk, struct er_err *err)
{
        struct level *level = &walk->levels[--walk->depth];

        er_str_cut(&walk->path, level->path_len);
        if (walk->depth > 0)
                walk->levels[walk->depth - 1].empty = false;
        if (!level->empty || walk->path.len == 0)
                return 0;
        return er_lister_add(walk->lister, ER_SV(""), er_svn(walk->path.buf, walk->path.len - 1), 'd', err);
}

static int step(struct walk *walk, struct er_err *err)
{
        struct level *level = &walk->levels[walk->depth - 1];
        const struct er_dir_item *item;
        const char *name;

        if (level->at == level->dir.len)
                return leave(walk, err);
        item = &level->dir.items[level->at];
        name = item->name;
        level->at++;
        if (is_cache(name))
                return 0;
        er_str_cut(&walk->path, level->path_len);
        er_str_addn(&walk->path, name, item->len);
        if (er_lister_skips(walk->lister, walk->path.buf))
                return 0;
        if (item->type == 'd')
                return enter(walk, err) < 0 ? -1 : 0;
        level->empty = false;
        return er_lister_add(walk->lister, ER_SV(""), er_svn(walk->path.buf, walk->path.len), 'f', err);
}

int er_lister_walk(struct er_lister *lister, const char *prefix, struct er_err *err)
{
        struct walk walk = {.lister = lister, .path = ER_STR_INIT};
        int rc;

        er_str_addn(&walk.path, prefix, prefix[0] ? strlen(prefix) - 1 : 0);
        rc = enter(&walk, err);
        while (rc >= 0 && walk.depth > 0)
                rc = step(&walk, err);
        for (size_t i = 0; i < walk.cap; i++)
                er_dir_release(&walk.levels[i].dir);
        free(walk.levels);
        er_str_release(&walk.path);
        return rc < 0 ? -1 : 0;
}

/* listing_walk.c - the listing where no git decides: everything but the usual caches. */
#include "base/log.h"
#include "host/snapshot/lister.h"

/* What programs make again by themselves, and what belongs to this machine only. Also listed in snapshot.h and the
   manual. */
static const char *const caches[] = {
        ".git",          ".hg",         ".svn", "__pycache__", ".venv",   "node_modules", ".mypy_cache",
        ".pytest_cache", ".ruff_cache", ".tox", ".nox",        ".direnv", ".DS_Store",    ".ipynb_checkpoints",
};

bool er_lister_is_cache(const char *name)
{
        for (size_t i = 0; i < ER_LEN(caches); i++)
                if (er_streq(name, caches[i]))
                        return true;
        return false;
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

/* Enters the directory that walk->path names, without a slash. 0 if it is not to be entered. */
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
        if (er_lister_is_cache(name))
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

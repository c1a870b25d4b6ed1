/*
 * listing_git.c - the listing of a git work tree. Git says what it tracks and what it neither tracks nor ignores, but
 * not which directories are empty. So all directories it looked into are read once more here, which also gives the
 * watches.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/path.h"
#include "host/snapshot/gitrun.h"
#include "host/snapshot/lister.h"
#include "host/snapshot/project.h"

#define NESTING_MAX 32u

/* A directory to read. */
struct folder {
        const char *path; /* relative to the project, without a slash at the end; "" is the project */
        size_t parent;    /* index of the folder it was found in */
        bool travels;     /* something in it or below it travels */
};
/* Directories that git did not mention: ignored, empty, or holding only ignored files. */
struct candidates {
        struct folder *items;
        size_t len, cap;
};
struct repository {
        struct er_lister *lister;
        const char *prefix; /* "" or "sub/" */
        char *cwd;          /* (owned) dir/prefix */
        size_t first_item, tracked_end;
        struct folder *folders;
        size_t len, cap, read; /* the first `read` of them have been read */
        struct candidates candidates;
        struct er_map known;   /* paths of all folders, and of repositories below */
        struct er_strv nested; /* these repositories: "sub/" */
        struct er_strv odd;    /* directories where git tracks something that is not a repository */
        struct er_names names;
};

static char mark; /* what the maps point to */

static void add_folder(struct repository *repo, const char *path, size_t parent, bool travels)
{
        repo->folders = er_grow(repo->folders, &repo->cap, repo->len + 1, sizeof *repo->folders);
        repo->folders[repo->len++] = (struct folder){path, parent, travels};
}

static int add_names(struct repository *repo, const struct er_str *out, struct er_err *err)
{
        struct er_sv rest = er_svn(out->buf, out->len), name, prefix = er_sv(repo->prefix);

        while (er_sv_cut(&rest, '\0', &name)) {
                if (name.len == 0)
                        continue;
                if (name.ptr[name.len - 1] == '/') {
                        /* Only a repository of its own is named like this: git does not look into it. */
                        er_strv_addf(&repo->nested, "%s%s", repo->prefix, name.ptr);
                        continue;
                }
                if (er_lister_add(repo->lister, prefix, name, 'f', err) < 0)
                        return -1;
        }
        return 0;
}

/* Adds every directory on the way to a path that is not a folder yet. `before` is a path whose directories have all
   been added. */
static void add_parents(struct repository *repo, const char *path, size_t len, const char *before)
{
        size_t i = strlen(repo->prefix);

        if (before) {
                size_t common = 0;

                while (before[common] && before[common] == path[common])
                        common++;
                if (common > i)
                        i = common;
        }
        for (; i < len; i++) {
                if (path[i] != '/' || er_map_get(&repo->known, path, i))
                        continue;
                er_map_set(&repo->known, path, i, &mark);
                add_folder(repo, er_names_add(&repo->names, ER_SV(""), er_svn(path, i)), 0, true);
        }
}

/* The directories of the items from `first` on. */
static void find_folders(struct repository *repo, size_t first)
{
        const struct er_listing *listing = repo->lister->out;
        const char *before = NULL;

        for (size_t i = first; i < listing->len; i++) {
                add_parents(repo, listing->items[i].path, listing->items[i].len, before);
                before = listing->items[i].path;
        }
}

static void find_nested_folders(struct repository *repo)
{
        for (size_t i = 0; i < repo->nested.len; i++) {
                size_t len = strlen(repo->nested.items[i]) - 1;

                add_parents(repo, repo->nested.items[i], len, NULL);
                er_map_set(&repo->known, repo->nested.items[i], len, &mark);
        }
}

/* Tracked files are in order. */
static bool is_tracked(const struct repository *repo, const char *path)
{
        const struct er_listing *listing = repo->lister->out;
        size_t low = repo->first_item, high = repo->tracked_end;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(listing->items[middle].path, path);

                if (order == 0)
                        return true;
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return false;
}

/* A directory where git tracks something: a submodule, or a file that used to be there. */
static void add_tracked_directory(struct repository *repo, const char *path)
{
        er_autofree char *git = er_fmt("%s/.git", path);

        if (er_file_exists(repo->lister->root_fd, git))
                er_strv_addf(&repo->nested, "%s/", path);
        else
                er_strv_add(&repo->odd, path);
}

/* Submodules that are not checked out: git looks into none, so their contents travel. */
static int list_odd(struct repository *repo, struct er_err *err)
{
        static const char *const args[] = {"ls-files", "-z", "-s", NULL};
        er_auto(er_git) git = ER_GIT_INIT;
        struct er_sv rest, line;

        if (repo->odd.len == 0)
                return 0;
        repo->lister->unwatched = true; /* not all of them are read */
        git.args = args;
        if (er_git_run(&git, repo->cwd, repo->lister->cancel, err) < 0)
                return -1;
        if (git.status != 0)
                return er_git_failed(&git, repo->cwd, err);
        rest = er_svn(git.out.buf, git.out.len);
        while (er_sv_cut(&rest, '\0', &line)) {
                const char *tab = line.len > 0 ? memchr(line.ptr, '\t', line.len) : NULL;
                er_autofree char *path = NULL, *prefix = NULL;

                if (!tab || !er_sv_starts(line, ER_SV("160000 "))) /* git's mode of a submodule */
                        continue;
                path = er_fmt("%s%s", repo->prefix, tab + 1);
                prefix = er_fmt("%s/", path);
                if (er_strv_has(&repo->odd, path) && er_lister_walk(repo->lister, prefix, err) < 0)
                        return -1;
        }
        return 0;
}

static int read_folder(struct repository *repo, size_t at, struct er_dir *dir, struct er_err *err)
{
        struct er_lister *lister = repo->lister;
        struct candidates *candidates = &repo->candidates;
        const char *path = repo->folders[at].path;
        er_auto(er_str) full = ER_STR_INIT;
        size_t base;
        int rc = er_dir_read(lister, path, ER_DIR_DIRS, dir, err);

        if (rc <= 0)
                return rc;
        er_lister_watch(lister, path, &dir->stat);
        if (dir->total == 0)
                repo->folders[at].travels = false; /* its tracked files are all gone, but it may still be wanted */
        er_str_add(&full, path);
        if (full.len > 0)
                er_str_addc(&full, '/');
        base = full.len;
        for (size_t i = 0; i < dir->len; i++) {
                const struct er_dir_item *item = &dir->items[i];

                if (item->type != 'd' && item->name[0] != '.')
                        continue;
                er_str_cut(&full, base);
                er_str_addn(&full, item->name, item->len);
                if (er_streq(item->name, ".gitignore") || er_streq(item->name, ".errandignore")) {
                        lister->has_errandignore |= item->name[1] == 'e';
                        er_lister_watch_file(lister, full.buf);
                }
                if (item->type != 'd' || er_streq(item->name, ".git") || er_lister_skips(lister, full.buf) ||
                    er_map_get(&repo->known, full.buf, full.len))
                        continue;
                if (is_tracked(repo, full.buf)) {
                        add_tracked_directory(repo, full.buf);
                        continue;
                }
                candidates->items = er_grow(candidates->items, &candidates->cap, candidates->len + 1,
                                            sizeof *candidates->items);
                candidates->items[candidates->len++] = (struct folder){
                        .path = er_names_add(&repo->names, ER_SV(""), er_svn(full.buf, full.len)),
                        .parent = at,
                };
        }
        return 0;
}

/* Reads all folders not read yet. */
static int read_folders(struct repository *repo, struct er_err *err)
{
        er_auto(er_dir) dir = ER_DIR_INIT;

        for (; repo->read < repo->len; repo->read++)
                if (read_folder(repo, repo->read, &dir, err) < 0)
                        return -1;
        return 0;
}

/* Makes folders of the candidates that git does not ignore; none is left. */
static int sift_candidates(struct repository *repo, struct er_err *err)
{
        static const char *const args[] = {"check-ignore", "-z", "--stdin", NULL};
        struct candidates *candidates = &repo->candidates;
        size_t prefix_len = strlen(repo->prefix), kept = 0;
        er_auto(er_git) git = ER_GIT_INIT;
        er_auto(er_str) input = ER_STR_INIT;
        er_auto(er_map) ignored = ER_MAP_INIT;
        struct er_sv rest, name;

        for (size_t i = 0; i < candidates->len; i++) {
                const char *path = candidates->items[i].path + prefix_len;

                /* It was found before git had named the untracked files in it. */
                if (er_map_get(&repo->known, candidates->items[i].path, strlen(candidates->items[i].path)))
                        continue;
                er_str_addn(&input, path, strlen(path) + 1);
                candidates->items[kept++] = candidates->items[i];
        }
        candidates->len = 0;
        if (kept == 0)
                return 0;
        git.args = args;
        if (er_git_ask(&git, repo->cwd, er_svn(input.buf, input.len), err) < 0)
                return -1;
        if (git.status > 1) /* 1: none is ignored */
                return er_git_failed(&git, repo->cwd, err);
        rest = er_svn(git.out.buf, git.out.len);
        while (er_sv_cut(&rest, '\0', &name))
                if (name.len > 0)
                        er_map_set(&ignored, name.ptr, name.len, &mark);
        for (size_t i = 0; i < kept; i++) {
                const struct folder *folder = &candidates->items[i];

                if (!er_map_get(&ignored, folder->path + prefix_len, strlen(folder->path + prefix_len)))
                        add_folder(repo, folder->path, folder->parent, false);
        }
        return 0;
}

/* From the bottom up: a directory in which nothing travels is an item itself, and then its parent need not be. */
static int add_empty_folders(struct repository *repo, struct er_err *err)
{
        for (size_t i = repo->len; i-- > 0;) {
                const struct folder *folder = &repo->folders[i];

                if (!folder->travels && folder->path[0] &&
                    er_lister_add(repo->lister, ER_SV(""), er_sv(folder->path), 'd', err) < 0)
                        return -1;
                repo->folders[folder->parent].travels = true;
        }
        return 0;
}

/* ---- What the answers of git depend on, besides the directories and the .gitignore files in them. */

static void watch_in(struct er_lister *lister, const char *dir, const char *name)
{
        er_autofree char *path = er_path_join(dir, name);

        er_lister_watch_file(lister, path);
}

/* The directory that a small file names after `before`, or NULL. */
static char *read_pointer(const char *path, const char *before, const char *relative_to)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (er_file_read(AT_FDCWD, path, 65536, &text, NULL) < 0 || !er_starts(text.buf, before))
                return NULL;
        er_str_rtrim(&text);
        return er_path_join(relative_to, text.buf + strlen(before));
}

/* gitrepository-layout(5) */
static void watch_repository(struct er_lister *lister, const char *top)
{
        er_autofree char *dot_git = er_path_join(top, ".git");
        er_autofree char *pointed = read_pointer(dot_git, "gitdir: ", top);
        const char *git_dir = pointed ? pointed : dot_git;
        er_autofree char *common_file = er_path_join(git_dir, "commondir");
        er_autofree char *common = read_pointer(common_file, "", git_dir);

        if (pointed)
                er_lister_watch_file(lister, dot_git);
        watch_in(lister, git_dir, "index");
        watch_in(lister, git_dir, "config.worktree");
        watch_in(lister, git_dir, "HEAD"); /* includeIf.onbranch */
        watch_in(lister, common ? common : git_dir, "config");
        watch_in(lister, common ? common : git_dir, "info/exclude");
}

/* Those above the project count too. */
static void watch_gitignores_above(struct er_lister *lister, const char *top, const char *cwd)
{
        er_autofree char *at = er_strdup(cwd);

        while (strlen(at) > strlen(top)) {
                char *up = er_path_dir(at);

                free(at);
                at = up;
                watch_in(lister, at, ".gitignore");
        }
}

/* The configuration files that git has read, and the file of patterns they name. */
static void watch_configuration(struct er_lister *lister, const struct er_git *git, const char *top)
{
        const char *xdg = getenv("XDG_CONFIG_HOME");
        er_autofree char *home = er_dir_home();
        er_autofree char *config = xdg && xdg[0] ? er_strdup(xdg) : er_path_join(home, ".config");
        er_autofree char *excludes = NULL;
        struct er_sv rest = er_svn(git->out.buf, git->out.len), origin, item;
        struct er_sv before = ER_SV(""), key = ER_SV("core.excludesfile\n");

        watch_in(lister, home, ".gitconfig");
        watch_in(lister, config, "git/config");
        watch_in(lister, config, "git/ignore");
        er_lister_watch_file(lister, "/etc/gitconfig");
        while (er_sv_cut(&rest, '\0', &origin) && er_sv_cut(&rest, '\0', &item)) {
                if (!er_sv_eq(origin, before) && er_sv_starts(origin, ER_SV("file:")))
                        watch_in(lister, top, origin.ptr + 5);
                before = origin;
                if (er_sv_starts(item, key)) {
                        free(excludes);
                        excludes = er_sv_dup(er_svn(item.ptr + key.len, item.len - key.len));
                }
        }
        if (!excludes || !excludes[0])
                return;
        if (excludes[0] == '%' || (excludes[0] == '~' && excludes[1] != '/')) {
                lister->unwatched = true; /* another user's home, git's own prefix: not worth knowing */
        } else {
                er_autofree char *path = er_path_expand(excludes);

                watch_in(lister, top, path);
        }
}

/* ---- */

static int list_nested(struct repository *repo, unsigned depth, struct er_err *err)
{
        for (size_t i = 0; i < repo->nested.len; i++) {
                const char *prefix = repo->nested.items[i];
                er_autofree char *plain = er_strndup(prefix, strlen(prefix) - 1);
                int rc;

                if (er_lister_skips(repo->lister, plain))
                        continue;
                if (depth >= NESTING_MAX)
                        return er_err_set(err, ER_STATE, "%s: repositories in repositories, too deep", plain);
                er_strv_add(&repo->lister->nested, prefix);
                rc = er_lister_git(repo->lister, prefix, depth + 1, err);
                if (rc == 0)
                        rc = er_lister_walk(repo->lister, prefix, err);
                if (rc < 0)
                        return -1;
        }
        return 0;
}

/* A project in a directory that its repository ignores: nothing would travel, and nobody means that. */
static bool is_ignored(const struct repository *repo)
{
        static const char *const args[] = {"check-ignore", "-q", ".", NULL};
        er_auto(er_git) git = ER_GIT_INIT;

        git.args = args;
        return er_git_run(&git, repo->cwd, NULL, NULL) == 0 && git.status == 0;
}

enum { TRACKED, OTHERS, CONFIG, QUESTIONS };

/* 1; 0 if git says that there is no repository; -1. */
static int finish(struct repository *repo, struct er_git *git, struct er_err *err)
{
        if (er_git_finish(git, repo->cwd, repo->lister->cancel, err) < 0)
                return -1;
        if (git->status == 0)
                return 1;
        if (!strstr(git->errout.buf, "not a git repository"))
                return er_git_failed(git, repo->cwd, err);
        er_debug("snapshot", "%s: git says: %s", repo->cwd, git->errout.buf);
        repo->lister->unwatched = true;
        return 0;
}

static int watch_git(struct repository *repo, struct er_git *config, const char *top, struct er_err *err)
{
        struct er_lister *lister = repo->lister;

        if (er_git_finish(config, repo->cwd, lister->cancel, err) < 0)
                return -1;
        if (!top || config->status != 0) {
                lister->unwatched = true;
                return 0;
        }
        watch_repository(lister, top);
        watch_gitignores_above(lister, top, repo->cwd);
        watch_configuration(lister, config, top);
        return 0;
}

static int list(struct repository *repo, struct er_git gits[QUESTIONS], unsigned depth, struct er_err *err)
{
        struct er_lister *lister = repo->lister;
        er_autofree char *top = er_git_top(repo->cwd);
        size_t prefix_len = strlen(repo->prefix), untracked;
        int rc;

        for (size_t i = 0; i < QUESTIONS; i++)
                if (er_git_start(&gits[i], repo->cwd, err) < 0)
                        return -1;
        rc = finish(repo, &gits[TRACKED], err);
        if (rc <= 0)
                return rc;
        if (depth == 0 && gits[TRACKED].out.len == 0 && top && !er_streq(top, repo->cwd) && is_ignored(repo)) {
                er_debug("snapshot", "%s is ignored by the repository it is in: everything travels", repo->cwd);
                lister->unwatched = true;
                return 0;
        }
        repo->first_item = lister->out->len;
        if (add_names(repo, &gits[TRACKED].out, err) < 0)
                return -1;
        repo->tracked_end = lister->out->len;
        add_folder(repo, er_names_add(&repo->names, ER_SV(""), er_svn(repo->prefix, prefix_len ? prefix_len - 1 : 0)),
                   0, repo->tracked_end > repo->first_item);
        /* Finding the untracked files takes git longest: meanwhile we read directories. */
        find_folders(repo, repo->first_item);
        if (read_folders(repo, err) < 0)
                return -1;
        rc = finish(repo, &gits[OTHERS], err);
        if (rc <= 0)
                return rc;
        untracked = lister->out->len;
        if (add_names(repo, &gits[OTHERS].out, err) < 0)
                return -1;
        repo->folders[0].travels |= lister->out->len > untracked || repo->nested.len > 0;
        find_folders(repo, untracked);
        find_nested_folders(repo);
        er_debug("snapshot", "git named %zu files", lister->out->len - repo->first_item);
        do {
                if (read_folders(repo, err) < 0 || sift_candidates(repo, err) < 0)
                        return -1;
        } while (repo->read < repo->len);
        if (add_empty_folders(repo, err) < 0 || list_odd(repo, err) < 0 || list_nested(repo, depth, err) < 0 ||
            watch_git(repo, &gits[CONFIG], top, err) < 0)
                return -1;
        return 1;
}

int er_lister_git(struct er_lister *lister, const char *prefix, unsigned depth, struct er_err *err)
{
        static const char *const tracked[] = {"ls-files", "-z", "-c", NULL};
        static const char *const others[] = {"ls-files", "-z", "-o", "--exclude-standard", NULL};
        static const char *const config[] = {"config", "-z", "--list", "--show-origin", "--includes", NULL};
        struct er_git gits[QUESTIONS] = {ER_GIT_INIT, ER_GIT_INIT, ER_GIT_INIT};
        struct repository repo = {.lister = lister, .prefix = prefix, .cwd = er_path_join(lister->dir, prefix)};
        size_t len = strlen(repo.cwd);
        int rc;

        if (len > 1 && repo.cwd[len - 1] == '/')
                repo.cwd[len - 1] = '\0';
        gits[TRACKED].args = tracked;
        gits[OTHERS].args = others;
        gits[CONFIG].args = config;
        rc = list(&repo, gits, depth, err);
        for (size_t i = 0; i < ER_LEN(gits); i++)
                er_git_release(&gits[i]);
        free(repo.cwd);
        free(repo.folders);
        free(repo.candidates.items);
        er_map_release(&repo.known);
        er_strv_release(&repo.nested);
        er_strv_release(&repo.odd);
        er_names_release(&repo.names);
        return rc;
}

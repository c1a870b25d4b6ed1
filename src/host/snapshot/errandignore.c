/* errandignore.c - what .errandignore files exclude from a listing; git reads them, by the rules of .gitignore. */
#include <fcntl.h>
#include "base/io.h"
#include "base/map.h"
#include "base/path.h"
#include "base/proc.h"
#include "host/snapshot/gitrun.h"
#include "host/snapshot/lister.h"

/* An empty repository: through it, git applies its rules to files that are in no repository, or in another one. */
int er_lister_empty_repository(struct er_lister *lister, char **ret, struct er_err *err)
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

/* Adds what the .errandignore files below prefix exclude to gone: files, and directories of which nothing is left. */
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

/* The path, or a directory above it, is in the map. */
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
                           "%s has an .errandignore, which errand reads through git, but git is not installed",
                           lister->dir);
                return er_err_hint(err, "install git, or remove .errandignore");
        }
        if (er_lister_empty_repository(lister, &repository, err) < 0 ||
            find_ignored(lister, repository, "", &gone, err) < 0)
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

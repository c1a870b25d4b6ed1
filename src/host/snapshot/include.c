/*
 * include.c - what travels although git ignores it: `files: {include: [...]}` of errand.yaml, and the lines of
 * .errandignore files that begin with "!". Both are patterns of .gitignore, and git finds what they match, also below
 * directories that it ignores. What .errandignore excludes stays here all the same.
 */
#include <fcntl.h>
#include "base/io.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/yaml.h"
#include "host/snapshot/gitrun.h"
#include "host/snapshot/lister.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)

static char cache_mark, plain_mark; /* what the maps point to */

struct include {
        struct er_lister *lister;
        char *repository;     /* (owned) an empty one */
        struct er_map dirs;   /* those on the way to a file that matches: a cache, or not */
        struct er_map filled; /* those above a file that travels */
};

static bool is_cache_dir(struct include *include, const char *path, size_t len, const char *name)
{
        er_autofree char *config = er_fmt("%.*s/pyvenv.cfg", (int)len, path);
        const void *known = er_map_get(&include->dirs, path, len);

        if (!known) {
                known = er_lister_is_cache(name) || er_file_exists(include->lister->root_fd, config) ? &cache_mark
                                                                                                     : &plain_mark;
                er_map_set(&include->dirs, path, len, known == &cache_mark ? &cache_mark : &plain_mark);
        }
        return known == &cache_mark;
}

/* "!*.py" does not mean those in a usual cache or a virtual environment: a pattern must name that. */
static bool is_wanted(struct include *include, const char *path, const char *pattern)
{
        const char *name = path;

        for (const char *slash; (slash = strchr(name, '/')); name = slash + 1) {
                er_autofree char *plain = er_strndup(name, (size_t)(slash - name));

                if (!strstr(pattern, plain) && is_cache_dir(include, path, (size_t)(slash - path), plain))
                        return false;
        }
        for (const char *slash = path; (slash = strchr(slash, '/')); slash++)
                er_map_set(&include->filled, path, (size_t)(slash - path), &plain_mark);
        return true;
}

/* Adds the files below prefix ("" or "sub/") that the pattern matches. */
static int add_matches(struct include *include, const char *prefix, const char *pattern, size_t *ret_count,
                       struct er_err *err)
{
        struct er_lister *lister = include->lister;
        er_autofree char *tree = er_path_join(lister->dir, prefix);
        er_autofree char *git_dir = er_fmt("--git-dir=%s", include->repository);
        er_autofree char *work_tree = er_fmt("--work-tree=%s", tree);
        er_autofree char *exclude = er_fmt("--exclude=%s", pattern);
        const char *args[] = {git_dir, work_tree, "ls-files", "-z", "-o", "-i", exclude, NULL};
        er_auto(er_git) git = ER_GIT_INIT;
        struct er_sv rest, name;

        git.args = args;
        if (er_git_run(&git, tree, lister->cancel, err) < 0)
                return -1;
        if (git.status != 0)
                return er_git_failed(&git, tree, err);
        rest = er_svn(git.out.buf, git.out.len);
        while (er_sv_cut(&rest, '\0', &name)) {
                er_autofree char *path = er_fmt("%s%.*s", prefix, (int)name.len, name.ptr);

                if (name.len == 0 || name.ptr[name.len - 1] == '/' || !is_wanted(include, path, pattern))
                        continue;
                if (er_lister_add(lister, er_sv(prefix), name, 'f', err) < 0)
                        return -1;
                ++*ret_count;
        }
        return 0;
}

/* ---- errand.yaml, whose form config.c has checked */

static int add_listed(struct include *include, const struct er_yaml *yaml, struct er_err *err)
{
        const struct er_yaml_node *root = er_yaml_root(yaml), *files, *list;

        files = root && er_yaml_type(root) == ER_YAML_MAP ? er_yaml_get(root, "files") : NULL;
        list = files && er_yaml_type(files) == ER_YAML_MAP ? er_yaml_get(files, "include") : NULL;
        for (size_t i = 0; list && er_yaml_type(list) == ER_YAML_LIST && i < er_yaml_count(list); i++) {
                const struct er_yaml_node *item = er_yaml_item(list, i);
                size_t len, count = 0;
                const char *text = er_yaml_text(item, &len);

                if (!text)
                        continue;
                if (er_starts(text, "./"))
                        text += 2;
                if (add_matches(include, "", text, &count, err) < 0)
                        return -1;
                if (count == 0) {
                        er_yaml_err(yaml, item, err, "files: include: there is no file that matches \"%s\"", text);
                        return er_err_hint(err,
                                           "the patterns are those of .gitignore, from the project's directory on");
                }
        }
        return 0;
}

static int read_listed(struct er_lister *lister, struct er_yaml **ret, bool *ret_any, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;
        const struct er_yaml_node *root;

        er_lister_watch_file(lister, "errand.yaml");
        if (er_file_read(lister->root_fd, "errand.yaml", FILE_MAX_BYTES, &text, NULL) < 0 ||
            !strstr(text.buf, "include"))
                return 0;
        if (er_yaml_parse(text.buf, text.len, "errand.yaml", ret, err) < 0)
                return -1;
        root = er_yaml_root(*ret);
        *ret_any = root && er_yaml_type(root) == ER_YAML_MAP && er_yaml_get(root, "files");
        return 0;
}

/* ---- .errandignore */

static void read_patterns(struct er_lister *lister, const char *path, struct er_strv *ret)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv rest, line;

        if (er_file_read(lister->root_fd, path, FILE_MAX_BYTES, &text, NULL) < 0)
                return;
        rest = er_svn(text.buf, text.len);
        while (er_sv_cut(&rest, '\n', &line)) {
                line = er_sv_trim(line);
                if (line.len > 1 && line.ptr[0] == '!')
                        er_strv_addn(ret, line.ptr + 1, line.len - 1);
        }
}

/* Where .errandignore files are is known by the watches. */
static void find_patterns(struct er_lister *lister, struct er_strv *prefixes, struct er_strv *patterns)
{
        static const char name[] = ".errandignore";

        for (size_t i = 0; i < lister->out->watch_len; i++) {
                const char *path = lister->out->watches[i].path;
                size_t len = strlen(path), prefix = len - (sizeof name - 1);

                if (path[0] == '/' || len < sizeof name - 1 || !er_streq(path + prefix, name) ||
                    (prefix > 0 && path[prefix - 1] != '/'))
                        continue;
                read_patterns(lister, path, patterns);
                while (prefixes->len < patterns->len)
                        er_strv_addn(prefixes, path, prefix);
        }
}

/* ---- */

/* A directory that had nothing in it that travels has something now. */
static void drop_dirs(struct include *include)
{
        struct er_listing *listing = include->lister->out;
        size_t kept = 0;

        for (size_t i = 0; i < listing->len; i++)
                if (listing->items[i].type != 'd' ||
                    !er_map_get(&include->filled, listing->items[i].path, listing->items[i].len))
                        listing->items[kept++] = listing->items[i];
        listing->len = kept;
}

static int add_all(struct include *include, const struct er_yaml *yaml, const struct er_strv *prefixes,
                   const struct er_strv *patterns, struct er_err *err)
{
        size_t count = 0;

        if (er_lister_empty_repository(include->lister, &include->repository, err) < 0)
                return -1;
        for (size_t i = 0; i < patterns->len; i++)
                if (add_matches(include, prefixes->items[i], patterns->items[i], &count, err) < 0)
                        return er_err_wrap(err, "reading .errandignore");
        if (yaml && add_listed(include, yaml, err) < 0)
                return -1;
        drop_dirs(include);
        return 0;
}

int er_lister_include(struct er_lister *lister, bool in_git, struct er_err *err)
{
        struct include include = {.lister = lister, .dirs = ER_MAP_INIT, .filled = ER_MAP_INIT};
        er_auto(er_strv) prefixes = ER_STRV_INIT;
        er_auto(er_strv) patterns = ER_STRV_INIT;
        er_autoptr(er_yaml) yaml = NULL;
        er_autofree char *git = NULL;
        bool listed = false;
        int rc;

        if (read_listed(lister, &yaml, &listed, err) < 0)
                return -1;
        if (in_git && lister->has_errandignore)
                find_patterns(lister, &prefixes, &patterns);
        if (!listed && patterns.len == 0)
                return 0;
        git = er_proc_which("git");
        if (!git) {
                er_err_set(err, ER_CONFIG, "files: include is applied by git, and git is not installed");
                return er_err_hint(err, "install git");
        }
        lister->unwatched = true; /* what is below directories that git ignores */
        rc = add_all(&include, listed ? yaml : NULL, &prefixes, &patterns, err);
        free(include.repository);
        er_map_release(&include.dirs);
        er_map_release(&include.filled);
        return rc;
}

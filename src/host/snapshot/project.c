/* project.c - see project.h. Only directories are looked at; no process is started. */
#include "host/snapshot/project.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/path.h"

static bool same_dir(const char *a, const char *b)
{
        struct stat left, right;

        return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev &&
               left.st_ino == right.st_ino;
}

/* The whole machine, or all of the home directory, is never meant by somebody who is somewhere below it. */
static bool is_too_much(const char *candidate, const char *dir)
{
        er_autofree char *home = er_dir_home();

        if (same_dir(candidate, dir))
                return false;
        return er_streq(candidate, "/") || same_dir(candidate, home);
}

/* A .git that git would accept: a directory with a HEAD, or a file that says where one is (work trees, submodules). */
static bool has_git(const char *dir)
{
        er_autofree char *git = er_path_join(dir, ".git");
        er_autofree char *head = er_path_join(git, "HEAD");
        struct stat st;

        if (stat(git, &st) < 0)
                return false;
        return S_ISDIR(st.st_mode) ? er_file_exists(AT_FDCWD, head) : S_ISREG(st.st_mode);
}

/* The first of dir and its parents for which `is` holds (owned), or NULL. */
static char *find_upwards(const char *dir, bool (*is)(const char *dir))
{
        er_autofree char *at = er_strdup(dir);

        for (;;) {
                char *up;

                if (is(at))
                        return is_too_much(at, dir) ? NULL : er_take(at);
                if (er_streq(at, "/"))
                        return NULL;
                up = er_path_dir(at);
                free(at);
                at = up;
        }
}

char *er_git_top(const char *dir)
{
        char real[PATH_MAX];

        return realpath(dir, real) ? find_upwards(real, has_git) : NULL;
}

static bool has_errand_yaml(const char *dir)
{
        er_autofree char *path = er_path_join(dir, "errand.yaml");

        return er_file_exists(AT_FDCWD, path);
}

char *er_project_root(const char *dir)
{
        er_autofree char *full = er_path_abs(dir);
        char *root = find_upwards(full, has_errand_yaml);

        if (!root)
                root = er_git_top(full);
        return root ? root : er_take(full);
}

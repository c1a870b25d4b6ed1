/* dists_python.c - where the local Python keeps its packages. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/map.h"
#include "base/path.h"
#include "base/proc.h"
#include "environment/dists_python.h"

#define CACHE_MAX ((size_t)64 << 10)
#define SMALL_MAX ((size_t)4 << 10)
#define ASK_MS 5000

static bool is_dir(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void add_dir(struct er_strv *ret, const char *path)
{
        if (is_dir(path) && !er_strv_has(ret, path))
                er_strv_add(ret, path);
}

/* <prefix>/<lib>/python3.x/site-packages */
static void add_prefix(const char *prefix, const char *lib, struct er_strv *ret)
{
        er_autofree char *path = er_fmt("%s/%s", prefix, lib);
        DIR *dir = opendir(path);
        struct dirent *entry;

        if (!dir)
                return;
        while ((entry = readdir(dir)))
                if (er_starts(entry->d_name, "python3") || er_starts(entry->d_name, "pypy3")) {
                        er_autofree char *site = er_fmt("%s/%s/site-packages", path, entry->d_name);

                        add_dir(ret, site);
                }
        closedir(dir);
}

/* A python3 that is a script (pyenv, asdf) chooses the real one by files above the project: their contents go into
   the key. */
static void add_choice(const char *project_dir, struct er_str *key)
{
        static const char *const names[] = {".python-version", ".tool-versions"};
        static const char *const users[] = {"~/.pyenv/version", "~/.tool-versions"};
        const char *chosen = getenv("PYENV_VERSION");
        er_autofree char *dir = er_path_abs(project_dir);
        er_auto(er_str) text = ER_STR_INIT;

        er_str_addf(key, "%s %s\n", dir, chosen ? chosen : "");
        for (;;) {
                char *slash = strrchr(dir, '/');

                for (size_t i = 0; i < ER_LEN(names); i++) {
                        er_autofree char *path = er_fmt("%s/%s", dir, names[i]);

                        if (er_file_read(AT_FDCWD, path, SMALL_MAX, &text, NULL) == 0)
                                er_str_addn(key, text.buf, text.len);
                }
                if (!slash)
                        break;
                *slash = '\0';
        }
        for (size_t i = 0; i < ER_LEN(users); i++) {
                er_autofree char *path = er_path_expand(users[i]);

                if (er_file_read(AT_FDCWD, path, SMALL_MAX, &text, NULL) == 0)
                        er_str_addn(key, text.buf, text.len);
        }
        er_str_addc(key, '\n');
}

static bool is_script(const char *path)
{
        er_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        char begin[2];

        return fd >= 0 && er_read_full(fd, begin, 2) == 2 && begin[0] == '#' && begin[1] == '!';
}

/* sys.path as that Python reports it, kept as long as the program is the same. */
static void ask(const char *project_dir, const char *python, struct er_strv *ret)
{
        static const char *const script =
                "import sys; sys.stdout.write(''.join(p + '\\n' for p in sys.path if p.endswith('-packages')))";
        const char *argv[] = {python, "-c", script, NULL};
        er_autofree char *cache_dir = er_dir_cache(), *cache = NULL, *user = er_path_expand("~/.local/lib");
        er_auto(er_str) key = ER_STR_INIT, text = ER_STR_INIT;
        struct er_proc_opts opts = {.cwd = project_dir, .io = {ER_PROC_NULL, ER_PROC_PIPE, ER_PROC_NULL}};
        struct er_sv rest, line;
        struct stat st;
        int status = 0;

        if (stat(python, &st) < 0)
                return;
        memcpy(&opts.argv, &(const char *const *){argv}, sizeof opts.argv);
        er_str_addf(&key, "%s %lld.%09ld %lld\n", python, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                    (long long)st.st_size);
        if (stat(user, &st) == 0) /* the user's own packages will be below it, once there are any */
                er_str_addf(&key, "%s %lld\n", user, (long long)st.st_mtim.tv_sec);
        if (is_script(python))
                add_choice(project_dir, &key);
        cache = er_fmt("%s/python-%016llx", cache_dir, (unsigned long long)er_hash64(key.buf, key.len));
        if (er_file_read(AT_FDCWD, cache, CACHE_MAX, &text, NULL) < 0 ||
            !er_sv_starts(er_svn(text.buf, text.len), er_svn(key.buf, key.len))) {
                er_str_reset(&text);
                if (er_proc_run(&opts, er_svn("", 0), &text, NULL, CACHE_MAX, er_deadline_in(ASK_MS), &status, NULL) <
                            0 ||
                    status != 0)
                        return;
                er_str_addn(&key, text.buf, text.len);
                if (er_mkdir_p(AT_FDCWD, cache_dir, 0700, NULL) == 0)
                        (void)er_file_write(AT_FDCWD, cache, key.buf, key.len, 0600, false, NULL);
        } else
                er_str_drop(&text, key.len);
        rest = er_svn(text.buf, text.len);
        while (er_sv_cut(&rest, '\n', &line)) {
                er_autofree char *path = er_sv_dup(line);

                if (path[0] == '/')
                        add_dir(ret, path);
        }
}

/* The line "name = value" of a pyvenv.cfg. */
static char *venv_value(const char *root, const char *name)
{
        er_autofree char *path = er_fmt("%s/pyvenv.cfg", root);
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv rest, line, key;

        if (er_file_read(AT_FDCWD, path, CACHE_MAX, &text, NULL) < 0)
                return NULL;
        rest = er_svn(text.buf, text.len);
        while (er_sv_cut(&rest, '\n', &line))
                if (er_sv_cut(&line, '=', &key) && line.ptr && er_sv_eq(er_sv_trim(key), er_sv(name)))
                        return er_sv_dup(er_sv_trim(line));
        return NULL;
}

static bool use_prefix(const char *project_dir, const char *root, struct er_strv *ret)
{
        er_autofree char *system = NULL, *home = NULL;

        if (!root || !root[0])
                return false;
        add_prefix(root, "lib", ret);
        add_prefix(root, "lib64", ret);
        if (ret->len == 0)
                return false;
        system = venv_value(root, "include-system-site-packages");
        home = venv_value(root, "home");
        if (system && strcasecmp(system, "true") == 0 && home) {
                er_autofree char *python = er_path_join(home, "python3");

                ask(project_dir, python, ret);
        }
        return true;
}

void er_dists_python_paths(const char *project_dir, struct er_strv *ret)
{
        static const char *const places[] = {".venv", "venv"};
        er_autofree char *python = NULL;

        if (use_prefix(project_dir, getenv("VIRTUAL_ENV"), ret))
                return;
        for (size_t i = 0; i < ER_LEN(places); i++) {
                er_autofree char *root = er_path_join(project_dir, places[i]);

                if (use_prefix(project_dir, root, ret))
                        return;
        }
        if (use_prefix(project_dir, getenv("CONDA_PREFIX"), ret))
                return;
        python = er_proc_which("python3");
        if (python)
                ask(project_dir, python, ret);
}

/* path.c - see path.h. Removing and measuring trees is in rmtree.c. */
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#ifndef ER_AGENT
#include <pwd.h>
#endif
#include <sys/stat.h>
#include <unistd.h>
#include "base/map.h"

char *er_path_join(const char *a, const char *b)
{
        size_t len = strlen(a);

        if (b[0] == '/' || len == 0)
                return er_strdup(b);
        if (b[0] == '\0')
                return er_strdup(a);
        return er_fmt("%s%s%s", a, a[len - 1] == '/' ? "" : "/", b);
}

const char *er_path_base(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

char *er_path_dir(const char *path)
{
        const char *slash = strrchr(path, '/');

        if (!slash)
                return er_strdup(".");
        while (slash > path && slash[-1] == '/')
                slash--;
        if (slash == path)
                return er_strdup("/");
        return er_strndup(path, (size_t)(slash - path));
}

char *er_path_abs(const char *path)
{
        struct er_str out = ER_STR_INIT;
        er_autofree char *full = NULL;
        er_autofree char *cwd = NULL;
        struct er_sv rest, part;

        if (path[0] != '/') {
                cwd = getcwd(NULL, 0);
                full = er_path_join(cwd ? cwd : "/", path);
        } else {
                full = er_strdup(path);
        }
        rest = er_sv(full);
        while (er_sv_cut(&rest, '/', &part)) {
                if (part.len == 0 || er_sv_eq(part, ER_SV(".")))
                        continue;
                if (er_sv_eq(part, ER_SV(".."))) {
                        while (out.len > 0 && out.buf[out.len - 1] != '/')
                                er_str_cut(&out, out.len - 1);
                        if (out.len > 0)
                                er_str_cut(&out, out.len - 1);
                        continue;
                }
                er_str_addc(&out, '/');
                er_str_addn(&out, part.ptr, part.len);
        }
        if (out.len == 0)
                er_str_addc(&out, '/');
        return er_str_detach(&out);
}

char *er_path_expand(const char *path)
{
        er_autofree char *home = NULL;

        if (path[0] != '~' || (path[1] != '/' && path[1] != '\0'))
                return er_strdup(path);
        home = er_dir_home();
        return path[1] == '\0' ? er_strdup(home) : er_path_join(home, path + 2);
}

/* In one pass: it is called for every path of long lists. */
bool er_path_is_safe(const char *path, size_t len)
{
        size_t start = 0;

        for (size_t i = 0; i <= len; i++) {
                size_t part = i - start;

                if (i < len && path[i] == '\0')
                        return false;
                if (i < len && path[i] != '/')
                        continue;
                if (part == 0 || (part <= 2 && path[start] == '.' && path[i - 1] == '.'))
                        return false;
                start = i + 1;
        }
        return true;
}

/* Keeps errno: callers ask while they handle an error. */
static bool is_directory(int at, const char *path)
{
        struct stat st;
        int saved = errno;
        bool is = fstatat(at, path, &st, 0) == 0 && S_ISDIR(st.st_mode);

        errno = saved;
        return is;
}

int er_mkdir_p(int at, const char *path, mode_t mode, struct er_err *err)
{
        er_autofree char *part = er_strdup(path);
        size_t len = strlen(part);

        if (mkdirat(at, path, mode) == 0 || (errno == EEXIST && is_directory(at, path)))
                return 0;
        if (errno != ENOENT)
                return er_err_errno(err, errno == EEXIST ? ENOTDIR : errno, "make the directory %s", path);
        /* A parent is missing. From the top, ignore those that exist or that we may not look at. */
        for (size_t i = 1; i <= len; i++) {
                if (i < len && part[i] != '/')
                        continue;
                part[i] = '\0';
                if (mkdirat(at, part, mode) < 0 && errno != EEXIST && !is_directory(at, part))
                        return er_err_errno(err, errno, "make the directory %s", part);
                if (i < len)
                        part[i] = '/';
        }
        if (!is_directory(at, path))
                return er_err_errno(err, ENOTDIR, "make the directory %s", path);
        return 0;
}

/* An environment variable, or NULL if it is not set or empty. */
static const char *env_text(const char *name)
{
        const char *text = getenv(name);

        return text && text[0] ? text : NULL;
}

char *er_dir_home(void)
{
        const char *home = env_text("HOME");
#ifndef ER_AGENT /* a static program must not load the name service's modules; sshd always sets HOME */
        struct passwd entry, *found = NULL;
        char buf[4096];

        if (!home && getpwuid_r(getuid(), &entry, buf, sizeof buf, &found) == 0 && found && found->pw_dir)
                return er_strdup(found->pw_dir[0] ? found->pw_dir : "/");
#endif
        return er_strdup(home ? home : "/");
}

/* $ERRAND_HOME/<name>, $<xdg>/errand or ~/<usual>/errand. The XDG specification ignores relative values. */
static char *user_dir(const char *name, const char *xdg, const char *usual)
{
        const char *own = env_text("ERRAND_HOME"), *base = env_text(xdg);
        er_autofree char *home = NULL;

        if (own) {
                home = er_path_abs(own);
                return er_path_join(home, name);
        }
        if (base && base[0] == '/')
                return er_path_join(base, "errand");
        home = er_dir_home();
        return er_fmt("%s/%s/errand", home, usual);
}

char *er_dir_state(void)
{
        return user_dir("state", "XDG_STATE_HOME", ".local/state");
}

char *er_dir_cache(void)
{
        return user_dir("cache", "XDG_CACHE_HOME", ".cache");
}

char *er_dir_config(void)
{
        return user_dir("config", "XDG_CONFIG_HOME", ".config");
}

/* Creates a directory that only we can enter, or checks that an existing one is like that: in /tmp, somebody else may
 * have created it. */
static bool private_dir(const char *path)
{
        struct stat st;

        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return false;
        if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
                return false;
        return (st.st_mode & 077) == 0 || chmod(path, 0700) == 0;
}

char *er_dir_runtime(void)
{
        const char *xdg = env_text("XDG_RUNTIME_DIR"), *own = env_text("ERRAND_HOME");
        er_autofree char *base = NULL;
        er_autofree char *full = NULL;
        struct er_str out = ER_STR_INIT;

        /* The path of a socket has at most 108 bytes (104 on macOS), and ssh appends 17 for a moment. So a long base
         * will not do. */
        if (xdg && xdg[0] == '/' && strlen(xdg) <= 40)
                base = er_path_join(xdg, "errand");
        if (!base || !private_dir(base)) {
                free(base);
                base = er_fmt("/tmp/errand-%u", (unsigned int)geteuid());
        }
        if (!private_dir(base)) {
                /* Somebody else has our name in /tmp: use our own state directory, though its path is longer. */
                free(base);
                full = er_dir_state();
                base = er_path_join(full, "run");
                er_mkdir_p(AT_FDCWD, base, 0700, NULL);
                return er_take(base);
        }
        er_str_add(&out, base);
        if (own) {
                full = er_path_abs(own);
                er_str_addf(&out, "/%010llx", (unsigned long long)er_hash64(full, strlen(full)) & 0xffffffffffu);
                mkdir(out.buf, 0700);
        }
        return er_str_detach(&out);
}

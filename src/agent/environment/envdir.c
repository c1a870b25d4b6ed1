/* envdir.c - see envdir.h */
#include "agent/environment/envdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/environment/activation.h"
#include "agent/outside.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"

#define GOING_MS 5000 /* removal renames the directory long before that */
#define GOING_LOOK_MS 5

enum lock_byte { BUILD = 0, WANT = 1 };

void er_envdir_release(struct er_envdir *env)
{
        er_close(&env->lock_fd);
        er_close(&env->fd);
        free(env->path);
        *env = (struct er_envdir)ER_ENVDIR_INIT;
}

int er_envdir_missing(const char *hex, struct er_err *err)
{
        er_err_set(err, ER_NOT_FOUND, "environment %.12s is not on this host", hex);
        if (err) {
                free(err->provider_code);
                err->provider_code = er_strdup("environment");
        }
        return -1;
}

static int set_lock(int fd, enum lock_byte byte, short type)
{
        struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

        return fcntl(fd, F_OFD_SETLK, &lock);
}

static bool is_locked(const struct er_envdir *env, enum lock_byte byte)
{
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

        return fcntl(env->lock_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* The directory still has its name: removal renames it first. */
static bool is_in_place(const struct er_envdir *env)
{
        struct stat ours, named;

        return fstat(env->fd, &ours) == 0 && stat(env->path, &named) == 0 && ours.st_ino == named.st_ino &&
               ours.st_dev == named.st_dev;
}

enum opened { FAILED = -1, OPENED, GOING };

static enum opened try_open(const struct er_agent *agent, const unsigned char hash[ER_ENV_HASH], enum er_envdir_for why,
                            struct er_envdir *ret, struct er_err *err)
{
        struct er_envdir env = {.agent = agent, .fd = -1, .lock_fd = -1};
        er_autofree char *below = NULL;
        bool make = why == ER_ENVDIR_MAKE, locked;
        int saved;

        er_fmt_hex(hash, ER_ENV_HASH, env.hex);
        below = er_fmt("environments/%s", env.hex);
        env.path = er_path_join(agent->root, below);
        env.fd = make ? -1 : open(env.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (!make && (env.fd < 0 || !er_file_exists(env.fd, "recipe"))) {
                er_envdir_release(&env);
                er_fmt_hex(hash, ER_ENV_HASH, env.hex);
                return er_envdir_missing(env.hex, err);
        }
        if (make && er_agent_dir(agent, below, true, &env.fd, err) < 0) {
                er_envdir_release(&env);
                return -1;
        }
        env.lock_fd = openat(env.fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        locked = env.lock_fd >= 0 && (why == ER_ENVDIR_LOOK || set_lock(env.lock_fd, WANT, F_RDLCK) == 0);
        saved = errno;
        if (locked && is_in_place(&env)) {
                *ret = env;
                return OPENED;
        }
        if (locked || (env.lock_fd < 0 ? saved == ENOENT : saved == EAGAIN || saved == EACCES)) {
                er_envdir_release(&env);
                return GOING;
        }
        er_agent_fail(agent, saved, err, "lock %s", env.path);
        er_envdir_release(&env);
        return FAILED;
}

int er_envdir_open(const struct er_agent *agent, const unsigned char hash[ER_ENV_HASH], enum er_envdir_for why,
                   struct er_envdir *ret, struct er_err *err)
{
        er_deadline deadline = er_deadline_in(GOING_MS);
        enum opened rc;
        char hex[ER_ENVDIR_HEX];

        while ((rc = try_open(agent, hash, why, ret, err)) == GOING && why == ER_ENVDIR_MAKE &&
               er_deadline_poll_ms(deadline) != 0)
                poll(NULL, 0, GOING_LOOK_MS);
        if (rc != GOING)
                return rc;
        er_fmt_hex(hash, ER_ENV_HASH, hex);
        return why == ER_ENVDIR_MAKE ? er_err_set(err, ER_STATE, "environment %.12s is being removed", hex)
                                     : er_envdir_missing(hex, err);
}

bool er_envdir_is_ready(const struct er_envdir *env)
{
        struct er_activation activation = ER_ACTIVATION_INIT;
        bool ready = er_activation_read(env->agent, env->fd, &activation);

        er_activation_release(&activation);
        return ready;
}

void er_envdir_mark_used(const struct er_envdir *env)
{
        er_autoclose int fd = openat(env->fd, "used", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        if (fd >= 0)
                futimens(fd, NULL);
}

int64_t er_envdir_used_ms(const struct er_envdir *env)
{
        struct stat st;

        if (fstatat(env->fd, "used", &st, 0) < 0 && fstatat(env->fd, "activate", &st, 0) < 0 &&
            fstatat(env->fd, "recipe", &st, 0) < 0)
                return 0;
        return (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

int er_envdir_claim(struct er_envdir *env)
{
        if (set_lock(env->lock_fd, BUILD, F_WRLCK) == 0)
                return 1;
        return errno == EAGAIN || errno == EACCES ? 0 : -1;
}

/* Locks both bytes, so that nobody wants it and nobody can come to want it. After 0, release it soon. */
static int claim_alone(struct er_envdir *env)
{
        int rc = er_envdir_claim(env);

        if (rc == 1 && set_lock(env->lock_fd, WANT, F_WRLCK) < 0)
                rc = errno == EAGAIN || errno == EACCES ? 0 : -1;
        return rc;
}

bool er_envdir_is_building(const struct er_envdir *env)
{
        return is_locked(env, BUILD);
}

bool er_envdir_is_wanted(const struct er_envdir *env)
{
        return is_locked(env, WANT);
}

int er_envdir_each(const struct er_agent *agent, er_envdir_fn fn, void *arg, struct er_err *err)
{
        er_autofree char *path = er_path_join(agent->root, "environments");
        const struct dirent *entry;
        DIR *dir = opendir(path);
        int rc = 0;

        while (rc == 0 && dir && (entry = readdir(dir))) {
                unsigned char hash[ER_ENV_HASH];
                struct er_envdir env = ER_ENVDIR_INIT;

                if (!er_parse_hex(er_sv(entry->d_name), hash, ER_ENV_HASH) ||
                    er_envdir_open(agent, hash, ER_ENVDIR_LOOK, &env, NULL) < 0)
                        continue; /* it is being removed, or never was one */
                rc = fn(arg, &env, hash, err);
                er_envdir_release(&env);
        }
        if (dir)
                closedir(dir);
        return rc;
}

int er_envdir_remove(struct er_envdir *env, uint64_t *ret_freed, struct er_err *err)
{
        er_autofree char *aside = er_fmt("%s.gone", env->path);
        er_auto(er_str) said = ER_STR_INIT;
        int rc = er_envdir_is_wanted(env) ? 0 : claim_alone(env);

        if (rc < 0)
                return er_agent_fail(env->agent, errno, err, "lock %s", env->path);
        if (rc == 0) {
                er_err_set(err, ER_STATE, "environment %.12s is in use", env->hex);
                return er_err_hint(err, "wait for the jobs that use it, or cancel them");
        }
        (void)er_rmtree(AT_FDCWD, aside, ret_freed, NULL);           /* left by a removal that was killed */
        if (unlinkat(env->fd, "activate", 0) < 0 && errno != ENOENT) /* from now on it is not ready, whatever happens */
                return er_agent_fail(env->agent, errno, err, "remove %s", env->path);
        if (rename(env->path, aside) < 0)
                return er_agent_fail(env->agent, errno, err, "remove %s", env->path);
        er_outside_end_of(env->fd, ER_ENVDIR_OUTSIDE, &said);
        return er_rmtree(AT_FDCWD, aside, ret_freed, err);
}

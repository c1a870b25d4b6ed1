/* env.c - see env.h: the directory of an environment, who builds it and who wants it. */
#include "agent/environment/env.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "proto/msg.h"

#define RECORD_MAX (256u * 1024)
#define GOING_MS 5000 /* what is being removed has lost its name long before */
#define GOING_LOOK_MS 5

enum lock_byte { BUILD = 0, WANT = 1 };

void er_env_release(struct er_env *env)
{
        er_close(&env->lock_fd);
        er_close(&env->fd);
        free(env->path);
        *env = (struct er_env)ER_ENV_INIT;
}

void er_env_hex(const unsigned char hash[ER_ENV_HASH], char ret[ER_ENV_HEX])
{
        er_fmt_hex(hash, ER_ENV_HASH, ret);
}

int er_env_missing(const char *hex, struct er_err *err)
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

static bool is_locked(const struct er_env *env, enum lock_byte byte)
{
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

        return fcntl(env->lock_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Of the directory that still has its name: one that is being removed is called otherwise. */
static bool is_in_place(const struct er_env *env)
{
        struct stat ours, named;

        return fstat(env->fd, &ours) == 0 && stat(env->path, &named) == 0 && ours.st_ino == named.st_ino &&
               ours.st_dev == named.st_dev;
}

enum opened { FAILED = -1, OPENED, GOING };

static enum opened try_open(const struct er_agent *agent, const unsigned char hash[ER_ENV_HASH], enum er_env_for why,
                            struct er_env *ret, struct er_err *err)
{
        struct er_env env = {.agent = agent, .fd = -1, .lock_fd = -1};
        er_autofree char *below = NULL;
        bool make = why == ER_ENV_MAKE, locked;
        int saved;

        er_env_hex(hash, env.hex);
        below = er_fmt("environments/%s", env.hex);
        env.path = er_path_join(agent->root, below);
        env.fd = make ? -1 : open(env.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (!make && (env.fd < 0 || !er_file_exists(env.fd, "recipe"))) {
                er_env_release(&env);
                er_env_hex(hash, env.hex);
                return er_env_missing(env.hex, err);
        }
        if (make && er_agent_dir(agent, below, true, &env.fd, err) < 0) {
                er_env_release(&env);
                return -1;
        }
        env.lock_fd = openat(env.fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        locked = env.lock_fd >= 0 && (why == ER_ENV_LOOK || set_lock(env.lock_fd, WANT, F_RDLCK) == 0);
        saved = errno;
        if (locked && is_in_place(&env)) {
                *ret = env;
                return OPENED;
        }
        if (locked || (env.lock_fd < 0 ? saved == ENOENT : saved == EAGAIN || saved == EACCES)) {
                er_env_release(&env);
                return GOING;
        }
        er_agent_fail(agent, saved, err, "lock %s", env.path);
        er_env_release(&env);
        return FAILED;
}

int er_env_open(const struct er_agent *agent, const unsigned char hash[ER_ENV_HASH], enum er_env_for why,
                struct er_env *ret, struct er_err *err)
{
        er_deadline deadline = er_deadline_in(GOING_MS);
        enum opened rc;
        char hex[ER_ENV_HEX];

        while ((rc = try_open(agent, hash, why, ret, err)) == GOING && why == ER_ENV_MAKE &&
               er_deadline_poll_ms(deadline) != 0)
                poll(NULL, 0, GOING_LOOK_MS);
        if (rc != GOING)
                return rc;
        er_env_hex(hash, hex);
        return why == ER_ENV_MAKE ? er_err_set(err, ER_STATE, "environment %.12s is being removed", hex)
                                  : er_env_missing(hex, err);
}

bool er_env_is_ready(const struct er_env *env)
{
        struct er_activation activation = ER_ACTIVATION_INIT;
        bool ready = er_activation_read(env, &activation, NULL) == 0;

        er_activation_release(&activation);
        return ready;
}

void er_env_mark_used(const struct er_env *env)
{
        er_autoclose int fd = openat(env->fd, "used", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        if (fd >= 0)
                futimens(fd, NULL);
}

int64_t er_env_used_ms(const struct er_env *env)
{
        struct stat st;

        if (fstatat(env->fd, "used", &st, 0) < 0 && fstatat(env->fd, "activate", &st, 0) < 0 &&
            fstatat(env->fd, "recipe", &st, 0) < 0)
                return 0;
        return (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

int er_env_claim(struct er_env *env)
{
        if (set_lock(env->lock_fd, BUILD, F_WRLCK) == 0)
                return 1;
        return errno == EAGAIN || errno == EACCES ? 0 : -1;
}

int er_env_claim_alone(struct er_env *env)
{
        int rc = er_env_claim(env);

        if (rc == 1 && set_lock(env->lock_fd, WANT, F_WRLCK) < 0)
                rc = errno == EAGAIN || errno == EACCES ? 0 : -1;
        return rc;
}

bool er_env_is_building(const struct er_env *env)
{
        return is_locked(env, BUILD);
}

bool er_env_is_wanted(const struct er_env *env)
{
        return is_locked(env, WANT);
}

int er_env_each(const struct er_agent *agent, er_env_fn fn, void *arg, struct er_err *err)
{
        er_autofree char *path = er_path_join(agent->root, "environments");
        const struct dirent *entry;
        DIR *dir = opendir(path);
        int rc = 0;

        while (rc == 0 && dir && (entry = readdir(dir))) {
                unsigned char hash[ER_ENV_HASH];
                struct er_env env = ER_ENV_INIT;

                if (!er_parse_hex(er_sv(entry->d_name), hash, ER_ENV_HASH) ||
                    er_env_open(agent, hash, ER_ENV_LOOK, &env, NULL) < 0)
                        continue; /* it is going, or never was one */
                rc = fn(arg, &env, hash, err);
                er_env_release(&env);
        }
        if (dir)
                closedir(dir);
        return rc;
}

void er_env_failure_release(struct er_env_failure *failure)
{
        free(failure->message);
        free(failure->hint);
        free(failure->kind);
        free(failure->platform);
        *failure = (struct er_env_failure)ER_ENV_FAILURE_INIT;
}

void er_env_failure_read(const struct er_env *env, struct er_env_failure *ret)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv fields;

        *ret = (struct er_env_failure)ER_ENV_FAILURE_INIT;
        if (er_file_read(env->fd, "failed", RECORD_MAX, &text, NULL) < 0)
                return;
        fields = er_svn(text.buf, text.len);
        ret->count = er_msg_get_u64(fields, ER_T_COUNT, 0);
        ret->message = er_msg_dup(fields, ER_T_MESSAGE);
        ret->hint = er_msg_dup(fields, ER_T_HINT);
        ret->kind = er_msg_dup(fields, ER_T_PROVIDER_CODE);
        ret->platform = er_msg_dup(fields, ER_T_PLATFORM);
}

char *er_env_progress(const struct er_env *env)
{
        char buf[512];
        ssize_t len = er_read_small(env->fd, "progress", buf, sizeof buf);

        return len > 0 ? er_strdup(buf) : NULL;
}

/* --- waiting */

#define STARTS_MAX 3 /* builders that end without a word */
#define PAUSE_MS 20  /* between two looks at first; */
#define PAUSE_MAX_MS 250
#define ORPHANED_MS 20000

void er_env_wait_release(struct er_env_wait *wait)
{
        free(wait->progress);
        er_env_failure_release(&wait->failure);
        *wait = (struct er_env_wait)ER_ENV_WAIT_INIT;
}

void er_env_wait_begin(struct er_env_wait *wait, const struct er_env *env, const struct er_strv *secrets,
                       uint64_t failures)
{
        *wait = (struct er_env_wait){.env = env, .secrets = secrets, .failures = failures, .pause_ms = PAUSE_MS};
}

static enum er_env_news give_up(struct er_env_wait *wait, const char *why)
{
        er_env_failure_release(&wait->failure);
        wait->failure.message = er_strdup(why);
        return ER_ENV_FAILED;
}

/* No builder could be started. Who was not given the secrets leaves it for a while to those who were. */
static enum er_env_news cannot_start(struct er_env_wait *wait, const struct er_err *err)
{
        bool is_secret = er_streq(err->provider_code, "secret");
        enum er_env_news news;

        if (is_secret && !wait->secrets) {
                if (!wait->orphaned)
                        wait->orphaned = er_deadline_in(ORPHANED_MS);
                if (er_deadline_poll_ms(wait->orphaned) != 0)
                        return ER_ENV_SAME;
        }
        news = give_up(wait, err->message);
        wait->failure.hint = err->hint ? er_strdup(err->hint) : NULL;
        wait->failure.kind = er_strdup(is_secret ? "secret" : "build");
        return news;
}

static enum er_env_news look_at_progress(struct er_env_wait *wait)
{
        er_autofree char *text = er_env_progress(wait->env);

        if (wait->pause_ms < PAUSE_MAX_MS)
                wait->pause_ms += wait->pause_ms / 4;
        if (!text || er_streq(text, wait->progress))
                return ER_ENV_SAME;
        free(wait->progress);
        wait->progress = er_take(text);
        return ER_ENV_PROGRESS;
}

enum er_env_news er_env_wait_look(struct er_env_wait *wait)
{
        er_auto(er_err) err = ER_ERR_INIT;
        int rc;
        bool building = er_env_is_building(
                wait->env); /* before the rest: a builder writes the end first, then lets go */

        if (er_env_is_ready(wait->env))
                return ER_ENV_READY;
        er_env_failure_release(&wait->failure);
        er_env_failure_read(wait->env, &wait->failure);
        if (wait->failure.count > wait->failures)
                return ER_ENV_FAILED;
        if (building) {
                wait->orphaned = 0;
                return look_at_progress(wait);
        }
        if (wait->starts == STARTS_MAX)
                return give_up(wait, "the build ended without a word: is the disk full?");
        rc = er_env_build_start(wait->env, wait->secrets, &err);
        if (rc < 0)
                return cannot_start(wait, &err);
        wait->starts += (unsigned)rc;
        wait->pause_ms = PAUSE_MS;
        return ER_ENV_SAME;
}

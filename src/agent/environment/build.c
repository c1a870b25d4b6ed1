/*
 * build.c - see build.h. A half-built environment cannot be used: `activate` is written last, and however else a build
 * ends, what it left is removed before the lock is released.
 */
#include "agent/environment/build.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/digest.h"
#include "agent/environment/activation.h"
#include "agent/outside.h"
#include "agent/ptree.h"
#include "base/io.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"
#include "proto/msg.h"

#define CONTROL_FD 3
#define PIECE 4096u
#define LINE_MAX_LEN (64u * 1024)
#define KILL_PATIENCE_MS 20000
#define LOOK_MS 1000
#define UNWANTED_MS 10000
#define FAILURE_MAX (256u * 1024)
#define OUTSIDE "tmp/end" /* the script writes here how to stop what it starts outside our process tree (outside.h) */

extern char **environ;

struct build {
        struct er_envdir env;          /* with descriptors of our own: the lock is ours */
        const struct er_strv *secrets; /* (borrowed) for the recipe's variables; NULL: it has none */
        struct er_activation activation;
        struct er_build_failure failure;
        const char *tmp;       /* a directory for what the script needs only while it runs */
        struct er_str control; /* an incomplete line */
        bool listens;          /* somebody waits: write down the progress */
        bool unwanted;         /* ended because nobody waited */
};

/* --- what builds leave for others to read */

void er_build_failure_release(struct er_build_failure *failure)
{
        free(failure->message);
        free(failure->hint);
        free(failure->kind);
        free(failure->platform);
        *failure = (struct er_build_failure)ER_BUILD_FAILURE_INIT;
}

void er_build_failure_read(const struct er_envdir *env, struct er_build_failure *ret)
{
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv fields;

        *ret = (struct er_build_failure)ER_BUILD_FAILURE_INIT;
        if (er_file_read(env->fd, "failed", FAILURE_MAX, &text, NULL) < 0)
                return;
        fields = er_svn(text.buf, text.len);
        ret->count = er_msg_get_u64(fields, ER_T_COUNT, 0);
        ret->message = er_msg_dup(fields, ER_T_MESSAGE);
        ret->hint = er_msg_dup(fields, ER_T_HINT);
        ret->kind = er_msg_dup(fields, ER_T_PROVIDER_CODE);
        ret->platform = er_msg_dup(fields, ER_T_PLATFORM);
}

char *er_build_progress(const struct er_envdir *env)
{
        char buf[512];
        ssize_t len = er_read_small(env->fd, "progress", buf, sizeof buf);

        return len > 0 ? er_strdup(buf) : NULL;
}

/* --- the control channel */

static void keep_text(char **text, struct er_sv value)
{
        free(*text);
        *text = er_sv_dup(value);
}

static void take_line(struct build *b, struct er_sv line)
{
        struct er_sv word;

        if (!er_sv_cut(&line, ' ', &word))
                return;
        if (er_activation_take(&b->activation, word, line))
                return;
        if (er_sv_eq(word, er_sv("progress")) && b->listens)
                er_file_write(b->env.fd, "progress", line.ptr, line.len, 0600, false, NULL);
        else if (er_sv_eq(word, er_sv("error")))
                keep_text(&b->failure.message, line);
        else if (er_sv_eq(word, er_sv("hint")))
                keep_text(&b->failure.hint, line);
        else if (er_sv_eq(word, er_sv("kind")))
                keep_text(&b->failure.kind, line);
        else if (er_sv_eq(word, er_sv("platform")))
                keep_text(&b->failure.platform, line);
}

/* False at the end of the channel. */
static bool hear(struct build *b, int fd)
{
        char *newline;
        ssize_t n;

        er_str_reserve(&b->control, PIECE);
        n = read(fd, b->control.buf + b->control.len, PIECE);
        if (n <= 0)
                return n < 0 && (errno == EAGAIN || errno == EINTR);
        b->control.len += (size_t)n;
        while ((newline = memchr(b->control.buf, '\n', b->control.len))) {
                size_t len = (size_t)(newline - b->control.buf);

                take_line(b, er_svn(b->control.buf, len));
                er_str_drop(&b->control, len + 1);
        }
        if (b->control.len > LINE_MAX_LEN)
                er_str_reset(&b->control); /* not a line of our protocol */
        return true;
}

/* --- the script */

/* Checks a large file that was sent earlier: it may be incomplete, or a different one of the same name. */
static bool has_content(int files, const struct er_recipe_file *file)
{
        char want[2 * ER_ENV_HASH + 1], have[ER_DIGEST_HEX];

        er_fmt_hex(file->hash, ER_ENV_HASH, want);
        return er_digest_file(files, file->name, ER_DIGEST_SHA256, NULL, NULL, have, NULL) == 0 && er_streq(want, have);
}

static int unpack(struct build *b, struct er_err *err)
{
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        er_auto(er_str) text = ER_STR_INIT;
        static const char *const dirs[] = {"files", "prefix", "tmp"};
        er_autoclose int files = -1;

        if (er_file_read(b->env.fd, "recipe", ER_RECIPE_MAX, &text, err) < 0 ||
            er_recipe_decode(er_svn(text.buf, text.len), &recipe, err) < 0)
                return -1;
        if (er_rmtree(b->env.fd, "prefix", NULL, err) < 0 || er_rmtree(b->env.fd, "tmp", NULL, err) < 0)
                return -1;
        for (size_t i = 0; i < ER_LEN(dirs); i++)
                if (er_mkdir_p(b->env.fd, dirs[i], 0700, err) < 0)
                        return -1;
        files = openat(b->env.fd, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (files < 0)
                return er_agent_fail(b->env.agent, errno, err, "open %s/files", b->env.path);
        for (size_t i = 0; i < recipe.file_count; i++) {
                const struct er_recipe_file *file = &recipe.files[i];

                if (!file->path) {
                        if (er_file_write(files, file->name, file->data.buf, file->data.len, (mode_t)file->mode, false,
                                          err) < 0)
                                return -1;
                } else if (!has_content(files, file)) {
                        unlinkat(files, file->name, 0); /* otherwise it would be mistaken for the right one again */
                        return er_err_set(err, ER_NOT_FOUND, "%s has not been sent to this host", file->name);
                }
        }
        return 0;
}

/* Contains the path, because the same environment may be built on this machine below another root. */
static char *mark_of(const struct er_envdir *env)
{
        return er_fmt("environment-%s-%016llx", env->hex, (unsigned long long)er_hash64(env->path, strlen(env->path)));
}

static void add_vars(const struct build *b, struct er_strv *vars)
{
        const struct er_envdir *env = &b->env;
        er_autofree char *mark = mark_of(env);
        er_auto(er_strv) ours = ER_STRV_INIT;
        struct er_activation activation = ER_ACTIVATION_INIT;

        er_strv_addf(&ours, "ERRAND_PREFIX=%s/prefix", env->path);
        er_strv_addf(&ours, "ERRAND_FILES=%s/files", env->path);
        er_strv_addf(&ours, "ERRAND_TOOLS=%s/tools", env->agent->root);
        er_strv_addf(&ours, "ERRAND_CACHE=%s/cache", env->agent->root);
        er_strv_addf(&ours, "TMPDIR=%s/%s", env->path, b->tmp);
        er_strv_addf(&ours, "ERRAND_ATTEMPT_ID=%s", mark); /* identifies processes that the build leaves behind */
        if (b->secrets)
                er_recipe_vars(b->secrets, &ours);
        for (char *const *item = environ; *item; item++)
                if (!er_starts(*item, ER_RECIPE_AUTH)) /* on the client's own machine, we inherit its variables */
                        er_strv_add(vars, *item);
        activation.set = ours;
        er_activation_apply(&activation, vars);
}

static _Noreturn void become_script(const struct build *b, const char *what, pid_t parent, int out_fd, int control_fd)
{
        static char sh[] = "/bin/sh";
        er_auto(er_strv) vars = ER_STRV_INIT;
        er_autofree char *script = er_path_join(b->env.path, "files/build.sh");
        er_autofree char *prefix = er_path_join(b->env.path, "prefix");
        er_autofree char *verb = er_strdup(what);
        char *argv[] = {sh, script, verb, NULL};
        int keep = CONTROL_FD;
        sigset_t none;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(1);
        for (int sig = 1; sig < NSIG; sig++)
                signal(sig, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        add_vars(b, &vars);
        if (chdir(prefix) < 0)
                _exit(1);
        /* out_fd may itself be 3 */
        out_fd = fcntl(out_fd, F_DUPFD_CLOEXEC, CONTROL_FD + 1);
        control_fd = fcntl(control_fd, F_DUPFD_CLOEXEC, CONTROL_FD + 1);
        er_null_stdio();
        if (dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0 || dup2(control_fd, CONTROL_FD) < 0)
                _exit(1);
        er_close_all_but(&keep, 1);
        execve(sh, argv, vars.items);
        _exit(127);
}

static void wake_up(int sig)
{
        (void)sig; /* makes ppoll return */
}

/* Returns the script's wait status; -1: nobody wants the environment any more. */
static int listen_to(struct build *b, pid_t script, int control_fd)
{
        sigset_t chld, before;
        int64_t unwanted_ms = 0;
        bool open = true;
        int status = -1;

        signal(SIGCHLD, wake_up);
        sigemptyset(&chld);
        sigaddset(&chld, SIGCHLD);
        sigprocmask(SIG_BLOCK, &chld, &before);
        for (;;) {
                const struct timespec turn = {.tv_nsec = LOOK_MS * 1000000L - 1};
                struct pollfd p = {.fd = open ? control_fd : -1, .events = POLLIN};
                pid_t pid = waitpid(script, &status, WNOHANG);

                if (pid == script || (pid < 0 && errno != EINTR))
                        break;
                if (b->listens) {
                        if (er_envdir_is_wanted(&b->env))
                                unwanted_ms = 0;
                        else if (unwanted_ms == 0)
                                unwanted_ms = er_mono_us() / 1000;
                        else if (er_mono_us() / 1000 - unwanted_ms > UNWANTED_MS)
                                return -1;
                }
                ppoll(&p, 1, &turn, &before);
                if (p.revents)
                        open = hear(b, control_fd);
        }
        while (open && hear(b, control_fd)) {
                struct pollfd p = {.fd = control_fd, .events = POLLIN};

                if (poll(&p, 1, 0) <= 0)
                        break; /* a process that it left behind holds the channel open */
        }
        sigprocmask(SIG_SETMASK, &before, NULL);
        return status;
}

/* Runs the script to its end. 0: it succeeded; -1 with b->failure. */
static int run_script(struct build *b, const char *what, int out_fd)
{
        pid_t self = getpid(), script;
        int fds[2], status;

        if (er_pipe(fds) < 0 || (script = fork()) < 0) {
                keep_text(&b->failure.message, er_sv(strerror(errno)));
                return -1;
        }
        if (script == 0)
                become_script(b, what, self, out_fd, fds[1]);
        close(fds[1]);
        er_set_nonblock(fds[0], true);
        status = listen_to(b, script, fds[0]);
        close(fds[0]);
        er_ptree_kill(er_deadline_in(KILL_PATIENCE_MS), NULL, NULL);
        if (status == 0)
                return 0;
        if (status == -1) {
                b->unwanted = true;
                keep_text(&b->failure.message,
                          er_sv("the build was stopped because nobody was waiting for it any more"));
        } else if (!b->failure.message) {
                er_autofree char *text = WIFSIGNALED(status)
                                                 ? er_fmt("the build was killed by signal %d", WTERMSIG(status))
                                                 : er_fmt("the build exited with status %d", WEXITSTATUS(status));

                keep_text(&b->failure.message, er_sv(text));
        }
        return -1;
}

/* --- the build */

static void write_failure(struct build *b)
{
        struct er_build_failure before;
        er_auto(er_str) text = ER_STR_INIT;

        er_build_failure_read(&b->env, &before);
        /* A build that was stopped as unwanted is no failure: whoever wanted it too late starts the next. */
        er_msg_u64(&text, ER_T_COUNT, before.count + (b->unwanted ? 0 : 1));
        er_msg_i64(&text, ER_T_TIME, er_now_ms());
        er_msg_text(&text, ER_T_MESSAGE, b->failure.message);
        er_msg_text(&text, ER_T_HINT, b->failure.hint);
        er_msg_text(&text, ER_T_PROVIDER_CODE, b->failure.kind);
        er_msg_text(&text, ER_T_PLATFORM, b->failure.platform);
        er_build_failure_release(&before);
        er_file_write(b->env.fd, "failed", text.buf, text.len, 0600, false, NULL);
}

/* First removes what was built: it may be what filled the disk. */
static void give_up(struct build *b)
{
        er_auto(er_str) said = ER_STR_INIT;

        er_outside_end_of(b->env.fd, ER_ENVDIR_OUTSIDE, &said);
        er_str_reset(&said);
        er_outside_end_of(b->env.fd, OUTSIDE, &said); /* a container outlives what started it */
        er_rmtree(b->env.fd, "prefix", NULL, NULL);
        if (said.len == 0)
                er_rmtree(b->env.fd, "tmp", NULL, NULL);
        unlinkat(b->env.fd, "progress", 0);
        write_failure(b);
}

static int write_activation(const struct build *b, struct er_err *err)
{
        er_auto(er_str) text = ER_STR_INIT;

        er_activation_encode(&b->activation, &text);
        return er_file_write(b->env.fd, "activate", text.buf, text.len, 0600, true, err);
}

/* Nobody waits for the disk: until everything is on it, the environment is good for this boot only, because a power cut
   may leave files without their content. */
static int keep(struct build *b, struct er_err *err)
{
        er_rmtree(b->env.fd, "tmp", NULL, NULL);
        unlinkat(b->env.fd, "progress", 0);
        b->activation.boot_id = er_strdup(b->env.agent->boot_id);
        b->activation.hostname = er_strdup(b->env.agent->hostname);
        if (write_activation(b, err) < 0)
                return -1;
        if (syncfs(b->env.fd) == 0) {
                free(b->activation.boot_id);
                free(b->activation.hostname);
                b->activation.boot_id = b->activation.hostname = NULL;
                return write_activation(b, err);
        }
        return 0;
}

static _Noreturn void build(struct build *b, pid_t guard)
{
        const struct er_traces left = {.id = mark_of(&b->env)};
        er_auto(er_str) said = ER_STR_INIT;
        struct er_err err = ER_ERR_INIT;
        int log_fd;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != guard)
                _exit(1);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        prctl(PR_SET_NAME, "errand-env");
        er_ptree_kill_traces(&left); /* left by a build that was killed together with its guard */
        log_fd = openat(b->env.fd, "log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0)
                er_agent_fail(b->env.agent, errno, &err, "write %s/log", b->env.path);
        if (!er_outside_end_of(b->env.fd, OUTSIDE, &said)) /* it would write into what we build */
                keep_text(&b->failure.message, er_sv(said.buf));
        else if (log_fd < 0 || unpack(b, &err) < 0)
                keep_text(&b->failure.message, er_sv(err.message));
        else if (run_script(b, "build", log_fd) == 0 && keep(b, &err) < 0)
                keep_text(&b->failure.message, er_sv(err.message));
        if (!er_envdir_is_ready(&b->env))
                give_up(b);
        _exit(0);
}

static _Noreturn void guard(struct build *b)
{
        pid_t self = getpid(), pid = fork();
        int status = 0;

        if (pid == 0)
                build(b, self);
        prctl(PR_SET_NAME, "errand-guard");
        while (pid > 0 && waitpid(pid, &status, 0) != pid)
                if (errno != EINTR)
                        break;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                er_ptree_kill(er_deadline_in(KILL_PATIENCE_MS), NULL, NULL);
                if (!er_envdir_is_ready(&b->env)) {
                        keep_text(&b->failure.message, er_sv("the build was killed"));
                        give_up(b);
                }
        }
        _exit(0);
}

/* Takes the lock, with an open file of our own that does not count as wanting the environment. This happens before the
   fork, so it does not matter how soon the new process runs. 1: b->env is ours to build; 0: somebody else has it; -1
   with errno. */
static int claim(const struct er_envdir *env, struct build *b)
{
        int rc;

        b->env.agent = env->agent;
        memcpy(b->env.hex, env->hex, sizeof b->env.hex);
        b->env.path = er_strdup(env->path);
        b->env.fd = open(b->env.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        b->env.lock_fd = b->env.fd < 0 ? -1 : openat(b->env.fd, "lock", O_RDWR | O_CLOEXEC);
        if (b->env.lock_fd < 0)
                return -1;
        rc = er_envdir_claim(&b->env);
        return rc == 1 && er_envdir_is_ready(&b->env) ? 0 : rc;
}

/* 0: the secrets have a value for every variable of the recipe. */
static int have_secrets(const struct er_envdir *env, const struct er_strv *secrets, struct er_err *err)
{
        er_auto(er_recipe) recipe = ER_RECIPE_INIT;
        er_auto(er_str) text = ER_STR_INIT;

        if (er_file_read(env->fd, "recipe", ER_RECIPE_MAX, &text, err) < 0 ||
            er_recipe_decode(er_svn(text.buf, text.len), &recipe, err) < 0)
                return -1;
        for (size_t i = 0; i < recipe.secrets.len; i++) {
                const char *name = recipe.secrets.items[i];

                if (secrets && er_strv_value(secrets, name))
                        continue;
                er_err_set(err, ER_CONFIG, "building the environment needs the value of %s, which is not available",
                           name);
                if (err)
                        err->provider_code = er_strdup("secret");
                return er_err_hint(err, "export %s, or submit the job again where its package addresses are declared",
                                   name);
        }
        return 0;
}

int er_build_start(const struct er_envdir *env, const struct er_strv *secrets, struct er_err *err)
{
        struct build b = {
                .env = ER_ENVDIR_INIT, .secrets = secrets, .tmp = "tmp", .control = ER_STR_INIT, .listens = true};
        pid_t pid = -1;
        int rc, saved;

        if (er_envdir_is_ready(env) || er_envdir_is_building(env))
                return 0;
        if (have_secrets(env, secrets, err) < 0)
                return -1;
        rc = claim(env, &b);
        if (rc == 1) {
                unlinkat(b.env.fd, "progress", 0); /* left by a build that was killed */
                pid = fork();
        }
        if (rc != 1 || pid != 0) {
                saved = errno;
                er_envdir_release(&b.env);
                if (rc < 0)
                        return er_agent_fail(env->agent, saved, err, "lock %s", env->path);
                return rc == 1 && pid < 0 ? er_err_errno(err, saved, "start a process") : rc;
        }
        setsid();
        signal(SIGCHLD, SIG_DFL);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        er_close_all_but((const int[]){b.env.fd, b.env.lock_fd}, 2);
        er_null_stdio();
        guard(&b);
}

int er_build_check(const struct er_envdir *env, int out_fd, struct er_build_failure *ret, struct er_err *err)
{
        er_autofree char *tmp = er_fmt("check-%d", (int)getpid()); /* several checks may run at once */
        struct build b = {.env = *env, .tmp = tmp, .control = ER_STR_INIT};
        int rc;

        if (!er_envdir_is_ready(env))
                return er_err_set(err, ER_STATE, "environment %.12s is not ready", env->hex);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (er_mkdir_p(env->fd, tmp, 0700, err) < 0)
                return -1;
        rc = run_script(&b, "check", out_fd);
        er_rmtree(env->fd, tmp, NULL, NULL);
        er_activation_release(&b.activation);
        er_str_release(&b.control);
        *ret = b.failure;
        return rc < 0 ? er_err_set(err, ER_STATE, "%s", b.failure.message) : 0;
}

/* job.c - see job.h */
#include "agent/attempt/job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/attempt/exec_error.h"
#include "agent/attempt/gpu.h"
#include "agent/data/datadir.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"

extern char **environ;

#define NOT_FOUND 127 /* what shells say */
#define NOT_EXECUTABLE 126
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

int er_command_dir(const struct er_adir *dir, const struct er_spec *spec, int *ret_fd, char **ret_path,
                   struct er_err *err)
{
        er_autofree char *work = er_path_join(dir->path, "work");
        er_autofree char *path = spec->workdir && spec->workdir[0] ? er_path_join(work, spec->workdir)
                                                                   : er_strdup(work);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return er_err_errno(err, errno, "open the working directory %s",
                                    spec->workdir && spec->workdir[0] ? spec->workdir : path);
        *ret_fd = fd;
        if (ret_path)
                *ret_path = er_take(path);
        return 0;
}

/* Sets or replaces one variable, "K=V". */
static void set(struct er_strv *vars, const char *item)
{
        const char *equals = strchr(item, '=');
        size_t len = equals ? (size_t)(equals - item) + 1 : strlen(item);

        for (size_t i = 0; i < vars->len; i++) {
                if (strncmp(vars->items[i], item, len) == 0) {
                        free(vars->items[i]);
                        vars->items[i] = er_strdup(item);
                        return;
                }
        }
        er_strv_add(vars, item);
}

static void setf(struct er_strv *vars, const char *fmt, ...) ER_PRINTF(2, 3);
static void setf(struct er_strv *vars, const char *fmt, ...)
{
        er_auto(er_str) item = ER_STR_INIT;
        va_list args;

        va_start(args, fmt);
        er_str_addv(&item, fmt, args);
        va_end(args);
        set(vars, item.buf);
}

static void set_gpus(struct er_strv *vars, const char *list)
{
        if (!list)
                return;
        setf(vars, "CUDA_VISIBLE_DEVICES=%s", list);
        set(vars, "CUDA_DEVICE_ORDER=PCI_BUS_ID");
        if (er_gpu_is_amd()) {
                setf(vars, "ROCR_VISIBLE_DEVICES=%s", list);
                setf(vars, "HIP_VISIBLE_DEVICES=%s", list);
        }
}

/* The job's name is the run's name and a number; the rest of the key belongs to the client. */
static size_t job_name_len(const char *key, const char *run)
{
        const char *last = strrchr(key, '.');
        size_t len = run ? strlen(run) : 0;

        if (len && strncmp(key, run, len) == 0 && key[len] == '.')
                return len + 1 + strspn(key + len + 1, "0123456789");
        return last ? (size_t)(last - key) : strlen(key);
}

static void make_vars(const struct er_job_start *start, const char *cwd, struct er_strv *vars)
{
        const struct er_charge *charge = start->charge;
        const struct er_spec *spec = &charge->info.spec;
        const char *key = charge->dir.key;
        er_autofree char *data = key ? er_datadir_there(charge->agent, spec->project) : NULL;
        char *const *item;

        for (item = environ; *item; item++)
                if (!er_starts(*item, ER_RECIPE_AUTH)) /* on the client's own machine, we inherit its variables */
                        er_strv_add(vars, *item);
        if (!er_strv_value(vars, "PATH"))
                set(vars, "PATH=" DEFAULT_PATH);
        if (!er_strv_value(vars, "HOME"))
                setf(vars, "HOME=%s", charge->agent->home);
        er_activation_apply(&charge->activation, vars);
        if (!er_strv_value(vars, "PYTHONUNBUFFERED"))
                set(vars, "PYTHONUNBUFFERED=1"); /* output goes to a pipe, and should be seen live */
        set_gpus(vars, start->gpus);
        for (size_t i = 0; i < spec->env.len; i++)
                set(vars, spec->env.items[i]);
        for (size_t i = 0; i < charge->secrets.len; i++)
                set(vars, charge->secrets.items[i]);
        setf(vars, "PWD=%s", cwd);
        if (!key)
                return;
        setf(vars, "ERRAND_RUN=%s", spec->run ? spec->run : "");
        setf(vars, "ERRAND_WORK=%s/work", charge->dir.path);
        setf(vars, "ERRAND_JOB=%.*s", (int)job_name_len(key, spec->run), key);
        setf(vars, "ERRAND_ATTEMPT=%u", (unsigned)charge->dir.attempt);
        setf(vars, "ERRAND_ATTEMPT_ID=%s", charge->info.id);
        setf(vars, "ERRAND_PROJECT=%s", spec->project ? spec->project : "");
        if (data)
                setf(vars, "ERRAND_DATA=%s", data);
        setf(vars, "ERRAND_HOST=%s", charge->info.host_name ? charge->info.host_name : charge->agent->hostname);
}

static bool is_executable_file(int dir_fd, const char *path, int *why)
{
        struct stat st;

        if (fstatat(dir_fd, path, &st, 0) < 0) {
                if (errno != ENOENT && errno != ENOTDIR)
                        *why = errno;
                return false;
        }
        if (!S_ISREG(st.st_mode) || faccessat(dir_fd, path, X_OK, 0) < 0) {
                *why = EACCES;
                return false;
        }
        return true;
}

/* Searches as execvp does, but in the job's PATH and from the job's directory. */
static char *find_program(const char *name, const struct er_strv *vars, int dir_fd, int *why)
{
        struct er_sv rest = er_sv(er_strv_value(vars, "PATH")), dir;

        *why = ENOENT;
        if (name[0] == '\0')
                return NULL;
        if (strchr(name, '/'))
                return is_executable_file(dir_fd, name, why) ? er_strdup(name) : NULL;
        while (er_sv_cut(&rest, ':', &dir)) {
                er_autofree char *path = dir.len ? er_fmt("%.*s/%s", (int)dir.len, dir.ptr, name)
                                                 : er_fmt("./%s", name);

                if (is_executable_file(dir_fd, path, why))
                        return er_take(path);
        }
        return NULL;
}

/* Runs in the new process. Errors are reported through the pipe, which a successful exec closes. */
static _Noreturn void become(const struct er_job_start *start, pid_t parent, int dir_fd, int tell_fd, const char *path,
                             char *const argv[], char *const vars[])
{
        sigset_t none;
        int why;

        /* If the supervisor is killed, nobody is left to end the job, so its first process dies too (and everything it
           started, if the guard is there). */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(NOT_EXECUTABLE);
        for (int sig = 1; sig < NSIG; sig++)
                signal(sig, SIG_DFL); /* those that cannot be set stay as they are */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        if (fchdir(dir_fd) == 0 && dup2(start->out_fd, 1) == 1 && dup2(start->err_fd, 2) == 2)
                execve(path, argv, vars);
        why = errno;
        (void)!write(tell_fd, &why, sizeof why);
        _exit(NOT_EXECUTABLE);
}

/* 0, or an errno. */
static int spawn(const struct er_job_start *start, int dir_fd, const char *path, char *const argv[], char *const vars[],
                 pid_t *ret_pid)
{
        pid_t parent = getpid(), pid;
        int fds[2], why = 0;

        if (er_pipe(fds) < 0)
                return errno;
        pid = fork();
        if (pid < 0)
                why = errno;
        else if (pid == 0)
                become(start, parent, dir_fd, fds[1], path, argv, vars);
        close(fds[1]);
        if (pid > 0 && er_read_full(fds[0], &why, sizeof why) == (ssize_t)sizeof why)
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        close(fds[0]);
        if (why == 0)
                *ret_pid = pid;
        return why;
}

/* program: where the name was found, or NULL. */
static int cannot(int errnum, int dir_fd, const char *program, const char *name, int *ret_exit_code, struct er_err *err)
{
        er_auto(er_str) shown = ER_STR_INIT;

        *ret_exit_code = errnum == ENOENT || errnum == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE;
        if (program || errnum != ENOENT || strchr(name, '/'))
                return er_exec_error(dir_fd, program, name, errnum, err);
        er_quote_show(&shown, name, strlen(name));
        return er_err_set(err, ER_NOT_FOUND, "%s: command not found", shown.buf);
}

/* The names of variables that the job has and the host does not: those that a container must be given. */
static void list_names(const struct er_charge *charge, const struct er_strv *vars, struct er_strv *ret)
{
        static const char *const ours[] = {"ERRAND_", "CUDA_", "ROCR_", "HIP_", "PYTHONUNBUFFERED="};
        const struct er_strv *lists[] = {&charge->info.spec.env, &charge->secrets, &charge->activation.set};

        for (size_t i = 0; i < ER_LEN(lists); i++)
                for (size_t k = 0; k < lists[i]->len; k++)
                        er_strv_addn(ret, lists[i]->items[k], strcspn(lists[i]->items[k], "="));
        for (size_t i = 0; i < vars->len; i++)
                for (size_t k = 0; k < ER_LEN(ours); k++)
                        if (er_starts(vars->items[i], ours[k]))
                                er_strv_addn(ret, vars->items[i], strcspn(vars->items[i], "="));
}

static void fill_words(const struct er_charge *charge, const struct er_strv *words, const char *cwd,
                       const struct er_strv *vars, uint64_t gpu_mask, struct er_strv *ret)
{
        er_auto(er_strv) names = ER_STRV_INIT;
        er_autofree char *work = er_path_join(charge->dir.path, "work");
        const struct er_wrap wrap = {.work = work,
                                     .dir = cwd,
                                     .id = charge->info.id,
                                     .root = charge->agent->root,
                                     .names = &names,
                                     .gpu_mask = gpu_mask};

        list_names(charge, vars, &names);
        er_activation_wrap(words, &wrap, ret);
}

void er_job_list_end(const struct er_charge *charge, struct er_strv *ret)
{
        er_auto(er_strv) vars = ER_STRV_INIT;

        fill_words(charge, &charge->activation.end, "/", &vars, 0, ret);
}

/* All words of the command line: those of the environment, then the job's own. */
static void list_words(const struct er_job_start *start, const char *cwd, const struct er_strv *vars,
                       struct er_strv *ret)
{
        const struct er_spec *spec = &start->charge->info.spec;

        fill_words(start->charge, &start->charge->activation.wrap, cwd, vars, start->gpu_mask, ret);
        if (spec->shell) {
                er_strv_add(ret, "/bin/sh");
                er_strv_add(ret, "-c");
                er_strv_add(ret, "--");
        }
        er_strv_addall(ret, spec->argv.items, spec->argv.len);
}

int er_job_spawn(const struct er_job_start *start, pid_t *ret_pid, int *ret_exit_code, struct er_err *err)
{
        er_auto(er_strv) vars = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_strv) script = ER_STRV_INIT;
        er_autofree char *cwd = NULL;
        er_autofree char *program = NULL;
        er_autoclose int dir_fd = -1;
        int rc;

        *ret_exit_code = NOT_EXECUTABLE;
        if (er_command_dir(&start->charge->dir, &start->charge->info.spec, &dir_fd, &cwd, err) < 0)
                return -1;
        make_vars(start, cwd, &vars);
        list_words(start, cwd, &vars, &argv);
        program = find_program(argv.items[0], &vars, dir_fd, &rc);
        if (program)
                rc = spawn(start, dir_fd, program, argv.items, vars.items, ret_pid);
        if (program && rc == ENOEXEC && !er_exec_is_binary(dir_fd, program)) {
                /* A script without "#!": run it with sh, as every shell does. */
                er_strv_add(&script, "/bin/sh");
                er_strv_add(&script, program);
                er_strv_addall(&script, argv.items + 1, argv.len - 1);
                rc = spawn(start, dir_fd, "/bin/sh", script.items, vars.items, ret_pid);
        }
        er_strv_wipe(&vars); /* it holds copies of the secrets */
        return rc ? cannot(rc, dir_fd, program, argv.items[0], ret_exit_code, err) : 0;
}

/* Removes "NAME=...". */
static void drop(struct er_strv *vars, const char *name)
{
        size_t len = strlen(name), kept = 0;

        for (size_t i = 0; i < vars->len; i++) {
                if (strncmp(vars->items[i], name, len) == 0 && vars->items[i][len] == '=')
                        free(vars->items[i]);
                else
                        vars->items[kept++] = vars->items[i];
        }
        vars->len = kept;
        if (vars->items)
                vars->items[kept] = NULL;
}

int er_job_become(const struct er_job_start *start, int *ret_exit_code, struct er_err *err)
{
        er_auto(er_strv) vars = ER_STRV_INIT;
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_autofree char *cwd = NULL;
        er_autofree char *program = NULL;
        er_autoclose int dir_fd = -1;
        int why = 0;

        *ret_exit_code = NOT_EXECUTABLE;
        if (er_command_dir(&start->charge->dir, &start->charge->info.spec, &dir_fd, &cwd, err) < 0)
                return -1;
        make_vars(start, cwd, &vars);
        list_words(start, cwd, &vars, &argv);
        drop(&vars, "ERRAND_ATTEMPT_ID");
        program = find_program(argv.items[0], &vars, dir_fd, &why);
        if (program && fchdir(dir_fd) < 0)
                return er_err_errno(err, errno, "enter %s", cwd);
        if (program) {
                execve(program, argv.items, vars.items);
                why = errno;
        }
        if (program && why == ENOEXEC && !er_exec_is_binary(dir_fd, program)) {
                er_auto(er_strv) script = ER_STRV_INIT;

                er_strv_add(&script, "/bin/sh");
                er_strv_add(&script, program);
                er_strv_addall(&script, argv.items + 1, argv.len - 1);
                execve("/bin/sh", script.items, vars.items);
                why = errno;
        }
        return cannot(why, dir_fd, program, argv.items[0], ret_exit_code, err);
}

/* cmd_doctor.c - errand doctor: problems here and on a host, and how to fix them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/io.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/term.h"
#include "cli/hosts_view.h"
#include "cli/target.h"
#include "cli/view.h"
#include "cli/words.h"
#include "host/connect/agent_blob.h"
#include "host/files.h"
#include "maestro/maestro.h"

#define DISK_WARN (1ull << 30)
#define DISK_FAIL (50ull << 20)
#define SKEW_WARN_MS 60000
#define SKEW_SAID_MS 2000

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };
static const char *const verdict_names[] = {"ok", "warn", "fail"};

struct report {
        const struct er_cli *cli;
        struct er_str text;
        json_t *json; /* with --json */
        const char *where;
        enum verdict worst;
};

static void say(struct report *r, enum verdict verdict, const char *check, const char *mend, const char *fmt, ...)
        ER_PRINTF(5, 6);
static void say(struct report *r, enum verdict verdict, const char *check, const char *mend, const char *fmt, ...)
{
        static const char *const marks[] = {"OK  ", "WARN", "FAIL"}, *const colours[] = {"\033[32m", "\033[33m",
                                                                                         "\033[31m"};
        er_auto(er_str) found = ER_STR_INIT;
        bool colour = er_term_colour(STDOUT_FILENO);
        va_list args;

        va_start(args, fmt);
        er_str_addv(&found, fmt, args);
        va_end(args);
        if (verdict > r->worst)
                r->worst = verdict;
        if (r->json) {
                json_t *one = json_object();

                json_object_set_new(one, "host", er_json_text(r->where));
                json_object_set_new(one, "check", er_json_text(check));
                json_object_set_new(one, "verdict", er_json_text(verdict_names[verdict]));
                json_object_set_new(one, "found", er_json_text(found.buf));
                json_object_set_new(one, "mend", er_json_text(mend));
                json_array_append_new(r->json, one);
                return;
        }
        er_str_addf(&r->text, "  %s%s%s  %-10s ", colour ? colours[verdict] : "", marks[verdict],
                    colour ? "\033[0m" : "", check);
        er_quote_show(&r->text, found.buf, found.len);
        er_str_addc(&r->text, '\n');
        if (mend)
                er_wrap(&r->text, mend, 19, (size_t)er_term_width(STDOUT_FILENO));
}

static void section(struct report *r, const char *name, const char *title)
{
        r->where = name;
        if (!r->json)
                er_str_addf(&r->text, "%s%s\n", r->text.len > 0 ? "\n" : "", title);
}

/* --- this machine */

static void first_line(const char *program, const char *option, struct er_str *out)
{
        er_autofree char *name = er_strdup(program), *arg = er_strdup(option);
        char *argv[] = {name, arg, NULL};
        const struct er_proc_opts opts = {.argv = argv};
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_str) more = ER_STR_INIT;
        int status;

        if (er_proc_run(&opts, ER_SV(""), &text, &more, 4096, er_deadline_in(5000), &status, NULL) < 0)
                return;
        er_str_addn(&text, more.buf, more.len); /* ssh -V prints to stderr */
        er_str_addn(out, text.buf, strcspn(text.buf, "\r\n"));
}

static void check_program(struct report *r, const char *name, const char *option, enum verdict absent, const char *mend)
{
        er_autofree char *path = er_proc_which(name);
        er_auto(er_str) version = ER_STR_INIT;

        if (!path) {
                say(r, absent, name, mend, "not found in PATH");
                return;
        }
        first_line(path, option, &version);
        say(r, VERDICT_OK, name, NULL, "%s", version.len > 0 ? version.buf : path);
}

static void check_agents(struct report *r)
{
        size_t x86 = (size_t)(er_agent_x86_64_end - er_agent_x86_64_start),
               arm = (size_t)(er_agent_aarch64_end - er_agent_aarch64_start);

        if (x86 > 0 && arm > 0)
                say(r, VERDICT_OK, "agent", NULL, "build %s, for x86-64 and aarch64", er_agent_build);
        else
                say(r, x86 + arm > 0 ? VERDICT_WARN : VERDICT_FAIL, "agent",
                    "build errand with a compiler for each architecture; see CONTRIBUTING.md", "only for %s",
                    x86 > 0   ? "x86-64"
                    : arm > 0 ? "aarch64"
                              : "nothing");
}

static void check_disk(struct report *r, uint64_t free_bytes, const char *mend)
{
        er_auto(er_str) size = ER_STR_INIT;

        er_fmt_size(&size, free_bytes);
        say(r,
            free_bytes < DISK_FAIL   ? VERDICT_FAIL
            : free_bytes < DISK_WARN ? VERDICT_WARN
                                     : VERDICT_OK,
            "disk", free_bytes < DISK_WARN ? mend : NULL, "%s free", size.buf);
}

static void check_state(struct report *r)
{
        const char *dir = r->cli->state_dir;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_store *store = NULL;
        struct statvfs fs;
        struct stat st;

        if (er_store_open(dir, &store, &err) < 0) {
                say(r, VERDICT_FAIL, "store", err.hint, "%s", err.message);
                return;
        }
        er_store_close(store);
        if (stat(dir, &st) == 0 && (st.st_mode & 077) != 0) {
                er_autofree char *mend = er_fmt("chmod 700 '%s'", dir);

                say(r, VERDICT_WARN, "store", mend, "other users can read %s", dir);
        } else if (st.st_uid != geteuid())
                say(r, VERDICT_WARN, "store", "set --state-dir or ERRAND_HOME to a directory of your own",
                    "%s belongs to another user", dir);
        else
                say(r, VERDICT_OK, "store", NULL, "%s", dir);
        if (statvfs(dir, &fs) == 0)
                check_disk(r, (uint64_t)fs.f_bavail * fs.f_frsize, "free some space here for results and the store");
}

/* While ssh makes a control socket, its name has a random suffix of 17 bytes. */
static void check_runtime(struct report *r)
{
        er_autofree char *dir = er_dir_runtime();
        er_autofree char *path = er_fmt("%s/doctor-%d", dir, (int)getpid());
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        er_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        size_t len = strlen(dir) + 20 + 17;

        if (len >= sizeof address.sun_path) {
                say(r, VERDICT_WARN, "sockets",
                    "set XDG_RUNTIME_DIR to a short path; without sockets, no connection can be shared, which is "
                    "slower",
                    "%s is too long for a control socket", dir);
                return;
        }
        memcpy(address.sun_path, path, strlen(path) + 1);
        unlink(path);
        if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)&address, sizeof address) < 0) {
                say(r, VERDICT_WARN, "sockets",
                    "set XDG_RUNTIME_DIR to a directory of your own; without sockets, no connection can be shared, "
                    "which is slower",
                    "cannot make a socket in %s: %s", dir, strerror(errno));
                return;
        }
        unlink(path);
        say(r, VERDICT_OK, "sockets", NULL, "%s", dir);
}

static void check_ssh_dir(struct report *r)
{
        er_autofree char *dir = er_path_expand("~/.ssh");
        struct stat st;

        if (stat(dir, &st) < 0)
                say(r, VERDICT_OK, "ssh keys", NULL,
                    "no ~/.ssh; to log in without a password, run ssh-keygen, then ssh-copy-id HOST");
        else if ((st.st_mode & 022) != 0)
                say(r, VERDICT_WARN, "ssh keys", "chmod go-w ~/.ssh",
                    "other users can write to ~/.ssh, so ssh may refuse your keys");
        else
                say(r, VERDICT_OK, "ssh keys", NULL, "~/.ssh%s", getenv("SSH_AUTH_SOCK") ? ", and an ssh-agent" : "");
}

static void check_here(struct report *r)
{
        section(r, NULL, "this machine: errand's own setup");
        check_agents(r);
        check_program(r, "ssh", "-V", VERDICT_WARN, "install it to reach other hosts: apt install openssh-client");
        check_ssh_dir(r);
        check_program(r, "git", "--version", VERDICT_WARN,
                      "install it for .gitignore and .errandignore: apt install git");
        check_state(r);
        check_runtime(r);
}

/* --- a host */

static void check_clock(struct report *r, int64_t skew_ms)
{
        er_auto(er_str) text = ER_STR_INIT;
        int64_t size = skew_ms < 0 ? -skew_ms : skew_ms;

        er_fmt_duration(&text, size);
        if (size < SKEW_SAID_MS)
                say(r, VERDICT_OK, "clock", NULL, "agrees");
        else
                say(r, size > SKEW_WARN_MS ? VERDICT_WARN : VERDICT_OK, "clock",
                    size > SKEW_WARN_MS ? "turn on time synchronisation there (timedatectl set-ntp true); errand "
                                          "allows for the difference, but the times of your files are off"
                                        : NULL,
                    "%s %s", text.buf, skew_ms > 0 ? "ahead" : "behind");
}

static void check_tools(struct report *r, const struct er_probe *probe)
{
        static const struct {
                const char *name, *mend;
        } tools[] = {
                {"python3", "needed only by jobs in Python: apt install python3"},
                {"git", "needed only by jobs that call it: apt install git"},
                {"rsync", "not needed by errand, but you may want it: apt install rsync"},
        };

        for (size_t i = 0; i < ER_LEN(tools); i++)
                if (er_strv_has(&probe->absent, tools[i].name))
                        say(r, er_streq(tools[i].name, "python3") ? VERDICT_WARN : VERDICT_OK, tools[i].name,
                            tools[i].mend, "not installed");
                else
                        say(r, VERDICT_OK, tools[i].name, NULL, "installed");
}

static void check_gpus(struct report *r, const struct er_probe *probe)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (probe->gpu_count == 0) {
                say(r, VERDICT_OK, "GPUs", NULL, "none found (nvidia-smi and rocm-smi report none)");
                return;
        }
        for (size_t i = 0; i < probe->gpu_count; i++) {
                er_str_addf(&text, "%s%u: %s, ", i > 0 ? "; " : "", probe->gpus[i].index,
                            probe->gpus[i].name ? probe->gpus[i].name : "?");
                er_view_size(&text, probe->gpus[i].memory_free);
                er_str_add(&text, " of ");
                er_view_size(&text, probe->gpus[i].memory);
                er_str_add(&text, " free");
        }
        say(r, VERDICT_OK, "GPUs", NULL, "%s", text.buf);
}

/* What logind's settings say about processes that stay after a logout; later files override earlier ones. */
struct logind {
        bool kills;
        struct er_str spared; /* names of users, each with spaces around it */
};

static void read_logind(const char *dir, const char *name, struct logind *logind)
{
        er_autofree char *path = er_path_join(dir, name);
        er_auto(er_str) text = ER_STR_INIT;
        struct er_sv rest, line, key;

        if (er_file_read(AT_FDCWD, path, 1 << 20, &text, NULL) < 0)
                return;
        rest = er_svn(text.buf, text.len);
        while (er_sv_cut(&rest, '\n', &line)) {
                er_autofree char *value = NULL;

                line = er_sv_trim(line);
                if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';' || !er_sv_cut(&line, '=', &key))
                        continue;
                key = er_sv_trim(key);
                value = er_sv_dup(er_sv_trim(line));
                if (er_sv_eq(key, er_sv("KillUserProcesses")))
                        logind->kills = er_streq(value, "yes") || er_streq(value, "true") || er_streq(value, "on") ||
                                        er_streq(value, "1");
                else if (er_sv_eq(key, er_sv("KillExcludeUsers"))) {
                        er_str_reset(&logind->spared);
                        er_str_addf(&logind->spared, " %s ", value);
                }
        }
}

static void read_all_logind(const char *dir, struct logind *logind)
{
        er_autofree char *parts = er_path_join(dir, "logind.conf.d");
        struct dirent **names = NULL;
        int count;

        read_logind(dir, "logind.conf", logind);
        count = scandir(parts, &names, NULL, alphasort);
        for (int i = 0; i < count; i++) {
                if (er_ends(names[i]->d_name, ".conf"))
                        read_logind(parts, names[i]->d_name, logind);
                free(names[i]);
        }
        free(names);
}

static void check_logout(struct report *r, struct er_session *session, const struct er_probe *probe)
{
        er_autofree char *run = er_dir_runtime();
        er_autofree char *dir = er_fmt("%s/doctor-XXXXXX", run);
        er_autofree char *there = NULL, *user = er_fmt(" %s ", probe->user ? probe->user : "");
        er_auto(er_strv) patterns = ER_STRV_INIT;
        struct logind logind = {.spared = ER_STR_INIT};
        struct er_transfer transfer = {0};

        er_strv_add(&patterns, "systemd/logind.conf*");
        er_str_add(&logind.spared, " root ");
        if (!mkdtemp(dir))
                return;
        there = er_path_join(dir, "systemd");
        if (er_pull(session, &(const struct er_pull){.dir = "/etc", .patterns = &patterns, .to = dir}, &transfer,
                    NULL) == 0)
                read_all_logind(there, &logind);
        if (logind.kills && !strstr(logind.spared.buf, user))
                say(r, VERDICT_WARN, "logout",
                    "set KillUserProcesses=no (or add your name to KillExcludeUsers=) in /etc/systemd/logind.conf "
                    "there, then run systemctl restart systemd-logind",
                    "systemd kills all processes of %s, jobs included, when the last login ends "
                    "(KillUserProcesses=yes)",
                    probe->user ? probe->user : "the user");
        (void)er_rmtree(AT_FDCWD, dir, NULL, NULL);
        er_str_release(&logind.spared);
}

static void check_probe(struct report *r, const struct er_probe *probe)
{
        er_auto(er_str) text = ER_STR_INIT;

        er_hosts_view_summary(&text, probe);
        say(r, VERDICT_OK, "machine", NULL, "%s, %s, %s", probe->os ? probe->os : "?", probe->arch ? probe->arch : "?",
            text.buf);
        if (!probe->writable)
                say(r, VERDICT_FAIL, "home",
                    "make it writable, or use another directory: errand hosts add NAME TARGET --root DIR",
                    "%s is not writable", probe->root);
        else if (probe->noexec)
                say(r, VERDICT_WARN, "home",
                    "programs in your project cannot be executed there; use another directory: errand hosts add NAME "
                    "TARGET --root DIR",
                    "%s is on a file system mounted noexec", probe->root);
        else
                say(r, VERDICT_OK, "home", NULL, "%s", probe->root);
        check_disk(r, probe->disk_free, "errand gc removes what nothing needs, errand rm JOB the directories of jobs");
        check_clock(r, probe->clock_skew_ms);
        check_tools(r, probe);
        check_gpus(r, probe);
}

/* meant: a suggestion for the name, or NULL */
static void check_host(struct report *r, const struct er_host *host, const char *meant)
{
        const struct er_session_opts opts = {.interactive = er_term_is(STDERR_FILENO), .silence_ms = ER_ONE_OF_MANY_MS};
        er_autoptr(er_live) live = er_live_new(r->cli->quiet);
        er_autoptr(er_session) session = NULL;
        er_auto(er_probe) probe = ER_PROBE_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        const struct er_hello *hello = NULL;

        section(r, host->name, host->name);
        er_live_still(live, "connecting to %s", host->name);
        if (er_session_open(host, &opts, &session, &err) < 0 || er_session_hello(session, &hello, &err) < 0) {
                say(r, VERDICT_FAIL, "reach", meant ? meant : err.hint, "%s",
                    err.message ? err.message : er_code_name(err.code));
                return;
        }
        er_live_clear(live);
        if (er_host_probe(session, &probe, &err) < 0) {
                say(r, VERDICT_FAIL, "probe", err.hint, "%s", err.message ? err.message : er_code_name(err.code));
                return;
        }
        say(r, VERDICT_OK, "reach", NULL, "answers in %.1f ms", (double)probe.latency_us / 1000.0);
        say(r, VERDICT_OK, "agent", NULL, "build %s", hello->build ? hello->build : "?");
        check_probe(r, &probe);
        check_logout(r, session, &probe);
}

static int doctor(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        struct report report = {.cli = cli, .text = ER_STR_INIT, .json = cli->json ? json_array() : NULL};
        er_auto(er_host) host = ER_HOST_INIT;
        er_auto(er_str) text = ER_STR_INIT;
        const char *meant = NULL;
        int rc = 0;

        (void)arg;
        check_here(&report);
        if (count > 0) {
                struct er_store *store = NULL;

                rc = er_store_open(cli->state_dir, &store, err);
                if (rc == 0) {
                        rc = er_hosts_find(store, args[0], &host, err);
                        if (er_target_host_meant(store, args[0], &text))
                                meant = text.buf;
                        er_store_close(store);
                }
        } else
                rc = er_host_parse("local", &host, err);
        if (rc == 0) {
                check_host(&report, &host, meant);
                rc = cli->json ? er_out_json(report.json, err) : er_out(er_svn(report.text.buf, report.text.len), err);
        }
        json_decref(report.json);
        er_str_release(&report.text);
        if (rc < 0)
                return -1;
        return report.worst == VERDICT_FAIL ? 1 : 0;
}

const struct er_command er_cmd_doctor = {
        .name = "doctor",
        .group = "Hosts",
        .summary = "Check this machine or a host for problems",
        .arguments = "[HOST]",
        .description = "Says how to fix each problem it finds. Without HOST, checks this machine, as a host too. The "
                       "exit status is 1 if a check fails, 0 otherwise.\n"
                       "\n"
                       "With --json: an array of objects with the keys host (null: errand's own setup on this "
                       "machine), check, verdict (ok, warn, fail), found, mend.",
        .examples = "errand doctor gpu-box\t\n",
        .flags = ER_CMD_JSON,
        .max_args = 1,
        .complete = ER_COMPLETE_HOST,
        .run = doctor,
};

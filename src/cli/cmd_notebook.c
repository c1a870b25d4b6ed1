/* cmd_notebook.c - errand notebook: Jupyter as a job, and its page on this machine. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/term.h"
#include "cli/follow.h"
#include "cli/secrets.h"
#include "cli/forwarding.h"
#include "cli/snapshot_view.h"
#include "cli/view.h"
#include "cli/words.h"
#include "host/attempt.h"
#include "job/config.h"
#include "maestro/maestro.h"

#define LOCAL_PORT 8888 /* where people expect Jupyter */
#define LOG_KEPT 8192u  /* of the server's log, for its address */
#define TOKEN_BYTES 24
#define TOKEN "JUPYTER_TOKEN"
#define END_MS 30000
#define RETRY_MS 1000
#define LINES_SAID 5 /* of a server that did not start */
#define ANSWER_MS 20000
#define LOOK_MS 100

struct notebook_opts {
        struct er_strv on;
        int64_t cpus, gpus, memory, time_limit_ms, port;
        const char *environment;
        bool lab, classic, detach, no_browser, yes;
};

#define OPT(name, letter, type, value, member, complete, help)                                                         \
        {name, letter, type, value, help, offsetof(struct notebook_opts, member), complete}

static const struct er_opt notebook_options[] = {
        OPT("on", 0, ER_OPT_LIST, "HOST", on, ER_COMPLETE_HOST, "Host to run on, as for errand run"),
        OPT("environment", 0, ER_OPT_TEXT, "NAME", environment, ER_COMPLETE_NONE,
            "Use this environment from errand.yaml"),
        OPT("lab", 0, ER_OPT_FLAG, NULL, lab, ER_COMPLETE_NONE, "Use JupyterLab (the default)"),
        OPT("classic", 0, ER_OPT_FLAG, NULL, classic, ER_COMPLETE_NONE, "Use Jupyter Notebook"),
        OPT("port", 'p', ER_OPT_COUNT, "N", port, ER_COMPLETE_NONE, "Local port (default: 8888, or the next free one)"),
        OPT("no-browser", 0, ER_OPT_FLAG, NULL, no_browser, ER_COMPLETE_NONE, "Only print the address"),
        OPT("detach", 'd', ER_OPT_FLAG, NULL, detach, ER_COMPLETE_NONE,
            "Run the server and the forwarding in the background"),
        OPT("cpus", 'c', ER_OPT_COUNT, "N", cpus, ER_COMPLETE_NONE, "CPUs it needs"),
        OPT("memory", 'm', ER_OPT_SIZE, "SIZE", memory, ER_COMPLETE_NONE, "Memory it needs, for example 16G"),
        OPT("gpus", 'g', ER_OPT_COUNT, "N", gpus, ER_COMPLETE_NONE,
            "GPUs it needs for itself (default: it sees those that nobody has reserved; 0: none)"),
        OPT("time-limit", 't', ER_OPT_DURATION, "TIME", time_limit_ms, ER_COMPLETE_NONE,
            "End it after this long, for example 8h"),
        OPT("yes", 'y', ER_OPT_FLAG, NULL, yes, ER_COMPLETE_NONE, "Do not ask before sending more than 1 GB"),
};

struct notebook {
        struct er_cli *cli;
        const struct notebook_opts *opts;
        struct er_live *live;
        struct er_where where;
        uint16_t port;      /* of the server, on its host */
        char *page;         /* (owned) a file that redirects the browser, or NULL */
        struct er_str said; /* the end of its log, until it says where it listens */
};

/* --- the job */

static void command_words(const struct notebook_opts *opts, struct er_strv *ret)
{
        er_strv_add(ret, opts->classic ? "jupyter-notebook" : "jupyter-lab");
        er_strv_add(ret, "--no-browser");
        er_strv_add(ret, "--ip=127.0.0.1");
        er_strv_addf(ret, "--port=%d", LOCAL_PORT);
        er_strv_add(ret, "--ServerApp.port_retries=200"); /* other users of this host run servers too */
        er_strv_add(ret, "--allow-root"); /* a container's user, or a rented machine's; it listens on 127.0.0.1 and has
                                             a token */
}

/* errand.yaml applies, except for the settings about the end of a run. */
static int make_request(const struct er_cli *cli, const struct notebook_opts *opts, struct er_request *ret,
                        struct er_err *err)
{
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_auto(er_config) over = ER_CONFIG_INIT;
        er_autofree char *dir = NULL;

        if (er_target_project(&dir, err) < 0 || er_config_load(dir, &config, err) < 0)
                return -1;
        er_strv_release(&config.outputs);
        config.time_limit_ms = -1;
        config.retries = -1;
        free(config.workdir);
        config.workdir = NULL;
        config.command_is_line = false;
        command_words(opts, &over.command);
        er_strv_addall(&over.on, opts->on.items, opts->on.len);
        over.cpus = opts->cpus;
        over.gpus = opts->gpus;
        over.memory = opts->memory;
        over.time_limit_ms = opts->time_limit_ms;
        over.environment = opts->environment ? er_strdup(opts->environment) : NULL;
        er_strv_add(&over.software_options.also, opts->classic ? "notebook" : "jupyterlab");
        er_config_overlay(&config, &over);
        if (!er_strv_has(&config.secrets, TOKEN))
                er_strv_add(&config.secrets, TOKEN);
        if (er_request_make(&config, dir, "", NULL, ret, err) < 0)
                return -1;
        return er_request_check_hosts(cli->store, ret, err);
}

/* Puts a token into our environment, from which the maestro takes it as a secret. An existing one is the user's own. */
static int make_token(struct er_err *err)
{
        unsigned char bytes[TOKEN_BYTES];
        char hex[2 * TOKEN_BYTES + 1];
        const char *own = getenv(TOKEN);

        if (own && own[0])
                return 0;
        if (getentropy(bytes, sizeof bytes) < 0)
                return er_err_errno(err, errno, "making a token");
        er_fmt_hex(bytes, sizeof bytes, hex);
        if (setenv(TOKEN, hex, 1) < 0)
                return er_err_errno(err, errno, "keeping the token");
        explicit_bzero(hex, sizeof hex);
        return 0;
}

static int first_job(void *arg, const struct er_job *job, struct er_err *err)
{
        int64_t *id = arg;

        (void)err;
        *id = job->id;
        return 0;
}

/* Submits the job and waits until it is on its host with its environment built. Returns 0, or an exit status if it
 * never started. */
static int submit(struct notebook *n, struct er_err *err)
{
        const struct notebook_opts *opts = n->opts;
        er_auto(er_request) request = ER_REQUEST_INIT;
        er_autoptr(er_snapshot) snapshot = NULL;
        er_auto(er_run) run = {0};
        struct er_job_filter filter = {.without_spec = true, .limit = 1};
        int64_t job_id = 0;
        int rc;

        if (make_token(err) < 0 || make_request(n->cli, opts, &request, err) < 0 ||
            er_secrets_ask(&request.spec.secrets, err) < 0)
                return -1;
        if (request.spec.sync &&
            er_snapshot_view_take(n->cli, request.project_dir, request.spec.project, !opts->yes, &snapshot, err) < 0)
                return -1;
        if (er_follow_store(n->cli, &request, snapshot, &run, err) < 0)
                return -1;
        rc = er_follow_run(n->cli,
                           &(struct er_follow){.run = &run, .snapshot = snapshot, .detach = true, .silent = true}, err);
        if (rc != 0)
                return rc;
        filter.run_id = run.id;
        if (er_store_each_job(n->cli->store, &filter, first_job, &job_id, err) < 0)
                return -1;
        n->where.is_job = true;
        n->where.job.id = job_id;
        return er_where_reload(n->cli, &n->where, err);
}

/* --- its port */

struct reading {
        struct er_str log;
        uint16_t port;
};

/* Looks for "http://127.0.0.1:8890/lab?token=..." in Jupyter's log. The token itself is not logged if it was given to
 * Jupyter. */
static uint16_t find_port(const char *log)
{
        static const char mark[] = "http://127.0.0.1:";
        const char *at = log;

        while ((at = strstr(at, mark))) {
                er_autofree char *digits = NULL;
                uint64_t number;
                size_t len;

                at += sizeof mark - 1;
                len = strspn(at, "0123456789");
                digits = er_strndup(at, len);
                if (len > 0 && at[len] == '/' && er_parse_u64(digits, 65535, &number, NULL) == 0 && number > 0)
                        return (uint16_t)number;
        }
        return 0;
}

static int on_log(void *arg, int stream, uint64_t offset, int64_t time_ms, struct er_sv data, struct er_err *err)
{
        struct reading *reading = arg;

        (void)stream, (void)offset, (void)time_ms;
        er_str_addn(&reading->log, data.ptr, data.len);
        reading->port = find_port(reading->log.buf);
        if (reading->port)
                return er_err_set(err, ER_EXISTS, "found");
        if (reading->log.len > LOG_KEPT)
                er_str_drop(&reading->log, reading->log.len - LOG_KEPT);
        return 0;
}

static int on_event(void *arg, const struct er_status *status, struct er_err *err)
{
        (void)arg, (void)status, (void)err;
        return 0;
}

/* Reads its log as it comes, over one connection. */
static int read_log(struct notebook *n, struct er_signals *signals, struct reading *reading, struct er_err *err)
{
        const struct er_session_opts opts = {.interactive = er_term_is(STDERR_FILENO), .cancel = &signals->stop};
        er_autoptr(er_session) session = NULL;
        er_autofree char *key = er_job_key(n->cli->store, &n->where.job);
        const struct er_watch watch = {.key = key,
                                       .attempt = n->where.job.attempt,
                                       .log = true,
                                       .on_event = on_event,
                                       .on_log = on_log,
                                       .arg = reading};

        if (er_session_open(&n->where.host, &opts, &session, err) < 0)
                return -1;
        return er_attempt_watch(session, &watch, err);
}

/* Jupyter says where it listens a moment before it does. */
static int await_answer(struct notebook *n, const struct er_signals *signals, struct er_err *err)
{
        er_autoptr(er_forward) forward = NULL;
        struct pollfd stop = {.fd = signals->stop.fds[0], .events = POLLIN};
        er_deadline deadline = er_deadline_in(ANSWER_MS);

        if (er_forward_open(&n->where.host, NULL, NULL, &forward, err) < 0)
                return -1;
        while (!er_forward_answers(forward, n->port) && er_deadline_poll_ms(deadline) != 0)
                if (poll(&stop, 1, LOOK_MS) > 0)
                        return er_err_set(err, ER_CANCELLED, "left %s", n->where.job.name);
        return 1;
}

/* Returns 1 if its port is known, 0 if the job has ended. */
static int await_server(struct notebook *n, struct er_signals *signals, struct er_err *err)
{
        for (;;) {
                struct reading reading = {.log = ER_STR_INIT};
                er_auto(er_err) why = ER_ERR_INIT;
                struct pollfd stop = {.fd = signals->stop.fds[0], .events = POLLIN};
                int rc = er_forwarding_wait_for_start(n->cli, n->live, &n->where, signals, err);

                if (rc <= 0)
                        return rc;
                er_live_set(n->live, "%s: Jupyter is starting on %s", n->where.job.name, n->where.job.host);
                rc = read_log(n, signals, &reading, &why);
                if (reading.log.len > 0) {
                        er_str_release(&n->said);
                        n->said = reading.log;
                }
                n->port = reading.port;
                if (n->port)
                        rc = await_answer(n, signals, err);
                er_live_clear(n->live);
                if (n->port)
                        return rc;
                if (rc < 0 && why.code == ER_CANCELLED)
                        return er_err_move(err, &why);
                if (rc < 0 && !why.retryable && why.code != ER_TRANSPORT && why.code != ER_NET)
                        return er_err_move(err, &why);
                /* Either it has ended, which we learn from the store, or the connection broke. */
                if (poll(&stop, 1, RETRY_MS) > 0)
                        return er_err_set(err, ER_CANCELLED, "left %s", n->where.job.name);
                if (er_where_reload(n->cli, &n->where, err) < 0)
                        return -1;
        }
}

/* --- its page */

/* The user's own token may contain any character. */
static char *address(const struct notebook *n, uint16_t local)
{
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
        er_auto(er_str) url = ER_STR_INIT;

        er_str_addf(&url, "http://127.0.0.1:%u/%s?token=", local, n->opts->classic ? "tree" : "lab");
        for (const char *at = getenv(TOKEN); at && *at; at++) {
                if (strchr(plain, *at))
                        er_str_addc(&url, *at);
                else
                        er_str_addf(&url, "%%%02X", (unsigned)(unsigned char)*at);
        }
        return er_str_detach(&url);
}

/* The token must not be among the browser's arguments, which all users of this machine can see. So the browser opens a
 * file of ours that redirects it. */
static void open_browser(struct notebook *n, const char *url)
{
#ifdef __APPLE__
        er_autofree char *program = er_proc_which("open");
        bool display = true;
#else
        er_autofree char *program = er_proc_which("xdg-open");
        const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
        bool display = (x11 && x11[0]) || (wayland && wayland[0]);
#endif
        er_autofree char *dir = er_dir_runtime();
        er_autofree char *html = er_fmt("<!doctype html><meta charset=\"utf-8\"><title>errand notebook</title><meta "
                                        "http-equiv=\"refresh\" content=\"0; url=%s\"><a href=\"%s\">%s</a>\n",
                                        url, url, n->where.job.name);
        er_auto(er_strv) argv = ER_STRV_INIT;
        struct er_proc_opts opts = {.io = {ER_PROC_NULL, ER_PROC_NULL, ER_PROC_NULL}, .new_session = true};
        struct er_proc proc = ER_PROC_INIT;

        if (!display || !program || n->opts->no_browser)
                return;
        n->page = er_fmt("%s/notebook-%s.html", dir, n->where.job.name);
        if (er_file_write(AT_FDCWD, n->page, html, strlen(html), 0600, false, NULL) < 0)
                return;
        er_strv_add(&argv, program);
        er_strv_add(&argv, n->page);
        opts.argv = argv.items;
        /* Not waited for: it may be the browser itself. */
        if (er_proc_start(&opts, &proc, NULL) < 0)
                er_say(n->cli, "could not start a browser");
}

static int show(struct notebook *n, uint16_t local, struct er_err *err)
{
        er_autofree char *url = address(n, local);

        er_say(n->cli, "%s: Jupyter on %s, working on a copy of the project", n->where.job.name, n->where.job.host);
        if (er_out_line(err, "%s", url) < 0)
                return -1;
        open_browser(n, url);
        return 0;
}

/* --- its end */

static struct er_strv *checkpoints;

static int find_checkpoints(const char *path, const struct stat *st, int type, struct FTW *at)
{
        (void)st;
        if (type == FTW_D && er_streq(path + at->base, ".ipynb_checkpoints"))
                er_strv_add(checkpoints, path);
        return 0;
}

/* Jupyter's own checkpoints match the pattern too, but nobody wants them. */
static void drop_checkpoints(const char *dir)
{
        er_auto(er_strv) found = ER_STRV_INIT;

        checkpoints = &found;
        nftw(dir, find_checkpoints, 16, FTW_PHYS);
        checkpoints = NULL;
        for (size_t i = 0; i < found.len; i++)
                er_rmtree(AT_FDCWD, found.items[i], NULL, NULL);
}

/* Fetches all notebooks into results/JOB/. The copy that was worked on stays on the host until it is cleaned up. */
static void fetch_notebooks(struct notebook *n)
{
        er_autoptr(er_session) session = NULL;
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_strv) patterns = ER_STRV_INIT;
        const struct er_job *job = &n->where.job;
        er_autofree char *key = er_job_key(n->cli->store, job), *to = er_job_results_dir(job),
                         *shown = er_view_path(to);
        struct er_transfer transfer = {0};
        const struct er_pull pull = {
                .key = key, .attempt = job->attempt, .patterns = &patterns, .to = to, .within = job->project_dir};

        er_strv_add(&patterns, "**/*.ipynb");
        if (er_target_session(n->cli, job->host, n->live, &session, &err) < 0 ||
            er_pull(session, &pull, &transfer, &err) < 0) {
                er_live_clear(n->live);
                er_err_wrap(&err, "fetching its notebooks");
                er_err_hint(&err, "when the host can be reached: errand pull %s '**/*.ipynb' %s/", job->name, shown);
                er_say_err(&err);
                return;
        }
        er_live_clear(n->live);
        if (transfer.total_files == 0 && transfer.files == 0)
                return;
        drop_checkpoints(to);
        er_say(n->cli, "its notebooks are in %s/; other files: errand pull %s PATH", shown, job->name);
}

static int end_server(struct notebook *n, struct er_err *err)
{
        er_auto(er_jobs) jobs = ER_JOBS_INIT;
        er_auto(er_str) line = ER_STR_INIT;
        struct er_job job = ER_JOB_INIT;
        bool over = false;

        fetch_notebooks(n);
        if (er_maestro_cancel(n->cli->store, &n->where.job.id, 1, err) < 0 ||
            er_store_job(n->cli->store, n->where.job.id, &job, err) < 0)
                return -1;
        er_jobs_add(&jobs, &job);
        er_live_set(n->live, "waiting for %s to end", jobs.items[0].name);
        if (er_target_wait(n->cli, &jobs, er_deadline_in(END_MS), -1, &over, err) < 0)
                return -1;
        er_live_clear(n->live);
        er_target_result(&line, &jobs.items[0]);
        er_say(n->cli, "%s%s", line.buf, over ? "" : ", being cancelled");
        return 0;
}

static int leave_server(const struct notebook *n)
{
        const char *name = n->where.job.name;

        er_say(n->cli, "the server goes on as %s", name);
        if (n->port && n->where.host.kind != ER_HOST_LOCAL)
                er_say_more(n->cli,
                            "reach it again: errand forward %s %u    its address: errand exec %s jupyter server list",
                            name, n->port, name);
        er_say_more(n->cli, "end it: errand cancel %s    its notebooks: errand pull %s '**/*.ipynb'", name, name);
        return er_code_exit_status(ER_DETACHED);
}

static int stopped(struct notebook *n, struct er_signals *signals, struct er_err *err)
{
        er_signals_release(signals); /* another Ctrl-C quits at once */
        if (!er_can_ask())
                return leave_server(n);
        er_live_echoed(n->live);
        er_ask_begin();
        return er_ask("End the server too?") ? end_server(n, err) : leave_server(n);
}

static void say_last_lines(const struct notebook *n)
{
        struct er_sv rest = er_sv_trim(er_svn(n->said.buf, n->said.len)), line;
        size_t lines = 0, at = rest.len;

        while (at > 0 && (rest.ptr[at - 1] != '\n' || ++lines < LINES_SAID))
                at--;
        rest = er_svn(rest.ptr + at, rest.len - at);
        while (rest.len > 0 && er_sv_cut(&rest, '\n', &line)) {
                er_auto(er_str) shown = ER_STR_INIT;

                er_quote_show(&shown, line.ptr, line.len);
                er_say_more(n->cli, "%s", shown.buf);
        }
}

static int ended(struct notebook *n)
{
        const struct er_job *job = &n->where.job;
        er_auto(er_str) line = ER_STR_INIT;
        bool lost = job->reason == ER_REASON_GONE || job->reason == ER_REASON_REBOOT || job->exit_status == 221;

        er_target_result(&line, job);
        er_say(n->cli, "%s", line.buf);
        if (lost) {
                er_say_more(n->cli, "what was saved may still be on the disk of %s: errand pull %s '**/*.ipynb'",
                            job->host, job->name);
                er_say_more(n->cli, "errand notebook starts another");
        } else if (n->port) {
                fetch_notebooks(n);
        } else {
                say_last_lines(n);
                er_say_more(n->cli, "its log: errand logs %s", job->name);
        }
        return n->port && job->state != ER_JOB_FAILED ? 0 : job->exit_status > 0 ? job->exit_status : 1;
}

/* --- the command */

static int serve_page(struct notebook *n, struct er_signals *signals, uint16_t *local, bool first, struct er_err *err)
{
        er_autofree char *when_lost = er_fmt("the server goes on if its host does; if the host does not come back, use "
                                             "errand cancel %s, then errand notebook for another server",
                                             n->where.job.name);
        struct er_forwarding_words words = {n->live, when_lost};
        er_autoptr(er_forward) forward = NULL;
        struct er_port port = {.port = n->port, .local = *local, .exact = !first || n->opts->port > 0};

        if (n->where.host.kind == ER_HOST_LOCAL && n->opts->port <= 0)
                *local = n->port;
        else if (n->opts->detach) {
                if (er_forwarding_detach(n->cli, n->where.job.name, &port, 1, err) < 0)
                        return -1;
                *local = port.local;
        } else {
                if (er_forwarding_open(n->cli, &words, &n->where.host, &port, 1, &forward, err) < 0)
                        return -1;
                *local = port.local;
        }
        if (first && show(n, *local, err) < 0)
                return -1;
        if (n->opts->detach) {
                er_say(n->cli, "it runs in the background; end it: errand cancel %s", n->where.job.name);
                er_say_more(n->cli, "its notebooks: errand pull %s '**/*.ipynb'", n->where.job.name);
                return ER_FORWARDING_STOPPED;
        }
        if (first)
                er_say(n->cli, "Ctrl-C ends the forwarding and asks about the server");
        return er_forwarding_wait(n->cli, &n->where, signals, err);
}

static int carry(struct notebook *n, struct er_signals *signals, struct er_err *err)
{
        uint16_t local = (uint16_t)(n->opts->port > 0 ? n->opts->port : LOCAL_PORT);

        for (bool first = true;; first = false) {
                er_auto(er_err) why = ER_ERR_INIT;
                int rc = await_server(n, signals, &why), end;

                if (rc < 0 && why.code == ER_CANCELLED)
                        return stopped(n, signals, err);
                if (rc < 0)
                        return er_err_move(err, &why);
                if (rc == 0)
                        return ended(n);
                end = serve_page(n, signals, &local, first, err);
                if (end < 0) {
                        leave_server(n);
                        return -1;
                }
                if (end == ER_FORWARDING_ENDED)
                        return ended(n);
                if (end == ER_FORWARDING_STOPPED)
                        return n->opts->detach ? 0 : stopped(n, signals, err);
                er_say(n->cli, "%s is on %s now and starts again", n->where.job.name, n->where.job.host);
                n->port = 0;
        }
}

static int notebook(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct notebook_opts *opts = arg;
        er_auto(er_signals) signals = ER_SIGNALS_INIT;
        struct notebook n = {.cli = cli, .opts = opts, .where = ER_WHERE_INIT, .said = ER_STR_INIT};
        int rc;

        (void)args, (void)count;
        if (opts->lab && opts->classic)
                return er_err_set(err, ER_USAGE, "--lab and --classic cannot be used together");
        if (opts->port == 0 || opts->port > 65535)
                return er_err_set(err, ER_USAGE, "--port: %lld is not a port from 1 to 65535", (long long)opts->port);
        rc = submit(&n, err);
        if (rc == 0 && (rc = er_signals_catch(&signals, err)) == 0) {
                n.live = er_live_new(cli->quiet);
                rc = carry(&n, &signals, err);
                er_live_free(n.live);
        }
        if (n.page && !opts->detach)
                unlink(n.page);
        free(n.page);
        er_str_release(&n.said);
        er_where_release(&n.where);
        return rc;
}

const struct er_command er_cmd_notebook = {
        .name = "notebook",
        .group = "Run",
        .summary = "Run Jupyter on any host, in the project's environment",
        .arguments = NULL,
        .description = "Jupyter runs as a job: errand jobs lists it, errand logs shows its log, and errand cancel ends "
                       "it. It is added to the project's environment if that does not declare it. If nothing is "
                       "declared, the packages that the project's files import are found and installed. A container "
                       "image must bring Jupyter itself.\n"
                       "\n"
                       "The server listens on 127.0.0.1 of its host, with a random token (or JUPYTER_TOKEN from your "
                       "environment). Its port is forwarded to this machine and the address is printed on standard "
                       "output; if there is a display, a browser opens.\n"
                       "\n"
                       "The server works on a copy of the project, as every job does: what you change there does not "
                       "change the files here. When the server ends, all notebooks are brought back into results/JOB/; "
                       "errand pull fetches other files, even while it runs.\n"
                       "\n"
                       "Ctrl-C ends the forwarding and asks whether to end the server too; without a terminal to ask "
                       "on, the server goes on. With --detach, both go on in the background, and errand cancel ends "
                       "both. The settings time_limit, retries, outputs and workdir of errand.yaml do not apply.",
        .examples = "errand notebook --on gpu-box --gpus 1\tJupyterLab on a host\n"
                    "errand notebook --on gpu-box -d\tin the background\n"
                    "errand notebook\ton this machine\n",
        .opts = notebook_options,
        .opt_count = ER_LEN(notebook_options),
        .opts_size = sizeof(struct notebook_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_QUIET,
        .max_args = 0,
        .complete = ER_COMPLETE_NONE,
        .run = notebook,
};

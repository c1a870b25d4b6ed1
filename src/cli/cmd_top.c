/* cmd_top.c - errand top: what hosts are doing at the moment. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>
#include "base/io.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/term.h"
#include "cli/view.h"
#include "cli/target.h"
#include "cli/top_watch.h"
#include "cli/words.h"
#include "maestro/maestro.h"

#define EVERY_MS 2000
#define EVERY_MIN_MS 200
#define LOOK_MS 100
#define LATE_MS 8000
#define ONCE_MS 30000 /* a host that has not answered by then is shown as such */

struct top_opts {
        bool once;
        int64_t every_ms;
};

static const struct er_opt top_options[] = {
        {"once", '1', ER_OPT_FLAG, NULL, "Print one table and exit (the default if the output is not a terminal)",
         offsetof(struct top_opts, once), ER_COMPLETE_NONE},
        {"every", 'e', ER_OPT_DURATION, "TIME", "Time between two looks at the hosts (default: 2s)",
         offsetof(struct top_opts, every_ms), ER_COMPLETE_NONE},
};

/* --- the table */

static const struct er_column columns[] = {
        {.title = "HOST / JOB", .json_key = "name", .type = ER_CELL_TEXT},
        {.title = "CPU", .json_key = "cpu", .type = ER_CELL_TEXT},
        {.title = "MEMORY", .json_key = "memory", .type = ER_CELL_TEXT},
        {.title = "GPU", .json_key = "gpu", .type = ER_CELL_TEXT},
        {.title = "", .json_key = "state", .type = ER_CELL_TEXT, .may_cut = true},
};

static void percent_cell(struct er_table *table, int percent, unsigned cpus)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (percent >= 0)
                er_str_addf(&text, "%d%%", percent);
        if (cpus > 0)
                er_str_addf(&text, "%sof %u", text.len ? " " : "", cpus);
        er_table_text(table, text.buf);
}

static void part_cell(struct er_table *table, uint64_t used, uint64_t all)
{
        er_auto(er_str) text = ER_STR_INIT;

        er_fmt_size(&text, used);
        er_str_add(&text, " of ");
        er_fmt_size(&text, all);
        er_table_text(table, text.buf);
}

static uint64_t minus(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

/* "mnist-12.0" of "mnist-12.0.1763740000.3fa9c1" */
static char *job_name(const char *key)
{
        const char *end = key + strlen(key);

        for (int dots = 0; end > key && dots < 2;)
                if (*--end == '.')
                        dots++;
        return end > key ? er_strndup(key, (size_t)(end - key)) : er_strdup(key);
}

static void host_row(struct er_table *table, const struct er_top_host *host, int64_t late_ms)
{
        const struct er_probe *probe = &host->probe;
        er_auto(er_str) text = ER_STR_INIT;
        unsigned util = 0, utils = 0;

        er_table_text(table, host->host.name);
        if (!host->has_probe) {
                for (int i = 0; i < 3; i++)
                        er_table_text(table, "");
                er_str_add(&text, host->error ? host->error : "connecting");
                er_table_text(table, text.buf);
                return;
        }
        percent_cell(table, host->cpu_percent, probe->cpus);
        part_cell(table, minus(probe->memory, probe->memory_free), probe->memory);
        for (size_t i = 0; i < probe->gpu_count; i++) {
                util += probe->gpus[i].util < 0 ? 0 : (unsigned)probe->gpus[i].util;
                utils += probe->gpus[i].util >= 0;
        }
        if (utils > 0)
                er_str_addf(&text, "%u%% of %zu", util / utils, probe->gpu_count);
        else if (probe->gpu_count > 0)
                er_str_addf(&text, "?%% of %zu", probe->gpu_count);
        er_table_text(table, text.buf);
        er_str_reset(&text);
        if (host->error) {
                er_str_add(&text, host->error);
                er_str_add(&text, " (last seen ");
                er_fmt_age(&text, er_now_ms() - host->asked_ms);
                er_str_addc(&text, ')');
        } else if (er_now_ms() - host->asked_ms > late_ms) {
                er_str_add(&text, "no answer (last seen ");
                er_fmt_age(&text, er_now_ms() - host->asked_ms);
                er_str_addc(&text, ')');
        } else {
                er_str_addf(&text, "load %.2f, ", probe->load);
                er_fmt_size(&text, probe->disk_free);
                er_str_add(&text, " disk free");
                if (probe->queued > 0)
                        er_str_addf(&text, ", %u queued", probe->queued);
        }
        er_table_text(table, text.buf);
}

/* Bytes, or -1. */
static int64_t used(const struct er_gpu *gpu)
{
        return gpu->memory < 0 || gpu->memory_free < 0 || gpu->memory_free > gpu->memory
                       ? -1
                       : gpu->memory - gpu->memory_free;
}

static void gpu_rows(struct er_table *table, const struct er_probe *probe)
{
        for (size_t i = 0; i < probe->gpu_count; i++) {
                const struct er_gpu *gpu = &probe->gpus[i];
                er_autofree char *name = er_fmt("  gpu %u", gpu->index);
                er_autofree char *util = gpu->util < 0 ? er_strdup("?") : er_fmt("%d%%", gpu->util);
                er_autofree char *state = er_fmt("%s%s", gpu->name ? gpu->name : "?", gpu->taken ? ", taken" : "");
                er_auto(er_str) part = ER_STR_INIT;

                er_table_text(table, name);
                er_table_text(table, "");
                er_view_size(&part, used(gpu));
                er_str_add(&part, " of ");
                er_view_size(&part, gpu->memory);
                er_table_text(table, part.buf);
                er_table_text(table, util);
                er_table_text(table, state);
        }
}

static void job_row(struct er_table *table, const struct er_top_host *host, const struct er_top_job *job,
                    const char *store_id)
{
        const struct er_status *status = &job->status;
        er_autofree char *name = job_name(status->key ? status->key : "?"), *shown = er_fmt("  %s", name);
        const char *owner = status->key ? strrchr(status->key, '.') : NULL;
        er_auto(er_str) text = ER_STR_INIT;

        er_table_text(table, shown);
        percent_cell(table, job->cpu_percent, 0);
        if (status->rss > 0)
                er_fmt_size(&text, status->rss);
        er_table_text(table, text.buf);
        er_str_reset(&text);
        for (unsigned i = 0; i < 64; i++)
                if (status->gpu_mask >> i & 1)
                        er_str_addf(&text, "%s%u", text.len ? "," : "", i);
        er_table_text(table, text.buf);
        er_str_reset(&text);
        er_str_add(&text, er_state_name((enum er_state)status->state));
        if (status->started_ms > 0) {
                int64_t age = er_now_ms() > status->started_ms ? er_now_ms() - status->started_ms : 0;

                er_str_addc(&text, ' ');
                if (age < 60000)
                        er_str_addf(&text, "%ds", (int)(age / 1000));
                else
                        er_fmt_duration(&text, age / 1000 * 1000);
        }
        if (status->detail && status->state == ER_STATE_WAITING)
                er_str_addf(&text, ": %s", status->detail);
        if (host->probe.user)
                er_str_addf(&text, ", %s", host->probe.user);
        if (!owner || !er_streq(owner + 1, store_id))
                er_str_add(&text, " (from another store)");
        er_table_text(table, text.buf);
}

struct drawing {
        struct er_table *table;
        json_t *json;
        const char *store_id;
        int64_t late_ms; /* a host that has been silent for this long is not just about to answer */
};

static void draw_host(void *arg, const struct er_top_host *host)
{
        const struct drawing *d = arg;

        host_row(d->table, host, d->late_ms);
        if (!host->has_probe)
                return;
        gpu_rows(d->table, &host->probe);
        for (size_t i = 0; i < host->job_count; i++)
                job_row(d->table, host, &host->jobs[i], d->store_id);
}

/* --- for programs */

static json_t *gpus_json(const struct er_probe *probe)
{
        json_t *list = json_array();

        for (size_t i = 0; i < probe->gpu_count; i++) {
                const struct er_gpu *gpu = &probe->gpus[i];

                json_array_append_new(list, json_pack("{s:i, s:o, s:o, s:o, s:o, s:b}", "index", (int)gpu->index,
                                                      "name", er_json_text(gpu->name), "percent",
                                                      er_view_known(gpu->util), "memory", er_view_known(gpu->memory),
                                                      "memory_used", er_view_known(used(gpu)), "taken", gpu->taken));
        }
        return list;
}

static json_t *percent_json(int percent)
{
        return percent < 0 ? json_null() : json_integer(percent);
}

static json_t *jobs_json(const struct er_top_host *host, const char *store_id)
{
        json_t *list = json_array();

        for (size_t i = 0; i < host->job_count; i++) {
                const struct er_status *status = &host->jobs[i].status;
                const char *owner = status->key ? strrchr(status->key, '.') : NULL;
                er_autofree char *name = job_name(status->key ? status->key : "?");
                json_t *job = json_object(), *gpus = json_array();

                for (unsigned k = 0; k < 64; k++)
                        if (status->gpu_mask >> k & 1)
                                json_array_append_new(gpus, json_integer(k));
                json_object_set_new(job, "job", er_json_text(name));
                json_object_set_new(job, "attempt", json_integer(status->attempt));
                json_object_set_new(job, "ours", json_boolean(owner && er_streq(owner + 1, store_id)));
                json_object_set_new(job, "state", json_string(er_state_name((enum er_state)status->state)));
                json_object_set_new(job, "user", er_json_text(host->probe.user));
                json_object_set_new(job, "cpu_percent", percent_json(host->jobs[i].cpu_percent));
                json_object_set_new(job, "memory", json_integer((json_int_t)status->rss));
                json_object_set_new(job, "gpus", gpus);
                json_object_set_new(job, "seconds",
                                    status->started_ms > 0
                                            ? json_real((double)(er_now_ms() - status->started_ms) / 1000)
                                            : json_null());
                json_array_append_new(list, job);
        }
        return list;
}

static void add_json(void *arg, const struct er_top_host *host)
{
        const struct drawing *d = arg;
        const struct er_probe *probe = &host->probe;
        json_t *object = json_object();

        json_object_set_new(object, "host", er_json_text(host->host.name));
        json_object_set_new(object, "reachable", json_boolean(host->asked && !host->error));
        json_object_set_new(object, "error", host->asked ? er_json_text(host->error) : json_string("no answer yet"));
        if (host->has_probe) {
                json_object_set_new(object, "cpus", json_integer(probe->cpus));
                json_object_set_new(object, "cpu_percent", percent_json(host->cpu_percent));
                json_object_set_new(object, "load", json_real(probe->load));
                json_object_set_new(object, "memory", json_integer((json_int_t)probe->memory));
                json_object_set_new(object, "memory_used",
                                    json_integer((json_int_t)minus(probe->memory, probe->memory_free)));
                json_object_set_new(object, "disk", json_integer((json_int_t)probe->disk));
                json_object_set_new(object, "disk_free", json_integer((json_int_t)probe->disk_free));
                json_object_set_new(object, "gpus", gpus_json(probe));
                json_object_set_new(object, "jobs", jobs_json(host, d->store_id));
        }
        json_array_append_new(d->json, object);
}

/* --- once */

static int show(struct er_top_watch *watch, const char *store_id, bool terminal, int64_t every_ms, struct er_err *err)
{
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        struct drawing d = {.table = table, .store_id = store_id, .late_ms = LATE_MS + every_ms};
        er_auto(er_str) text = ER_STR_INIT;

        er_top_watch_look(watch, 0, draw_host, &d);
        er_table_print(table, &text, terminal ? er_term_width(STDOUT_FILENO) : 0, er_term_colour(STDOUT_FILENO),
                       er_now_ms());
        return er_out(er_svn(text.buf, text.len), err);
}

static void settle(struct er_top_watch *watch)
{
        er_deadline deadline = er_deadline_in(ONCE_MS);

        while (!er_top_watch_look(watch, LOOK_MS, NULL, NULL) && er_deadline_poll_ms(deadline) != 0)
                ;
}

static int once(const struct er_cli *cli, struct er_top_watch *watch, const char *store_id, struct er_err *err)
{
        struct drawing d = {.store_id = store_id};
        int rc;

        settle(watch);
        if (!cli->json)
                return show(watch, store_id, er_term_is(STDOUT_FILENO), EVERY_MS, err);
        d.json = json_array();
        er_top_watch_look(watch, 0, add_json, &d);
        rc = er_out_json(d.json, err);
        json_decref(d.json);
        return rc;
}

/* --- live */

static struct er_cancel leave;

static void on_signal(int number)
{
        (void)number;
        er_cancel_fire(&leave);
}

/* Writes the whole picture at once and clears each line to its end, so that nothing flickers. */
static int redraw(struct er_top_watch *watch, const char *store_id, int64_t every_ms, struct er_err *err)
{
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        struct drawing d = {.table = table, .store_id = store_id, .late_ms = LATE_MS + every_ms};
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_str) picture = ER_STR_INIT;
        struct er_sv rest, line;
        int room = er_term_height(STDOUT_FILENO) - 1;

        er_top_watch_look(watch, 0, draw_host, &d);
        er_table_print(table, &text, er_term_width(STDOUT_FILENO), er_term_colour(STDOUT_FILENO), er_now_ms());
        er_str_add(&picture, "\033[H");
        for (rest = er_svn(text.buf, text.len); room > 0 && rest.len > 0 && er_sv_cut(&rest, '\n', &line); room--) {
                er_str_addn(&picture, line.ptr, line.len);
                er_str_add(&picture, "\033[K\r\n");
        }
        er_str_addf(&picture, "\033[J%sq quits", rest.len > 0 ? "... and more; " : "");
        return er_write_full(STDOUT_FILENO, picture.buf, picture.len) < 0
                       ? er_err_errno(err, errno, "writing to the terminal")
                       : 0;
}

/* Returns true if the user wants to quit. */
static bool wait_for_key(void)
{
        struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = leave.fds[0], .events = POLLIN}};
        char key = 0;

        poll(p, 2, LOOK_MS);
        if (p[1].revents)
                return true;
        if (!p[0].revents)
                return false;
        return read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q' || key == 3 || key == 4;
}

static int live(struct er_top_watch *watch, const char *store_id, int64_t every_ms, struct er_err *err)
{
        static const char begin[] = "\033[?1049h\033[?25l\033[2J", end[] = "\033[?25h\033[?1049l";
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
        struct sigaction action = {.sa_handler = on_signal};
        struct termios before, quiet;
        er_deadline due = 0;
        bool stop = false;
        int rc = 0;

        if (er_cancel_init(&leave) < 0)
                return er_err_errno(err, errno, "making a pipe");
        for (size_t i = 0; i < ER_LEN(numbers); i++)
                sigaction(numbers[i], &action, NULL);
        if (tcgetattr(STDIN_FILENO, &before) == 0) {
                quiet = before;
                quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
                tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        }
        er_write_full(STDOUT_FILENO, begin, sizeof begin - 1);
        while (rc == 0 && !stop) {
                bool all = er_top_watch_look(watch, 0, NULL, NULL);

                if (er_deadline_poll_ms(due) == 0) {
                        rc = redraw(watch, store_id, every_ms, err);
                        due = er_deadline_in(all && every_ms < 1000 ? every_ms
                                             : all                  ? 1000
                                                   : EVERY_MIN_MS); /* times advance between two answers */
                }
                stop = wait_for_key();
        }
        er_write_full(STDOUT_FILENO, end, sizeof end - 1);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        return rc;
}

/* Without a terminal to draw on, prints one table after another. */
static int repeat(struct er_top_watch *watch, const char *store_id, int64_t every_ms, struct er_err *err)
{
        settle(watch);
        for (;;) {
                if (show(watch, store_id, false, every_ms, err) < 0 || er_out_line(err, "%s", "") < 0)
                        return -1;
                poll(NULL, 0, (int)every_ms);
        }
}

static int top(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct top_opts *opts = arg;
        int64_t every_ms = opts->every_ms < 0              ? EVERY_MS
                           : opts->every_ms < EVERY_MIN_MS ? EVERY_MIN_MS
                                                           : opts->every_ms;
        const char *store_id = er_store_id(cli->store), *term = getenv("TERM");
        bool terminal = er_term_is(STDOUT_FILENO) && er_term_is(STDIN_FILENO) && term && !er_streq(term, "dumb");
        struct er_top_watch *watch;
        struct er_host *hosts = NULL;
        size_t host_count = (size_t)count;
        int rc = 0;

        if (every_ms > 3600000)
                return er_err_set(err, ER_USAGE, "--every: at most one hour");
        if (count > 0)
                hosts = er_calloc(host_count, sizeof *hosts);
        for (int i = 0; rc == 0 && i < count; i++)
                rc = er_hosts_find(cli->store, args[i], &hosts[i], err);
        if (count == 0)
                rc = er_hosts_known(cli->store, &hosts, &host_count, err);
        if (rc == 0) {
                watch = er_top_watch_start(hosts, host_count, every_ms);
                if (opts->once || cli->json || (!terminal && opts->every_ms < 0))
                        rc = once(cli, watch, store_id, err);
                else
                        rc = terminal ? live(watch, store_id, every_ms, err) : repeat(watch, store_id, every_ms, err);
                er_top_watch_free(watch);
        }
        for (size_t i = 0; hosts && i < host_count; i++)
                er_host_release(&hosts[i]);
        free(hosts);
        return rc;
}

const struct er_command er_cmd_top = {
        .name = "top",
        .group = "Hosts",
        .summary = "Watch CPU, memory and GPUs of hosts, and the jobs there",
        .arguments = "[HOST]...",
        .description = "Shows all known hosts, or those named, each with its GPUs and the jobs that errand runs or has "
                       "queued there, whichever of the user's stores they come from. For a host, CPU is how busy all "
                       "its CPUs are together; for a job, it is how much of one CPU it uses (210% is a little more "
                       "than two). Memory is what is in use now. All hosts are asked at once, every two seconds; a "
                       "host that does not answer is shown as such and asked again.\n"
                       "\n"
                       "q or Ctrl-C quits. If the output is not a terminal, one table is printed; with --every, one "
                       "after another.",
        .examples = "errand top\t\n"
                    "errand top gpu-box --every 1s\t\n"
                    "errand top --json\tonce, for a program\n",
        .opts = top_options,
        .opt_count = ER_LEN(top_options),
        .opts_size = sizeof(struct top_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_JSON,
        .max_args = -1,
        .complete = ER_COMPLETE_HOST,
        .run = top,
};

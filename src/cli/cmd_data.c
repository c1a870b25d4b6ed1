/* cmd_data.c - errand data: what jobs read, on the hosts where they run. */
#include <pthread.h>
#include "base/path.h"
#include "base/parse.h"
#include "cli/data_bring.h"
#include "cli/fanout.h"
#include "cli/target.h"
#include "cli/words.h"
#include "job/config.h"
#include "maestro/maestro.h"

#define AT_ONCE 4u

struct data_opts {
        struct er_strv on, rm;
        const char *to;
        bool list, unpack;
};

static const struct er_opt data_options[] = {
        {"on", 0, ER_OPT_LIST, "HOST",
         "Host to use (default: the one in errand.yaml, else this machine); may be repeated",
         offsetof(struct data_opts, on), ER_COMPLETE_HOST},
        {"to", 't', ER_OPT_TEXT, "NAME", "Name it NAME there", offsetof(struct data_opts, to), ER_COMPLETE_NONE},
        {"unpack", 0, ER_OPT_FLAG, NULL, "Unpack archives (tar, zip) in the data directory",
         offsetof(struct data_opts, unpack), ER_COMPLETE_NONE},
        {"list", 'l', ER_OPT_FLAG, NULL, "List the data on the host", offsetof(struct data_opts, list),
         ER_COMPLETE_NONE},
        {"rm", 0, ER_OPT_LIST, "NAME", "Remove NAME from the host; may be repeated", offsetof(struct data_opts, rm),
         ER_COMPLETE_NONE},
};

/* --- the hosts, and the project */

struct scope {
        char *project;
        struct er_host *hosts; /* (owned) */
        size_t count;
        struct er_host local;
};
#define SCOPE_INIT {0}

static void scope_release(struct scope *scope)
{
        for (size_t i = 0; i < scope->count; i++)
                er_host_release(&scope->hosts[i]);
        free(scope->hosts);
        er_host_release(&scope->local);
        free(scope->project);
}

static int find_scope(const struct er_cli *cli, const struct er_strv *on, struct scope *ret, struct er_err *err)
{
        er_auto(er_config) config = ER_CONFIG_INIT;
        er_autofree char *dir = NULL;
        const struct er_strv *names = on;

        if (er_target_project(&dir, err) < 0 || er_config_load(dir, &config, err) < 0)
                return -1;
        ret->project = er_config_project(&config, dir);
        if (names->len == 0)
                names = &config.on;
        if (er_strv_has(names, "any")) {
                er_err_set(err, ER_USAGE, "errand data needs the names of hosts, not any");
                return er_err_hint(err, "use --on HOST, once for each host");
        }
        ret->hosts = er_calloc(names->len + 1, sizeof *ret->hosts);
        if (er_hosts_find(cli->store, "local", &ret->local, err) < 0)
                return -1;
        for (size_t i = 0; i < names->len || ret->count == 0; i++)
                if (er_hosts_find(cli->store, i < names->len ? names->items[i] : "local", &ret->hosts[ret->count++],
                                  err) < 0)
                        return -1;
        return 0;
}

/* --- bringing */

struct bringing {
        struct er_live *live;
        struct er_data_task *tasks;
        struct progress {
                struct bringing *all;
                uint64_t bytes, size;
                char what[32];
        } *progress;
        size_t count, next, done;
        pthread_mutex_t lock;
};

/* Shows a single transfer with what is being done, several by their sum. */
static void show(struct bringing *b)
{
        struct er_transfer sum = {.files = b->done, .total_files = b->count};
        const char *what = NULL;
        bool all_known = true;

        for (size_t i = 0; i < b->count; i++) {
                const struct progress *p = &b->progress[i];

                sum.bytes += p->bytes;
                sum.total_bytes += p->size;
                all_known = all_known && p->size > 0;
                what = p->what[0] ? p->what : what;
        }
        if (!all_known)
                sum.total_bytes = 0;
        if (b->count > 1)
                er_live_transfer(b->live, "data", &sum);
        else if (what) {
                er_auto(er_str) text = ER_STR_INIT;

                er_fmt_size(&text, sum.bytes);
                if (sum.bytes)
                        er_live_set(b->live, "%s: %s, %s", b->tasks[0].source->name, what, text.buf);
                else
                        er_live_set(b->live, "%s: %s", b->tasks[0].source->name, what);
        } else
                er_live_transfer(b->live, b->tasks[0].source->name, &sum);
}

static void on_progress(void *arg, uint64_t bytes, uint64_t size, const char *what)
{
        struct progress *p = arg;

        pthread_mutex_lock(&p->all->lock);
        p->bytes = bytes;
        p->size = size;
        snprintf(p->what, sizeof p->what, "%s", what ? what : "");
        show(p->all);
        pthread_mutex_unlock(&p->all->lock);
}

static void on_say(void *arg, const char *text)
{
        const struct progress *p = arg;

        er_live_say(p->all->live, "%s", text);
}

static void say_result(struct bringing *b, const struct er_data_task *task)
{
        er_auto(er_str) size = ER_STR_INIT;

        if (task->err.code != ER_OK) {
                if (b->count == 1)
                        return; /* main.c prints it */
                er_live_say(b->live, "%s: %s: %s", task->host->name, task->source->name, task->err.message);
                if (task->err.hint)
                        er_live_more(b->live, "%s", task->err.hint);
                return;
        }
        er_fmt_size(&size, task->result.size);
        er_live_say(b->live, "%s: data/%s, %s%s", task->host->name, task->source->name, size.buf,
                    task->result.was_there ? " (already there)" : "");
}

static void work(void *arg, size_t index)
{
        struct bringing *b = arg;

        (void)index;
        pthread_mutex_lock(&b->lock);
        while (b->next < b->count) {
                size_t i = b->next++;

                pthread_mutex_unlock(&b->lock);
                er_data_bring(&b->tasks[i]);
                pthread_mutex_lock(&b->lock);
                b->progress[i].bytes = b->progress[i].size = b->tasks[i].result.size;
                b->progress[i].what[0] = '\0';
                b->done++;
                pthread_mutex_unlock(&b->lock);
                say_result(b, &b->tasks[i]);
                pthread_mutex_lock(&b->lock);
        }
        pthread_mutex_unlock(&b->lock);
}

static int report(const struct er_cli *cli, const struct bringing *b, struct er_err *err)
{
        static const struct er_column columns[] = {
                {.title = "HOST", .json_key = "host", .type = ER_CELL_TEXT},
                {.title = "NAME", .json_key = "name", .type = ER_CELL_TEXT},
                {.title = "SIZE", .json_key = "size", .type = ER_CELL_SIZE},
                {.title = "WAS THERE", .json_key = "was_there", .type = ER_CELL_BOOL},
                {.title = "ERROR", .json_key = "error", .type = ER_CELL_TEXT},
        };
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        size_t failed = 0;

        for (size_t i = 0; i < b->count; i++) {
                const struct er_data_task *task = &b->tasks[i];

                er_table_text(table, task->host->name);
                er_table_text(table, task->source->name);
                er_table_int(table, (int64_t)task->result.size);
                er_table_int(table, task->result.was_there);
                er_table_text(table, task->err.code == ER_OK ? NULL : task->err.message);
                failed += task->err.code != ER_OK;
        }
        if (cli->json && er_out_table(cli, table, NULL, err) < 0)
                return -1;
        for (size_t i = 0; i < b->count; i++) {
                struct er_err *why = &b->tasks[i].err;
                const char *host = b->tasks[i].host->kind == ER_HOST_LOCAL ? NULL : b->tasks[i].host->name;

                if (why->code == ER_OK)
                        continue;
                if (failed > 1)
                        return er_err_set(err, why->code, "%zu of %zu transfers failed", failed, b->count);
                er_err_move(err, why);
                return host && b->count == 1 && err && !strstr(err->message, host) ? er_err_wrap(err, "%s", host) : -1;
        }
        return 0;
}

/* ssh may ask for something on the terminal, so the hosts are contacted one after another before all transfers start at
 * once. */
static int greet(const struct er_cli *cli, const struct scope *scope, const struct er_data_task *tasks, size_t count,
                 struct er_live *live, struct er_err *err)
{
        for (size_t i = 0; i < scope->count + count; i++) {
                const struct er_host *host = i < scope->count ? &scope->hosts[i] : tasks[i - scope->count].from;
                er_autoptr(er_session) session = NULL;
                const struct er_hello *hello;

                if (!host || (i > scope->count && host == tasks[i - scope->count - 1].from))
                        continue;
                if (er_target_session(cli, host->name, live, &session, err) < 0 ||
                    er_session_hello(session, &hello, err) < 0)
                        return -1;
        }
        er_live_clear(live);
        return 0;
}

static int run_tasks(const struct er_cli *cli, const struct scope *scope, struct er_data_task *tasks, size_t count,
                     struct er_err *err)
{
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        struct bringing b = {.live = live, .tasks = tasks, .count = count};
        struct er_fanout *fanout;
        int rc;

        if (greet(cli, scope, tasks, count, live, err) < 0)
                return -1;
        b.progress = er_calloc(count, sizeof *b.progress);
        pthread_mutex_init(&b.lock, NULL);
        for (size_t i = 0; i < count; i++) {
                b.progress[i].all = &b;
                tasks[i].progress = on_progress;
                tasks[i].say = on_say;
                tasks[i].arg = &b.progress[i];
        }
        fanout = er_fanout_start(count < AT_ONCE ? count : AT_ONCE, work, &b);
        er_fanout_wait(fanout, -1);
        er_fanout_free(fanout);
        er_live_clear(live);
        rc = report(cli, &b, err);
        pthread_mutex_destroy(&b.lock);
        free(b.progress);
        return rc;
}

static void known_names(const struct er_cli *cli, struct er_strv *ret)
{
        struct er_host *known = NULL;
        size_t count = 0;

        er_host_aliases(ret);
        if (er_hosts_known(cli->store, &known, &count, NULL) < 0)
                return;
        for (size_t i = 0; i < count; i++) {
                er_strv_add(ret, known[i].name);
                er_host_release(&known[i]);
        }
        free(known);
}

static int take_sources(const struct er_cli *cli, const struct data_opts *opts, char **args, size_t count,
                        struct er_data_source *sources, struct er_host *from, struct er_err *err)
{
        er_auto(er_strv) names = ER_STRV_INIT;

        if (opts->to && count > 1)
                return er_err_set(err, ER_USAGE, "--to gives one name, but there are %zu things to transfer", count);
        known_names(cli, &names);
        for (size_t i = 0; i < count; i++) {
                if (er_data_source_parse(args[i], &names, opts->to, &sources[i], err) < 0)
                        return -1;
                if (sources[i].host && er_hosts_find(cli->store, sources[i].host, &from[i], err) < 0)
                        return -1;
                for (size_t k = 0; k < i; k++)
                        if (er_streq(sources[k].name, sources[i].name)) {
                                er_err_set(err, ER_USAGE, "%s and %s would both be called %s", args[k], args[i],
                                           sources[i].name);
                                return er_err_hint(err, "transfer them one by one, with --to NAME");
                        }
        }
        return 0;
}

static int bring(const struct er_cli *cli, const struct data_opts *opts, const struct scope *scope, char **args,
                 int arg_count, struct er_err *err)
{
        size_t count = (size_t)arg_count, task_count = count * scope->count;
        struct er_data_source *sources = er_calloc(count, sizeof *sources);
        struct er_host *from = er_calloc(count, sizeof *from);
        struct er_data_task *tasks = er_calloc(task_count, sizeof *tasks);
        int rc = take_sources(cli, opts, args, count, sources, from, err);

        for (size_t i = 0; i < task_count; i++)
                tasks[i] = (struct er_data_task){
                        .source = &sources[i / scope->count],
                        .host = &scope->hosts[i % scope->count],
                        .from = sources[i / scope->count].host ? &from[i / scope->count] : NULL,
                        .local = &scope->local,
                        .project = scope->project,
                        .unpack = opts->unpack,
                };
        if (rc == 0)
                rc = run_tasks(cli, scope, tasks, task_count, err);
        for (size_t i = 0; i < task_count; i++)
                er_err_release(&tasks[i].err);
        for (size_t i = 0; i < count; i++) {
                er_data_source_release(&sources[i]);
                er_host_release(&from[i]);
        }
        free(tasks);
        free(from);
        free(sources);
        return rc;
}

/* --- list and rm */

static int list(const struct er_cli *cli, const struct scope *scope, struct er_err *err)
{
        static const struct er_column columns[] = {
                {.title = "HOST", .json_key = "host", .type = ER_CELL_TEXT},
                {.title = "NAME", .json_key = "name", .type = ER_CELL_TEXT, .may_cut = true},
                {.title = "SIZE", .json_key = "size", .type = ER_CELL_SIZE},
                {.title = "CHANGED", .json_key = "changed", .type = ER_CELL_AGE},
                {.title = "WHAT", .json_key = "type", .type = ER_CELL_TEXT},
                {.title = "PATH", .json_key = "path", .type = ER_CELL_TEXT, .json_only = true},
        };
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));
        er_autoptr(er_live) live = er_live_new(cli->quiet);

        for (size_t i = 0; i < scope->count; i++) {
                er_autoptr(er_session) session = NULL;
                er_auto(er_data_list) there = ER_DATA_LIST_INIT;

                if (er_target_session(cli, scope->hosts[i].name, live, &session, err) < 0 ||
                    er_data_list(session, scope->project, false, &there, err) < 0)
                        return -1;
                for (size_t k = 0; k < there.count; k++) {
                        const struct er_data_entry *entry = &there.items[k];
                        er_autofree char *path = er_path_join(there.path, entry->name);

                        er_table_text(table, scope->hosts[i].name);
                        er_table_text(table, entry->name);
                        er_table_int(table, (int64_t)entry->size);
                        er_table_int(table, entry->changed_ms);
                        er_table_text(table, entry->type == 'd'   ? "directory"
                                             : entry->type == 'p' ? "part"
                                             : entry->type == 'l' ? "link"
                                                                  : "file");
                        er_table_text(table, path);
                }
        }
        er_live_clear(live);
        return er_out_table(cli, table, "no data there yet; errand data URL adds some", err);
}

static int take_away(const struct er_cli *cli, const struct scope *scope, const struct er_strv *names,
                     struct er_err *err)
{
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        er_auto(er_str) size = ER_STR_INIT;
        uint64_t freed = 0;

        for (size_t i = 0; i < scope->count; i++) {
                er_autoptr(er_session) session = NULL;

                if (er_target_session(cli, scope->hosts[i].name, live, &session, err) < 0)
                        return -1;
                for (size_t k = 0; k < names->len; k++)
                        if (er_data_remove(session, scope->project, names->items[k], &freed, err) < 0) {
                                if (err && err->code == ER_NOT_FOUND)
                                        er_err_hint(err, "errand data --list shows what is there");
                                return er_err_wrap(err, "%s", scope->hosts[i].name);
                        }
        }
        er_live_clear(live);
        er_fmt_size(&size, freed);
        er_live_say(live, "%s freed", size.buf);
        return 0;
}

static int data(struct er_cli *cli, void *arg, char **args, int count, struct er_err *err)
{
        const struct data_opts *opts = arg;
        __attribute__((cleanup(scope_release))) struct scope scope = SCOPE_INIT;

        if ((opts->list || opts->rm.len > 0) && count > 0)
                return er_err_set(err, ER_USAGE, "--list and --rm transfer nothing: leave out %s", args[0]);
        if (!opts->list && opts->rm.len == 0 && count == 0) {
                er_err_set(err, ER_USAGE, "nothing to transfer");
                return er_err_hint(err, "give an address or a file; --list shows what is there");
        }
        if (find_scope(cli, &opts->on, &scope, err) < 0)
                return -1;
        if (opts->rm.len > 0 && take_away(cli, &scope, &opts->rm, err) < 0)
                return -1;
        if (opts->list)
                return list(cli, &scope, err);
        return count > 0 ? bring(cli, opts, &scope, args, count, err) : 0;
}

const struct er_command er_cmd_data = {
        .name = "data",
        .group = "Run",
        .summary = "Copy data to a host once, for all runs of the project there",
        .arguments = "URL|PATH|HOST:PATH... | --list | --rm NAME",
        .description = "Every job of the project finds the data as data/NAME in the directory it starts in; "
                       "$ERRAND_DATA is the path of that data directory. All runs on the host share the data; it is "
                       "never part of a snapshot, and stays until it is removed. If the project has a file or "
                       "directory called data itself, that one is kept, and the shared data is reached only through "
                       "$ERRAND_DATA. NAME is the last part of the address, or what --to says.\n"
                       "\n"
                       "The host itself downloads http, https and ftp addresses, with curl, wget or python3, whichever "
                       "it has. If it has none of them, or cannot reach the network, the file is downloaded here and "
                       "sent. A file or directory on this machine is sent; HOST:PATH is fetched from another host by "
                       "way of this machine. Up to four transfers run at a time. An interrupted transfer is continued "
                       "by the next errand data. What is already there, with the right checksum or else the right "
                       "size, is not transferred again.\n"
                       "\n"
                       "#sha256=, #sha512= or #md5= after an address gives the file's checksum. If the file has "
                       "another checksum, it is removed and the command fails.\n"
                       "\n"
                       "--unpack unpacks .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst and .zip in the data directory, as "
                       "tar and unzip would; the archive itself is kept.",
        .examples = "errand data --on gpu-box https://example.org/cifar-10.tar.gz --unpack\tdownloaded by the host\n"
                    "errand data 'https://example.org/train.bin#sha256=9f86d08...'\twith a checksum (quoted, as # may "
                    "start a comment)\n"
                    "errand data --on gpu-box ~/datasets/mnist\tfiles from this machine\n"
                    "errand data --on gpu-box other-box:/scratch/train.h5 --to train.h5\tfrom another host\n"
                    "errand data --on gpu-box --list\tlist what is there\n",
        .opts = data_options,
        .opt_count = ER_LEN(data_options),
        .opts_size = sizeof(struct data_opts),
        .needs = ER_NEED_STORE,
        .flags = ER_CMD_JSON | ER_CMD_QUIET,
        .max_args = -1,
        .complete = ER_COMPLETE_FILE,
        .run = data,
};

/* hosts_view.c - see hosts_view.h */
#include "cli/hosts_view.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/table.h"
#include "cli/view.h"
#include "maestro/maestro.h"

#define CONNECT_MS 10000 /* a table is not worth a longer wait */

static const struct er_column columns[] = {
        {"HOST", "names", ER_CELL_NAMES, false, true},    {"CPUS", "cpus", ER_CELL_TEXT, false, false},
        {"MEMORY", "memory", ER_CELL_TEXT, false, false}, {"GPUS", "gpus", ER_CELL_TEXT, false, true},
        {"DISK", "disk", ER_CELL_TEXT, false, false},     {"LOAD", "load", ER_CELL_REAL, false, false},
        {"JOBS", "jobs", ER_CELL_TEXT, false, false},     {"LATENCY", "latency", ER_CELL_TEXT, false, false},
        {"STATUS", "status", ER_CELL_TEXT, false, true},
};

void er_hosts_view_release(struct er_hosts_view *view)
{
        for (size_t i = 0; i < view->count; i++) {
                er_host_release(&view->items[i].host);
                er_probe_release(&view->items[i].probe);
                free(view->items[i].error);
        }
        free(view->items);
        if (view->items)
                pthread_mutex_destroy(&view->lock);
        view->items = NULL;
        view->count = 0;
}

static struct er_host_view *find(struct er_hosts_view *view, const char *name)
{
        for (size_t i = 0; i < view->count; i++)
                if (er_streq(view->items[i].host.name, name))
                        return &view->items[i];
        return NULL;
}

static void take_row(struct er_host_view *item, struct er_host_row *row)
{
        item->added = row->added;
        item->probed_ms = row->probed_ms;
        item->error = er_take(row->error);
        if (row->probe)
                item->has_probe = er_probe_from_json(row->probe, &item->probe, NULL) == 0;
}

static int add_aliases(struct er_hosts_view *view, struct er_err *err)
{
        er_auto(er_strv) names = ER_STRV_INIT;

        er_host_aliases(&names);
        view->items = er_realloc(view->items, (view->count + names.len + 1) * sizeof *view->items);
        for (size_t i = 0; i < names.len; i++) {
                struct er_host_view item = {.alias = true, .probe = ER_PROBE_INIT};

                if (find(view, names.items[i]))
                        continue;
                if (er_host_parse(names.items[i], &item.host, err) < 0)
                        return -1;
                view->items[view->count++] = item;
        }
        return 0;
}

int er_hosts_view_load(const struct er_cli *cli, bool aliases, struct er_hosts_view *ret, struct er_err *err)
{
        struct er_host *hosts = NULL;
        struct er_host_row *rows = NULL;
        size_t host_count = 0, row_count = 0;
        int rc = er_hosts_known(cli->store, &hosts, &host_count, err);

        if (rc == 0)
                rc = er_store_hosts(cli->store, &rows, &row_count, err);
        pthread_mutex_init(&ret->lock, NULL);
        ret->items = er_calloc(host_count + 1, sizeof *ret->items);
        for (size_t i = 0; i < host_count; i++)
                ret->items[i] = (struct er_host_view){.host = hosts[i], .probe = ER_PROBE_INIT};
        ret->count = host_count;
        free(hosts);
        for (size_t i = 0; i < row_count; i++) {
                struct er_host_view *item = find(ret, rows[i].name);

                if (item)
                        take_row(item, &rows[i]);
                er_host_row_release(&rows[i]);
        }
        free(rows);
        if (rc == 0 && aliases)
                rc = add_aliases(ret, err);
        if (rc < 0)
                er_hosts_view_release(ret);
        return rc;
}

void er_hosts_view_ask(void *arg, size_t index)
{
        struct er_hosts_view *view = arg;
        struct er_host_view *item = &view->items[index];
        const struct er_session_opts opts = {
                .connect_ms = CONNECT_MS,
                .silence_ms = ER_ONE_OF_MANY_MS}; /* all run at once, so none may ask on the terminal */
        er_autoptr(er_session) session = NULL;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_probe probe = ER_PROBE_INIT;
        int rc = er_session_open(&item->host, &opts, &session, &err);

        if (rc == 0)
                rc = er_host_probe(session, &probe, &err);
        pthread_mutex_lock(&view->lock);
        free(item->error);
        item->error = NULL;
        item->probed_ms = er_now_ms();
        item->answered = true;
        if (rc == 0) {
                er_probe_release(&item->probe);
                item->probe = probe;
                item->has_probe = true;
        } else
                item->error = er_strdup(err.message ? err.message : er_code_name(err.code));
        pthread_mutex_unlock(&view->lock);
}

int er_hosts_view_save(const struct er_cli *cli, struct er_hosts_view *view, struct er_err *err)
{
        for (size_t i = 0; i < view->count; i++) {
                struct er_host_view *item = &view->items[i];
                er_autofree char *json = item->answered && !item->error ? er_probe_to_json(&item->probe) : NULL;

                if (item->alias || !item->answered)
                        continue;
                if (er_store_set_probe(cli->store, item->host.name, json, item->error, item->probed_ms, err) < 0)
                        return -1;
        }
        return 0;
}

static void size_cell(struct er_table *table, uint64_t free_bytes, uint64_t all)
{
        er_auto(er_str) text = ER_STR_INIT;

        er_fmt_size(&text, free_bytes);
        er_str_addc(&text, '/');
        er_fmt_size(&text, all);
        er_table_text(table, text.buf);
}

static void count_cell(struct er_table *table, unsigned part, unsigned all)
{
        er_autofree char *text = er_fmt("%u/%u", part, all);

        er_table_text(table, text);
}

static void gpu_cell(struct er_table *table, const struct er_probe *probe)
{
        er_auto(er_str) text = ER_STR_INIT;
        int64_t least = INT64_MAX;

        if (probe->gpu_count == 0) {
                er_table_text(table, "");
                return;
        }
        for (size_t i = 0; i < probe->gpu_count; i++)
                if (probe->gpus[i].memory < least)
                        least = probe->gpus[i].memory;
        er_str_addf(&text, "%u/%zu ", probe->gpus_free, probe->gpu_count);
        er_view_size(&text, least);
        er_table_text(table, text.buf);
}

static void probe_cells(struct er_table *table, const struct er_probe *probe)
{
        er_auto(er_str) text = ER_STR_INIT;

        count_cell(table, probe->cpus_free, probe->cpus);
        size_cell(table, probe->memory_free, probe->memory);
        gpu_cell(table, probe);
        er_fmt_size(&text, probe->disk_free);
        er_table_text(table, text.buf);
        er_table_real(table, probe->load);
        er_str_reset(&text);
        er_str_addf(&text, "%u", probe->running);
        if (probe->queued > 0)
                er_str_addf(&text, "+%u", probe->queued);
        er_table_text(table, text.buf);
        er_str_reset(&text);
        if (probe->latency_us < 10000)
                er_str_addf(&text, "%.1f ms", (double)probe->latency_us / 1000.0);
        else
                er_str_addf(&text, "%lld ms", (long long)(probe->latency_us / 1000));
        er_table_text(table, text.buf);
}

static void status_cell(struct er_table *table, const struct er_host_view *item, int64_t now_ms)
{
        er_auto(er_str) text = ER_STR_INIT;
        const char *why = item->error;
        size_t len = strlen(item->host.name);

        if (why && er_starts(why, item->host.name) && er_starts(why + len, ": "))
                why += len + 2; /* the row already says which host */
        if (why)
                er_str_add(&text, why);
        else if (item->probed_ms == 0)
                er_str_add(&text, item->asked ? "" : "never asked");
        else if (item->answered)
                er_str_add(&text, "ok");
        else {
                er_str_add(&text, "ok ");
                er_fmt_age(&text, now_ms - item->probed_ms);
        }
        if (item->error && !item->answered) {
                er_str_add(&text, ", ");
                er_fmt_age(&text, now_ms - item->probed_ms);
        }
        if (item->asked && !item->answered)
                er_str_add(&text, text.len > 0 ? "; asking ..." : "asking ...");
        if (item->alias)
                er_str_add(&text, " (~/.ssh/config)");
        er_table_text(table, text.buf);
}

static bool is_known(const struct er_host_view *item)
{
        return item->has_probe && !item->error && item->probe.machine;
}

/* The row among the first `count` that shows this machine already, or NULL. */
static struct er_host_view *find_machine(struct er_hosts_view *view, size_t count, const char *machine)
{
        for (size_t i = 0; i < count; i++)
                if (is_known(&view->items[i]) && !view->items[i].same &&
                    er_streq(view->items[i].probe.machine, machine))
                        return &view->items[i];
        return NULL;
}

/* A machine known by several names gets one row: that of a name that was added, else that of the first. */
static void merge_names(struct er_hosts_view *view)
{
        for (size_t i = 0; i < view->count; i++) {
                struct er_host_view *item = &view->items[i], *first;

                item->same = NULL;
                first = is_known(item) ? find_machine(view, i, item->probe.machine) : NULL;
                if (!first)
                        continue;
                if (!item->added || first->added || first->host.kind == ER_HOST_LOCAL) {
                        item->same = first;
                        continue;
                }
                for (size_t k = 0; k < i; k++)
                        if (view->items[k].same == first)
                                view->items[k].same = item;
                first->same = item;
        }
}

/* Lines: the name of the row, then the machine's other names. */
static void add_names(const struct er_hosts_view *view, const struct er_host_view *item, struct er_str *out)
{
        er_str_add(out, item->host.name);
        for (size_t i = 0; i < view->count; i++)
                if (view->items[i].same == item)
                        er_str_addf(out, "\n%s", view->items[i].host.name);
}

void er_hosts_view_table(struct er_hosts_view *view, struct er_str *out, int width, bool colour, int64_t now_ms)
{
        er_autoptr(er_table) table = er_table_new(columns, ER_LEN(columns));

        pthread_mutex_lock(&view->lock);
        merge_names(view);
        for (size_t i = 0; i < view->count; i++) {
                const struct er_host_view *item = &view->items[i];
                er_auto(er_str) names = ER_STR_INIT;

                if (item->same)
                        continue;
                add_names(view, item, &names);
                er_table_text(table, names.buf);
                if (item->has_probe && !item->error)
                        probe_cells(table, &item->probe);
                else
                        for (size_t column = 2; column < ER_LEN(columns); column++)
                                er_table_none(table);
                status_cell(table, item, now_ms);
        }
        pthread_mutex_unlock(&view->lock);
        er_table_print(table, out, width, colour, now_ms);
}

static void add_probe(json_t *json, const struct er_probe *probe)
{
        json_t *gpus = json_array();

        json_object_set_new(json, "latency_ms", json_real((double)probe->latency_us / 1000.0));
        json_object_set_new(json, "hostname", er_json_text(probe->hostname));
        json_object_set_new(json, "user", er_json_text(probe->user));
        json_object_set_new(json, "os", er_json_text(probe->os));
        json_object_set_new(json, "arch", er_json_text(probe->arch));
        json_object_set_new(json, "kernel", er_json_text(probe->kernel));
        json_object_set_new(json, "cpus", json_integer(probe->cpus));
        json_object_set_new(json, "cpus_free", json_integer(probe->cpus_free));
        json_object_set_new(json, "memory", json_integer((json_int_t)probe->memory));
        json_object_set_new(json, "memory_free", json_integer((json_int_t)probe->memory_free));
        json_object_set_new(json, "gpus_free", json_integer(probe->gpus_free));
        for (size_t i = 0; i < probe->gpu_count; i++) {
                const struct er_gpu *gpu = &probe->gpus[i];
                json_t *one = json_object();

                json_object_set_new(one, "index", json_integer(gpu->index));
                json_object_set_new(one, "name", er_json_text(gpu->name));
                json_object_set_new(one, "memory", er_view_known(gpu->memory));
                json_object_set_new(one, "memory_free", er_view_known(gpu->memory_free));
                json_object_set_new(one, "percent", er_view_known(gpu->util));
                json_object_set_new(one, "taken", json_boolean(gpu->taken));
                json_array_append_new(gpus, one);
        }
        json_object_set_new(json, "gpus", gpus);
        json_object_set_new(json, "disk", json_integer((json_int_t)probe->disk));
        json_object_set_new(json, "disk_free", json_integer((json_int_t)probe->disk_free));
        json_object_set_new(json, "load", json_real(probe->load));
        json_object_set_new(json, "running", json_integer(probe->running));
        json_object_set_new(json, "queued", json_integer(probe->queued));
}

json_t *er_hosts_view_json(struct er_hosts_view *view)
{
        json_t *array = json_array();

        pthread_mutex_lock(&view->lock);
        merge_names(view);
        for (size_t i = 0; i < view->count; i++) {
                const struct er_host_view *item = &view->items[i];
                er_auto(er_str) lines = ER_STR_INIT;
                struct er_sv rest, name;
                json_t *json, *names;

                if (item->same)
                        continue;
                json = json_object();
                names = json_array();
                add_names(view, item, &lines);
                rest = er_svn(lines.buf, lines.len);
                while (er_sv_cut(&rest, '\n', &name))
                        json_array_append_new(names, json_stringn(name.ptr, name.len));
                json_object_set_new(json, "host", er_json_text(item->host.name));
                json_object_set_new(json, "names", names);
                json_object_set_new(json, "target", er_json_text(item->host.target));
                json_object_set_new(json, "port", item->host.port > 0 ? json_integer(item->host.port) : json_null());
                json_object_set_new(json, "added", json_boolean(item->added));
                json_object_set_new(json, "reachable", item->probed_ms == 0 ? json_null() : json_boolean(!item->error));
                json_object_set_new(json, "error", er_json_text(item->error));
                json_object_set_new(json, "asked", er_json_time(item->probed_ms));
                if (item->has_probe && !item->error)
                        add_probe(json, &item->probe);
                json_array_append_new(array, json);
        }
        pthread_mutex_unlock(&view->lock);
        return array;
}

void er_hosts_view_summary(struct er_str *out, const struct er_probe *probe)
{
        er_view_count(out, probe->cpus, "cpu");
        er_str_add(out, ", ");
        er_fmt_size(out, probe->memory);
        er_str_add(out, " memory");
        if (probe->gpu_count > 0) {
                er_str_add(out, ", ");
                er_view_count(out, probe->gpu_count, "GPU");
                er_str_addf(out, " (%s)", probe->gpus[0].name ? probe->gpus[0].name : "?");
        }
}

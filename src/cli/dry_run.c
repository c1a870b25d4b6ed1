/* dry_run.c - see dry_run.h */
#include "cli/dry_run.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/snapshot_view.h"
#include "cli/view.h"
#include "cli/words.h"

#define LIST_MAX 60u /* files that --dry-run names one by one */

static void field(struct er_str *out, const char *name, const char *fmt, ...) ER_PRINTF(3, 4);
static void field(struct er_str *out, const char *name, const char *fmt, ...)
{
        er_auto(er_str) value = ER_STR_INIT;
        va_list args;

        va_start(args, fmt);
        er_str_addv(&value, fmt, args);
        va_end(args);
        er_str_addf(out, "%-10s ", name);
        er_quote_show(out, value.buf, value.len);
        er_str_addc(out, '\n');
}

static void list_field(struct er_str *out, const char *name, const struct er_strv *list, bool names_only)
{
        er_auto(er_str) text = ER_STR_INIT;

        if (list->len == 0)
                return;
        for (size_t i = 0; i < list->len; i++) {
                const char *equals = names_only ? strchr(list->items[i], '=') : NULL;

                if (i > 0)
                        er_str_add(&text, " ");
                er_quote_show(&text, list->items[i],
                              equals ? (size_t)(equals - list->items[i]) : strlen(list->items[i]));
        }
        field(out, name, "%s", text.buf);
}

static void command_text(struct er_str *out, const struct er_spec *spec)
{
        er_auto(er_str) quoted = ER_STR_INIT;

        if (spec->shell)
                er_str_add(&quoted, spec->argv.items[0]);
        else
                er_quote_argv(&quoted, spec->argv.items, spec->argv.len);
        er_quote_show(out, quoted.buf, quoted.len);
}

static void needs_text(struct er_str *out, const struct er_spec *spec)
{
        er_view_count(out, spec->cpus, "cpu");
        if (spec->memory > 0) {
                er_str_add(out, ", ");
                er_fmt_size(out, spec->memory);
                er_str_add(out, " memory");
        }
        if (spec->gpus > 0) {
                er_str_add(out, ", ");
                er_view_count(out, spec->gpus, "GPU");
        } else if (spec->no_gpus) {
                er_str_add(out, ", no GPU");
        }
        if (spec->time_limit_ms > 0) {
                er_str_add(out, ", at most ");
                er_fmt_duration(out, spec->time_limit_ms);
        }
        if (spec->grace_ms > 0) {
                er_str_add(out, ", ");
                er_fmt_duration(out, spec->grace_ms);
                er_str_add(out, " between TERM and KILL");
        }
}

static void files_text(struct er_str *out, const struct er_snapshot *snapshot)
{
        er_auto(er_str) size = ER_STR_INIT;
        struct er_tree_entry entry;
        size_t count = 0;

        if (!snapshot) {
                field(out, "files", "none are sent");
                return;
        }
        er_snapshot_view_size(&size, er_snapshot_files(snapshot), er_snapshot_bytes(snapshot));
        while (count <= LIST_MAX && er_snapshot_entry(snapshot, count, &entry))
                count++;
        field(out, "files", "%s%s", size.buf, count == 0 ? "" : ":");
        if (count > LIST_MAX) {
                er_snapshot_view_largest(out, snapshot, "             ");
                er_str_add(out, "           (--dry-run --json lists every file)\n");
                return;
        }
        for (size_t i = 0; i < count && er_snapshot_entry(snapshot, i, &entry); i++) {
                er_str_add(out, "             ");
                er_quote_show(out, entry.path.ptr, entry.path.len);
                if (entry.type == 'f') {
                        er_str_add(out, "  ");
                        er_fmt_size(out, entry.size);
                } else
                        er_str_add(out, entry.type == 'd' ? "/" : "  (link)");
                er_str_addc(out, '\n');
        }
}

static json_t *files_json(const struct er_snapshot *snapshot)
{
        json_t *json = json_array();
        struct er_tree_entry entry;

        for (size_t i = 0; snapshot && er_snapshot_entry(snapshot, i, &entry); i++) {
                json_t *file = json_object();

                json_object_set_new(file, "path", er_json_bytes(entry.path.ptr, entry.path.len));
                json_object_set_new(file, "type",
                                    json_string(entry.type == 'f'   ? "file"
                                                : entry.type == 'd' ? "directory"
                                                                    : "link"));
                json_object_set_new(file, "bytes", json_integer((json_int_t)entry.size));
                json_object_set_new(file, "executable", json_boolean(entry.type == 'f' && entry.mode & 0100));
                json_array_append_new(json, file);
        }
        return json;
}

static int show_json(const struct er_request *request, const struct er_snapshot *snapshot, struct er_err *err)
{
        const struct er_spec *spec = &request->spec;
        json_t *json = json_object();
        int rc;

        json_object_set_new(json, "run", er_json_text(request->name));
        json_object_set_new(json, "project", er_json_text(spec->project));
        json_object_set_new(json, "project_dir", er_json_text(request->project_dir));
        er_view_spec(json, "command", spec);
        json_object_set_new(json, "file_count", json_integer(snapshot ? (json_int_t)er_snapshot_files(snapshot) : 0));
        json_object_set_new(json, "bytes", json_integer(snapshot ? (json_int_t)er_snapshot_bytes(snapshot) : 0));
        json_object_set_new(json, "files", files_json(snapshot));
        rc = er_out_json(json, err);
        json_decref(json);
        return rc;
}

int er_dry_run_show(const struct er_cli *cli, const struct er_request *request, const struct er_snapshot *snapshot,
                    struct er_err *err)
{
        const struct er_spec *spec = &request->spec;
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_str) text = ER_STR_INIT;

        if (cli->json)
                return show_json(request, snapshot, err);
        er_say(cli, "dry run: nothing is started; this is what would run:");
        command_text(&text, spec);
        field(&out, "command", "%s%s", text.buf, spec->shell ? "    (run by the shell)" : "");
        if (spec->workdir)
                field(&out, "in", "%s", spec->workdir);
        if (spec->hosts.len == 0)
                field(&out, "on", "local");
        list_field(&out, "on", &spec->hosts, false);
        er_str_reset(&text);
        needs_text(&text, spec);
        field(&out, "needs", "%s", text.buf);
        if (request->has_recipe)
                field(&out, "software", "%s", request->recipe.summary);
        list_field(&out, "env", &spec->env, true);
        list_field(&out, "secrets", &spec->secrets, false);
        list_field(&out, "outputs", &spec->outputs, false);
        field(&out, "project", "%s in %s", spec->project ? spec->project : "", request->project_dir);
        files_text(&out, snapshot);
        return er_out(er_svn(out.buf, out.len), err);
}

/* dry_run.c - see dry_run.h */
#include "cli/dry_run.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/snapshot_view.h"
#include "cli/view.h"
#include "cli/words.h"
#include "host/snapshot/kept_out.h"

#define LINKS_MAX 10u /* links out of the project that are named below a list too long to show */
#define LIST_MAX 60u  /* files that --dry-run names one by one */

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

/* By its text alone: where it leads on the host, the project is somewhere else. */
static bool leads_out(const struct er_tree_entry *entry)
{
        struct er_sv rest = entry->target, part;
        long depth = 0;

        if (entry->type != 'l')
                return false;
        if (rest.len > 0 && rest.ptr[0] == '/')
                return true;
        for (size_t i = 0; i < entry->path.len; i++)
                depth += entry->path.ptr[i] == '/';
        while (er_sv_cut(&rest, '/', &part)) {
                if (er_sv_eq(part, ER_SV("..")))
                        depth--;
                else if (part.len > 0 && !er_sv_eq(part, ER_SV(".")))
                        depth++;
                if (depth < 0)
                        return true;
        }
        return false;
}

static void link_text(struct er_str *out, const struct er_tree_entry *entry)
{
        if (!leads_out(entry)) {
                er_str_add(out, "  (link)");
                return;
        }
        er_str_add(out, "  (link to ");
        er_quote_show(out, entry->target.ptr, entry->target.len);
        er_str_add(out, ", out of the project: what it leads to is not sent)");
}

/* Those in a list that is too long to be shown. */
static void links_text(struct er_str *out, const struct er_snapshot *snapshot)
{
        struct er_tree_entry entry;
        size_t shown = 0;

        for (size_t i = 0; shown < LINKS_MAX && er_snapshot_entry(snapshot, i, &entry); i++) {
                if (!leads_out(&entry))
                        continue;
                shown++;
                er_str_add(out, "             ");
                er_quote_show(out, entry.path.ptr, entry.path.len);
                link_text(out, &entry);
                er_str_addc(out, '\n');
        }
}

static void kept_out_text(struct er_str *out, const struct er_kept_out *kept)
{
        er_auto(er_str) size = ER_STR_INIT;

        if (kept->files == 0)
                return;
        er_snapshot_view_size(&size, kept->files, kept->bytes);
        field(out, "left here", "%s, which git ignores; the largest:", size.buf);
        for (size_t i = 0; i < kept->largest_len; i++) {
                er_str_add(out, "             ");
                er_quote_show(out, kept->largest[i].path, strlen(kept->largest[i].path));
                er_str_add(out, "  ");
                er_fmt_size(out, kept->largest[i].bytes);
                er_str_addc(out, '\n');
        }
        er_str_add(
                out,
                "           (files: {include: [PATTERN]} in errand.yaml, or !PATTERN in .errandignore, sends some)\n");
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
                links_text(out, snapshot);
                er_str_add(out, "           (--dry-run --json lists every file)\n");
                return;
        }
        for (size_t i = 0; i < count && er_snapshot_entry(snapshot, i, &entry); i++) {
                er_str_add(out, "             ");
                er_quote_show(out, entry.path.ptr, entry.path.len);
                if (entry.type == 'f') {
                        er_str_add(out, "  ");
                        er_fmt_size(out, entry.size);
                } else if (entry.type == 'd')
                        er_str_addc(out, '/');
                else
                        link_text(out, &entry);
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
                if (entry.type == 'l') {
                        json_object_set_new(file, "target", er_json_bytes(entry.target.ptr, entry.target.len));
                        json_object_set_new(file, "leads_out", json_boolean(leads_out(&entry)));
                }
                json_array_append_new(json, file);
        }
        return json;
}

static json_t *kept_out_json(const struct er_kept_out *kept)
{
        json_t *json = json_object(), *largest = json_array();

        for (size_t i = 0; i < kept->largest_len; i++) {
                json_t *item = json_object();
                const struct er_dir_size *size = &kept->largest[i];

                json_object_set_new(item, "path", er_json_bytes(size->path, strlen(size->path)));
                json_object_set_new(item, "file_count", json_integer((json_int_t)size->files));
                json_object_set_new(item, "bytes", json_integer((json_int_t)size->bytes));
                json_array_append_new(largest, item);
        }
        json_object_set_new(json, "file_count", json_integer((json_int_t)kept->files));
        json_object_set_new(json, "bytes", json_integer((json_int_t)kept->bytes));
        json_object_set_new(json, "largest", largest);
        return json;
}

static int show_json(const struct er_request *request, const struct er_snapshot *snapshot,
                     const struct er_kept_out *kept, struct er_err *err)
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
        json_object_set_new(json, "git_ignored", kept_out_json(kept));
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
        er_auto(er_kept_out) kept = {0};

        if (snapshot)
                er_kept_out_find(request->project_dir, snapshot, &kept);
        if (cli->json)
                return show_json(request, snapshot, &kept, err);
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
        kept_out_text(&out, &kept);
        return er_out(er_svn(out.buf, out.len), err);
}

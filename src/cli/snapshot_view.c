/* snapshot_view.c - see snapshot_view.h */
#include "cli/snapshot_view.h"

#include "base/parse.h"
#include "cli/live.h"
#include "cli/view.h"
#include "cli/words.h"

#define ASK_BYTES (1000ull * 1000 * 1000)
#define ASK_FILES 100000u
#define LARGEST_MAX 8u

static void show_progress(void *arg, uint64_t files, uint64_t bytes)
{
        er_auto(er_str) text = ER_STR_INIT;

        er_view_count(&text, files, "file");
        er_str_add(&text, ", ");
        er_fmt_size(&text, bytes);
        er_live_set(arg, "reading changed files: %s", text.buf);
}

void er_snapshot_view_size(struct er_str *out, uint64_t files, uint64_t bytes)
{
        er_fmt_size(out, bytes);
        er_str_add(out, " in ");
        er_view_count(out, files, "file");
}

void er_snapshot_view_largest(struct er_str *out, const struct er_snapshot *snapshot, const char *indent)
{
        struct er_dir_size dirs[LARGEST_MAX] = {{0}};
        size_t count = er_snapshot_largest(snapshot, dirs, LARGEST_MAX);

        for (size_t i = 0; i < count; i++) {
                er_str_add(out, indent);
                er_quote_show(out, dirs[i].path, strlen(dirs[i].path));
                er_str_add(out, "/  ");
                er_snapshot_view_size(out, dirs[i].files, dirs[i].bytes);
                er_str_addc(out, '\n');
                free(dirs[i].path);
        }
}

/* In one line, for the hint of an error. */
static void largest_inline(struct er_str *out, const struct er_snapshot *snapshot)
{
        struct er_dir_size dirs[3] = {{0}};
        size_t count = er_snapshot_largest(snapshot, dirs, ER_LEN(dirs));

        for (size_t i = 0; i < count; i++) {
                er_str_add(out, i == 0 ? " (the largest: " : ", ");
                er_quote_show(out, dirs[i].path, strlen(dirs[i].path));
                er_str_add(out, "/ with ");
                er_snapshot_view_size(out, dirs[i].files, dirs[i].bytes);
                free(dirs[i].path);
        }
        if (count > 0)
                er_str_addc(out, ')');
}

static int ask_first(void *arg, const struct er_snapshot *snapshot, struct er_err *err)
{
        struct er_live *live = arg;
        uint64_t files = er_snapshot_files(snapshot), bytes = er_snapshot_bytes(snapshot);
        er_auto(er_str) size = ER_STR_INIT;
        er_auto(er_str) more = ER_STR_INIT;

        if (files <= ASK_FILES && bytes <= ASK_BYTES)
                return 0;
        er_snapshot_view_size(&size, files, bytes);
        if (!er_can_ask()) {
                largest_inline(&more, snapshot);
                er_err_set(err, ER_CONFIG, "%s would be sent", size.buf);
                return er_err_hint(err, "use --yes to send it all, or list what is not needed in .errandignore%s",
                                   more.buf);
        }
        er_live_clear(live);
        er_snapshot_view_largest(&more, snapshot, "          ");
        er_ask_begin();
        fprintf(stderr,
                "errand: %s would be sent; the largest directories:\n%s        List what is not needed in "
                ".errandignore, which has the syntax of .gitignore.\n",
                size.buf, more.buf);
        if (er_ask("Send it all?"))
                return 0;
        er_err_set(err, ER_CANCELLED, "nothing was started");
        return er_err_hint(err, "--dry-run lists what would be sent");
}

int er_snapshot_view_take(const struct er_cli *cli, const char *dir, const char *project, bool ask,
                          struct er_snapshot **ret, struct er_err *err)
{
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        const struct er_snapshot_opts opts = {
                .dir = dir,
                .project = project,
                .progress = show_progress,
                .ask = ask ? ask_first : NULL,
                .arg = live,
        };

        er_live_set(live, "looking at the files of %s", project);
        return er_snapshot_take(&opts, ret, err);
}

int er_snapshot_view_sizes(const struct er_cli *cli, const char *dir, const char *project, struct er_snapshot **ret,
                           struct er_err *err)
{
        er_autoptr(er_live) live = er_live_new(cli->quiet);
        const struct er_snapshot_opts opts = {.dir = dir, .project = project, .sizes_only = true};

        er_live_set(live, "looking at the files of %s", project);
        return er_snapshot_take(&opts, ret, err);
}

/* data_bring.c - see data_bring.h */
#include "cli/data_bring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"

#define CONNECT_TRIES 5
#define PAUSE_MS 1000

static int open_session(const struct er_host *host, struct er_session **ret, struct er_err *err)
{
        const struct er_session_opts opts = {0};

        return er_session_open(host, &opts, ret, err);
}

static int fetch(const struct er_data_task *task, struct er_session *session, const struct er_data_wish *wish,
                 struct er_data_result *ret, struct er_err *err)
{
        struct er_data_wish full = *wish;

        full.project = task->project;
        full.name = task->source->name;
        full.sum = task->source->sum;
        full.progress = task->progress;
        full.arg = task->arg;
        return er_data_fetch(session, &full, ret, err);
}

/* --- sent from here */

struct sending {
        const struct er_data_task *task;
        const char *what;
};

static void on_transfer(void *arg, const struct er_transfer *transfer)
{
        const struct sending *sending = arg;

        sending->task->progress(sending->task->arg, transfer->bytes, transfer->total_bytes, sending->what);
}

/* Finds out before it starts, if possible. */
static int check_room(const struct er_data_task *task, const struct er_data_list *there, const char *path,
                      struct er_err *err)
{
        er_auto(er_str) need = ER_STR_INIT;
        er_auto(er_str) room = ER_STR_INIT;
        struct stat st;

        if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || there->free_bytes == 0 ||
            (uint64_t)st.st_size <= there->free_bytes)
                return 0;
        for (size_t i = 0; i < there->count; i++)
                if (er_streq(there->items[i].name, task->source->name))
                        return 0; /* all or most of it may be there already */
        er_fmt_size(&need, (uint64_t)st.st_size);
        er_fmt_size(&room, there->free_bytes);
        er_err_set(err, ER_IO, "%s does not fit: it is %s, and %s is free in %s", task->source->name, need.buf,
                   room.buf, there->path);
        return er_err_hint(err, "free some space there with errand data --rm NAME or errand gc");
}

/* Sends it under its new name, by way of a symbolic link with that name. */
static int push(const struct er_data_task *task, struct er_session *session, const char *path, const char *to,
                struct er_err *err)
{
        struct sending sending = {task, "sending"};
        struct er_transfer transfer = {.progress = on_transfer, .arg = &sending};
        er_autofree char *cache = er_dir_cache(), *real = realpath(path, NULL), *link = NULL, *dir = NULL;
        er_auto(er_strv) paths = ER_STRV_INIT;
        int rc;

        if (!real)
                return er_err_errno(err, errno, "%s", path);
        if (er_streq(er_path_base(path), task->source->name)) {
                er_strv_add(&paths, path);
                return er_push(session, &paths, to, &transfer, err);
        }
        if (er_mkdir_p(AT_FDCWD, cache, 0700, err) < 0)
                return -1;
        dir = er_fmt("%s/data-XXXXXX", cache);
        if (!mkdtemp(dir))
                return er_err_errno(err, errno, "making %s", dir);
        link = er_path_join(dir, task->source->name);
        er_strv_add(&paths, link);
        rc = symlink(real, link) < 0 ? er_err_errno(err, errno, "making %s", link)
                                     : er_push(session, &paths, to, &transfer, err);
        er_rmtree(AT_FDCWD, dir, NULL, NULL);
        return rc;
}

static int send_path(struct er_data_task *task, struct er_session *session, const char *path, struct er_err *err)
{
        er_auto(er_data_list) there = ER_DATA_LIST_INIT;
        const struct er_data_wish look = {.unpack = task->unpack};

        if (er_data_list(session, task->project, false, &there, err) < 0 || check_room(task, &there, path, err) < 0 ||
            push(task, session, path, there.path, err) < 0)
                return -1;
        return fetch(task, session, &look, &task->result, err);
}

/* --- downloaded here, for a host that cannot */

/* Each host has its own, since several may download at once. It is the same the next time, so that a download can
 * continue. */
static char *download_dir(const struct er_data_task *task)
{
        er_autofree char *cache = er_dir_cache();
        unsigned long long host = er_hash64(task->host->name, strlen(task->host->name));

        return er_fmt("%s/data/%s-%016llx", cache, task->project, host);
}

static int fetch_here(struct er_data_task *task, struct er_session *session, const struct er_err *why,
                      struct er_err *err)
{
        er_autofree char *downloads = download_dir(task), *path = er_path_join(downloads, task->source->name);
        er_autofree char *text = er_fmt("%s cannot download %s (%s); downloading it here and sending it",
                                        task->host->name, task->source->name, why->message);
        const struct er_data_wish wish = {.root = downloads, .url = task->source->url};
        er_autoptr(er_session) here = NULL;
        struct er_data_result result;

        task->say(task->arg, text);
        if (open_session(task->local, &here, err) < 0)
                return -1;
        if (fetch(task, here, &wish, &result, err) < 0 || send_path(task, session, path, err) < 0)
                return -1;
        unlink(path);
        rmdir(downloads);
        return 0;
}

static int from_url(struct er_data_task *task, struct er_session *session, struct er_err *err)
{
        const struct er_data_wish wish = {.url = task->source->url, .unpack = task->unpack};
        er_auto(er_err) why = ER_ERR_INIT;

        if (fetch(task, session, &wish, &task->result, &why) == 0)
                return 0;
        if (task->host->kind == ER_HOST_LOCAL || why.code != ER_NET ||
            !(er_streq(why.provider_code, "network") || er_streq(why.provider_code, "tool")))
                return er_err_move(err, &why);
        return fetch_here(task, session, &why, err);
}

/* --- from another host, by way of this machine */

static int from_there(struct er_data_task *task, struct er_session *session, struct er_err *err)
{
        const struct er_data_source *source = task->source;
        struct sending sending = {task, "fetching"};
        struct er_transfer transfer = {.progress = on_transfer, .arg = &sending};
        er_autofree char *downloads = download_dir(task), *dir = er_path_dir(source->path), *path = NULL;
        er_auto(er_data_list) there = ER_DATA_LIST_INIT;
        const struct er_data_wish copy = {.url = source->path, .unpack = task->unpack}, look = {.unpack = task->unpack};
        er_auto(er_strv) patterns = ER_STRV_INIT;
        struct er_pull pull = {.dir = dir, .patterns = &patterns, .to = downloads, .flat = true, .strict = true};
        er_autoptr(er_session) from = NULL;
        bool direct;

        if (er_streq(task->from->name, task->host->name))
                return fetch(task, session, &copy, &task->result, err);
        if (er_data_list(session, task->project, true, &there, err) < 0 || open_session(task->from, &from, err) < 0)
                return -1;
        er_strv_add(&patterns, er_path_base(source->path));
        direct = task->host->kind == ER_HOST_LOCAL && er_streq(patterns.items[0], source->name);
        if (direct)
                pull.to = there.path;
        if (er_pull(from, &pull, &transfer, err) < 0)
                return er_err_wrap(err, "%s", task->from->name);
        if (direct)
                return fetch(task, session, &look, &task->result, err);
        path = er_path_join(downloads, patterns.items[0]);
        if (send_path(task, session, path, err) < 0)
                return -1;
        er_rmtree(AT_FDCWD, path, NULL, NULL);
        rmdir(downloads);
        return 0;
}

static int bring(struct er_data_task *task, struct er_err *err)
{
        er_autoptr(er_session) session = NULL;

        if (open_session(task->host, &session, err) < 0)
                return -1;
        switch (task->source->from) {
        case ER_DATA_HERE:
                return send_path(task, session, task->source->path, err);
        case ER_DATA_THERE:
                return from_there(task, session, err);
        case ER_DATA_URL:
                break;
        }
        return from_url(task, session, err);
}

void er_data_bring(struct er_data_task *task)
{
        /* If the connection breaks, try again: nothing that has arrived is lost. */
        for (int i = 1; bring(task, &task->err) < 0 && task->err.code == ER_TRANSPORT && i < CONNECT_TRIES; i++) {
                task->say(task->arg, task->err.message);
                er_err_clear(&task->err);
                poll(NULL, 0, PAUSE_MS * i);
        }
}

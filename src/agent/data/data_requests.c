/* data_requests.c - DATA_FETCH, DATA_LIST and DATA_REMOVE (PROTOCOL.md, section 8), each done by a helper process. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "agent/data/datadir.h"
#include "agent/data/download.h"
#include "agent/digest.h"
#include "agent/serve/serve.h"
#include "base/io.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"

#define OF_MAX 4096u
#define NAME_MAX_LEN 200u /* with a suffix, still within a file system's 255 */
#define PIECE (1u << 20)
#define EVERY_MS 200
#define ALIVE_MS 2000 /* how often to report when nothing has changed */
#define WAIT_MS 200

/* --- a transfer */

struct coming {
        struct er_worker *worker;
        char *name, *part, *of, *url; /* (owned) */
        char *dir;                    /* (owned) absolute */
        int dir_fd, part_fd;
        bool has_sum;
        enum er_digest_kind kind;
        char sum[ER_DIGEST_HEX];
        struct er_download_facts facts;
        const char *doing; /* what is being done, other than moving bytes */
        uint64_t at, told_at;
        er_deadline tell_due, alive_due;
};

/* Reports the progress to the client. When the client is gone, this ends the process. */
static void tell(struct coming *c, bool now)
{
        struct er_str *out = &c->worker->out;
        size_t start;

        if (!now && er_deadline_poll_ms(c->tell_due) != 0)
                return;
        c->tell_due = er_deadline_in(EVERY_MS);
        if (!now && c->at == c->told_at && er_deadline_poll_ms(c->alive_due) != 0)
                return;
        c->alive_due = er_deadline_in(ALIVE_MS);
        c->told_at = c->at;
        start = er_frame_begin(out, ER_F_EVENT, c->worker->id);
        er_msg_u64(out, ER_T_OFFSET, c->at);
        if (c->facts.has_size)
                er_msg_u64(out, ER_T_SIZE, c->facts.size);
        er_msg_text(out, ER_T_DETAIL, c->doing);
        er_frame_end(out, start);
        er_worker_flush(c->worker, 0);
}

static void begin_to(struct coming *c, const char *doing)
{
        c->doing = doing;
        tell(c, true);
}

static void tick(void *arg)
{
        struct coming *c = arg;
        struct stat st;

        if (c->part_fd >= 0 && fstat(c->part_fd, &st) == 0)
                c->at = (uint64_t)st.st_size;
        tell(c, false);
}

static int finish(struct coming *c, bool was_there, struct er_err *err)
{
        struct er_str *out = &c->worker->out;
        struct stat st;
        size_t start;

        if (fstatat(c->dir_fd, c->name, &st, 0) < 0)
                return er_err_errno(err, errno, "%s/%s", c->dir, c->name);
        start = er_frame_begin(out, ER_F_OK, c->worker->id);
        er_msg_u64(out, ER_T_SIZE, S_ISDIR(st.st_mode) ? er_du(c->dir_fd, c->name) : (uint64_t)st.st_size);
        er_msg_u64(out, ER_T_CHANGED, !was_there);
        er_msg_text(out, ER_T_PATH, c->dir);
        er_frame_end(out, start);
        return 0;
}

/* --- checksums */

/* "sha256=HEX", already checked by the client. */
static int read_sum(struct coming *c, struct er_err *err)
{
        er_autofree char *sum = er_msg_dup(c->worker->payload, ER_T_SUM);
        const char *equals = sum ? strchr(sum, '=') : NULL;

        if (!sum)
                return 0;
        if (!equals || !er_digest_named(sum, (size_t)(equals - sum), &c->kind) ||
            strlen(equals + 1) != 2 * er_digest_size(c->kind))
                return er_err_set(err, ER_USAGE, "%s is not a checksum", sum);
        for (size_t i = 0; equals[1 + i]; i++)
                c->sum[i] = (char)(equals[1 + i] >= 'A' && equals[1 + i] <= 'F' ? equals[1 + i] + 32 : equals[1 + i]);
        c->has_sum = true;
        return 0;
}

static void more_checked(void *arg, size_t more)
{
        struct coming *c = arg;

        c->at += more;
        tell(c, false);
}

static int sum_of(struct coming *c, const char *name, char hex[ER_DIGEST_HEX], struct er_err *err)
{
        c->at = 0;
        begin_to(c, "checking");
        return er_digest_file(c->dir_fd, name, c->kind, more_checked, c, hex, err);
}

/* 0: the checksum matches. Otherwise the file is removed, as it can only do harm. */
static int check_sum(struct coming *c, const char *name, struct er_err *err)
{
        char hex[ER_DIGEST_HEX];

        if (!c->has_sum)
                return 0;
        if (sum_of(c, name, hex, err) < 0)
                return -1;
        if (er_streq(hex, c->sum))
                return 0;
        unlinkat(c->dir_fd, name, 0);
        unlinkat(c->dir_fd, c->of, 0);
        er_err_set(err, ER_REMOTE, "%s has the wrong checksum and was %s: its %s is %s, not %s", c->name,
                   er_streq(name, c->name) ? "removed" : "not kept", er_digest_name(c->kind), hex, c->sum);
        if (err)
                err->provider_code = er_strdup("checksum");
        return er_err_hint(err, "either the checksum given is wrong, or somebody has changed the file");
}

/* 1: the file is already there, and is the right one. */
static int is_there(struct coming *c, struct er_err *err)
{
        char hex[ER_DIGEST_HEX];
        struct stat st;

        if (fstatat(c->dir_fd, c->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        if (!S_ISREG(st.st_mode)) {
                er_err_set(err, ER_EXISTS, "%s is already there and is not a file", c->name);
                return er_err_hint(err, "choose another name with --to NAME, or remove it: errand data --rm %s",
                                   c->name);
        }
        if (!c->has_sum)
                return c->facts.has_size && (uint64_t)st.st_size == c->facts.size;
        if (sum_of(c, c->name, hex, err) < 0)
                return -1;
        return er_streq(hex, c->sum);
}

/* --- the part */

/* One at a time; others wait, and find it done. */
static int take_part(struct coming *c, struct er_err *err)
{
        for (;;) {
                er_autoclose int fd = openat(c->dir_fd, c->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
                struct stat ours, there;

                if (fd < 0)
                        return er_agent_fail(c->worker->agent, errno, err, "write %s/%s", c->dir, c->part);
                if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
                        if (!c->doing)
                                begin_to(c, "waiting: it is already being transferred");
                        c->at = fstat(fd, &ours) == 0 ? (uint64_t)ours.st_size : 0;
                        tell(c, false);
                        poll(NULL, 0, WAIT_MS);
                        continue;
                }
                if (fstat(fd, &ours) == 0 && fstatat(c->dir_fd, c->part, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
                    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
                        c->part_fd = er_take_fd(&fd);
                        c->doing = NULL;
                        return 0;
                }
        }
}

static void drop_part(struct coming *c)
{
        unlinkat(c->dir_fd, c->part, 0);
        unlinkat(c->dir_fd, c->of, 0);
}

/* A part of something else is not the beginning of this. */
static int know_part(struct coming *c, struct er_err *err)
{
        er_auto(er_str) now = ER_STR_INIT;
        er_auto(er_str) before = ER_STR_INIT;

        er_str_addf(&now, "%016llx\n", (unsigned long long)er_hash64(c->url, strlen(c->url)));
        if (c->facts.has_size)
                er_str_addf(&now, "%llu\n", (unsigned long long)c->facts.size);
        er_str_addf(&now, "%s\n", c->facts.version ? c->facts.version : "");
        if (er_file_exists(c->dir_fd, c->of) && er_file_read(c->dir_fd, c->of, OF_MAX, &before, NULL) == 0 &&
            er_sv_eq(er_svn(now.buf, now.len), er_svn(before.buf, before.len)))
                return 0;
        if (ftruncate(c->part_fd, 0) < 0)
                return er_err_errno(err, errno, "empty %s", c->part);
        return er_file_write(c->dir_fd, c->of, now.buf, now.len < OF_MAX ? now.len : OF_MAX, 0600, false, err);
}

static int check_room(struct coming *c, uint64_t size, struct er_err *err)
{
        er_auto(er_str) need = ER_STR_INIT;
        er_auto(er_str) room = ER_STR_INIT;
        uint64_t free_bytes;
        struct statvfs fs;
        struct stat st;

        if (fstatvfs(c->dir_fd, &fs) < 0 || fstat(c->part_fd, &st) < 0)
                return 0;
        free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
        if (size <= free_bytes + (uint64_t)st.st_size)
                return 0;
        er_fmt_size(&need, size - (uint64_t)st.st_size);
        er_fmt_size(&room, free_bytes);
        er_err_set(err, ER_IO, "%s does not fit: %s to come, but only %s free in %s", c->name, need.buf, room.buf,
                   c->worker->agent->root);
        return er_err_hint(err, "free some space there: errand data --rm NAME, errand gc; or keep errand's files "
                                "elsewhere: errand hosts add HOST --root DIR");
}

static int put_in_place(struct coming *c, struct er_err *err)
{
        if (check_sum(c, c->part, err) < 0)
                return -1;
        if (renameat(c->dir_fd, c->part, c->dir_fd, c->name) < 0)
                return er_err_errno(err, errno, "put %s in place", c->name);
        unlinkat(c->dir_fd, c->of, 0);
        return finish(c, false, err);
}

static int download(struct coming *c, struct er_err *err)
{
        const struct er_download download = {
                .agent = c->worker->agent, .url = c->url, .dir_fd = c->dir_fd, .part = c->part, .tick = tick, .arg = c};
        int there = 0;

        if (take_part(c, err) < 0)
                return -1;
        if (c->has_sum)
                there = is_there(c, err); /* no need to ask the server */
        if (there == 0) {
                begin_to(c, NULL);
                if (er_download_look(&download, &c->facts, err) < 0)
                        return -1;
                there = c->has_sum ? 0 : is_there(c, err);
        }
        if (there != 0) {
                drop_part(c);
                return there < 0 ? -1 : finish(c, true, err);
        }
        if (know_part(c, err) < 0 || (c->facts.has_size && check_room(c, c->facts.size, err) < 0))
                return -1;
        begin_to(c, NULL);
        if (er_download_run(&download, &c->facts, err) < 0)
                return -1;
        return put_in_place(c, err);
}

/* --- from a path on this host */

static int copy_file(struct coming *c, const char *from, const struct stat *st, struct er_err *err)
{
        const struct timespec times[2] = {st->st_mtim, st->st_mtim};
        er_autofree unsigned char *piece = er_malloc(PIECE);
        er_autoclose int fd = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        ssize_t n;

        if (fd < 0)
                return er_err_errno(err, errno, "open %s", from);
        if (ftruncate(c->part_fd, 0) < 0)
                return er_err_errno(err, errno, "empty %s", c->part);
        if (check_room(c, (uint64_t)st->st_size, err) < 0)
                return -1;
        while ((n = er_read_full(fd, piece, PIECE)) > 0) {
                if (er_write_full(c->part_fd, piece, (size_t)n) < 0) {
                        int why = errno;

                        drop_part(c);
                        return er_agent_fail(c->worker->agent, why, err, "write %s/%s", c->dir, c->name);
                }
                c->at += (uint64_t)n;
                tell(c, false);
        }
        if (n < 0)
                return er_err_errno(err, errno, "read %s", from);
        futimens(c->part_fd, times);
        return put_in_place(c, err);
}

/* Removes the old directory once the new one is in place, and restores it when that fails. */
static int replace_dir(const struct coming *c, const char *new, struct er_err *err)
{
        er_autofree char *old = er_fmt("./%s.old", c->part);
        bool had;

        if (er_rmtree(c->dir_fd, old, NULL, err) < 0)
                return -1;
        had = renameat(c->dir_fd, c->name, c->dir_fd, old) == 0;
        if (!had && errno != ENOENT)
                return er_err_errno(err, errno, "put %s aside", c->name);
        if (renameat(c->dir_fd, new, c->dir_fd, c->name) < 0) {
                er_err_errno(err, errno, "put %s in place", c->name);
                if (had)
                        (void)!renameat(c->dir_fd, old, c->dir_fd, c->name);
                return -1;
        }
        return er_rmtree(c->dir_fd, old, NULL, err);
}

static int copy_dir(struct coming *c, const char *from, struct er_err *err)
{
        const struct er_download download = {.agent = c->worker->agent, .dir_fd = c->dir_fd, .tick = tick, .arg = c};
        er_autofree char *aside = er_fmt("./%s.d", c->part);
        char *argv[] = {
                er_strdup("cp"), er_strdup("-R"), er_strdup("-p"), er_strdup("--"), er_strdup(from), aside, NULL};
        er_auto(er_str) said = ER_STR_INIT;
        int rc;

        begin_to(c, "copying");
        rc = er_rmtree(c->dir_fd, aside, NULL, err);
        if (rc == 0 && er_download_tool(&download, argv, er_svn("", 0), NULL, &said) != 0) {
                er_str_rtrim(&said);
                rc = er_err_set(err, ER_IO, "copying %s: %s", from, said.buf);
                er_rmtree(c->dir_fd, aside, NULL, NULL);
        }
        for (size_t i = 0; i < 5; i++)
                free(argv[i]);
        if (rc == 0)
                rc = replace_dir(c, aside, err);
        drop_part(c);
        return rc < 0 ? -1 : finish(c, false, err);
}

static int copy(struct coming *c, struct er_err *err)
{
        er_autofree char *from = c->url[0] == '~' && (c->url[1] == '/' || !c->url[1])
                                         ? er_path_join(c->worker->agent->home, c->url[1] ? c->url + 2 : ".")
                                         : er_path_join(c->worker->agent->home, c->url);
        struct stat st, there;

        if (stat(from, &st) < 0)
                return er_err_errno(err, errno, "%s", from);
        if (take_part(c, err) < 0)
                return -1;
        if (S_ISDIR(st.st_mode))
                return c->has_sum ? er_err_set(err, ER_USAGE, "%s is a directory: it has no checksum", from)
                                  : copy_dir(c, from, err);
        if (!S_ISREG(st.st_mode))
                return er_err_set(err, ER_USAGE, "%s is no file", from);
        c->facts = (struct er_download_facts){.has_size = true, .size = (uint64_t)st.st_size};
        if (fstatat(c->dir_fd, c->name, &there, AT_SYMLINK_NOFOLLOW) == 0 && !c->has_sum &&
            there.st_mtim.tv_sec == st.st_mtim.tv_sec && there.st_size == st.st_size) {
                drop_part(c);
                return finish(c, true, err);
        }
        return copy_file(c, from, &st, err);
}

/* --- archives */

static bool ends_any(const char *name, const char *const *ends)
{
        for (; *ends; ends++)
                if (er_ends(name, *ends))
                        return true;
        return false;
}

static int unpack(struct coming *c, struct er_err *err)
{
        static const char *const tars[] = {".tar",    ".tar.gz", ".tgz",     ".tar.bz2", ".tbz2", ".tbz",
                                           ".tar.xz", ".txz",    ".tar.zst", ".tzst",    NULL};
        const struct er_download download = {.agent = c->worker->agent, .dir_fd = c->dir_fd, .tick = tick, .arg = c};
        bool tar = ends_any(c->name, tars), zip = er_ends(c->name, ".zip"),
             python = zip && !er_download_has_tool("unzip");
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_str) said = ER_STR_INIT;
        int status;

        if (!tar && !zip) {
                er_err_set(err, ER_USAGE, "%s is not an archive that errand can unpack", c->name);
                return er_err_hint(
                        err,
                        "it was kept as it is; errand unpacks .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst and .zip");
        }
        if (tar) {
                er_strv_add(&argv, "tar");
                er_strv_add(&argv, "-xf");
        } else if (!python) {
                er_strv_add(&argv, "unzip");
                er_strv_add(&argv, "-oq");
        } else {
                const char *const words[] = {"python3", "-m", "zipfile", "-e"};

                for (size_t i = 0; i < ER_LEN(words); i++)
                        er_strv_add(&argv, words[i]);
        }
        er_strv_addf(&argv, "./%s", c->name);
        if (python)
                er_strv_add(&argv, ".");
        begin_to(c, "unpacking");
        status = er_download_tool(&download, argv.items, er_svn("", 0), NULL, &said);
        if (status == 0)
                return 0;
        er_str_rtrim(&said);
        if (status == 127) {
                er_err_set(err, ER_NOT_FOUND, "%s was not unpacked: there is no %s on this host", c->name,
                           argv.items[0]);
                return er_err_hint(err, "the archive itself is there");
        }
        if (strstr(said.buf, "No space left"))
                return er_agent_fail(c->worker->agent, ENOSPC, err, "unpack %s", c->name);
        return er_err_set(err, ER_REMOTE, "unpacking %s: %s", c->name,
                          strrchr(said.buf, '\n') ? strrchr(said.buf, '\n') + 1 : said.buf);
}

/* --- DATA_FETCH */

static int open_dir(struct coming *c, bool make, struct er_err *err)
{
        er_autofree char *root = er_msg_dup(c->worker->payload, ER_T_ROOT);
        er_autofree char *project = er_msg_dup(c->worker->payload, ER_T_PROJECT);

        if (!root && (!project || !project[0]))
                return er_err_set(err, ER_REMOTE, "a request about data without a project");
        c->dir = root ? er_take(root) : er_datadir_path(c->worker->agent, project);
        return er_agent_dir(c->worker->agent, c->dir, make, &c->dir_fd, err);
}

static int take_name(struct coming *c, struct er_err *err)
{
        struct er_sv name = er_msg_get(c->worker->payload, ER_T_NAME);

        if (!er_name_is_safe(name, NAME_MAX_LEN)) {
                er_err_set(err, ER_USAGE, "\"%.*s\" is not a valid name for data",
                           (int)(name.len < 200 ? name.len : 200), name.ptr ? name.ptr : "");
                return er_err_hint(err, "choose another with --to: no '/', no leading '.', at most %u bytes",
                                   NAME_MAX_LEN);
        }
        c->name = er_sv_dup(name);
        c->part = er_fmt("%s" ER_DATADIR_PART, c->name);
        c->of = er_fmt("%s" ER_DATADIR_OF, c->name);
        return 0;
}

static int bring(struct coming *c, struct er_err *err)
{
        if (!c->url) { /* it was PUT here: is it complete? */
                if (!er_file_exists(c->dir_fd, c->name))
                        return er_err_set(err, ER_NOT_FOUND, "%s is not there", c->name);
                return check_sum(c, c->name, err) < 0 ? -1 : finish(c, false, err);
        }
        return strstr(c->url, "://") ? download(c, err) : copy(c, err);
}

static int fetch(struct er_worker *worker, struct er_err *err)
{
        struct coming c = {.worker = worker, .dir_fd = -1, .part_fd = -1, .url = er_msg_dup(worker->payload, ER_T_URL)};
        er_auto(er_str) answer = ER_STR_INIT;

        if (take_name(&c, err) < 0 || read_sum(&c, err) < 0 || open_dir(&c, true, err) < 0)
                return -1;
        if (bring(&c, err) < 0) {
                struct stat st;

                if (c.part_fd >= 0 && fstat(c.part_fd, &st) == 0 && st.st_size == 0)
                        drop_part(&c); /* nothing of it has arrived */
                return -1;
        }
        if (!er_msg_get_u64(worker->payload, ER_T_UNPACK, 0))
                return 0;
        /* The closing answer comes last. */
        er_str_addn(&answer, worker->out.buf, worker->out.len);
        er_str_reset(&worker->out);
        if (unpack(&c, err) < 0)
                return -1;
        er_str_addn(&worker->out, answer.buf, answer.len);
        return 0; /* the process ends, and its memory with it */
}

int er_do_data_fetch(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        return er_worker_start(serve, frame, fetch, err);
}

/* --- DATA_LIST */

static int list(struct er_worker *worker, struct er_err *err)
{
        struct coming c = {.worker = worker, .dir_fd = -1, .part_fd = -1};
        bool only_where = er_msg_get_u64(worker->payload, ER_T_DRY, 0) != 0;
        er_auto(er_err) why = ER_ERR_INIT;
        const struct dirent *entry;
        struct statvfs fs;
        DIR *dir = NULL;
        size_t start;

        if (open_dir(&c, false, &why) < 0 && (!c.dir || why.sys_errno != ENOENT))
                return er_err_move(err, &why);
        if (!only_where && c.dir_fd >= 0)
                dir = fdopendir(dup(c.dir_fd));
        while (dir && (entry = readdir(dir))) {
                bool part = er_ends(entry->d_name, ER_DATADIR_PART);
                struct stat st;

                if (entry->d_name[0] == '.' || er_ends(entry->d_name, ER_DATADIR_OF) ||
                    fstatat(c.dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                start = er_frame_begin(&worker->out, ER_F_ENTRY, worker->id);
                er_msg_bytes(&worker->out, ER_T_NAME, entry->d_name,
                             strlen(entry->d_name) - (part ? strlen(ER_DATADIR_PART) : 0));
                er_msg_u64(&worker->out, ER_T_TYPE,
                           S_ISDIR(st.st_mode)   ? 'd'
                           : S_ISLNK(st.st_mode) ? 'l'
                           : part                ? 'p'
                                                 : 'f');
                er_msg_u64(&worker->out, ER_T_SIZE,
                           S_ISDIR(st.st_mode) ? er_du(c.dir_fd, entry->d_name) : (uint64_t)st.st_size);
                er_msg_i64(&worker->out, ER_T_MTIME, (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
                er_frame_end(&worker->out, start);
                er_worker_flush(worker, ER_CHUNK);
        }
        if (dir)
                closedir(dir);
        start = er_frame_begin(&worker->out, ER_F_END, worker->id);
        er_msg_text(&worker->out, ER_T_PATH, c.dir);
        if (c.dir_fd >= 0 && fstatvfs(c.dir_fd, &fs) == 0)
                er_msg_u64(&worker->out, ER_T_DISK_FREE, (uint64_t)fs.f_bavail * fs.f_frsize);
        er_frame_end(&worker->out, start);
        return 0;
}

int er_do_data_list(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        return er_worker_start(serve, frame, list, err);
}

/* --- DATA_REMOVE */

static int drop(struct er_worker *worker, struct er_err *err)
{
        struct coming c = {.worker = worker, .dir_fd = -1, .part_fd = -1};
        uint64_t freed = 0;
        struct stat st;
        bool there;
        size_t start;

        if (take_name(&c, err) < 0)
                return -1;
        if (open_dir(&c, false, NULL) < 0)
                return er_err_set(err, ER_NOT_FOUND, "the data of this project has no %s", c.name);
        c.part_fd = openat(c.dir_fd, c.part, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (c.part_fd >= 0 && flock(c.part_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
                return er_err_set(err, ER_STATE, "%s is being transferred at the moment", c.name);
        there = fstatat(c.dir_fd, c.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (!there && c.part_fd < 0)
                return er_err_set(err, ER_NOT_FOUND, "the data of this project has no %s", c.name);
        if (er_rmtree(c.dir_fd, c.name, &freed, err) < 0 || er_rmtree(c.dir_fd, c.part, &freed, err) < 0)
                return -1;
        drop_part(&c);
        start = er_frame_begin(&worker->out, ER_F_OK, worker->id);
        er_msg_u64(&worker->out, ER_T_FREED, freed);
        er_frame_end(&worker->out, start);
        return 0;
}

int er_do_data_remove(struct er_serve *serve, const struct er_frame *frame, struct er_err *err)
{
        return er_worker_start(serve, frame, drop, err);
}

/* fetch.c - see fetch.h. The work is done by scripts/fetch.sh, with the same words about failures as on a host. */
#include "environment/fetch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/proc.h"
#include "environment/scripts.h"
#include "environment/wants.h"

extern char **environ;

#define LINE_MAX_LEN ((size_t)64 * 1024)
#define CONTROL "@errand@ "
#define TURN_MS 100
#define MARK "fetched.txt" /* is there: what is needed was sent along */

struct fetching {
        struct er_recipe *recipe;
        er_fetch_progress progress;
        void *arg;
        char *dir; /* of this run: files/, tmp/, wheels/ */
        char *message, *hint, *kind;
        struct er_str line, last; /* what arrives; the last line that is no word for us */
        struct er_cancel *cancel;
};

static const struct er_recipe_file *file_of(const struct er_recipe *recipe, const char *name)
{
        for (size_t i = 0; i < recipe->file_count; i++)
                if (er_streq(recipe->files[i].name, name))
                        return &recipe->files[i];
        return NULL;
}

static char *wheels_dir(void)
{
        er_autofree char *cache = er_dir_cache();

        return er_path_join(cache, "wheels");
}

static int write_files(struct fetching *f, struct er_err *err)
{
        static const char *const parts[] = {"lib.sh", "pip_index.sh", "pip_explain.sh", "pip.sh", "fetch.sh"};
        er_autofree char *files = er_path_join(f->dir, "files");
        er_autofree char *tmp = er_path_join(f->dir, "tmp");
        er_autofree char *script = er_path_join(files, "fetch.sh");
        er_auto(er_str) text = ER_STR_INIT;

        if (er_mkdir_p(AT_FDCWD, files, 0700, err) < 0 || er_mkdir_p(AT_FDCWD, tmp, 0700, err) < 0)
                return -1;
        for (size_t i = 0; i < f->recipe->file_count; i++) {
                const struct er_recipe_file *file = &f->recipe->files[i];
                er_autofree char *path = er_path_join(files, file->name);

                if (!file->path) {
                        if (er_file_write(AT_FDCWD, path, file->data.buf, file->data.len, 0600, false, err) < 0)
                                return -1;
                } else if (symlink(file->path, path) < 0) {
                        return er_err_errno(err, errno, "link %s", path);
                }
        }
        for (size_t i = 0; i < ER_LEN(parts); i++)
                for (size_t k = 0; k < er_build_script_count; k++)
                        if (er_streq(er_build_scripts[k].name, parts[i]))
                                er_str_addn(&text, er_build_scripts[k].data, er_build_scripts[k].len);
        return er_file_write(AT_FDCWD, script, text.buf, text.len, 0700, false, err);
}

static void take_line(struct fetching *f, struct er_sv line)
{
        const struct {
                const char *word;
                char **text;
        } words[] = {{"error ", &f->message}, {"hint ", &f->hint}, {"kind ", &f->kind}};

        if (!er_sv_starts(line, ER_SV(CONTROL))) {
                if (er_sv_trim(line).len) {
                        er_str_reset(&f->last);
                        er_str_addn(&f->last, line.ptr, line.len);
                }
                return;
        }
        line = er_svn(line.ptr + strlen(CONTROL), line.len - strlen(CONTROL));
        if (er_sv_starts(line, ER_SV("progress ")) && f->progress) {
                er_autofree char *text = er_strndup(line.ptr + 9, line.len - 9);

                f->progress(f->arg, text);
        }
        for (size_t i = 0; i < ER_LEN(words); i++)
                if (er_sv_starts(line, er_sv(words[i].word))) {
                        free(*words[i].text);
                        *words[i].text = er_strndup(line.ptr + strlen(words[i].word), line.len - strlen(words[i].word));
                }
}

/* Reads what the script says until it ends. */
static int listen_to(struct fetching *f, struct er_proc *proc, struct er_err *err)
{
        for (;;) {
                struct pollfd look[] = {{.fd = proc->io[1], .events = POLLIN},
                                        {.fd = f->cancel ? f->cancel->fds[0] : -1, .events = POLLIN}};
                char *newline;
                ssize_t n;

                if (poll(look, ER_LEN(look), -1) < 0)
                        continue;
                if (look[1].revents)
                        return er_err_set(err, ER_CANCELLED, "downloading packages was cancelled");
                er_str_reserve(&f->line, 4096);
                n = read(proc->io[1], f->line.buf + f->line.len, 4096);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return 0;
                f->line.len += (size_t)n;
                f->line.buf[f->line.len] = '\0';
                while ((newline = memchr(f->line.buf, '\n', f->line.len))) {
                        size_t len = (size_t)(newline - f->line.buf);

                        take_line(f, er_svn(f->line.buf, len));
                        er_str_drop(&f->line, len + 1);
                }
                if (f->line.len > LINE_MAX_LEN)
                        er_str_reset(&f->line);
        }
}

static void add_env(struct er_strv *env, const struct fetching *f, const char *platform)
{
        static const char *const names[] = {
                "ERRAND_PREFIX=", "ERRAND_FILES=", "ERRAND_TOOLS=",   "ERRAND_CACHE=",  "ERRAND_TARGET=",
                "ERRAND_INSIDE=", "ERRAND_FETCH=", "ERRAND_SECRETS=", "ERRAND_MASKED=", "TMPDIR="};
        er_autofree char *cache = er_dir_cache();

        for (char *const *item = environ; *item; item++) {
                bool ours = false;

                for (size_t i = 0; i < ER_LEN(names); i++)
                        ours = ours || er_starts(*item, names[i]);
                if (!ours)
                        er_strv_add(env, *item);
        }
        er_strv_addf(env, "ERRAND_PREFIX=%s", f->dir);
        er_strv_addf(env, "ERRAND_FILES=%s/files", f->dir);
        er_strv_addf(env, "ERRAND_TOOLS=%s/tools", cache);
        er_strv_addf(env, "ERRAND_CACHE=%s", cache);
        er_strv_addf(env, "ERRAND_TARGET=%s", platform);
        er_strv_addf(env, "TMPDIR=%s/tmp", f->dir);
        er_strv_add(env, "ERRAND_FETCH=host"); /* this is the machine that downloads */
        er_strv_add(env, "ERRAND_INSIDE=1");   /* its words come on stdout */
        er_recipe_vars(&f->recipe->values, env);
}

static int run_script(struct fetching *f, const char *platform, struct er_err *err)
{
        static char sh[] = "/bin/sh", flag[] = "-c", line[] = "exec /bin/sh \"$ERRAND_FILES/fetch.sh\" build 2>&1";
        char *const argv[] = {sh, flag, line, NULL};
        er_auto(er_strv) env = ER_STRV_INIT;
        er_auto(er_proc) proc = ER_PROC_INIT;
        struct er_proc_opts opts = {.argv = argv, .cwd = f->dir, .io = {ER_PROC_NULL, ER_PROC_PIPE, ER_PROC_NULL}};
        int rc, status = 0;

        add_env(&env, f, platform);
        opts.env = env.items;
        rc = er_proc_start(&opts, &proc, err);
        er_strv_wipe(&env);
        if (rc < 0 || listen_to(f, &proc, err) < 0 || er_proc_wait(&proc, ER_NEVER, &status, err) < 0)
                return -1;
        if (status == 0)
                return 0;
        er_err_set(err,
                   er_streq(f->kind, "network") ? ER_NET
                   : er_streq(f->kind, "disk")  ? ER_IO
                                                : ER_REMOTE,
                   "downloading packages here for the host: %s",
                   f->message    ? f->message
                   : f->last.len ? f->last.buf
                                 : "it failed");
        return f->hint && !er_streq(f->kind, "network") ? er_err_hint(err, "%s", f->hint) : -1;
}

/* Sets that the host is to use what is sent, and nothing else; and that it has been sent. */
static void mark(struct er_recipe *recipe)
{
        er_auto(er_str) text = ER_STR_INIT;

        for (size_t i = 0; i < recipe->file_count; i++) {
                struct er_recipe_file *file = &recipe->files[i];
                struct er_sv rest, line;

                if (!er_streq(file->name, "settings"))
                        continue;
                rest = er_svn(file->data.buf, file->data.len);
                while (rest.len && er_sv_cut(&rest, '\n', &line))
                        if (line.len && !er_sv_starts(line, ER_SV("fetch=")))
                                er_str_addf(&text, "%.*s\n", (int)line.len, line.ptr);
                er_str_add(&text, "fetch=here\n");
                er_str_reset(&file->data);
                er_str_addn(&file->data, text.buf, text.len);
        }
        if (!file_of(recipe, MARK))
                er_recipe_add(recipe, MARK, ER_SV("yes\n"), 0600);
}

static int add_wheels(struct er_recipe *recipe, const char *dir, struct er_err *err)
{
        er_auto(er_strv) names = ER_STRV_INIT;
        DIR *stream = opendir(dir);
        struct dirent *entry;

        if (!stream)
                return er_err_errno(err, errno, "read %s", dir);
        while ((entry = readdir(stream)))
                if (er_ends(entry->d_name, ".whl") && entry->d_name[0] != '.')
                        er_strv_take(&names, er_path_join(dir, entry->d_name));
        closedir(stream);
        er_strv_sort(&names);
        for (size_t i = 0; i < names.len; i++) {
                struct er_recipe_file *file;
                struct er_hash hash;
                uint64_t size = 0;

                if (file_of(recipe, er_path_base(names.items[i])))
                        continue; /* it is sent already */
                if (er_wants_hash_file(names.items[i], &hash, &size, err) < 0)
                        return -1;
                file = er_recipe_add(recipe, er_path_base(names.items[i]), ER_SV(""), 0600);
                file->path = er_strdup(names.items[i]);
                file->size = size;
                memcpy(file->hash, hash.bytes, ER_ENV_HASH);
        }
        return 0;
}

static int fetch(struct fetching *f, const char *platform, struct er_err *err)
{
        er_autofree char *base = wheels_dir();
        er_autofree char *wheels = NULL, *kept = NULL;
        char hex[2 * ER_ENV_HASH + 1];

        er_fmt_hex(f->recipe->hash, ER_ENV_HASH, hex);
        if (er_mkdir_p(AT_FDCWD, base, 0700, err) < 0)
                return -1;
        f->dir = er_fmt("%s/new-XXXXXX", base);
        if (!mkdtemp(f->dir)) {
                int errnum = errno;

                free(er_take(f->dir));
                return er_err_errno(err, errnum, "create a directory in %s", base);
        }
        if (write_files(f, err) < 0 || run_script(f, platform, err) < 0)
                return -1;
        wheels = er_path_join(f->dir, "wheels");
        kept = er_path_join(base, hex);
        if (er_rmtree(AT_FDCWD, kept, NULL, err) < 0)
                return -1;
        if (rename(wheels, kept) < 0)
                return er_err_errno(err, errno, "rename %s", wheels);
        if (add_wheels(f->recipe, kept, err) < 0)
                return -1;
        mark(f->recipe);
        return 0;
}

enum er_fetch er_recipe_fetch(const struct er_recipe *recipe)
{
        const struct er_recipe_file *settings = file_of(recipe, "settings");
        struct er_sv rest = settings ? er_svn(settings->data.buf, settings->data.len) : ER_SV(""), line;

        if (!file_of(recipe, "requirements.txt"))
                return ER_FETCH_HOST;
        while (rest.len && er_sv_cut(&rest, '\n', &line)) {
                if (er_sv_eq(line, ER_SV("fetch=here")))
                        return ER_FETCH_HERE;
                if (er_sv_eq(line, ER_SV("fetch=host")))
                        return ER_FETCH_HOST;
        }
        return ER_FETCH_AUTO;
}

int er_fetch_turn(const struct er_recipe *recipe, struct er_cancel *cancel, int *ret_fd, bool *ret_waited,
                  struct er_err *err)
{
        er_autofree char *base = wheels_dir();
        er_autofree char *path = NULL;
        char hex[2 * ER_ENV_HASH + 1];

        er_fmt_hex(recipe->hash, ER_ENV_HASH, hex);
        path = er_fmt("%s/%s.lock", base, hex);
        *ret_waited = false;
        if (er_mkdir_p(AT_FDCWD, base, 0700, err) < 0)
                return -1;
        for (;;) {
                struct pollfd stop = {.fd = cancel ? cancel->fds[0] : -1, .events = POLLIN};
                er_auto(er_err) why = ER_ERR_INIT;

                if (er_lock_file(path, 0, ret_fd, &why) == 0)
                        return 0;
                if (!why.retryable)
                        return er_err_move(err, &why);
                *ret_waited = true;
                if (poll(&stop, 1, TURN_MS) > 0)
                        return er_err_set(err, ER_CANCELLED, "downloading packages was cancelled");
        }
}

int er_fetch_wheels(struct er_recipe *recipe, const char *platform, struct er_cancel *cancel,
                    er_fetch_progress progress, void *arg, struct er_err *err)
{
        struct fetching f = {.recipe = recipe,
                             .progress = progress,
                             .arg = arg,
                             .line = ER_STR_INIT,
                             .last = ER_STR_INIT,
                             .cancel = cancel};
        int result = fetch(&f, platform, err);

        if (f.dir)
                er_rmtree(AT_FDCWD, f.dir, NULL, NULL);
        free(f.dir);
        free(f.message);
        free(f.hint);
        free(f.kind);
        er_str_release(&f.line);
        er_str_release(&f.last);
        return result;
}

/* "HEX", and "new-..." of a fetch that was killed. */
static void collect_one(int base, const char *dir, const char *name, bool dry, uint64_t *freed)
{
        er_autofree char *lock = er_fmt("%s/%s.lock", dir, name);
        er_autoclose int turn = -1;

        if (dry) {
                *freed += er_du(base, name);
                return;
        }
        if (er_lock_file(lock, 0, &turn, NULL) < 0)
                return;
        (void)er_rmtree(base, name, freed, NULL);
        unlink(lock);
}

void er_fetch_collect(int64_t older_ms, bool dry, uint64_t *freed)
{
        er_autofree char *dir = wheels_dir();
        DIR *all = opendir(dir);
        const struct dirent *entry;
        struct stat st;

        while (all && (entry = readdir(all)))
                if (entry->d_name[0] != '.' && fstatat(dirfd(all), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                    S_ISDIR(st.st_mode) && er_now_ms() - (int64_t)st.st_mtim.tv_sec * 1000 > older_ms)
                        collect_one(dirfd(all), dir, entry->d_name, dry, freed);
        if (all)
                closedir(all);
}

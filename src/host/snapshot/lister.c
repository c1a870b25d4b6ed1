/* lister.c - see lister.h */
#include "host/snapshot/lister.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/io.h"
#include "base/parse.h"
#include "proto/tree.h"

#define FILES_MAX ((size_t)1 << 26)

static int path_too_long(struct er_sv path, struct er_err *err)
{
        er_auto(er_str) shown = ER_STR_INIT;

        er_quote_show(&shown, path.ptr, path.len < 200 ? path.len : 200);
        return er_err_set(err, ER_STATE, "%s: the path is too long to be sent", shown.buf);
}

int er_lister_add(struct er_lister *lister, struct er_sv prefix, struct er_sv name, char type, struct er_err *err)
{
        struct er_listing *out = lister->out;
        size_t len = prefix.len + name.len;

        if (len > ER_TREE_PATH_MAX)
                return path_too_long(name, err);
        if (out->len >= FILES_MAX)
                return er_err_set(err, ER_STATE, "%s: too many files to list", lister->dir);
        out->items = er_grow(out->items, &out->cap, out->len + 1, sizeof *out->items);
        out->items[out->len++] = (struct er_listing_item){
                .path = er_names_add(&out->names, prefix, name),
                .len = (uint32_t)len,
                .type = type,
        };
        return 0;
}

void er_lister_watch(struct er_lister *lister, const char *path, const struct er_file_stat *stat)
{
        struct er_listing *out = lister->out;

        out->watches = er_grow(out->watches, &out->watch_cap, out->watch_len + 1, sizeof *out->watches);
        out->watches[out->watch_len++] = (struct er_listing_watch){
                .path = er_names_add(&out->names, ER_SV(""), er_sv(path[0] ? path : ".")),
                .stat = *stat,
        };
}

void er_lister_watch_file(struct er_lister *lister, const char *path)
{
        struct er_file_stat stat = {0};
        struct stat st;

        /* Symlinks are followed, as git does for its own files (dotfiles often are links). */
        if (fstatat(lister->root_fd, path, &st, 0) == 0)
                er_file_stat_from(&st, &stat);
        er_lister_watch(lister, path, &stat);
}

bool er_lister_skips(const struct er_lister *lister, const char *path)
{
        return er_strv_has(&lister->skip, path);
}

/* ---- Directories */

void er_dir_release(struct er_dir *dir)
{
        free(dir->items);
        er_str_release(&dir->names);
        *dir = (struct er_dir)ER_DIR_INIT;
}

static int open_dir(int root_fd, const char *path)
{
        return openat(root_fd, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int dir_err(struct er_err *err, int errnum, const char *path)
{
        er_auto(er_str) shown = ER_STR_INIT;

        er_quote_show(&shown, path, strlen(path));
        return er_err_errno(err, errnum, "read the directory %s", path[0] ? shown.buf : ".");
}

static bool is_dir(int fd, const struct dirent *entry)
{
        struct stat st;

#ifdef DT_DIR
        if (entry->d_type != DT_UNKNOWN)
                return entry->d_type == DT_DIR;
#endif
        return fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int compare_items(const void *left, const void *right)
{
        const struct er_dir_item *a = left, *b = right;
        size_t shorter = a->len < b->len ? a->len : b->len;
        int order = memcmp(a->name, b->name, shorter);
        unsigned char end_a, end_b;

        if (order)
                return order;
        end_a = (unsigned char)(a->len > shorter ? a->name[shorter] : a->type == 'd' ? '/' : '\0');
        end_b = (unsigned char)(b->len > shorter ? b->name[shorter] : b->type == 'd' ? '/' : '\0');
        return (int)end_a - (int)end_b;
}

/* Now that the buffer of the names no longer moves. */
static void set_names(struct er_dir *dir)
{
        const char *name = dir->names.buf;

        for (size_t i = 0; i < dir->len; i++) {
                dir->items[i].name = name;
                name += dir->items[i].len + 1;
        }
}

bool er_dir_has(const struct er_dir *dir, const char *name)
{
        for (size_t i = 0; i < dir->len; i++)
                if (er_streq(dir->items[i].name, name))
                        return true;
        return false;
}

int er_dir_read(struct er_lister *lister, const char *path, enum er_dir_want want, struct er_dir *ret,
                struct er_err *err)
{
        int fd = open_dir(lister->root_fd, path), errnum;
        struct dirent *entry;
        struct stat st;
        DIR *stream;

        ret->len = ret->total = 0;
        er_str_reset(&ret->names);
        if (lister->cancel && er_cancel_fired(lister->cancel)) {
                er_closep(&fd);
                return er_err_set(err, ER_CANCELLED, "cancelled while listing the project's files");
        }
        if (fd < 0 && path[0] && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
                return 0;
        /* Whether that matters is known once .errandignore has been read. */
        if (fd < 0 && path[0] && (errno == EACCES || errno == EPERM))
                return er_lister_add(lister, ER_SV(""), er_sv(path), ER_UNREADABLE, err);
        if (fd < 0)
                return dir_err(err, errno, path);
        if (fstat(fd, &st) < 0 || !(stream = fdopendir(fd))) {
                errnum = errno;
                er_closep(&fd);
                return dir_err(err, errnum, path);
        }
        er_file_stat_from(&st, &ret->stat);
        for (;;) {
                size_t len;
                bool dir;

                errno = 0;
                entry = readdir(stream);
                if (!entry)
                        break;
                if (er_streq(entry->d_name, ".") || er_streq(entry->d_name, ".."))
                        continue;
                ret->total++;
                dir = is_dir(fd, entry);
                if (want == ER_DIR_DIRS && !dir && entry->d_name[0] != '.')
                        continue;
                len = strlen(entry->d_name);
                ret->items = er_grow(ret->items, &ret->cap, ret->len + 1, sizeof *ret->items);
                ret->items[ret->len++] = (struct er_dir_item){
                        .len = (uint32_t)len,
                        .type = dir ? 'd' : 'f',
                };
                er_str_addn(&ret->names, entry->d_name, len + 1);
        }
        errnum = errno;
        closedir(stream);
        if (errnum)
                return dir_err(err, errnum, path);
        set_names(ret);
        if (want == ER_DIR_ALL && ret->len > 1)
                qsort(ret->items, ret->len, sizeof *ret->items, compare_items);
        return 1;
}

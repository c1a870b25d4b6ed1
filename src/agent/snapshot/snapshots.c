/* snapshots.c - see snapshots.h: reads what is there, and removes what nothing needs. */
#include "agent/snapshot/snapshots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/snapshot/tree_format.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/path.h"
#include "proto/msg.h"

#define STALE_PART_MS (24 * 3600 * 1000LL)

void er_boot_id(char ret[ER_BOOT_ID])
{
        static char known[ER_BOOT_ID];

        if (!known[0]) {
                const char *pretended = getenv("ERRAND_BOOT_ID");
                er_autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

                if (pretended && pretended[0])
                        memcpy(known, pretended, strnlen(pretended, sizeof known - 1));
                else if (fd < 0 || er_read_full(fd, known, 36) != 36)
                        memcpy(known, "unknown-", 8);
        }
        memcpy(ret, known, ER_BOOT_ID);
}

void er_tree_hex(const unsigned char hash[ER_TREE_HASH], char ret[ER_TREE_HEX])
{
        er_fmt_hex(hash, ER_TREE_HASH, ret);
}

char *er_snapshots_dir(const char *project)
{
        er_auto(er_str) dir = ER_STR_INIT;

        er_str_add(&dir, "snapshots/");
        for (size_t i = 0; project[i] && i < 100; i++) {
                char c = project[i];
                bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                             c == '_' || (c == '.' && i > 0);

                er_str_addc(&dir, plain ? c : '_');
        }
        if (!project[0])
                er_str_addc(&dir, '_');
        return er_str_detach(&dir);
}

static int open_lock(int root, const char *dir, int operation)
{
        er_autofree char *path = er_fmt("%s/lock", dir);
        int fd = openat(root, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd >= 0 && flock(fd, operation) < 0) {
                er_close(&fd);
                return -1;
        }
        return fd;
}

int er_snapshots_hold(int root, const char *project, struct er_err *err)
{
        er_autofree char *dir = er_snapshots_dir(project);
        int fd = open_lock(root, dir, LOCK_SH);

        if (fd < 0 && errno == ENOENT) {
                if (er_mkdir_p(root, dir, 0700, err) < 0)
                        return -1;
                fd = open_lock(root, dir, LOCK_SH);
        }
        return fd < 0 ? er_err_errno(err, errno, "lock %s", dir) : fd;
}

/* ---- Tree files */

static int absent(struct er_err *err, const char *hex)
{
        er_err_set(err, ER_NOT_FOUND, "snapshot %.12s is not on this host", hex);
        if (err)
                err->provider_code = er_strdup("snapshot");
        return -1;
}

static bool tree_header_is_sound(const struct er_tree_file *tree)
{
        struct er_tree_header header;

        memcpy(&header, tree->map, sizeof header);
        return memcmp(header.magic, ER_TREE_MAGIC, sizeof header.magic) == 0 &&
               header.packs <= (tree->size - sizeof header) / sizeof(struct er_tree_pack) &&
               header.body == tree->size - sizeof header - (size_t)header.packs * sizeof(struct er_tree_pack);
}

static struct er_tree_pack tree_pack(const struct er_tree_file *tree, uint32_t pack)
{
        struct er_tree_pack ret;

        memcpy(&ret, tree->map + sizeof(struct er_tree_header) + (size_t)pack * sizeof ret, sizeof ret);
        return ret;
}

static bool packs_are_there(int root, const char *dir, const struct er_tree_file *tree)
{
        er_autofree char *path = er_fmt("%s/packs", dir);
        er_autoclose int packs = tree->packs ? openat(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

        for (uint32_t i = 0; i < tree->packs; i++) {
                const char *name = er_tree_file_pack(tree, i);
                struct stat st;

                if (!name || packs < 0 || fstatat(packs, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
                    (uint64_t)st.st_size < tree_pack(tree, i).size)
                        return false;
        }
        return true;
}

static int open_hex(int root, const char *dir, const char *hex, struct er_tree_file *ret, struct er_err *err)
{
        er_autofree char *path = er_fmt("%s/trees/%s", dir, hex);
        er_autoclose int fd = openat(root, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct er_tree_file tree = ER_TREE_FILE_INIT;
        struct er_tree_header header;
        struct stat st;
        char boot[ER_BOOT_ID];
        void *map;

        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof header ||
            (uint64_t)st.st_size > ER_TREE_FILE_MAX)
                return absent(err, hex);
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
                return er_err_errno(err, errno, "read %s", path);
        tree.map = map;
        tree.size = (size_t)st.st_size;
        memcpy(&header, map, sizeof header);
        er_boot_id(boot);
        if (!tree_header_is_sound(&tree) || (!header.synced && memcmp(header.boot_id, boot, sizeof boot) != 0)) {
                er_tree_file_release(&tree);
                return absent(err, hex);
        }
        tree.count = header.count;
        tree.packs = header.packs;
        tree.checksum = header.checksum;
        tree.bytes = header.bytes;
        tree.body = er_svn(tree.map + tree.size - header.body, (size_t)header.body);
        if (!packs_are_there(root, dir, &tree)) {
                er_tree_file_release(&tree);
                return absent(err, hex);
        }
        *ret = tree;
        return 0;
}

int er_tree_file_open(int root, const char *project, const unsigned char hash[ER_TREE_HASH], struct er_tree_file *ret,
                      struct er_err *err)
{
        er_autofree char *dir = er_snapshots_dir(project);
        char hex[ER_TREE_HEX];

        er_tree_hex(hash, hex);
        return open_hex(root, dir, hex, ret, err);
}

void er_tree_file_release(struct er_tree_file *tree)
{
        if (tree->map)
                munmap((void *)(uintptr_t)tree->map, tree->size);
        *tree = (struct er_tree_file)ER_TREE_FILE_INIT;
}

const char *er_tree_file_pack(const struct er_tree_file *tree, uint32_t pack)
{
        const char *name;

        if (pack >= tree->packs)
                return NULL;
        name = (const char *)tree->map + sizeof(struct er_tree_header) + (size_t)pack * sizeof(struct er_tree_pack);
        return name[ER_PACK_NAME - 1] == '\0' && name[0] && !strchr(name, '/') ? name : NULL;
}

void er_tree_file_condemn(int root, const char *project, const unsigned char hash[ER_TREE_HASH])
{
        er_autofree char *dir = er_snapshots_dir(project);
        er_autofree char *path = NULL;
        char hex[ER_TREE_HEX];

        er_tree_hex(hash, hex);
        path = er_fmt("%s/trees/%s", dir, hex);
        (void)unlinkat(root, path, 0);
}

static int next_location(struct er_sv *rest, struct er_pack_location *ret, struct er_err *err)
{
        struct er_pack_location_record record;

        if (rest->len < sizeof record)
                return er_err_set(err, ER_REMOTE, "a damaged list of files");
        memcpy(&record, rest->ptr, sizeof record);
        rest->ptr += sizeof record;
        rest->len -= sizeof record;
        ret->pack = record.pack;
        ret->offset = record.offset;
        return 1;
}

int er_tree_file_next(struct er_sv *rest, struct er_tree_entry *ret, struct er_pack_location *ret_where,
                      struct er_err *err)
{
        int more = er_tree_unpack(rest, ret, err);

        return more == 1 ? next_location(rest, ret_where, err) : more;
}

int er_tree_file_skip(struct er_sv *rest, struct er_tree_packed *ret, struct er_pack_location *ret_where,
                      struct er_err *err)
{
        int more = er_tree_skip(rest, ret, err);

        return more == 1 ? next_location(rest, ret_where, err) : more;
}

bool er_snapshots_have(int root, const char *project, const unsigned char hash[ER_TREE_HASH])
{
        struct er_tree_file tree = ER_TREE_FILE_INIT;
        bool have = er_tree_file_open(root, project, hash, &tree, NULL) == 0;

        er_tree_file_release(&tree);
        return have;
}

/* ---- Listing */

struct found {
        char *hex;
        int64_t mtime_ns;
};
struct found_list {
        struct found *items;
        size_t len, cap;
};

static void found_list_release(struct found_list *list)
{
        for (size_t i = 0; i < list->len; i++)
                free(list->items[i].hex);
        free(list->items);
}

static int newest_first(const void *a, const void *b)
{
        const struct found *x = a, *y = b;

        return x->mtime_ns < y->mtime_ns ? 1 : x->mtime_ns > y->mtime_ns ? -1 : strcmp(x->hex, y->hex);
}

static DIR *open_dir(int at, const char *path)
{
        int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir && fd >= 0)
                close(fd);
        return dir;
}

/* The trees of a project, newest first. */
static void find_trees(int root, const char *project_dir, struct found_list *ret)
{
        er_autofree char *path = er_fmt("%s/trees", project_dir);
        DIR *dir = open_dir(root, path);
        struct dirent *entry;
        unsigned char hash[ER_TREE_HASH];
        struct stat st;

        while (dir && (entry = readdir(dir))) {
                if (!er_parse_hex(er_sv(entry->d_name), hash, ER_TREE_HASH) ||
                    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                ret->items = er_grow(ret->items, &ret->cap, ret->len + 1, sizeof *ret->items);
                ret->items[ret->len++] = (struct found){
                        .hex = er_strdup(entry->d_name),
                        .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
                };
        }
        if (dir)
                closedir(dir);
        if (ret->len > 1)
                qsort(ret->items, ret->len, sizeof *ret->items, newest_first);
}

void er_snapshots_list(int root, const char *project, size_t max, struct er_str *out)
{
        er_autofree char *dir = er_snapshots_dir(project);
        er_auto(found_list) list = {0};

        find_trees(root, dir, &list);
        for (size_t i = 0; i < list.len && max; i++) {
                struct er_tree_file tree = ER_TREE_FILE_INIT;
                unsigned char hash[ER_TREE_HASH];

                if (!er_parse_hex(er_sv(list.items[i].hex), hash, ER_TREE_HASH) ||
                    open_hex(root, dir, list.items[i].hex, &tree, NULL) < 0)
                        continue;
                er_tree_file_release(&tree);
                er_msg_bytes(out, ER_T_TREE, hash, sizeof hash);
                max--;
        }
}

/* ---- Garbage */

static void remove_counted(int at, const char *name, bool dry, uint64_t *freed)
{
        if (dry)
                *freed += er_du(at, name);
        else
                (void)er_rmtree(at, name, freed, NULL);
}

static void claim_packs(const struct er_tree_file *tree, struct er_map *claimed)
{
        for (uint32_t i = 0; i < tree->packs; i++) {
                const char *name = er_tree_file_pack(tree, i);

                if (name)
                        er_map_sets(claimed, name, claimed);
        }
}

static bool is_stale(int at, const char *name)
{
        struct stat st;

        return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               er_now_ms() - (int64_t)st.st_mtim.tv_sec * 1000 > STALE_PART_MS;
}

/* Removes what was left half-written in the directory of lists. */
static void collect_half_trees(int root, const char *project_dir, bool dry, struct er_snapshots_gc *gc)
{
        er_autofree char *path = er_fmt("%s/trees", project_dir);
        DIR *dir = open_dir(root, path);
        struct dirent *entry;

        while (dir && (entry = readdir(dir)))
                if (entry->d_name[0] != '.' && strlen(entry->d_name) != ER_TREE_HEX - 1 &&
                    is_stale(dirfd(dir), entry->d_name))
                        remove_counted(dirfd(dir), entry->d_name, dry, &gc->freed);
        if (dir)
                closedir(dir);
}

static void collect_packs(int root, const char *project_dir, const struct er_map *claimed, bool dry,
                          struct er_snapshots_gc *gc)
{
        er_autofree char *path = er_fmt("%s/packs", project_dir);
        DIR *dir = open_dir(root, path);
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                const char *name = entry->d_name;
                bool is_pack = er_ends(name, ".pack");

                if (name[0] == '.' || (is_pack ? er_map_gets(claimed, name) != NULL : !is_stale(dirfd(dir), name)))
                        continue;
                remove_counted(dirfd(dir), name, dry, &gc->freed);
                gc->packs += is_pack;
        }
        if (dir)
                closedir(dir);
}

static void collect_spares(int root, const char *project_dir, const char *newest, bool dry, struct er_snapshots_gc *gc)
{
        er_autofree char *path = er_fmt("%s/spare", project_dir);
        DIR *dir = open_dir(root, path);
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                const char *name = entry->d_name;

                if (name[0] == '.' || er_streq(name, "lock") || (newest && er_starts(name, newest)))
                        continue;
                if (strlen(name) >= ER_TREE_HEX - 1 || is_stale(dirfd(dir), name))
                        remove_counted(dirfd(dir), name, dry, &gc->freed);
        }
        if (dir)
                closedir(dir);
}

static void collect_project(int root, const char *dir, bool (*needed)(void *arg, const char *dir, const char *hex),
                            void *arg, bool dry, struct er_snapshots_gc *gc)
{
        er_autoclose int lock = open_lock(root, dir, LOCK_EX | LOCK_NB);
        er_auto(er_map) claimed = ER_MAP_INIT;
        er_auto(found_list) list = {0};
        const char *newest = NULL;

        if (lock < 0)
                return;
        find_trees(root, dir, &list);
        for (size_t i = 0; i < list.len; i++) {
                er_autofree char *path = er_fmt("%s/trees/%s", dir, list.items[i].hex);
                struct er_tree_file tree = ER_TREE_FILE_INIT;
                bool whole = open_hex(root, dir, list.items[i].hex, &tree, NULL) == 0;

                if (whole && (!newest || needed(arg, dir, list.items[i].hex))) {
                        if (!newest)
                                newest = list.items[i].hex;
                        claim_packs(&tree, &claimed);
                } else {
                        remove_counted(root, path, dry, &gc->freed);
                        gc->trees++;
                }
                er_tree_file_release(&tree);
        }
        collect_half_trees(root, dir, dry, gc);
        collect_packs(root, dir, &claimed, dry, gc);
        collect_spares(root, dir, newest, dry, gc);
}

int er_snapshots_collect(int root, bool (*needed)(void *arg, const char *dir, const char *hex), void *arg, bool dry,
                         struct er_snapshots_gc *gc, struct er_err *err)
{
        DIR *dir = open_dir(root, "snapshots");
        struct dirent *entry;

        if (!dir)
                return errno == ENOENT ? 0 : er_err_errno(err, errno, "read the snapshots");
        while ((entry = readdir(dir))) {
                er_autofree char *path = er_fmt("snapshots/%s", entry->d_name);

                if (entry->d_name[0] != '.')
                        collect_project(root, path, needed, arg, dry, gc);
        }
        closedir(dir);
        return 0;
}

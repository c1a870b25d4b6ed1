/* worktree.c - see worktree.h */
#include "agent/snapshot/worktree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/snapshot/tree_format.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"

#define DEPTH_MAX 256u
#define SPARE_MIN_FILES 300u
#define SPARE_MIN_BYTES ((uint64_t)8 << 20)
#define SPARE_MAX_BYTES ((uint64_t)512 << 20)

/* ---- Packs, opened when first needed */

struct pack {
        int fd;
        const unsigned char *map;
        size_t size;
};
struct packs {
        int root;
        const char *dir; /* (borrowed) the project's */
        const struct er_tree_file *tree;
        struct pack *items; /* (owned) tree->packs items */
        bool *damaged;      /* (borrowed) set when the snapshot is at fault; may be NULL */
};

static void packs_release(struct packs *packs)
{
        for (uint32_t i = 0; packs->items && i < packs->tree->packs; i++) {
                if (packs->items[i].map)
                        munmap((void *)(uintptr_t)packs->items[i].map, packs->items[i].size);
                if (packs->items[i].fd > 0)
                        close(packs->items[i].fd);
        }
        free(packs->items);
}

static int pack_get(struct packs *packs, struct er_pack_location where, uint64_t size, struct pack **ret,
                    struct er_err *err)
{
        const char *name = er_tree_file_pack(packs->tree, where.pack);
        er_autofree char *path = er_fmt("%s/packs/%s", packs->dir, name ? name : "");
        struct pack *pack = name ? &packs->items[where.pack] : NULL;
        struct stat st;

        if (pack && !pack->map) {
                er_autoclose int fd = openat(packs->root, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
                void *map;

                if (fd < 0 || fstat(fd, &st) < 0) {
                        if (errno == ENOENT && packs->damaged)
                                *packs->damaged = true;
                        return er_err_errno(err, errno, "open %s", path);
                }
                map = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
                if (map == MAP_FAILED)
                        return er_err_errno(err, errno, "read %s", path);
                *pack = (struct pack){.fd = er_take_fd(&fd), .map = map, .size = (size_t)st.st_size};
        }
        if (!pack || where.offset > pack->size || size > pack->size - where.offset) {
                if (packs->damaged)
                        *packs->damaged = true;
                return er_err_set(err, ER_STATE, "the snapshot is damaged: %s is too short", path);
        }
        *ret = pack;
        return 0;
}

/* ---- Directories: the open ones from the work directory down to the current one */

struct trail {
        int fds[DEPTH_MAX];     /* fds[0] is the work directory (borrowed) */
        size_t ends[DEPTH_MAX]; /* length of the path at each depth */
        size_t depth;
        struct er_str path;
};

static void trail_release(struct trail *trail)
{
        while (trail->depth)
                close(trail->fds[trail->depth--]);
        er_str_release(&trail->path);
}

/* How many components the open path has in common with dir: that many levels stay open. */
static void trail_leave(struct trail *trail, struct er_sv dir)
{
        while (trail->depth) {
                size_t end = trail->ends[trail->depth];

                if (end <= dir.len && memcmp(trail->path.buf, dir.ptr, end) == 0 &&
                    (end == dir.len || dir.ptr[end] == '/'))
                        return;
                close(trail->fds[trail->depth--]);
                er_str_cut(&trail->path, trail->ends[trail->depth]);
        }
}

/* Opens (and makes) the directory; *ret_fd is (borrowed) until the next call. */
static int trail_enter(struct trail *trail, struct er_sv dir, int *ret_fd, struct er_err *err)
{
        trail_leave(trail, dir);
        while (trail->path.len < dir.len) {
                size_t from = trail->path.len ? trail->path.len + 1 : 0, to = from;
                char name[256];
                int fd;

                while (to < dir.len && dir.ptr[to] != '/')
                        to++;
                if (to - from >= sizeof name || trail->depth + 1 >= DEPTH_MAX)
                        return er_err_set(err, ER_IO, "a directory name is too long or nested too deeply: %.*s",
                                          (int)dir.len, dir.ptr);
                memcpy(name, dir.ptr + from, to - from);
                name[to - from] = '\0';
                if (mkdirat(trail->fds[trail->depth], name, 0777) < 0 && errno != EEXIST)
                        return er_err_errno(err, errno, "make directory %.*s", (int)to, dir.ptr);
                fd = openat(trail->fds[trail->depth], name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (fd < 0)
                        return er_err_errno(err, errno, "open directory %.*s", (int)to, dir.ptr);
                if (from)
                        er_str_addc(&trail->path, '/');
                er_str_addn(&trail->path, dir.ptr + from, to - from);
                trail->fds[++trail->depth] = fd;
                trail->ends[trail->depth] = trail->path.len;
        }
        *ret_fd = trail->fds[trail->depth];
        return 0;
}

/* ---- One entry */

static int copy_data(int fd, const struct pack *pack, uint64_t offset, uint64_t size)
{
        uint64_t done = 0;

        if (size >= ER_PACK_ALIGN_FROM) {
                off_t from = (off_t)offset;

                while (done < size) {
                        ssize_t n = copy_file_range(pack->fd, &from, fd, NULL, (size_t)(size - done), 0);

                        if (n <= 0)
                                break; /* another file system, an old kernel: the plain copy below reports real errors
                                        */
                        done += (uint64_t)n;
                }
        }
        return er_write_full(fd, pack->map + offset + done, (size_t)(size - done));
}

static int write_file(struct packs *packs, int dir, const char *name, const struct er_tree_entry *entry,
                      struct er_pack_location where, struct er_err *err)
{
        er_autoclose int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                                     (mode_t)(entry->mode & 0777));
        struct pack *pack = NULL;

        if (fd < 0)
                return er_err_errno(err, errno, "make %.*s", (int)entry->path.len, entry->path.ptr);
        if (entry->size == 0)
                return 0;
        if (pack_get(packs, where, entry->size, &pack, err) < 0)
                return -1;
        if (copy_data(fd, pack, where.offset, entry->size) < 0)
                return er_err_errno(err, errno, "write %.*s", (int)entry->path.len, entry->path.ptr);
        return 0;
}

static int write_entry(struct packs *packs, struct trail *trail, const struct er_tree_entry *entry,
                       struct er_pack_location where, struct er_err *err)
{
        struct er_sv dir = entry->path;
        char name[256];
        size_t slash = dir.len, from;
        int fd;

        if (entry->type == 'd')
                return trail_enter(trail, dir, &fd, err);
        while (slash && dir.ptr[slash - 1] != '/')
                slash--;
        from = slash;
        dir.len = slash ? slash - 1 : 0;
        if (entry->path.len - from >= sizeof name)
                return er_err_set(err, ER_IO, "a file name is too long: %.*s", (int)entry->path.len, entry->path.ptr);
        memcpy(name, entry->path.ptr + from, entry->path.len - from);
        name[entry->path.len - from] = '\0';
        if (trail_enter(trail, dir, &fd, err) < 0)
                return -1;
        if (entry->type == 'l') {
                er_autofree char *target = er_sv_dup(entry->target);

                return symlinkat(target, fd, name) < 0
                               ? er_err_errno(err, errno, "link %.*s", (int)entry->path.len, entry->path.ptr)
                               : 0;
        }
        return write_file(packs, fd, name, entry, where, err);
}

static void packs_init(struct packs *packs, int root, const char *dir, const struct er_tree_file *tree)
{
        *packs = (struct packs){
                .root = root, .dir = dir, .tree = tree, .items = er_calloc(tree->packs + 1, sizeof(struct pack))};
}

/* go_on is called every so many entries and bytes. */
struct asker {
        bool (*go_on)(void *arg);
        void *arg;
        bool damaged; /* its answer */
        uint64_t entries, bytes;
};
#define ASK_ENTRIES 256u
#define ASK_BYTES ((uint64_t)16 << 20)

static int ask(struct asker *asker, const struct er_tree_entry *entry, struct er_err *err)
{
        asker->bytes += entry->type == 'f' ? entry->size : 0;
        if (!asker->go_on || (++asker->entries < ASK_ENTRIES && asker->bytes < ASK_BYTES))
                return 0;
        asker->entries = asker->bytes = 0;
        return asker->go_on(asker->arg) ? 0
                                        : er_err_set(err, ER_CANCELLED, "cancelled while its files were being written");
}

static int write_all(int root, const char *dir, const struct er_tree_file *tree, int work, struct asker *asker,
                     struct er_err *err)
{
        er_auto(trail) trail = {.fds = {work}, .path = ER_STR_INIT};
        er_auto(packs) packs = {0};
        struct er_sv rest = tree->body;
        struct er_tree_entry entry;
        struct er_pack_location where;
        int more;

        packs_init(&packs, root, dir, tree);
        packs.damaged = &asker->damaged;
        while ((more = er_tree_file_next(&rest, &entry, &where, err)) == 1)
                if (write_entry(&packs, &trail, &entry, where, err) < 0 || ask(asker, &entry, err) < 0)
                        return -1;
        if (more < 0)
                asker->damaged = true;
        return more;
}

/* Writes the whole tree into at/name, which must not exist. */
static int materialise(int root, const char *dir, const struct er_tree_file *tree, int at, const char *name,
                       struct asker *asker, struct er_err *err)
{
        er_autoclose int work = -1;

        if (mkdirat(at, name, 0777) < 0)
                return er_err_errno(err, errno, "make directory %s", name);
        work = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (work < 0)
                return er_err_errno(err, errno, "open %s", name);
        if (write_all(root, dir, tree, work, asker, err) < 0) {
                (void)er_rmtree(at, name, NULL, NULL);
                return -1;
        }
        return 0;
}

/* ---- The difference between two trees, applied to a directory that holds the first */

struct change {
        struct er_sv old, new;         /* packed entries; ptr NULL: none */
        struct er_pack_location where; /* of the new one */
};
struct difference {
        struct change *items; /* (owned) in order of path */
        size_t len, cap;
};

static void difference_release(struct difference *difference)
{
        free(difference->items);
}

struct cursor {
        struct er_sv rest;
        struct er_tree_packed packed;
        struct er_pack_location where;
        int more;
};

static void cursor_next(struct cursor *c)
{
        c->more = er_tree_file_skip(&c->rest, &c->packed, &c->where, NULL);
}

/* False when more than `limit` entries differ, or a list is damaged. Both lists are long and mostly the same. */
static bool find_difference(const struct er_tree_file *from, const struct er_tree_file *to, size_t limit,
                            struct difference *ret)
{
        struct cursor a = {.rest = from->body}, b = {.rest = to->body};

        cursor_next(&a);
        cursor_next(&b);
        while (a.more == 1 || b.more == 1) {
                struct change change = {0};
                int order = 0;

                if (a.more != 1 || b.more != 1 || !er_sv_eq(a.packed.all, b.packed.all)) {
                        order = a.more != 1 ? 1 : b.more != 1 ? -1 : er_tree_path_compare(a.packed.path, b.packed.path);
                        if (order <= 0)
                                change.old = a.packed.all;
                        if (order >= 0) {
                                change.new = b.packed.all;
                                change.where = b.where;
                        }
                        if (ret->len == limit)
                                return false;
                        ret->items = er_grow(ret->items, &ret->cap, ret->len + 1, sizeof *ret->items);
                        ret->items[ret->len++] = change;
                }
                if (order <= 0)
                        cursor_next(&a);
                if (order >= 0)
                        cursor_next(&b);
        }
        return a.more == 0 && b.more == 0;
}

/* Removes what is gone or changed, and the directories that this leaves empty. */
static int take_away(int work, struct er_sv old, struct er_err *err)
{
        er_autofree char *path = NULL;
        struct er_tree_entry entry;

        if (er_tree_unpack(&old, &entry, err) != 1)
                return -1;
        path = er_sv_dup(entry.path);
        if (unlinkat(work, path, entry.type == 'd' ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
                return er_err_errno(err, errno, "remove %s", path);
        for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
                *slash = '\0';
                if (unlinkat(work, path, AT_REMOVEDIR) < 0)
                        break;
        }
        return 0;
}

static int apply(int root, const char *dir, const struct difference *difference, const struct er_tree_file *to,
                 int work, struct er_err *err)
{
        er_auto(trail) trail = {.fds = {work}, .path = ER_STR_INIT};
        er_auto(packs) packs = {0};

        packs_init(&packs, root, dir, to);
        for (size_t i = 0; i < difference->len; i++)
                if (difference->items[i].old.ptr && take_away(work, difference->items[i].old, err) < 0)
                        return -1;
        for (size_t i = 0; i < difference->len; i++) {
                struct er_sv new = difference->items[i].new;
                struct er_tree_entry entry;

                if (!new.ptr)
                        continue;
                if (er_tree_unpack(&new, &entry, err) != 1 ||
                    write_entry(&packs, &trail, &entry, difference->items[i].where, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- The spare */

/* A spare is not synced, so it is good for this boot only: "<hex of the tree>.<start of the boot id>". */
#define BOOT_PART 8u
#define SPARE_NAME (ER_TREE_HEX + BOOT_PART + 1)

static void spare_name(const unsigned char hash[ER_TREE_HASH], char ret[SPARE_NAME])
{
        char boot[ER_BOOT_ID];

        er_tree_hex(hash, ret);
        er_boot_id(boot);
        ret[ER_TREE_HEX - 1] = '.';
        memcpy(ret + ER_TREE_HEX, boot, BOOT_PART);
        ret[SPARE_NAME - 1] = '\0';
}

static bool is_spare_of_this_boot(const char *name)
{
        char boot[ER_BOOT_ID];

        er_boot_id(boot);
        return strlen(name) == SPARE_NAME - 1 && strspn(name, "0123456789abcdef") == ER_TREE_HEX - 1 &&
               memcmp(name + ER_TREE_HEX, boot, BOOT_PART) == 0;
}

/* The name of a spare of the project (owned), or NULL. */
static char *find_spare(int root, const char *dir)
{
        er_autofree char *path = er_fmt("%s/spare", dir);
        int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        DIR *list = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;
        char *name = NULL;

        while (list && !name && (entry = readdir(list)))
                if (is_spare_of_this_boot(entry->d_name))
                        name = er_strdup(entry->d_name);
        if (list)
                closedir(list);
        else
                er_close(&fd);
        return name;
}

/* Takes the spare of a different tree, if little differs. False: nothing was taken. */
static bool take_near_spare(int root, const char *dir, const char *project, const struct er_tree_file *tree, int at,
                            const char *name)
{
        er_autofree char *spare = find_spare(root, dir);
        er_autofree char *path = er_fmt("%s/spare/%s", dir, spare ? spare : "");
        struct er_tree_file old = ER_TREE_FILE_INIT;
        er_auto(difference) difference = {0};
        unsigned char hash[ER_TREE_HASH];
        er_autoclose int work = -1;
        bool taken = false;

        if (!spare || !er_parse_hex(er_svn(spare, ER_TREE_HEX - 1), hash, ER_TREE_HASH))
                return false;
        if (er_tree_file_open(root, project, hash, &old, NULL) < 0)
                return false;
        if (find_difference(&old, tree, tree->count / 4 + 16, &difference) && renameat(root, path, at, name) == 0) {
                work = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                taken = work >= 0 && apply(root, dir, &difference, tree, work, NULL) == 0;
                if (!taken)
                        (void)er_rmtree(at, name, NULL, NULL);
        }
        er_tree_file_release(&old);
        return taken;
}

int er_worktree_make(int root, const char *project, const unsigned char hash[ER_TREE_HASH], int at, const char *name,
                     bool (*go_on)(void *arg), void *arg, struct er_err *err)
{
        struct asker asker = {.go_on = go_on, .arg = arg};
        er_autofree char *dir = er_snapshots_dir(project);
        struct er_tree_file tree = ER_TREE_FILE_INIT;
        char spare[SPARE_NAME];
        er_autofree char *path = NULL;
        int result = 0;

        spare_name(hash, spare);
        path = er_fmt("%s/spare/%s", dir, spare);
        if (renameat(root, path, at, name) == 0)
                return 0;
        if (er_tree_file_open(root, project, hash, &tree, err) < 0)
                return -1;
        if (!take_near_spare(root, dir, project, &tree, at, name))
                result = materialise(root, dir, &tree, at, name, &asker, err);
        if (result < 0 && asker.damaged)
                er_tree_file_condemn(root, project, hash); /* the next client sends it again */
        er_tree_file_release(&tree);
        return result;
}

bool er_spare_is_wanted(int root, const char *project, const unsigned char hash[ER_TREE_HASH])
{
        struct er_tree_file tree = ER_TREE_FILE_INIT;
        struct statvfs fs;
        bool wanted;

        if (er_tree_file_open(root, project, hash, &tree, NULL) < 0)
                return false;
        wanted = (tree.count >= SPARE_MIN_FILES || tree.bytes >= SPARE_MIN_BYTES) && tree.bytes <= SPARE_MAX_BYTES &&
                 fstatvfs(root, &fs) == 0 &&
                 (uint64_t)fs.f_bavail * fs.f_frsize / 8 > tree.bytes + (uint64_t)tree.count * 4096;
        er_tree_file_release(&tree);
        return wanted;
}

static void become_idle(void)
{
        struct sched_param param = {0};

        (void)setpriority(PRIO_PROCESS, 0, 19);
        (void)sched_setscheduler(0, SCHED_IDLE, &param);
        (void)syscall(SYS_ioprio_set, 1 /* this process */, 0, 3 << 13 /* IOPRIO_CLASS_IDLE, linux/ioprio.h */);
}

/* Removes all spares but that of `keep`, including half-made ones: we hold the lock, so nobody is working on them. */
static void drop_other_spares(int spares, const char *keep)
{
        int fd = openat(spares, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *list = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        while (list && (entry = readdir(list)))
                if (entry->d_name[0] != '.' && !er_streq(entry->d_name, "lock") && !er_streq(entry->d_name, keep))
                        (void)er_rmtree(spares, entry->d_name, NULL, NULL);
        if (list)
                closedir(list);
        else
                er_close(&fd);
}

void er_spare_make(int root, const char *project, const unsigned char hash[ER_TREE_HASH])
{
        er_autofree char *dir = er_snapshots_dir(project);
        er_autofree char *path = er_fmt("%s/spare", dir);
        er_autoclose int hold = er_snapshots_hold(root, project, NULL);
        er_autoclose int spares = -1;
        er_autoclose int lock = -1;
        struct er_tree_file tree = ER_TREE_FILE_INIT;
        struct asker asker = {0};
        char name[SPARE_NAME];

        become_idle();
        spare_name(hash, name);
        if (hold < 0 || er_mkdir_p(root, path, 0700, NULL) < 0)
                return;
        spares = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        lock = spares < 0 ? -1 : openat(spares, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0 || er_file_exists(spares, name) ||
            er_tree_file_open(root, project, hash, &tree, NULL) < 0)
                return;
        drop_other_spares(spares, name);
        if (materialise(root, dir, &tree, spares, "half", &asker, NULL) == 0)
                (void)renameat(spares, "half", spares, name);
        er_tree_file_release(&tree);
}

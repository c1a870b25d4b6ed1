/* snapshot.c - see snapshot.h. Taking one: listing (listing.c), facts (scan.c) against what was known (statcache.c),
 * hash. */
#include "host/snapshot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/path.h"
#include "host/snapshot/snapshot_impl.h"
#include "host/snapshot/steps.h"

_Static_assert(ER_TREE_HASH == ER_HASH_LEN, "a tree's hash is a SHA-256");

#define PACK_FLUSH ((size_t)64 * 1024)
#define PACKED_KEPT_MAX ((size_t)64 << 20) /* a longer list is packed again rather than kept in memory */

static int64_t wall_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- Names: from the cache while everything it was made from is unchanged, else from a new listing. */

static bool cache_holds(const struct er_statcache *cache, uint64_t setting, int root_fd)
{
        struct er_steps steps;
        bool holds = cache->watched && cache->setting == setting;

        er_steps_init(&steps, root_fd);
        for (size_t i = 0; i < cache->watch_count && holds; i++) {
                const struct er_listing_watch watch = {
                        .path = cache->names + cache->watches[i].path,
                        .stat = cache->watches[i].stat,
                };

                holds = er_listing_holds(&watch, &steps);
                if (!holds)
                        er_debug("snapshot", "%s has changed: listing anew", watch.path);
        }
        er_steps_release(&steps);
        return holds;
}

/* What the cache knows about a file, unless a change since then could go unnoticed. */
static void set_known(struct er_scan_file *file, const struct er_statcache *cache, const struct er_stat_record *record)
{
        if (er_file_stat_is_racy(&record->stat, cache->taken_ns))
                return;
        file->known = &record->stat;
        memcpy(file->hash, record->hash, sizeof file->hash);
}

static char type_of(uint32_t mode)
{
        return S_ISDIR(mode) ? 'd' : 'f';
}

static void files_from_cache(struct er_snapshot *snapshot)
{
        const struct er_statcache *cache = &snapshot->cache;

        snapshot->len = cache->file_count;
        snapshot->files = er_calloc(snapshot->len, sizeof *snapshot->files);
        for (size_t i = 0; i < snapshot->len; i++) {
                const struct er_stat_record *record = &cache->files[i];
                struct er_scan_file *file = &snapshot->files[i];

                file->path = cache->names + record->path;
                file->path_len = record->path_len;
                file->type = type_of(record->stat.mode);
                set_known(file, cache, record);
        }
}

static int compare_paths(const char *a, size_t a_len, const char *b, size_t b_len)
{
        int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

        return order ? order : (a_len > b_len) - (a_len < b_len);
}

static void files_from_listing(struct er_snapshot *snapshot)
{
        const struct er_statcache *cache = &snapshot->cache;
        const struct er_listing *listing = &snapshot->listing;
        size_t at = 0;

        snapshot->len = listing->len;
        snapshot->files = er_calloc(snapshot->len, sizeof *snapshot->files);
        for (size_t i = 0; i < snapshot->len; i++) {
                const struct er_listing_item *item = &listing->items[i];
                struct er_scan_file *file = &snapshot->files[i];
                int order = 1;

                file->path = item->path;
                file->path_len = item->len;
                file->type = item->type;
                for (; at < cache->file_count; at++) {
                        order = compare_paths(cache->names + cache->files[at].path, cache->files[at].path_len,
                                              item->path, item->len);
                        if (order >= 0)
                                break;
                }
                if (at < cache->file_count && order == 0)
                        set_known(file, cache, &cache->files[at]);
        }
}

/* Reading much takes long, so the question whether it is meant comes first. */
static int ask_first(struct er_snapshot *snapshot, const struct er_snapshot_opts *opts, int root_fd, struct er_err *err)
{
        int rc;

        for (size_t i = 0; i < snapshot->len; i++) {
                struct er_scan_file *file = &snapshot->files[i];
                struct stat st;

                if (file->type == 'd')
                        continue;
                snapshot->file_count++;
                if (file->known)
                        file->stat.size = file->known->size;
                else if (fstatat(root_fd, file->path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
                        file->stat.size = (uint64_t)st.st_size;
                if (file->type == 'f')
                        snapshot->bytes += file->stat.size;
        }
        rc = opts->ask(opts->arg, snapshot, err);
        for (size_t i = 0; i < snapshot->len; i++)
                snapshot->files[i].stat.size = 0;
        snapshot->file_count = 0;
        snapshot->bytes = 0;
        return rc;
}

/* ---- Facts */

/* Drops what does not exist. True if every file is as the cache had it. */
static bool tidy(struct er_snapshot *snapshot)
{
        size_t kept = 0;
        bool same = true;

        for (size_t i = 0; i < snapshot->len; i++) {
                struct er_scan_file *file = &snapshot->files[i];

                if (!file->type) {
                        same = false;
                        continue;
                }
                same = same && file->same;
                if (file->type != 'd')
                        snapshot->file_count++;
                if (file->type == 'f')
                        snapshot->bytes += file->stat.size;
                if (kept != i)
                        snapshot->files[kept] = *file;
                kept++;
        }
        snapshot->len = kept;
        return same;
}

size_t er_snapshot_packed_size(const struct er_snapshot *snapshot)
{
        size_t size = 0;

        for (size_t i = 0; i < snapshot->len; i++)
                size += ER_TREE_PACKED_MIN + snapshot->files[i].path_len + snapshot->files[i].target_len;
        return size;
}

static int hash_tree(struct er_snapshot *snapshot, struct er_err *err)
{
        er_auto(er_hasher) hasher = {NULL};
        size_t size = er_snapshot_packed_size(snapshot);
        bool keep = size <= PACKED_KEPT_MAX;
        er_auto(er_str) packed = ER_STR_INIT;
        struct er_tree_entry entry;
        struct er_hash hash;

        if (er_hasher_init(&hasher, err) < 0)
                return -1;
        if (keep)
                er_str_reserve(&packed, size);
        er_hasher_begin(&hasher);
        for (size_t i = 0; er_snapshot_entry(snapshot, i, &entry); i++) {
                er_tree_pack(&packed, &entry);
                if (!keep && packed.len >= PACK_FLUSH) {
                        er_hasher_add(&hasher, packed.buf, packed.len);
                        er_str_reset(&packed);
                }
        }
        er_hasher_add(&hasher, packed.buf, packed.len);
        er_hasher_end(&hasher, &hash);
        memcpy(snapshot->hash, hash.bytes, sizeof snapshot->hash);
        if (keep) {
                snapshot->packed = packed;
                packed = (struct er_str)ER_STR_INIT;
        }
        return 0;
}

static void save_cache(const struct er_snapshot *snapshot, const char *dir, uint64_t setting, bool held)
{
        const struct er_statcache *cache = &snapshot->cache;
        const struct er_listing_watch *watches = snapshot->listing.watches;
        er_autofree struct er_listing_watch *old = NULL;
        size_t count = snapshot->listing.watch_len;
        struct er_statcache facts = {
                .taken_ns = snapshot->taken_ns,
                .setting = setting,
                .watched = held || snapshot->listing.watched,
        };
        er_auto(er_err) err = ER_ERR_INIT;

        if (held) {
                count = cache->watch_count;
                old = er_calloc(count, sizeof *old);
                for (size_t i = 0; i < count; i++)
                        old[i] = (struct er_listing_watch){cache->names + cache->watches[i].path,
                                                           cache->watches[i].stat};
                watches = old;
        }
        for (size_t i = 0; i < count && facts.watched; i++)
                facts.watched = !er_file_stat_is_racy(&watches[i].stat, snapshot->taken_ns);
        memcpy(facts.tree, snapshot->hash, sizeof facts.tree);
        er_debug("snapshot", "the tree is hashed");
        if (er_statcache_save(dir, &facts, snapshot->files, snapshot->len, watches, count, &err) < 0)
                er_debug("snapshot", "no stat cache for the next time: %s", err.message);
}

int er_snapshot_take(const struct er_snapshot_opts *opts, struct er_snapshot **ret, struct er_err *err)
{
        er_autoptr(er_snapshot) snapshot = er_new(struct er_snapshot);
        struct er_scan scan = {.cancel = opts->cancel, .progress = opts->progress, .arg = opts->arg};
        er_autoclose int root_fd = -1;
        char dir[PATH_MAX];
        uint64_t setting;
        bool held, same;
        int rc;

        if (!realpath(opts->dir, dir))
                return er_err_errno(err, errno, "open the project %s", opts->dir);
        root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return er_err_errno(err, errno, "open the project %s", dir);
        snapshot->packed = (struct er_str)ER_STR_INIT;
        snapshot->taken_ns = wall_ns(); /* before anything is looked at */
        setting = er_listing_setting(dir);
        er_debug("snapshot", "%s: looking at the last snapshot", dir);
        held = er_statcache_load(dir, &snapshot->cache) && cache_holds(&snapshot->cache, setting, root_fd);
        if (held) {
                files_from_cache(snapshot);
        } else {
                if (er_listing_make(dir, root_fd, opts->cancel, &snapshot->listing, err) < 0)
                        return -1;
                files_from_listing(snapshot);
        }
        if (opts->ask && ask_first(snapshot, opts, root_fd, err) < 0)
                return -1;
        scan.dir = dir;
        scan.root_fd = root_fd;
        scan.taken_ns = snapshot->taken_ns;
        scan.sizes_only = opts->sizes_only;
        er_debug("snapshot", "%zu names", snapshot->len);
        rc = er_scan_run(&scan, snapshot->files, snapshot->len, err);
        er_debug("snapshot", "%llu files read", (unsigned long long)scan.hashed);
        snapshot->targets = scan.names;
        if (rc < 0)
                return -1;
        same = tidy(snapshot) && held;
        if (same)
                memcpy(snapshot->hash, snapshot->cache.tree, sizeof snapshot->hash);
        else if (opts->sizes_only)
                memset(snapshot->hash, 0, sizeof snapshot->hash);
        else if (hash_tree(snapshot, err) < 0)
                return -1;
        else
                save_cache(snapshot, dir, setting, held);
        er_debug("snapshot", "%s: %llu files, %llu bytes", dir, (unsigned long long)snapshot->file_count,
                 (unsigned long long)snapshot->bytes);
        *ret = er_take(snapshot);
        return 0;
}

void er_snapshot_free(struct er_snapshot *snapshot)
{
        if (!snapshot)
                return;
        free(snapshot->files);
        er_names_release(&snapshot->targets);
        er_listing_release(&snapshot->listing);
        er_statcache_release(&snapshot->cache);
        er_str_release(&snapshot->packed);
        free(snapshot);
}

/* ---- Looking at one */

const unsigned char *er_snapshot_hash(const struct er_snapshot *snapshot)
{
        return snapshot->hash;
}

uint64_t er_snapshot_files(const struct er_snapshot *snapshot)
{
        return snapshot->file_count;
}

uint64_t er_snapshot_bytes(const struct er_snapshot *snapshot)
{
        return snapshot->bytes;
}

bool er_snapshot_entry(const struct er_snapshot *snapshot, size_t index, struct er_tree_entry *ret)
{
        const struct er_scan_file *file;

        if (index >= snapshot->len)
                return false;
        file = &snapshot->files[index];
        *ret = (struct er_tree_entry){
                .type = file->type,
                .mode = file->type == 'd' || (file->type == 'f' && (file->stat.mode & S_IXUSR)) ? 0755 : 0644,
                .size = file->type == 'f' ? file->stat.size : file->target_len,
                .path = er_svn(file->path, file->path_len),
                .target = er_svn(file->target, file->target_len),
        };
        memcpy(ret->hash, file->hash, sizeof ret->hash);
        return true;
}

/* What lies below one directory, and how much of it below each directory in it. */
struct sum {
        struct er_sv path; /* without a slash at the end */
        uint64_t files, bytes;
};

static void insert_sum(struct sum *best, size_t *len, size_t max, const struct sum *sum)
{
        size_t at = *len;

        if (sum->files == 0)
                return;
        while (at > 0 && best[at - 1].bytes < sum->bytes)
                at--;
        if (at == max)
                return;
        if (*len < max)
                ++*len;
        memmove(&best[at + 1], &best[at], (*len - at - 1) * sizeof *best);
        best[at] = *sum;
}

static void add_to_sum(struct sum *sum, const struct er_scan_file *file)
{
        sum->files++;
        sum->bytes += file->type == 'f' ? file->stat.size : 0;
}

static struct er_sv first_parts(const struct er_scan_file *file, int parts)
{
        for (uint32_t i = 0; i < file->path_len; i++)
                if (file->path[i] == '/' && --parts == 0)
                        return er_svn(file->path, i);
        return er_svn(NULL, 0);
}

size_t er_snapshot_largest(const struct er_snapshot *snapshot, struct er_dir_size *ret, size_t max)
{
        er_autofree struct sum *best = er_calloc(max + 1, sizeof *best);
        struct sum here = {.path = ER_SV(".")};
        size_t len = 0;

        /* In order of path, everything below "a/" is contiguous. */
        for (size_t i = 0; i < snapshot->len && max > 0;) {
                struct sum outer = {.path = first_parts(&snapshot->files[i], 1)}, inner = {0}, largest = {0};

                if (!outer.path.ptr) {
                        add_to_sum(&here, &snapshot->files[i++]);
                        continue;
                }
                for (; i < snapshot->len && er_sv_eq(first_parts(&snapshot->files[i], 1), outer.path); i++) {
                        struct er_sv path = first_parts(&snapshot->files[i], 2);

                        add_to_sum(&outer, &snapshot->files[i]);
                        if (!er_sv_eq(path, inner.path))
                                inner = (struct sum){.path = path};
                        add_to_sum(&inner, &snapshot->files[i]);
                        if (path.ptr && inner.bytes >= largest.bytes)
                                largest = inner;
                }
                /* The inner one says more if it is nearly all there is. */
                insert_sum(best, &len, max, largest.bytes > outer.bytes - outer.bytes / 5 ? &largest : &outer);
        }
        if (max > 0)
                insert_sum(best, &len, max, &here);
        for (size_t i = 0; i < len; i++)
                ret[i] = (struct er_dir_size){er_sv_dup(best[i].path), best[i].files, best[i].bytes};
        return len;
}

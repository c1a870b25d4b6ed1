/* test_snapshot.c - taking snapshots: what is in them, and what is known from the last time. */
#include "host/snapshot/snapshot_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/hash.h"
#include "host/snapshot/statcache.h"

static struct er_snapshot *take_err(const struct world *w, struct er_err *err)
{
        const struct er_snapshot_opts opts = {.dir = w->dir, .project = "p"};
        struct er_snapshot *snapshot = NULL;

        if (er_snapshot_take(&opts, &snapshot, err) < 0)
                assert_null(snapshot);
        return snapshot;
}

static struct er_snapshot *take(const struct world *w)
{
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_snapshot *snapshot = take_err(w, &err);

        if (!snapshot)
                fail_msg("%s", err.message);
        return snapshot;
}

/* "f 644 3 path\nl path -> target\n..." */
static void assert_entries(const struct er_snapshot *snapshot, const char *expected)
{
        er_auto(er_str) out = ER_STR_INIT;
        struct er_tree_entry e;

        for (size_t i = 0; er_snapshot_entry(snapshot, i, &e); i++) {
                er_str_addf(&out, "%c %o %llu ", e.type, (unsigned)e.mode, (unsigned long long)e.size);
                er_str_addn(&out, e.path.ptr, e.path.len);
                if (e.type == 'l') {
                        er_str_add(&out, " -> ");
                        er_str_addn(&out, e.target.ptr, e.target.len);
                }
                er_str_addc(&out, '\n');
        }
        assert_string_equal(out.buf, expected);
}

/* The hash that these entries must have, by the book. */
static void assert_hash(const struct er_snapshot *snapshot)
{
        er_auto(er_hasher) hasher = {NULL};
        er_auto(er_str) packed = ER_STR_INIT;
        struct er_tree_entry e, back;
        struct er_sv rest;
        struct er_hash hash;
        size_t count = 0;

        for (size_t i = 0; er_snapshot_entry(snapshot, i, &e); i++, count++)
                er_tree_pack(&packed, &e);
        assert_int_equal(er_hasher_init(&hasher, NULL), 0);
        er_hasher_begin(&hasher);
        er_hasher_add(&hasher, packed.buf, packed.len);
        er_hasher_end(&hasher, &hash);
        assert_memory_equal(hash.bytes, er_snapshot_hash(snapshot), ER_TREE_HASH);
        rest = er_svn(packed.buf, packed.len);
        while (er_tree_unpack(&rest, &back, NULL) == 1)
                count--;
        assert_int_equal(count, 0);
        assert_int_equal(rest.len, 0);
}

static bool same(const struct er_snapshot *a, const struct er_snapshot *b)
{
        return memcmp(er_snapshot_hash(a), er_snapshot_hash(b), ER_TREE_HASH) == 0;
}

static void test_kinds(void **state)
{
        const unsigned char abc[] = {0xba, 0x78, 0x16, 0xbf}, nothing[] = {0xe3, 0xb0, 0xc4, 0x42};
        struct world w;
        struct er_tree_entry e;
        er_autoptr(er_snapshot) s = NULL;

        (void)state;
        world_init(&w);
        put(&w, "a.py", "abc");
        put(&w, "run", "#!/bin/sh\n");
        put(&w, "none", "");
        sh(&w, "chmod 700 run; ln -s ../outside link; mkdir empty; mkfifo pipe");
        s = take(&w);
        assert_entries(s, "f 644 3 a.py\nd 755 0 empty\nl 644 10 link -> ../outside\nf 644 0 none\nf 755 10 run\n");
        assert_int_equal(er_snapshot_files(s), 4);
        assert_int_equal(er_snapshot_bytes(s), 13);
        assert_hash(s);
        assert_true(er_snapshot_entry(s, 0, &e));
        assert_memory_equal(e.hash, abc, sizeof abc);
        assert_true(er_snapshot_entry(s, 3, &e));
        assert_memory_equal(e.hash, nothing, sizeof nothing);
        world_release(&w);
}

static void test_empty_and_missing(void **state)
{
        struct world w;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        world_init(&w);
        for (int i = 0; i < 3; i++) {
                er_autoptr(er_snapshot) s = take(&w);

                assert_entries(s, "");
                assert_hash(s);
                sit_still();
        }
        sh(&w, "cd ..; rmdir project");
        assert_null(take_err(&w, &err));
        unit_assert_err(&err, ER_NOT_FOUND, w.dir);
        world_release(&w);
}

/* Whatever is changed, and however soon, the next snapshot sees it. */
static void changes(bool git)
{
        static const char *const lines[] = {
                "echo 2 >a",
                "printf 3 >a; printf 4 >a",
                "chmod +x a",
                "echo new >d/new",
                "rm d/new",
                "mkdir d/empty",
                "touch d/empty/x",
                "rm d/empty/x",
                "rmdir d/empty",
                "mv d/b d/c",
                "ln -sf x d/link",
                "ln -sf y d/link",
                "rm d/link; echo y >d/link",
                "cp -p a a2",
                "echo 9 >a2; touch -r a a2",
                "mv a2 a",
                "echo 8 >.hidden",
                "echo a2 >.errandignore",
                "echo d >.errandignore",
                "rm .errandignore",
        };
        struct world w;
        struct er_snapshot *before;

        world_init(&w);
        put(&w, "a", "1");
        put(&w, "d/b", "1");
        if (git)
                sh(&w, "git init -q; git add a; git commit -qm x");
        before = take(&w);
        for (int still = 0; still < 2; still++) {
                /* What the first round left is put back in a way that the second can change again. */
                for (size_t i = 0; i < ER_LEN(lines); i++) {
                        struct er_snapshot *after;

                        if (still) {
                                sit_still();
                                er_snapshot_free(take(&w));
                        }
                        sh(&w, lines[i]);
                        after = take(&w);
                        if (same(before, after))
                                fail_msg("not seen: %s", lines[i]);
                        assert_hash(after);
                        er_snapshot_free(before);
                        before = after;
                }
                sh(&w, "mv d/c d/b; rm d/link .hidden; echo round >a; chmod -x a");
                er_snapshot_free(before);
                before = take(&w);
        }
        er_snapshot_free(before);
        world_release(&w);
}

static void test_changes_plain(void **state)
{
        (void)state;
        changes(false);
}

static void test_changes_git(void **state)
{
        (void)state;
        changes(true);
}

/* What git takes its decisions from is watched, wherever it lies. */
static void test_git_configuration(void **state)
{
        static const char *const lines[] = {
                "echo x.log >.gitignore",
                "rm .gitignore",
                "echo x.log >.git/info/exclude",
                ": >.git/info/exclude",
                "git config --global core.excludesFile '~/mine'; echo x.log >$HOME/mine",
                "echo >$HOME/mine",
                ("mkdir -p $HOME/.config/git; git config --global --unset core.excludesFile; echo x.log "
                 ">$HOME/.config/git/ignore"),
                "git add -f x.log",
                "git rm -q --cached x.log",
                "rm $HOME/.config/git/ignore",
                "echo sub >../.gitignore; rm -rf .git; (cd ..; git init -q); echo x.log >>../.gitignore",
                "rm -rf ../.git ../.gitignore; touch other",
        };
        struct world w;
        struct er_snapshot *before;

        (void)state;
        world_init(&w);
        put(&w, "a", "1");
        put(&w, "x.log", "1");
        sh(&w, "git init -q; mkdir -p .git/info; git add a; git commit -qm x");
        before = take(&w);
        for (size_t i = 0; i < ER_LEN(lines); i++) {
                struct er_snapshot *after;

                sit_still();
                er_snapshot_free(take(&w));
                sh(&w, lines[i]);
                after = take(&w);
                if (same(before, after))
                        fail_msg("not seen: %s", lines[i]);
                er_snapshot_free(before);
                before = after;
        }
        er_snapshot_free(before);
        world_release(&w);
}

/* Puts another hash for one file (and for the tree) into the cache. If it comes out again, the file was not read. */
static bool is_believed(const struct world *w)
{
        struct er_statcache cache = ER_STATCACHE_INIT;
        er_autofree struct er_scan_file *files = NULL;
        er_autofree struct er_listing_watch *watches = NULL;
        struct er_tree_entry e;
        bool believed;
        er_autoptr(er_snapshot) s = NULL;

        assert_true(er_statcache_load(w->dir, &cache));
        files = er_calloc(cache.file_count, sizeof *files);
        watches = er_calloc(cache.watch_count, sizeof *watches);
        for (size_t i = 0; i < cache.file_count; i++) {
                files[i].path = cache.names + cache.files[i].path;
                files[i].path_len = cache.files[i].path_len;
                files[i].stat = cache.files[i].stat;
                memcpy(files[i].hash, cache.files[i].hash, ER_TREE_HASH);
        }
        for (size_t i = 0; i < cache.watch_count; i++) {
                watches[i].path = cache.names + cache.watches[i].path;
                watches[i].stat = cache.watches[i].stat;
        }
        memset(files[0].hash, 0x5a, ER_TREE_HASH);
        memset(cache.tree, 0x5a, ER_TREE_HASH);
        assert_int_equal(er_statcache_save(w->dir, &cache, files, cache.file_count, watches, cache.watch_count, NULL),
                         0);
        er_statcache_release(&cache);

        s = take(w);
        assert_true(er_snapshot_entry(s, 0, &e));
        believed = e.hash[0] == 0x5a;
        assert_int_equal(believed, e.hash[31] == 0x5a);
        return believed;
}

static void test_unchanged_is_not_read(void **state)
{
        (void)state;
        for (int git = 0; git < 2; git++) {
                struct world w;
                er_autoptr(er_snapshot) s = NULL;

                world_init(&w);
                put(&w, "a", "1");
                put(&w, "d/b", "1");
                if (git)
                        sh(&w, "git init -q; git add a; git commit -qm x");
                /* Written in the same moment or later: another change might look the same. */
                sh(&w, "touch -d '1 hour' a");
                er_snapshot_free(take(&w));
                assert_false(is_believed(&w));
                sh(&w, "touch -d '1 hour ago' a");
                sit_still();
                er_snapshot_free(take(&w));
                assert_true(is_believed(&w));
                /* And all of the listing is as it was, so not even the tree was hashed anew. */
                s = take(&w);
                assert_int_equal(er_snapshot_hash(s)[0], 0x5a);
                world_release(&w);
        }
}

static void test_damaged_cache(void **state)
{
        static const char *const damage[] = {
                "truncate -s 0 \"$f\"",
                "truncate -s 50 \"$f\"",
                "truncate -s -1 \"$f\"",
                "printf x >>\"$f\"",
                "printf '\\377' | dd of=\"$f\" bs=1 seek=200 conv=notrunc 2>/dev/null",
                "rm \"$f\"; mkdir \"$f\"; rmdir \"$f\"",
                "rm \"$f\"; mkdir \"$f\"",
                "rm -r \"$f\"; chmod 500 \"${f%/*}\"",
                "chmod 700 \"${f%/*}\"",
        };
        struct world w;
        er_autofree char *glob = NULL;
        er_autoptr(er_snapshot) good = NULL;

        (void)state;
        world_init(&w);
        put(&w, "a", "1");
        put(&w, "b", "22");
        sit_still();
        good = take(&w);
        glob = er_path_join(w.top, "own/cache/snapshots");
        for (size_t i = 0; i < ER_LEN(damage); i++) {
                er_autofree char *line = er_fmt("for f in %s/*; do %s; done", glob, damage[i]);
                er_autoptr(er_snapshot) s = NULL;

                sh(&w, line);
                s = take(&w);
                assert_true(same(good, s));
                assert_entries(s, "f 644 1 a\nf 644 2 b\n");
        }
        world_release(&w);
}

/* Root may read everything: then somebody else tries. */
static struct er_snapshot *take_as_nobody(const struct world *w, struct er_err *err)
{
        struct er_snapshot *snapshot;
        bool root = geteuid() == 0;

        if (root)
                assert_int_equal(seteuid(65534), 0);
        snapshot = take_err(w, err);
        if (root)
                assert_int_equal(seteuid(0), 0);
        return snapshot;
}

static void test_unreadable(void **state)
{
        struct world w;
        er_auto(er_err) err = ER_ERR_INIT;
        er_autoptr(er_snapshot) without = NULL;
        er_autoptr(er_snapshot) s = NULL;

        (void)state;
        world_init(&w);
        sh(&w, "mkdir -p ../own; chmod 755 ..; chmod 777 ../own");
        put(&w, "a/secret", "1");
        put(&w, "b", "1");
        sh(&w, "chmod 0 a/secret");
        assert_null(take_as_nobody(&w, &err));
        assert_non_null(strstr(err.hint, ".errandignore"));
        unit_assert_err(&err, ER_AUTH, "a/secret");
        put(&w, ".errandignore", "secret\n");
        s = take_as_nobody(&w, &err);
        assert_non_null(s);
        assert_entries(s, "f 644 7 .errandignore\nf 644 1 b\n");
        sh(&w, "chmod 600 a/secret; chmod 0 a");
        assert_null(take_as_nobody(&w, &err));
        assert_non_null(strstr(err.hint, ".errandignore"));
        unit_assert_err(&err, ER_AUTH, "a: ");
        put(&w, ".errandignore", "a/\n");
        without = take_as_nobody(&w, &err);
        assert_non_null(without);
        assert_entries(without, "f 644 3 .errandignore\nf 644 1 b\n");
        sh(&w, "chmod 700 a");
        world_release(&w);
}

struct restless {
        char *path;
        atomic_bool stop;
        pthread_t thread;
};

static void *never_still(void *arg)
{
        struct restless *r = arg;
        int fd = open(r->path, O_WRONLY | O_APPEND | O_CLOEXEC);

        while (!atomic_load(&r->stop))
                if (write(fd, "x", 1) != 1)
                        break;
        close(fd);
        return NULL;
}

static void test_changing_file(void **state)
{
        struct world w;
        struct restless r = {0};
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_snapshot *s;

        (void)state;
        world_init(&w);
        put(&w, "still", "1");
        /* So large that the writer gets its turn while we read, however busy the machine is. */
        sh(&w, "truncate -s 64M log");
        r.path = er_path_join(w.dir, "log");
        assert_int_equal(pthread_create(&r.thread, NULL, never_still, &r), 0);
        /* It may by chance not get to run while we read. */
        s = NULL;
        for (int i = 0; i < 100 && (s = take_err(&w, &err)); i++)
                er_snapshot_free(s);
        atomic_store(&r.stop, true);
        pthread_join(r.thread, NULL);
        assert_null(s);
        unit_assert_err(&err, ER_STATE, "log");
        free(r.path);
        er_snapshot_free(take(&w));
        world_release(&w);
}

static void test_cancel_and_progress(void **state)
{
        struct world w;
        struct er_cancel cancel;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_snapshot *s = NULL;

        (void)state;
        world_init(&w);
        put(&w, "a", "1");
        for (int git = 0; git < 2; git++) {
                const struct er_snapshot_opts opts = {.dir = w.dir, .project = "p", .cancel = &cancel};

                assert_int_equal(er_cancel_init(&cancel), 0);
                assert_int_equal(er_snapshot_take(&opts, &s, &err), 0);
                er_snapshot_free(s);
                er_cancel_fire(&cancel);
                assert_int_equal(er_snapshot_take(&opts, &s, &err), -1);
                unit_assert_err(&err, ER_CANCELLED, "cancelled");
                er_cancel_release(&cancel);
                sh(&w, "git init -q");
        }
        world_release(&w);
}

static void test_sockets_are_left_out(void **state)
{
        struct world w;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        er_autoptr(er_snapshot) s = NULL;

        (void)state;
        world_init(&w);
        assert_true(snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", w.dir) <
                    (int)sizeof address.sun_path);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
        put(&w, "a", "1");
        s = take(&w);
        assert_entries(s, "f 644 1 a\n");
        close(fd);
        world_release(&w);
}

/* Enough for several threads. */
static void test_many(void **state)
{
        struct world w;
        er_autoptr(er_snapshot) fourth = NULL;
        er_autoptr(er_snapshot) second = NULL;
        er_autoptr(er_snapshot) third = NULL;
        er_autoptr(er_snapshot) first = NULL;

        (void)state;
        world_init(&w);
        sh(&w, "for d in a a-b b; do mkdir -p $d/c; for i in $(seq 1000); do echo $d$i >$d/f$i; echo $i$d >$d/c/g$i; "
               "done; done");
        first = take(&w);
        assert_int_equal(er_snapshot_files(first), 6000);
        assert_hash(first);
        sit_still();
        second = take(&w);
        third = take(&w);
        assert_true(same(first, second) && same(first, third));
        sh(&w, "echo x >a/c/g500");
        fourth = take(&w);
        assert_false(same(first, fourth));
        assert_hash(fourth);
        world_release(&w);
}

static void test_largest(void **state)
{
        struct world w;
        struct er_dir_size sizes[3];
        er_autoptr(er_snapshot) s = NULL;

        (void)state;
        world_init(&w);
        put(&w, "top", "x");
        put(&w, "src/a", "xxx");
        put(&w, "src/b/c", "xx");
        put(&w, "data/images/1", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        put(&w, "data/images/2", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        put(&w, "data/readme", "xx");
        put(&w, "small/a", "xx");
        s = take(&w);
        assert_int_equal(er_snapshot_largest(s, sizes, 3), 3);
        assert_string_equal(sizes[0].path, "data/images");
        assert_int_equal(sizes[0].bytes, 60);
        assert_int_equal(sizes[0].files, 2);
        assert_string_equal(sizes[1].path, "src");
        assert_int_equal(sizes[1].bytes, 5);
        assert_string_equal(sizes[2].path, "small");
        for (int i = 0; i < 3; i++)
                free(sizes[i].path);
        assert_int_equal(er_snapshot_largest(s, sizes, 0), 0);
        world_release(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_empty_and_missing),
                cmocka_unit_test(test_changes_plain),
                cmocka_unit_test(test_changes_git),
                cmocka_unit_test(test_git_configuration),
                cmocka_unit_test(test_unchanged_is_not_read),
                cmocka_unit_test(test_damaged_cache),
                cmocka_unit_test(test_unreadable),
                cmocka_unit_test(test_changing_file),
                cmocka_unit_test(test_cancel_and_progress),
                cmocka_unit_test(test_sockets_are_left_out),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_largest),
        };

        return UNIT_RUN(tests);
}

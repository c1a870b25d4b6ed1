/* test_listing.c - which files travel: in git repositories and elsewhere. */
#include "host/snapshot/snapshot_world.h"

#include "host/snapshot/listing.h"
#include "host/snapshot/project.h"

/* "f a.py\nd empty\n..." */
static void list(const char *dir, struct er_str *out, struct er_err *err)
{
        er_auto(er_listing) listing = ER_LISTING_INIT;
        er_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        er_str_reset(out);
        if (er_listing_make(dir, fd, NULL, &listing, err) < 0)
                return;
        for (size_t i = 0; i < listing.len; i++) {
                struct stat st;

                assert_int_equal(strlen(listing.items[i].path), listing.items[i].len);
                if (fstatat(fd, listing.items[i].path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                    (listing.items[i].type == 'd' || !S_ISDIR(st.st_mode)))
                        er_str_addf(out, "%c %s\n", listing.items[i].type, listing.items[i].path);
        }
}

static void assert_list(const char *dir, const char *expected)
{
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        list(dir, &out, &err);
        if (err.code)
                fail_msg("%s", err.message);
        assert_string_equal(out.buf, expected);
}

static void test_plain(void **state)
{
        struct world w;

        (void)state;
        world_init(&w);
        assert_list(w.dir, "");
        put(&w, "train.py", "x");
        put(&w, "-rf", "x");
        put(&w, "a b/c'd\"e\n\xff", "x");
        put(&w, "a-b", "x");
        put(&w, "a/z", "x");
        put(&w, "results/old/model.pt", "x");
        put(&w, "src/results/kept", "x");
        put(&w, ".git/config", "x");
        put(&w, "__pycache__/x.pyc", "x");
        put(&w, "node_modules/x/y", "x");
        put(&w, "my-env/pyvenv.cfg", "x");
        put(&w, "my-env/bin/python", "x");
        put(&w, ".hidden", "x");
        sh(&w, "mkdir -p empty/er only/__pycache__; ln -s train.py link; ln -s a dirlink");
        assert_list(w.dir, "f -rf\nf .hidden\nf a b/c'd\"e\n\xff\nf a-b\nf a/z\nf dirlink\nd empty/er\nf link\nd only\n"
                           "f src/results/kept\nf train.py\n");
        world_release(&w);
}

/* Deeper than a path may be long to one call, and than there are descriptors. */
static void test_deep(void **state)
{
        struct world w;
        er_auto(er_str) path = ER_STR_INIT;
        er_auto(er_str) expected = ER_STR_INIT;

        (void)state;
        world_init(&w);
        for (int i = 0; i < 1200; i++)
                er_str_add(&path, "d/");
        er_str_add(&path, "f");
        put(&w, path.buf, "x");
        er_str_addf(&expected, "f %s\n", path.buf);
        assert_list(w.dir, expected.buf);
        world_release(&w);
}

static void test_own_directories(void **state)
{
        struct world w;
        er_autofree char *own = NULL;

        (void)state;
        world_init(&w);
        own = er_path_join(w.dir, ".errand-home");
        setenv("ERRAND_HOME", own, 1);
        put(&w, ".errand-home/state/store.db", "x");
        put(&w, ".errand-home-not", "x");
        assert_list(w.dir, "f .errand-home-not\n");
        sh(&w, "git init -q");
        assert_list(w.dir, "f .errand-home-not\n");
        world_release(&w);
}

static void test_git(void **state)
{
        struct world w;
        er_autofree char *sub = NULL;

        (void)state;
        world_init(&w);
        sub = er_path_join(w.dir, "src");
        put(&w, ".gitignore", "*.o\n/data/\n!keep.o\n__pycache__\n");
        put(&w, "src/a.py", "x");
        put(&w, "src/b.py", "x");
        put(&w, "src/__pycache__/a.pyc", "x");
        put(&w, "tracked.o", "x");
        sh(&w, "git init -q; git add .gitignore src; git add -f tracked.o; git commit -qm x");
        put(&w, "new/file\nname", "x");
        put(&w, "new/x.o", "x");
        put(&w, "new/keep.o", "x");
        put(&w, "data/big", "x");
        put(&w, "results/r", "x");
        sh(&w, "mkdir -p empty/er new/hollow data/void logs/deep; touch logs/deep/x.o; rm src/b.py; ln -s nowhere "
               "dangling");
        assert_list(w.dir,
                    "f .gitignore\nf dangling\nd empty/er\nd logs/deep\nf new/file\nname\nd new/hollow\nf new/keep.o\n"
                    "f src/a.py\nf tracked.o\n");
        assert_list(sub, "f a.py\n");
        /* A tracked file that is a directory now, and a directory that is a file now. */
        sh(&w, "rm tracked.o; mkdir tracked.o; touch tracked.o/inside; rm -r src; touch src");
        assert_list(w.dir,
                    "f .gitignore\nf dangling\nd empty/er\nd logs/deep\nf new/file\nname\nd new/hollow\nf new/keep.o\n"
                    "f src\n");
        world_release(&w);
}

static void test_git_unmerged_and_environment(void **state)
{
        struct world w;

        (void)state;
        world_init(&w);
        put(&w, "a", "1\n");
        sh(&w, "git init -q; git add a; git commit -qm 1; git checkout -qb other; echo 2 >a; git commit -qam 2;"
               "git checkout -q -; echo 3 >a; git commit -qam 3; git merge other >/dev/null || true");
        setenv("GIT_DIR", "/nonexistent", 1);
        setenv("GIT_INDEX_FILE", "/nonexistent", 1);
        assert_list(w.dir, "f a\n");
        unsetenv("GIT_DIR");
        unsetenv("GIT_INDEX_FILE");
        world_release(&w);
}

static void test_git_nested(void **state)
{
        struct world w;
        er_autofree char *nested = NULL;

        (void)state;
        world_init(&w);
        put(&w, "a", "x");
        put(&w, "nested/n", "x");
        put(&w, "nested/no.log", "x");
        put(&w, "nested/.gitignore", "*.log\n");
        put(&w, "nested/deeper/d", "x");
        put(&w, "sub/s", "x");
        put(&w, "sub/s.log", "x");
        put(&w, "gone/g", "x");
        sh(&w, "git init -q; for d in nested nested/deeper sub gone; do (cd $d; git init -q); done;"
               "(cd sub; git add s; git commit -qm s; git worktree prune); (cd gone; git add g; git commit -qm g);"
               "git add a sub gone 2>/dev/null; git commit -qm x; rm -rf gone; mkdir gone");
        assert_list(w.dir, "f a\nd gone\nf nested/.gitignore\nf nested/deeper/d\nf nested/n\nf sub/s\nf sub/s.log\n");
        /* The middle one alone. */
        nested = er_path_join(w.dir, "nested");
        assert_list(nested, "f .gitignore\nf deeper/d\nf n\n");
        world_release(&w);
}

static void test_git_worktree(void **state)
{
        struct world w;
        er_autofree char *tree = NULL;

        (void)state;
        world_init(&w);
        tree = er_path_join(w.top, "tree");
        put(&w, "a", "x");
        sh(&w, "git init -q; git add a; git commit -qm x; git worktree add -q ../tree; touch ../tree/new");
        assert_list(tree, "f a\nf new\n");
        world_release(&w);
}

/* The project is in a directory that the repository around it ignores; a .git that is none. */
static void test_git_not_meant(void **state)
{
        struct world w;
        er_autofree char *scratch = NULL;

        (void)state;
        world_init(&w);
        scratch = er_path_join(w.dir, "scratch");
        put(&w, ".gitignore", "scratch\n");
        put(&w, "scratch/x", "x");
        sh(&w, "git init -q; git add .gitignore; git commit -qm x");
        assert_list(w.dir, "f .gitignore\n");
        assert_list(scratch, "f x\n");
        put(&w, "scratch/.git", "gitdir: /nowhere\n");
        assert_list(scratch, "f x\n");
        world_release(&w);
}

static void test_errandignore_plain(void **state)
{
        struct world w;

        (void)state;
        world_init(&w);
        put(&w, ".errandignore", "*.bin\n!keep.bin\n/data/\nempty\n");
        put(&w, "a.bin", "x");
        put(&w, "keep.bin", "x");
        put(&w, "data/x/y", "x");
        put(&w, "src/data/y", "x");
        put(&w, "src/.errandignore", "local\n");
        put(&w, "src/local", "x");
        put(&w, "local", "x");
        sh(&w, "mkdir -p empty data/void other/empty");
        assert_list(w.dir, "f .errandignore\nf keep.bin\nf local\nf src/.errandignore\nf src/data/y\n");
        world_release(&w);
}

static void test_errandignore_git(void **state)
{
        struct world w;

        (void)state;
        world_init(&w);
        put(&w, ".gitignore", "ignored\n");
        put(&w, "ignored/x", "x");
        put(&w, "a.bin", "x");
        put(&w, "sub/b.bin", "x");
        put(&w, "sub/c", "x");
        put(&w, "nested/.errandignore", "*.txt\n");
        put(&w, "nested/n.txt", "x");
        put(&w, "nested/n", "x");
        sh(&w, "git init -q; git add .gitignore a.bin sub; (cd nested; git init -q); printf '*.bin\\n' >.errandignore");
        assert_list(w.dir, "f .errandignore\nf .gitignore\nf nested/.errandignore\nf nested/n\nf sub/c\n");
        put(&w, ".errandignore", "nested/\nsub/*\n.errandignore\n");
        assert_list(w.dir, "f .gitignore\nf a.bin\n");
        world_release(&w);
}

static void test_no_git(void **state)
{
        struct world w;
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        er_autofree char *path = er_strdup(getenv("PATH"));

        (void)state;
        world_init(&w);
        put(&w, ".gitignore", "b\n");
        put(&w, "a", "x");
        put(&w, "b", "x");
        sh(&w, "git init -q");
        setenv("PATH", "/nonexistent", 1);
        list(w.dir, &out, &err);
        assert_string_equal(out.buf, "f .gitignore\nf a\nf b\n");
        put(&w, ".errandignore", "b\n");
        list(w.dir, &out, &err);
        unit_assert_err(&err, ER_CONFIG, ".errandignore");
        setenv("PATH", path, 1);
        world_release(&w);
}

static void test_root(void **state)
{
        const struct {
                const char *from, *root;
        } cases[] = {
                {"plain/deep", "plain/deep"}, {"repo/src", "repo"}, {"repo", "repo"},
                {"conf/repo/src", "conf"},    {"conf", "conf"},     {"repo/src/../src", "repo"},
        };
        struct world w;
        er_autofree char *home = NULL;
        er_autofree char *top = NULL;

        (void)state;
        world_init(&w);
        home = er_path_join(w.top, "home");
        unit_put(home, "plain/deep/x", "x");
        unit_put(home, "repo/src/x", "x");
        unit_put(home, "conf/errand.yaml", "x");
        unit_put(home, "conf/repo/src/x", "x");
        sh(&w, "cd ../home; (cd repo; git init -q); (cd conf/repo; git init -q)");
        for (int dotfiles = 0; dotfiles < 2; dotfiles++) {
                for (size_t i = 0; i < ER_LEN(cases); i++) {
                        er_autofree char *from = er_path_join(home, cases[i].from);
                        er_autofree char *expected = er_path_join(home, cases[i].root);
                        er_autofree char *got = er_project_root(from);

                        assert_string_equal(got, expected);
                }
                /* People keep their dotfiles in a repository; that makes no project of all they have. */
                sh(&w, "cd ../home; git init -q; touch errand.yaml");
        }
        top = er_project_root(home);
        assert_string_equal(top, home);
        world_release(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plain),
                cmocka_unit_test(test_deep),
                cmocka_unit_test(test_own_directories),
                cmocka_unit_test(test_git),
                cmocka_unit_test(test_git_unmerged_and_environment),
                cmocka_unit_test(test_git_nested),
                cmocka_unit_test(test_git_worktree),
                cmocka_unit_test(test_git_not_meant),
                cmocka_unit_test(test_errandignore_plain),
                cmocka_unit_test(test_errandignore_git),
                cmocka_unit_test(test_no_git),
                cmocka_unit_test(test_root),
        };

        return UNIT_RUN(tests);
}

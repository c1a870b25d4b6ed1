/* test_file.c - the store's file: opened by many at once, of another version, damaged, on a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "store/store.h"
#include "store/store_world.h"

static void test_opening(void **state)
{
        struct world *w = *state;
        struct stat st;
        er_autofree char *db = NULL;
        struct er_store *other = NULL;
        int64_t version;

        assert_int_equal(strlen(er_store_id(w->store)), 6);
        assert_string_equal(er_store_dir(w->store), w->dir);
        assert_int_equal(stat(w->dir, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
        db = er_fmt("%s/store.db", w->dir);
        assert_int_equal(stat(db, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(er_store_open(w->dir, &other, NULL), 0);
        assert_string_equal(er_store_id(other), er_store_id(w->store));
        version = er_store_version(w->store);
        assert_int_equal(er_store_version(w->store), version);
        add(other, "p", "/", NULL, 1, NULL);
        assert_int_not_equal(er_store_version(w->store), version);
        er_store_close(other);
}

/* The next process to open the store reads the whole log. */
static void test_the_log_stays_short(void **state)
{
        struct world *w = *state;
        struct stat st;
        er_autofree char *wal = er_fmt("%s/store.db-wal", w->dir);

        for (int i = 0; i < 20; i++)
                add(w->store, "p", "/p", NULL, 1, NULL);
        assert_int_equal(stat(wal, &st), 0);
        assert_true(st.st_size > 0);
        er_store_tidy(w->store);
        assert_int_equal(stat(wal, &st), 0);
        assert_int_equal(st.st_size, 0);
        for (int i = 0; i < 60; i++)
                add(w->store, "p", "/p", NULL, 1, NULL);
        er_store_close(w->store);
        w->store = NULL;
        assert_int_equal(stat(wal, &st), 0);
        assert_int_equal(st.st_size, 0);
        assert_int_equal(er_store_open(w->dir, &w->store, NULL), 0);
        assert_true(job_id(w->store, "p-80") > 0);
}

static void reopen(struct world *w)
{
        w->store = NULL;
        assert_int_equal(er_store_open(w->dir, &w->store, NULL), 0);
}

static void reopen_raw(struct world *w, const char *sql)
{
        sqlite3 *db;
        er_autofree char *path = er_fmt("%s/store.db", w->dir);

        er_store_close(w->store);
        w->store = NULL;
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
}

static void copy_file(const char *from_dir, const char *to_dir, const char *name)
{
        er_autofree char *from = er_path_join(from_dir, name), *to = er_path_join(to_dir, name);
        er_auto(er_str) bytes = ER_STR_INIT;

        assert_int_equal(er_file_read(AT_FDCWD, from, 64u << 20, &bytes, NULL), 0);
        assert_int_equal(er_file_write(AT_FDCWD, to, bytes.buf, bytes.len, 0600, false, NULL), 0);
}

/* A copy goes on under another id; what was there keeps its own, in the copy and in the original. */
static void test_a_copy(void **state)
{
        struct world *w = *state;
        er_autofree char *first = er_strdup(er_store_id(w->store)), *parent = er_path_dir(w->dir),
                         *copied = er_path_join(parent, "copy"), *second = NULL;
        struct er_store *copy = NULL;
        int64_t old, new_here, new_there;
        struct statfs fs;

        if (statfs(w->dir, &fs) == 0 && (unsigned long)fs.f_type == 0x794c7630ul)
                skip(); /* overlayfs, where an inode says nothing */
        old = add(w->store, "p", "/p", NULL, 1, NULL);
        er_store_close(w->store);
        reopen(w);
        assert_string_equal(er_store_id(w->store), first); /* the same file is the same store */
        er_store_close(w->store);
        assert_int_equal(mkdir(copied, 0700), 0);
        copy_file(w->dir, copied, "store.db");
        copy_file(w->dir, copied, "store.db-wal");
        reopen(w);
        new_here = add(w->store, "p", "/p", NULL, 1, NULL);
        assert_int_equal(er_store_open(copied, &copy, NULL), 0);
        new_there = add(copy, "p", "/p", NULL, 1, NULL);
        assert_string_equal(er_store_id(w->store), first);
        assert_string_not_equal(er_store_id(copy), first);
        assert_string_equal(er_store_owner_of(copy, old), first);
        assert_string_equal(er_store_owner_of(copy, new_there), er_store_id(copy));
        assert_string_equal(er_store_owner_of(w->store, old), first);
        assert_string_equal(er_store_owner_of(w->store, new_here), first);
        second = er_strdup(er_store_id(copy));
        er_store_close(copy);
        assert_int_equal(er_store_open(copied, &copy, NULL), 0);
        assert_string_equal(er_store_id(copy), second); /* it is noticed once */
        er_store_close(copy);
}

static void test_newer_is_refused(void **state)
{
        struct world *w = *state;
        er_auto(er_err) err = ER_ERR_INIT;

        reopen_raw(w, "PRAGMA user_version=999");
        assert_int_equal(er_store_open(w->dir, &w->store, &err), -1);
        assert_int_equal(err.code, ER_STATE);
        assert_non_null(strstr(err.message, "999"));
        assert_non_null(err.hint);
}

static void expect_set_aside(struct world *w)
{
        er_auto(er_err) err = ER_ERR_INIT;
        const char *aside;

        assert_int_equal(er_store_open(w->dir, &w->store, &err), -1);
        assert_int_equal(err.code, ER_STATE);
        aside = strstr(err.message, "kept aside as ");
        assert_non_null(aside);
        assert_true(er_file_exists(AT_FDCWD, aside + strlen("kept aside as ")));
        assert_non_null(err.hint);
        assert_int_equal(er_store_open(w->dir, &w->store, NULL), 0);
        assert_int_equal(count_jobs(w->store, ER_JOB_WAITING), 0);
}

static void test_recipes_left_by_version_2_go(void **state)
{
        struct world *w = *state;

        assert_true(add_with_environment(w->store, 'a', true, NULL) > 0);
        reopen_raw(w, "DROP INDEX spec_environment;"
                      "INSERT INTO environment SELECT zeroblob(32), recipe, stored_ms FROM environment;"
                      "ALTER TABLE attempt DROP COLUMN gpu_shared; ALTER TABLE attempt DROP COLUMN gpu_util_max;"
                      "INSERT INTO meta SELECT 'id', id FROM owner; DROP TABLE owner;"
                      "PRAGMA user_version=2");
        assert_int_equal(er_store_open(w->dir, &w->store, NULL), 0);
        assert_true(has_environment(w->store, 'a'));
        assert_false(has_environment(w->store, '\0'));
}

static void test_garbage_is_set_aside(void **state)
{
        struct world *w = *state;
        er_autofree char *db = er_fmt("%s/store.db", w->dir);
        er_autofree char *wal = NULL;
        char garbage[8192];

        add(w->store, "p", "/", NULL, 1, NULL);
        er_store_close(w->store);
        w->store = NULL;
        wal = er_fmt("%s-wal", db);
        unlink(wal);
        memset(garbage, 'x', sizeof garbage);
        assert_int_equal(er_file_write(AT_FDCWD, db, garbage, sizeof garbage, 0600, false, NULL), 0);
        expect_set_aside(w);
}

static void test_damaged_page_is_set_aside(void **state)
{
        struct world *w = *state;
        er_autofree char *db = er_fmt("%s/store.db", w->dir);
        int fd;
        char zeros[3000];

        add(w->store, "p", "/", NULL, 1, NULL);
        reopen_raw(w, "PRAGMA wal_checkpoint(TRUNCATE)");
        fd = open(db, O_RDWR);
        memset(zeros, 0xff, sizeof zeros);
        assert_int_equal(pwrite(fd, zeros, sizeof zeros, 100), (ssize_t)sizeof zeros); /* the schema's page */
        close(fd);
        expect_set_aside(w);
}

/* A limit on the size of files, which is like a full disk. */
static void test_a_full_disk_is_said_so(void **state)
{
        struct world *w = *state;
        pid_t pid;
        int status = 0;

        add(w->store, "p", "/", NULL, 1, NULL);
        pid = fork();
        if (pid == 0) {
                er_auto(er_err) err = ER_ERR_INIT;
                er_auto(er_run) run = {0};
                struct er_store *s = NULL;
                er_autofree char *spec = er_calloc(1, 700000);
                struct er_new_job job = {.spec = er_svn(spec, 700000), .command = "x"};

                signal(SIGXFSZ, SIG_IGN);
                if (er_store_open(w->dir, &s, &err) < 0)
                        _exit(1);
                setrlimit(RLIMIT_FSIZE, &(struct rlimit){300000, 300000});
                if (er_store_add_run(s, "p", "/p", NULL, &job, 1, 1, &run, &err) == 0)
                        _exit(2);
                _exit(err.code == ER_IO && err.message ? 0 : 3);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        /* Other processes see no part of that run, and continue. */
        assert_int_equal(count_jobs(w->store, ER_JOB_WAITING), 1);
        add_named(w->store, "p", NULL, "p-2");
}

#define WRITERS 16
#define RUNS_EACH 12

static void test_many_writers_at_once(void **state)
{
        struct world *w = *state;
        pid_t pids[WRITERS];
        int64_t began = er_mono_ms();

        for (int i = 0; i < WRITERS; i++) {
                pids[i] = fork();
                if (pids[i] == 0) {
                        struct er_store *s = NULL;

                        if (er_store_open(w->dir, &s, NULL) < 0)
                                _exit(1);
                        for (int k = 0; k < RUNS_EACH; k++) {
                                struct er_new_job job = {.spec = ER_SV("spec"), .command = "true"};
                                er_auto(er_run) run = {0};
                                int64_t attempt;

                                if (er_store_add_run(s, "p", "/p", NULL, &job, 1, 1, &run, NULL) < 0)
                                        _exit(2);
                                if (er_store_add_attempt(s, run.id, 1, "local", 1, &attempt, NULL) < 0)
                                        _exit(3);
                        }
                        er_store_close(s);
                        _exit(0);
                }
        }
        for (int i = 0; i < WRITERS; i++) {
                int status = -1;

                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
        assert_int_equal(count_jobs(w->store, ER_JOB_WAITING), WRITERS * RUNS_EACH);
        assert_int_equal(job_id(w->store, "p-192.0") > 0, 1);
        assert_true(er_mono_ms() - began < 20000);
}

static void test_first_opening_by_many_at_once(void **state)
{
        struct world *w = *state;
        er_autofree char *dir = er_fmt("%s/fresh", w->dir);
        pid_t pids[WRITERS];

        for (int i = 0; i < WRITERS; i++) {
                pids[i] = fork();
                if (pids[i] == 0) {
                        struct er_store *s = NULL;

                        _exit(er_store_open(dir, &s, NULL) < 0);
                }
        }
        for (int i = 0; i < WRITERS; i++) {
                int status = -1;

                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_STORE(test_opening),
                WITH_STORE(test_the_log_stays_short),
                WITH_STORE(test_a_copy),
                WITH_STORE(test_newer_is_refused),
                WITH_STORE(test_recipes_left_by_version_2_go),
                WITH_STORE(test_garbage_is_set_aside),
                WITH_STORE(test_damaged_page_is_set_aside),
                WITH_STORE(test_a_full_disk_is_said_so),
                WITH_STORE(test_many_writers_at_once),
                WITH_STORE(test_first_opening_by_many_at_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Snapshots arrive, survive a broken upload, become work directories, and go when nothing needs them. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/snapshot/snapshots.h"
#include "agent/snapshot/upload.h"
#include "agent/snapshot/worktree.h"
#include "base/io.h"
#include "base/path.h"
#include "proto/msg.h"

struct file {
        const char *path, *data;
        char type;
        uint16_t mode;
};

static int root = -1;
static char root_path[] = "/tmp/er-snapshots-XXXXXX";

static int set_up(void **state)
{
        (void)state;
        memcpy(root_path + sizeof root_path - 7, "XXXXXX", 6);
        assert_non_null(mkdtemp(root_path));
        root = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return root < 0;
}

static int tear_down(void **state)
{
        (void)state;
        close(root);
        return er_rmtree(AT_FDCWD, root_path, NULL, NULL);
}

/* No real hash is needed: the agent takes the client's word. */
static void fake_hash(const char *data, size_t len, unsigned char ret[ER_TREE_HASH])
{
        memset(ret, 0, ER_TREE_HASH);
        for (size_t i = 0; i < len; i++)
                ret[i % 24] = (unsigned char)(ret[i % 24] * 31 + data[i]);
        ret[30] = (unsigned char)len;
        ret[31] = 1;
}

static void entry_of(const struct file *file, struct er_tree_entry *ret)
{
        *ret = (struct er_tree_entry){.type = file->type, .mode = file->mode, .path = er_sv(file->path)};
        if (file->type == 'f') {
                ret->size = strlen(file->data);
                fake_hash(file->data, strlen(file->data), ret->hash);
        } else if (file->type == 'l') {
                ret->target = er_sv(file->data);
                ret->size = ret->target.len;
        }
}

static void tree_id(const char *name, unsigned char ret[ER_TREE_HASH])
{
        fake_hash(name, strlen(name), ret);
}

static struct er_upload *begin(const char *name, const char *base, const struct file *whole, size_t whole_count,
                               const struct file *sent, size_t sent_count, const char *gone)
{
        er_auto(er_str) fields = ER_STR_INIT;
        er_auto(er_str) part = ER_STR_INIT;
        er_auto(er_str) entries = ER_STR_INIT;
        er_auto(er_str) gone_list = ER_STR_INIT;
        struct er_upload *up = NULL;
        unsigned char hash[ER_TREE_HASH];
        struct er_tree_entry entry;
        uint64_t sum = 0;

        for (size_t i = 0; i < whole_count; i++) {
                entry_of(&whole[i], &entry);
                sum += er_tree_entry_sum(&entry);
        }
        for (size_t i = 0; i < sent_count; i++) {
                entry_of(&sent[i], &entry);
                er_tree_pack(&entries, &entry);
        }
        tree_id(name, hash);
        er_msg_text(&fields, ER_T_PROJECT, "proj");
        er_msg_bytes(&fields, ER_T_TREE, hash, sizeof hash);
        er_msg_u64(&fields, ER_T_COUNT, whole_count);
        er_msg_u64(&fields, ER_T_CHECKSUM, sum);
        if (base) {
                tree_id(base, hash);
                er_msg_bytes(&fields, ER_T_BASE, hash, sizeof hash);
        }
        assert_int_equal(er_upload_begin(root, er_svn(fields.buf, fields.len), &up, NULL), 0);
        er_msg_bytes(&part, ER_T_ENTRIES, entries.buf, entries.len);
        if (gone) {
                er_tree_pack_path(&gone_list, er_sv(gone));
                er_msg_bytes(&part, ER_T_GONE, gone_list.buf, gone_list.len);
        }
        assert_int_equal(er_upload_part(up, er_svn(part.buf, part.len), NULL), 0);
        return up;
}

static void blob(struct er_upload *up, uint32_t index, uint64_t offset, const char *data, size_t len)
{
        er_auto(er_str) fields = ER_STR_INIT;

        er_msg_u64(&fields, ER_T_INDEX, index);
        er_msg_u64(&fields, ER_T_OFFSET, offset);
        er_msg_bytes(&fields, ER_T_DATA, data, len);
        assert_int_equal(er_upload_blob(up, er_svn(fields.buf, fields.len), NULL), 0);
}

/* Sends what is needed of `sent`; returns how many contents that were. */
static size_t send_needed(struct er_upload *up, const struct er_str *need, const struct file *sent)
{
        for (size_t at = 0; at < need->len; at += 12) {
                uint32_t index;
                uint64_t offset;

                memcpy(&index, need->buf + at, 4);
                memcpy(&offset, need->buf + at + 4, 8);
                blob(up, index, offset, sent[index].data + offset, strlen(sent[index].data) - offset);
        }
        return need->len / 12;
}

static size_t upload(const char *name, const char *base, const struct file *whole, size_t whole_count,
                     const struct file *sent, size_t sent_count, const char *gone)
{
        er_autoptr(er_upload) up = begin(name, base, whole, whole_count, sent, sent_count, gone);
        er_auto(er_str) need = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        size_t count;

        assert_int_equal(er_upload_list(up, &need, &err), 0);
        count = send_needed(up, &need, sent);
        if (er_upload_finish(up, &err) < 0)
                fail_msg("%s", err.message);
        return count;
}

static void check(const char *dir, const struct file *files, size_t count)
{
        size_t found = 0;

        for (size_t i = 0; i < count; i++) {
                er_autofree char *path = er_fmt("%s/%s", dir, files[i].path);
                er_auto(er_str) data = ER_STR_INIT;
                char target[256] = {0};
                struct stat st;

                assert_int_equal(fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW), 0);
                found++;
                if (files[i].type == 'd') {
                        assert_true(S_ISDIR(st.st_mode));
                } else if (files[i].type == 'l') {
                        assert_true(readlinkat(root, path, target, sizeof target - 1) > 0);
                        assert_string_equal(target, files[i].data);
                } else {
                        assert_int_equal(er_file_read(root, path, 1 << 20, &data, NULL), 0);
                        assert_string_equal(data.buf, files[i].data);
                        assert_int_equal(st.st_mode & 0100, files[i].mode & 0100);
                        assert_int_equal(st.st_nlink, 1);
                }
        }
        assert_int_equal(found, count);
}

static void make(const char *tree, const char *name)
{
        er_auto(er_err) err = ER_ERR_INIT;
        unsigned char hash[ER_TREE_HASH];

        tree_id(tree, hash);
        if (er_worktree_make(root, "proj", hash, root, name, NULL, NULL, &err) < 0)
                fail_msg("%s", err.message);
}

static char large[200001];
static const struct file first[] = {
        {"a.py", "print(1)\n", 'f', 0755},  {"b/c/d.txt", "deep", 'f', 0644}, {"b/c/e.txt", "deep", 'f', 0644},
        {"b/empty", NULL, 'd', 0755},       {"b/link", "c/d.txt", 'l', 0644}, {"nothing", "", 'f', 0644},
        {"z\n-odd \xff", large, 'f', 0644},
};
static const struct file second[] = {
        {"a.py", "print(2)\n", 'f', 0644}, {"b/c", "now a file", 'f', 0644}, {"b/link", "../a.py", 'l', 0644},
        {"n/e/w", "deep", 'f', 0644},      {"nothing", "", 'f', 0644},       {"z\n-odd \xff", large, 'f', 0644},
};

static void test_arrives_and_is_written(void **state)
{
        (void)state;
        memset(large, 'x', sizeof large - 1);
        assert_int_equal(upload("one", NULL, first, ER_LEN(first), first, ER_LEN(first), NULL),
                         3); /* "deep" travels once */
        make("one", "work");
        check("work", first, ER_LEN(first));
        assert_int_equal(upload("one", NULL, first, ER_LEN(first), first, ER_LEN(first), NULL), 0);
}

static void test_difference(void **state)
{
        static const struct file changed[] = {
                {"a.py", "print(2)\n", 'f', 0644},
        };
        static const struct file whole[] = {
                {"a.py", "print(2)\n", 'f', 0644}, {"b/c/e.txt", "deep", 'f', 0644}, {"b/empty", NULL, 'd', 0755},
                {"b/link", "c/d.txt", 'l', 0644},  {"nothing", "", 'f', 0644},       {"z\n-odd \xff", large, 'f', 0644},
        };

        (void)state;
        upload("one", NULL, first, ER_LEN(first), first, ER_LEN(first), NULL);
        assert_int_equal(upload("two", "one", whole, ER_LEN(whole), changed, ER_LEN(changed), "b/c/d.txt"), 1);
        make("two", "work");
        check("work", whole, ER_LEN(whole));
        assert_false(er_file_exists(root, "work/b/c/d.txt"));
}

static void test_difference_to_the_wrong_base_is_noticed(void **state)
{
        er_autoptr(er_upload) up = NULL;
        er_auto(er_str) need = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        unsigned char hash[ER_TREE_HASH];

        (void)state;
        upload("one", NULL, first, ER_LEN(first), first, ER_LEN(first), NULL);
        up = begin("two", "one", second, ER_LEN(second), second, 1, NULL);
        assert_int_equal(er_upload_list(up, &need, NULL), 0);
        send_needed(up, &need, second);
        assert_int_equal(er_upload_finish(up, &err), -1);
        assert_string_equal(err.provider_code, "snapshot");
        tree_id("two", hash);
        assert_false(er_snapshots_have(root, "proj", hash));
}

static void test_broken_upload_goes_on(void **state)
{
        struct er_upload *up;
        er_auto(er_str) need = ER_STR_INIT;
        uint32_t index;
        uint64_t offset;

        (void)state;
        up = begin("one", NULL, first, ER_LEN(first), first, ER_LEN(first), NULL);
        assert_int_equal(er_upload_list(up, &need, NULL), 0);
        assert_int_equal(need.len, 36);
        blob(up, 0, 0, "print(1)\n", 9);
        blob(up, 1, 0, "deep", 4);
        blob(up, 6, 0, large, 100000);
        er_upload_free(up); /* the connection breaks */
        er_str_reset(&need);
        up = begin("one", NULL, first, ER_LEN(first), first, ER_LEN(first), NULL);
        assert_int_equal(er_upload_list(up, &need, NULL), 0);
        assert_int_equal(need.len, 12);
        memcpy(&index, need.buf, 4);
        memcpy(&offset, need.buf + 4, 8);
        assert_int_equal(index, 6);
        assert_int_equal(offset, 100000);
        send_needed(up, &need, first);
        assert_int_equal(er_upload_finish(up, NULL), 0);
        er_upload_free(up);
        make("one", "work");
        check("work", first, ER_LEN(first));
}

static void test_two_uploads_of_one_tree(void **state)
{
        struct er_upload *a, *b;
        er_auto(er_str) need = ER_STR_INIT;
        er_auto(er_str) other = ER_STR_INIT;

        (void)state;
        a = begin("one", NULL, first, ER_LEN(first), first, ER_LEN(first), NULL);
        b = begin("one", NULL, first, ER_LEN(first), first, ER_LEN(first), NULL);
        assert_int_equal(er_upload_list(a, &need, NULL), 0);
        assert_int_equal(er_upload_list(b, &other, NULL), 1);
        send_needed(a, &need, first);
        assert_int_equal(er_upload_finish(a, NULL), 0);
        er_upload_free(a);
        assert_int_equal(er_upload_list(b, &other, NULL), 0);
        assert_int_equal(other.len, 0);
        assert_int_equal(er_upload_finish(b, NULL), 0);
        er_upload_free(b);
}

static void test_spare_is_taken_and_fitted(void **state)
{
        unsigned char hash[ER_TREE_HASH];

        (void)state;
        upload("one", NULL, first, ER_LEN(first), first, ER_LEN(first), NULL);
        upload("two", NULL, second, ER_LEN(second), second, ER_LEN(second), NULL);
        tree_id("one", hash);
        er_spare_make(root, "proj", hash);
        er_spare_make(root, "proj", hash);
        make("one", "same");
        check("same", first, ER_LEN(first));
        er_spare_make(root, "proj", hash);
        make("two", "other"); /* files become directories and the other way round */
        check("other", second, ER_LEN(second));
        assert_false(er_file_exists(root, "other/b/empty"));
        make("one", "again"); /* no spare is left */
        check("again", first, ER_LEN(first));
}

static bool need_one(void *arg, const char *dir, const char *hex)
{
        (void)dir;
        return arg && er_streq(arg, hex);
}

static void test_collect(void **state)
{
        struct er_snapshots_gc gc = {0};
        unsigned char one[ER_TREE_HASH], two[ER_TREE_HASH];
        char hex[ER_TREE_HEX];

        (void)state;
        upload("one", NULL, first, ER_LEN(first), first, ER_LEN(first), NULL);
        upload("two", NULL, second, ER_LEN(second), second, ER_LEN(second), NULL);
        tree_id("one", one);
        tree_id("two", two);
        er_tree_hex(one, hex);
        assert_int_equal(er_snapshots_collect(root, need_one, hex, false, &gc, NULL), 0);
        assert_int_equal(gc.trees, 0);
        assert_true(er_snapshots_have(root, "proj", one));
        assert_int_equal(er_snapshots_collect(root, need_one, NULL, true, &gc, NULL), 0);
        assert_int_equal(gc.trees, 1);
        assert_true(er_snapshots_have(root, "proj", one));
        gc = (struct er_snapshots_gc){0};
        assert_int_equal(er_snapshots_collect(root, need_one, NULL, false, &gc, NULL), 0);
        assert_int_equal(gc.trees, 1);
        assert_true(gc.freed > 0);
        assert_false(er_snapshots_have(root, "proj", one));
        make("two", "work"); /* lives on contents that came with the first */
        check("work", second, ER_LEN(second));
}

static void test_unsafe_and_unsorted_lists_are_refused(void **state)
{
        static const struct file bad[] = {{"../evil", "x", 'f', 0644}};
        static const struct file unsorted[] = {{"b", "x", 'f', 0644}, {"a", "x", 'f', 0644}};
        const struct file *lists[] = {bad, unsorted};
        size_t counts[] = {1, 2};

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                er_autoptr(er_upload) up = begin("one", NULL, first, 0, first, 0, NULL);
                er_auto(er_str) entries = ER_STR_INIT;
                er_auto(er_str) part = ER_STR_INIT;

                for (size_t k = 0; k < counts[i]; k++) {
                        struct er_tree_entry entry;

                        entry_of(&lists[i][k], &entry);
                        er_tree_pack(&entries, &entry);
                }
                er_msg_bytes(&part, ER_T_ENTRIES, entries.buf, entries.len);
                assert_int_equal(er_upload_part(up, er_svn(part.buf, part.len), NULL), -1);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_arrives_and_is_written, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_difference, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_difference_to_the_wrong_base_is_noticed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_broken_upload_goes_on, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_two_uploads_of_one_tree, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_spare_is_taken_and_fitted, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_collect, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_unsafe_and_unsorted_lists_are_refused, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

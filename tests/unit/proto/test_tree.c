/* test_tree.c - lists of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/map.h"
#include "proto/tree.h"

static struct er_tree_entry file(const char *path)
{
        return (struct er_tree_entry){.type = 'f', .mode = 0644, .size = 5, .hash = {1, 2, 3}, .path = er_sv(path)};
}

static void entries_come_back(void **state)
{
        struct er_tree_entry in[] = {file("a"),
                                     file("b\n\xff"),
                                     {.type = 'l', .mode = 0644, .path = er_sv("link"), .target = er_sv("../x")},
                                     {.type = 'd', .mode = 0755, .path = er_sv("void")}},
                             out;
        er_auto(er_str) list = ER_STR_INIT;
        struct er_sv rest;

        (void)state;
        for (size_t i = 0; i < ER_LEN(in); i++)
                er_tree_pack(&list, &in[i]);
        rest = er_svn(list.buf, list.len);
        for (size_t i = 0; i < ER_LEN(in); i++) {
                assert_int_equal(er_tree_unpack(&rest, &out, NULL), 1);
                assert_true(out.type == in[i].type && er_sv_eq(out.path, in[i].path) &&
                            er_sv_eq(out.target, in[i].target));
                assert_true(er_tree_entry_sum(&out) == er_tree_entry_sum(&in[i]));
        }
        assert_int_equal(er_tree_unpack(&rest, &out, NULL), 0);
}

static void a_list_is_skipped_over_without_a_look(void **state)
{
        struct er_tree_entry in[] = {
                file("a"), {.type = 'l', .mode = 0644, .path = er_sv("link"), .target = er_sv("../x")}, file("z\n")};
        er_auto(er_str) list = ER_STR_INIT;
        struct er_tree_packed packed;
        const unsigned char *hash;
        struct er_sv rest;
        uint64_t size;

        (void)state;
        for (size_t i = 0; i < ER_LEN(in); i++)
                er_tree_pack(&list, &in[i]);
        rest = er_svn(list.buf, list.len);
        for (size_t i = 0; i < ER_LEN(in); i++) {
                assert_int_equal(er_tree_skip(&rest, &packed, NULL), 1);
                assert_true(er_sv_eq(packed.path, in[i].path));
                assert_true(er_hash64(packed.all.ptr, packed.all.len) == er_tree_entry_sum(&in[i]));
                assert_true(er_tree_packed_file(&packed, &size, &hash) == (in[i].type == 'f'));
                if (in[i].type == 'f')
                        assert_true(size == 5 && memcmp(hash, in[i].hash, ER_TREE_HASH) == 0);
        }
        assert_int_equal(er_tree_skip(&rest, &packed, NULL), 0);
        for (size_t cut = 1; cut < 48 + 3; cut++) { /* of the last one */
                rest = er_svn(list.buf + 2 * 48 + 1 + 8, 48 + 2 - cut < 48 + 2 ? 48 + 2 - cut : 0);
                assert_int_equal(er_tree_skip(&rest, &packed, NULL), rest.len ? -1 : 0);
        }
}

static void paths_are_in_order_of_their_bytes(void **state)
{
        (void)state;
        assert_true(er_tree_path_compare(er_sv("a"), er_sv("a")) == 0);
        assert_true(er_tree_path_compare(er_sv("a"), er_sv("a/b")) < 0);
        assert_true(er_tree_path_compare(er_sv("a/b"), er_sv("a")) > 0);
        assert_true(er_tree_path_compare(er_sv("a-b"), er_sv("a/b")) < 0);
        assert_true(er_tree_path_compare(er_sv("\xff"), er_sv("a")) > 0);
}

static int unpack(const struct er_tree_entry *entry, size_t cut)
{
        er_auto(er_str) list = ER_STR_INIT;
        struct er_tree_entry out;
        struct er_sv rest;

        er_tree_pack(&list, entry);
        rest = er_svn(list.buf, list.len - cut);
        return er_tree_unpack(&rest, &out, NULL);
}

static void what_is_unsafe_is_refused(void **state)
{
        static const char *const paths[] = {"", "/a", "..", "a/..", "a/../b", ".", "./a", "a//b", "a/"};
        struct er_tree_entry odd = file("a");

        (void)state;
        for (size_t i = 0; i < ER_LEN(paths); i++) {
                odd = file(paths[i]);
                assert_int_equal(unpack(&odd, 0), -1);
        }
        odd = file("a");
        odd.path = er_svn("a\0b", 3);
        assert_int_equal(unpack(&odd, 0), -1);
        odd = file("a");
        odd.mode = 04755;
        assert_int_equal(unpack(&odd, 0), -1);
        odd = file("a");
        odd.type = 'b';
        assert_int_equal(unpack(&odd, 0), -1);
        odd = file("a");
        odd.size = UINT64_MAX;
        assert_int_equal(unpack(&odd, 0), -1);
        odd = (struct er_tree_entry){.type = 'l', .mode = 0644, .path = er_sv("l"), .target = er_sv("")};
        assert_int_equal(unpack(&odd, 0), -1);
}

static void what_is_cut_is_refused(void **state)
{
        struct er_tree_entry entry = file("some/path");

        (void)state;
        for (size_t cut = 1; cut < 48 + 9; cut++)
                assert_int_equal(unpack(&entry, cut), -1);
}

static void the_sum_sees_every_part(void **state)
{
        struct er_tree_entry a = file("a"), b = file("a");
        uint64_t sum = er_tree_entry_sum(&a);

        (void)state;
        b.mode = 0755;
        assert_true(er_tree_entry_sum(&b) != sum);
        b = file("b");
        assert_true(er_tree_entry_sum(&b) != sum);
        b = file("a");
        b.hash[31] = 1;
        assert_true(er_tree_entry_sum(&b) != sum);
}

static void paths_come_back(void **state)
{
        er_auto(er_str) list = ER_STR_INIT;
        struct er_sv rest, path;

        (void)state;
        er_tree_pack_path(&list, er_sv("x"));
        er_tree_pack_path(&list, er_sv("y z"));
        rest = er_svn(list.buf, list.len);
        assert_int_equal(er_tree_unpack_path(&rest, &path, NULL), 1);
        assert_int_equal(er_tree_unpack_path(&rest, &path, NULL), 1);
        assert_true(er_sv_eq(path, er_sv("y z")));
        assert_int_equal(er_tree_unpack_path(&rest, &path, NULL), 0);
        rest = er_svn(list.buf, list.len - 1);
        assert_int_equal(er_tree_unpack_path(&rest, &path, NULL), 1);
        assert_int_equal(er_tree_unpack_path(&rest, &path, NULL), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(entries_come_back),
                cmocka_unit_test(a_list_is_skipped_over_without_a_look),
                cmocka_unit_test(paths_are_in_order_of_their_bytes),
                cmocka_unit_test(what_is_unsafe_is_refused),
                cmocka_unit_test(what_is_cut_is_refused),
                cmocka_unit_test(the_sum_sees_every_part),
                cmocka_unit_test(paths_come_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

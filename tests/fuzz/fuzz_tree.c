/* fuzz_tree.c - a list of files from the other side: nothing in it leads out of the directory it is written below. */
#include "fuzz.h"

#include "base/path.h"
#include "proto/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct er_sv rest = er_svn(data, size), path;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_tree_packed skipped;
        struct er_tree_entry entry;
        int got;

        for (;;) {
                er_auto(er_str) packed = ER_STR_INIT;
                struct er_sv before = rest, beside = rest;

                got = er_tree_unpack(&rest, &entry, &err);
                if (got <= 0)
                        break;
                FUZZ_CHECK(er_tree_skip(&beside, &skipped, NULL) == 1 && beside.len == rest.len &&
                           er_sv_eq(skipped.path, entry.path));
                FUZZ_CHECK(er_path_is_safe(entry.path.ptr, entry.path.len) && entry.path.len <= ER_TREE_PATH_MAX);
                FUZZ_CHECK(entry.type == 'f' || entry.type == 'l' || entry.type == 'd');
                FUZZ_CHECK(entry.type != 'f' || entry.mode == 0644 || entry.mode == 0755);
                FUZZ_CHECK(rest.len < before.len);
                /* There is one way to write an entry, or its sum would not say what it is. */
                er_tree_pack(&packed, &entry);
                FUZZ_CHECK(packed.len == before.len - rest.len && memcmp(packed.buf, before.ptr, packed.len) == 0);
                er_tree_entry_sum(&entry);
        }
        FUZZ_CHECK((got < 0) == (err.message != NULL));
        er_err_clear(&err);
        rest = er_svn(data, size);
        while (er_tree_skip(&rest, &skipped, NULL) > 0) /* also what cannot be unpacked: within the bytes */
                FUZZ_CHECK(skipped.all.ptr + skipped.all.len == rest.ptr && skipped.path.len < skipped.all.len);
        rest = er_svn(data, size);
        while ((got = er_tree_unpack_path(&rest, &path, &err)) > 0)
                FUZZ_CHECK(path.len > 0 && path.len <= ER_TREE_PATH_MAX); /* only compared with the list's own */
        FUZZ_CHECK((got < 0) == (err.message != NULL));
        return 0;
}

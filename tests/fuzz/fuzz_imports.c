/* fuzz_imports.c - any bytes are Python: what is found lies within the text's lines and its own tables. */
#include "fuzz.h"

#include <string.h>

#include "environment/imports_scan.h"

static void check(const struct er_import_scan *scan, size_t lines)
{
        for (size_t i = 0; i < scan->count; i++) {
                const struct er_import *item = &scan->items[i];

                FUZZ_CHECK(item->name < scan->names.len && item->line >= 1 && item->line <= lines);
                FUZZ_CHECK(item->module_len <= strlen(scan->names.buf + item->name));
                FUZZ_CHECK(item->level > 0 || scan->names.buf[item->name]);
                FUZZ_CHECK(item->group >= -1 && (item->group < 0 || (size_t)item->group < scan->group_count));
        }
        for (size_t i = 0; i < scan->group_count; i++)
                FUZZ_CHECK(scan->groups[i].parent >= -1 && scan->groups[i].parent < (int32_t)i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        er_auto(er_import_scan) python = ER_IMPORT_SCAN_INIT, notebook = ER_IMPORT_SCAN_INIT;
        const char *text = size > 0 ? (const char *)data : "";
        size_t lines = 1;

        for (size_t i = 0; i < size; i++)
                lines += text[i] == '\n';
        er_import_scan_python(text, size, &python);
        check(&python, lines);
        er_import_scan_notebook(text, size, &notebook);
        check(&notebook, lines);
        er_import_condition(text, size);
        return 0;
}

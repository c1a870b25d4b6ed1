/* fuzz_requirements.c - requirement files and pyproject.toml: any bytes are read or refused, and what is accepted is in
   its canonical form already: read again, it is the same. */
#include "fuzz.h"

#include <string.h>
#include "environment/requirements.h"
#include "environment/toml.h"
#include "environment/requirement.h"

static int visit(void *arg, const struct er_strv *path, const char *text, bool is_string, struct er_err *err)
{
        size_t *count = arg;

        (void)err;
        FUZZ_CHECK(path->len > 0 && (text || !is_string)); /* NULL: the end of a table */
        return ++*count > 100000 ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct er_req_origin origin = {.project_dir = "/nonexistent", .dir = "/nonexistent", .file = "fuzz"};
        er_auto(er_requirements) r = ER_REQUIREMENTS_INIT;
        er_autofree char *once = NULL;
        const char *why = NULL;
        size_t count = 0;

        er_toml_read(er_svn(data, size), "fuzz", visit, &count, NULL);
        er_requirements_parse(er_svn(data, size), &origin, &r, NULL);
        once = er_requirement_canonical(er_svn(data, size), &why);
        if (once && strlen(once) < size + 64) {
                er_autofree char *twice = er_requirement_canonical(er_sv(once), &why);

                FUZZ_CHECK(twice);
                FUZZ_CHECK(strcmp(once, twice) == 0);
        }
        return 0;
}

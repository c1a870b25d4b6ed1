/*
 * unit.h - what every unit test starts with: cmocka, and a few helpers of ours.
 */
#ifndef ER_UNIT_H
#define ER_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/err.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"

#define UNIT_RUN(tests) cmocka_run_group_tests(tests, NULL, NULL)

/* Fails unless the error is of that code and its message has that part; then empties it. */
static inline void unit_assert_err(struct er_err *err, enum er_code code, const char *part)
{
        assert_string_equal(er_code_name(err->code), er_code_name(code));
        assert_non_null(err->message);
        if (!strstr(err->message, part))
                fail_msg("\"%s\" is not in \"%s\"", part, err->message);
        er_err_clear(err);
}

/* A fresh directory (owned); unit_remove takes it away. */
static inline char *unit_temp_dir(void)
{
        const char *base = getenv("TMPDIR");
        char *dir = er_fmt("%s/errand-unit-XXXXXX", base && base[0] ? base : "/tmp");

        if (!mkdtemp(dir))
                fail_msg("cannot make %s", dir);
        return dir;
}

static inline void unit_remove(char *dir)
{
        assert_int_equal(er_rmtree(AT_FDCWD, dir, NULL, NULL), 0);
        free(dir);
}

/* A file below a directory, and what directories it takes. */
static inline void unit_put(const char *root, const char *name, const char *text)
{
        er_autofree char *path = er_path_join(root, name), *parent = er_path_dir(path);

        assert_int_equal(er_mkdir_p(AT_FDCWD, parent, 0755, NULL), 0);
        assert_int_equal(er_file_write(AT_FDCWD, path, text, strlen(text), 0644, false, NULL), 0);
}

/* What a function wrote into a string, compared and emptied. */
static inline void unit_assert_str(struct er_str *s, const char *expected)
{
        assert_string_equal(s->buf, expected);
        assert_int_equal(s->len, strlen(expected));
        er_str_reset(s);
}

#endif

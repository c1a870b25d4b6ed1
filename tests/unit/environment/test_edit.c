/* test_edit.c - packages added to the files that declare them: what was there stays as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "environment/edit.h"

/* items: separated by '|'. after NULL: it is not simple enough. */
struct sample {
        const char *before, *items, *after;
};

/* One of the editors of edit.h, as all samples of a test call it. */
typedef bool (*edit_fn)(struct er_str *text, const struct er_strv *items);

static void split(const char *items, struct er_strv *ret)
{
        struct er_sv rest = er_sv(items), item;

        while (er_sv_cut(&rest, '|', &item))
                er_strv_addn(ret, item.ptr, item.len);
}

static void expect(const struct sample *samples, size_t count, edit_fn edit)
{
        for (const struct sample *sample = samples; sample < samples + count; sample++) {
                er_auto(er_str) text = ER_STR_INIT;
                er_auto(er_strv) items = ER_STRV_INIT;
                bool done;

                er_str_add(&text, sample->before);
                split(sample->items, &items);
                done = edit(&text, &items);
                if (done != (sample->after != NULL))
                        fail_msg("%s: %s", done ? "changed" : "left", sample->before);
                assert_string_equal(text.buf, sample->after ? sample->after : sample->before);
        }
}

static bool edit_pip(struct er_str *text, const struct er_strv *items)
{
        static const char *const keys[] = {"pip", NULL};

        return er_edit_yaml(text, keys, ER_EDIT_PIP, "auto", items);
}

static void yaml(void **state)
{
        static const struct sample samples[] = {
                {"", "six", "pip: [auto, six]\n"},
                {"name: x\n", "six>=1|torch", "name: x\npip: [auto, six>=1, torch]\n"},
                {"name: x", "six", "name: x\npip: [auto, six]\n"},
                {"pip: [a, \"b[x]\"] # why\nname: x\n", "c[d]", "pip: [a, \"b[x]\", \"c[d]\"] # why\nname: x\n"},
                {"pip: [A_b==1, c]\n", "a-b>=2", "pip: [a-b>=2, c]\n"},
                {"pip: []\n", "six", "pip: [six]\n"},
                {"pip: [a, ]\n", "six", "pip: [a, six]\n"},
                {"pip:\nname: x\n", "six", "pip: [auto, six]\nname: x\n"},
                {"pip: auto # all\n", "six", "pip: [auto, six] # all\n"},
                {"pip: none\n", "six", "pip: [six]\n"},
                {"pip: numpy==1\n", "numpy", "pip: [numpy]\n"},
                {"pip:\n  - a # first\n  - b==1 # second\n\n# next\nname: x\n", "c|B>=2",
                 "pip:\n  - a # first\n  - B>=2 # second\n  - c\n\n# next\nname: x\n"},
                {"pip:\n- a\n- b\nname: x\n", "c", "pip:\n- a\n- b\n- c\nname: x\n"},
                {"pip:\n  - a", "c", "pip:\n  - a\n  - c\n"},
                {"pip: [a,\n  b]\n", "c", NULL},
                {"pip: &x [a]\n", "c", NULL},
                {"pip: |\n  a\n", "c", NULL},
                {"pip:\r\n  - a\r\nname: x\r\n", "c", "pip:\r\n  - a\r\n  - c\r\nname: x\r\n"},
                {"env: {pip: x}\n", "six", "env: {pip: x}\npip: [auto, six]\n"},
                {"environments:\n  pip:\n    pip: [a]\n", "six",
                 "environments:\n  pip:\n    pip: [a]\npip: [auto, six]\n"},
                {"pip: ['it''s']\n", "c", NULL},
        };

        (void)state;
        expect(samples, ER_LEN(samples), edit_pip);
}

static bool edit_apt_below(struct er_str *text, const struct er_strv *items)
{
        static const char *const keys[] = {"environments", "train", "apt", NULL};

        return er_edit_yaml(text, keys, ER_EDIT_APT, NULL, items);
}

static void below(void **state)
{
        static const struct sample samples[] = {
                {"environments:\n  other:\n    apt: [x]\n  train:\n    pip: [a]\n  last:\n    pip: [b]\nname: x\n",
                 "ffmpeg",
                 "environments:\n  other:\n    apt: [x]\n  train:\n    pip: [a]\n    apt: [ffmpeg]\n  last:\n    pip: "
                 "[b]\nname: x\n"},
                {"environments:\n  train:\n    apt:\n      - a\n    # more\n    pip: [c]\n", "b=1",
                 "environments:\n  train:\n    apt:\n      - a\n      - b=1\n    # more\n    pip: [c]\n"},
                {"environments: {train: {apt: [a]}}\n", "b", NULL},
                {"name: x\n", "b", NULL},
        };

        (void)state;
        expect(samples, ER_LEN(samples), edit_apt_below);
}

static bool edit_dependencies(struct er_str *text, const struct er_strv *items)
{
        static const char *const keys[] = {"dependencies", NULL};

        return er_edit_yaml(text, keys, ER_EDIT_CONDA, NULL, items);
}

static void conda_file(void **state)
{
        static const struct sample samples[] = {
                {"name: x\ndependencies:\n  - python=3.11\n  - pip:\n    - six\nchannels: [c]\n", "numpy>=1",
                 "name: x\ndependencies:\n  - python=3.11\n  - numpy>=1\n  - pip:\n    - six\nchannels: [c]\n"},
                {"dependencies:\n- a=1\n", "a=2", "dependencies:\n- a=2\n"},
        };

        (void)state;
        expect(samples, ER_LEN(samples), edit_dependencies);
}

static void requirements(void **state)
{
        static const struct sample samples[] = {
                {"", "six", "six\n"},
                {"a==1  # one\n-r b.txt\n\nc", "A>=2|d", "A>=2  # one\n-r b.txt\n\nc\nd\n"},
                {"a==1 --hash=sha256:00\n", "a==2", NULL},
                {"a==1 \\\n  --hash=sha256:00\n", "a==2", NULL},
                {"a\r\nb==1\r\n", "B==2|c", "a\r\nB==2\r\nc\r\n"},
                {"\xef\xbb\xbf"
                 "a\r\n",
                 "b",
                 "\xef\xbb\xbf"
                 "a\r\nb\r\n"},
                {"a==1 ; os_name == 'x'\na==2 ; os_name == 'y'\n", "a", NULL},
                {"a==1 ; os_name == 'x'\n", "a==2", NULL},
                {"a==1 ; os_name == 'x'\na==2 ; os_name == 'y'\n", "a==3 ; os_name == 'y'",
                 "a==1 ; os_name == 'x'\na==3 ; os_name == 'y'\n"},
                {"a==1 ; os_name == 'x'\n", "a==2 ; os_name == 'y'|b",
                 "a==1 ; os_name == 'x'\na==2 ; os_name == 'y'\nb\n"},
                {"a==1 --hash=sha256:00\n", "b", "a==1 --hash=sha256:00\nb\n"},
                {"x @ https://example.org/x.whl#sha256=00\n", "y[z]",
                 "x @ https://example.org/x.whl#sha256=00\ny[z]\n"},
        };

        (void)state;
        expect(samples, ER_LEN(samples), er_edit_requirements);
}

/* UTF-16 as PowerShell writes it, with a character beyond 16 bits in a comment. */
static void wide(void **state)
{
        static const char before[] = "\xff\xfe"
                                     "a\0=\0=\0"
                                     "1\0\r\0\n\0#\0\x3d\xd8\x00\xde\r\0\n";
        static const char after[] = "\xff\xfe"
                                    "a\0=\0=\0"
                                    "2\0\r\0\n\0#\0\x3d\xd8\x00\xde\r\0\n\0b\0\r\0\n";
        er_auto(er_str) text = ER_STR_INIT;
        er_auto(er_strv) items = ER_STRV_INIT;

        (void)state;
        er_str_addn(&text, before, sizeof before); /* the last NUL is half of the last character */
        split("a==2|b", &items);
        assert_true(er_edit_requirements(&text, &items));
        assert_int_equal(text.len, sizeof after);
        assert_memory_equal(text.buf, after, sizeof after);
}

static void pyproject(void **state)
{
        static const struct sample samples[] = {
                {"[project]\nname = \"x\"\ndependencies = [\"a\"]\n", "b>=1",
                 "[project]\nname = \"x\"\ndependencies = [\"a\", \"b>=1\"]\n"},
                {"[project]\ndependencies = []\n", "b|c", "[project]\ndependencies = [\"b\", \"c\"]\n"},
                {"[project]\ndependencies = [\n    \"a[x]\",  # why\n]\n[tool.x]\n", "b",
                 "[project]\ndependencies = [\n    \"a[x]\",  # why\n    \"b\",\n]\n[tool.x]\n"},
                {"[project]\ndependencies = [\n    \"a\",\n    \"b==1\"\n]\n", "B==2|c",
                 "[project]\ndependencies = [\n    \"a\",\n    \"B==2\",\n    \"c\",\n]\n"},
                {"[project]\r\ndependencies = [\r\n    \"a\",\r\n]\r\n", "b",
                 "[project]\r\ndependencies = [\r\n    \"a\",\r\n    \"b\",\r\n]\r\n"},
                {"[project]\ndependencies = [\"a; os_name=='x'\"]\n", "a", NULL},
                {"[tool.x]\ndependencies = []\n", "b", NULL},
                {"[project]\nname = \"x\"\n", "b", NULL},
        };

        (void)state;
        expect(samples, ER_LEN(samples), er_edit_pyproject);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(yaml),       cmocka_unit_test(below),
                                           cmocka_unit_test(conda_file), cmocka_unit_test(requirements),
                                           cmocka_unit_test(pyproject),  cmocka_unit_test(wide)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}

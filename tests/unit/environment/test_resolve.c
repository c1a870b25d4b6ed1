/* From a declaration to a recipe: which words are files, what counts for the hash, what travels. */
#include "unit.h"

#include "base/io.h"
#include "environment/declaration.h"

static char *dir;

static int setup(void **state)
{
        (void)state;
        dir = unit_temp_dir();
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        unit_remove(dir);
        return 0;
}

static const struct er_strv *command; /* of the job, for what is found in scripts */

static int resolve(const char *text, struct er_recipe *ret, struct er_err *err)
{
        er_auto(er_declaration) e = ER_DECLARATION_INIT;
        er_autoptr(er_yaml) yaml = NULL;
        const struct er_yaml_node *root;
        struct er_declaration_context context = {.project_dir = dir, .command = command};

        assert_int_equal(er_yaml_parse(text, strlen(text), "errand.yaml", &yaml, err), 0);
        root = er_yaml_root(yaml);
        for (size_t i = 0; root && i < er_yaml_count(root); i++) {
                const struct er_yaml_node *key_node, *value;
                const char *key;

                value = er_yaml_pair(root, i, &key, &key_node);
                assert_int_equal(er_declaration_take(&e, yaml, key, key_node, value, err), 0);
        }
        er_recipe_release(ret);
        return er_declaration_resolve(&e, &context, ret, err);
}

static void good(const char *text, struct er_recipe *ret)
{
        er_auto(er_err) err = ER_ERR_INIT;

        if (resolve(text, ret, &err) != 1)
                fail_msg("%s: %s", text, err.message ? err.message : "nothing is needed");
}

static const struct er_recipe_file *file_of(const struct er_recipe *recipe, const char *name)
{
        for (size_t i = 0; i < recipe->file_count; i++)
                if (er_streq(recipe->files[i].name, name))
                        return &recipe->files[i];
        return NULL;
}

static const char *text_of(const struct er_recipe *recipe, const char *name)
{
        const struct er_recipe_file *file = file_of(recipe, name);

        if (!file)
                fail_msg("there is no %s", name);
        return file ? file->data.buf : "";
}

static void assert_same(const char *a, const char *b, bool same)
{
        er_auto(er_recipe) first = ER_RECIPE_INIT;
        er_auto(er_recipe) second = ER_RECIPE_INIT;

        good(a, &first);
        good(b, &second);
        if ((memcmp(first.hash, second.hash, ER_ENV_HASH) == 0) != same)
                fail_msg("the hashes of \"%s\" and \"%s\" are %s", a, b, same ? "not the same" : "the same");
}

static void test_recipe(void **state)
{
        er_auto(er_recipe) r = ER_RECIPE_INIT;

        (void)state;
        good("pip: [NumPy>=1.2, tqdm]\napt: [ffmpeg]\nsetup: [make x, make y]\npython: '3.11'\n"
             "index_url: https://me:secret@h/simple\n",
             &r);
        assert_string_equal(r.declaration,
                            "python 3.11\napt ffmpeg\npip numpy>=1.2\npip tqdm\nindex-url https://***@h/simple\n"
                            "setup make x\nsetup make y\n");
        assert_string_equal(r.summary, "apt: ffmpeg; pip: numpy>=1.2, tqdm; python 3.11; setup: 2 lines");
        assert_string_equal(text_of(&r, "requirements.txt"), "numpy>=1.2\ntqdm\n");
        assert_string_equal(text_of(&r, "apt.txt"), "ffmpeg\n");
        assert_non_null(strstr(text_of(&r, "settings"), "index_url=https://${ERRAND_AUTH_H_"));
        assert_null(strstr(text_of(&r, "settings"), "secret"));
        assert_non_null(strstr(text_of(&r, "build.sh"), "PARTS='apt pip setup'"));
        assert_null(strstr(text_of(&r, "build.sh"), "numpy"));
}

static void test_hash(void **state)
{
        (void)state;
        unit_put(dir, "requirements.txt", "numpy\n# a comment\ntqdm >= 1\n");
        unit_put(dir, "other/reqs.txt", "tqdm>=1\nnumpy\n");
        unit_put(dir, "more.txt", "numpy\ntqdm>=2\n");
        assert_same("pip: requirements.txt\n", "pip: [numpy, tqdm>=1]\n", true);
        assert_same("pip: requirements.txt\n", "pip: other/reqs.txt\n", true);
        assert_same("pip: requirements.txt\n", "pip: more.txt\n", false);
        assert_same("pip: numpy\n", "pip: numpy\nfetch: here\n", true);
        assert_same("pip: numpy\n", "pip: numpy\npython: '3.9'\n", false);
        assert_same("setup: [a, b]\n", "setup: [b, a]\n", false);
        assert_same("apt: [a, b]\n", "apt: [b, a]\n", true);
}

static void test_files_travel(void **state)
{
        er_auto(er_recipe) r = ER_RECIPE_INIT;
        const struct er_recipe_file *file;
        er_auto(er_recipe) other = ER_RECIPE_INIT;

        (void)state;
        unit_put(dir, "wheels/a-1-py3-none-any.whl", "one");
        unit_put(dir, "wheels/readme", "not this");
        good("pip: [a]\nfind_links: wheels\n", &r);
        file = file_of(&r, "a-1-py3-none-any.whl");
        assert_true(file && file->size == 3 && er_ends(file->path, "/wheels/a-1-py3-none-any.whl"));
        assert_null(file_of(&r, "readme"));
        assert_non_null(strstr(text_of(&r, "settings"), "sent_links=1\n"));
        assert_null(strstr(r.declaration, dir));
        unit_put(dir, "wheels/a-1-py3-none-any.whl", "two");
        good("pip: [a]\nfind_links: wheels\n", &other);
        assert_memory_not_equal(r.hash, other.hash, ER_ENV_HASH);
}

static void test_names_and_directories(void **state)
{
        er_auto(er_recipe) r = ER_RECIPE_INIT;

        (void)state;
        /* A directory with the name of a package is no environment. */
        unit_put(dir, "wandb/run-1/x", "");
        good("pip: [wandb]\n", &r);
        assert_string_equal(r.declaration, "pip wandb\n");
        unit_put(dir, "venv/pyvenv.cfg", "");
        unit_put(dir, "venv/lib/python3.11/site-packages/Foo_Bar-1.2.dist-info/METADATA",
                 "Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.2+cu1\n\nName: no\n");
        unit_put(dir, "venv/lib/python3.11/site-packages/pip-23.dist-info/METADATA", "Name: pip\nVersion: 23\n");
        unit_put(dir, "venv/lib/python3.11/site-packages/g-1.dist-info/METADATA", "Name: g\nVersion: 1\n");
        unit_put(dir, "venv/lib/python3.11/site-packages/g-1.dist-info/direct_url.json",
                 "{\"url\": \"https://h/g.git\", \"vcs_info\": {\"vcs\": \"git\", \"commit_id\": \"abc\"}}");
        good("pip: venv\n", &r);
        assert_string_equal(r.declaration, "requires-python 3.11\npip foo-bar==1.2\npip g @ git+https://h/g.git@abc\n");
}

static void test_conda(void **state)
{
        er_auto(er_recipe) r = ER_RECIPE_INIT;

        (void)state;
        unit_put(dir, "environment.yml",
                 "name: x\nchannels: [conda-forge, nodefaults]\ndependencies:\n  - python=3.11\n  - numpy>=1\n"
                 "  - pip:\n    - tqdm\n    - -r r.txt\n");
        unit_put(dir, "r.txt", "rich\n");
        good("conda: environment.yml\nchannels: mine\n", &r);
        assert_string_equal(
                r.declaration,
                "channel mine\nchannel conda-forge\nconda numpy>=1\nconda python=3.11\npip rich\npip tqdm\n");
        assert_non_null(strstr(text_of(&r, "build.sh"), "PARTS='conda pip'"));
        unit_put(dir, "env/conda-meta/zlib-1.3-0.json",
                 "{\"name\": \"zlib\", \"version\": \"1.3\", \"channel\": "
                 "\"https://conda.anaconda.org/conda-forge/linux-64\"}");
        unit_put(dir, "env/lib/python3.11/site-packages/p-2.dist-info/METADATA", "Name: p\nVersion: 2\n");
        unit_put(dir, "env/lib/python3.11/site-packages/p-2.dist-info/INSTALLER", "pip\n");
        unit_put(dir, "env/lib/python3.11/site-packages/q-2.dist-info/METADATA", "Name: q\nVersion: 2\n");
        unit_put(dir, "env/lib/python3.11/site-packages/q-2.dist-info/INSTALLER", "conda\n");
        good("conda: env\n", &r);
        assert_string_equal(r.declaration, "channel conda-forge\nconda zlib=1.3\npip p==2\n");
}

static void test_lock_and_julia(void **state)
{
        er_auto(er_recipe) r = ER_RECIPE_INIT;

        (void)state;
        unit_put(dir, "pyproject.toml", "[project]\nname = \"p\"\ndependencies = [\"numpy\"]\n");
        unit_put(dir, "uv.lock", "version = 1\n");
        unit_put(dir, "Project.toml", "[deps]\n");
        good("pip: pyproject.toml\njulia: Project.toml\n", &r);
        assert_non_null(file_of(&r, "uv.lock"));
        assert_non_null(file_of(&r, "pyproject.toml"));
        assert_non_null(file_of(&r, "Project.toml"));
        assert_non_null(strstr(r.declaration, "file uv.lock "));
        assert_non_null(strstr(text_of(&r, "build.sh"), "PARTS='pip julia'"));
}

static void test_found(void **state)
{
        er_auto(er_recipe) r = ER_RECIPE_INIT;
        er_auto(er_strv) words = ER_STRV_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        er_strv_add(&words, "python3");
        er_strv_add(&words, "run.py");
        command = &words;
        unit_put(dir, "run.py", "import os, helper\n");
        unit_put(dir, "helper.py", "import json\n");
        assert_int_equal(resolve("", &r, &err), 0);
        unit_put(dir, "helper.py", "import errand_nowhere_else\n");
        good("", &r);
        assert_string_equal(r.declaration, "pip errand-nowhere-else\nfound-in scripts\n");
        assert_int_equal(resolve("pip: none\n", &r, &err), 0);
        /* What is declared is all, unless auto is among it. */
        good("pip: [six]\n", &r);
        assert_string_equal(r.declaration, "pip six\n");
        good("pip: [six, auto]\n", &r);
        assert_string_equal(r.declaration, "pip errand-nowhere-else\npip six\n");
        good("apt: git\n", &r);
        assert_string_equal(r.declaration,
                            "apt git\npip errand-nowhere-else\nfound-in scripts\n"); /* apt says nothing of Python */
        /* A script that says what it needs is believed. */
        unit_put(dir, "run.py",
                 "# /// script\n# requires-python = \">=3.9\"\n# dependencies = [\"rich>=1\"]\n# ///\nimport helper\n");
        good("", &r);
        assert_string_equal(r.declaration, "requires-python >=3.9\npip rich>=1\n");
        unit_put(dir, "run.py", "# /// script\n# dependencies = [\"rich=1\"]\n# ///\n");
        assert_int_equal(resolve("", &r, &err), -1);
        unit_assert_err(&err, ER_CONFIG, "run.py: \"rich=1\" is not a requirement");
        command = NULL;
}

static void test_nothing(void **state)
{
        er_auto(er_recipe) r = ER_RECIPE_INIT;

        (void)state;
        assert_int_equal(resolve("pip: none\n", &r, NULL), 0);
        assert_int_equal(resolve("", &r, NULL), 0);
        assert_int_equal(resolve("index_url: http://h/\n", &r, NULL), 0);
}

static void test_refused(void **state)
{
        static const struct {
                const char *text, *message;
        } cases[] = {
                {"pip: requirments.txt\n", "pip: there is no file requirments.txt"},
                {"pip: [numpy, none]\n", "none cannot be combined with"},
                {"pip: [numpy=1]\n", "pip: \"numpy=1\" is not a requirement"},
                {"pip: environment.yml\n", "is a conda file"},
                {"pip: poetry.lock\n", "is not supported"},
                {"conda: none.yml\n", "there is no file none.yml"},
                {"conda: typo.yml\n", "conda knows no key dependencis"},
                {"conda: short.yml\n", "there is no dependencies: in it"},
                {"conda: [./x]\n", "neither a package nor"},
                {"apt: [-y]\n", "is not a package name"},
                {"apt: ['a;b']\n", "is not a package name"},
                {"julia: ['a\"b']\n", "is not a package name"},
                {"pip: a\npython: 'three$'\n", "is not a version"},
                {"pip: a\nfind_links: nowhere\n", "no such directory"},
        };
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        unit_put(dir, "typo.yml", "name: x\nchannels: [c]\ndependencis: [numpy]\n");
        unit_put(dir, "short.yml", "name: x\nchannels: [c]\n");
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_recipe) r = ER_RECIPE_INIT;

                assert_int_equal(resolve(cases[i].text, &r, &err), -1);
                unit_assert_err(&err, ER_CONFIG, cases[i].message);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_recipe, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hash, setup, teardown),
                cmocka_unit_test_setup_teardown(test_files_travel, setup, teardown),
                cmocka_unit_test_setup_teardown(test_names_and_directories, setup, teardown),
                cmocka_unit_test_setup_teardown(test_conda, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lock_and_julia, setup, teardown),
                cmocka_unit_test_setup_teardown(test_found, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        };
        return UNIT_RUN(tests);
}

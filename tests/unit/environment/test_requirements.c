/* Requirement files: what pip reads is read, in one canonical form; what is wrong is named with its place. */
#include "unit.h"

#include "base/io.h"
#include "environment/requirements.h"
#include "environment/requirement.h"

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

static int read_file(const char *name, struct er_requirements *ret, struct er_err *err)
{
        er_autofree char *path = er_path_join(dir, name);
        struct er_req_origin origin = {.project_dir = dir, .dir = dir, .file = "pip"};

        return er_requirements_read(path, &origin, ret, err);
}

static void assert_list(const struct er_strv *list, const char *expected)
{
        er_auto(er_str) text = ER_STR_INIT;

        for (size_t i = 0; i < list->len; i++)
                er_str_addf(&text, "%s%s", i ? "|" : "", list->items[i]);
        assert_string_equal(text.buf, expected);
}

static void test_canonical(void **state)
{
        static const char *const pairs[][2] = {
                {"NumPy", "numpy"},
                {" Zope.Interface >= 1.0 , < 2 ", "zope-interface>=1.0,<2"},
                {"requests [Security,SOCKS] == 2.8.*", "requests[security,socks]==2.8.*"},
                {"a (>=1)", "a>=1"},
                {"a>=1 ;  python_version  <  '3.9'", "a>=1 ; python_version < '3.9'"},
                {"a==1 --hash=sha256:ab   --hash=sha256:cd", "a==1 --hash=sha256:ab --hash=sha256:cd"},
                {"a @ https://x/y.whl ; os_name=='a b'", "a @ https://x/y.whl ; os_name=='a b'"},
                {"a@git+https://x/y@main#egg=a", "a @ git+https://x/y@main#egg=a"},
                {"a===1+local", "a===1+local"},
        };
        static const char *const none[] = {"",    "-a",  "a b",     "a==",    "a=1", "[x]",
                                           "a @", "a[x", "a==1;2=", "a==1 2", "a[/]"};
        const char *why = NULL;

        (void)state;
        for (size_t i = 0; i < ER_LEN(pairs); i++) {
                er_autofree char *got = er_requirement_canonical(er_sv(pairs[i][0]), &why);

                assert_non_null(got);
                assert_string_equal(got, pairs[i][1]);
        }
        for (size_t i = 0; i < ER_LEN(none); i++)
                if (i != 8) { /* markers are the tool's to judge */
                        er_autofree char *got = er_requirement_canonical(er_sv(none[i]), &why);

                        if (got)
                                fail_msg("\"%s\" became \"%s\"", none[i], got);
                }
}

static void test_file(void **state)
{
        er_auto(er_requirements) r = ER_REQUIREMENTS_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        unit_put(dir, "requirements.txt",
                 "\xef\xbb\xbf# head\r\n-i http://127.0.0.1/simple\r\nNumPy==1.26.4  # why\n"
                 "torch \\\n   >=2 \\\n   --hash=sha256:aa \\\n   # in between ends it\n"
                 "-r sub/more.txt\n--constraint=sub/c.txt\n--no-binary :all:\n--pre\n"
                 "git+https://h/x.git@v1#egg=x ; python_version>'3'\nurl#notcomment @ https://a/b#c\n");
        unit_put(dir, "sub/more.txt", "scipy\n-r ../requirements.txt\n-rdeep.txt\n");
        unit_put(dir, "sub/deep.txt", "numpy==1.26.4\nextra\n--extra-index-url 'http://e/'\n");
        unit_put(dir, "sub/c.txt", "numpy<2\n");
        assert_int_equal(read_file("requirements.txt", &r, &err), -1);
        unit_assert_err(&err, ER_CONFIG, "requirements.txt:13: \"url#notcomment");
        assert_list(&r.items, "numpy==1.26.4|torch>=2 --hash=sha256:aa|scipy|extra|git+https://h/x.git@v1#egg=x ; "
                              "python_version>'3'");
        assert_list(&r.constraints, "numpy<2");
        assert_list(&r.options, "--no-binary :all:");
        assert_list(&r.extra_index_urls, "http://e/");
        assert_string_equal(r.index_url, "http://127.0.0.1/simple");
        assert_true(r.pre);
}

static void test_local(void **state)
{
        er_auto(er_requirements) r = ER_REQUIREMENTS_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        unit_put(dir, "wheels/foo-1.0-py3-none-any.whl", "x");
        unit_put(dir, "pyproject.toml",
                 "[project]\nname = 'me'\ndependencies = [\n  \"numpy>=1\", # c\n  'tqdm',\n]\n"
                 "requires-python = '>=3.8'\n[project.optional-dependencies]\ndev = ['pytest']\n"
                 "[project.scripts]\ntrain = 'me.train:main'\nodd = 'no function'\n'../x' = 'a:b'\n");
        unit_put(dir, "src/me/__init__.py", "");
        unit_put(dir, "lib/setup.py",
                 "from setuptools import setup\nsetup(name='l', install_requires=['six', # x\n \"attrs>2\"])\n");
        unit_put(dir, "old/setup.cfg",
                 "[metadata]\nname=o\n[options]\ninstall_requires =\n  click>7\n  # no\n  rich\npackages = find:\n");
        unit_put(dir, "r.txt",
                 "./wheels/foo-1.0-py3-none-any.whl[a] ; python_version > '3'\n-e .[dev]\n./lib\n-e old\n"
                 "foo2 @ file:wheels/foo-1.0-py3-none-any.whl\n");
        if (read_file("r.txt", &r, &err) < 0)
                fail_msg("%s", err.message);
        assert_list(
                &r.items,
                "${ERRAND_FILES}/foo-1.0-py3-none-any.whl[a] ; python_version > '3'|numpy>=1|tqdm|pytest|six|attrs>2|"
                "click>7|rich|${ERRAND_FILES}/foo-1.0-py3-none-any.whl");
        assert_list(&r.sources, "src|lib|old");
        assert_list(&r.scripts, "train=me.train:main");
        assert_int_equal(r.files.len, 1);
        assert_string_equal(r.requires_python, ">=3.8");
}

static void test_refused(void **state)
{
        static const struct {
                const char *text, *message;
        } cases[] = {
                {"a\n\nb c\n", "r.txt:3: \"b c\" is not a requirement"},
                {"-r none.txt\n", "r.txt:1: none.txt: no such file"},
                {"--frobnicate x\n", "r.txt:1: the option --frobnicate x is not supported"},
                {"-e ./nowhere\n", "no such file or directory"},
                {"./a.whl\n", "no such file"},
                {"-e /tmp\n", "is not in the project"},
                {"-r\n", "-r needs a value"},
                {"-r http://x/y.txt\n", "files at URLs are not read"},
                {"a\nsix>=1.16.*\n", "r.txt:2: \"six>=1.16.*\" is not"},
                {"six @ file:///croot/six_1644875935023/work\n", "r.txt:1: \"six @ file:///croot"},
                {"cowsay=6.1=pyhd8ed1ab_0\n", "it is a line of conda list"},
                {"pkg-resources==0.0.0\n", "Debian's pip freeze"},
                {"python>=3.9\n", "Python is no package"},
                {"-e .[none]\n", "has no extra named none"},
        };
        er_auto(er_err) err = ER_ERR_INIT;

        (void)state;
        unit_put(dir, "pyproject.toml", "[project]\nname='x'\n");
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_requirements) r = ER_REQUIREMENTS_INIT;

                unit_put(dir, "r.txt", cases[i].text);
                assert_int_equal(read_file("r.txt", &r, &err), -1);
                unit_assert_err(&err, ER_CONFIG, cases[i].message);
        }
}

static void test_poetry(void **state)
{
        er_auto(er_requirements) r = ER_REQUIREMENTS_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_req_origin origin = {.project_dir = dir, .dir = dir, .file = "pip"};

        (void)state;
        unit_put(dir, "pyproject.toml",
                 "[tool.poetry.dependencies]\npython = \"^3.8\"\na = \"^1.2.3\"\nb = \"~0.3\"\nc = \"*\"\n"
                 "d = {version = \"^0.0.3\", extras = [\"x\"]}\ne = \"1.5\"\nf = '>=2,<3'\n");
        if (er_requirements_read_project(dir, er_sv(""), &origin, &r, &err) < 0)
                fail_msg("%s", err.message);
        assert_list(&r.items, "a>=1.2.3,<2|b>=0.3,<0.4|c|d[x]>=0.0.3,<0.0.4|e==1.5|f>=2,<3");
        assert_string_equal(r.requires_python, ">=3.8,<4");
        assert_list(&r.sources, ".");
}

/* An extra that names the project means the project's own extras: never a package of that name in an index. */
static void test_own_extras(void **state)
{
        static const struct {
                const char *file, *text;
        } cases[] = {
                {"pyproject.toml", "[project.optional-dependencies]\na = ['six']\nall = ['P8[a, b]', 'rich']\n"
                                   "b = ['p8[all]']\n[project]\nname = 'p8'\ndependencies = ['click']\n"},
                {"setup.cfg", "[metadata]\nname = p8\n[options]\ninstall_requires =\n  click\n"
                              "[options.extras_require]\na =\n  six\nall =\n  p8[a]\n  rich\n"},
                {"setup.py", "from setuptools import setup\nsetup(name='p8', install_requires=['click'], "
                             "extras_require={\n'a': ['six'], 'all': ['p8[a]', 'rich']})\n"},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_requirements) r = ER_REQUIREMENTS_INIT;
                er_auto(er_err) err = ER_ERR_INIT;
                er_autofree char *sub = er_fmt("%s/p%zu", dir, i);
                struct er_req_origin origin = {.project_dir = dir, .dir = dir, .file = "pip"};

                unit_put(sub, cases[i].file, cases[i].text);
                if (er_requirements_read_project(sub, er_sv("all"), &origin, &r, &err) < 0)
                        fail_msg("%s", err.message);
                er_strv_sort(&r.items);
                assert_list(&r.items, "click|rich|six");
        }
}

/* setup.py is read only where it is plain; what is computed is refused, and nothing is made up. */
static void test_setup_py(void **state)
{
        static const struct {
                const char *text, *expected; /* ! and the beginning of what is wrong */
        } cases[] = {
                {"setup(install_requires=['six', # x\n \"attrs>2\",\n])", "six|attrs>2"},
                {"setup(install_requires=())", ""},
                {"setup(name='x')", ""},
                {"setup(ext_modules=[Extension('x', ['x.c'])], install_requires=['six'])", "six"},
                {"# install_requires=['old']\nsetup(\n  # install_requires=['older'],\n  install_requires=['six'])",
                 "six"},
                {"'''install_requires=['doc']'''\nsetup(install_requires=['six'])", "six"},
                {"setup(install_requires=['a' 'b', 'c; python_version<\"3\"'])", "ab|c ; python_version<\"3\""},
                {"reqs = [\n'six',\n]\nsetup(install_requires=reqs)", "six"},
                {"install_requires = ['six']\nsetup(\n install_requires=install_requires,\n)", "six"},
                {"a = ['six']\nsetup(install_requires=a + ['rich'])", "six|rich"},
                {"setup(install_requires=[l.strip() for l in open(\"r.txt\")])", "from-file>=1"},
                {"with open('r.txt') as f:\n    required = f.read().splitlines()\nsetup(install_requires=required)",
                 "from-file>=1"},
                {"reqs = [x for x in open('r.txt').read().split('\\n') if x and not x.startswith('#')]\n"
                 "setup(install_requires=reqs)",
                 "from-file>=1"},
                {"reqs = ['six']\nreqs.append('rich')\nsetup(install_requires=reqs)",
                 "!lib/setup.py:3: install_requires"},
                {"reqs = ['six']\nif x:\n  reqs = ['rich']\nsetup(install_requires=reqs)", "!lib/setup.py:4"},
                {"if x:\n  reqs = ['rich']\nsetup(install_requires=reqs)", "!lib/setup.py:3"},
                {"setup(\n  install_requires=read('r.txt'))", "!lib/setup.py:2"},
                {"setup(install_requires=[f'a{x}'])", "!lib/setup.py:1"},
                {"setup(install_requires=['a=={}'.format(v)])", "!lib/setup.py:1"},
                {"setup(install_requires=['a==%s' % v])", "!lib/setup.py:1"},
                {"setup(install_requires=['a'] if x else [])", "!lib/setup.py:1"},
                {"setup(install_requires=[l.split('==')[0] for l in open('r.txt')])", "!lib/setup.py:1"},
                {"kw = dict(install_requires=['a'])\nsetup(**kw)", "!lib/setup.py:2: setup(**...)"},
                {"def go():\n  k['install_requires'] = x\n  setup(y)\ninstall_requires = 3", "!lib/setup.py:4"},
                {"setup(install_requires=['a'", "!"},
        };

        (void)state;
        unit_put(dir, "lib/r.txt", "from-file>=1 # x\n");
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_requirements) r = ER_REQUIREMENTS_INIT;
                er_auto(er_err) err = ER_ERR_INIT;
                er_autofree char *sub = er_path_join(dir, "lib");
                struct er_req_origin origin = {.project_dir = dir, .dir = dir, .file = "pip"};
                int rc;

                unit_put(dir, "lib/setup.py", cases[i].text);
                rc = er_requirements_read_project(sub, er_sv(""), &origin, &r, &err);
                if (cases[i].expected[0] == '!') {
                        if (rc == 0 || !strstr(err.message, cases[i].expected + 1))
                                fail_msg("%s\nis taken, or refused with %s", cases[i].text,
                                         rc ? err.message : "nothing");
                        continue;
                }
                if (rc < 0)
                        fail_msg("%s\n%s", cases[i].text, err.message);
                assert_list(&r.items, cases[i].expected);
                assert_int_equal(r.notes.len, strstr(cases[i].text, "ext_modules") != NULL);
        }
}

/* UTF-16, as PowerShell's `>` writes it, is read as pip reads it. */
static void test_wide(void **state)
{
        static const char little[] = "\xff\xfes\0i\0x\0\r\0\n", big[] = "\xfe\xff\0s\0i\0x\0\n";
        er_autofree char *path = er_path_join(dir, "r.txt");

        (void)state;
        for (int i = 0; i < 2; i++) {
                er_auto(er_requirements) r = ER_REQUIREMENTS_INIT;
                er_auto(er_err) err = ER_ERR_INIT;

                if (er_file_write(AT_FDCWD, path, i ? big : little, i ? sizeof big - 1 : sizeof little, 0600, false,
                                  &err) < 0 ||
                    read_file("r.txt", &r, &err) < 0)
                        fail_msg("%s", err.message);
                assert_list(&r.items, "six");
        }
}

/* Dependencies that are tables: Poetry's conditions, and where uv takes something from. */
static void test_tables(void **state)
{
        static const struct {
                const char *text, *extras, *expected; /* ! and what is wrong */
        } cases[] = {
                {"[tool.poetry.dependencies]\nsix = {version=\"~1.16\", optional=true}\nb = '*'\n", "", "b"},
                {"[tool.poetry.dependencies]\nsix = {version=\"~1.16\", optional=true}\nb = '*'\n[tool.poetry.extras]\n"
                 "X = ['Six']\n",
                 "x", "six>=1.16,<1.17|b"},
                {"[tool.poetry.extras]\nx = ['six']\n[tool.poetry.dependencies.six]\noptional = true\nversion = '^1'\n",
                 "x", "six>=1,<2"},
                {"[tool.poetry.dependencies]\nsix = {version=\"*\", python=\"<3.8\"}\n", "",
                 "six ; python_version < '3.8'"},
                {"[tool.poetry.dependencies]\nsix = {version=\"*\", python=\"^3.8.1 || 2.7.*\"}\n", "",
                 "six ; python_full_version >= '3.8.1' and python_version < '4' or python_version == '2.7.*'"},
                {"[tool.poetry.dependencies]\nsix = {version=\"*\", markers=\"sys_platform=='win32'\"}\n", "",
                 "six ; sys_platform=='win32'"},
                {"[tool.poetry.dependencies]\nsix = {markers=\"a == 'b'\", python=\">=3.8\", platform='linux'}\n", "",
                 "six ; ((a == 'b') and (python_version >= '3.8')) and (sys_platform == 'linux')"},
                {"[tool.poetry.dependencies]\nsix = [\n {version='1.15', python='<3.8'},\n {python='>=3.8', "
                 "version='^1.16,!=1.17'},\n]\n",
                 "", "six==1.15 ; python_version < '3.8'|six>=1.16,<2,!=1.17 ; python_version >= '3.8'"},
                {"[tool.poetry.dependencies]\nsix = '^1 || ^2'\n", "", "!six = \"^1 || ^2\""},
                {"[tool.poetry.dependencies]\na = {git = 'https://h/a.git', tag = 'v1', extras = ['x', 'y']}\n"
                 "b = {git = 'git@h:o/b.git', subdirectory = 's'}\nc = {url = 'https://h/c.whl'}\n",
                 "", "a[x,y] @ git+https://h/a.git@v1|b @ git+ssh://git@h/o/b.git#subdirectory=s|c @ https://h/c.whl"},
                {"[project]\nname='p'\ndependencies = ['six>=1', 'rich']\n[tool.poetry.dependencies]\nsix = '^1'\n"
                 "rich = {git = 'https://h/rich'}\n",
                 "", "six>=1|rich @ git+https://h/rich"},
                {"[project]\nname='p'\ndependencies = ['Six[x]>=1 ; a == \"b\"', 'rich']\n[tool.uv.sources]\n"
                 "six = {git = 'https://h/six', rev = 'abc'}\nother = {url = 'https://h/o.whl'}\nrich = {index = "
                 "'x'}\n",
                 "", "rich|six[x] @ git+https://h/six@abc ; a == \"b\""},
                {"[tool.uv.sources]\nsix = [{url = 'https://h/1.whl', marker = \"a == '1'\"}, {marker = \"a == '2'\", "
                 "url = 'https://h/2.whl'}]\n[project]\nname='p'\ndependencies = ['six']\n",
                 "", "six @ https://h/1.whl ; a == '1'|six @ https://h/2.whl ; a == '2'"},
                {"[project]\nname='p'\ndependencies = ['six']\n[tool.uv.sources]\nsix = {workspace = true}\n", "",
                 "!six comes from the workspace"},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_requirements) r = ER_REQUIREMENTS_INIT;
                er_auto(er_err) err = ER_ERR_INIT;
                struct er_req_origin origin = {.project_dir = dir, .dir = dir, .file = "pip"};
                int rc;

                unit_put(dir, "pyproject.toml", cases[i].text);
                rc = er_requirements_read_project(dir, er_sv(cases[i].extras), &origin, &r, &err);
                if (cases[i].expected[0] == '!') {
                        if (rc == 0 || !strstr(err.message, cases[i].expected + 1))
                                fail_msg("%s\nis taken, or refused with %s", cases[i].text,
                                         rc ? err.message : "nothing");
                        continue;
                }
                if (rc < 0)
                        fail_msg("%s\n%s", cases[i].text, err.message);
                assert_list(&r.items, cases[i].expected);
        }
}

/* A source that is a directory of the project is imported from there. */
static void test_path_source(void **state)
{
        er_auto(er_requirements) r = ER_REQUIREMENTS_INIT;
        er_auto(er_err) err = ER_ERR_INIT;
        struct er_req_origin origin = {.project_dir = dir, .dir = dir, .file = "pip"};

        (void)state;
        unit_put(dir, "libs/mylib/pyproject.toml", "[project]\nname = 'mylib'\ndependencies = ['click']\n");
        unit_put(dir, "pyproject.toml",
                 "[project]\nname='p'\ndependencies = ['mylib', 'six']\n"
                 "[tool.uv.sources]\nmylib = {path = 'libs/mylib', editable = true}\n");
        if (er_requirements_read_project(dir, er_sv(""), &origin, &r, &err) < 0)
                fail_msg("%s", err.message);
        assert_list(&r.items, "six|click");
        assert_list(&r.sources, "libs/mylib|.");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_canonical),
                cmocka_unit_test_setup_teardown(test_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_local, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_poetry, setup, teardown),
                cmocka_unit_test_setup_teardown(test_wide, setup, teardown),
                cmocka_unit_test_setup_teardown(test_tables, setup, teardown),
                cmocka_unit_test_setup_teardown(test_path_source, setup, teardown),
                cmocka_unit_test_setup_teardown(test_own_extras, setup, teardown),
                cmocka_unit_test_setup_teardown(test_setup_py, setup, teardown),
        };
        return UNIT_RUN(tests);
}

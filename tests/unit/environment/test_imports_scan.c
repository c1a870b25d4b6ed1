/* The imports of one text: "LINE NAME FLAGS" for each, flags: n never, f from, g in a try, h in its handler. */
#include "unit.h"

#include "environment/imports_scan.h"

static void show(const struct er_import_scan *scan, struct er_str *out)
{
        for (size_t i = 0; i < scan->count; i++) {
                const struct er_import *item = &scan->items[i];

                er_str_addf(out, "%s%u ", i > 0 ? ", " : "", item->line);
                for (unsigned k = 0; k < item->level; k++)
                        er_str_addc(out, '.');
                er_str_add(out, scan->names.buf + item->name);
                if (item->flags & ER_IMPORT_NEVER)
                        er_str_add(out, " n");
                if (item->flags & ER_IMPORT_DECLARED)
                        er_str_add(out, " d");
                if (item->group >= 0 && scan->groups[item->group].catches)
                        er_str_add(out, item->handler ? " h" : scan->groups[item->group].raises ? "" : " g");
        }
}

static void test_python(void **state)
{
        static const struct {
                const char *text, *expected;
        } cases[] = {
                {"", ""},
                {"import a", "1 a"},
                {"\xef\xbb\xbfimport a\r\nimport b\r\n", "1 a, 2 b"},
                {"import a as b, c.d\n", "1 a, 1 c.d"},
                {"import a; import b ;x=1;import c\n", "1 a, 1 b, 1 c"},
                {"from . import x\nfrom .. import y as z\nfrom .m import n\nfrom ... p import q\n",
                 "1 .x, 2 ..y, 3 .m.n, 4 ...p.q"},
                {"from a.b import (c,\n  d as e, # f\n)\nimport g\n", "1 a.b.c, 1 a.b.d, 4 g"},
                {"from a import *\n", "1 a"},
                {"from a \\\n  import b, \\\n c\nimport d\n", "1 a.b, 1 a.c, 4 d"},
                {"'''\nimport no\n'''\nimport a\n", "4 a"},
                {"x = 'import no' # import no\n\"it's\"; import a\n", "2 a"},
                {"x = 'abc\nimport a\ny = r'\\'\nimport b\n",
                 "2 a, 4 b"}, /* a string that is not closed ends with its line */
                {"x = f\"{d['k']} {'import no'}\"\nimport a\n", "2 a"},
                {"x = (1,\n'''\n)''',\nimport_, [\n])\nimport a\n", "6 a"},
                {"foo(\nimport a\n", "2 a"}, /* a bracket that is never closed */
                {"def f():\n\timport a\n\tdef g(): import b\nclass C:\n  import c\n", "2 a, 3 b, 5 c"},
                {"important = 1\nfrom_ = 2\nimport_module = 3\nx.import_ = 4\n", ""},
                {"from __future__ import annotations\n", "1 __future__.annotations"},
                {"import\nimport 1\nimport a b\nfrom import x\nfrom a b import c\n", ""},
                {"cimport numpy\nprint 'import no'\nexec \"x\"\nimport a\n", "4 a"},
                {"x = yield\nfrom a import b\n", "2 a.b"},
                {"if x: import a\nelse: import b\n", "1 a, 2 b"},
                {"async def f():\n  async with g() as h: import a\n", "2 a"},
                {"x = {1: 2}\ny: int = 3; import a\nz[1:2]; import b\n", "2 a, 3 b"},
                {"lambda: (yield)\nimport a", "2 a"},
                /* by name */
                {"m = importlib.import_module('a.b')\nn = __import__(\"c\", x)\n", "1 a.b, 2 c"},
                {"import_module(f'a')\nimport_module('a' + b)\nimport_module('a b')\nmy_import_module('a')\n", ""},
                {"import_module('.x', __package__)\n", "1 .x"},
                {"f(g(import_module(\n  'a',\n)))\nimport b\n", "1 a, 4 b"},
                {"np = pytest.importorskip('numpy')\n", "1 numpy n"},
                /* conditions */
                {"if TYPE_CHECKING:\n  import a\nimport b\n", "2 a n, 3 b"},
                {"if typing.TYPE_CHECKING:\n  import a\nelse:\n  import b\n", "2 a n, 4 b"},
                {"if not TYPE_CHECKING: import a\n", "1 a"},
                {"if sys.platform == 'win32':\n  import a\nelif sys.platform == 'darwin':\n  import b\nelse:\n  import "
                 "c\n",
                 "2 a n, 4 b n, 6 c"},
                {"if sys.platform.startswith('linux'):\n  import a\nelse:\n  import b\n", "2 a, 4 b n"},
                {"if os.name == 'nt':\n  if x:\n    import a\n  import b\nimport c\n", "3 a n, 4 b n, 5 c"},
                {"if os.name != \"posix\": import a\n", "1 a n"},
                {"if platform.system() == 'Windows':\n\timport a\n", "2 a n"},
                {"if platform.system().lower() in ('linux', 'darwin'):\n\timport a\n", "2 a"},
                {"if sys.platform in (\"win32\", \"cygwin\"):\n\timport a\n", "2 a n"},
                {"if (sys.platform == 'win32' and\n    x): # c\n  import a\n", "3 a n"},
                {"if sys.platform == 'win32' or x:\n  import a\n", "2 a"},
                {"if sys.platform == WINDOWS:\n  import a\n", "2 a"},
                {"if sys.version_info >= (3, 8):\n  import a\nelse:\n  import b\n", "2 a, 4 b n"},
                {"if sys.version_info < (3,):\n  import a\n", "2 a n"},
                {"if sys.version_info[0] == 2: import a\nelse: import b\n", "1 a n, 2 b"},
                {"if sys.version_info >= (3, 11):\n  import a\nelse:\n  import b\n", "2 a, 4 b"},
                {"if False:\n  import a\nif 0: import b\nif True: import c\nelse: import d\n",
                 "2 a n, 3 b n, 4 c, 5 d n"},
                {"while x:\n  if TYPE_CHECKING:\n    import a\n  import b\nelse:\n  import c\n", "3 a n, 4 b, 6 c"},
                {"if __name__ == '__main__':\n  import a\n", "2 a"},
                /* try */
                {"try:\n  import a\nexcept ImportError:\n  import b\nimport c\n", "2 a g, 4 b h, 5 c"},
                {"try: import a\nexcept: import b\nelse: import c\nfinally: import d\n", "1 a g, 2 b h, 3 c g, 4 d"},
                {"try:\n  import a\nexcept ValueError:\n  import b\n", "2 a, 4 b"},
                {"try:\n  import a\nexcept (ModuleNotFoundError, OSError) as e:\n  raise X from e\n", "2 a"},
                {"try:\n  import a\nexcept ImportError:\n  if must:\n    raise\n", "2 a g"},
                {"try:\n  import a\nexcept ImportError:\n  sys.exit('no a')\n", "2 a"},
                {"with suppress(ImportError):\n  import a\nimport b\n", "2 a g, 3 b"},
                {"try:\n  import a\nexcept ImportError:\n  try:\n    import b\n  except ImportError:\n    import c\n",
                 "2 a g, 5 b g, 7 c h"},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_import_scan) scan = ER_IMPORT_SCAN_INIT;
                er_auto(er_str) shown = ER_STR_INIT;

                er_import_scan_python(cases[i].text, strlen(cases[i].text), &scan);
                show(&scan, &shown);
                if (!er_streq(shown.buf, cases[i].expected))
                        fail_msg("%s\ngives \"%s\", not \"%s\"", cases[i].text, shown.buf, cases[i].expected);
        }
}

static void test_notebook(void **state)
{
        static const char text[] =
                "{\"cells\": [\n"
                " {\"cell_type\": \"markdown\", \"source\": [\"import no\"]},\n"
                " {\"cell_type\": \"code\", \"source\": [\n"
                "  \"!pip install -q 'numpy==1.26' einops[x] ./local git+https://x/y -r r.txt # why\\n\",\n"
                "  \"%pip install timm>=0.9; echo no\\n\",\n"
                "  \"%matplotlib inline\\n\",\n"
                "  \"import a\"]},\n"
                " {\"cell_type\": \"code\", \"source\": \"%%bash\\nimport no\"},\n"
                " {\"cell_type\": \"code\", \"source\": \"%%time\\nfrom b import c\"}\n"
                "], \"metadata\": {}}";
        static const char other[] = "{\"cells\": [{\"cell_type\": \"code\", \"source\": \"import a\"}], \"metadata\": "
                                    "{\"kernelspec\": {\"language\": \"julia\"}}}";
        er_auto(er_import_scan) scan = ER_IMPORT_SCAN_INIT;
        er_auto(er_str) shown = ER_STR_INIT;

        (void)state;
        er_import_scan_notebook(text, strlen(text), &scan);
        show(&scan, &shown);
        unit_assert_str(&shown,
                        "4 numpy==1.26 d, 4 einops[x] d, 4 git+https://x/y d, 4 -r r.txt d, 5 timm>=0.9 d, 7 a, 9 b.c");
        er_import_scan_release(&scan);
        er_import_scan_notebook(other, strlen(other), &scan);
        er_import_scan_notebook("{", 1, &scan);
        er_import_scan_notebook("[1]", 3, &scan);
        assert_int_equal(scan.count, 0);
}

/* What a shell line installs; no other word of it is ever a package. */
static void test_pip_lines(void **state)
{
        static const struct {
                const char *line, *expected;
        } cases[] = {
                {"pip install -qr requirements.txt six", "-r requirements.txt|six"},
                {"pip install -Ur requirements.txt six", "-r requirements.txt|six"},
                {"pip install -qUrreq.txt six", "-r req.txt|six"},
                {"pip install -qc limits.txt six", "-c limits.txt|six"},
                {"pip install six==1.16.0 2>&1 | tail -1", "six==1.16.0"},
                {"pip install six >/dev/null 2> log.txt iniconfig &>all.txt", "six|iniconfig"},
                {"pip install six>log.txt", "six"},
                {"pip install six >> log.txt < in.txt", "six"},
                {"pip install --timeout 100 --retries 3 --progress-bar off six", "six"},
                {"pip install --timeout=100 --log x.log -q six", "six"},
                {"pip install --upgrade-strategy eager --root-user-action ignore -U six", "six"},
                {"pip install -t there --python-version 3.9 --only-binary :all: six", "six"},
                {"pip install six && pip install iniconfig", "six|iniconfig"},
                {"cd x; pip install six || pip3 install iniconfig & echo no", "six|iniconfig"},
                {"pip install git+https://h/x.git", "git+https://h/x.git"},
                {"pip install x @ git+https://h/x.git y", "x @ git+https://h/x.git|y"},
                {"pip install 'x @ git+https://h/x.git@v1' y", "x @ git+https://h/x.git@v1|y"},
                {"pip install x >= 1.0 y", "x >= 1.0|y"},
                {"pip install torch --index-url https://h/whl/cu118", "torch|-i https://h/whl/cu118"},
                {"pip install -f https://h/x.html mmcv", "-f https://h/x.html|mmcv"},
                {"pip install $PKG {name} ./x ../y . .[dev] /z 1.0 x.whl six", "six"},
                {"pip install -e . six", "six"},
                {"pip install \"six>=1\" 'a[b]<2' # no", "six>=1|a[b]<2"},
                {"pip -q --timeout 5 install six", "six"},
                {"sudo X=1 /usr/bin/python3.11 -u -m pip install six", "six"},
                {"{sys.executable} -m pip install six", "six"},
                {"uv pip install --system -p 3.11 six", "six"},
                {"uv add --group dev six", "six"},
                {"pip list | grep six", ""},
                {"pip uninstall -y six", ""},
                {"echo pip install six", ""},
                {"", ""},
                {"pip install", ""},
                {"pip install -r", ""},
                {"pip install -r https://h/r.txt", ""},
        };

        (void)state;
        for (size_t i = 0; i < ER_LEN(cases); i++) {
                er_auto(er_import_scan) scan = ER_IMPORT_SCAN_INIT;
                er_auto(er_str) shown = ER_STR_INIT;

                er_import_scan_pip(er_sv(cases[i].line), 1, &scan);
                for (size_t k = 0; k < scan.count; k++)
                        er_str_addf(&shown, "%s%s", k ? "|" : "", scan.names.buf + scan.items[k].name);
                if (!er_streq(shown.buf, cases[i].expected))
                        fail_msg("%s\ngives \"%s\", not \"%s\"", cases[i].line, shown.buf, cases[i].expected);
        }
}

static void test_notebook_shell(void **state)
{
        static const char text[] = "{\"cells\": [\n"
                                   " {\"cell_type\": \"code\", \"source\": [\n"
                                   "  \"!pip install six \\\\\\n\",\n"
                                   "  \"   iniconfig\\n\",\n"
                                   "  \"import a\"]},\n"
                                   " {\"cell_type\": \"code\", \"source\": \"%%bash\\npip install b\\nimport no\"}\n"
                                   "], \"metadata\": {}}";
        er_auto(er_import_scan) scan = ER_IMPORT_SCAN_INIT;
        er_auto(er_str) shown = ER_STR_INIT;

        (void)state;
        er_import_scan_notebook(text, strlen(text), &scan);
        show(&scan, &shown);
        unit_assert_str(&shown, "3 six d, 3 iniconfig d, 6 b d, 5 a");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_python), cmocka_unit_test(test_notebook),
                                           cmocka_unit_test(test_pip_lines), cmocka_unit_test(test_notebook_shell)};

        return UNIT_RUN(tests);
}

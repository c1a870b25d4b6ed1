/* From the scripts to the distributions: what is followed, what is local, what is installed here. */
#include "found_world.h"

#include "environment/dists.h"
#include "environment/stdlib.h"
#include "environment/requirement.h"

static char *find(const struct world *world, const char *script, bool names)
{
        er_auto(er_strv) scripts = ER_STRV_INIT;
        er_auto(er_found_list) found = ER_FOUND_LIST_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        if (script)
                er_strv_add(&scripts, script);
        if (er_imports_find(world->project, &scripts, &found, &err) < 0)
                fail_msg("%s", err.message);
        return names ? world_names(&found) : world_found(&found);
}

static void expect(const struct world *world, const char *script, const char *expected)
{
        er_autofree char *names = find(world, script, true);

        assert_string_equal(names, expected);
}

static void test_nothing_installed(void **state)
{
        struct world world = world_new();
        er_autofree char *found = NULL;

        (void)state;
        unit_put(world.project, "train.py",
                 "import os, sys, numpy as np\nimport cv2, yaml\nfrom PIL import Image\nfrom sklearn.linear_model "
                 "import Lasso\n"
                 "from google.cloud import storage\nimport google.protobuf.message\nimport azure.storage.blob\nimport "
                 "ruamel.yaml\n"
                 "import google\nimport StringIO\nimport my_own_thing\nimport _speedups\n"
                 "if TYPE_CHECKING:\n  import jaxtyping\n");
        found = find(&world, "train.py", false);
        assert_string_equal(found,
                            "azure-storage-blob azure.storage.blob train.py:7, google-cloud-storage "
                            "google.cloud.storage train.py:5, jaxtyping jaxtyping train.py:14 optional, my-own-thing "
                            "my_own_thing train.py:11, numpy numpy train.py:1, opencv-python cv2 train.py:2, pillow "
                            "PIL train.py:3, protobuf google.protobuf.message train.py:6, pyyaml yaml train.py:2, "
                            "ruamel-yaml ruamel.yaml train.py:8, scikit-learn sklearn.linear_model train.py:4");
        world_end(&world);
}

static void test_installed(void **state)
{
        struct world world = world_new();
        er_autofree char *found = NULL, *site = er_fmt("%s/lib/python3.11/site-packages", world.venv);

        (void)state;
        world_install(&world, "scikit_learn-1.3.0", "sklearn/__init__.py sklearn/linear_model/__init__.py");
        world_install(&world, "torch-2.1.0+cu118", "torch/__init__.py");
        world_install(&world, "opencv_python_headless-4.8", "cv2/__init__.py");
        world_install(&world, "Odd_Name-1.0", "thing.py");
        world_install(&world, "compiled-2", "fastmod.cpython-311-x86_64-linux-gnu.so");
        world_install(&world, "google_cloud_storage-2.1", "google/cloud/storage/__init__.py");
        world_install(&world, "protobuf-4.25.1", "google/protobuf/__init__.py google/protobuf/message.py");
        world_install(&world, "dev_thing-1.0.dev3+gabc", "devthing/__init__.py");
        /* as Debian has it */
        unit_put(site, "PyYAML-6.0.egg-info/top_level.txt", "_yaml\nyaml\n");
        unit_put(site, "yaml/__init__.py", "");
        /* from a directory */
        unit_put(site, "mylib-0.1.dist-info/RECORD", "__editable__.mylib.pth,,\n");
        unit_put(site, "mylib-0.1.dist-info/direct_url.json",
                 "{\"url\": \"file:///home/me/mylib\", \"dir_info\": {\"editable\": true}}");
        /* conda's own record of where it built the package means nothing */
        world_install(&world, "fromconda-3.1", "fromconda/__init__.py");
        unit_put(site, "fromconda-3.1.dist-info/direct_url.json",
                 "{\"url\": \"file:///home/conda/feedstock_root/x\", \"dir_info\": {}}");
        unit_put(site, "fromconda-3.1.dist-info/INSTALLER", "conda\n");
        unit_put(world.project, "a.py",
                 "from sklearn.linear_model import Lasso\nimport torch, cv2, thing, fastmod\nfrom google.cloud import "
                 "storage\n"
                 "from google.protobuf import message\nimport devthing, yaml, mylib.x, fromconda\n");
        found = find(&world, "a.py", false);
        assert_string_equal(
                found,
                "compiled==2 fastmod a.py:2, dev-thing devthing a.py:5, fromconda==3.1 fromconda a.py:5, "
                "google-cloud-storage==2.1 google.cloud.storage a.py:3, mylib mylib.x a.py:5 optional installed here "
                "from file:///home/me/mylib, not from an index, odd-name==1.0 thing a.py:2, "
                "opencv-python-headless==4.8 cv2 a.py:2, protobuf==4.25.1 google.protobuf.message a.py:4, pyyaml==6.0 "
                "yaml a.py:5, scikit-learn==1.3.0 sklearn.linear_model a.py:1, torch==2.1.0 torch a.py:2");
        world_end(&world);
}

static void test_either_of_two(void **state)
{
        static const char text[] = "try:\n  import orjson as json\nexcept ImportError:\n  import json\n"
                                   "try:\n  import cupy as xp\nexcept ImportError:\n  import numpy as xp\n"
                                   "try:\n  import tomllib\nexcept ImportError:\n  import tomli as tomllib\n"
                                   "try:\n  import wandb\nexcept ImportError:\n  wandb = None\n"
                                   "try:\n  import torch\nexcept ImportError:\n  raise SystemExit('torch is needed')\n";
        struct world world = world_new();

        (void)state;
        unit_put(world.project, "a.py", text);
        expect(&world, "a.py", "(cupy-cuda12x) numpy (orjson) tomli torch (wandb)");
        world_install(&world, "cupy_cuda11x-12.0", "cupy/__init__.py");
        world_install(&world, "wandb-0.16", "wandb/__init__.py");
        expect(&world, "a.py", "cupy-cuda11x (numpy) (orjson) tomli torch wandb");
        world_end(&world);
}

static void test_modules_of_the_project(void **state)
{
        struct world world = world_new();

        (void)state;
        unit_put(world.project, "scripts/train.py",
                 "import helper\nfrom pkg import model\nimport pkg.data.loader\nfrom space.inner import x\nimport "
                 "lay\n");
        unit_put(world.project, "scripts/helper.py", "import requests\n");
        unit_put(world.project, "pkg/__init__.py", "import click\n");
        unit_put(world.project, "pkg/model.py",
                 "from . import layers\nfrom .data import loader\nfrom .. import nothing\n");
        unit_put(world.project, "pkg/layers.py", "import einops\nfrom .model import x\n"); /* a circle */
        unit_put(world.project, "pkg/data/__init__.py", "");
        unit_put(world.project, "pkg/data/loader.py", "from ..util import f\n");
        unit_put(world.project, "pkg/util/__init__.py", "from .f import f\n");
        unit_put(world.project, "pkg/util/f.py", "import tqdm\n");
        unit_put(world.project, "pkg/unused.py", "import never_imported\n");
        unit_put(world.project, "space/inner.py", "import attr\n");
        unit_put(world.project, "src/lay/__init__.py", "import rich\n");
        expect(&world, "scripts/train.py", "attrs click einops requests rich tqdm");
        world_end(&world);
}

static void test_a_name_that_is_both(void **state)
{
        struct world world = world_new();

        (void)state;
        unit_put(world.project, "main.py", "import yaml, wandb, datasets, queue\nfrom tree.node import x\n");
        unit_put(world.project, "yaml.py", "import six\n");            /* a module beside the script: Python takes it */
        unit_put(world.project, "wandb/run-1/log.txt", "");            /* a directory of logs: Python does not */
        unit_put(world.project, "datasets/prepare.py", "import no\n"); /* no package: what is installed comes first */
        unit_put(world.project, "tree/node.py", "import regex\n");     /* but this module is only here */
        unit_put(world.project, "sub/requests.py", "");                /* not on the way */
        unit_put(world.project, "queue/x.py", "");
        expect(&world, "main.py", "datasets regex six wandb");
        unit_put(world.project, "other.py", "import requests, common_things\n");
        unit_put(world.project, "shared/common_things.py", "import zmq\n"); /* by sys.path, it must be */
        expect(&world, "other.py", "pyzmq requests");
        world_end(&world);
}

static void test_only_elsewhere(void **state)
{
        struct world world = world_new();

        (void)state;
        unit_put(
                world.project, "a.py",
                "import sys\nif sys.platform == 'win32':\n  import winlike\n  import both\nelse:\n  import unixlike\n");
        unit_put(world.project, "winlike.py", "import win32api\nimport both\n");
        unit_put(world.project, "unixlike.py", "import psutil\nimport both\n");
        unit_put(world.project, "both.py", "import numpy\n");
        expect(&world, "a.py", "numpy psutil (pywin32)");
        world_end(&world);
}

static void test_the_whole_project(void **state)
{
        struct world world = world_new();

        (void)state;
        unit_put(world.project, "a.py", "import numpy\n");
        unit_put(world.project, "deep/b/pkg/__init__.py", "");
        unit_put(world.project, "deep/b/pkg/m.py", "import pkg.other\nfrom . import other\nimport scipy\n");
        unit_put(world.project, "deep/b/pkg/other.py", "");
        unit_put(world.project, "deep/b/run.py", "import side\n");
        unit_put(world.project, "deep/b/side.py", "");
        unit_put(world.project, "n.ipynb",
                 "{\"cells\": [{\"cell_type\": \"code\", \"source\": \"!pip install Timm[x]==0.9\\nimport bs4\"}]}");
        unit_put(world.project, ".hidden/x.py", "import no\n");
        unit_put(world.project, "env2/pyvenv.cfg", "");
        unit_put(world.project, "env2/x.py", "import no\n");
        unit_put(world.project, "node_modules/x.py", "import no\n");
        expect(&world, NULL, "beautifulsoup4 numpy scipy timm");
        world_end(&world);
}

/* What a notebook's `pip install` says is kept: versions, sources, files. */
static void test_what_a_notebook_installs(void **state)
{
        struct world world = world_new();
        er_auto(er_strv) scripts = ER_STRV_INIT;
        er_auto(er_found_list) found = ER_FOUND_LIST_INIT;
        er_auto(er_str) shown = ER_STR_INIT;

        (void)state;
        unit_put(world.project, "sub/r.txt", "six\n");
        unit_put(world.project, "top.txt", "six\n");
        unit_put(world.project, "sub/n.ipynb",
                 "{\"cells\": [{\"cell_type\": \"code\", \"source\": \"import mylib\\n!pip install timm>=0.9 "
                 "git+https://h/o/mylib.git@v/1 'z @ git+https://h/z' 'b a d' -r r.txt -r top.txt -r none.txt\"}]}");
        er_strv_add(&scripts, "sub/n.ipynb");
        if (er_imports_find(world.project, &scripts, &found, NULL) < 0)
                fail();
        for (size_t i = 0; i < found.count; i++)
                er_str_addf(&shown, "%s=%s, ", found.items[i].distribution,
                            found.items[i].requirement ? found.items[i].requirement : "");
        for (size_t i = 0; i < found.options.len; i++)
                er_str_addf(&shown, "%s, ", found.options.items[i]);
        unit_assert_str(&shown, "mylib=git+https://h/o/mylib.git@v/1, timm=timm>=0.9, z=z @ git+https://h/z, -r "
                                "sub/r.txt, -r top.txt, ");
        world_end(&world);
}

/* A module that a cell writes is local; an extension is an import. */
static void test_what_a_notebook_writes(void **state)
{
        struct world world = world_new();

        (void)state;
        unit_put(world.project, "n.ipynb",
                 "{\"cells\": [{\"cell_type\": \"code\", \"source\": \"%%writefile my_mod.py\\nimport rich\"}, "
                 "{\"cell_type\": \"code\", \"source\": \"%load_ext line_profiler\\n%load_ext autoreload\\nimport "
                 "my_mod.x\"}, {\"cell_type\": \"code\", \"source\": \"%%writefile a.txt\\nimport no\"}]}");
        expect(&world, "n.ipynb", "line-profiler rich");
        world_end(&world);
}

static void test_code_and_modules_of_the_command(void **state)
{
        struct world world = world_new();

        (void)state;
        unit_put(world.project, "mine.py", "import rich\n");
        expect(&world, "-c import mine; import numpy", "numpy rich");
        expect(&world, "-m pytest", "pytest");
        unit_put(world.project, "tests/test_a.py", "import attr\nfrom azure.identity import X\n");
        unit_put(world.project, "tests/conftest.py", "from torch.utils.tensorboard import SummaryWriter\n");
        unit_put(world.project, "tests/other.py", "import no\n");
        expect(&world, "-t ", "attrs azure-identity tensorboard torch");
        expect(&world, "-t tests", "attrs azure-identity tensorboard torch");
        expect(&world, "-t test", "");
        expect(&world, "-m http.server", "");
        expect(&world, "missing.py", "");
        expect(&world, "../out.py", "");
        world_end(&world);
}

static void test_tables(void **state)
{
        const char *before = "", *import, *distribution;
        er_autofree char *name = er_distribution_name(er_sv("Foo__bar.-Baz")),
                         *guess = er_dist_guess(er_sv("airflow.providers.http.hooks"));

        (void)state;
        assert_string_equal(name, "foo-bar-baz");
        assert_string_equal(guess, "apache-airflow-providers-http");
        for (size_t i = 0; i < er_dist_table_count(); i++) {
                er_autofree char *normal = NULL;

                er_dist_table_at(i, &import, &distribution);
                assert_true(strcmp(before, import) < 0);
                normal = er_distribution_name(er_sv(distribution));
                assert_string_equal(normal, distribution);
                before = import;
        }
        before = "";
        for (size_t i = 0; i < er_stdlib_count(); i++) {
                assert_true(strcmp(before, er_stdlib_at(i)) < 0);
                before = er_stdlib_at(i);
        }
        assert_true(er_stdlib_has(ER_SV("os")) && er_stdlib_has(ER_SV("distutils")) &&
                    er_stdlib_has(ER_SV("__future__")));
        assert_false(er_stdlib_has(ER_SV("numpy")) || er_stdlib_has(ER_SV("o")) || er_stdlib_has(ER_SV("")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_installed),
                cmocka_unit_test(test_installed),
                cmocka_unit_test(test_either_of_two),
                cmocka_unit_test(test_modules_of_the_project),
                cmocka_unit_test(test_a_name_that_is_both),
                cmocka_unit_test(test_only_elsewhere),
                cmocka_unit_test(test_the_whole_project),
                cmocka_unit_test(test_what_a_notebook_installs),
                cmocka_unit_test(test_what_a_notebook_writes),
                cmocka_unit_test(test_code_and_modules_of_the_command),
                cmocka_unit_test(test_tables),
        };

        return UNIT_RUN(tests);
}

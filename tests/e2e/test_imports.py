"""What a script needs, found in its imports: `errand env` as a user types it, and side by side with pipreqs."""
import json
import re
import subprocess
import sys
import pathlib
import shutil
import zipfile

import pytest

import pipreqskit

PROJECT = {
    "train.py": "import argparse\nimport numpy as np\nimport yaml\nfrom PIL import Image\nfrom sklearn.linear_model import Lasso\n"
                "from models import net\nimport utils.io\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas\n"
                "try:\n    import cupy as xp\nexcept ImportError:\n    import numpy as xp\n",
    "models/__init__.py": "",
    "models/net.py": "import torch\nfrom . import layers\n",
    "models/layers.py": "from einops import rearrange\nimport sys\nif sys.platform == 'win32':\n    import win32api\n",
    "utils/io.py": 'import cv2\n"""\nimport nothing\n"""\nfrom bs4 import BeautifulSoup\nimport dateutil.parser\nfrom google.cloud import storage\n',
    "test/check.py": "import pytest\n",
    "setup_db.py": "import psycopg2, jwt\nfrom Crypto.Cipher import AES\nimport serial, usb.core\nfrom dotenv import load_dotenv\n",
}
# Read by hand.
REACHED = {"numpy", "pyyaml", "pillow", "scikit-learn", "torch", "einops", "opencv-python", "beautifulsoup4", "python-dateutil", "google-cloud-storage"}
OTHERS = {"pytest", "psycopg2-binary", "pyjwt", "pycryptodome", "pyserial", "pyusb", "python-dotenv"}
OPTIONAL = {"pandas", "cupy-cuda12x", "pywin32"}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def project(errand, tmp_path):
    """The project, and a Python environment where nothing is installed."""
    for name, text in PROJECT.items():
        path = errand.cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (errand.cwd / "errand.yaml").write_text("command: python train.py\n")
    (tmp_path / "env/lib/python3.11/site-packages").mkdir(parents=True)
    errand.env["VIRTUAL_ENV"] = str(tmp_path / "env")
    return errand.cwd


def found(errand, *args, cwd=None):
    rows = json.loads(errand("env", "--json", *args, cwd=cwd).ok().text)
    return {row["distribution"] for row in rows if not row["optional"]}, {row["distribution"] for row in rows if row["optional"]}


@pytest.mark.usefixtures("project")
def test_a_command_and_what_it_reaches(errand):
    assert found(errand, "python3", "-u", "train.py", "--lr", "1") == (REACHED, OPTIONAL)
    assert found(errand) == (REACHED, OPTIONAL)  # the command of errand.yaml
    assert found(errand, "train.py") == (REACHED, OPTIONAL)
    assert found(errand, "cd models && python layers.py") == ({"einops"}, {"pywin32"})
    assert found(errand, "python3", "-c", "import wandb") == ({"wandb"}, set())


def test_the_whole_project(errand, project):
    (project / "errand.yaml").unlink()
    assert found(errand) == (REACHED | OTHERS, OPTIONAL)


@pytest.mark.usefixtures("project")
def test_the_table_says_where(errand):
    text = errand("env", "python3", "train.py").ok().text
    assert re.search(r"^pillow .* PIL +train\.py:4 +no$", text, re.M), text
    assert re.search(r"^opencv-python .* cv2 +utils/io\.py:1 +no$", text, re.M), text
    assert re.search(r"^pandas .* train\.py:10 +yes$", text, re.M), text


@pytest.mark.usefixtures("project")
def test_command_without_a_script_is_reported(errand):
    assert errand("env", "make", "all").rc == 201
    assert "missing.py" in errand("env", "python3", "missing.py").said


def test_freeze_never_writes_over_a_file(errand, project):
    errand("env", "freeze").ok()
    text = (project / "requirements.txt").read_text()
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    assert {line for line in lines if line} == REACHED and "# pandas" in text
    (project / "requirements.txt").write_text("mine\n")
    refused = errand("env", "freeze")
    assert refused.rc == 207 and "--yes" in refused.said and (project / "requirements.txt").read_text() == "mine\n"
    errand("env", "freeze", "other.txt").ok()
    assert (project / "other.txt").read_text() == text
    errand("env", "freeze", "--yes").ok()
    assert (project / "requirements.txt").read_text() == text


def test_versions_are_those_installed_here(errand, project):
    site = pathlib.Path(errand.env["VIRTUAL_ENV"]) / "lib/python3.11/site-packages"
    for info, record in {"numpy-1.26.4": ["numpy/__init__.py"], "opencv_python_headless-4.9.0.80": ["cv2/__init__.py"]}.items():
        (site / f"{info}.dist-info").mkdir()
        (site / f"{info}.dist-info/RECORD").write_text("".join(f"{name},,\n" for name in record))
        for name in record:
            (site / name).parent.mkdir(exist_ok=True)
            (site / name).write_text("")
    errand("env", "freeze").ok()
    text = (project / "requirements.txt").read_text()
    assert "\nnumpy==1.26.4 " in text and "\nopencv-python-headless==4.9.0.80 " in text and "opencv-python " not in text


# ---- Side by side with pipreqs

@pytest.fixture(scope="module")
def pipreqs():
    program = pipreqskit.program()
    if not program:
        pytest.skip("there is no pipreqs to compare with (scripts/install-test-tools says why)")
    return program


def theirs(program, directory):
    with pipreqskit.Index() as index:
        done = subprocess.run(pipreqskit.arguments(program, index, directory), capture_output=True, text=True, check=True, timeout=240)
    return {normal(line.split("==")[0].strip()) for line in done.stdout.splitlines() if line.strip()}


def test_a_project_beside_pipreqs(errand, project, pipreqs):
    (project / "errand.yaml").unlink()
    needed, optional = found(errand)
    peer = theirs(pipreqs, project)
    truth = REACHED | OTHERS | OPTIONAL
    same = {"cupy": "cupy-cuda12x", "psycopg2": "psycopg2-binary"}  # the same software, built otherwise
    right = {same.get(name, name) for name in peer} & truth
    assert right <= needed | optional
    assert needed | optional == truth
    print("pipreqs misses", sorted(truth - right), "and is wrong about", sorted({same.get(name, name) for name in peer} - truth))


# What pipreqs says of these and is not so, looked up by hand: modules of the standard library, stubs that exist for type checkers only, another
# distribution's name ("attr" is not attrs), or the first part of a shared name space.
FALSE = {
    "cookiecutter": set(),
    "httpie": set(),
    "scrapy": {"-typeshed", "annotationlib", "attr", "backports-statistics", "compression", "protobuf", "zope"},
}


@pytest.mark.parametrize("name", ["cookiecutter==2.7.1", "httpie==3.2.4", "scrapy==2.19.0"])
@pytest.mark.usefixtures("project")
def test_real_projects_beside_pipreqs(errand, pipreqs, tmp_path, name):
    got = subprocess.run([str(pipreqs.parent / "pip"), "download", "-q", "--no-deps", "--disable-pip-version-check", "-d", str(tmp_path / "w"), name],
                         capture_output=True, text=True, check=False, timeout=240)
    if got.returncode:
        pytest.skip(f"{name} cannot be downloaded: {got.stderr[-200:]}")
    tree = tmp_path / "tree"
    zipfile.ZipFile(next((tmp_path / "w").glob("*.whl"))).extractall(tree)
    for info in tree.glob("*.dist-info"):
        shutil.rmtree(info)
    needed, optional = found(errand, cwd=tree)
    peer = theirs(pipreqs, tree)
    false = FALSE[name.split("==")[0]]
    assert peer, "pipreqs found nothing: it did not run"
    assert peer - false <= needed | optional
    assert not (needed | optional) & false
    stdlib = {normal(module) for module in sys.stdlib_module_names}
    assert not (needed | optional) & stdlib


def test_misspelt_script(errand):
    errand.project("work", {"train.py": "import numpy\n"})
    said = errand("env", "trian.py").ok(206).said
    assert "no such script: trian.py" in said and "did you mean train.py?" in said
    assert "did you mean errand env check?" in errand("env", "chek").ok(201).said

"""errand install: packages added to what the project declares, and set up on its hosts."""
import signal

import pytest

from envkit.fixtures import index, uv_host  # noqa: F401
from envkit.jobs import home_of, ready, run, versions
from helpers import until


def declare(errand, text):
    (errand.cwd / "errand.yaml").write_text(text)


def yaml(errand):
    return (errand.cwd / "errand.yaml").read_text()


def no_leftovers(errand):
    assert not list(errand.cwd.glob("*.errand-before"))


def test_into_a_list_that_keeps_its_layout(errand, uv_host, index):
    for version in ("1.0", "2.0"):
        index.wheel("alpha", version)
    index.wheel("beta", "1.0")
    text = f"# mine\nname: x # the name\nindex_url: {index.url}\npip:\n  - Alpha==1.0 # old\n\non: {uv_host.name}\n"
    declare(errand, text)
    done = errand("install", "beta", "alpha>=2", timeout=120).ok()
    assert "ready on box" in done.said
    assert yaml(errand) == text.replace("  - Alpha==1.0 # old\n", "  - alpha>=2 # old\n  - beta\n")
    assert len(ready(uv_host)) == 1
    asked = index.count()
    assert versions(errand, uv_host, "alpha", "beta") == {"alpha": "2.0", "beta": "1.0"}
    assert index.count() == asked, "it was ready"
    no_leftovers(errand)


def test_found_imports_are_kept_if_nothing_was_declared(errand, uv_host, index):
    index.wheel("alpha", "1.0"), index.wheel("beta", "1.0"), index.wheel("beta", "2.0")
    pip = home_of(uv_host) / ".config" / "pip" / "pip.conf"
    pip.parent.mkdir(parents=True)
    pip.write_text(f"[global]\nindex-url = {index.url}\n")
    (errand.cwd / "main.py").write_text("import alpha, beta\nimport importlib.metadata as m\nprint(m.version('alpha'), m.version('beta'))\n")
    errand("install", "beta<2", "--on", uv_host.name, timeout=120).ok()
    assert yaml(errand) == 'pip: [auto, beta<2]\n'
    assert run(errand, uv_host, "python3", "main.py").ok().text == "1.0 1.0\n"


def test_missing_package_changes_nothing(errand, uv_host, index):
    index.wheel("alpha", "1.0")
    declare(errand, f"index_url: {index.url}\npip: [alpha]\n")
    before = yaml(errand)
    failed = errand("install", "no-such-thing", "--on", uv_host.name, timeout=120)
    assert failed.rc not in (0, None) and "no-such-thing" in failed.said and "was restored" in failed.said
    assert yaml(errand) == before
    (errand.cwd / "errand.yaml").unlink()
    failed = errand("install", "no-such-thing", "--on", uv_host.name, timeout=120)
    assert failed.rc != 0 and not (errand.cwd / "errand.yaml").exists()
    no_leftovers(errand)


def test_ctrl_c_in_the_middle_leaves_the_file_as_it_was(errand, uv_host, index):
    index.wheel("alpha", "1.0")
    declare(errand, f"index_url: {index.url}\npip: [alpha]\n")
    before = yaml(errand)
    index.hold("beta")
    proc = errand.start("install", "beta", "--on", uv_host.name)
    until(lambda: yaml(errand) != before or not proc.running(), 20, "the file to be changed")
    proc.signal(signal.SIGINT)
    proc.wait(30)
    assert yaml(errand) == before
    index.release()
    until(lambda: not uv_host.find("errand-env") and not uv_host.find("build.sh"), 30, "the build to end")
    no_leftovers(errand)


@pytest.mark.parametrize("name, before, after", [
    ("requirements.txt", "alpha==1.0  # pinned\n# more\n", "alpha==1.0  # pinned\n# more\nbeta\n"),
    ("pyproject.toml", "[project]\nname = \"p\"\nversion = \"1\"\ndependencies = [\n    \"alpha==1.0\",\n]\n",
     "[project]\nname = \"p\"\nversion = \"1\"\ndependencies = [\n    \"alpha==1.0\",\n    \"beta\",\n]\n"),
])
def test_into_the_named_file(errand, uv_host, index, name, before, after):
    index.wheel("alpha", "1.0"), index.wheel("beta", "1.0")
    (errand.cwd / name).write_text(before)
    declare(errand, f"index_url: {index.url}\npip: {name}\n")
    text = yaml(errand)
    errand("install", "beta", "--on", uv_host.name, timeout=120).ok()
    assert (errand.cwd / name).read_text() == after and yaml(errand) == text
    assert versions(errand, uv_host, "alpha", "beta") == {"alpha": "1.0", "beta": "1.0"}


def test_other_managers_and_named_environments(errand):
    (errand.cwd / "main.py").write_text("print(1)\n")
    declare(errand, "command: python3 main.py\n")
    errand("install", "--apt", "ffmpeg", "--no-build").ok()
    assert yaml(errand) == "command: python3 main.py\npip: [auto]\napt: [ffmpeg]\n", "what the script imports is not lost"
    errand("install", "--julia", "DataFrames@1.6", "--no-build").ok()
    assert 'julia: ["DataFrames@1.6"]\n' in yaml(errand)
    declare(errand, "environments:\n  eval:\n    pip: [a]\n  other:\n    pip: [b]\n")
    errand("install", "c", "--environment", "eval", "--no-build").ok()
    assert yaml(errand) == "environments:\n  eval:\n    pip: [a, c]\n  other:\n    pip: [b]\n"
    assert "declares no environment" in errand("install", "c", "--environment", "evil", "--no-build").ok(202).said
    (errand.cwd / "environment.yml").write_text("dependencies:\n  - python\n  - pip:\n    - six\n")
    declare(errand, "conda: environment.yml\n")
    errand("install", "--conda", "numpy>=1.26", "--no-build").ok()
    assert (errand.cwd / "environment.yml").read_text() == "dependencies:\n  - python\n  - numpy>=1.26\n  - pip:\n    - six\n"


@pytest.mark.parametrize("files", [
    {"errand.yaml": "pip: [a,\n  b]\n"},
    {"errand.yaml": "{pip: [a]}\n"},
    {"errand.yaml": "pip: pyproject.toml\n", "pyproject.toml": "[project]\nname='x'\ndependencies=[]\n", "uv.lock": "version = 1\n"},
    {"errand.yaml": "pip: requirements.txt\n", "requirements.txt": "six==1.0 --hash=sha256:" + 64 * "0" + "\n"},
])
def test_complex_file_is_left_alone_and_reported(errand, files):
    errand.project("work", files)
    failed = errand("install", "six", "--no-build").ok(202)
    assert "six" in failed.said.splitlines()[-1]
    assert {name: (errand.cwd / name).read_text() for name in files} == files
    no_leftovers(errand)


def test_invalid_package_names(errand):
    for word in ("", "auto", "requirements.txt"):
        assert errand("install", word, "--no-build").rc == 201
    assert errand("install", "--apt", "--conda", "x").rc == 201
    declare(errand, "on: any\n")
    assert "--on" in errand("install", "six").ok(201).said
    assert not environments_here(errand)


def environments_here(errand):
    base = errand.root / "environments"
    return list(base.iterdir()) if base.is_dir() else []

"""Nothing declared: a Python command gets what its script imports."""
from envkit.fixtures import index, uv_host  # noqa: F401
from envkit.jobs import declare, ready, run

NOBODY = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple/", "PIP_INDEX_URL": "http://127.0.0.1:9/simple/"}


def test_what_the_hosts_own_python_has_is_not_installed_again(errand, uv_host):
    (errand.cwd / "train.py").write_text("import pytest, sys\nprint(pytest.__name__, sys.prefix == sys.base_prefix)\n")
    declare(errand, pip="auto", index_url=NOBODY["UV_DEFAULT_INDEX"])
    assert run(errand, uv_host, "python3", "train.py").ok().text == "pytest True\n"
    assert run(errand, uv_host, "python", "train.py").ok().text == "pytest True\n", "python is there, whatever the host calls it"
    errand("env", "check", "--on", uv_host.name).ok()
    (errand.cwd / "errand.yaml").unlink()
    assert run(errand, uv_host, "python3", "train.py").ok().text == "pytest True\n", "the same without a word in errand.yaml"


def test_missing_packages_are_installed(errand, uv_host, index):
    index.wheel("alpha", "1.0")
    (errand.cwd / "train.py").write_text("import alpha, sys\nprint(alpha.__name__, sys.prefix == sys.base_prefix)\n")
    declare(errand, index_url=index.url)
    assert run(errand, uv_host, "python3", "train.py").ok().text == "alpha False\n"
    assert len(ready(uv_host)) == 1


def test_a_script_without_imports_of_others_needs_nothing(errand, uv_host):
    (errand.cwd / "train.py").write_text("import json, os\nprint(json.dumps(1))\n")
    assert run(errand, uv_host, "python3", "train.py").ok().text == "1\n"
    assert ready(uv_host) == []


def test_none_switches_it_off(errand, uv_host):
    (errand.cwd / "train.py").write_text("try:\n    import alpha\nexcept ImportError as why:\n    print(why.name)\nimport alpha\n")
    done = run(errand, uv_host, "python3", "train.py", flags=("--pip", "none"))
    assert done.rc == 1 and done.text == "alpha\n"
    assert ready(uv_host) == []

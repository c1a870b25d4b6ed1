"""errand init: what it finds in a project, and that errand run can use it."""
import os
import subprocess

import pytest


def init(errand, files, *args):
    for name, text in files.items():
        path = errand.cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return errand("init", *args)


def dry(errand):
    return errand("run", "--dry-run", "--json").ok().json()


def yaml(errand):
    return (errand.cwd / "errand.yaml").read_text()


def test_a_script_and_what_it_imports(errand):
    done = init(errand, {
        "train.py": "import os\nimport numpy_like_thing\nimport helper\nif __name__ == '__main__':\n    open('out/metrics.json', 'w').write('{}')\n",
        "helper.py": "import yaml\n", "eval.py": "if __name__ == '__main__':\n    pass\n"}).ok()
    assert "python3 train.py" in done.said and "--dry-run" in done.said
    text = yaml(errand)
    assert "command: python3 train.py\n" in text and "\npip: auto\n" in text and "\nname: work\n" in text
    assert "pyyaml" in text.lower() and "helper.py:1" in text and "numpy-like-thing" in text.replace("_", "-")
    assert "#   - out/metrics.json" in text and "eval.py" in text
    plan = dry(errand)
    assert plan["command"] == ["python3 train.py"] and plan["project"] == "work"
    assert "errand.yaml" in {f["path"] for f in plan["files"]}


def test_nothing_is_written_over(errand):
    init(errand, {"errand.yaml": "name: mine\n", "main.py": "print(1)\n"}).ok()
    assert yaml(errand) == "name: mine\n" and (errand.cwd / ".errandignore").exists()
    (errand.cwd / "errand.yaml").unlink()
    (errand.cwd / ".errandignore").write_text("x\n")
    done = errand("init").ok()
    assert ".errandignore already exists" in done.said
    assert (errand.cwd / ".errandignore").read_text() == "x\n" and "python3 main.py" in yaml(errand)


@pytest.mark.parametrize("files, line", [
    ({"main.py": "import x\n", "requirements.txt": "six\n"}, "pip: requirements.txt"),
    ({"main.py": "", "pyproject.toml": "[project]\nname = 'p'\nversion = '1'\ndependencies = ['six']\n"}, "pip: pyproject.toml"),
    ({"main.py": "", "pyproject.toml": "[tool.black]\nline-length = 100\n", "environment.yml": "dependencies: [numpy]\n"}, "conda: environment.yml"),
    ({"main.jl": "using Test\n", "Project.toml": "[deps]\n"}, "julia: Project.toml"),
])
def test_software_that_is_declared_already(errand, files, line):
    init(errand, files).ok()
    assert f"\n{line}\n" in yaml(errand)
    dry(errand)


@pytest.mark.parametrize("files, command", [
    ({"only one.py": "print(1)\n"}, "python3 'only one.py'"),
    ({"pkg/__init__.py": "", "pkg/__main__.py": "print(1)\n"}, "python3 -m pkg"),
    ({"a.py": "x = 1\n", "b.py": "if __name__ == '__main__':\n    pass\n", "test_b.py": "if __name__ == '__main__': pass\n"}, "python3 b.py"),
    ({"src/train.py": "print(1)\n"}, "python3 src/train.py"),
    ({"run.sh": "echo\n"}, "bash run.sh"),
])
def test_the_likely_command(errand, files, command):
    init(errand, files).ok()
    assert dry(errand)["command"] == [command]


def test_no_likely_command(errand):
    done = init(errand, {"a.py": "x = 1\n", "b.py": "y = 1\n"}).ok()
    assert "# command:" in yaml(errand) and "no script" in done.said
    assert errand("run", "--dry-run", "true").ok()


def test_large_data_does_not_travel(errand):
    (errand.cwd / "my data").mkdir()
    for path in (errand.cwd / "my data" / "x.bin", errand.cwd / "[1] big!.bin"):
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 101 << 20)
    done = init(errand, {"main.py": "print(1)\n", "results/old/x": "", "wandb/run": ""}).ok()
    assert "errand data" in done.said
    ignore = (errand.cwd / ".errandignore").read_text()
    assert "/my data/\n" in ignore and "/results/\n" in ignore and "/wandb/\n" in ignore
    assert {f["path"] for f in dry(errand)["files"] if f["type"] == "file"} == {".errandignore", "errand.yaml", "main.py"}


def test_in_a_git_repository_results_stay_too(errand):
    subprocess.run(["git", "init", "-q", str(errand.cwd)], check=True)
    init(errand, {"main.py": "print(1)\n", "results/old/x": "x"}).ok()
    assert not any(f["path"].startswith("results") for f in dry(errand)["files"])
    below = errand.cwd / "sub"
    below.mkdir()
    (below / "train.py").write_text("print(2)\n")
    errand("init", cwd=below).ok()
    assert (below / "errand.yaml").exists()


def test_odd_names_of_projects(errand):
    for name in ("true", "1.0", "a: b #c", "-x"):
        project = errand.project(name, {"main.py": "print('ok')\n"})
        errand("init", cwd=project).ok()
        assert errand("run", cwd=project).ok().text == "ok\n"


def test_home_directory_is_refused(errand):
    assert "home" in errand("init", cwd=errand.home).ok(202).said
    assert not (errand.home / "errand.yaml").exists()
    errand("init", "--yes", cwd=errand.home).ok()

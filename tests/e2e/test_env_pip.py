"""Python packages: declared in every way, built once for real from an index on loopback, verified, reused."""
import os
import shutil
import subprocess

import pytest

from envkit import places, tools
from envkit.fixtures import index, real_index, uv_host  # noqa: F401
from envkit.jobs import declare, environments, home_of, ready, run, versions
from envkit.wheels import git_repository, make_wheel, source_tree


@pytest.fixture
def plain_pip(make_host):
    return places.with_pip_only(make_host)


def test_a_list_is_built_once_and_reused(errand, uv_host, index):
    index.wheel("Alpha.Pkg", "1.2", requires=["beta>=1"], extras={"more": ["gamma"]}, scripts={"alpha": "alpha_pkg:main"})
    index.wheel("beta", "1.0"), index.wheel("beta", "2.0"), index.wheel("gamma")
    declare(errand, pip=["alpha-pkg[more]", "beta<2"], index_url=index.url)
    assert run(errand, uv_host, "alpha").ok().text == "alpha_pkg 1.2\n"
    assert versions(errand, uv_host, "beta", "gamma") == {"beta": "1.0", "gamma": "1.0"}
    asked = index.count()
    assert run(errand, uv_host, "alpha").ok().text == "alpha_pkg 1.2\n"
    assert index.count() == asked, "a ready environment asks nobody"
    assert len(ready(uv_host)) == 1


def test_options_and_the_hosts_own_index(errand, uv_host, index):
    """Nothing but --pip: the index is the one that the host's pip is set up with."""
    index.wheel("alpha", "1.0"), index.wheel("beta", "2.0")
    config = home_of(uv_host) / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text(f"[global]\nindex-url = {index.url}\n")
    (errand.cwd / "requirements.txt").write_text("beta\n")
    assert versions(errand, uv_host, "alpha", "beta", flags=("--pip", "alpha", "--pip", "requirements.txt")) == {"alpha": "1.0", "beta": "2.0"}


def test_without_uv_it_is_venv_and_pip(errand, plain_pip, index):
    index.wheel("alpha", "1.2", requires=["beta"], scripts={"alpha": "alpha:main"})
    index.sdist("beta", "1.0")
    declare(errand, pip=["alpha"], index_url=index.url)
    assert run(errand, plain_pip, "alpha").ok().text == "alpha 1.2\n"
    assert run(errand, plain_pip, "pip", "--version").ok().text.startswith("pip ")


def test_uv_comes_from_the_index(errand, make_host, real_index):
    """A host that has no uv gets it once, for all environments."""
    host = make_host(home="1g")
    real_index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=real_index.url)
    assert run(errand, host, "alpha").ok().text == "alpha 1.0\n"
    assert (home_of(host) / ".errand" / "tools" / "bin" / "uv").exists()
    asked = real_index.count("/files/uv-")
    assert asked
    declare(errand, pip=["alpha==1.0"], index_url=real_index.url)
    run(errand, host, "alpha").ok()
    assert real_index.count("/files/uv-") == asked


@pytest.mark.parametrize("kind", ["uv", "pip"])
def test_a_requirements_file_with_all_that_is_in_one(errand, make_host, index, kind):
    host = places.with_uv(make_host(home="1g")) if kind == "uv" else places.with_pip_only(make_host)
    for version in ("1.0", "1.5", "2.0"):
        index.wheel("alpha", version, requires=["delta"], extras={"x": ["epsilon"]})
    for name in ("beta", "gamma", "delta", "epsilon", "windows-only"):
        index.wheel(name, "1.0"), index.wheel(name, "3.0")
    errand.project("work", {
        "requirements.txt": "# what it needs\n-r deep/more.txt\nalpha[x] >= 1.0, \\\n    < 2  # not two\n"
                            "windows-only; sys_platform == 'win32'\ngamma; python_version >= '3'\n-c deep/limits.txt\n",
        "deep/more.txt": "beta==1.0\n-r evenmore.txt\n", "deep/evenmore.txt": "gamma\n",
        "deep/limits.txt": "delta<2\nepsilon==1.0\nnever-asked-for==9\n"})
    declare(errand, pip="requirements.txt", index_url=index.url)
    assert versions(errand, host, "alpha", "beta", "gamma", "delta", "epsilon", "windows-only") == {
        "alpha": "1.5", "beta": "1.0", "gamma": "3.0", "delta": "1.0", "epsilon": "1.0", "windows-only": None}


@pytest.mark.parametrize("kind", ["uv", "pip"])
def test_hashes_are_checked(errand, make_host, index, kind):
    host = places.with_uv(make_host(home="1g")) if kind == "uv" else places.with_pip_only(make_host)
    wheel = index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    wrong = "0" * 64
    declare(errand, pip="requirements.txt", index_url=index.url)
    (errand.cwd / "requirements.txt").write_text(f"alpha==1.0 --hash=sha256:{wrong}\n")
    done = run(errand, host, "alpha")
    assert done.rc and "hash" in done.said.lower(), done
    assert errand.job()["reason"] == "environment"
    if kind == "uv":
        (errand.cwd / "requirements.txt").write_text(f"alpha==1.0 --hash=sha256:{wrong} \\\n  --hash=sha256:{index.sha256(wheel)}\n")
        assert run(errand, host, "alpha").ok().text == "alpha 1.0\n"


def test_the_project_itself(errand, uv_host, index):
    """`-e .`: the snapshot's own code is imported, with what it requires; editing it builds nothing anew."""
    index.wheel("beta", "1.0")
    errand.project("work", source_tree("mine", "0.1", requires=["beta"], scripts={"mine": "mine:main"}))
    errand.project("work", {"mine.py": "def main():\n    import beta\n    print('mine, with beta', beta.__version__)\n",
                            "requirements.txt": "-e .\n"})
    declare(errand, pip="requirements.txt", index_url=index.url)
    assert run(errand, uv_host, "python3", "-c", "import mine; mine.main()").ok().text == "mine, with beta 1.0\n"
    before = environments(uv_host)
    (errand.cwd / "mine.py").write_text("def main():\n    print('edited')\n")
    assert run(errand, uv_host, "python3", "-c", "import mine; mine.main()").ok().text == "edited\n"
    assert environments(uv_host) == before


@pytest.mark.parametrize("kind", ["uv", "pip"])
def test_a_package_from_git(errand, make_host, index, kind):
    host = places.with_uv(make_host(home="1g")) if kind == "uv" else places.with_pip_only(make_host)
    git_repository(index.directory, source_tree("fromgit", "4.2", scripts={"fromgit": "fromgit:main"}))
    (errand.cwd / "requirements.txt").write_text(f"fromgit @ git+{index.static_url}/repo.git@v1\n")
    declare(errand, pip="requirements.txt", index_url=index.url)
    assert run(errand, host, "fromgit").ok().text == "fromgit 4.2\n"


def test_pyproject_and_its_lock(errand, uv_host, index):
    index.wheel("alpha", "1.0"), index.wheel("beta", "1.0")
    (errand.cwd / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.8"\n'
                                               'dependencies = ["alpha"]\n\n[project.optional-dependencies]\nmore = ["beta"]\n')
    declare(errand, pip="pyproject.toml", index_url=index.url)
    assert versions(errand, uv_host, "alpha", "beta") == {"alpha": "1.0", "beta": None}
    subprocess.run([str(tools.uv()), "lock", "-q", "--index-url", index.url, "--no-cache"], cwd=errand.cwd, env=errand.env, check=True)
    index.wheel("alpha", "2.0")
    declare(errand, pip="uv.lock", index_url=index.url)
    assert versions(errand, uv_host, "alpha") == {"alpha": "1.0"}, "the lock says 1.0"


def test_an_existing_venv(errand, uv_host, index):
    """The root of a venv here: the host gets the same versions."""
    for version in ("1.0", "2.0"):
        index.wheel("alpha", version)
    uv, venv = str(tools.uv()), errand.home / "venv"
    subprocess.run([uv, "venv", "-q", "--python", "/usr/bin/python3", str(venv)], env=errand.env, check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", str(venv / "bin" / "python"), "--index-url", index.url, "alpha==1.0"],
                   env=errand.env, check=True)
    declare(errand, pip=str(venv), index_url=index.url)
    assert versions(errand, uv_host, "alpha") == {"alpha": "1.0"}


def test_inline_metadata_of_the_script(errand, uv_host, index):
    index.wheel("alpha", "1.0"), index.wheel("alpha", "2.0")
    (errand.cwd / "s.py").write_text('# /// script\n# requires-python = ">=3.8"\n# dependencies = [\n#   "alpha<2",\n# ]\n# ///\n'
                                     "import alpha\nprint(alpha.__version__)\n")
    declare(errand, index_url=index.url)
    assert run(errand, uv_host, "python3", "s.py").ok().text == "1.0\n"


def test_imports_are_found(errand, uv_host, index):
    """Nothing declared: what the script and the modules it reaches import."""
    for name in ("alpha", "Pillow", "never"):
        index.wheel(name, "1.0", files={"PIL/__init__.py": "ok = 1\n"} if name == "Pillow" else None)
    errand.project("work", {"train.py": "import os, helper.tools\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import never\nprint('ran')\n",
                            "helper/__init__.py": "", "helper/tools.py": "import alpha\nfrom PIL import ok\n",
                            "other.py": "import never\n"})
    declare(errand, index_url=index.url)
    assert run(errand, uv_host, "python3", "train.py").ok().text == "ran\n"
    assert index.count("/simple/never") == 0


@pytest.mark.parametrize("kind", ["uv", "pip"])
def test_a_found_name_that_the_index_lacks_is_left_out(errand, make_host, index, kind):
    """With a word before the job runs; so is what is installed and cannot be imported."""
    host = places.with_uv(make_host(home="1g")) if kind == "uv" else places.with_pip_only(make_host)
    index.wheel("alpha")
    index.wheel("opencv-python")  # without a module cv2
    errand.project("work", {"s.py": "import alpha, os\nif os.environ.get('NONE'):\n    import colab_only\n    import cv2\nprint('ran')\n"})
    declare(errand, pip="auto", index_url=index.url)
    done = run(errand, host, "python3", "s.py").ok()
    assert done.text == "ran\n"
    assert "colab-only is left out" in done.said and "s.py:3" in done.said
    assert "there is no module cv2" in done.said
    declare(errand, pip=["colab-only"], index_url=index.url)
    assert run(errand, host, "true").rc


def test_pip_is_that_of_the_environment(errand, uv_host, index):
    index.wheel("alpha", "1.0"), index.wheel("beta", "1.0")
    declare(errand, pip=["alpha"], index_url=index.url)
    line = f"pip install -q --index-url {index.url} beta && python -c 'import beta, sys; print(beta.__file__.startswith(sys.prefix))' && pip list"
    done = run(errand, uv_host, "sh", "-c", line).ok()
    assert done.text.startswith("True\n") and "alpha" in done.text
    assert "environment that jobs share" in done.said


def test_wheels_given_locally(errand, uv_host, index):
    make_wheel(errand.cwd / "dist", "alpha", "1.0", requires=["beta"], scripts={"alpha": "alpha:main"})
    make_wheel(errand.cwd / "links", "beta", "0.7")
    declare(errand, pip=["./dist/alpha-1.0-py3-none-any.whl"], find_links=["links"], index_url=index.url)
    assert run(errand, uv_host, "alpha").ok().text == "alpha 1.0\n"
    assert versions(errand, uv_host, "beta") == {"beta": "0.7"}


def test_the_content_names_it_not_the_path(errand, uv_host, index):
    index.wheel("alpha", "1.0"), index.wheel("beta", "1.0")
    errand.project("work", {"a.txt": "alpha\nbeta\n", "b/other.txt": "# the same\nbeta\nalpha\n", "c.txt": "alpha\n"})
    declare(errand, index_url=index.url)
    run(errand, uv_host, "true", flags=("--pip", "a.txt")).ok()
    asked = index.count()
    run(errand, uv_host, "true", flags=("--pip", "b/other.txt")).ok()
    run(errand, uv_host, "true", flags=("--pip", "beta", "--pip", "alpha")).ok()
    assert len(ready(uv_host)) == 1 and index.count() == asked
    run(errand, uv_host, "true", flags=("--pip", "c.txt")).ok()
    assert len(ready(uv_host)) == 2


def test_the_environment_is_not_a_file_of_the_job(errand, uv_host, index):
    index.wheel("alpha", "1.0")
    declare(errand, pip=["alpha"], index_url=index.url)
    assert run(errand, uv_host, "ls", "-A").ok().text.split() == ["errand.yaml"]
    path = run(errand, uv_host, "sh", "-c", "command -v python3; echo $VIRTUAL_ENV").ok().text.split()
    assert path[0].startswith("/root/.errand/environments/") and path[0].startswith(path[1])


def test_list_show_check_rm(errand, uv_host, index):
    index.wheel("alpha", "1.0")
    declare(errand, pip=["alpha"], index_url=index.url)
    run(errand, uv_host, "true").ok()
    (path,) = ready(uv_host)
    listed = errand("env", "list", "box").ok().text
    assert path.name[:8] in listed and "alpha" in listed
    assert "alpha" in errand("env", "show", path.name[:8], "--on", "box").ok().text
    errand("env", "check", path.name[:8], "--on", "box").ok()
    shutil.rmtree(next(path.glob("prefix/**/site-packages")) / "alpha-1.0.dist-info")
    broken = errand("env", "check", path.name[:8], "--on", "box")
    assert broken.rc and "alpha" in broken.text + broken.said
    errand("env", "rm", path.name[:8], "--on", "box").ok()
    assert environments(uv_host) == []
    run(errand, uv_host, "python3", "-c", "import alpha").ok()
    assert len(ready(uv_host)) == 1


def test_several_per_project(errand, uv_host, index):
    for version in ("1.0", "2.0"):
        index.wheel("alpha", version)
    declare(errand, index_url=index.url, environments={"old": {"pip": ["alpha==1.0"], "index_url": index.url},
                                                       "new": {"pip": ["alpha==2.0"], "index_url": index.url}})
    for name, version in (("old", "1.0"), ("new", "2.0")):
        said = run(errand, uv_host, "python3", "-c", "import alpha; print(alpha.__version__)", flags=("--environment", name)).ok()
        assert said.text.strip() == version
    assert len(ready(uv_host)) == 2


def test_setup_lines_run_in_it(errand, uv_host, index):
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=index.url, setup="mkdir -p bin\nalpha > made\nprintf '#!/bin/sh\\necho tool\\n' > bin/tool\nchmod +x bin/tool\n")
    assert run(errand, uv_host, "tool").ok().text == "tool\n"
    (path,) = ready(uv_host)
    assert (path / "prefix" / "made").read_text() == "alpha 1.0\n"


def test_on_this_machine_too(errand, index):
    tools.link(tools.uv(), errand.bin)
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=index.url)
    assert run(errand, "local", "alpha").ok().text == "alpha 1.0\n"
    assert os.listdir(errand.root / "environments")

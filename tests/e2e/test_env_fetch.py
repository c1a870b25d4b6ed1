"""Hosts without a way to the index: what they need is fetched on this side, for their platform, and sent."""
import os
import platform
import subprocess
import sys
import time

import pytest

from envkit import places, tools
from envkit.fixtures import index, island  # noqa: F401
from envkit.jobs import declare, environments, run, versions
from envkit.wheels import git_repository, source_tree


@pytest.mark.parametrize("fetch", ["here", "auto"])
def test_a_host_without_a_network_gets_its_wheels_from_here(errand, island, index, fetch):
    places.with_uv(island)
    tools.link(tools.uv(), errand.bin)
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    index.wheel("alpha", "1.0", requires=["beta", "native"], scripts={"alpha": "alpha:main"})
    index.wheel("beta", "2.0")
    index.wheel("native", "1.0", tag=f"{python}-{python}-manylinux_2_17_{platform.machine()}")
    index.wheel("native", "1.0", tag=f"{python}-{python}-macosx_11_0_universal2")
    declare(errand, pip=["alpha"], index_url=index.url, fetch=fetch)
    assert run(errand, island, "alpha").ok().text == "alpha 1.0\n"
    assert versions(errand, island, "beta", "native") == {"beta": "2.0", "native": "1.0"}
    assert len(environments(island)) == 1


@pytest.mark.parametrize("said", ["fromgit @ git+{url}", "git+{url}"])
def test_a_package_from_git_is_made_here(errand, island, index, said):
    places.with_uv(island)
    tools.link(tools.uv(), errand.bin)
    index.wheel("beta", "2.0"), index.wheel("alpha", "1.0")
    git_repository(index.directory, source_tree("fromgit", "4.2", requires=["beta"], scripts={"fromgit": "fromgit:main"}))
    (errand.cwd / "requirements.txt").write_text(said.format(url=f"{index.static_url}/repo.git@v1") + "\nalpha\n")
    declare(errand, pip="requirements.txt", index_url=index.url, fetch="here")
    assert run(errand, island, "fromgit").ok().text == "fromgit 4.2\n"
    assert versions(errand, island, "alpha", "beta", "fromgit") == {"alpha": "1.0", "beta": "2.0", "fromgit": "4.2"}
    errand("env", "check", environments(island)[0].name[:8], "--on", "island").ok()


def test_a_lock_with_a_package_from_git(errand, island, index):
    places.with_uv(island)
    tools.link(tools.uv(), errand.bin)
    index.wheel("alpha", "1.0")
    git_repository(index.directory, source_tree("fromgit", "4.2", scripts={"fromgit": "fromgit:main"}))
    (errand.cwd / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.8"\ndependencies = ["alpha", "fromgit"]\n\n'
                                               f'[tool.uv.sources]\nfromgit = {{ git = "{index.static_url}/repo.git", tag = "v1" }}\n')
    subprocess.run([str(tools.uv()), "lock", "-q", "--index-url", index.url, "--no-cache"], cwd=errand.cwd, env=errand.env, check=True)
    declare(errand, pip="uv.lock", index_url=index.url, fetch="here")
    assert run(errand, island, "fromgit").ok().text == "fromgit 4.2\n"
    assert versions(errand, island, "alpha") == {"alpha": "1.0"}


def test_without_uv_on_either_side(errand, make_host, index):
    """pip downloads here, venv and pip install there."""
    island = places.make_isolated(make_host, errand, more="SetEnv ERRAND_UV=none")
    index.wheel("alpha", "1.0", requires=["beta"], scripts={"alpha": "alpha:main"})
    index.wheel("beta", "2.0")
    declare(errand, pip=["alpha"], index_url=index.url, fetch="here")
    assert run(errand, island, "alpha", env={"ERRAND_UV": "none"}).ok().text == "alpha 1.0\n"


def test_a_package_that_is_not_in_the_index_is_said_in_the_same_words(errand, island, index):
    places.with_uv(island)
    tools.link(tools.uv(), errand.bin)
    index.wheel("scikit-learn")
    declare(errand, pip=["scikit-lern"], index_url=index.url, fetch="here")
    done = run(errand, island, "true")
    assert done.rc and "scikit-lern" in done.said and "scikit-learn" in done.said.replace("scikit-lern", ""), done


def test_several_jobs_fetch_at_the_same_time(errand, island, index):
    places.with_uv(island)
    tools.link(tools.uv(), errand.bin)
    names = [f"part{n}" for n in range(12)]
    for name in names:
        index.wheel(name, "1.0", files={f"{name}_data/data.bin": bytes(200_000)})
    index.wheel("alpha", "1.0", requires=names, scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=index.url)
    jobs = [errand.start("run", "--quiet", "--on", "island", "--", "alpha") for _ in range(6)]
    for job in jobs:
        assert job.wait(120).ok().text == "alpha 1.0\n"


def test_what_was_fetched_goes_when_it_is_old(errand, island, index):
    places.with_uv(island)
    tools.link(tools.uv(), errand.bin)
    index.wheel("big", "1.0", files={"big_data/data.bin": os.urandom(500_000)})
    index.wheel("alpha", "1.0", requires=["big"], scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=index.url, fetch="here")
    run(errand, island, "alpha").ok()
    (kept,) = [path for path in (errand.home / ".cache" / "errand" / "wheels").iterdir() if path.is_dir()]
    errand("gc").ok()
    assert kept.is_dir(), "it is fresh"
    long_ago = time.time() - 31 * 24 * 3600
    os.utime(kept, (long_ago, long_ago))
    assert "KB would be freed" in errand("gc", "--dry-run").ok().said and kept.is_dir()
    errand("gc").ok()
    assert not kept.exists()
    errand("env", "rm", environments(island)[0].name[:8], "--on", "island").ok()
    assert run(errand, island, "alpha").ok().text == "alpha 1.0\n", "it is fetched again"

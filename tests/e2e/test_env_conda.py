"""conda packages from a channel the test made, solved and installed by a real solver (py-rattler in micromamba's place)."""
import json

from envkit.fixtures import channel, conda_host, index  # noqa: F401
from envkit.jobs import declare, environments, failed, ready, run


def test_packages_and_what_they_depend_on(errand, conda_host, channel):
    channel.package("lib", "1.2"), channel.package("lib", "0.9")
    channel.package("tool", "2.0", depends=["lib >=1"])
    declare(errand, conda=["tool"], channels=[channel.url])
    assert run(errand, conda_host, "sh", "-c", "tool && lib && echo $CONDA_PREFIX").ok().text.startswith("tool 2.0\nlib 1.2\n/root/.errand/")
    run(errand, conda_host, "tool").ok()
    assert len(ready(conda_host)) == 1


def test_an_environment_yml_with_pip_inside(errand, conda_host, channel, index):
    channel.python()
    channel.package("tool", "1.0"), channel.package("tool", "2.0")
    index.wheel("alpha", "1.0", requires=["beta"]), index.wheel("beta", "3.0")
    (errand.cwd / "environment.yml").write_text(
        f"name: mine\nchannels:\n  - {channel.url}\ndependencies:\n  - python\n  - pip\n  - tool=1.0\n  - pip:\n    - alpha\n")
    declare(errand, conda="environment.yml", index_url=index.url)
    code = "import alpha, beta, sys; print(alpha.__version__, beta.__version__, sys.prefix)"
    said = run(errand, conda_host, "sh", "-c", f"tool; python3 -c '{code}'").ok().text
    assert said.startswith("tool 1.0\n1.0 3.0 /root/.errand/environments/"), said


def test_conda_and_pip_beside_each_other(errand, conda_host, channel, index):
    version = channel.python()
    index.wheel("alpha", "1.0")
    declare(errand, conda=["python"], channels=[channel.url], pip=["alpha"], index_url=index.url)
    said = run(errand, conda_host, "python", "-c", "import alpha, platform; print(alpha.__version__, platform.python_version())").ok()
    assert said.text.split() == ["1.0", version]


def test_an_existing_conda_environment(errand, conda_host, channel):
    """The root of one here: its packages, in its versions."""
    channel.package("tool", "1.0"), channel.package("tool", "2.0")
    root = errand.home / "conda-env"
    (root / "conda-meta").mkdir(parents=True)
    (root / "conda-meta" / "history").write_text("")
    (root / "conda-meta" / "tool-1.0-0.json").write_text(json.dumps(
        {"name": "tool", "version": "1.0", "build": "0", "build_number": 0, "channel": channel.url, "subdir": "noarch",
         "url": f"{channel.url}/noarch/tool-1.0-0.tar.bz2", "fn": "tool-1.0-0.tar.bz2"}))
    declare(errand, conda=str(root), channels=[channel.url])
    assert run(errand, conda_host, "tool").ok().text == "tool 1.0\n"


def test_a_package_that_does_not_exist(errand, conda_host, channel):
    channel.package("tool", "1.0")
    declare(errand, conda=["toool"], channels=[channel.url])
    done = run(errand, conda_host, "true")
    failed(done, errand, "toool")
    assert ready(conda_host) == []


def test_a_conflict(errand, conda_host, channel):
    channel.package("lib", "1.0"), channel.package("lib", "2.0")
    channel.package("left", "1.0", depends=["lib <2"]), channel.package("right", "1.0", depends=["lib >=2"])
    declare(errand, conda=["left", "right"], channels=[channel.url])
    row = failed(run(errand, conda_host, "true"), errand, "lib")
    assert "libmamba" not in row["detail"].splitlines()[0]


def test_what_is_damaged_is_found(errand, conda_host, channel):
    channel.package("tool", "2.0")
    declare(errand, conda=["tool"], channels=[channel.url])
    run(errand, conda_host, "tool").ok()
    (path,) = environments(conda_host)
    errand("env", "check", path.name[:8], "--on", "box").ok()
    for record in path.glob("prefix/**/conda-meta/tool-*.json"):
        record.unlink()
    broken = errand("env", "check", path.name[:8], "--on", "box")
    assert broken.rc and "tool" in broken.text + broken.said

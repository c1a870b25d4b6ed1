"""Julia against a recorded stand-in (envkit/julia.py): there is no Julia to be had for these tests, so what is tested is what
errand asks and how it understands the answers."""
import pytest

from envkit import julia
from envkit.jobs import declare, environments, failed, ready, run

REGISTRY = {"DataFrames": ["1.5.0", "1.6.1"], "Example": ["0.5.3", "0.5.5"], "Plots": ["1.40.0"]}


@pytest.fixture
def julia_host(make_host):
    host = make_host()
    julia.install(host.local_bin, REGISTRY)
    return host


def test_a_list_with_a_version(errand, julia_host):
    (errand.cwd / "main.jl").write_text('using DataFrames, Example\nprintln("ran")\n')
    declare(errand, julia=["DataFrames@1.5", "Example"])
    assert run(errand, julia_host, "julia", "main.jl").ok().text == "ran\n"
    (path,) = ready(julia_host)
    assert 'DataFrames = "1.5.0"' in (path / "prefix" / "julia" / "Manifest.toml").read_text()
    errand("env", "check", path.name[:8], "--on", "box").ok()


def test_a_project_file(errand, julia_host):
    errand.project("work", {"Project.toml": '[deps]\nExample = "00000000-0000-0000-0000-000000000000"\n\n[compat]\nExample = "0.5.3"\n',
                            "main.jl": 'using Example\nprintln("ran")\n'})
    declare(errand, julia="Project.toml")
    assert run(errand, julia_host, "julia", "main.jl").ok().text == "ran\n"


def test_what_a_script_uses_is_found(errand, julia_host):
    errand.project("work", {"main.jl": 'using Plots\nusing Statistics\nprintln("ran")\n'})
    assert run(errand, julia_host, "julia", "main.jl").ok().text == "ran\n"
    assert len(ready(julia_host)) == 1


def test_a_package_that_does_not_exist(errand, julia_host):
    declare(errand, julia=["DataFrame"])
    done = run(errand, julia_host, "true")
    failed(done, errand, "DataFrame")
    assert "DataFrames" in done.said and ready(julia_host) == []


def test_a_version_that_does_not_exist(errand, julia_host):
    declare(errand, julia=["Example@9.0"])
    failed(run(errand, julia_host, "true"), errand, "Example")


def test_what_is_gone_is_found(errand, julia_host):
    declare(errand, julia=["Example"])
    run(errand, julia_host, "true").ok()
    (path,) = environments(julia_host)
    (path / "prefix" / "julia" / "Project.toml").write_text("[deps]\n")
    broken = errand("env", "check", path.name[:8], "--on", "box")
    assert broken.rc == 1 and "Example" in broken.text + broken.said

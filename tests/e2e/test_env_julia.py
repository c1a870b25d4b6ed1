"""Julia. What is asked of every Julia runs against both of what there is: Julia 1.5.3 itself with a registry of packages made
here (envkit/julia_registry.py; skipped where it cannot be had), and a stand-in that answers as 1.10 does by its
sources (envkit/julia.py), whose messages differ. The tests below that are of Julia itself alone."""
import pytest

from envkit import julia, julia_registry, places
from envkit.jobs import declare, environments, failed, home_of, ready, run
from envkit.julia_registry import ask, uuid_of

PACKAGES = {"DataFrames": ["1.5.0", "1.6.1"], "Example": ["0.5.3", "0.5.5"], "Plots": ["1.40.0"]}


@pytest.fixture
def registry(errand):
    """A registry with PACKAGES in it."""
    made = julia_registry.Registry(errand.base / "julia")
    for name, versions in PACKAGES.items():
        for version in versions:
            made.package(name, version)
    made.publish()
    return made


@pytest.fixture
def real_host(make_host, registry):
    """A host with Julia itself, whose user knows that registry."""
    host = julia_registry.install(make_host(home="1g"))
    registry.known_to(host)
    return host


@pytest.fixture(params=["julia", "stand-in"])
def julia_host(request):
    if request.param == "julia":
        return request.getfixturevalue("real_host")
    host = request.getfixturevalue("make_host")()
    julia.install(host.local_bin, PACKAGES)
    return host


def project_file(*names, **compat):
    text = "[deps]\n" + "".join(f'{name} = "{uuid_of(name)}"\n' for name in names)
    return text + "\n[compat]\n" + "".join(f'{name} = "{wanted}"\n' for name, wanted in compat.items())


def check(errand, path):
    return errand("env", "check", path.name[:8], "--on", "box")


def test_a_list_with_a_version(errand, julia_host):
    (errand.cwd / "main.jl").write_text('using DataFrames, Example\nprintln("ran")\n')
    declare(errand, julia=["DataFrames@1.5", "Example"])
    assert run(errand, julia_host, "julia", "main.jl").ok().text == "ran\n"
    (path,) = ready(julia_host)
    manifest = (path / "prefix" / "julia" / "Manifest.toml").read_text()
    assert '"1.5.0"' in manifest and '"0.5.5"' in manifest
    check(errand, path).ok()


def test_a_project_file(errand, julia_host):
    errand.project("work", {"Project.toml": project_file("Example", Example="=0.5.3"), "main.jl": 'using Example\nprintln("ran")\n'})
    declare(errand, julia="Project.toml")
    assert run(errand, julia_host, "julia", "main.jl").ok().text == "ran\n"
    (path,) = ready(julia_host)
    assert '"0.5.3"' in (path / "prefix" / "julia" / "Manifest.toml").read_text()


def test_what_a_script_uses_is_found(errand, julia_host):
    errand.project("work", {"main.jl": 'using Plots\nusing Statistics\nprintln("ran")\n'})
    assert run(errand, julia_host, "julia", "main.jl").ok().text == "ran\n"
    assert len(ready(julia_host)) == 1


def test_a_package_that_does_not_exist(errand, julia_host):
    declare(errand, julia=["DataFrame"])
    done = run(errand, julia_host, "true")
    failed(done, errand, "DataFrame: there is no such package")
    assert "did you mean DataFrames?" in done.said and ready(julia_host) == []


def test_a_version_that_does_not_exist(errand, julia_host):
    declare(errand, julia=["Example@9.0"])
    done = run(errand, julia_host, "true")
    failed(done, errand, "Example: restricted to versions 9.0")
    assert "possible versions of Example are " in done.said


def test_what_is_gone_is_found(errand, julia_host):
    declare(errand, julia=["Example"])
    run(errand, julia_host, "true").ok()
    (path,) = environments(julia_host)
    (path / "prefix" / "julia" / "Project.toml").write_text("[deps]\n")
    broken = check(errand, path)
    assert broken.rc == 1 and "Example is not installed" in broken.text + broken.said


# ---- Julia itself

def test_a_manifest_is_kept_to(errand, real_host, registry):
    """Also when a registry must be asked anew for what it names."""
    tree = registry.packages["Example"][0][1]
    registry.package("Late", "0.1.0")
    registry.publish()  # the host's copy of the registry does not know it
    late = registry.packages["Late"][0][1]
    manifest = "".join(f'[[{name}]]\ngit-tree-sha1 = "{tree}"\nuuid = "{uuid_of(name)}"\nversion = "{version}"\n\n'
                       for name, version, tree in (("Example", "0.5.3", tree), ("Late", "0.1.0", late)))
    errand.project("work", {"Project.toml": project_file("Example", "Late"), "Manifest.toml": manifest,
                            "main.jl": "using Example, Late\nprint(Example.version(), Late.version())\n"})
    declare(errand, julia="Project.toml")
    assert run(errand, real_host, "julia", "main.jl").ok().text == "0.5.30.1.0"


def test_a_manifest_of_a_newer_julia(errand, real_host, registry):
    """Unless there is another one, for this Julia."""
    manifest = f'julia_version = "1.10.10"\nmanifest_format = "2.0"\n\n[[deps.Example]]\nuuid = "{uuid_of("Example")}"\nversion = "0.5.3"\n'
    errand.project("work", {"Project.toml": project_file("Example"), "Manifest.toml": manifest})
    declare(errand, julia="Project.toml")
    failed(run(errand, real_host, "true"), errand, "Manifest.toml was written by a newer Julia than this host's 1.5.3")
    tree = registry.packages["Example"][0][1]
    (errand.cwd / "Manifest-v1.5.toml").write_text(f'[[Example]]\ngit-tree-sha1 = "{tree}"\nuuid = "{uuid_of("Example")}"\nversion = "0.5.3"\n')
    (errand.cwd / "main.jl").write_text("using Example\nprint(Example.version())\n")
    assert run(errand, real_host, "julia", "main.jl").ok().text == "0.5.3"


def test_a_project_that_is_a_package_itself(errand, real_host):
    own = f'name = "Own"\nuuid = "{uuid_of("Own")}"\nversion = "0.1.0"\n\n' + project_file("Example")
    errand.project("work", {"Project.toml": own, "src/Own.jl": "module Own\nusing Example\nf() = Example.version()\nend\n",
                            "main.jl": "using Own\nprint(Own.f())\n"})
    declare(errand, julia="Project.toml")
    assert run(errand, real_host, "julia", "main.jl").ok().text == "0.5.5"
    assert run(errand, real_host, "julia", "--project=.", "main.jl").ok().text == "0.5.5"


def test_a_package_by_its_place(errand, real_host):
    manifest = f'[[Own]]\npath = "own"\nuuid = "{uuid_of("Own")}"\nversion = "0.1.0"\n'
    errand.project("work", {"Project.toml": project_file("Own"), "Manifest.toml": manifest, "own/src/Own.jl": "module Own\nend\n"})
    declare(errand, julia="Project.toml")
    failed(run(errand, real_host, "true"), errand, "Own is not in ", "do not travel")


def test_what_comes_with_julia_may_be_declared(errand, real_host):
    (errand.cwd / "main.jl").write_text("using Statistics\nprint(mean([1, 3]))\n")
    declare(errand, julia=["Statistics"])
    assert run(errand, real_host, "julia", "main.jl").ok().text == "2.0"
    check(errand, ready(real_host)[0]).ok()


def test_a_registry_of_the_users_is_brought_up_to_date(errand, real_host, registry):
    registry.package("Example", "0.6.0")
    registry.publish()
    declare(errand, julia=["Example@0.6"])
    run(errand, real_host, "true").ok()


def test_the_users_depot_may_be_elsewhere(errand, make_host, registry):
    host = julia_registry.install(make_host(home="1g", more="SetEnv JULIA_DEPOT_PATH=/root/elsewhere"))
    registry.known_to(host)
    host.sh("mv ~/.julia ~/elsewhere && mkdir ~/elsewhere/servers")  # where Pkg keeps that one has signed in to a server
    declare(errand, julia=["Example"])
    run(errand, host, "true").ok()
    (depot,) = home_of(host).glob(".errand/**/julia-depot")
    assert str((depot / "servers").readlink()) == "/root/elsewhere/servers"


def test_what_the_user_has_for_himself_is_not_in_the_environment(errand, real_host):
    ask(real_host, 'using Pkg; Pkg.add("Plots")')
    (errand.cwd / "main.jl").write_text("using Plots\n")
    declare(errand, julia=["Example"])
    done = run(errand, real_host, "julia", "main.jl")
    assert done.rc == 1 and "Plots not found" in done.text + done.said


def test_what_lies_in_the_users_depot_is_used_and_stays(errand, real_host, registry):
    """Without a way to where it came from; and the user's Julia does not clear it away when nothing of the user's needs it."""
    ask(real_host, 'using Pkg; Pkg.add("Example"); Pkg.rm("Example")')
    registry.repository("Example").rename(registry.repository("Gone"))
    (errand.cwd / "main.jl").write_text("using Example\nprint(Example.version())\n")
    declare(errand, julia=["Example"])
    assert run(errand, real_host, "julia", "main.jl").ok().text == "0.5.5"
    packages = home_of(real_host) / ".julia" / "packages"
    ask(real_host, "using Pkg, Dates; Pkg.gc(collect_delay=Day(0))")
    assert [path.name for path in packages.iterdir()] == ["Example"]
    (path,) = environments(real_host)
    check(errand, path).ok()
    for found in packages.glob("Example/*"):
        found.rename(packages / "elsewhere")
    broken = check(errand, path)
    assert broken.rc == 1 and "it has been removed" in broken.text + broken.said


def test_a_package_that_only_compiles_where_it_runs(errand, real_host, registry):
    registry.package("Picky", "1.0.0", source='haskey(ENV, "DISPLAY") || error("no display")')
    registry.publish()
    (errand.cwd / "main.jl").write_text("using Picky\nprint(Picky.version())\n")
    declare(errand, julia=["Picky", "Example"])
    done = run(errand, real_host, "julia", "main.jl")
    assert done.rc == 1 and "no display" in done.text + done.said
    assert list(home_of(real_host).glob(".errand/**/compiled/v1.5/Example/*.ji"))
    assert run(errand, real_host, "julia", "main.jl", flags=["--env", "DISPLAY=:0"]).ok().text == "1.0.0"


def test_packages_that_cannot_be_together(errand, real_host, registry):
    registry.package("Old", "1.0.0", Example="0.5.3")
    registry.publish()
    declare(errand, julia=["Old", "Example@0.5.5"])
    failed(run(errand, real_host, "true"), errand, "Old: restricted by compatibility requirements with Example",
           "Example: restricted to versions 0.5.5 by an explicit requirement")


def test_a_registry_that_cannot_be_reached(errand, make_host):
    host = julia_registry.install(places.make_isolated(make_host, errand, home="1g", more="SetEnv JULIA_PKG_SERVER=http://127.0.0.1:1"))
    declare(errand, julia=["Example"])
    failed(run(errand, host, "true"), errand, "this host cannot reach Julia's registry")


def test_a_package_that_cannot_be_had(errand, real_host, registry):
    registry.repository("Example").rename(registry.repository("Gone"))
    declare(errand, julia=["Example"])
    failed(run(errand, real_host, "true"), errand, "this host cannot reach Julia's registry: failed to clone from /")


def test_only_julia_comes_with_julia(errand, real_host):
    """What lies beside it does not come before what else was asked for."""
    places.with_uv(real_host)
    errand.program("python3", "#!/bin/sh\necho beside julia\n", real_host.local_bin)
    declare(errand, python="3", julia=["Example"])
    assert "/environments/" in run(errand, real_host, "sh", "-c", "command -v python3").ok().text

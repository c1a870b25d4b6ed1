"""What goes wrong while an environment is made, and what is left of it: nothing that is half built."""
import os
import signal

import pytest

from envkit import places
from envkit.fixtures import channel, conda_host, index, island, uv_host  # noqa: F401
from envkit.jobs import declare, environments, failed, home_of, ready, run
from envkit.wheels import make_wheel
from helpers import end_process, is_alive, read_proc, until


@pytest.fixture(params=["uv", "pip"])
def either(request, make_host):
    """A host that builds with uv, and one that builds with venv and pip."""
    return places.with_uv(make_host(home="1g")) if request.param == "uv" else places.with_pip_only(make_host)


def test_no_network_on_the_host(errand, island, index):
    places.with_uv(island)
    index.wheel("alpha")
    declare(errand, pip=["alpha"], index_url=index.url, fetch="host")
    done = run(errand, island, "true")
    failed(done, errand, "cannot reach")
    assert "fetch: here" in done.said
    assert ready(island) == []


def test_a_package_that_does_not_exist_names_near_ones(errand, either, index):
    for name in ("scikit-learn", "scikit-image", "torch"):
        index.wheel(name)
    declare(errand, pip=["scikit-lern"], index_url=index.url)
    done = run(errand, either, "true")
    failed(done, errand, "scikit-lern")
    assert "scikit-learn" in done.said.replace("scikit-lern", "")
    assert ready(either) == []


def test_a_version_that_does_not_exist(errand, either, index):
    index.wheel("alpha", "1.0"), index.wheel("alpha", "1.1")
    declare(errand, pip=["alpha==7.0"], index_url=index.url)
    failed(run(errand, either, "true"), errand, "alpha", "7.0")


def test_a_conflict(errand, either, index):
    index.wheel("lib", "1.0"), index.wheel("lib", "2.0")
    index.wheel("left", requires=["lib<2"]), index.wheel("right", requires=["lib>=2"])
    declare(errand, pip=["left", "right"], index_url=index.url)
    failed(run(errand, either, "true"), errand, "left", "lib<2")


def test_a_build_that_fails_keeps_its_log(errand, either, index):
    """The failing package's own message is the first line; `errand logs` shows all."""
    index.sdist("crooked", "1.0", before="print('looking for a compiler', flush=True)\nsys.exit('error: crooked needs a Fortran compiler')")
    declare(errand, pip=["crooked"], index_url=index.url)
    done = run(errand, either, "true")
    failed(done, errand, "crooked")
    log = errand("logs", errand.job()["job"])
    assert "crooked needs a Fortran compiler" in log.text + log.said
    assert "crooked" in done.said
    assert ready(either) == []


def test_the_reason_of_a_failed_build_is_the_error(errand, either, index):
    """Not the first warning, and once."""
    index.sdist("libless", "1.0", before="sys.stderr.write('warning: old\\n\\nmore\\n'); raise RuntimeError('needs libfoo')")
    declare(errand, pip=["libless"], index_url=index.url)
    done = run(errand, either, "true")
    failed(done, errand, "RuntimeError: needs libfoo")
    assert "warning: old" not in errand.job()["detail"].splitlines()[0]
    # before the log of the build, in it, and in the last line
    assert done.said.count("RuntimeError: needs libfoo") == 3, done.said


def test_after_a_failure_it_is_tried_anew(errand, uv_host, index):
    declare(errand, pip=["alpha"], index_url=index.url)
    failed(run(errand, uv_host, "true"), errand, "alpha")
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    assert run(errand, uv_host, "alpha").ok().text == "alpha 1.0\n"


def test_an_index_that_is_ill_for_a_moment(errand, make_host, index):
    host = places.with_uv(make_host(more="SetEnv UV_HTTP_RETRIES=0"))
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=index.url)
    index.answer("", 503)
    assert run(errand, host, "alpha").rc
    assert errand.job()["reason"] == "environment"
    index.well()
    run(errand, host, "alpha").ok()


def test_ten_jobs_wait_for_one_build(errand, uv_host, index):
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=index.url)
    index.hold("/simple/alpha")
    jobs = [errand.start("run", "--quiet", "--on", "box", "--", "alpha") for _ in range(10)]
    index.held("/simple/alpha")
    until(lambda: sum(row["state"] == "waiting" for row in errand.jobs()) == 10, 30, "ten to wait")
    index.release()
    for job in jobs:
        assert job.wait().ok().text == "alpha 1.0\n"
    assert index.count("/files/alpha-1.0-py3-none-any.whl") - index.count(".metadata") == 1
    assert len(environments(uv_host)) == 1


def test_what_is_being_built_is_shown(errand, uv_host, index):
    index.wheel("alpha", "1.0")
    declare(errand, pip=["alpha"], index_url=index.url)
    index.hold("/simple/alpha")
    job = errand.start_tty("run", "--on", "box", "--", "true")
    index.held("/simple/alpha")
    job.wait_for(b"installing 1 package with uv")
    index.release()
    job.wait().ok()


def test_disk_full_in_the_middle(errand, make_host, index):
    host = places.with_uv(make_host(home="24m"))
    index.wheel("small", "1.0", scripts={"small": "small:main"})
    index.wheel("large", "1.0", files={"large/data.bin": os.urandom(16 << 20), "large/more.bin": os.urandom(16 << 20)})
    declare(errand, pip=["small", "large"], index_url=index.url)
    done = run(errand, host, "true", timeout=120)
    failed(done, errand, "space")
    assert "prefix" not in host.sh("ls /root/.errand/environments/*")
    assert host.sh("ls /root/.errand/environments/*/activate 2>/dev/null || :") == ""


def builder_of(host):
    """The processes of a build: those with its mark."""
    found = []
    for pid in host.jobs():
        try:
            data = open(f"/proc/{pid}/environ", "rb").read()
        except OSError:
            continue
        if b"ERRAND_ATTEMPT_ID=environment-" in data:
            found.append(pid)
    return found


def test_killed_in_the_middle_the_next_starts_clean(errand, uv_host, index):
    """kill -9 of everything that errand has on the host, builder, guard and supervisor."""
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    index.wheel("beta", "1.0")
    declare(errand, pip=["alpha", "beta"], index_url=index.url)
    index.hold("beta-1.0-py3-none-any.whl")
    first = errand.start("run", "--quiet", "--on", "box", "--", "alpha")
    index.held("beta-1.0")
    (path,) = environments(uv_host)
    (path / "prefix" / "left-behind").touch()
    for pid in uv_host.jobs():
        end_process(pid)
    index.release()
    first.wait()
    assert not (path / "activate").exists()
    assert run(errand, uv_host, "alpha").ok().text == "alpha 1.0\n"
    assert not (path / "prefix" / "left-behind").exists() and len(environments(uv_host)) == 1


def held_build(errand, index, *flags):
    """A job whose environment is being built, until the index lets go."""
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=index.url)
    index.hold("/simple/alpha")
    job = errand.start("run", "--quiet", *flags, "--on", "box", "--", "alpha")
    index.held("/simple/alpha")
    return job


def test_a_power_cut_in_the_middle(errand, make_host, index):
    host = places.with_uv(make_host())  # its home stays
    job = held_build(errand, index, "--retries", "2")
    host.power_cut()
    index.release()
    host.start()
    assert job.wait(120).ok().text == "alpha 1.0\n"


def test_a_script_that_is_killed(errand, uv_host, index):
    """The out-of-memory killer takes the installer, not the builder."""
    job = held_build(errand, index)
    for pid in builder_of(uv_host):
        end_process(pid)
    index.release()
    done = job.wait()
    assert done.rc and errand.job()["reason"] == "environment", errand.job()
    run(errand, uv_host, "alpha").ok()


def test_cancel_during_a_build(errand, uv_host, index):
    job = held_build(errand, index)
    errand("cancel", errand.job()["job"]).ok()
    job.wait()
    assert errand.job()["state"] == "cancelled"
    pids = builder_of(uv_host)
    until(lambda: not [pid for pid in pids if is_alive(pid)], 40, "the build to end, which nobody wants")
    index.release()
    assert ready(uv_host) == []
    assert run(errand, uv_host, "alpha").ok().text == "alpha 1.0\n"


def test_the_connection_is_cut_during_a_build(errand, uv_host, index):
    job = held_build(errand, index)
    uv_host.cut()
    index.release()
    assert job.wait().ok().text == "alpha 1.0\n"


@pytest.mark.release
def test_python_missing_on_the_host(errand, make_host, index):
    host = make_host(busybox=True)
    index.wheel("alpha")
    declare(errand, pip=["alpha"], index_url=index.url)
    failed(run(errand, host, "true"), errand, "Python")


def test_a_name_that_is_local_and_a_distribution(errand, uv_host, index):
    index.wheel("alpha", "1.0"), index.wheel("tools", "9.9")
    errand.project("work", {"tools.py": "import alpha\nprint('ours')\n", "train.py": "import tools\n"})
    declare(errand, index_url=index.url)
    assert run(errand, uv_host, "python3", "train.py").ok().text == "ours\n"
    assert index.count("/simple/tools") == 0


def test_a_declaration_that_cannot_be_read(errand, uv_host):
    (errand.cwd / "requirements.txt").write_text("alpha\nbeta === = 1\n")
    declare(errand, pip="requirements.txt")
    done = run(errand, uv_host, "true")
    assert done.rc and "requirements.txt:2" in done.said, done
    declare(errand, pip="not-there.txt")
    done = run(errand, uv_host, "true")
    assert done.rc and "not-there.txt" in done.said


def test_a_project_without_software_builds_nothing(errand, uv_host):
    assert run(errand, uv_host, "echo", "plain").ok().text == "plain\n"
    errand.project("work", {"s.py": "import os, json\nprint('standard')\n"})
    assert run(errand, uv_host, "python3", "s.py").ok().text == "standard\n"
    assert environments(uv_host) == []


def test_signals_of_a_terminal_do_not_end_a_build(errand, uv_host, index):
    """Ctrl-C at the first of two that wait: the build goes on for the other."""
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=index.url)
    index.hold("/simple/alpha")
    first, second = (errand.start("run", "--quiet", "--on", "box", "--", "alpha") for _ in range(2))
    index.held("/simple/alpha")
    until(lambda: sum(row["state"] == "waiting" for row in errand.jobs()) == 2, 20, "two to wait")
    first.signal(signal.SIGINT)
    first.signal(signal.SIGINT)
    first.wait()
    index.release()
    assert second.wait().ok().text == "alpha 1.0\n"


def test_two_roots_of_one_host_build_the_same_environment(errand, uv_host):
    """What is left of a killed build is known by a mark, which the other root's build does not carry."""
    errand("hosts", "add", "second", uv_host.name, "--root", "~/second").ok()
    declare(errand, setup=["touch $ERRAND_PREFIX/../begun; while [ ! -e ~/go ]; do sleep 0.05; done"])
    jobs = []
    for name, root in (("box", ".errand"), ("second", "second")):
        jobs.append(errand.start("run", "--quiet", "--on", name, "--", "echo", name))
        until(lambda: list((home_of(uv_host) / root).glob("environments/*/begun")), 30, "the build to begin")
    (home_of(uv_host) / "go").touch()
    for name, job in zip(("box", "second"), jobs):
        assert job.wait().ok().text == f"{name}\n"


def test_the_index_password_is_in_no_argument(errand, uv_host, index):
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=index.url.replace("://", "://someone:geheim@"))
    index.hold("/"), index.hold("/simple/alpha")
    job = errand.start("run", "--quiet", "--on", "box", "--", "alpha")
    seen = b""
    for part in ("/", "/simple/alpha"):
        index.held(part)
        seen += b" ".join(read_proc(pid, "cmdline") for pid in uv_host.jobs())
        index.release(part)
    assert job.wait().ok().text == "alpha 1.0\n"
    assert b"uv" in seen and b"geheim" not in seen


def test_who_began_a_build_again_may_leave_it(errand, uv_host):
    """A build that was killed is begun again by one of those that wait; when that one is cancelled, the build goes on."""
    declare(errand, setup=["echo x >>~/builds; while [ ! -e ~/go ]; do sleep 0.05; done"])
    builds = home_of(uv_host) / "builds"
    jobs = [errand.start("run", "--quiet", "--on", "box", "--", "echo", "ready") for _ in range(2)]

    def named(name):
        return [pid for pid in uv_host.jobs() if read_proc(pid, "comm").strip() == name]

    def parent(pid):
        return int(read_proc(pid, "stat").rpartition(b")")[2].split()[1])

    until(lambda: builds.exists() and len(named(b"errand-super")) == 2, 30, "two to wait for a build")
    (first,) = named(b"errand-env")
    end_process(parent(first))  # its guard, and it with that
    until(lambda: builds.read_text() == "x\nx\n", 30, "another build to begin")
    (again,) = named(b"errand-env")
    supervisor = parent(parent(again))
    open_there = " ".join(os.readlink(f"/proc/{supervisor}/fd/{fd}") for fd in os.listdir(f"/proc/{supervisor}/fd"))
    mine = next(row["job"] for row in errand.jobs() if f"/{row['job']}." in open_there)
    errand("cancel", mine).ok()
    until(lambda: not is_alive(supervisor) and len(named(b"errand-guard")) == 2, 20, "all of the cancelled one to be gone")
    assert named(b"errand-env") == [again]
    (home_of(uv_host) / "go").touch()
    assert sorted(job.wait().rc == 0 for job in jobs) == [False, True]
    assert builds.read_text() == "x\nx\n"


def test_several_jobs_send_the_same_wheel(errand, uv_host, index):
    files = {"large.py": "def main():\n    print('large 1.0')\n", "large_data/data.bin": os.urandom(6 << 20)}
    index.wheel("large", "1.0", files=files, scripts={"large": "large:main"})
    name = "large-1.0-py3-none-any.whl"
    (errand.cwd / name).write_bytes(index.projects["large"][name][0].read_bytes())
    declare(errand, pip=[f"./{name}"], index_url=index.url)
    jobs = [errand.start("run", "--quiet", "--on", "box", "--", "large") for _ in range(8)]
    for job in jobs:
        assert job.wait(120).ok().text == "large 1.0\n"
    assert not list(home_of(uv_host).glob(".errand/environments/*/files/*.errand-part"))


def test_a_wheel_that_was_sent_and_is_not_what_it_was(errand, uv_host, index):
    """Of the same size and time: it is not installed, and sent anew the next time."""
    wheel = make_wheel(errand.cwd, "alpha", "1.0")
    declare(errand, pip=[f"./{wheel.name}", "beta"], index_url=index.url)
    failed(run(errand, uv_host, "true"), errand, "beta")
    index.wheel("beta", "1.0")
    sent = environments(uv_host)[0] / "files" / wheel.name
    times = sent.stat()
    sent.write_bytes(bytes(len(wheel.read_bytes())))
    os.utime(sent, ns=(times.st_atime_ns, times.st_mtime_ns))
    first = run(errand, uv_host, "python3", "-c", "import alpha")
    assert first.rc == 0 or wheel.name in errand.job()["detail"]
    run(errand, uv_host, "python3", "-c", "import alpha, beta").ok()


def test_one_that_was_built_just_before_the_machine_went_down(errand, uv_host):
    declare(errand, setup=["echo x >>~/builds"])
    builds = home_of(uv_host) / "builds"
    name = run(errand, uv_host, "hostname").ok().text.strip()
    activate = ready(uv_host)[0] / "activate"
    for_good = activate.read_bytes()
    # Of a machine with which this home is shared, and of this one.
    for machine, count in (("another-machine", 1), (name, 2)):
        activate.write_bytes(b"banother-boot\0h" + machine.encode() + b"\0" + for_good)
        run(errand, uv_host, "true").ok()
        assert builds.read_text() == "x\n" * count, machine


def test_many_looks_at_once(errand, uv_host, index):
    """They are in nobody's way, and who only looks does not keep one from being removed."""
    index.wheel("alpha", "1.0")
    declare(errand, pip=["alpha"], index_url=index.url)
    run(errand, uv_host, "true").ok()
    name = ready(uv_host)[0].name[:8]
    for look in [errand.start("env", "check", name, "--on", "box") for _ in range(5)]:
        look.wait().ok()
    assert [path.name for path in ready(uv_host)[0].iterdir() if path.name.startswith("check-")] == []
    lists = [errand.start("env", "list", "--on", "box") for _ in range(5)]
    errand("env", "rm", name, "--on", "box").ok()
    for look in lists:
        look.wait().ok()


def test_a_long_word_from_a_build(errand, conda_host, channel):
    long = "x" * 9000
    channel.package("tool", "1.0", files={"etc/conda/activate.d/tool.sh": f"export LONG={long}\n"})
    declare(errand, conda=["tool"], channels=[channel.url])
    assert run(errand, conda_host, "sh", "-c", "echo $LONG").ok().text.strip() == long

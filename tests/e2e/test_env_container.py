"""Containers: podman and docker for real, with a tiny image, as root and as an ordinary user."""
import os

import pytest

from envkit import places
from envkit.containers import Podman, python_files
from envkit.docker import Docker
from envkit.fixtures import docker_apart_host, docker_host, docker_user_host, index, podman_host, rootless_host  # noqa: F401
from envkit.jobs import declare, environments, failed, run
from helpers import command_of, end_process, pids, read_proc, until

PLACES = {"podman": "podman_host", "podman-user": "rootless_host", "docker": "docker_host", "docker-user": "docker_user_host"}
NAP = f"sleep {10_000_000 + os.getpid()}"  # nobody else's


@pytest.fixture(params=PLACES)
def place(request):
    return request.getfixturevalue(PLACES[request.param])


@pytest.fixture(params=["podman", "docker"])
def root_place(request):
    return request.getfixturevalue(PLACES[request.param])


def naps():
    """The containers' processes, whichever namespace they are in."""
    return [pid for pid in pids() if command_of(pid) == NAP]


def test_the_command_runs_in_the_image(errand, place):
    """Whoever the image means to be: the job's files are the user's."""
    place.engine.image("other:1", changes=["USER 1234", 'ENTRYPOINT ["/bin/false"]', "WORKDIR /nowhere"])
    errand.project("work", {"input": "from here\n"})
    declare(errand, container="other:1", setup=["echo made >here"])
    said = run(errand, place, "sh", "-c", "ls /; cat input; echo result > out.txt; id -u", flags=("--output", "out.txt")).ok().text
    assert "bin" in said.split() and "usr" not in said.split(), "the image has no /usr"
    assert "from here" in said
    assert (errand.results(errand.job()["job"]) / "out.txt").read_text() == "result\n"
    assert place.engine.containers() == []


def test_variables_and_the_exit_status(errand, root_place):
    declare(errand, container="tiny:1")
    done = run(errand, root_place, "sh", "-c", "echo $GIVEN $ERRAND_JOB ${#API_KEY}; exit 7", env={"API_KEY": "s3cr3t-value"},
               flags=("--env", "GIVEN=a b", "--secret", "API_KEY"))
    assert done.ok(7).text.startswith("a b ") and done.text.endswith(" 12\n")
    assert "s3cr3t" not in root_place.engine.calls.read_text(), "a secret is not among the arguments"


def test_cancel_ends_the_container(errand, place):
    declare(errand, container="tiny:1")
    running = errand.start("run", "--quiet", "--on", place.name, "--", "sh", "-c", f"trap 'echo asked; exit 3' TERM; echo began; {NAP} & wait")
    running.wait_for(b"began")
    until(naps, 5, "the container")
    errand("cancel", errand.job()["job"]).ok()
    running.wait()
    assert b"asked" in running.out and errand.job()["state"] == "cancelled"
    assert not naps(), "the container goes on"


def test_what_does_not_listen_is_ended_too(errand, root_place):
    """The first process of a container ignores TERM unless it asks for it."""
    running = start_nap(errand, root_place)
    errand("cancel", "--grace", "0.2s", errand.job()["job"]).ok()
    running.wait()
    assert errand.job()["state"] == "cancelled"
    assert not naps(), "the container goes on"


# Device files of its own, and a /run.
DEVICES = """mount -t tmpfs tmpfs /mnt
mkdir /mnt/over /mnt/work
mount -t overlay -o lowerdir=/dev,upperdir=/mnt/over,workdir=/mnt/work overlay /dev
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run"""


@pytest.mark.parametrize("engine", [Docker, Podman])
def test_graphics_cards(errand, make_host, real_root, engine):
    """What the engine cannot do, or the image does not know, is no reason for the container not to start."""
    host = make_host(before=DEVICES + """
    touch /dev/nvidiactl
    mkdir /run/cdi /run/sshd /dev/dri
    touch /run/cdi/nvidia.yaml
    mknod /dev/kfd c 1 3
    mknod /dev/dri/renderD128 c 1 3
    chgrp 4321 /dev/kfd /dev/dri/renderD128""")
    if engine is Podman:
        host.sh("rm /run/cdi/nvidia.yaml")  # podman reads it
    host.engine = engine(host)
    try:
        declare(errand, container="tiny:1")
        assert "4321" in run(errand, host, "sh", "-c", "echo all >/dev/kfd; id").ok().text
        assert "--device=nvidia" not in host.engine.calls.read_text()
    finally:
        host.engine.close()


def test_podman_that_is_called_docker(errand, rootless_host):
    """Its root is the user: the user's own number there would be nobody's here."""
    rootless_host.engine.program("docker", 'exec podman "$@"\n')
    declare(errand, container="tiny:1")
    run(errand, rootless_host, "touch", "out.txt", flags=("--output", "out.txt")).ok()
    assert any(call.startswith("run --rm --interactive") for call in rootless_host.engine.calls.read_text().splitlines())


def test_a_daemon_that_gives_its_containers_users_of_their_own(errand, make_host):
    host = make_host(before=places.user_lines(errand.base / "users"))
    host.engine = Docker(host, options=[f"--userns-remap={places.USER}"])
    try:
        declare(errand, container="tiny:1", setup=["echo made >here"])
        run(errand, host, "touch", "out.txt", flags=("--output", "out.txt")).ok()
    finally:
        host.engine.close()


def other_naps(than):
    found = naps()
    return not set(found) & set(than) and found


def start_nap(errand, host, *flags):
    declare(errand, container="tiny:1")
    running = errand.start("run", "--quiet", *flags, "--on", host.name, "--", "sh", "-c", f"echo began; {NAP}")
    running.wait_for(b"began")
    until(naps, 5, "the container")
    return running


def end_agents(host, *names):
    for pid in host.jobs():
        if read_proc(pid, "comm").strip().decode() in names:
            end_process(pid)


def test_a_supervisor_that_is_killed_leaves_no_container(errand, root_place):
    running = start_nap(errand, root_place, "--retries", "0")
    end_agents(root_place, "errand-super")
    assert running.wait().rc
    assert not naps(), "the container goes on"
    assert "rm --force errand-" in root_place.engine.calls.read_text()


def test_guard_and_supervisor_killed_leave_no_container(errand, docker_apart_host):
    """Its processes cannot be seen on the host: only the engine can end it."""
    running = start_nap(errand, docker_apart_host, "--retries", "1")
    first = naps()
    end_agents(docker_apart_host, "errand-guard", "errand-super")
    until(lambda: other_naps(first), 20, "the second attempt")
    assert len(naps()) == 1 and len(docker_apart_host.engine.containers()) == 1, "it runs twice"
    end_agents(docker_apart_host, "errand-guard", "errand-super")
    assert running.wait().rc
    assert not naps() and not docker_apart_host.engine.containers()
    assert (errand.job()["state"], errand.job()["reason"]) == ("failed", "supervisor killed")


@pytest.mark.parametrize("killed", [("errand-guard", "errand-super"), ("errand-super",), ()], ids=["both", "supervisor", "command"])
def test_while_the_engine_does_not_answer_the_job_is_not_over(errand, docker_apart_host, killed):
    """Nobody knows whether the container goes on (it does), so nothing else may be started."""
    engine = docker_apart_host.engine
    running = start_nap(errand, docker_apart_host, "--retries", "0")
    engine.hide()
    if killed:
        end_agents(docker_apart_host, *killed)
    else:
        end_process(docker_apart_host.find("docker run")[0])
    waiting = until(lambda: "cannot be stopped" in (errand.job()["detail"] or "") and errand.job(), 20, "word of the container")
    assert waiting["state"] == "running" and "Cannot connect" in waiting["detail"], waiting
    assert "cannot be stopped" in errand("show", waiting["job"]).text
    assert naps() and running.running()
    engine.hide(False)
    assert running.wait().rc
    assert not naps() and not engine.containers()
    assert errand.job()["state"] == "failed"


def test_who_cancels_need_not_wait_for_an_engine_that_is_gone(errand, docker_apart_host):
    running = start_nap(errand, docker_apart_host)
    job = errand.job()["job"]
    docker_apart_host.engine.hide()
    cancelling = errand.start("cancel", job)
    until(lambda: "cannot be stopped" in (errand.job()["detail"] or ""), 20, "word of the container")
    errand("cancel", "--grace", "0.2s", job)
    assert running.wait().rc and cancelling.wait().seconds < 15
    row = errand.job()
    assert row["state"] == "cancelled" and "Cannot connect" in row["detail"], row
    assert len(errand.jobs()) == 1


def test_a_build_that_is_killed_leaves_no_container(errand, docker_apart_host):
    """It would write to what the next one makes."""
    declare(errand, container="tiny:1", setup=["echo began", NAP])
    running = errand.start("run", "--quiet", "--retries", "0", "--on", "box", "--", "true")
    until(naps, 20, "the container")
    end_agents(docker_apart_host, "errand-env")
    until(lambda: not naps(), 20, "the container to end")
    assert running.wait().rc and "killed" in errand.job()["detail"], errand.job()
    running = errand.start("run", "--quiet", "--retries", "0", "--on", "box", "--", "true")
    first = until(naps, 20, "the next build's container")
    end_agents(docker_apart_host, "errand-guard", "errand-env", "errand-super")
    again = errand.start("run", "--quiet", "--on", "box", "--", "true")
    until(lambda: other_naps(first), 20, "the build after that")
    assert len(naps()) == 1 and len(docker_apart_host.engine.containers()) == 1
    end_agents(docker_apart_host, "errand-env")
    assert running.wait().rc and again.wait().rc and not naps()


# What it installs is a command that says its name.
APT = {"usr/bin/dpkg-query": '#!/bin/sh\nfor last; do :; done\n[ -e "/usr/bin/$last" ] && echo "installed 1.0"\n',
       "usr/bin/apt-get": '#!/bin/sh\n[ "$(id -u)" -eq 0 ] || exit 1\ncase "$*" in *" install "*) for last; do :; done\n'
                          'echo "echo $last 1.0" >"/usr/bin/$last"; chmod 755 "/usr/bin/$last";; esac\n',
       "var/lib/apt/lists/x_Packages": ""}


def test_packages_of_the_system_are_put_into_an_image_of_it(errand, place):
    place.engine.image("apt:1", files=APT, changes=["USER 1234"])
    errand.project("work", {"input": "from here\n"})
    declare(errand, container="apt:1", apt=["hello"], setup=["hello >$ERRAND_PREFIX/made"])
    assert run(errand, place, "sh", "-c", "hello; cat input; id -u").ok().text.splitlines()[:2] == ["hello 1.0", "from here"]
    assert place.engine.containers() == []
    made = environments(place)[0].name
    declare(errand, container="apt:1")
    assert run(errand, place, "hello").rc == 127, "the image itself stays as it is"
    assert "errand-environment" in place.engine.run("images").stdout
    errand("env", "rm", made[:12], "--on", place.name).ok()
    left = place.engine.run("images").stdout
    assert "errand-environment" not in left and "<none>" not in left and "apt" in left


def test_python_packages_beside_those_of_an_image(errand, root_place, index):
    """Made inside it, for its Python; the index wants a password, which is in no argument."""
    places.with_uv(root_place)
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    index.lets_in = ("someone", "geheim")
    root_place.engine.image("python:1", files=python_files())
    declare(errand, container="python:1", pip=["alpha"], index_url=index.url_for("someone:geheim"), setup=["alpha >$ERRAND_PREFIX/made"])
    code = "import alpha, sys; print(alpha.__version__, sys.prefix)"
    said = run(errand, root_place, "sh", "-c", f"alpha; python3 -c '{code}'").ok().text
    assert said.startswith("alpha 1.0\n1.0 /root/.errand/environments/"), said
    made = environments(root_place)[0]
    assert (made / "prefix" / "made").read_text() == "alpha 1.0\n"
    errand("env", "check", made.name[:8], "--on", root_place.name).ok()
    assert "geheim" not in root_place.engine.calls.read_text() and root_place.engine.containers() == []


def test_an_image_that_is_not_to_be_had(errand, root_place):
    declare(errand, container="localhost:9/nothing:1")
    failed(run(errand, root_place, "true"), errand, "localhost:9/nothing:1")


def test_an_image_without_a_shell(errand, root_place):
    root_place.engine.image("bare:1", changes=["ENV PATH=/nowhere"])
    declare(errand, container="bare:1")
    failed(run(errand, root_place, "true"), errand, "bare:1", "sh", "not found in $PATH")


def test_a_host_without_containers(errand, make_host):
    host = make_host(programs={"podman": "#!/bin/sh\nexit 127\n"})
    host.sh("mv /usr/local/bin/podman /usr/local/bin/away; for p in docker podman apptainer singularity; do "
            "f=$(command -v $p) && mount --bind /dev/null $f; done; :")
    declare(errand, container="tiny:1")
    failed(run(errand, host, "true"), errand, "podman")

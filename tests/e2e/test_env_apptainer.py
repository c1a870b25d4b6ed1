"""Containers: apptainer for real, as root and as an ordinary user."""
import pytest

from envkit import places
from envkit.apptainer import Apptainer
from envkit.jobs import declare, failed, run
from helpers import until


@pytest.fixture
def apptainer(errand, real_root):
    return Apptainer(errand.base / "apptainer")


@pytest.fixture(params=["root", "user"])
def place(request, errand, make_host, apptainer):
    if request.param == "root":
        return make_host(before=apptainer.before)
    return places.make_ordinary(make_host, errand, first=apptainer.before)


@pytest.fixture
def root_place(make_host, apptainer):
    return make_host(before=apptainer.before)


def test_the_command_runs_in_the_image(errand, place, apptainer):
    errand.project("work", {"input": "from here\n"})
    declare(errand, container=str(apptainer.sandbox()))
    done = run(errand, place, "sh", "-c", "ls /; cat input; echo result > out.txt; echo $GIVEN ${#API_KEY} ${PYTHONPATH-none}; echo ~; exit 7",
               flags=("--output", "out.txt", "--env", "GIVEN=a b", "--secret", "API_KEY"), env={"API_KEY": "s3cr3t-value"})
    said = done.ok(7).text.splitlines()
    assert "bin" in said and said[-3:-1] == ["from here", "a b 12 none"], done
    assert said[-1].endswith("/prefix/home"), "the home is the environment's, as with other engines"
    assert done.said == "" or "WARNING" not in done.said
    assert (errand.results(errand.job()["job"]) / "out.txt").read_text() == "result\n"


def test_an_image_in_a_file(errand, place, apptainer):
    """docker may be there too: it knows nothing of such files."""
    path = apptainer.sif(place)
    place.world.program("docker", "#!/bin/sh\nexit 0\n", place.local_bin)
    declare(errand, container=str(path), setup=["echo made >$ERRAND_PREFIX/file; id"])
    assert "bin" in run(errand, place, "ls", "/").ok().text.split()


def test_an_image_below_the_home(errand, root_place, apptainer):
    apptainer.sif(root_place).rename(root_place.home / "tiny.sif")
    for name in ("~/tiny.sif", "tiny.sif"):
        declare(errand, container=name)
        run(errand, root_place, "true").ok()


def test_an_image_that_is_made_into_its_own(errand, place, apptainer):
    declare(errand, container=f"docker-archive://{apptainer.docker_archive()}")
    assert run(errand, place, "sh", "-c", "echo $FROM_IMAGE $PATH").ok().text.startswith("yes /bin")


def test_cancel_ends_it(errand, root_place, apptainer):
    declare(errand, container=str(apptainer.sandbox()))
    running = errand.start("run", "--quiet", "--on", "box", "--", "sh", "-c", "trap 'echo asked; exit 3' TERM; echo began; sleep 1000 & wait")
    running.wait_for(b"began")
    errand("cancel", errand.job()["job"]).ok()
    running.wait()
    assert b"asked" in running.out and errand.job()["state"] == "cancelled"
    until(lambda: not root_place.find("sleep 1000"), 20, "the command to end")


def test_images_that_are_not_to_be_had(errand, root_place):
    for image, words in (("/nowhere/tiny.sif", ["/nowhere/tiny.sif", "no such image"]),
                         ("docker://127.0.0.1:9/nothing:1", ["127.0.0.1:9/nothing:1", "cannot fetch", "refused"]),
                         ("docker-archive:///nowhere/saved.tar", ["/nowhere/saved.tar", "no such file"])):
        declare(errand, container=image)
        failed(run(errand, root_place, "true"), errand, *words)

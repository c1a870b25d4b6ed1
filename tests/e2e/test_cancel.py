"""Ending jobs: the whole tree, whatever it does."""
import os

import pytest

from helpers import until


@pytest.fixture(params=["local", "ssh"])
def place(errand, request):
    """(name to run on, home there, processes of the jobs there)"""
    if request.param == "local":
        return "local", errand.home, errand.leftovers
    host = request.getfixturevalue("host")
    return host.name, host.home, host.jobs


def started(errand, place, line):
    errand("run", "--detach", "--on", place[0], "--", "sh", "-c", f"echo begun > ~/begun; {line}").ok()
    until(lambda: (place[1] / "begun").exists(), 20, "the job to begin")


def assert_cancelled(errand, place):
    errand.wait_state("cancelled")
    until(lambda: not place[2](), 10, lambda: f"the tree to be gone: {place[2]()}")


def test_cancel_ends_the_job(errand, place):
    started(errand, place, "sleep 1000")
    errand("cancel", "work-1").ok()
    assert_cancelled(errand, place)


def test_cancel_lets_the_job_tidy_up(errand, place):
    started(errand, place, "trap 'echo tidied > ~/tidied; exit 3' TERM; while :; do sleep 0.05; done")
    errand("cancel", "work-1").ok()
    assert_cancelled(errand, place)
    assert (place[1] / "tidied").exists()


def test_cancel_ends_processes_that_forked_away(errand, place):
    started(errand, place, "setsid sleep 1001 & (setsid setsid sh -c 'trap \"\" HUP; sleep 1002 & exec sleep 1003' &); nohup sleep 1004 & sleep 1005")
    errand("cancel", "work-1").ok()
    assert_cancelled(errand, place)


def test_cancel_kills_processes_that_ignore_term(errand, place):
    errand("run", "--detach", "--on", place[0], "--", "/usr/bin/python3", "-c",
           "import signal, os, time, pathlib\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nos.fork()\n"
           "pathlib.Path.home().joinpath('begun').touch()\nwhile True: time.sleep(1)").ok()
    until(lambda: (place[1] / "begun").exists(), 20, "the job to begin")
    errand("cancel", "--grace", "500ms", "work-1").ok()
    assert_cancelled(errand, place)


def test_cancel_of_a_fork_storm(errand, place):
    """Children that fork for as long as they live cannot outrun it."""
    started(errand, place, "f() { while :; do (sleep 0.01; setsid sleep 100 &) ; done; }; f & f & wait")
    errand("cancel", "--grace", "300ms", "work-1").ok()
    assert_cancelled(errand, place)


def test_cancel_all(errand):
    for _ in range(3):
        errand("run", "--detach", "--", "sleep", "1000").ok()
    errand("cancel", "--all").ok()
    until(lambda: {row["state"] for row in errand.jobs()} == {"cancelled"}, 20, "all to be cancelled")


@pytest.mark.parametrize("round_", range(4))
def test_cancel_all_lets_nothing_begin(errand, round_):
    """What waits for the slots of a job that is cancelled with it."""
    errand("run", "--detach", "--cpus", os.cpu_count(), "--", "sleep", "1000").ok()
    errand.wait_state("running", name="work-1.0")
    errand("run", "--detach", "--", "touch", str(errand.home / f"begun{round_}")).ok()
    errand.wait_state("queued", name="work-2.0")
    errand("cancel", "--all").ok()
    assert {row["job"]: row["state"] for row in errand.jobs()} == {"work-1.0": "cancelled", "work-2.0": "cancelled"}
    assert not (errand.home / f"begun{round_}").exists()


def test_cancel_twice_and_of_an_ended_job(errand):
    errand("run", "--", "true").ok()
    done = errand("cancel", "work-1")
    assert done.rc in (0, 212) and errand.job()["state"] == "done"


def test_cancel_before_it_starts(errand):
    errand("run", "--detach", "--cpus", "1", "--gpus", "0", "--", "sleep", "1000").ok()
    errand("cancel", "work-1").ok()
    assert errand("wait", "work-1").rc != 0
    assert errand.job()["state"] == "cancelled"


def test_cancelled_run_says_so(errand):
    proc = errand.start("run", "--", "sh", "-c", "echo begun; sleep 1000")
    proc.wait_for(b"begun\n")
    errand("cancel").ok()
    done = proc.wait(20)
    assert done.rc == 128 + 15 and "cancelled" in done.said  # the job's own: TERM ended it


def test_outputs_of_a_cancelled_job_come_back(errand, place):
    errand("run", "--detach", "--on", place[0], "--output", "part", "--", "sh", "-c", "echo half > part; echo x > ~/begun; sleep 1000").ok()
    until(lambda: (place[1] / "begun").exists(), 20, "the job to begin")
    errand("cancel", "work-1").ok()
    assert_cancelled(errand, place)
    errand("wait", "work-1")
    until(lambda: (errand.results("work-1.0") / "part").exists(), 20, "the results")


STUBBORN = "trap '' TERM; echo begun > ~/begun; while :; do sleep 0.05; done"
SLOW = "trap 'sleep 2; echo kept > ~/checkpoint; exit 0' TERM; echo begun > ~/begun; while :; do sleep 0.05; done"


def test_kill_is_said(errand, place):
    errand.project("work", {"errand.yaml": "grace: 300ms\n"})
    errand("run", "--detach", "--on", place[0], "--", "sh", "-c", STUBBORN).ok()
    until(lambda: (place[1] / "begun").exists(), 20, "the job to begin")
    assert "KILL" in errand("cancel", "work-1").ok().said
    shown = errand("show", "work-1").ok().text
    assert "had not ended 300ms after TERM" in shown and "300ms between TERM and KILL" in shown


def test_kill_at_the_time_limit_is_said(errand, place):
    done = errand("run", "--on", place[0], "--time-limit", "500ms", "--grace", "300ms", "--", "sh", "-c", STUBBORN).ok(124)
    assert "time limit" in done.said and "KILL" in done.said


def test_nothing_is_said_when_term_was_enough(errand, place):
    errand("run", "--detach", "--on", place[0], "--grace", "30s", "--", "sh", "-c", SLOW).ok()
    until(lambda: (place[1] / "begun").exists(), 20, "the job to begin")
    done = errand("cancel", "work-1").ok()
    assert (place[1] / "checkpoint").exists() and "KILL" not in done.said


def test_a_cancel_may_give_more_time_than_the_run(errand, place):
    """Whatever the one that carries the job out asks for at the same time."""
    proc = errand.start("run", "--on", place[0], "--grace", "1s", "--", "sh", "-c", SLOW)
    until(lambda: (place[1] / "begun").exists(), 20, "the job to begin")
    done = errand("cancel", "--grace", "30s", "work-1").ok()
    proc.wait()
    assert (place[1] / "checkpoint").exists() and "KILL" not in done.said

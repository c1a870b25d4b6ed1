"""Slots of a host: what waits, in which order, who shares them."""
import os

import pytest

from helpers import end_process, until

CPUS = os.cpu_count()


def holder(errand, host, name, cpus, gate):
    errand("run", "--detach", "--name", name, "--on", host.name, "--cpus", cpus, "--", "sh", "-c",
           f"date +%s%N > ~/{name}.begun; until [ -e ~/{gate} ]; do sleep 0.02; done").ok()


def test_what_does_not_fit_waits_its_turn(errand, host):
    holder(errand, host, "first", CPUS, "go")
    errand.wait_state("running", name="first.0")
    holder(errand, host, "second", 1, "go")
    errand.wait_state("queued", name="second.0")
    assert not (host.home / "second.begun").exists()
    (host.home / "go").touch()
    errand("wait", "first", "second").ok()
    assert (host.home / "second.begun").exists()


def test_order_of_submission_is_kept(errand, host):
    holder(errand, host, "zero", CPUS, "go0")
    errand.wait_state("running", name="zero.0")
    for i in range(1, 5):
        errand("run", "--detach", "--name", f"n{i}", "--on", host.name, "--cpus", CPUS, "--", "sh", "-c", f"echo {i} >> ~/order").ok()
        errand.wait_state("queued", name=f"n{i}.0")
    (host.home / "go0").touch()
    errand("wait", "n1", "n2", "n3", "n4").ok()
    assert (host.home / "order").read_text().split() == ["1", "2", "3", "4"]


def test_several_run_at_once_as_far_as_they_fit(errand, host):
    for i in range(CPUS):
        holder(errand, host, f"n{i}", 1, "go")
    until(lambda: all((host.home / f"n{i}.begun").exists() for i in range(CPUS)), 30, "all to run at once")
    holder(errand, host, "more", 1, "go")
    errand.wait_state("queued", name="more.0")
    (host.home / "go").touch()
    errand("wait", "more").ok()


def test_memory_is_a_slot_too(errand, host):
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    most = f"{int(total * 0.7) >> 20}M"
    for name in ("a", "b"):
        errand("run", "--detach", "--name", name, "--on", host.name, "--memory", most, "--", "sh", "-c", "until [ -e ~/go ]; do sleep 0.02; done").ok()
        errand.wait_state("running" if name == "a" else "queued", name=f"{name}.0")
    (host.home / "go").touch()
    errand("wait", "a", "b").ok()


def test_cancelled_while_queued_never_starts(errand, host):
    holder(errand, host, "first", CPUS, "go")
    errand.wait_state("running", name="first.0")
    holder(errand, host, "second", 1, "go")
    errand.wait_state("queued", name="second.0")
    errand("cancel", "second").ok()
    errand.wait_state("cancelled", name="second.0")
    (host.home / "go").touch()
    errand("wait", "first").ok()
    assert not (host.home / "second.begun").exists()


def test_slots_of_a_killed_job_are_free_again(errand, host):
    holder(errand, host, "first", CPUS, "never")
    errand.wait_state("running", name="first.0")
    for pid in host.find("errand-agent"):
        end_process(pid)
    errand.cwd = errand.project("other")
    assert errand("run", "--quiet", "--on", host.name, "--cpus", CPUS, "--", "echo", "ran").ok().out == b"ran\n"
    errand.wait_state("failed", "done", name="first.0")


def test_two_users_share_the_slots(errand, host, keys, tmp_path_factory):
    """Another laptop, the same host: its jobs and ours take from the same slots."""
    other = {"HOME": str(errand.base / "home2")}
    home2 = errand.base / "home2"
    (home2 / ".ssh").mkdir(parents=True)
    (home2 / "work").mkdir()
    holder(errand, host, "first", CPUS, "go")
    errand.wait_state("running", name="first.0")
    errand("run", "--detach", "--on", host.name, "--", "true", cwd=home2 / "work", env=other).ok()

    def state():
        rows = errand("jobs", "--all", "--json", env=other, cwd=home2 / "work").ok().json()
        return rows[0]["state"]
    until(lambda: state() == "queued", 20, "the other's job to queue")
    (host.home / "go").touch()
    until(lambda: state() == "done", 20, "the other's job to be done")
    errand("wait", "first").ok()


@pytest.mark.parametrize("count", [12])
def test_many_small_jobs_queue_up_and_all_end(errand, host, count):
    for _ in range(count):
        errand("run", "--detach", "--on", host.name, "--cpus", CPUS, "--", "sh", "-c", "echo x >> ~/count").ok()
    errand("wait", *[f"work-{i}" for i in range(1, count + 1)], timeout=120).ok()
    assert (host.home / "count").read_text() == "x\n" * count

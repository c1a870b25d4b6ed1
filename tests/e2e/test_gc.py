"""errand gc takes what nothing needs, and nothing else: by whatever names a machine is known, whoever shares its home."""
import shlex

import pytest


def attempts(host):
    return host.sh("ls /root/.errand/jobs").split()


def run_there(errand, name):
    """A job of that host that left a file behind; its name."""
    errand("run", "--on", name, "--", "sh", "-c", "echo precious > made").ok()
    return errand.job()["job"]


@pytest.fixture
def shared_home(make_host):
    """Two machines with one home, as on a cluster."""
    one = make_host("one")
    return one, make_host("two", before=f"mount --bind {shlex.quote(str(one.home))} /root")


def test_a_machine_with_two_names_keeps_its_jobs(errand, host, tmp_path):
    job = run_there(errand, host.target)
    errand("hosts", "add", "gpu-box", host.name).ok()
    second = run_there(errand, "gpu-box")
    errand("gc").ok()
    assert len(attempts(host)) == 2
    for name in (job, second):
        errand("pull", name, "made", f"{tmp_path}/{name}/").ok()


@pytest.mark.parametrize("name", ["gpu-box", "box"])
def test_gc_of_one_name_keeps_the_jobs_of_the_other(errand, host, name):
    run_there(errand, host.name)
    errand("hosts", "add", "gpu-box", host.name).ok()
    run_there(errand, "gpu-box")
    errand("gc", name).ok()
    assert len(attempts(host)) == 2


def test_a_machine_is_swept_once_and_shown_with_all_its_names(errand, host):
    run_there(errand, host.name)
    errand("hosts", "add", "gpu-box", host.name).ok()
    rows = {row["host"]: row for row in errand("gc", "--json").ok().json()}
    assert sorted(rows) == ["box", "local"] or sorted(rows) == ["gpu-box", "local"]
    there = rows.get("box") or rows["gpu-box"]
    assert sorted(there["names"]) == ["box", "gpu-box"]
    assert "box, gpu-box" in errand("gc").ok().text or "gpu-box, box" in errand("gc").ok().text


def test_machines_that_share_a_home_keep_each_others_jobs(errand, shared_home, tmp_path):
    jobs = [run_there(errand, host.name) for host in shared_home]
    errand("gc").ok()
    for host in shared_home:
        errand("gc", host.name).ok()
        assert len(attempts(host)) == 2
    for job in jobs:
        errand("pull", job, "made", f"{tmp_path}/{job}/").ok()


def test_what_another_machine_left_in_a_shared_home_is_not_taken(errand, shared_home):
    """A job that was removed here, whose directory is still there: its own machine's to take."""
    one, two = shared_home
    job = run_there(errand, one.name)
    two_job = run_there(errand, two.name)
    one_key = next(key for key in attempts(one) if key.startswith(job + "."))
    one.sh(f"cp -a /root/.errand/jobs/{one_key} /root/keep")
    errand("rm", job).ok()
    one.sh(f"cp -a /root/keep /root/.errand/jobs/{one_key}")  # as if the removal had been cut off
    errand("gc", two.name).ok()
    assert one_key in attempts(one)
    errand("gc", one.name).ok()
    assert attempts(one) == [key for key in attempts(one) if key.startswith(two_job + ".")] and len(attempts(one)) == 1


def test_gc_takes_what_was_removed_here_by_any_name(errand, host):
    job = run_there(errand, host.target)
    errand("hosts", "add", "gpu-box", host.name).ok()
    key, = attempts(host)
    host.sh(f"cp -a /root/.errand/jobs/{key} /root/keep")
    errand("rm", job).ok()
    host.sh(f"cp -a /root/keep /root/.errand/jobs/{key}")
    dry = {row["host"]: row for row in errand("gc", "--dry-run", "--json", "gpu-box").ok().json()}
    assert dry["gpu-box"]["attempts"] == 1 and attempts(host) == [key]
    errand("gc", "gpu-box").ok()
    assert attempts(host) == []


def test_older_than_reaches_a_job_by_another_name(errand, host):
    run_there(errand, host.target)
    errand("hosts", "add", "gpu-box", host.name).ok()
    errand("gc", "--older-than", "1h", "gpu-box").ok()
    assert len(attempts(host)) == 1
    errand("gc", "--older-than", "0s", "gpu-box").ok()
    assert attempts(host) == []
    assert errand.job()["state"] == "done"  # it stays in the list

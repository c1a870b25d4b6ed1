"""Disks that are full, read-only or noexec, here and on the host."""
import os
import re
import subprocess

import pytest

from helpers import until


def test_host_disk_full_at_upload(errand, make_host):
    host = make_host("small", home="12m")
    errand.project("work", {"large": os.urandom(16 << 20)})
    done = errand("run", "--on", host.name, "--", "true")
    assert done.rc != 0 and re.search("space|full", done.said) and host.name in done.said
    row = errand.job()
    assert row["state"] == "failed"
    (errand.cwd / "large").unlink()
    assert errand("run", "--quiet", "--on", host.name, "--", "echo", "fits").ok().out == b"fits\n"


def test_host_disk_full_before_the_agent_fits(errand, make_host):
    host = make_host("tiny", home="200k")
    done = errand("run", "--on", host.name, "--", "true")
    assert done.rc != 0 and re.search("space|full", done.said)


def test_host_disk_full_by_the_log(errand, make_host):
    """The job goes on or fails, but its end is recorded and said."""
    host = make_host("small", home="12m")
    done = errand("run", "--on", host.name, "--", "sh", "-c", "head -c 40000000 /dev/zero | tr '\\0' x; exit 3")
    assert done.rc != 0
    row = errand.job()
    assert row["state"] == "failed", row
    assert re.search("space|full|exit", (row["detail"] or "") + row["reason"] + done.said)


FLOOD = "head -c 40000000 /dev/zero | tr '\\0' x"


def test_output_that_could_not_be_kept_is_said(errand, make_host):
    """The job is done, but its log is not whole: everything that shows its end says so."""
    host = make_host("small", home="12m")
    done = errand("run", "--on", host.name, "--", "sh", "-c", FLOOD).ok()
    assert "could not be kept" in done.said and "No space left" in done.said
    assert "could not be kept" in errand("show", "work-1").ok().text
    assert "could not be kept" in errand("wait", "work-1").ok().said
    for args in ([], ["-f"]):
        assert "could not be kept" in errand("logs", *args, "work-1").ok().said
    assert "could not be kept" in errand.job()["detail"]


def test_strict_log_makes_it_a_failure(errand, make_host):
    host = make_host("small", home="12m")
    errand.project("work", {"errand.yaml": "strict_log: true\n"})
    done = errand("run", "--on", host.name, "--", "sh", "-c", FLOOD)
    assert done.rc == 222 and "output lost" in done.said and "could not be kept" in done.said
    assert errand.job()["reason"] == "output lost"
    errand("rm", "work-1").ok()  # makes room again
    errand("run", "--on", host.name, "--", "echo", "whole").ok()


def test_host_disk_full_by_the_job(errand, make_host):
    host = make_host("small", home="12m")
    done = errand("run", "--on", host.name, "--output", "o", "--", "sh", "-c", "echo yes > o; head -c 40000000 /dev/zero > fill || { echo full; exit 8; }")
    assert done.rc == 8
    assert done.out == b"full\n" or "No space left" in done.said  # the log has no room either, and that is said
    assert (errand.results("work-1.0") / "o").read_text() == "yes\n"


@pytest.mark.parametrize("kind,word", [("ro", "read-only|Read-only"), ("noexec", "noexec|execut")])
def test_home_that_cannot_be_used(errand, make_host, kind, word):
    host = make_host("ill", home=kind)
    done = errand("run", "--on", host.name, "--", "true")
    assert done.rc != 0 and re.search(word, done.said) and host.name in done.said
    assert errand.job()["state"] == "failed"


def test_disk_full_here_at_the_store(errand, small):
    state = small(errand.base / "full-state", "600k")
    with open(state / "fill", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    done = errand("--state-dir", state, "run", "--", "sh", "-c", "echo ran >> ~/times")
    assert done.rc in (212, 214) and re.search("space|full", done.said)
    assert not (errand.home / "times").exists()
    (state / "fill").unlink()
    errand("--state-dir", state, "run", "--quiet", "--", "true").ok()


def test_disk_full_here_at_the_results(errand, host, small):
    results = small(errand.cwd / "results", "2m")
    done = errand("run", "--on", host.name, "--output", "big", "--", "sh", "-c", "head -c 5000000 /dev/zero > big; echo ran >> ~/times")
    assert done.rc != 0 and re.search("space|full", done.said)
    assert (host.home / "times").read_text() == "ran\n"
    subprocess.run(["mount", "-o", "remount,size=20m", str(results)], check=True)
    errand("wait", "work-1")
    until(lambda: (errand.results("work-1.0") / "big").exists() and (errand.results("work-1.0") / "big").stat().st_size == 5000000, 30, "the results")
    assert (host.home / "times").read_text() == "ran\n"


def test_read_only_project_directory(errand, namespaces):
    """Results cannot be written: the job is not lost by it, `errand pull` to elsewhere gets them."""
    subprocess.run(["mount", "--bind", str(errand.cwd), str(errand.cwd)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(errand.cwd)], check=True)
    try:
        done = errand("run", "--output", "o", "--", "sh", "-c", "echo yes > o")
        assert done.rc != 0 and re.search("[Rr]ead-only", done.said)
        errand("pull", "work-1", "o", str(errand.home / "elsewhere") + "/").ok()
        assert (errand.home / "elsewhere" / "o").read_text() == "yes\n"
    finally:
        until(lambda: subprocess.run(["umount", str(errand.cwd)], capture_output=True, check=False).returncode == 0, 20, "umount")
    errand("wait", "work-1")


def test_record_of_the_end_survives_a_full_disk(errand, make_host):
    """The room for the record was reserved at the start."""
    host = make_host("small", home="12m")
    errand("run", "--detach", "--on", host.name, "--", "sh", "-c", "touch ~/begun; until [ -e /tmp/go ]; do sleep 0.02; done; exit 5").ok()
    until(lambda: host.sh("ls /root/begun 2>/dev/null", check=False), 20, "the job to begin")
    host.sh("head -c 100000000 /dev/zero > /root/fill", check=False)
    host.sh("touch /tmp/go")
    assert errand("wait", "work-1").rc == 5

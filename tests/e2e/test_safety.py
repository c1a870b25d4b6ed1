"""What must not happen behind the user's back: an error and yet a job that runs, a job twice, silence."""
import os
import shutil
import subprocess

import pytest

from helpers import PROGRAM, until


def test_dry_run_reads_no_contents(errand):
    with open(errand.cwd / "sparse", "wb") as file:
        file.truncate(1 << 40)
    (errand.cwd / "small").write_text("x")
    done = errand("run", "--dry-run", "true", timeout=10).ok()
    assert "1 TB in 2 files" in done.text and "sparse" in done.text, done
    (errand.cwd / "sparse").unlink()
    assert errand("run", "--quiet", "--", "cat", "small").ok().out == b"x"  # the dry run left nothing wrong behind


def test_too_few_descriptors_is_said_before_anything_is_stored(errand):
    times = errand.base / "times"
    for limit in (8, 10, 12, 13, 14, 18, 22, 26, 40):
        done = errand.start(argv=["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", str(PROGRAM), "run", "--quiet", "--no-sync",
                                  "--", "sh", "-c", f"echo ran >> {times}"]).wait()
        if done.rc == 0:
            assert times.read_text() == "ran\n", limit
            break
        assert "ulimit -n" in done.said, (limit, done)
        assert errand("jobs", "--json").ok().json() == [], (limit, done)
    else:
        raise AssertionError("never ran")
    assert len(errand("jobs", "--json").ok().json()) == 1
    assert times.read_text() == "ran\n"


def test_copied_store_does_not_make_a_job_run_twice(errand):
    """Killed before the store knew that the host has the attempt; then a gc by an older copy of the store."""
    times = errand.base / "times"
    errand("run", "--quiet", "--no-sync", "--", "true").ok()
    copy = errand.base / "copy"
    shutil.copytree(errand.state, copy)
    errand("run", "--quiet", "--no-sync", "--", "sh", "-c", f"echo ran >> {times}", env={"ERRAND_CRASH_AT": "submitted and watched"})
    until(lambda: list(errand.root.glob("jobs/work-2.0.*/1/exit")), what="the record")
    errand("--state-dir", copy, "gc").ok()
    assert list(errand.root.glob("jobs/work-2.0.*/1"))  # a copy has an id of its own: what the original has there is not its to take
    done = errand("wait", "work-2")
    assert times.read_text() == "ran\n", done
    assert done.rc == 0, done


def test_copied_store_and_its_original_keep_each_others_jobs(errand):
    errand("run", "--no-sync", "--", "sh", "-c", "echo first > made").ok()
    copy = errand.base / "copy"
    shutil.copytree(errand.state, copy)
    errand("run", "--no-sync", "--", "sh", "-c", "echo original > made").ok()
    errand("--state-dir", copy, "run", "--no-sync", "--", "sh", "-c", "echo copied > made").ok()
    keys = sorted(path.name for path in errand.root.glob("jobs/work-2.0.*"))
    assert len(keys) == 2 and keys[0].rpartition(".")[2] != keys[1].rpartition(".")[2]
    for state in (errand.state, copy):
        errand("--state-dir", state, "gc").ok()
    for state, text in ((errand.state, "original"), (copy, "copied")):
        errand("--state-dir", state, "pull", "work-2", "made", f"{errand.base}/{text}/").ok()
        assert (errand.base / text / "made").read_text() == text + "\n"
        errand("--state-dir", state, "pull", "work-1", "made", f"{errand.base}/first/").ok()  # what both know has the key it had


@pytest.mark.parametrize("name", ["errand.yaml", ".gitignore", ".errandignore"])
def test_fifo_among_the_files_that_errand_reads(errand, name):
    subprocess.run(["git", "init", "-q", str(errand.cwd)], check=True)
    os.mkfifo(errand.cwd / name)
    sub = errand.project("work/sub")
    for where in (errand.cwd, sub):
        done = errand("run", "--", "true", cwd=where, timeout=10)
        assert done.rc == 202 and f"{name} is not a regular file" in done.said, done


STOPPED_AGENT = """#!/usr/bin/python3
import os, subprocess, sys
if "serve" not in sys.argv:
    os.execv({real!r}, [{real!r}] + sys.argv[1:])
agent = subprocess.Popen([{real!r}] + sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def frame(read):
    head = read(12)
    return head + read(int.from_bytes(head[:4], "little") - 8)
agent.stdin.write(frame(sys.stdin.buffer.read)), agent.stdin.flush()
sys.stdout.buffer.write(frame(agent.stdout.read)), sys.stdout.buffer.flush()
while sys.stdin.buffer.read1(65536):
    pass
"""


def test_stopped_agent_is_said_and_given_up(errand):
    """It greets, and then says nothing any more."""
    errand("run", "--quiet", "--no-sync", "--output", "o", "--", "sh", "-c", "echo yes > o").ok()
    [program] = [path for path in errand.base.rglob("errand-agent-*") if path.is_file() and os.access(path, os.X_OK)]
    real = program.with_name("real-agent")
    program.rename(real)
    program.write_text(STOPPED_AGENT.format(real=str(real)))
    program.chmod(0o755)
    asked = [errand.start(*args) for args in (["gc"], ["hosts"], ["doctor", "local"], ["env", "list"])]
    logs = errand.start("logs", "work-1")
    pull = errand.start("pull", "work-1", "o", str(errand.home) + "/")
    quiet = errand.start("pull", "--quiet", "work-1", "o", str(errand.home) + "/")
    for proc in asked:
        done = proc.wait(40)
        assert "waiting for local to answer" in done.said and "no data for 20 s" in done.said + done.text, done
        assert 15 < done.seconds < 35, done
    for proc in (logs, pull):
        proc.wait_for(b"waiting for local to answer", stream="err")
    assert not quiet.err
    for proc in (logs, pull, quiet):
        proc.kill()

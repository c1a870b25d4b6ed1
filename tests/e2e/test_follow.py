"""Following a job: detach, logs, wait, show, jobs, the terminal."""
import os
import re
import signal

import pytest

from helpers import end_process, read_proc, until

COUNTING = "i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); done"


def gate(errand, name="go"):
    """A shell line that waits for a file of this name in the home, and the file."""
    path = errand.home / name
    return f"until [ -e {path} ]; do sleep 0.02; done", path


def test_detach_and_come_back(errand, host):
    wait, go = "until [ -e ~/go ]; do sleep 0.02; done", host.home / "go"
    done = errand("run", "--detach", "--on", host.name, "--output", "o", "--", "sh", "-c", f"echo begun; {wait}; echo ended; echo 1 > o").ok()
    assert "work-1" in done.text + done.said
    assert "logs" in done.said
    follow = errand.start("logs", "-f", "work-1")
    follow.wait_for(b"begun\n")
    go.touch()
    assert follow.wait().ok().out == b"begun\nended\n"
    errand("wait", "work-1").ok()
    assert (errand.results("work-1.0") / "o").read_text() == "1\n"
    assert errand.job()["state"] == "done"


def test_logs_follow_ends_when_the_job_ends(errand):
    errand("run", "--detach", "--", "sh", "-c", "echo a; sleep 0.3; echo b").ok()
    assert errand("logs", "-f", timeout=20).ok().out == b"a\nb\n"


def test_logs_tail(errand):
    errand("run", "--quiet", "--", "seq", "1000").ok()
    assert errand("logs", "--tail", "3").ok().out == b"998\n999\n1000\n"
    assert errand("logs", "--tail", "0").ok().out == b""
    assert errand("logs", "--tail", "100000").ok().out == "".join(f"{i}\n" for i in range(1, 1001)).encode()


def test_logs_grep(errand):
    errand("run", "--quiet", "--", "seq", "100").ok()
    assert errand("logs", "--grep", "^.*7$").ok().text.split() == [str(i) for i in range(7, 100, 10)]
    assert errand("logs", "--grep", "(").rc in (201, 202)


def test_logs_since(errand):
    wait, go = gate(errand)
    errand("run", "--detach", "--", "sh", "-c", f"echo old; {wait}; echo new").ok()
    until(lambda: errand("logs").out == b"old\n", 20, "the first line")
    until(lambda: errand("logs", "--since", "300ms").out == b"", 20, "the first line to be old")
    go.touch()
    errand("wait").ok()
    assert errand("logs", "--since", "1h").ok().out == b"old\nnew\n"
    assert b"old" not in errand("logs", "--since", "250ms").ok().out


def test_logs_every_shows_only_the_last_line(errand):
    errand("run", "--detach", "--", "sh", "-c", "for i in $(seq 60); do echo step $i; sleep 0.05; done; echo last").ok()
    lines = errand("logs", "-f", "--every", "1", timeout=30).ok().text.splitlines()
    assert lines and lines[-1] == "last" and len(lines) < 30


def test_wait_for_several(errand):
    errand("run", "--detach", "--", "true").ok()
    errand("run", "--detach", "--", "sh", "-c", "exit 7").ok()
    errand("run", "--detach", "--", "true").ok()
    assert errand("wait", "work-1", "work-2", "work-3").rc == 7
    assert {row["state"] for row in errand.jobs()} == {"done", "failed"}


def test_wrong_name_gets_the_nearest(errand):
    errand("run", "--name", "mnist-large", "--", "true").ok()
    for command in ("logs", "show", "wait", "cancel"):
        done = errand(command, "mnits-large")
        assert done.rc == 206 and "mnist-large" in done.said, done


def test_no_job_at_all(errand):
    done = errand("logs")
    assert done.rc == 206 and done.said.count("\n") <= 3


def test_latest_of_this_project(errand):
    errand("run", "--quiet", "--", "echo", "here").ok()
    other = errand.project("other")
    errand("run", "--quiet", "--", "echo", "there", cwd=other).ok()
    assert errand("logs").ok().out == b"here\n"
    assert errand("logs", cwd=other).ok().out == b"there\n"


def test_show(errand, host):
    errand("run", "--quiet", "--on", host.name, "--output", "o", "--", "sh", "-c", "echo x > o").ok()
    text = errand("show").ok().text
    for word in ("work-1.0", "done", host.name, "echo x > o"):
        assert word in text
    shown = errand("show", "--json").ok().json()
    row = shown[0] if isinstance(shown, list) else shown
    assert row["job"] == "work-1.0" and row["state"] == "done"
    assert row["attempts"][0]["host"] == host.name


def test_show_measures_cpu_and_memory(errand):
    errand("run", "--quiet", "--", "/usr/bin/python3", "-c", "x = bytearray(100 << 20)\nimport time\nend = time.process_time() + 0.7\nwhile time.process_time() < end: pass").ok()
    shown = errand("show", "--json").ok().json()
    row = shown[0] if isinstance(shown, list) else shown
    attempt = row["attempts"][0]
    assert attempt["cpu_seconds"] >= 0.5
    assert 100e6 < attempt["max_memory"] < 400e6


def test_jobs_lists_and_json(errand):
    errand("run", "--quiet", "--", "true").ok()
    errand("run", "--quiet", "--", "false").ok(1)
    lines = errand("jobs", "--all").ok().text.splitlines()
    assert len(lines) == 3 and "work-2.0" in lines[1] and "failed" in lines[1] and "work-1.0" in lines[2]
    assert all("\x1b" not in line for line in lines)


def test_jobs_watch_shows_the_change_and_ends_on_interrupt(errand):
    wait, go = gate(errand)
    errand("run", "--detach", "--", "sh", "-c", wait).ok()
    errand.wait_state("running")
    watch = errand.start_tty("jobs", "--watch")
    watch.wait_for(b"running")
    go.touch()
    watch.wait_for(b"done")
    watch.signal(signal.SIGINT)
    watch.wait(10)


def test_ctrl_c_detaches_and_says_how_to_go_on(errand):
    wait, go = gate(errand)
    proc = errand.start("run", "--", "sh", "-c", f"echo begun; {wait}; echo ended")
    proc.wait_for(b"begun\n")
    proc.signal(signal.SIGINT)
    done = proc.wait(15)
    assert done.rc == 216
    assert "errand logs" in done.said and "errand cancel" in done.said and "work-1" in done.said
    assert errand.job()["state"] == "running"
    go.touch()
    assert errand("wait", "work-1").ok()
    assert errand("logs", "work-1").ok().out == b"begun\nended\n"


def test_ctrl_c_twice_cancels(errand):
    proc = errand.start_tty("run", "--", "sh", "-c", "echo begun; sleep 1000")
    proc.wait_for(b"begun")
    os.write(proc.terminal, b"\x03")
    proc.wait_for(re.compile(rb"errand cancel|again"))
    os.write(proc.terminal, b"\x03")
    proc.wait(15)
    errand.wait_state("cancelled")


def test_terminal_that_closes_leaves_the_job_running(errand):
    wait, go = gate(errand)
    proc = errand.start_tty("run", "--output", "o", "--", "sh", "-c", f"echo begun; {wait}; echo 1 > o")
    proc.wait_for(b"begun")
    proc.hang_up()
    until(lambda: not proc.running(), 15, "errand to end with its terminal")
    go.touch()
    errand("wait").ok()
    errand.wait_state("done")
    until(lambda: (errand.results("work-1.0") / "o").exists(), 20, "the results")


def test_terminal_shows_a_status_line_and_clean_output(errand):
    proc = errand.start_tty("run", "--", "sh", "-c", "echo one; sleep 0.3; echo two")
    done = proc.wait()
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|\r", b"", done.out)
    assert b"one" in plain and b"two" in plain and plain.index(b"one") < plain.index(b"two")
    assert done.rc == 0


def test_control_characters_in_names_do_not_reach_the_terminal(errand):
    errand("run", "--quiet", "--", "printf", "\x1b]0;evil\x07").ok()
    assert b"\x1b]0;evil" not in errand("jobs", "--all").ok().out


@pytest.mark.parametrize("size", [64 << 20])
def test_log_of_many_megabytes_arrives_whole(errand, host, size):
    done = errand("run", "--quiet", "--on", host.name, "--", "sh", "-c", f"seq 1 99999999 | head -c {size} | tee copy; sha256sum < copy >&2", timeout=120).ok()
    import hashlib
    assert len(done.out) == size
    assert hashlib.sha256(done.out).hexdigest() in done.said


@pytest.mark.release
def test_slow_reader_does_not_grow_memory(errand, host):
    """The client's memory is bounded when nobody takes its output."""
    taker = errand.program("taker", f"#!/bin/sh\nuntil [ -e {errand.home}/go ]; do sleep 0.05; done\nexec wc -c\n")
    proc = errand.start(argv=["bash", "-c", f'set -o pipefail; {errand._args([])[0]} run --quiet --on {host.name} -- head -c 300000000 /dev/zero | {taker}'])

    def client():
        return [pid for pid in errand.processes() if read_proc(pid, "comm").strip() == b"errand"]
    child = until(client, 20, "errand")[0]
    until(lambda: sum(f.stat().st_size for f in host.home.glob(".errand/jobs/*/*/log")) >= 300000000, 60, "the whole log on the host")
    peak = int(re.search(r"VmHWM:\s+(\d+)", read_proc(child, "status").decode()).group(1))
    (errand.home / "go").touch()
    assert proc.wait(90).ok().out.strip() == b"300000000"
    assert peak < 64 << 10, f"{peak} KiB"


def test_follower_killed_leaves_everything_as_it_is(errand):
    wait, go = gate(errand)
    errand("run", "--detach", "--", "sh", "-c", f"echo a; {wait}; echo b").ok()
    follow = errand.start("logs", "-f")
    follow.wait_for(b"a\n")
    end_process(follow.pid)
    go.touch()
    errand("wait").ok()
    assert errand("logs").ok().out == b"a\nb\n"

"""Runs in quick succession reach the host through a listener there, without a session of sshd for each; it is gone soon, and
whatever happens to it, nobody notices."""
import os
import re
import signal

import pytest

from helpers import command_of, end_process, read_proc, until

pytestmark = pytest.mark.release  # a run must come within the time that a listener stays

SEEN = "env | grep -v ^ERRAND_ | sort; umask; ulimit -a; cat /proc/self/oom_score_adj; grep -E Sig[BIC] /proc/self/status"
LOG = {"ERRAND_LOG": "debug"}


def listeners(host):
    return [pid for pid in host.jobs() if read_proc(pid, "comm").strip() == b"errand-listen"]


def went_fast(done):
    return b"reached by its listener" in done.err


def tried(done):
    return b": listener " in done.err


def run(errand, host, *command, flags=(), **more):
    return errand("run", "--on", host.name, *flags, "--", *command, env={**LOG, **more.pop("env", {})}, **more)


def warm(errand, host, env=None):
    """A listener is there, and was reached."""
    for _ in range(10):
        done = run(errand, host, "true", env=env or {}).ok()
        if went_fast(done):
            return
    raise AssertionError(f"no run went through a listener: {done}")


def test_runs_in_quick_succession_share_a_listener(errand, host):
    first = run(errand, host, "sh", "-c", SEEN).ok()
    assert not tried(first)
    warm(errand, host)
    done = run(errand, host, "sh", "-c", SEEN).ok()
    assert went_fast(done)
    # What the job finds is what a session gives it, but for its own name.
    assert re.sub(rb"/work-[^/\n]*", b"", done.out) == re.sub(rb"/work-[^/\n]*", b"", first.out)
    assert len(listeners(host)) == 1
    directory = host.home / ".errand" / "run"
    assert directory.stat().st_mode & 0o777 == 0o700
    until(lambda: not listeners(host), 10, "the listener to end")
    assert not list(directory.iterdir())
    # And a later run is one like the first.
    assert not tried(run(errand, host, "true").ok())


def test_one_run_leaves_no_listener(errand, host):
    (errand.cwd / "data").write_text("x\n")
    run(errand, host, "sh", "-c", "cp data out", flags=("--output", "out")).ok()
    assert not listeners(host)


def test_no_listener_when_none_is_wanted(errand, host):
    for _ in range(3):
        assert not tried(run(errand, host, "true", env={"ERRAND_LINGER": "0"}).ok())
    assert not listeners(host) and not (host.home / ".errand" / "run").exists()


def test_listener_killed(errand, host):
    """A kill -9 of the listener: sessions again, and the next one takes its place and tidies up behind it."""
    warm(errand, host)
    for pid in listeners(host):
        end_process(pid)
    done = run(errand, host, "echo", "here").ok()
    assert tried(done) and not went_fast(done) and done.out == b"here\n"
    warm(errand, host)
    assert len(listeners(host)) == 1


def test_listener_that_hangs(errand, host):
    warm(errand, host)
    stopped = listeners(host)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert run(errand, host, "echo", "here").ok().out == b"here\n"
    finally:
        for pid in stopped:
            end_process(pid)


def test_everything_of_the_listener_killed_while_following(errand, host):
    warm(errand, host)
    proc = errand.start("run", "--on", host.name, "--", "sh", "-c", "echo one; until [ -e ~/go ]; do sleep 0.02; done; echo two", env=LOG)
    proc.wait_for(b"one\n")
    proc.wait_for(b"reached by its listener", "err")
    ended = [pid for pid in host.jobs() if read_proc(pid, "comm").strip() in (b"errand-listen", b"errand-agent") and b"listen" in read_proc(pid, "cmdline")
             and b"guard" not in read_proc(pid, "comm")]
    ended = [pid for pid in ended if read_proc(pid, "comm").strip() == b"errand-listen"] + \
            [pid for pid in ended if read_proc(pid, "comm").strip() == b"errand-agent"]
    assert len(ended) >= 2, [command_of(pid) for pid in host.jobs()]
    for pid in ended:
        end_process(pid)
    (host.home / "go").touch()
    assert proc.wait().ok().out == b"one\ntwo\n"


def test_connection_cut_while_following(errand, host):
    warm(errand, host)
    proc = errand.start("run", "--on", host.name, "--", "sh", "-c", "echo one; until [ -e ~/go ]; do sleep 0.02; done; echo two", env=LOG)
    proc.wait_for(b"one\n")
    proc.wait_for(b"reached by its listener", "err")
    host.cut()
    (host.home / "go").touch()
    assert proc.wait().ok().out == b"one\ntwo\n"


def test_sshd_that_forwards_nothing(errand, make_host):
    host = make_host("closed", more="AllowStreamLocalForwarding no")
    outcomes = [run(errand, host, "echo", "here").ok() for _ in range(5)]
    assert all(done.out == b"here\n" for done in outcomes)
    # Asked once, and then not for a while: so there is no listener either.
    assert sum(tried(done) for done in outcomes) == 1
    until(lambda: not listeners(host), 10, "the listener to end")


def test_another_environment_has_another_listener(errand, host):
    """What ssh is told to set there reaches the jobs, also when runs follow each other quickly."""
    warm(errand, host)
    listener = listeners(host)
    # The same user from another machine, whose runs have another environment there.
    other = {"XDG_RUNTIME_DIR": str(errand.base / "other"), "HOME": str(errand.home)}
    (errand.base / "other").mkdir(mode=0o700)
    warm(errand, host, env=other)
    assert len(listeners(host)) == 2 and set(listener) < set(listeners(host))
    connections = [run(errand, host, "sh", "-c", "echo $SSH_CONNECTION", env=env).ok() for env in ({}, other)]
    assert all(went_fast(done) for done in connections)
    assert connections[0].out != connections[1].out


def test_agent_replaced_by_another_build(errand, host):
    """The listener belongs to a build: what it left does not serve another."""
    warm(errand, host)
    agents = list((host.home / ".errand" / "bin").glob("errand-agent-*"))
    agents[0].rename(agents[0].with_name("errand-agent-000000000000"))
    assert went_fast(run(errand, host, "true").ok())  # still runs
    until(lambda: not listeners(host), 10, "the listener to end")
    assert run(errand, host, "echo", "here").ok().out == b"here\n"
    assert agents[0].exists()


def test_many_at_once_through_one_connection(errand, host):
    """sshd allows so many sessions on a connection; a listener needs none."""
    warm(errand, host)
    procs = [errand.start("run", "--quiet", "--no-sync", "--on", host.name, "--", "sh", "-c", f"echo {i}") for i in range(40)]
    for i, proc in enumerate(procs):
        assert proc.wait(90).ok().out == b"%d\n" % i

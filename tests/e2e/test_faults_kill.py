"""kill -9 of everything of ours, at every step: the command ran once, the log is whole, and `errand jobs` is right."""
import os
import signal

import pytest

from helpers import PROGRAM, command_of, end_process, until

# What the job does: appends to a file on the host (so that a second execution shows), prints, makes an output.
JOB = "echo ran >> ~/times; seq 1 2000; cp input out.txt; sleep 0.05; echo last"
PARTS = 4  # of the loops over every step, each a test: several run at once
LOG = "".join(f"{i}\n" for i in range(1, 2001)).encode() + b"last\n"


def assert_right(errand, home):
    """However it got there: the run is done, once, with its whole log and its results."""
    rows = errand.jobs()
    assert len(rows) == 1 and rows[0]["state"] == "done", rows
    assert (home / "times").read_text() == "ran\n"
    assert errand("logs", rows[0]["job"]).ok().out == LOG
    until(lambda: (errand.results(rows[0]["job"]) / "out.txt").exists(), 20, "the results")
    assert (errand.results(rows[0]["job"]) / "out.txt").read_text() == "the input\n"
    assert not list(errand.cwd.rglob("*.errand-part"))


def crash_points(errand, *args):
    """How many steps a run has in which it can be killed."""
    path = errand.base / "points"
    errand("run", "--quiet", *args, "--output", "out.txt", "--", "sh", "-c", JOB, env={"ERRAND_CRASH_COUNT": str(path)}).ok()
    return path.read_text().splitlines()


@pytest.mark.release
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("place", ["local", "ssh"])
def test_errand_killed_at_every_step(errand, request, place, part):
    host = request.getfixturevalue("host") if place == "ssh" else None
    on = ["--on", host.name] if host else []
    home = host.home if host else errand.home
    errand.project("work", {"input": "the input\n"})
    points = crash_points(errand, *on)
    assert len(points) >= 5
    for n in range(1 + part, len(points) + 1, PARTS):
        errand.cwd = errand.project(f"p{n}", {"input": "the input\n"})
        (home / "times").unlink(missing_ok=True)
        for row in errand.jobs():
            errand("rm", row["job"]).ok()
        done = errand("run", "--quiet", *on, "--output", "out.txt", "--", "sh", "-c", JOB, env={"ERRAND_CRASH_AT": str(n)})
        # How often the store is written depends on what comes together: a run may be over in fewer steps than the first.
        assert done.rc == -signal.SIGKILL or (done.rc == 0 and n > len(points) // 2), f"crash point {n} ({points[n - 1]}) was not reached: {done}"
        rows = errand.jobs()
        if not rows:
            assert not (home / "times").exists(), f"killed at {points[n - 1]}: it ran, and the store does not know"
            continue
        assert errand("wait", rows[0]["job"]).rc == 0, f"killed at {n}, {points[n - 1]}"
        try:
            assert_right(errand, home)
        except AssertionError as error:
            raise AssertionError(f"killed at {n}, {points[n - 1]}: {error}") from error


@pytest.mark.release
@pytest.mark.parametrize("part", range(PARTS))
def test_errand_killed_at_every_step_of_the_take_over(errand, host, part):
    """The process that takes over is killed as well, the next one finishes."""
    errand.project("work", {"input": "the input\n"})
    points = crash_points(errand, "--on", host.name)
    for n in range(1 + 2 * part, len(points) + 1, 2 * PARTS):
        errand.cwd = errand.project(f"p{n}", {"input": "the input\n"})
        (host.home / "times").unlink(missing_ok=True)
        for row in errand.jobs():
            errand("rm", row["job"]).ok()
        errand("run", "--quiet", "--on", host.name, "--output", "out.txt", "--", "sh", "-c", JOB, env={"ERRAND_CRASH_AT": "attempt intended"})
        name = errand.jobs()[0]["job"]
        errand("wait", name, env={"ERRAND_CRASH_AT": str(n)})
        assert errand("wait", name).rc == 0
        assert_right(errand, host.home)


def test_errand_killed_while_following(errand, host):
    errand.project("work", {"input": "the input\n"})
    proc = errand.start("run", "--on", host.name, "--output", "out.txt", "--", "sh", "-c", f"{JOB}; until [ -e ~/go ]; do sleep 0.02; done")
    proc.wait_for(b"last\n")
    proc.kill()
    (host.home / "go").touch()
    errand("wait", "work-1").ok()
    assert_right(errand, host.home)


def test_detached_maestro_killed(errand, host):
    errand.project("work", {"input": "the input\n"})
    errand("run", "--detach", "--on", host.name, "--output", "out.txt", "--", "sh", "-c", f"{JOB}; until [ -e ~/go ]; do sleep 0.02; done").ok()
    until(lambda: (host.home / "times").exists(), 20, "the job to begin")
    for pid in errand.processes():
        if str(PROGRAM) in command_of(pid) and "maestro" in command_of(pid):
            end_process(pid)
    (host.home / "go").touch()
    errand("wait", "work-1").ok()
    assert_right(errand, host.home)


def test_jobs_alone_takes_an_orphaned_run_up(errand):
    """Nobody has to know about maestros: looking at the jobs is enough for them to come to their end."""
    proc = errand.start("run", "--", "sh", "-c", "echo begun; until [ -e ~/go ]; do sleep 0.02; done")
    proc.wait_for(b"begun\n")
    proc.kill()
    (errand.home / "go").touch()
    errand.wait_state("done", timeout=30)


@pytest.mark.parametrize("which", ["supervisor", "both", "all", "guard", "serve"])
def test_agent_killed_while_the_job_runs(errand, host, which):
    """Supervisor or guard dead: the job's processes are ended and the attempt is lost, with that reason, or goes on;
    never a stray process, never a second execution."""
    errand("run", "--detach", "--on", host.name, "--", "sh", "-c", "echo ran >> ~/times; (setsid sleep 1001 &); sleep 1002").ok()
    until(lambda: (host.home / "times").exists() and host.find("sleep 1002"), 20, "the job to begin")
    until(lambda: errand.job()["state"] == "running", 20, "the news of it")
    agents = host.find("errand-agent")
    parents = {pid: int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]) for pid in agents}
    sleeper = host.find("sleep 1002")[0]
    supervisor = next(pid for pid in chain(sleeper) if pid in agents)
    guard = parents[supervisor] if parents[supervisor] in agents else None
    serve = [pid for pid in agents if pid not in (supervisor, guard)]
    victims = {"supervisor": [supervisor], "guard": [guard], "both": [supervisor, guard], "serve": serve, "all": agents}[which]
    assert None not in victims
    for pid in victims:
        end_process(pid)
    if which in ("guard", "serve"):  # the job does not depend on them
        assert errand.job()["state"] == "running"
        errand("cancel", "work-1").ok()
        errand.wait_state("cancelled")
    else:
        assert errand("wait", "work-1").rc == 221
        row = errand.job()
        assert row["state"] == "failed" and "kill" in row["reason"]
    until(lambda: not host.find("sleep 100"), 10, "the job's processes to be gone")
    assert (host.home / "times").read_text() == "ran\n"


def chain(pid):
    """A process's ancestors."""
    while pid > 1:
        pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
        yield pid


def test_job_that_kills_its_supervisor(errand, host):
    done = errand("run", "--on", host.name, "--", "sh", "-c", "echo ran >> ~/times; kill -9 $PPID; sleep 1000", timeout=40)
    assert done.rc == 221
    until(lambda: not host.find("sleep 1000"), 10, "the job's processes to be gone")
    assert (host.home / "times").read_text() == "ran\n"


def test_ssh_process_killed_at_connect_and_while_running(errand, host):
    """Without a control socket there is one ssh process per run; killing it is a broken connection like any other."""
    proc = errand.start("run", "--quiet", "--on", host.name, "--", "sh", "-c", "echo one; until [ -e ~/go ]; do sleep 0.02; done; echo two")
    proc.wait_for(b"one\n")
    for pid in errand.processes():
        if command_of(pid).startswith(("ssh", "/usr/bin/ssh")):
            end_process(pid)
    (host.home / "go").touch()
    assert proc.wait().ok().out == b"one\ntwo\n"


@pytest.mark.release
@pytest.mark.parametrize("persist", ["60", "0"])
@pytest.mark.parametrize("up, at", [(True, 1), (True, 1500), (True, 4000000), (True, 16000000), (False, 300000), (False, 9000000), (False, 20000000)])
def test_ssh_process_killed_at_every_step(errand, host, up, at, persist):
    """Handshake, first words, upload, its end, log, results, their end: with a master that is shared and with an ssh for the run alone."""
    errand.project("work", {"large": os.urandom(16 << 20)})
    proxy = host.proxy()
    proc = errand.start("run", "--quiet", "--on", proxy.name, "--output", "out", "--", "sh", "-c",
                        "echo ran >> ~/times; seq 1 1000000; cp large out", env={"ERRAND_SSH_PERSIST": persist})
    until(lambda: proxy.counts[up] >= at or not proc.running(), 60, "the run to get there")
    for pid in errand.processes():
        if command_of(pid).startswith(("ssh", "/usr/bin/ssh")):
            end_process(pid)
    assert proc.wait(90).ok().out == b"".join(b"%d\n" % i for i in range(1, 1000001)), "no gap, no repeat"
    assert (errand.results("work-1.0") / "out").read_bytes() == (errand.cwd / "large").read_bytes()
    assert (host.home / "times").read_text() == "ran\n"


@pytest.mark.parametrize("at", [20000, 1500000, 3500000])
def test_errand_killed_in_the_middle_of_the_upload(errand, host, at):
    files = {"large": os.urandom(4 << 20)}
    errand.project("work", files)
    proxy = host.proxy()
    proc = errand.start("run", "--on", proxy.name, "--", "sh", "-c", "echo ran >> ~/times; wc -c < large")
    until(lambda: proxy.counts[True] >= at, 30, "the upload to get there")
    proc.kill()
    proxy.cut()
    for row in errand.jobs():
        errand("wait", row["job"]).ok()
        assert errand("logs", row["job"]).ok().out.strip() == str(4 << 20).encode()
        assert (host.home / "times").read_text() == "ran\n"


def test_errand_killed_while_fetching_results(errand, host):
    proxy = host.proxy()
    proc = errand.start("run", "--on", proxy.name, "--output", "big", "--", "sh", "-c", "head -c 30000000 /dev/urandom > big; sha256sum < big; touch ~/made; until [ -e ~/go ]; do sleep 0.02; done")
    until(lambda: (host.home / "made").exists(), 30, "the output to be made")
    proxy.counts[False] = 0
    (host.home / "go").touch()
    until(lambda: proxy.counts[False] > 2000000 or not proc.running(), 30, "the fetch to be half done")
    proc.kill()
    errand("wait", "work-1").ok()
    until(lambda: (errand.results("work-1.0") / "big").exists(), 30, "the results")
    there = next(host.home.glob(".errand/jobs/work-1.0.*/1/work/big"))
    assert there.read_bytes() == (errand.results("work-1.0") / "big").read_bytes()
    assert not list(errand.cwd.rglob("*.errand-part"))


def test_cancel_of_an_orphaned_run(errand, host):
    proc = errand.start("run", "--on", host.name, "--", "sh", "-c", "echo begun; sleep 1000")
    proc.wait_for(b"begun\n")
    proc.kill()
    errand("cancel", "work-1").ok()
    errand.wait_state("cancelled")
    until(lambda: not host.find("sleep 1000"), 10, "the job to be gone")


def test_agent_install_interrupted(errand, host):
    """A half-written agent on the host is never run, and the next run puts it right."""
    proxy = host.proxy()
    proxy.cut_after(60000)
    errand("run", "--quiet", "--on", proxy.name, "--", "true").ok()
    assert proxy.was_cut()
    # The interrupted one tidies up when it notices, which may be after the second one is done.
    until(lambda: len(list((host.home / ".errand" / "bin").iterdir())) == 1, 20, "the half agent to be gone")

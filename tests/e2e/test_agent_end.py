"""The agent: how attempts end by force, and what is left of them: nothing."""
import contextlib
import os
import signal
import textwrap
import time

import pytest

import helpers
from agentfix import agent, world  # noqa: F401
from agentlib import CODE, END, REASON, STATE, AgentError, frame, message, spec

FAMILY = textwrap.dedent("""
    import os, signal, sys, time
    def child(*steps):
        if os.fork():
            return
        for step in steps:
            step()
        open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
        while True:
            time.sleep(100)
    def again():
        if os.fork():
            os._exit(0)
    ignore = lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child()
    child(os.setsid)
    child(os.setsid, again)          # a daemon
    child(os.setsid, again, ignore)  # one that does not listen
    child(again, lambda: os.closerange(0, 50), ignore)
    open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
    if sys.argv[2] == "stay":
        time.sleep(1000)
    while len(open(sys.argv[1]).read().split()) < 6:  # what is ended before it has written its number would be missed
        time.sleep(0.01)
""")


def family(path, how):
    return ["python3", "-c", FAMILY, str(path), how]


def members(path, count=6):
    helpers.until(lambda: path.exists() and len(path.read_text().split()) == count, what="the family")
    return [int(pid) for pid in path.read_text().split()]


def all_gone(pids):
    helpers.until(lambda: not any(helpers.is_alive(pid) for pid in pids), what="the end of the family")


def reason(event):
    return event["END"], event.get("REASON", 0)


def test_cancel_takes_the_whole_tree(agent, tmp_path):
    agent.submit("a.0.x", family(tmp_path / "pids", "stay"))
    id_ = agent.watch("a.0.x")
    pids = members(tmp_path / "pids")
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1, GRACE=300)
    event, _ = agent.finish(id_)
    assert reason(event) == (END["CANCELLED"], REASON["USER"])
    assert not any(helpers.is_alive(pid) for pid in pids)  # when the end is told, it is the end


def test_what_a_job_leaves_behind_goes_with_it(agent, tmp_path):
    event, _ = agent.run("a.0.x", family(tmp_path / "pids", "go"), GRACE=200)
    assert event["END"] == END["DONE"] or event["EXIT_CODE"] == 0
    all_gone(members(tmp_path / "pids"))


def test_a_job_that_ignores_term(agent):
    agent.submit("a.0.x", "trap '' TERM; echo ready; while :; do sleep 1; done")
    id_ = agent.watch("a.0.x")
    while agent.next(id_).type != "LOG_DATA":
        pass
    began = time.monotonic()
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1, GRACE=400)
    event, _ = agent.finish(id_)
    assert reason(event) == (END["CANCELLED"], REASON["USER"]) and event["SIGNAL"] == 9
    assert time.monotonic() - began >= 0.35


def test_a_job_that_says_goodbye(agent):
    agent.submit("a.0.x", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    id_ = agent.watch("a.0.x")
    while agent.next(id_).type != "LOG_DATA":
        pass
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1)
    event, log = agent.finish(id_)
    assert event["END"] == END["CANCELLED"] and event["EXIT_CODE"] == 7 and b"bye" in log


def test_a_second_cancel_is_more_impatient(agent):
    agent.submit("a.0.x", "trap '' TERM; echo ready; while :; do sleep 1; done")
    id_ = agent.watch("a.0.x")
    while agent.next(id_).type != "LOG_DATA":
        pass
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1, GRACE=600000)
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1, GRACE=0)
    assert reason(agent.finish(id_)[0]) == (END["CANCELLED"], REASON["USER"])
    assert agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1).type == "OK"  # it has ended already


def test_time_limit(agent):
    event, log = agent.run("a.0.x", "echo began; sleep 100", TIME_LIMIT=300)
    assert reason(event) == (END["FAILED"], REASON["TIME_LIMIT"]) and log == b"began\n"
    event, _ = agent.run("a.1.x", "trap '' TERM; while :; do sleep 1; done", TIME_LIMIT=200, GRACE=200)
    assert reason(event) == (END["FAILED"], REASON["TIME_LIMIT"])


def test_a_fork_bomb(agent):
    # Small and bounded: 200 that fork as long as they may.
    bomb = "import os,time\nfor i in range(200):\n  if os.fork()==0:\n    os.setsid()\n    time.sleep(1000)\n    os._exit(0)\n" \
           "print('ready', flush=True)\nwhile True:\n  if os.fork()==0:\n    time.sleep(0.05); os._exit(0)\n  try: os.waitpid(-1, os.WNOHANG)\n" \
           "  except OSError: pass\n  time.sleep(0.002)"
    agent.submit("a.0.x", ["python3", "-c", bomb])
    id_ = agent.watch("a.0.x")
    while agent.next(id_).type != "LOG_DATA":
        pass
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1, GRACE=0)
    assert reason(agent.finish(id_)[0]) == (END["CANCELLED"], REASON["USER"])


def test_supervisor_killed(agent, world, tmp_path):
    agent.submit("a.0.x", family(tmp_path / "pids", "stay"))
    id_ = agent.watch("a.0.x")
    pids = members(tmp_path / "pids")
    os.kill(world.pair("a.0.x")[1], signal.SIGKILL)
    event, _ = agent.finish(id_)
    assert reason(event) == (END["LOST"], REASON["KILLED"]) and event["STARTED"]
    assert not any(helpers.is_alive(pid) for pid in pids)
    assert reason(agent.stat("a.0.x")) == (END["LOST"], REASON["KILLED"])


def test_guard_killed(agent, world):
    agent.submit("a.0.x", "read x < fifo; echo end", ENV=["X=1"])
    id_ = agent.watch("a.0.x")
    helpers.until(lambda: (world.dir("a.0.x") / "spec").exists(), what="the attempt")
    agent.submit("a.1.x", "sleep 0.5; echo fine")
    id1 = agent.watch("a.1.x")
    agent.until(id1, "RUNNING")
    os.kill(world.pair("a.1.x")[0], signal.SIGKILL)
    event, log = agent.finish(id1)
    assert event["END"] == END["DONE"] and log == b"fine\n"
    agent.finish(id_)


@pytest.mark.parametrize("request_", ["WATCH", "STAT", "CANCEL", "SUBMIT"])
def test_both_killed(agent, world, tmp_path, request_):
    agent.submit("a.0.x", family(tmp_path / "pids", "stay"))
    pids = members(tmp_path / "pids")
    guard, supervisor = world.pair("a.0.x")
    os.kill(guard, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    helpers.until(lambda: not helpers.is_alive(guard) and not helpers.is_alive(supervisor), what="their end")
    later = world.start()
    if request_ == "WATCH":
        assert reason(later.finish(later.watch("a.0.x"))[0]) == (END["LOST"], REASON["KILLED"])
    elif request_ == "SUBMIT":
        later.submit("a.0.x", family(tmp_path / "pids", "stay"))
    else:
        later.collect(later.request(request_, KEY="a.0.x", ATTEMPT=1))
    assert reason(later.stat("a.0.x")) == (END["LOST"], REASON["KILLED"])
    all_gone(pids)
    assert members(tmp_path / "pids") == pids  # never a second time


def test_reboot(agent, world):
    agent.submit("a.0.x", "echo before; exec sleep 100")
    id_ = agent.watch("a.0.x")
    while agent.next(id_).type != "LOG_DATA":
        pass
    guard, supervisor = world.pair("a.0.x")
    os.kill(guard, signal.SIGKILL)
    job = agent.stat("a.0.x")["PID"]
    agent.kill()  # a reboot takes everything; this one would see the end first, and call it by another name
    os.kill(supervisor, signal.SIGKILL)
    helpers.end_process(job)
    later = world.start(ERRAND_BOOT_ID="another-boot")
    event, log = later.finish(later.watch("a.0.x"))
    assert reason(event) == (END["LOST"], REASON["REBOOT"]) and log == b"before\n"
    later.submit("a.0.x", "echo before; exec sleep 100")
    assert reason(later.stat("a.0.x")) == (END["LOST"], REASON["REBOOT"])


def test_a_torn_record_counts_as_none(agent, world):
    agent.run("a.0.x", ["echo", "x"])
    record = world.dir("a.0.x") / "exit"
    whole = record.read_bytes()
    helpers.until(lambda: not still_held(world.dir("a.0.x")), what="the guard's end")
    for torn in (b"", whole[:-1], whole[:20], b"\0" * len(whole), whole[:-9] + b"x" + whole[-8:]):
        record.write_bytes(torn)
        assert reason(agent.stat("a.0.x")) == (END["LOST"], REASON["KILLED"])


def still_held(directory):
    import fcntl
    import struct
    with open(directory / "events", "r+b") as file:
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
        return struct.unpack("hhqqi4x", fcntl.fcntl(file, 36, lock))[0] != fcntl.F_UNLCK  # F_OFD_GETLK


def test_serve_killed_at_every_moment(world, tmp_path):
    """Whenever serve dies during SUBMIT, the next SUBMIT of the same attempt leads to exactly one start."""
    for i in range(60):
        count = tmp_path / f"count{i}"
        agent = world.start()
        agent.request("SUBMIT", KEY=f"k{i}.0.x", ATTEMPT=1, SPEC=spec(f"echo ran >> {count}"))
        end = time.perf_counter() + i * 0.00015
        while time.perf_counter() < end:
            pass
        agent.kill()
        later = world.start()
        later.submit(f"k{i}.0.x", f"echo ran >> {count}")
        assert later.finish(later.watch(f"k{i}.0.x"))[0]["END"] == END["DONE"]
        assert count.read_text() == "ran\n"
        later.close()


def test_supervisor_killed_at_every_moment(world, tmp_path):
    """Whenever the supervisor dies, the attempt has a true end, and the command ran at most once."""
    agent = world.start()
    ends = set()
    for i in range(40):
        count, key = tmp_path / f"count{i}", f"s{i}.0.x"
        agent.submit(key, f"echo ran >> {count}")
        end = time.perf_counter() + i * 0.0003
        while time.perf_counter() < end:
            pass
        for pid in helpers.pids():
            if helpers.read_proc(pid, "comm").strip() == b"errand-super" and linked(pid, world.dir(key)):
                with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
                    os.kill(pid, signal.SIGKILL)
        event, _ = agent.finish(agent.watch(key))
        ends.add(reason(event))
        assert reason(event) in ((END["DONE"], 0), (END["LOST"], REASON["KILLED"]))
        ran = count.read_text() if count.exists() else ""
        assert ran in ("", "ran\n") and (event["END"] == END["LOST"] or ran)
        agent.submit(key, f"echo ran >> {count}")
        assert (count.read_text() if count.exists() else "") == ran


def linked(pid, directory):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == str(directory) for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def test_supervisor_told_to_end(agent, world):
    agent.submit("a.0.x", "sleep 100")
    id_ = agent.watch("a.0.x")
    agent.until(id_, "RUNNING")
    os.kill(world.pair("a.0.x")[1], signal.SIGTERM)
    event, _ = agent.finish(id_)
    assert reason(event) == (END["LOST"], REASON["KILLED"]) and "shutting down" in event["DETAIL"]


def test_usage(agent):
    event, _ = agent.run("a.0.x", ["python3", "-c", "import time\nx = bytearray(80 << 20)\ne = time.process_time() + 0.5\n"
                                                    "while time.process_time() < e: pass"])
    assert 400 <= event["CPU_MS"] <= 5000 and event["MAX_RSS"] > 80 << 20


def test_without_sockets(world, tmp_path):
    """Where ctl cannot be, its users poll."""
    agent = world.start()
    agent.submit("a.0.x", "echo one; sleep 100")
    id_ = agent.watch("a.0.x")
    while agent.next(id_).type != "LOG_DATA":
        pass
    os.unlink(world.dir("a.0.x") / "ctl")
    other = world.start()
    id2 = other.watch("a.0.x")
    assert other.until(id2, "RUNNING")
    os.kill(world.pair("a.0.x")[1], signal.SIGTERM)
    assert other.finish(id2)[0]["END"] == END["LOST"]


def test_garbage(agent, world):
    for key in ("a.0.me", "b.0.me", "c.0.you"):
        agent.run(key, "head -c 200000 /dev/zero > f")
    agent.submit("r.0.me", "sleep 100")
    agent.until(agent.watch("r.0.me"), "RUNNING")
    dry = agent.collect(agent.request("GC", KEY=["a.0.me", "r.0.me"], DRY=1))[-1]
    assert dry.all("COUNT")[0] == 1 and dry["FREED"] >= 200000 and world.dir("a.0.me").exists()
    real = agent.collect(agent.request("GC", KEY=["a.0.me", "r.0.me"]))[-1]
    assert real.all("COUNT")[0] == 1 and real["FREED"] >= 200000
    assert [world.dir(k).exists() for k in ("a.0.me", "b.0.me", "c.0.you", "r.0.me")] == [False, True, True, True]
    agent.call("CANCEL", KEY="r.0.me", ATTEMPT=1)

"""The agent: rare troubles, each of which once had no end or a wrong one."""
import os
import shutil
import signal

import pytest

import helpers
from agentfix import agent, marked, world  # noqa: F401
from agentlib import CODE, END, REASON, STATE, AgentError, Tree, field, frame, message, spec


def reason(status):
    return status["END"], status["REASON"]


def kill_pair(world, key):
    pair = world.pair(key)
    for pid in pair:
        os.kill(pid, signal.SIGKILL)
    helpers.until(lambda: not any(helpers.is_alive(pid) for pid in pair), what="their end")


def start(agent, key, argv, **items):
    """Returns the id of a watch that has seen it run."""
    agent.submit(key, argv, **items)
    id_ = agent.watch(key)
    agent.until(id_, "RUNNING")
    return id_


def test_an_answer_larger_than_a_pipe_and_than_what_is_enough(agent, tmp_path):
    patterns = [f"missing-{i:04}-{'x' * 180}" for i in range(5000)]  # with their headers a little less than a frame
    end = agent.collect(agent.request("LIST", ROOT=str(tmp_path), PATTERN=patterns))[-1]
    assert end["COUNT"] == 0 and end.all("PATTERN") == [p.encode() for p in patterns]
    room = (1 << 20) - 6 - len(os.fsencode(tmp_path)) - 6 * 100  # as full as a request can be: not all of it fits beside COUNT
    patterns = ["y" * (room // 100 - 1) for _ in range(100)]
    end = agent.collect(agent.request("LIST", ROOT=str(tmp_path), PATTERN=patterns))[-1]
    assert len(patterns) > len(end.all("PATTERN")) >= 98
    assert agent.call("PING")


@pytest.mark.parametrize("who", ["all", "nobody"])
def test_the_directory_is_removed_under_a_job(agent, world, who):
    """Nobody could hear of its end: the job goes, and who watches is told."""
    id_ = start(agent, "a.0.x", "exec sleep 1000")
    job = agent.stat("a.0.x")["PID"]
    if who == "nobody":
        os.kill(world.pair("a.0.x")[1], signal.SIGSTOP)  # nor does a supervisor help
        os.kill(world.pair("a.0.x")[0], signal.SIGKILL)
    supervisor = [pid for pid in marked(world.root) if helpers.read_proc(pid, "comm").startswith(b"errand-super")]
    shutil.rmtree(world.dir("a.0.x"))
    if who == "nobody":
        helpers.end_process(supervisor[0])
    with pytest.raises(AgentError) as caught:
        agent.finish(id_)
    assert caught.value.code == CODE["NOT_FOUND"] and caught.value.provider_code == "attempt"
    helpers.until(lambda: not helpers.is_alive(job), what="the job's end")


def test_a_queued_job_whose_directory_is_removed(agent, world):
    id_ = start(agent, "a.0.x", "sleep 1000", CPUS=4)
    agent.submit("a.1.x", "touch started", CPUS=4)
    queued = agent.watch("a.1.x")
    agent.until(queued, "QUEUED")
    shutil.rmtree(world.dir("a.1.x"))
    with pytest.raises(AgentError) as caught:
        agent.finish(queued)
    assert caught.value.provider_code == "attempt"
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1, GRACE=0)
    agent.finish(id_)


def test_cancelled_by_a_file(agent, world):
    """From where the supervisor's socket cannot be reached."""
    id_ = start(agent, "a.0.x", "sleep 1000")
    os.unlink(world.dir("a.0.x") / "ctl")
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1, GRACE=0)
    assert reason(agent.finish(id_, timeout=20)[0]) == (END["CANCELLED"], REASON["USER"])


@pytest.mark.parametrize("line", ["setsid env -i sleep 1000.{} & wait", "(cd /; exec env -i sleep 1000.{}) & wait",
                                  "exec env -i sleep 1000.{}"])
def test_both_killed_and_the_environment_changed(agent, world, line):
    number = int.from_bytes(os.urandom(4), "big")
    start(agent, "a.0.x", line.format(number))

    def sleepers():
        return [pid for pid in helpers.pids() if f"1000.{number}".encode() in helpers.read_proc(pid, "cmdline").split(b"\0")]
    helpers.until(sleepers, what="the child")
    kill_pair(world, "a.0.x")
    assert reason(agent.stat("a.0.x")) == (END["LOST"], REASON["KILLED"])
    helpers.until(lambda: not sleepers(), what="the child's end")


def test_the_job_goes_with_both(agent, world):
    """Without anybody looking."""
    start(agent, "a.0.x", "exec sleep 1000")
    job = agent.stat("a.0.x")["PID"]
    agent.kill()
    kill_pair(world, "a.0.x")
    helpers.until(lambda: not helpers.is_alive(job), what="the job's end")


def test_another_machine_with_the_same_home(agent, world):
    """Its locks need not be seen here: what cannot be judged is not judged."""
    start(agent, "a.0.x", "sleep 1000")
    agent.kill()  # it would judge
    kill_pair(world, "a.0.x")
    there = world.start(ERRAND_HOSTNAME="elsewhere", ERRAND_BOOT_ID="another-boot")
    assert there.stat("a.0.x")["STATE"] == STATE["RUNNING"]
    there.submit("a.0.x", "sleep 1000")
    assert there.stat("a.0.x")["STATE"] == STATE["RUNNING"]
    with pytest.raises(AgentError) as caught:
        there.call("REMOVE", KEY="a.0.x")
    assert caught.value.provider_code == "running"
    renamed = world.start(ERRAND_HOSTNAME="elsewhere")  # the same boot: it only has another name now
    assert reason(renamed.stat("a.0.x")) == (END["LOST"], REASON["KILLED"])
    assert reason(there.stat("a.0.x")) == (END["LOST"], REASON["KILLED"])


def test_the_same_name_for_another_job(agent, world):
    agent.run("a.0.x", "echo first")
    assert agent.submit("a.0.x", "echo first")["PATH"] == os.fsencode(world.dir("a.0.x"))
    with pytest.raises(AgentError) as caught:
        agent.submit("a.0.x", "echo second")
    assert caught.value.code == CODE["EXISTS"] and "different job" in str(caught.value)
    assert agent.finish(agent.watch("a.0.x"))[1] == b"first\n"


def memory_holds(pid, needle):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, mode = line.split()[:2]
            begin, end = (int(x, 16) for x in span.split("-"))
            if not mode.startswith("rw") or "[v" in line:
                continue
            memory.seek(begin)
            try:
                if needle in memory.read(end - begin):
                    return True
            except OSError:
                continue
    return False


@pytest.mark.release
def test_secrets_do_not_stay_in_memory(agent, world):
    value = "s3cret-" + os.urandom(8).hex()
    big = frame("SUBMIT", 1000, message(KEY="a.0.x", ATTEMPT=1, SPEC=spec("exec sleep 1000", ENV=["A=" + "x" * 100000]),
                                        SECRET=[f"TOKEN={value}"]))
    agent.send(big[:-5])  # half of it lies there for a while
    agent.send(big[-5:] + frame("PING", 1001))
    assert agent.next(1000).type == "OK" and agent.next(1001).type == "OK"
    agent.until(agent.watch("a.0.x"), "RUNNING")
    job = agent.stat("a.0.x")["PID"]
    try:
        helpers.until(lambda: memory_holds(job, value.encode()), what="where it belongs")
    except PermissionError:
        pytest.skip("this user may not look into memory")
    guard, supervisor = world.pair("a.0.x")
    for pid in (agent.process.pid, guard, supervisor):
        helpers.until(lambda: not memory_holds(pid, value.encode()), timeout=5, what=lambda: helpers.read_proc(pid, "comm"))
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1, GRACE=0)


def test_gc_takes_the_named_and_nothing_else(agent, world):
    tree = Tree({"data": b"kept"})
    agent.put_tree(tree)
    for key in ("a.0.me", "a.1.me", "a.0.other"):
        agent.run(key, "true", TREE=tree.hash, SYNC=1)
    newer = Tree({"data": b"newer"})  # the newest snapshot of a project stays by itself
    agent.put_tree(newer)
    assert agent.collect(agent.request("GC"))[-1].all("COUNT")[:2] == [0, 0]
    dry = agent.collect(agent.request("GC", KEY=["a.0.me", "a.1.me", "a.0.other", "never.0.me"], DRY=1))[-1]
    assert dry.all("COUNT")[:2] == [3, 1] and world.dir("a.1.me").exists()
    assert agent.collect(agent.request("GC", KEY=["a.1.me", "never.0.me"]))[-1].all("COUNT")[0] == 1
    assert world.dir("a.0.me").exists() and not world.dir("a.1.me").exists() and world.dir("a.0.other").exists()
    assert tree.hash in agent.call("TREES", PROJECT="test").all("TREE")
    agent.collect(agent.request("GC", KEY=["a.0.other"]))
    assert not world.dir("a.0.other").exists() and tree.hash in agent.call("TREES", PROJECT="test").all("TREE")
    agent.collect(agent.request("GC", KEY=["a.0.me"]))
    assert not world.dir("a.0.me").exists() and agent.call("TREES", PROJECT="test").all("TREE") == [newer.hash]


def test_an_owner_is_told_what_is_its_own(agent):
    for key in ("a.0.me", "a.1.me", "a.0.other", "me"):
        agent.run(key, "true")
    told = agent.collect(agent.request("STAT", OWNER="me"))
    assert sorted(frame["KEY"] for frame in told[:-1]) == ["a.0.me", "a.1.me"]


def test_what_never_began_is_removed_and_begun_but_never_both(world, tmp_path):
    """A SUBMIT that takes over an attempt that never began, and a REMOVE of it at the same moment."""
    one, two = world.start(), world.start()
    for i in range(15):
        key, line = f"a.{i}.x", f"echo {i} >> {tmp_path}/ran; exec sleep 1000"
        id_ = start(one, key, line)
        helpers.until((tmp_path / "ran").exists, what="its start")
        one.call("CANCEL", KEY=key, ATTEMPT=1, GRACE=0)
        one.finish(id_)
        helpers.until(lambda: not [p for p in marked(world.root) if helpers.read_proc(p, "comm").startswith(b"errand-")
                                   and not p == one.process.pid and not p == two.process.pid], what="the guard's end")
        for name in ("exit", "events"):
            (world.dir(key) / name).unlink()
        (tmp_path / "ran").unlink()
        submit, remove = one.request("SUBMIT", KEY=key, ATTEMPT=1, SPEC=spec(line)), two.request("REMOVE", KEY=key)
        try:
            submitted = one.next(submit).type == "OK"
        except AgentError:
            submitted = False
        try:
            two.next(remove)
            removed = True
        except AgentError as error:
            assert error.provider_code == "running"
            removed = False
        assert submitted or removed
        if world.dir(key).exists():
            assert submitted  # begun, or made anew after it was removed
            id_ = one.watch(key)
            one.until(id_, "RUNNING")
            helpers.until((tmp_path / "ran").exists, what="its start")
            one.call("CANCEL", KEY=key, ATTEMPT=1, GRACE=0)
            one.finish(id_)
            (tmp_path / "ran").unlink()
        else:
            assert removed and not (tmp_path / "ran").exists()

"""The agent: submit, watch, logs, ends, environment, and what a hostile client gets."""
import os
import pathlib
import struct
import subprocess
import time

import pytest

import agentfix
import helpers
from agentfix import agent, world  # noqa: F401
from agentlib import CODE, END, F, REASON, STATE, AgentError, frame, message, spec


def reason(event):
    return event["END"], event.get("REASON", 0)


def test_done_and_its_record(agent, world):
    event, log = agent.run("a.0.x", ["echo", "hello"])
    assert reason(event) == (END["DONE"], 0) and log == b"hello\n" and event["EXIT_CODE"] == 0
    status = agent.stat("a.0.x")
    assert status["END"] == END["DONE"] and status["LOG_SIZE"] == 6 and status["KEY"] == "a.0.x"
    assert status["STARTED"] <= status["ENDED"]


def test_events_come_in_order_and_the_end_after_the_log(agent):
    agent.submit("a.0.x", "echo out; echo err >&2; exit 3")
    answers = agent.collect(agent.watch("a.0.x"))
    kinds = [a.type for a in answers]
    events = [a for a in answers if a.type == "EVENT"]
    assert [e["STATE"] for e in events] == [STATE["QUEUED"], STATE["STARTING"], STATE["RUNNING"], STATE["ENDED"]]
    assert [e["SEQ"] for e in events] == [1, 2, 3, 4]
    assert kinds[-2:] == ["EVENT", "END"]
    streams = {a["STREAM"]: a["DATA"] for a in answers if a.type == "LOG_DATA"}
    assert streams == {1: b"out\n", 2: b"err\n"}
    assert reason(events[-1]) == (END["FAILED"], REASON["EXIT"]) and events[-1]["EXIT_CODE"] == 3


@pytest.mark.parametrize("argv, code", [(["no-such-program"], 127), (["/etc/passwd"], 126), (["/nowhere/x"], 127), (["/"], 126)])
def test_what_cannot_be_executed(agent, argv, code):
    event, _ = agent.run("a.0.x", argv)
    assert reason(event) == (END["FAILED"], REASON["START"]) and event["EXIT_CODE"] == code and argv[0] in event["DETAIL"]


def test_signal(agent):
    event, _ = agent.run("a.0.x", "kill -SEGV $$")
    assert reason(event) == (END["FAILED"], REASON["SIGNAL"]) and event["SIGNAL"] == 11


def test_argv_is_passed_byte_for_byte(agent, tmp_path):
    words = [b"", b"a b", b"'\"$`\\", b"\n\t", b"\xff\xfe", b"-n", b"*"]
    event, log = agent.run("a.0.x", ["python3", "-c", "import os,sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))",
                                     *words])
    assert log.split(b"\0") == words


def test_environment(agent, world):
    code = "import os,json; print(json.dumps({k: v for k, v in os.environ.items()}))"
    agent.submit("mnist-12.3.abc", ["python3", "-c", code], secrets=["TOKEN=s3=cr"], ENV=["A=1", "A=2", "PATH=" + os.environ["PATH"]],
                 RUN="mnist-12", PROJECT="mnist")
    _, log = agent.finish(agent.watch("mnist-12.3.abc"))
    import json
    env = json.loads(log)
    assert env["A"] == "2" and env["TOKEN"] == "s3=cr"
    assert (env["ERRAND_RUN"], env["ERRAND_JOB"], env["ERRAND_ATTEMPT"], env["ERRAND_PROJECT"]) == ("mnist-12", "mnist-12.3", "1", "mnist")
    assert env["PYTHONUNBUFFERED"] == "1" and env["PWD"] == str(world.dir("mnist-12.3.abc") / "work") and len(env["ERRAND_ATTEMPT_ID"]) == 32
    found = subprocess.run(["grep", "-rl", "s3=cr", str(world.root)], capture_output=True, text=True).stdout
    assert found == str(world.dir("mnist-12.3.abc") / "log") + "\n"  # only because the job printed it itself


def test_modes_of_what_it_keeps(agent, world):
    agent.run("a.0.x", ["echo", "x"])
    for path in [world.root, world.root / "jobs", world.dir("a.0.x")]:
        assert path.stat().st_mode & 0o077 == 0
    for name in ["spec", "exit", "events", "log"]:
        assert (world.dir("a.0.x") / name).stat().st_mode & 0o777 == 0o600


def test_script_without_interpreter_line(agent, tmp_path):
    script = tmp_path / "s"
    script.write_text("echo from script $1\n")
    script.chmod(0o755)
    assert agent.run("a.0.x", [str(script), "one"])[1] == b"from script one\n"


def test_output_as_it_is(agent):
    code = "import sys; o=sys.stdout.buffer; o.write(bytes(range(256))*300 + b'no newline'); o.flush()"
    assert agent.run("a.0.x", ["python3", "-c", code])[1] == bytes(range(256)) * 300 + b"no newline"


def test_closed_stdout_and_late_stderr(agent):
    event, log = agent.run("a.0.x", "exec >&-; echo late >&2; exit 4")
    assert log == b"late\n" and event["EXIT_CODE"] == 4


def test_stdin_is_empty(agent):
    assert agent.run("a.0.x", "cat; echo end")[1] == b"end\n"


def test_outputs(agent):
    event, _ = agent.run("a.0.x", "mkdir -p out/deep; echo x > out/deep/m.pt", OUTPUT=["out/*/*.pt", "out/**/m.pt", "out", "**/m.pt"])
    assert event["END"] == END["DONE"]
    event, _ = agent.run("a.1.x", "mkdir out", OUTPUT=["out", "out/*.pt"])
    assert reason(event) == (END["FAILED"], REASON["MISSING_OUTPUT"]) and event["DETAIL"] == "out/*.pt"
    event, _ = agent.run("a.2.x", "exit 5", OUTPUT=["nothing"])
    assert reason(event) == (END["FAILED"], REASON["EXIT"])


def test_workdir(agent, tmp_path):
    assert agent.run("a.0.x", ["pwd"], WORKDIR=str(tmp_path))[1].decode().strip() == str(tmp_path)
    event, _ = agent.run("a.1.x", ["pwd"], WORKDIR="not/there")
    assert reason(event) == (END["FAILED"], REASON["START"]) and "not/there" in event["DETAIL"]


def test_submitted_twice_runs_once(agent, world, tmp_path):
    other = world.start()
    line = f"echo ran >> {tmp_path}/count; sleep 0.2"
    ids = [(a, a.request("SUBMIT", KEY="a.0.x", ATTEMPT=1, SPEC=spec(line))) for a in (agent, other) * 20]
    for a, id_ in ids:
        assert a.next(id_).type == "OK"
    agent.finish(agent.watch("a.0.x"))
    agent.submit("a.0.x", line)
    assert (tmp_path / "count").read_text() == "ran\n"
    agent.run("a.0.x", line, attempt=2)
    assert (tmp_path / "count").read_text() == "ran\nran\n"
    assert not list((world.root / "jobs" / "a.0.x").glob(".new-*"))


def test_watch_goes_on_where_it_was(agent, world):
    line = "for i in $(seq 300); do echo line $i; done"
    _, whole = agent.run("a.0.x", line)
    for offset in (0, 1, 100, len(whole) - 1, len(whole)):
        assert agent.finish(agent.watch("a.0.x", offset=offset))[1] == whole[offset:]
    answers = agent.collect(agent.watch("a.0.x", seq=3, offset=len(whole)))
    assert [a["SEQ"] for a in answers if a.type == "EVENT"] == [4]
    answers = agent.collect(agent.watch("a.0.x", seq=4, offset=len(whole)))
    assert [a.type for a in answers] == ["END"]
    assert [a.type for a in agent.collect(agent.watch("a.0.x", follow=0))] == ["EVENT"] * 4 + ["END"]


def test_cut_watches_leave_no_gap_and_no_repeat(world):
    count = 20000
    first = world.start()
    first.submit("a.0.x", ["python3", "-c", f"import sys\nfor i in range({count}): print('line', i, file=(sys.stdout, sys.stderr)[i % 2])"])
    got, streams, seq, done = b"", {1: b"", 2: b""}, 0, False
    while not done:
        agent = world.start()
        id_ = agent.watch("a.0.x", seq=seq, offset=len(got))
        for _ in range(40):
            answer = agent.next(id_)
            if answer.type == "LOG_DATA":
                assert answer["OFFSET"] == len(got)
                got += answer["DATA"]
                streams[answer["STREAM"]] += answer["DATA"]
            elif answer.type == "EVENT":
                assert answer["SEQ"] == seq + 1
                seq = answer["SEQ"]
            else:
                done = True
                break
        agent.kill()
    for stream, first in ((1, 0), (2, 1)):  # each is whole and in order; a line may be written in parts, so they may meet within one
        assert streams[stream] == b"".join(b"line %d\n" % i for i in range(first, count, 2))


def test_log_ranges(agent):
    agent.run("a.0.x", "for i in 1 2 3 4 5; do echo $i; done; printf last")

    def log(**items):
        answers = agent.collect(agent.request("LOG", KEY="a.0.x", ATTEMPT=1, **items))
        return b"".join(a["DATA"] for a in answers[:-1]), answers[-1]

    assert log()[0] == b"1\n2\n3\n4\n5\nlast"
    assert log(TAIL=2)[0] == b"5\nlast" and log(TAIL=0)[0] == b"" and log(TAIL=99)[0] == b"1\n2\n3\n4\n5\nlast"
    data, end = log(OFFSET=2, LIMIT=4)
    assert data == b"2\n3\n" and end["OFFSET"] == 6
    assert log(SINCE=2**60)[0] == b"" and log(SINCE=1)[0] == b"1\n2\n3\n4\n5\nlast"


def test_stop(agent):
    agent.submit("a.0.x", "echo one; sleep 60")
    id_ = agent.watch("a.0.x")
    while agent.next(id_).type != "LOG_DATA":
        pass
    agent.send(frame("STOP", id_))
    assert agent.collect(id_)[-1].type == "END"
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1)
    agent.finish(agent.watch("a.0.x"))


def test_cancel_is_served_while_output_is_stuck(agent):
    agent.submit("a.0.x", "yes")
    id_ = agent.watch("a.0.x")
    assert agent.next(id_)
    helpers.until(lambda: agent_is_stuck(agent), what="a full pipe")
    cancel = agent.request("CANCEL", KEY="a.0.x", ATTEMPT=1, GRACE=100)
    event, _ = agent.finish(id_)
    assert reason(event) == (END["CANCELLED"], REASON["USER"])
    assert agent.next(cancel).type == "OK"


def agent_is_stuck(agent):
    # It waits for room in the pipe to us, and holds little meanwhile.
    wchan = pathlib.Path(f"/proc/{agent.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return wchan == "S"


def test_nothing_known(agent):
    for type_ in ("WATCH", "CANCEL", "STAT", "LOG"):
        with pytest.raises(AgentError) as caught:
            agent.call(type_, KEY="nobody.0.x", ATTEMPT=1)
        assert caught.value.code == CODE["NOT_FOUND"] and caught.value.provider_code == "attempt"


def test_remove(agent, world):
    agent.submit("a.0.x", "sleep 60")
    with pytest.raises(AgentError) as caught:
        agent.call("REMOVE", KEY="a.0.x")
    assert caught.value.code == CODE["STATE"] and caught.value.provider_code == "running"
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1)
    agent.finish(agent.watch("a.0.x"))
    agent.run("a.0.x", "head -c 1000000 /dev/zero > big", attempt=2)
    assert agent.call("REMOVE", KEY="a.0.x")["FREED"] >= 1000000
    assert not (world.root / "jobs" / "a.0.x").exists()
    assert agent.call("REMOVE", KEY="a.0.x")["FREED"] == 0


@pytest.mark.parametrize("way", ["REMOVE", "GC"])
def test_what_was_removed_is_not_started_again(agent, world, way):
    agent.run("a.0.x", "echo ran >> ~/times")
    assert agent.collect(agent.request(way, KEY="a.0.x"))[-1].type == "OK" and not (world.root / "jobs" / "a.0.x").exists()
    with pytest.raises(AgentError) as caught:
        agent.submit("a.0.x", "echo ran >> ~/times")
    assert caught.value.code == CODE["NOT_FOUND"] and caught.value.provider_code == "gone"
    agent.run("a.0.x", "true", attempt=2)  # another attempt is another
    stone = world.root / "gone" / "a.0.x.1"
    agent.collect(agent.request("GC"))
    assert stone.exists()
    month = time.time() - 31 * 24 * 3600
    os.utime(stone, (month, month))
    agent.collect(agent.request("GC", DRY=1))
    assert stone.exists()
    agent.collect(agent.request("GC"))
    assert not stone.exists()


@pytest.mark.parametrize("key", ["", ".", "..", "../x", "a/b", ".hidden", "x\ny", "k" * 201])
def test_bad_keys(agent, key):
    with pytest.raises(AgentError):
        agent.submit(key, ["true"])


def test_not_our_protocol(world):
    for bytes_ in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, frame("PING", 1), frame("HELLO", 1, b"\1\2\3"), struct.pack("<I", 0)):
        agent = world.start(greet=False)
        agent.send(bytes_)
        agent.process.stdin.close()
        answer = agent.read_frame()
        assert answer.type == "ERROR" and answer["CODE"] == CODE["REMOTE"]
        with pytest.raises(EOFError):
            agent.read_frame()
        assert agent.process.wait(10) == 0


def test_other_versions(world):
    agent = world.start(greet=False)
    with pytest.raises(AgentError) as caught:
        agent.call("HELLO", VERSION_MIN=77, VERSION_MAX=99)
    assert "77" in str(caught.value)
    later = world.start(greet=False)
    assert later.call("HELLO", VERSION_MIN=1, VERSION_MAX=99)["VERSION"] == 1


def test_unknown_requests_and_tags_are_survived(agent):
    with pytest.raises(AgentError):
        id_ = 900
        agent.send(frame(77, id_, message()))
        agent.next(id_)
    agent.send(frame("PING", 901, struct.pack("<HI", 60000, 3) + b"new"))
    assert agent.next(901).type == "OK"


def test_frames_in_any_pieces(world):
    agent = world.start(greet=False)
    data = frame("HELLO", 1, message(VERSION_MIN=1, VERSION_MAX=1)) + b"".join(frame("PING", i) for i in range(2, 30))
    for i in range(0, len(data), 7):
        agent.send(data[i:i + 7])
    assert agent.next(1).type == "HELLO_OK" and [agent.next(i).type for i in range(2, 30)] == ["OK"] * 28


def test_serve_leaves_with_its_input(world):
    agent = world.start()
    agent.submit("a.0.x", "sleep 0.3; echo done")
    assert agent.close() == 0  # the attempt goes on without it
    later = world.start()
    assert later.finish(later.watch("a.0.x"))[1] == b"done\n"
    assert later.close() == 0


@pytest.mark.release
def test_memory_of_a_running_job(agent, world):
    agent.submit("a.0.x", "sleep 60")
    agent.until(agent.watch("a.0.x"), "RUNNING")
    helpers.until(lambda: (world.dir("a.0.x") / "usage").exists(), what="the first sample")
    sizes = {}
    for pid in world.pair("a.0.x"):
        text = helpers.read_proc(pid, "smaps_rollup").decode()
        sizes[helpers.read_proc(pid, "comm").strip().decode()] = {
            name: int(line.split()[1]) for line in text.splitlines()[1:] for name in [line.split(":")[0]]}
    assert sizes["errand-super"]["Rss"] <= 1024, sizes
    assert sum(s["Pss"] for s in sizes.values()) <= 1024, sizes
    assert os.path.getsize(world.program) < 2 << 20
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1)


@pytest.mark.release
def test_a_gigabyte_of_log(agent, world):
    size = 1 << 30
    agent.submit("a.0.x", ["head", "-c", str(size), "/dev/zero"])
    id_, got, largest = agent.watch("a.0.x"), 0, 0
    while True:
        answer = agent.next(id_)
        if answer.type == "LOG_DATA":
            assert answer["OFFSET"] == got
            got += len(answer["DATA"])
        elif answer.type == "END":
            break
    hwm = helpers.read_proc(agent.process.pid, "status").decode()
    largest = int(hwm.split("VmHWM:")[1].split()[0])
    assert got == size and largest < 8 * 1024  # KiB


@pytest.mark.release
@pytest.mark.skipif(not os.access("/usr/bin/qemu-aarch64-static", os.X_OK), reason="no qemu-aarch64-static")
def test_the_other_architecture(world):
    other = agentfix.program("aarch64")
    if not os.path.exists(other):
        pytest.skip("no agent for aarch64 was built")
    world.program = other
    agent = world.start(argv=["/usr/bin/qemu-aarch64-static"])
    event, log = agent.run("a.0.x", "echo hello; echo err >&2; exit 3", timeout=120)
    assert event["EXIT_CODE"] == 3 and sorted(log.split()) == [b"err", b"hello"]
    agent.submit("a.1.x", "sleep 100")
    id_ = agent.watch("a.1.x")
    agent.until(id_, "RUNNING")
    agent.call("CANCEL", KEY="a.1.x", ATTEMPT=1)
    assert reason(agent.finish(id_)[0]) == (END["CANCELLED"], REASON["USER"])

"""The agent: cpus, memory and GPUs are shared in order."""
import os
import signal
import stat

import pytest

import helpers
from agentfix import agent, world  # noqa: F401
from agentlib import CODE, END, REASON, STATE, AgentError

HOLD = "echo on >> {0}.on; while [ ! -e {0}.go ]; do sleep 0.02; done"


class Jobs:
    def __init__(self, agent, path):
        self.agent, self.path, self.watches = agent, path, {}

    def submit(self, name, **needs):
        self.agent.submit(f"{name}.0.x", HOLD.format(self.path / name), **needs)
        self.watches[name] = self.agent.watch(f"{name}.0.x")

    def state(self, name):
        return self.agent.stat(f"{name}.0.x")["STATE"]

    def runs(self, name):
        self.agent.until(self.watches[name], "RUNNING")

    def waits(self, name):
        return self.state(name) == STATE["QUEUED"]

    def go(self, name):
        (self.path / f"{name}.go").touch()
        return self.agent.finish(self.watches[name])[0]


@pytest.fixture
def jobs(agent, tmp_path):
    jobs = Jobs(agent, tmp_path)
    yield jobs
    for name in jobs.watches:
        (tmp_path / f"{name}.go").touch()


def test_in_order_of_submission(jobs):
    jobs.submit("a", CPUS=3)
    jobs.runs("a")
    jobs.submit("b", CPUS=2)   # does not fit beside a
    jobs.submit("c", CPUS=2)
    jobs.submit("d", CPUS=1)   # would fit, but takes what b waits for
    assert all(jobs.waits(n) for n in "bcd")
    assert jobs.go("a")["END"] == END["DONE"]
    jobs.runs("b")
    jobs.runs("c")
    assert jobs.waits("d")
    jobs.go("b")
    jobs.runs("d")
    jobs.go("c"), jobs.go("d")


def test_memory(jobs):
    total = jobs.agent.call("PROBE")["MEMORY"]
    jobs.submit("a", MEMORY=total * 2 // 3)
    jobs.runs("a")
    jobs.submit("b", MEMORY=total * 2 // 3)
    jobs.submit("c", MEMORY=0)  # asks for none: passes, for it takes nothing b waits for
    jobs.runs("c")
    assert jobs.waits("b")
    jobs.go("a")
    jobs.runs("b")
    jobs.go("b"), jobs.go("c")


def test_what_never_fits(agent):
    for needs, word in ((dict(CPUS=5), "cpus"), (dict(MEMORY=1 << 60), "memory"), (dict(GPUS=1), "GPU")):
        with pytest.raises(AgentError) as caught:
            agent.submit("a.0.x", ["true"], **needs)
        assert caught.value.code == CODE["CAPACITY"] and word in str(caught.value)


def test_cancelled_while_it_waits(jobs):
    jobs.submit("a", CPUS=4)
    jobs.runs("a")
    jobs.submit("b", CPUS=4)
    jobs.agent.call("CANCEL", KEY="b.0.x", ATTEMPT=1)
    event = jobs.agent.finish(jobs.watches.pop("b"))[0]
    assert event["END"] == END["CANCELLED"] and "STARTED" not in event
    jobs.go("a")


@pytest.mark.parametrize("who", ["supervisor", "both"])
def test_the_kernel_frees_what_a_killed_one_held(jobs, world, who):
    jobs.submit("a", CPUS=4)
    jobs.runs("a")
    jobs.submit("b", CPUS=4)
    guard, supervisor = world.pair("a.0.x")
    if who == "both":
        os.kill(guard, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    jobs.runs("b")
    jobs.agent.finish(jobs.watches.pop("a"))
    jobs.go("b")


def test_other_roots_share_the_machine(world, tmp_path):
    one, two = world.start(), world.start(root=world.base / "other")
    first, second = Jobs(one, tmp_path), Jobs(two, tmp_path)
    first.submit("a", CPUS=4)
    first.runs("a")
    second.submit("b", CPUS=1)
    assert second.waits("b")
    probe = two.call("PROBE")
    assert probe["CPUS_FREE"] == 0 and probe["RUNNING"] == 1 and probe["QUEUED"] == 1
    first.go("a")
    second.runs("b")
    second.go("b")


def test_many_wait_cheaply(jobs, world):
    jobs.submit("hold", CPUS=4)
    jobs.runs("hold")
    ids = []
    for i in range(200):
        jobs.agent.submit(f"m{i}.0.x", f"echo {i} >> {jobs.path}/order")
        ids.append(jobs.agent.watch(f"m{i}.0.x"))
    assert jobs.agent.call("PROBE")["QUEUED"] == 200
    jobs.go("hold")
    assert all(jobs.agent.finish(i, timeout=120)[0]["END"] == END["DONE"] for i in ids)
    order = [int(n) for n in (jobs.path / "order").read_text().split()]
    assert sorted(order) == list(range(200))
    # Four at a time, each by its turn: when one writes its line, at most three before it have not ended. How long one that
    # has its cpu takes to write it, nobody promises.
    places = {n: at for at, n in enumerate(order)}
    assert all(sum(places[earlier] > at for earlier in range(n)) <= 3 for n, at in places.items()), order


def test_without_a_ledger_everything_starts(world):
    # A directory that nobody can write to, whoever we are.
    agent = world.start(ERRAND_LEDGER="/proc/nowhere/ledger")
    assert agent.run("a.0.x", ["true"])[0]["END"] == END["DONE"]


def test_damaged_ledger(jobs, world):
    jobs.submit("a", CPUS=4)
    jobs.runs("a")
    path = world.base / "ledger" / "ledger"
    for junk in (b"", b"junk" * 100, os.urandom(4096)):
        with open(path, "r+b") as file:
            file.truncate(0)
            file.write(junk)
        assert jobs.agent.run(f"j{len(junk)}.0.x", ["true"])[0]["END"] == END["DONE"]
    jobs.go("a")


@pytest.fixture
def smi(world, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    tool = folder / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho asked >> " + str(tmp_path / "asked") + "\n"
                    'for i in 0 1 2 3; do echo "$i, NVIDIA H100, 81559, $((100 * (i + 1))), $((10 * i))"; done\n')
    tool.chmod(0o755)
    world.env["PATH"] = f"{folder}:{world.env['PATH']}"
    return tool


def test_gpus(smi, world, tmp_path):
    agent = world.start()
    jobs = Jobs(agent, tmp_path)
    show = "echo gpus=$CUDA_VISIBLE_DEVICES order=$CUDA_DEVICE_ORDER; "
    logs = {}
    for name, count in (("a", 2), ("b", 1)):
        agent.submit(f"{name}.0.x", show + HOLD.format(tmp_path / name), GPUS=count)
        jobs.watches[name] = agent.watch(f"{name}.0.x")
        while name not in logs:  # b fits beside a, so it could be the first
            answer = agent.next(jobs.watches[name])
            if answer.type == "LOG_DATA":
                logs[name] = answer["DATA"]
    assert logs == {"a": b"gpus=0,1 order=PCI_BUS_ID\n", "b": b"gpus=2 order=PCI_BUS_ID\n"}
    probe = agent.call("PROBE")
    assert probe["GPUS_FREE"] == 1 and len(probe.all("GPU")) == 4
    agent.submit("c.0.x", show + HOLD.format(tmp_path / "c"), GPUS=2)
    jobs.watches["c"] = agent.watch("c.0.x")
    assert jobs.waits("c")
    assert agent.run("n.0.x", "echo [$CUDA_VISIBLE_DEVICES] ${CUDA_VISIBLE_DEVICES-unset}")[1] == b"[3] 3\n"  # the one that nobody has reserved
    assert agent.run("o.0.x", "echo [$CUDA_VISIBLE_DEVICES] ${CUDA_VISIBLE_DEVICES-unset}", NO_GPUS=1)[1] == b"[]\n"
    event = jobs.go("b")
    assert event.all("GPU_INDEX") == [2]
    jobs.runs("c")
    jobs.go("a"), jobs.go("c")
    with pytest.raises(AgentError) as caught:
        agent.submit("z.0.x", ["true"], GPUS=5)
    assert caught.value.code == CODE["CAPACITY"] and "4" in str(caught.value)


def test_nobody_waits_behind_who_waits_for_gpus_that_he_could_not_have(smi, world, tmp_path):
    one, two = (Jobs(world.start(CUDA_VISIBLE_DEVICES=i), tmp_path) for i in "01")
    one.submit("a", GPUS=1)
    one.runs("a")
    one.submit("b", GPUS=1)
    assert one.waits("b")
    two.submit("c", GPUS=1)
    two.runs("c")
    two.go("c"), one.go("a")
    one.runs("b")
    one.go("b")


def test_of_jobs_that_start_together_one_asks(smi, world, tmp_path):
    agent = world.start()
    assert agent.run("first.0.x", ["true"], GPUS=1)[0]["END"] == END["DONE"]
    smi.write_text(smi.read_text().replace("\nfor", "\nsleep 1; for"))
    (tmp_path / "asked").unlink()
    watches = []
    for name in "abcd":
        agent.submit(f"{name}.0.x", "echo $CUDA_VISIBLE_DEVICES")
        watches.append(agent.watch(f"{name}.0.x"))
    for watch in watches:
        event, log = agent.finish(watch)[:2]
        assert event["END"] == END["DONE"] and log == b"0,1,2,3\n"
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


def test_gpu_use_is_sampled(smi, world, tmp_path):
    agent = world.start()
    jobs = Jobs(agent, tmp_path)
    jobs.submit("a", GPUS=2)
    jobs.runs("a")
    helpers.until(lambda: "GPU_UTIL" in agent.stat("a.0.x"), timeout=30, what="a sample")
    event = jobs.go("a")
    assert event["GPU_UTIL"] == 5 and event["GPU_MEM"] == 300 << 20


def test_nothing_is_asked_for_a_plain_job(smi, world, tmp_path):
    agent = world.start()
    agent.run("a.0.x", ["true"])
    assert not (tmp_path / "asked").exists()


def test_a_tool_that_hangs_or_babbles(smi, world, tmp_path):
    smi.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate'; exit 9\n")
    agent = world.start()
    assert agent.call("PROBE")["GPUS_FREE"] == 0
    with pytest.raises(AgentError):
        agent.submit("a.0.x", ["true"], GPUS=1)


def test_rocm(world, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    tool = folder / "rocm-smi"
    tool.write_text("#!/bin/sh\ncat <<'E'\n\ndevice,GPU use (%),VRAM Total Memory (B),VRAM Total Used Memory (B),Card series\n"
                    "card0,12,17163091968,1000000,MI300\ncard1,0,17163091968,0,MI300\nE\n")
    tool.chmod(0o755)
    # Alone on PATH, so that no nvidia-smi of this machine comes first.
    agent = world.start(PATH=f"{folder}:/usr/bin:/bin")
    if len(agent.call("PROBE").all("GPU")) != 2:
        pytest.skip("this machine has an nvidia-smi of its own")
    assert agent.run("a.0.x", "echo $CUDA_VISIBLE_DEVICES $ROCR_VISIBLE_DEVICES $HIP_VISIBLE_DEVICES", GPUS=2)[1] == b"0,1 0,1 0,1\n"

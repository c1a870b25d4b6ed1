"""Fixtures of the agent's tests: a root, a ledger of its own, and the certainty that nothing is left."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import helpers
from agentlib import MACHINE, SOURCE, Agent


def program(machine=MACHINE):
    named = os.environ.get("ERRAND_AGENT_" + machine.upper())
    build = pathlib.Path(os.environ.get("ERRAND_PROGRAM", SOURCE / "build" / "errand")).resolve().parent
    return str(pathlib.Path(named or build / f"errand-agent-{machine}").resolve())


def marked(root):
    """Processes that belong to this root's attempts: guards and supervisors (by their working files) and jobs (by ERRAND_ATTEMPT_ID)."""
    found = []
    needle = f"{root}/".encode()
    for pid in helpers.pids():
        if needle in helpers.read_proc(pid, "environ") and b"ERRAND_ATTEMPT_ID=" in helpers.read_proc(pid, "environ"):
            found.append(pid)
            continue
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        if any(link.startswith(str(root)) for link in links) and helpers.read_proc(pid, "comm").startswith(b"errand-"):
            found.append(pid)
    return found


class World:
    def __init__(self, base, agent=None):
        self.base, self.root, self.home = base, base / "root", base / "home"
        self.home.mkdir()
        (base / "ledger").mkdir()
        self.program = agent or program()
        self.agents = []
        self.env = dict(os.environ, HOME=str(self.home), ERRAND_LEDGER=str(base / "ledger" / "ledger"), ERRAND_CPUS="4")
        self.env.pop("ERRAND_LOG", None)

    def start(self, argv=(), root=None, greet=True, **env):
        agent = Agent(self.program, str(root or self.root), dict(self.env, **env), argv)
        self.agents.append(agent)
        return agent.greet() if greet else agent

    def dir(self, key, attempt=1):
        return self.root / "jobs" / key / str(attempt)

    def pair(self, key, attempt=1):
        """(guard, supervisor) of a running attempt."""
        def look():
            mine = str(self.dir(key, attempt))
            pids = {}
            for pid in helpers.pids():
                comm = helpers.read_proc(pid, "comm").strip()
                if comm not in (b"errand-guard", b"errand-super"):
                    continue
                try:
                    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
                except OSError:
                    continue
                if mine in links:
                    pids[comm] = pid
            return len(pids) == 2 and (pids[b"errand-guard"], pids[b"errand-super"])
        return helpers.until(look, what="guard and supervisor")

    def close(self):
        for agent in self.agents:
            if agent.process.poll() is None:
                agent.close()
        try:
            helpers.until(lambda: not marked(self.root), timeout=15, what=lambda: f"the end of {marked(self.root)}")
        finally:
            for pid in marked(self.root):
                helpers.end_process(pid)


def make_world(agent=None):
    base = pathlib.Path(tempfile.mkdtemp(prefix="agent-", dir="/var/tmp"))
    return World(base, agent)


@pytest.fixture
def world():
    if not os.access(program(), os.X_OK):
        pytest.fail(f"{program()} is not there: build it first, or name another one in ERRAND_AGENT_{MACHINE.upper()}")
    world = make_world()
    yield world
    world.close()
    subprocess.run(["chmod", "-R", "u+rwX", str(world.base)], check=False)
    shutil.rmtree(world.base, ignore_errors=True)


@pytest.fixture
def agent(world):
    return world.start()

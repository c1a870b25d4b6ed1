"""The agent: its size, its memory per running job, and nothing at all on an idle host."""
import os
import re

from bench import TOP, helpers, row

JOBS = 20


def memory(pids, key):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += int(re.search(rf"^{key}:\s+(\d+)", file.read(), re.M).group(1))
    return total / 1024


def rows(bench):
    host = bench.host("box")
    sizes = [path.stat().st_size for path in helpers.PROGRAM.parent.rglob("errand-agent-*") if path.is_file() and not path.suffix]
    os.chdir(bench.world.cwd)
    for _ in range(JOBS):
        bench.run("--quiet", "--detach", "--cpus", "1", "--on", "box", "--", "sh", "-c", "until [ -e ~/go ]; do sleep 0.1; done")
    cpus = os.cpu_count()
    helpers.until(lambda: sum(row_["state"] == "running" for row_ in bench.world.jobs()) >= cpus, 30, "the jobs to run")
    # Let the maestros go: what is left on the host is what a job costs while nobody looks.
    for pid in bench.world.processes():
        if "maestro" in helpers.command_of(pid) or helpers.is_master(pid):
            helpers.end_process(pid)
    helpers.until(lambda: not host.sessions(), 20, "the connections to end")
    agents = host.find("errand-agent")
    pss, rss = memory(agents, "Pss") / JOBS, memory(agents, "Rss") / JOBS
    waiting = len(agents) / JOBS
    (host.home / "go").touch()
    bench.spawn([bench.errand, "wait", *[f"work-{i}" for i in range(1, JOBS + 1)]])
    bench.world.end_masters()
    helpers.until(lambda: not host.processes(), 30, lambda: f"the host to be idle: {[helpers.command_of(p) for p in host.processes()]}")
    assert TOP
    return [row("the agent's binary (the larger one)", max(sizes) / 1e6, "", None, 2, unit="MB"),
            row("the agent's memory per job (proportional share)", pss, f"({waiting:.1f} processes, {rss:.2f} MiB resident)", None, 1, unit="MiB"),
            row("processes on an idle host", len(host.processes()), "", None, 0, unit="processes")]

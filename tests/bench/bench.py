"""What the benches share: a world and hosts as in the end-to-end tests, pairs taken in turn, medians, a row of the table.

Each bench_*.py has `rows(bench)`, which gives a list of row(...). `run` runs them all; a bench can also be run by itself:
`tests/bench/run warm jobs`."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "e2e"))

import helpers  # noqa: E402
import hosts  # noqa: E402


class Spawned:
    def __init__(self, seconds, status, max_rss):
        self.seconds, self.status, self.max_rss = seconds, status, max_rss


class Bench:
    def __init__(self, pairs, in_memory=False):
        """in_memory: the projects, the hosts and errand's own files lie in a tmpfs, for both sides of each pair alike."""
        self.pairs = pairs
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="eb-", dir="/var/tmp"))
        self.in_memory = in_memory and subprocess.run(["mount", "-t", "tmpfs", "eb", str(self.base)], check=False).returncode == 0
        self.base.chmod(0o755)
        self.keys = hosts.make_keys(self.base / "keys")
        self.world = helpers.World(self.base / "w", self.keys)
        self.errand = str(helpers.PROGRAM)
        self.made = 0

    def host(self, name):
        self.made += 1
        host = hosts.SshHost(self.world, name, self.keys, self.made)
        self.world.hosts.append(host)
        return host

    def ssh_mux(self, name):
        """argv of an ssh that shares one warm connection, with nothing between it and the caller (no wrapper script)."""
        socket = self.base / f"mux-{name}"
        argv = ["/usr/bin/ssh", "-F", str(self.world.base / "ssh_config"), "-o", f"ControlPath={socket}"]
        if not socket.exists():
            self.spawn([*argv, "-o", "ControlMaster=yes", "-o", "ControlPersist=600", "-f", "-N", name])
        return [*argv, name]

    def direct_ssh(self):
        """Takes the wrapper script out of errand's way: its `ssh` is then a program, as everywhere else. The price is that
        ssh's configuration of the machine's own user must not matter; -F comes by way of a compiled wrapper."""
        source = self.base / "ssh.c"
        source.write_text('#include <stdlib.h>\n#include <unistd.h>\nint main(int c, char **v)\n{\n\tchar **a = calloc((size_t)c + 3, sizeof *a);\n'
                          f'\ta[0] = "ssh"; a[1] = "-F"; a[2] = "{self.world.base}/ssh_config";\n'
                          '\tfor (int i = 1; i < c; i++) a[i + 2] = v[i];\n\texecv("/usr/bin/ssh", a);\n\treturn 127;\n}\n')
        (self.world.bin / "ssh").unlink()
        self.spawn(["/usr/bin/cc", "-O1", "-static", "-o", str(self.world.bin / "ssh"), str(source)], check=True)

    def spawn(self, argv, stdout="/dev/null", check=False, stdin="/dev/null"):
        """Runs a program to its end with as little of our own time in the measure as Python allows."""
        files = [(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, stdout, os.O_WRONLY | os.O_CREAT, 0o600)]
        begin = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, self.world.env, file_actions=files)
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - begin
        status = os.waitstatus_to_exitcode(status)
        if check and status != 0:
            raise RuntimeError(f"exit status {status}: {' '.join(map(str, argv))}")
        return Spawned(seconds, status, usage.ru_maxrss)

    def run(self, *args):
        return self.spawn([self.errand, "run", *args], check=True)

    @staticmethod
    def quiet(*its):
        """Until the hosts have nothing left to do: after a run a spare work directory is made, at idle priority. What stays is
        the connection, and the agent that waits on it."""
        def busy():
            names = [helpers.read_proc(pid, "comm").strip() for host in its for pid in host.jobs()]
            return any(name in (b"errand-spare", b"errand-guard", b"errand-super") for name in names)
        helpers.until(lambda: not busy(), 300, "the hosts to be quiet")

    def in_turn(self, *functions, pairs=None, before=None):
        """Each function in turn, `pairs` times (and once more at first, not counted); functions give seconds or do the
        work. Gives the lists of seconds."""
        taken = [[] for _ in functions]
        for round_number in range((pairs or self.pairs) + 1):
            for index, function in enumerate(functions):
                if before:
                    before()
                begin = time.perf_counter()
                value = function()
                seconds = value.seconds if isinstance(value, Spawned) else value if isinstance(value, float) else time.perf_counter() - begin
                if round_number:
                    taken[index].append(seconds)
        return taken

    def close(self):
        for host in self.world.hosts:
            for pid in host.sessions():
                helpers.end_process(pid)
        problems = self.world.close()
        shutil.rmtree(self.base, ignore_errors=True)
        if self.in_memory:
            subprocess.run(["umount", "-l", str(self.base)], check=False)
            self.base.rmdir()
        return problems


def median(values):
    return statistics.median(values)


def row(goal, ours, peer_name, peer, bar, unit="ms", note=""):
    """bar: at most this ratio, None for no bar; or with peer None: at most this value (in seconds, or in the unit when it is not a time)."""
    def one(value):
        return median(value) if isinstance(value, list) else value
    ours_m, peer_m = one(ours), None if peer is None else one(peer)
    ratio = None if peer_m is None else ours_m / peer_m
    return {"goal": goal, "ours": ours_m, "peer_name": peer_name, "peer": peer_m, "ratio": ratio, "bar": bar, "unit": unit, "note": note,
            "pass": bar is None or (ours_m if ratio is None else ratio) <= bar,
            "all": {"ours": ours if isinstance(ours, list) else [ours], "peer": peer if isinstance(peer, list) else [] if peer is None else [peer]}}


def show(value, unit):
    if value is None:
        return ""
    if unit == "ms":
        return f"{value * 1000:.1f} ms" if value < 10 else f"{value:.1f} s"
    if unit == "s":
        return f"{value:.2f} s"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"


def table(rows):
    lines = ["| goal | errand | peer | ratio | bar | |", "|---|---|---|---|---|---|"]
    for r in rows:
        bar = "" if r["bar"] is None else show(r["bar"], r["unit"]) if r["ratio"] is None else f"{r['bar']:.3g} x"
        verdict = "" if r["bar"] is None else "pass" if r["pass"] else "**miss**"
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f} x"
        peer = f"{r['peer_name']}: {show(r['peer'], r['unit'])}" if r["peer"] is not None else r["peer_name"]
        lines.append(f"| {r['goal']} | {show(r['ours'], r['unit'])} | {peer} | {ratio} | {bar} | {verdict}{': ' + r['note'] if r['note'] else ''} |")
    return "\n".join(lines)


def write_json(rows, path):
    pathlib.Path(path).write_text(json.dumps(rows, indent=1) + "\n")

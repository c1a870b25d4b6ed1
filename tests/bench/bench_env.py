"""Environments: what the use of a ready one adds to a run, and the first build of 20 pure-Python wheels from an index on loopback."""
import json
import statistics

from bench import row
from envkit import index as index_
from envkit import places

IN_MEMORY = True
WHEELS = 20


def declare(bench, names, version, url):
    (bench.world.cwd / "errand.yaml").write_text(json.dumps({"pip": [f"{name}=={version}" for name in names], "index_url": url}))


def rows(bench):
    host = places.with_uv(bench.host("box"))
    index = index_.Index(bench.base / "index")
    names = [f"pure{i:02}" for i in range(WHEELS)]
    ssh = bench.ssh_mux("box")
    ours, theirs = [], []
    try:
        for n in range(5):  # the first is not counted: it brings the agent, and warms what both read
            version = f"1.{n}"
            for name in names:
                index.wheel(name, version)
            declare(bench, names, version, index.url)
            line = f"python3 -m venv v{n} && v{n}/bin/pip install -q --disable-pip-version-check --index-url {index.url} " + " ".join(f"{name}=={version}" for name in names)
            took = {}
            ways = {"ours": lambda: bench.run("--quiet", "--no-sync", "--on", "box", "--", "true"), "ssh": lambda: bench.spawn([*ssh, line], check=True)}
            for way in list(ways)[::1 if n % 2 else -1]:
                bench.quiet(host)
                took[way] = ways[way]().seconds
            if n:
                ours.append(took["ours"]), theirs.append(took["ssh"])
        ready = lambda: bench.run("--quiet", "--no-sync", "--on", "box", "--", "true")  # noqa: E731
        bare = lambda: bench.run("--quiet", "--no-sync", "--pip", "none", "--on", "box", "--", "true")  # noqa: E731
        with_it, without = bench.in_turn(ready, bare, pairs=60, before=lambda: bench.quiet(host))
        more = [max(a - b, 0.0) for a, b in zip(with_it, without)]
        note = f"{statistics.median(with_it) * 1000:.1f} against {statistics.median(without) * 1000:.1f} ms"
        return [row(f"first build of {WHEELS} wheels, with uv", ours, "`ssh HOST 'python3 -m venv && pip install'`", theirs, 1 / 3, unit="s"),
                row("a ready environment, on top of the same run without one", more, f"({note})", None, 0.001)]
    finally:
        index.close()

"""errand --version: 5 ms."""
from bench import row


def rows(bench):
    ours, true = bench.in_turn(lambda: bench.spawn([bench.errand, "--version"], check=True), lambda: bench.spawn(["/bin/true"]), pairs=60)
    return [row("`errand --version`", ours, f"(`true`: {sorted(true)[len(true) // 2] * 1000:.1f} ms)", None, 0.005)]

"""A warm errand run of `true` against a bare multiplexed ssh HOST true."""
import os

from bench import row


def rows(bench):
    host = bench.host("box")
    bench.world.project("work", {f"src/f{i}.py": os.urandom(2000) for i in range(20)})
    ssh = bench.ssh_mux("box")
    ours, quick, peer = bench.in_turn(lambda: bench.run("--quiet", "--on", "box", "--", "true"), lambda: bench.run("--quiet", "--no-sync", "--on", "box", "--", "true"),
                                      lambda: bench.spawn([*ssh, "true"], check=True), pairs=40, before=lambda: bench.quiet(host))
    return [row("`errand run --on HOST -- true`, warm, 20 files unchanged", ours, "`ssh HOST true`, multiplexed", peer, 1.5),
            row("the same with `--no-sync`", quick, "`ssh HOST true`, multiplexed", peer, 1.5)]

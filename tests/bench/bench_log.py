"""A log of 1 GB followed live against ssh HOST cat."""
from bench import row

SIZE = 1 << 30


def rows(bench):
    host = bench.host("box")
    with open(host.home / "big", "wb") as file:
        line = b"epoch 17 step 004711 loss 0.123456 accuracy 0.987654 images/s 1234.5\n"
        block = line * (1 << 14)
        while file.tell() < SIZE:
            file.write(block[:SIZE - file.tell()])
    ssh = bench.ssh_mux("box")
    peak = [0]

    def ours():
        done = bench.run("--quiet", "--no-sync", "--on", "box", "--", "sh", "-c", "cat ~/big")
        peak[0] = max(peak[0], done.max_rss)
        for job in host.home.glob(".errand/jobs/*"):  # a gigabyte each: give the disk back
            (job / "1" / "log").unlink(missing_ok=True)
        return done.seconds
    mine, peer = bench.in_turn(ours, lambda: bench.spawn([*ssh, "cat", "big"], check=True), pairs=5, before=lambda: bench.quiet(host))
    mb = [SIZE / 1e6 / s for s in mine], [SIZE / 1e6 / s for s in peer]
    return [row("1 GB of log followed live (0.9 x its throughput: 1.11 x its time)", mine, "`ssh HOST cat`", peer, 1 / 0.9, unit="s",
                note=f"{sorted(mb[0])[len(mb[0]) // 2]:.0f} against {sorted(mb[1])[len(mb[1]) // 2]:.0f} MB/s"),
            row("errand's memory while it follows", peak[0] / 1024, "", None, 64, unit="MiB")]

"""1,000 runs of `true`, 16 at a time, over 4 sshds: all but the first few reach their host through its listener (src/agent/serve/listen.h),
as they do when a user starts them like this. ERRAND_LINGER=0 shows what a session for each costs."""
import shutil
import time

from bench import row

COUNT, AT_ONCE = 1000, 16


def rows(bench):
    names = [f"h{i}" for i in range(4)]
    hosts = [bench.host(name) for name in names]
    arguments = bench.base / "arguments"
    arguments.write_text("".join(f"{names[i % 4]}\n" for i in range(COUNT)))
    ssh = [bench.ssh_mux(name) for name in names][0][:-1]
    # One socket per host for the plain ssh too: %n is the name it was called by.
    ssh[-1] = f"ControlPath={bench.base}/mux-%n"
    for name in names:
        bench.run("--quiet", "--no-sync", "--on", name, "--", "true")
    xargs = ["/usr/bin/xargs", "-P", str(AT_ONCE), "-I", "{}"]
    functions = [lambda: bench.spawn([*xargs, bench.errand, "run", "--quiet", "--no-sync", "--on", "{}", "--", "true"], stdin=str(arguments), check=True),
                 lambda: bench.spawn([*xargs, *ssh, "{}", "true"], stdin=str(arguments), check=True)]
    # In an order that does not favour: whole rounds of both. The store grows by 1,000 jobs in each.
    ours, plain = bench.in_turn(*functions, pairs=5)
    result = [row(f"{COUNT:,} runs of `true`, {AT_ONCE} at a time, 4 hosts", ours, "`xargs -P16 ssh`, multiplexed", plain, 1.0, unit="s")]
    if shutil.which("parallel"):
        (bench.world.home / ".parallel").mkdir(exist_ok=True)
        (bench.world.home / ".parallel" / "will-cite").touch()
        command = ["/usr/bin/parallel", "--will-cite", "-j", str(AT_ONCE // 4), "-S", ",".join(names), "--controlmaster", "-a", str(arguments), "true", "#"]
        parallel = []
        for _ in range(5):
            begin = time.perf_counter()
            bench.spawn(command, check=True)
            parallel.append(time.perf_counter() - begin)
        result.append(row("the same", ours, "GNU parallel with ControlMaster", parallel, 1 / 3, unit="s"))
    assert hosts
    return result

"""Files to a host: nothing changed, all new, one of many changed. What is timed is the whole `errand run ... true`: taking the
snapshot, bringing it there, making the job's directory, running `true`. All files lie in memory, the peers' too: what is
measured is the programs, not how slow the disk of this machine is with small files."""
import os
import shutil
import subprocess

from bench import helpers, row

IN_MEMORY = True


def fill(path, count, size, per_directory=100):
    for i in range(count):
        if i % per_directory == 0:
            directory = path / f"d{i // per_directory:04}"
            directory.mkdir(parents=True)
        with open(directory / f"f{i:06}", "wb") as file:
            file.write(os.urandom(size))


def rsync(bench, source, to):
    ssh = bench.ssh_mux("box")[:-1]
    return bench.spawn(["/usr/bin/rsync", "-a", "--delete", "-e", " ".join(ssh), f"{source}/", f"box:{to}/"], check=True)


def rows(bench):
    host = bench.host("box")
    bench.ssh_mux("box")
    bench.run("--quiet", "--no-sync", "--on", "box", "--", "true")

    def quiet():
        """Nothing that was begun before is paid for by what comes next. Outside the measures: a spare work directory is made at
        idle priority, which takes forever where others keep the machine busy, and work directories of jobs fill the memory."""
        for pid in host.jobs():
            if helpers.read_proc(pid, "comm").strip() == b"errand-spare":
                try:
                    os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
                    os.setpriority(os.PRIO_PROCESS, pid, 0)
                except OSError:
                    pass  # it is done
        bench.quiet(host)
        for work in host.home.glob(".errand/jobs/*/*/work"):
            shutil.rmtree(work)
        if not bench.in_memory:
            os.sync()

    # All new
    new_ours, new_rsync, new_tar = [], [], []
    for n in range(bench.pairs + 1):
        project = bench.world.home / f"new{n}"
        fill(project, 10000, 4096)
        os.chdir(project)
        ssh = " ".join(bench.ssh_mux("box"))
        ways = {"ours": lambda: bench.run("--quiet", "--on", "box", "--", "true"), "rsync": lambda: rsync(bench, project, f"rsync{n}"),
                "tar": lambda: bench.spawn(["/bin/sh", "-c", f"tar -C {project} -cf - . | {ssh} 'mkdir tar{n} && tar -C tar{n} -xf -'"], check=True)}
        took = {}
        for name in (list(ways) * 2)[n % 3:n % 3 + 3]:  # each is the first in its turn
            quiet()
            took[name] = ways[name]().seconds
        ours, theirs, tar = took["ours"], took["rsync"], took["tar"]
        if n:
            new_ours.append(ours), new_rsync.append(theirs), new_tar.append(tar)
            shutil.rmtree(project)
        for there in (f"rsync{n}", f"tar{n}"):
            if n:
                shutil.rmtree(host.home / there)

    # Nothing changed: the first of those
    project = bench.world.home / "new0"
    os.chdir(project)
    noop_ours, noop_rsync = bench.in_turn(lambda: bench.run("--quiet", "--on", "box", "--", "true"), lambda: rsync(bench, project, "rsync0"), pairs=9, before=quiet)

    # One of 100,000
    project = bench.world.home / "large"
    fill(project, 100000, 100, 500)
    os.chdir(project)
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"], ["status"]):
        subprocess.run(["git", *command], env=bench.world.env, check=True, stdout=subprocess.DEVNULL)
    bench.run("--quiet", "--yes", "--on", "box", "--", "true")
    count = [0]

    def change():
        quiet()
        count[0] += 1
        (project / "d0042" / "f021007").write_text(f"changed {count[0]}")
    one_ours, one_git = bench.in_turn(lambda: bench.run("--quiet", "--yes", "--on", "box", "--", "true"), lambda: bench.spawn(["/usr/bin/git", "status"], check=True),
                                      pairs=5, before=change)
    os.chdir("/")
    return [row("10,000 files unchanged", noop_ours, "rsync", noop_rsync, 0.5),
            row("10,000 new files of 4 KiB", new_ours, "rsync", new_rsync, 0.7),
            row("the same", new_ours, "`tar \\| ssh tar`", new_tar, None),
            row("one changed of 100,000", one_ours, "`git status`", one_git, 1.5)]

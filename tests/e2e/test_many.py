"""Many at once."""
import os

import pytest

from hosts import DEFAULTS

from helpers import until


@pytest.mark.release
def test_200_runs_at_once_on_a_host_with_sshds_defaults(errand, make_host):
    """MaxSessions 10, MaxStartups 10:30:100; a warm-up is not allowed to help."""
    host = make_host("plain", limits=DEFAULTS)
    procs = [errand.start("run", "--quiet", "--no-sync", "--on", host.name, "--", "sh", "-c", f"echo {i}") for i in range(200)]
    failed = []
    for i, proc in enumerate(procs):
        done = proc.wait(180)
        if done.rc != 0 or done.out != f"{i}\n".encode():
            failed.append(done)
    assert not failed, f"{len(failed)} of 200: {failed[:3]}"
    rows = errand.jobs()
    assert len(rows) == 200 and {row["state"] for row in rows} == {"done"}
    assert len({row["job"] for row in rows}) == 200


def test_fifty_runs_with_files_at_once(errand, host):
    errand.project("work", {f"f{i}": os.urandom(1000) for i in range(100)})
    procs = [errand.start("run", "--quiet", "--on", host.name, "--", "sh", "-c", "cat f* | wc -c") for _ in range(50)]
    for proc in procs:
        assert proc.wait(120).ok().out.strip() == b"100000"


@pytest.mark.release
def test_one_gigabyte_of_log(errand, host):
    """Followed live to the last byte, with bounded memory."""
    import re
    proc = errand.start(argv=["sh", "-c", f'"{errand._args([])[0]}" run --quiet --on {host.name} -- sh -c "yes 0123456789abcdef | head -c 1073741824" | sha256sum & wait'])
    peak = 0

    def look():
        nonlocal peak
        for pid in errand.processes():
            try:
                if b"run\0--quiet" in open(f"/proc/{pid}/cmdline", "rb").read():
                    peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)))
            except (OSError, AttributeError):
                pass
        return not proc.running()
    until(look, 120, "the gigabyte")
    import hashlib
    digest = hashlib.sha256()
    block = (b"0123456789abcdef\n" * 65536)
    left = 1 << 30
    while left:
        digest.update(block[:left])
        left -= min(left, len(block))
    assert digest.hexdigest() in proc.wait().text
    assert peak < 64 << 10, f"{peak} KiB"
    errand("rm", "work-1").ok()

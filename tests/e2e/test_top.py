"""errand top: what hosts do at the moment."""
import re
import signal

from helpers import until
from test_hosts import SMI

BUSY = "import time\nx = bytearray(60_000_000)\nend = time.time() + 120\nwhile time.time() < end: pass\n"


def rows(errand, *args):
    return {row["host"]: row for row in errand("top", "--json", *args).ok().json()}


def test_a_host_its_gpus_and_its_jobs(errand, make_host):
    host = make_host("gpus", programs={"nvidia-smi": SMI % 2})
    errand.project("work", {"busy.py": BUSY})
    errand("run", "--detach", "--name", "busy", "--cpus", "1", "--gpus", "1", "--on", host.name, "python3", "busy.py").ok()
    errand("run", "--detach", "--name", "more", "--cpus", "1", "--gpus", "2", "--on", host.name, "true").ok()
    errand.wait_state("running", name="busy.0")

    def used():
        row = rows(errand, host.name)[host.name]
        job = next((j for j in row["jobs"] if j["job"] == "busy.0"), None)
        return job and job["memory"] > 50_000_000 and job["cpu_percent"] and row
    row = until(used, 30, "the job's use of memory and cpu")
    job = row["jobs"][0]
    assert job["ours"] and job["state"] == "running" and job["user"] == "root" and len(job["gpus"]) == 1 and job["seconds"] > 0
    assert 1 <= job["cpu_percent"] <= 110
    assert [j["state"] for j in row["jobs"] if j["job"] == "more.0"] == ["queued"]
    assert 1 <= row["cpu_percent"] <= 100 and row["memory"] > row["memory_used"] > 0 and row["disk_free"] > 0
    assert [gpu["index"] for gpu in row["gpus"]] == [0, 1] and sum(gpu["taken"] for gpu in row["gpus"]) == 1
    text = errand("top", host.name).ok().text
    assert re.search(r"busy\.0 +\d+% +[\d.]+ MB +[01] +running", text), text
    assert "gpu 1" in text and "HOST / JOB" in text and "\033" not in text
    errand("cancel", "busy", "more").ok()
    errand("wait", "busy", "more")
    assert rows(errand, host.name)[host.name]["jobs"] == [], "what has ended is not shown"


def test_all_known_hosts_and_one_that_is_gone(errand, make_host):
    one, two = make_host("one"), make_host("two")
    errand("hosts", "add", "one", one.target).ok()
    errand("hosts", "add", "two", two.target).ok()
    two.power_cut()
    errand.end_masters()
    found = rows(errand)
    assert found["local"]["reachable"] and found["one"]["reachable"] and not found["two"]["reachable"]
    assert found["two"]["error"]
    assert re.search(r"^two .*(refused|connect)", errand("top").ok().text, re.M)


def test_another_stores_jobs_are_told_apart(errand, host):
    other = {"XDG_STATE_HOME": str(errand.base / "other")}
    errand("run", "--detach", "--name", "other", "--on", host.name, "sleep", "60", env=other).ok()
    row = until(lambda: rows(errand, host.name)[host.name]["jobs"], 20, "the job")[0]
    assert row["job"] == "other.0" and not row["ours"]
    errand("cancel", "other", env=other).ok()


def test_on_a_terminal_it_is_redrawn_until_q(errand, host):
    proc = errand.start_tty("top", host.name, "--every", "300ms")
    proc.wait_for(re.compile(rb"\033\[\?1049h.*load .*q quits.*load .*q quits", re.S))
    import os
    os.write(proc.terminal, b"q")
    done = proc.wait(10)
    assert done.rc == 0 and done.out.rstrip().endswith(b"\033[?1049l")


def test_ctrl_c_leaves_the_terminal_as_it_was(errand, make_host):
    host = make_host()
    proxy = host.proxy()
    proc = errand.start_tty("top", proxy.name, "--every", "300ms")
    proc.wait_for(b"load ")
    proxy.refuse()
    proxy.cut()
    proc.wait_for(b"last seen")
    proxy.accept()
    mark = len(proc.out)
    until(lambda: b"load " in proc.out[mark:], 30, "the host to be there again")
    proc.signal(signal.SIGINT)
    assert proc.wait(10).out.rstrip().endswith(b"\033[?1049l")


def test_one_table_after_another_in_a_pipe(errand):
    proc = errand.start("top", "local", "--every", "200ms")
    until(lambda: proc.out.count(b"HOST / JOB") >= 3, 20, "three tables")
    proc.signal(signal.SIGTERM)
    proc.wait(10)
    assert b"\033" not in proc.out


def test_unknown_host(errand):
    assert errand("top", "-x", timeout=20).rc == 201
    gone = rows(errand, "no-such-host.invalid")["no-such-host.invalid"]
    assert not gone["reachable"] and gone["error"]

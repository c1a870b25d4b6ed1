"""What could wait for ever, or end without a word: each has an end, and says why."""
import os
import re
import shutil
import signal
import subprocess

from helpers import until


def test_results_that_do_not_fit_here_are_waited_for_and_said_once(errand, host, small):
    results = small(errand.cwd / "results", "2m")
    line = "head -c 5000000 /dev/zero > big; echo ran >> ~/times"
    assert errand("run", "--on", host.name, "--output", "big", "--", "sh", "-c", line).rc != 0
    wait = errand.start("wait", "work-1")
    wait.wait_for(re.compile(rb"space|full"), "err", 60)
    assert "outputs not here yet" in errand("jobs", "--all").ok().text
    assert "not here yet" in errand("show", "work-1").ok().text
    subprocess.run(["mount", "-o", "remount,size=20m", str(results)], check=True)
    done = wait.wait(60).ok()
    assert len(re.findall(r"could not be fetched", done.said)) == 1, done
    assert (results / "work-1.0" / "big").stat().st_size == 5000000
    assert "not here yet" not in errand("jobs", "--all").ok().text
    assert (host.home / "times").read_text() == "ran\n"


def test_outputs_that_are_gone_before_they_are_fetched(errand):
    killed = errand("run", "--quiet", "--output", "out", "--", "sh", "-c", "echo 1 > out", env={"ERRAND_CRASH_AT": "fetch"})
    assert killed.rc == -signal.SIGKILL
    shutil.rmtree(errand.root / "jobs")
    errand("wait", "work-1", timeout=30).ok()
    assert errand.job()["state"] == "done" and not errand.results("work-1.0").exists()
    assert "not here)" in errand("show", "work-1").ok().text


def test_ctrl_c_during_the_upload_says_that_files_are_still_sent(errand, host):
    data = os.urandom(24 << 20)
    errand.project("work", {"large": data})
    proxy = host.proxy()
    errand("run", "--quiet", "--no-sync", "--on", proxy.name, "--", "true").ok()
    before = proxy.counts[True]
    proc = errand.start("run", "--on", proxy.name, "--", "sh", "-c", "wc -c < large")
    until(lambda: proxy.counts[True] - before > 1 << 20, what="the upload")
    proxy.freeze()
    proc.signal(signal.SIGINT)
    done = proc.wait(20)
    assert done.rc == 216 and "still being sent" in done.said
    proxy.thaw()
    errand("wait", timeout=60).ok()
    assert errand("logs").ok().text.strip() == str(len(data))


def test_quiet_says_why_a_job_never_began(errand):
    done = errand("run", "--quiet", "--no-sync", "--on", "nobody@127.0.0.1:1", "--", "true")
    assert done.rc == 222 and "127.0.0.1" in done.said
    done = errand("run", "--quiet", "--no-sync", "--", "false")
    assert done.rc == 1 and done.said == ""


def test_an_ssh_that_never_logs_in_is_given_up(errand):
    """Over a plain ssh process nothing is known before the agent answers: so nothing is submitted before that."""
    errand.program("ssh", "#!/bin/sh\nexec sleep 1000\n")
    done = errand("run", "--no-sync", "--on", "me@far.example", "--", "true", env={"ERRAND_SSH_PERSIST": "0"}, timeout=120)
    assert done.rc == 222 and "does not answer" in done.said and "ssh -v" in done.said
    assert errand.job()["attempt"] == 0


def test_gc_leaves_the_snapshot_of_a_job_that_waits(errand):
    one_cpu = {"ERRAND_CPUS": "1", "ERRAND_LEDGER": str(errand.base / "ledger")}
    go = errand.base / "go"
    errand.project("work", {"data": "first"})
    errand("run", "--detach", "--no-sync", "--", "sh", "-c", f"until [ -e {go} ]; do sleep 0.02; done", env=one_cpu).ok()
    errand("run", "--detach", "--", "cat", "data", env=one_cpu).ok()
    until(lambda: errand("jobs", "--json").json()[0]["state"] == "queued", what="its place in the queue")
    errand.project("work", {"data": "second"})
    errand("run", "--detach", "--", "cat", "data", env=one_cpu).ok()
    errand("gc").ok()
    go.touch()
    errand("wait", "work-2", "work-3").ok()
    assert errand("logs", "work-2").ok().out == b"first"
    assert errand("logs", "work-3").ok().out == b"second"


def test_doctor_warns_of_a_host_that_ends_jobs_at_logout(errand, host):
    assert "KillUserProcesses" not in errand("doctor", host.name).text
    host.sh("mount -t tmpfs tmpfs /etc/systemd && mkdir /etc/systemd/logind.conf.d && cd /etc/systemd && "
            "printf '[Login]\\n#KillUserProcesses=no\\nKillExcludeUsers=\\n' > logind.conf && "
            "printf '[Login]\\nKillUserProcesses=yes\\n' > logind.conf.d/site.conf")
    said = " ".join(errand("doctor", host.name).text.split())
    assert "WARN logout" in said and "KillUserProcesses=no" in said
    host.sh("printf '[Login]\\nKillExcludeUsers=root\\n' > /etc/systemd/logind.conf.d/x.conf")
    assert "KillUserProcesses" not in errand("doctor", host.name).text

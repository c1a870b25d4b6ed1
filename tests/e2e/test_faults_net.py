"""What goes wrong with names, keys and connections."""
import hashlib
import os
import re
import time

import pytest

from helpers import end_process, is_master, until


def only_failed_jobs(errand):
    """Nothing ran, and `errand jobs` does not claim otherwise."""
    return all(row["state"] == "failed" for row in errand.jobs())


def test_unknown_host_name(errand):
    done = errand("run", "--on", "no-such-host.invalid", "--", "true")
    assert done.rc == 222 and "no-such-host.invalid" in done.said and "name" in done.said
    assert only_failed_jobs(errand)


def test_connection_refused(errand, host):
    host.power_cut()
    done = errand("run", "--on", host.name, "--", "true")
    assert done.rc == 222 and host.name in done.said and "refuse" in done.said
    assert only_failed_jobs(errand)


def test_host_key_changed(errand, host, keys):
    host.power_cut()
    host.key = keys / "other"
    host.start()
    done = errand("run", "--on", host.name, "--", "touch", "/root/ran")
    assert done.rc == 222 and "key" in done.said and host.name in done.said
    assert not (host.home / "ran").exists() and not (host.home / ".errand").exists()
    assert only_failed_jobs(errand)


def test_unknown_host_key_is_not_accepted_silently(errand, make_host):
    host = make_host("stranger", known=False)
    done = errand("run", "--on", host.name, "--", "true")
    assert done.rc == 222 and "ssh" in done.said
    assert host.address not in errand.known_hosts.read_text()


def test_permission_denied(errand, make_host):
    host = make_host("closed", authorized=False)
    done = errand("run", "--on", host.name, "--", "true")
    assert done.rc == 222 and host.name in done.said and "let you in" in done.said
    assert only_failed_jobs(errand)


def test_a_wrong_first_host_does_not_hide_the_reason(errand, make_host):
    host = make_host("closed", authorized=False)
    done = errand("run", "--on", host.name, "--on", "no-such-host.invalid", "--", "true")
    assert done.rc == 222 and host.name in done.said and "no-such-host.invalid" in done.said


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_connection_cut_in_the_middle_of_the_upload(errand, host, part):
    files = {f"f{i}": os.urandom(60000) for i in range(40)} | {"large": os.urandom(16 << 20)}
    errand.project("work", files)
    total = sum(map(len, files.values()))
    proxy = host.proxy()
    errand("run", "--quiet", "--no-sync", "--on", proxy.name, "--", "true").ok()
    proxy.cut_after(int(total * part))
    done = errand("run", "--quiet", "--on", proxy.name, "--", "sh", "-c", "cat f* large | sha256sum").ok()
    assert proxy.was_cut()
    order = sorted(f"f{i}" for i in range(40))
    assert done.text.split()[0] == hashlib.sha256(b"".join(files[n] for n in order) + files["large"]).hexdigest()
    # ssh has up to 2 MiB under way, and its encryption and the list of files cost something.
    assert proxy.counts[True] < total * 1.1 + (4 << 20), "what had arrived was sent again"


@pytest.mark.parametrize("at", [1000, 300000, 2500000])
def test_connection_cut_in_the_middle_of_the_log(errand, host, at):
    proxy = host.proxy()
    proxy.cut_after(at, up=False)
    done = errand("run", "--quiet", "--on", proxy.name, "--", "sh", "-c", "seq 1 500000; echo end >&2").ok()
    assert proxy.was_cut()
    assert done.out == "".join(f"{i}\n" for i in range(1, 500001)).encode()
    assert done.err == b"end\n"


def test_connection_cut_again_and_again(errand, host):
    proxy = host.proxy()
    proc = errand.start("run", "--quiet", "--on", proxy.name, "--", "sh", "-c",
                        "i=0; while [ $i -lt 4 ]; do i=$((i+1)); seq 1 20000; until [ -e ~/go$i ]; do sleep 0.02; done; done")
    block = "".join(f"{i}\n" for i in range(1, 20001)).encode()
    for i in range(1, 5):
        until(lambda: len(proc.out) >= len(block) * i, 30, lambda: f"block {i}, {len(proc.out)}: {proc.err}")
        proxy.cut()
        (host.home / f"go{i}").touch()
    assert proc.wait().ok().out == block * 4


@pytest.mark.parametrize("at", [5000, 2000000])
def test_connection_cut_in_the_middle_of_the_result_fetch(errand, host, at):
    proxy = host.proxy()
    # The log is empty, so what comes from the host is the outputs.
    proc = errand.start("run", "--quiet", "--on", proxy.name, "--output", "out", "--", "sh", "-c",
                        "mkdir out; head -c 4000000 /dev/urandom > out/large; for i in 1 2 3 4 5; do head -c 50000 /dev/urandom > out/$i; done; touch ~/made; until [ -e ~/go ]; do sleep 0.02; done")
    until(lambda: (host.home / "made").exists(), 30, "the outputs to be made")
    proxy.cut_after(at, up=False)
    (host.home / "go").touch()
    proc.wait().ok()
    assert proxy.was_cut()
    there = next(host.home.glob(".errand/jobs/work-1.0.*/1/work/out"))
    for name in ("large", "1", "2", "3", "4", "5"):
        assert (there / name).read_bytes() == (errand.results("work-1.0") / "out" / name).read_bytes()
    assert not list(errand.cwd.rglob("*.errand-part"))


def test_host_away_for_a_while(errand, host):
    """No connection can be made for some time: errand says so, goes on trying, and misses nothing."""
    proxy = host.proxy()
    proc = errand.start("run", "--on", proxy.name, "--", "sh", "-c", "echo one; until [ -e ~/go ]; do sleep 0.02; done; echo two; exit 6")
    proc.wait_for(b"one\n")
    proxy.refuse()
    proxy.cut()
    proc.wait_for(re.compile(rb"contact|connection|reach|again"), "err")
    (host.home / "go").touch()
    until(lambda: not host.jobs() or not host.find("sleep"), 20, "the job to end there")
    assert errand.job()["state"] == "running"
    proxy.accept()
    done = proc.wait(90)
    assert done.rc == 6 and done.out == b"one\ntwo\n"


def test_silence_is_noticed(errand, host):
    """Nothing moves and nothing closes, as when a cable is pulled; then the old connection is dead and a new one works."""
    proxy = host.proxy()
    proc = errand.start("run", "--on", proxy.name, "--", "sh", "-c", "echo one; until [ -e ~/go ]; do sleep 0.02; done; echo two")
    proc.wait_for(b"one\n")
    proxy.freeze()
    (host.home / "go").touch()
    proc.wait_for(re.compile(rb"contact|connection|answer|again"), "err", 90)
    proxy.cut()
    proxy.thaw()
    done = proc.wait(90).ok()
    assert done.out == b"one\ntwo\n"


def test_ssh_master_killed_while_following(errand, host):
    proc = errand.start("run", "--quiet", "--on", host.name, "--", "sh", "-c", "echo one; until [ -e ~/go ]; do sleep 0.02; done; echo two")
    proc.wait_for(b"one\n")
    killed = [pid for pid in errand.processes() if is_master(pid)]
    for pid in killed:
        end_process(pid)
    (host.home / "go").touch()
    assert proc.wait().ok().out == b"one\ntwo\n"


def test_every_sshd_session_killed_while_following(errand, host):
    proc = errand.start("run", "--quiet", "--on", host.name, "--", "sh", "-c", "echo one; until [ -e ~/go ]; do sleep 0.02; done; echo two")
    proc.wait_for(b"one\n")
    host.cut()
    (host.home / "go").touch()
    assert proc.wait().ok().out == b"one\ntwo\n"


def test_stale_control_socket_is_no_obstacle(errand, host):
    errand("run", "--quiet", "--on", host.name, "--", "true").ok()
    for pid in [pid for pid in errand.processes() if is_master(pid)]:
        end_process(pid)  # killed, so its socket stays
    errand("run", "--quiet", "--on", host.name, "--", "true").ok()


def test_host_rebooted_during_a_job(errand, host):
    proc = errand.start("run", "--on", host.name, "--", "sh", "-c", "echo begun; sleep 1000")
    proc.wait_for(b"begun\n")
    host.reboot()
    done = proc.wait(60)
    assert done.rc == 221 and "reboot" in done.said
    row = errand.job()
    assert row["state"] == "failed" and "reboot" in row["reason"]


def test_host_rebooted_while_nobody_looked(errand, host):
    errand("run", "--detach", "--on", host.name, "--", "sh", "-c", "echo begun; touch ~/begun; sleep 1000").ok()
    until(lambda: (host.home / "begun").exists(), 20, "the job to begin")
    host.reboot()
    assert errand("wait", "work-1").rc == 221
    assert errand("logs", "work-1").ok().out == b"begun\n"
    assert "reboot" in errand.job()["reason"]


def test_job_that_ended_before_the_reboot_is_done(errand, host):
    proxy = host.proxy()
    errand("run", "--detach", "--on", proxy.name, "--output", "o", "--", "sh", "-c", "touch ~/begun; until [ -e ~/go ]; do sleep 0.02; done; echo yes > o; echo bye").ok()
    until(lambda: (host.home / "begun").exists(), 20, "the job to begin")
    proxy.refuse()
    proxy.cut()
    (host.home / "go").touch()
    until(lambda: not host.jobs(), 20, lambda: f"the job to end: {host.jobs()}")
    host.reboot()
    proxy.accept()
    errand("wait", "work-1", timeout=90).ok()
    assert errand("logs").ok().out == b"bye\n"
    assert (errand.results("work-1.0") / "o").read_text() == "yes\n"


def test_retries_make_a_new_attempt_after_a_reboot(errand, host):
    errand.project("work", {"errand.yaml": "retries: 1\n"})
    proc = errand.start("run", "--on", host.name, "--", "sh", "-c", "echo begun >> ~/starts; [ $(wc -l < ~/starts) = 2 ] && { echo second; exit 0; }; echo first; sleep 1000")
    proc.wait_for(b"first\n")
    host.reboot()
    done = proc.wait(60).ok()
    assert b"second\n" in done.out
    assert (host.home / "starts").read_text() == "begun\nbegun\n"


def test_cancel_while_the_host_is_away(errand, host):
    proxy = host.proxy()
    errand("run", "--detach", "--on", proxy.name, "--", "sh", "-c", "touch ~/begun; sleep 1000").ok()
    until(lambda: (host.home / "begun").exists(), 20, "the job to begin")
    proxy.refuse()
    proxy.cut()
    errand("cancel", "work-1", timeout=30)
    assert errand.job()["state"] in ("running", "starting")
    proxy.accept()
    errand.wait_state("cancelled", timeout=60)
    until(lambda: not host.jobs(), 10, "the job to be gone")


@pytest.mark.parametrize("hours", [-30, 5])
def test_clock_of_the_host_hours_off(errand, host, skewed, hours):
    """Seen from the host, it is ours that is off: errand runs with another clock."""
    env = skewed(hours)
    errand.project("work", {"f": "x"})
    errand("run", "--quiet", "--on", host.name, "--output", "o", "--", "sh", "-c", "cat f > o; echo line", env=env).ok()
    assert errand("logs", "--since", "1m", env=env).ok().out == b"line\n"
    assert errand("logs", "--since", "1ms", env=env).ok().out == b""
    shown = errand("show", "--json", env=env).ok().json()
    row = shown[0] if isinstance(shown, list) else shown
    assert row["attempts"][0]["seconds"] < 60 if "seconds" in row["attempts"][0] else True
    done = errand("doctor", host.name, env=env)
    assert "clock" in (done.text + done.said).lower()
    (errand.cwd / "f").write_text("changed")
    assert errand("run", "--quiet", "--on", host.name, "--", "cat", "f", env=env).ok().text == "changed"


def test_login_shell_that_talks(errand, host):
    """A .bashrc that prints spoils scp; it must not spoil us."""
    (host.home / ".bashrc").write_text("echo Welcome to the machine\n")
    done = errand("run", "--on", host.name, "--", "echo", "mine")
    assert done.rc == 0 and done.out == b"mine\n", done


def test_banner_and_motd_do_no_harm(errand, make_host):
    host = make_host("banner", before="printf 'Authorised users only\\n' > /tmp/banner", more="Banner /tmp/banner")
    assert errand("run", "--quiet", "--on", host.name, "--", "echo", "mine").ok().out == b"mine\n"


def way(errand, name, *lines):
    with open(errand.ssh_config, "a") as file:
        file.write(f"Host {name}\n  HostName 10.9.9.9\n" + "".join(f"  {line}\n" for line in lines))


def test_words_of_a_proxy_command_are_shown(errand):
    """ssh sends them to /dev/null where it makes a master; and a proxy that says no is not asked for a minute."""
    way(errand, "tunnel", """ProxyCommand sh -c 'echo "session expired; run: tsh login" >&2; exit 1'""")
    begun = time.monotonic()
    done = errand("run", "--on", "tunnel", "--", "true")
    assert done.rc == 222 and "session expired; run: tsh login" in done.said and "ProxyCommand" in done.said
    assert time.monotonic() - begun < 8
    assert only_failed_jobs(errand)


def test_a_jump_host_that_does_not_exist_is_named(errand):
    way(errand, "inner", "ProxyJump no-such-jump.invalid")
    begun = time.monotonic()
    done = errand("run", "--on", "inner", "--", "true")
    assert done.rc == 222 and "no-such-jump.invalid" in done.said and "name" in done.said
    assert time.monotonic() - begun < 8


def test_a_jump_host_that_finds_no_way_further(errand, host, make_host):
    behind = make_host("behind")
    errand("hosts", "add", "far", f"root@{behind.address}", "--port", str(behind.port), "--jump", host.name).ok()
    behind.power_cut()
    begun = time.monotonic()
    done = errand("run", "--on", "far", "--", "true")
    assert done.rc == 222 and "refuse" in done.said
    assert time.monotonic() - begun < 8


def test_a_proxy_that_fails_for_a_moment_is_asked_again(errand, host):
    way(errand, "shaky", f"HostKeyAlias [{host.address}]:{host.port}",
        f"ProxyCommand sh -c '[ -e {errand.base}/up ] && exec ssh -W {host.address}:{host.port} {host.name}; touch {errand.base}/up; exit 1'")
    errand("run", "--on", "shaky", "--", "true").ok()

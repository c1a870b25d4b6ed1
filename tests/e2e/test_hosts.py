"""Hosts: the table of them, adding and removing, errand ssh, doctor, which one a run takes."""
import json
import os
import pwd
import re
import shutil
import subprocess

import pytest

from helpers import until

SMI = """#!/bin/sh
case "$*" in
*compute*|*pmon*) exit 0 ;;
esac
i=0
while [ $i -lt %d ]; do
        echo "$i, NVIDIA Fake 4000, 16384, 16000, 3"
        i=$((i + 1))
done
"""


def rows(errand, *args):
    return {row["host"]: row for row in errand("hosts", "--json", *args).ok().json()}


def test_hosts_shows_this_machine(errand):
    table = rows(errand)
    assert table["local"]["reachable"] is True
    assert table["local"]["cpus"] == os.cpu_count()
    assert table["local"]["memory_free"] > 1 << 20
    assert "local" in errand("hosts").ok().text


def test_add_list_remove(errand, host):
    errand("hosts", "add", "gpu-box", f"root@{host.address}", "--port", str(host.port)).ok()
    row = rows(errand)["gpu-box"]
    assert row["reachable"] is True and row["cpus"] == os.cpu_count() and row["latency_ms"] < 5000
    assert errand("run", "--quiet", "--on", "gpu-box", "--", "hostname").ok().text.strip() == host.name
    errand("hosts", "rm", "gpu-box").ok()
    assert "gpu-box" not in rows(errand)


def test_add_with_an_identity(errand, host):
    key = errand.home / "special key"
    (errand.home / ".ssh" / "id_ed25519").rename(key)
    done = errand("run", "--on", host.name, "--", "true")
    assert done.rc == 222 and "let you in" in done.said
    errand("hosts", "add", "keyed", host.target.rpartition(":")[0], "--port", str(host.port), "--identity", key).ok()
    errand("run", "--on", "keyed", "--", "true").ok()


def test_add_with_a_jump(errand, make_host):
    door, inside = make_host("door"), make_host("inside")
    errand("hosts", "add", "far", f"root@{inside.address}", "--port", str(inside.port), "--jump", "door").ok()
    assert errand("run", "--quiet", "--on", "far", "--", "hostname").ok().text.strip() == "inside"
    assert "Accepted publickey" in door.log()


def test_alias_of_ssh_config_works_without_add(errand, host):
    assert errand("run", "--quiet", "--on", host.name, "--", "hostname").ok().text.strip() == host.name
    assert host.name in rows(errand)


def test_user_host_port_works_without_add(errand, host):
    assert errand("run", "--quiet", "--on", host.target, "--", "hostname").ok().text.strip() == host.name


def test_discover_offers_the_aliases(errand, host):
    """ssh, and so errand, reads the configuration in the home that passwd names: there the world's home is put for once."""
    program = errand.base / "errand"
    shutil.copy(errand._args([])[0], program)
    home = pwd.getpwuid(os.geteuid()).pw_dir
    done = errand.start(argv=["unshare", "-m", "sh", "-c", f"mount --bind {errand.home} {home} && exec {program} hosts --discover --yes"], cwd="/").wait().ok()
    assert host.name in done.text
    assert host.name in rows(errand)


def test_unreachable_host_is_shown_with_why(errand, make_host):
    good, bad = make_host("good"), make_host("bad")
    for h in (good, bad):
        errand("hosts", "add", f"{h.name}-box", h.name).ok()
    bad.power_cut()
    table = rows(errand)
    assert table["good-box"]["reachable"] is True
    assert table["bad-box"]["reachable"] is False and "refuse" in table["bad-box"]["error"]


def test_cached_answers_are_marked_with_their_age(errand, host):
    errand("hosts", "add", "box1", host.name).ok()
    errand("hosts").ok()
    host.power_cut()
    text = errand("hosts").ok().text
    assert re.search(r"box1.*(ago|refuse|no)", text)


def test_gpus_are_shown(errand, make_host):
    host = make_host("gpus", programs={"nvidia-smi": SMI % 2})
    errand("hosts", "add", "gpu2", host.name).ok()
    row = rows(errand)["gpu2"]
    assert (len(row["gpus"]), row["gpus_free"]) == (2, 2)
    assert re.search(r"2/2|2 of 2", errand("hosts").ok().text)


def test_running_jobs_are_counted(errand, host):
    errand("run", "--detach", "--on", host.name, "--", "sleep", "1000").ok()
    errand.wait_state("running")
    assert rows(errand)[host.name]["running"] == 1
    errand("cancel", "--all").ok()
    errand.wait_state("cancelled")


def test_ssh_runs_a_command(errand, host):
    assert errand("ssh", host.name, "hostname").ok().text.strip() == host.name
    assert errand("ssh", host.name, "sh", "-c", "exit 9").rc == 9


def test_ssh_lands_in_the_jobs_directory(errand, host):
    errand("run", "--on", host.name, "--", "sh", "-c", "echo x > made-by-job").ok()
    assert "made-by-job" in errand("ssh", "work-1", "ls").ok().text


def test_ssh_to_a_local_job(errand):
    errand("run", "--", "sh", "-c", "echo x > made-by-job").ok()
    assert "made-by-job" in errand("ssh", "work-1", "ls").ok().text


def test_first_of_several_that_has_room(errand, make_host):
    one, two = make_host("one"), make_host("two")
    cpus = str(os.cpu_count())
    errand("run", "--detach", "--on", "one", "--cpus", cpus, "--", "sleep", "1000").ok()
    errand.wait_state("running")
    assert errand("run", "--quiet", "--on", "one", "--on", "two", "--cpus", cpus, "--", "hostname").ok().text.strip() == "two"
    errand("cancel", "work-1").ok()
    errand.wait_state("cancelled", name="work-1.0")
    assert errand("run", "--quiet", "--on", "one", "--on", "two", "--cpus", cpus, "--", "hostname").ok().text.strip() == "one"
    assert one and two


def test_unreachable_first_host_is_passed_over(errand, make_host):
    dead, alive = make_host("dead"), make_host("alive")
    dead.power_cut()
    done = errand("run", "--on", "dead", "--on", "alive", "--", "hostname").ok()
    assert done.text.strip() == "alive" and alive.name in done.text


def test_misspelt_name_gets_the_nearest_and_is_not_remembered(errand, make_host):
    host = make_host("gpu-box")
    errand("run", "--quiet", "--on", "gpu-box", "--no-sync", "--", "true").ok()
    said = errand("run", "--on", "gpu-bxo", "--on", "gpu-box", "--", "true").ok().said
    assert "gpu-bxo is passed over: no such host" in said
    for args in (["run", "--on", "gpu-bxo", "--", "true"], ["push", "gpu-bxo", "/etc/hostname", "x"], ["ssh", "gpu-bxo", "true"], ["gc", "gpu-bxo"]):
        done = errand(*args)
        assert done.rc != 0 and "did you mean gpu-box?" in done.said, done
    assert "did you mean gpu-box?" in errand("doctor", "gpu-bxo").ok(1).text
    assert sorted(rows(errand)) == ["gpu-box", "local"] and host


def test_any_takes_a_known_host(errand, make_host):
    host = make_host("gpus", programs={"nvidia-smi": SMI % 1})
    errand("hosts", "add", "with-gpu", host.name).ok()
    errand("hosts").ok()
    assert errand("run", "--quiet", "--on", "any", "--gpus", "1", "--", "hostname").ok().text.strip() == "gpus"


def test_names_that_ssh_could_take_for_options_are_refused(errand):
    for name in ("-oProxyCommand=touch /tmp/pwned", "--help", "a b", ""):
        assert errand("run", "--on", name, "--", "true").rc in (201, 202, 206), name


def test_doctor_of_a_healthy_host(errand, host):
    done = errand("doctor", host.name).ok()
    for word in ("ssh", "agent", "disk", "clock"):
        assert word in (done.text + done.said).lower()


def test_doctor_of_this_machine(errand):
    errand("doctor").ok()


@pytest.mark.parametrize("kind,word", [("ro", "read-only|written|write"), ("noexec", "noexec|execut")])
def test_doctor_says_what_is_wrong(errand, make_host, kind, word):
    host = make_host("ill", home=kind)
    done = errand("doctor", host.name)
    assert done.rc != 0 and re.search(word, (done.text + done.said).lower()), done


def test_doctor_names_missing_programs(errand, make_host):
    host = make_host("bare", before="mount --bind /dev/null /usr/bin/rsync; mount --bind /dev/null /usr/bin/git")
    done = errand("doctor", host.name)
    assert "rsync" in done.text + done.said


def test_completion_offers_jobs_and_hosts(errand, host):
    errand("run", "--on", host.name, "--name", "mnist-7", "--", "true").ok()
    for shell in ("bash", "zsh", "fish"):
        assert errand("completion", shell).ok().out


def test_password_is_asked_once_by_ssh_itself(errand, host):
    """A key with a passphrase stands for every question ssh asks."""
    key = errand.home / ".ssh" / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)], check=True, capture_output=True)
    proc = errand.start_tty("run", "--on", host.name, "--", "sh", "-c", "echo ran it")
    proc.wait_for(b"passphrase")
    os.write(proc.terminal, b"open sesame\n")
    proc.wait_for(b"ran it")
    proc.wait().ok()
    proc = errand.start_tty("run", "--on", host.name, "--", "sh", "-c", "echo ran again")
    proc.wait_for(b"ran again")
    assert b"passphrase" not in proc.out
    assert b"open sesame" not in b"".join(p.read_bytes() for p in errand.state.rglob("*") if p.is_file())


def test_show_json_is_for_programs(errand, host):
    errand("run", "--quiet", "--on", host.name, "--", "true").ok()
    for command in (["jobs"], ["hosts"], ["show"]):
        json.loads(errand(*command, "--json").ok().out)


def test_idle_host_costs_no_process(errand, host):
    errand("run", "--quiet", "--on", host.name, "--", "true").ok()
    errand.end_masters()
    until(lambda: not host.processes(), 15, lambda: f"the host to be idle: {host.processes()}")


@pytest.mark.release
def test_busybox_and_a_kernel_are_enough(errand, make_host):
    host = make_host("tiny", busybox=True)
    errand.project("work", {"data": "x" * 100000, "tool": "#!/bin/sh\necho ran\n"})
    (errand.cwd / "tool").chmod(0o755)
    done = errand("run", "--quiet", "--on", host.name, "--output", "out", "--", "sh", "-c", "./tool; wc -c < data; echo result > out").ok()
    assert done.text.split() == ["ran", "100000"]
    assert (errand.results("work-1.0") / "out").read_text() == "result\n"
    assert errand("logs").ok().text.split() == ["ran", "100000"]


def test_host_without_rsync(errand, make_host):
    host = make_host("norsync", before="mount --bind /dev/null /usr/bin/rsync")
    errand.project("work", {"a": "1"})
    assert errand("run", "--quiet", "--on", host.name, "--output", "b", "--", "sh", "-c", "cat a; cp a b").ok().text == "1"
    assert (errand.results("work-1.0") / "b").read_text() == "1"


def test_two_runs_of_one_project_at_the_same_moment(errand, host):
    errand.project("work", {f"f{i}": os.urandom(2000) for i in range(200)})
    procs = [errand.start("run", "--quiet", "--on", host.name, "--env", f"I={i}", "--output", "me", "--", "sh", "-c", "echo $I > me; cat f* | wc -c") for i in range(4)]
    names = set()
    for proc in procs:
        assert proc.wait().ok().out.strip() == b"400000"
    for i in range(1, 5):
        names.add((errand.results(f"work-{i}.0") / "me").read_text())
    assert names == {f"{i}\n" for i in range(4)}


def test_a_machine_with_several_names_is_shown_once(errand, make_host):
    one, other = make_host("one"), make_host("other")
    errand("run", "--on", one.target, "--", "true").ok()
    errand("run", "--on", one.name, "--", "true").ok()
    errand("run", "--on", other.name, "--", "true").ok()
    errand("hosts", "add", "gpu-box", one.name).ok()
    table = rows(errand)
    assert sorted(table) == ["gpu-box", "local", "other"]
    assert table["gpu-box"]["names"][0] == "gpu-box" and sorted(table["gpu-box"]["names"]) == sorted(["gpu-box", "one", one.target])
    assert table["other"]["names"] == ["other"]
    for shown in (errand("hosts").ok().text, errand("hosts", "--cached").ok().text):
        line, = [line for line in shown.splitlines() if "gpu-box" in line]
        assert "one" in line and one.target in line


def test_a_login_shell_that_goes_elsewhere(errand, host):
    """`cd /usr` in a .bashrc: errand's files are below the home all the same, and nothing is sought where others may write."""
    (host.home / ".bashrc").write_text("cd /usr\n")
    (host.home / ".profile").write_text("cd /usr\n")
    assert errand("ssh", host.name, "pwd").ok().text == "/usr\n"  # else this test shows nothing
    errand("run", "--on", host.name, "--", "true").ok()
    errand("run", "--on", host.name, "--", "true").ok()
    assert (host.home / ".errand" / "bin").is_dir() and host.sh("ls -A /usr/.errand 2>/dev/null", check=False) == ""

"""Which GPUs a job sees, and what it used of them: stand-ins that answer as nvidia-smi does (see test_gpu.py for the rest)."""
import re
import time

import pytest

from helpers import until

NEVER = 222  # the job failed without ever having started
# A driver's directory without a card: what says, without running a program, that there may be GPUs.
DRIVER = "mount -t tmpfs tmpfs /proc/driver && mkdir -p /proc/driver/nvidia/gpus/0000:00:06.0"

# Answers with the lines of a file: "index, name, total, used, load, uuid, mig". -lms repeats them.
SMI = """#!/bin/sh
echo "$*" >> ~/asked
case "$*" in
-L) cat ~/parts; exit 0 ;;
*nosuch* | *--query-gpu=index,name*) ;;
*) exit 0 ;;
esac
[ ! -e ~/hang ] || { rm ~/hang; exec sleep 1000; }
cat ~/gpus
case "$*" in
*-lms*) while sleep 0.1; do cat ~/gpus && echo round >> ~/rounds; done ;;
esac
"""
IDLE = "{0}, NVIDIA H200, 143771, 0, 0, GPU-0000000{0}-a3c3-367d-d69e-fcf6d6be0f3c, Disabled\n"
BUSY = "{0}, NVIDIA H200, 143771, 101100, 98, GPU-0000000{0}-a3c3-367d-d69e-fcf6d6be0f3c, Disabled\n"
UNKNOWN = "{0}, NVIDIA H200, [N/A], [Not Supported], [Unknown Error], GPU-0000000{0}-a3c3-367d-d69e-fcf6d6be0f3c, [N/A]\n"
SEE = ["--", "sh", "-c", 'echo "<${CUDA_VISIBLE_DEVICES-unset}>"']
LOGIN = "/root/.ssh/environment"


@pytest.fixture
def box(make_host):
    def make(*lines, login=""):
        host = make_host("box", programs={"nvidia-smi": SMI}, before=DRIVER, more=f"\nSetEnv ERRAND_CPUS=8 {login}")
        gpus(host, *lines)
        return host
    return make


def gpus(host, *lines):
    new = host.home / "gpus.new"
    new.write_text("".join(line.format(i) for i, line in enumerate(lines)))
    new.rename(host.home / "gpus")


def asked(host):
    path = host.home / "asked"
    return path.read_text().splitlines() if path.exists() else []


def rounds(host, count):
    """Waits until the stand-in has said so many more."""
    path = host.home / "rounds"
    seen = lambda: len(path.read_text().splitlines()) if path.exists() else 0
    before = seen()
    until(lambda: seen() >= before + count, 20, "samples")


def see(errand, host, *args):
    return errand("run", "--quiet", "--on", host.name, *args, *SEE).ok().text.strip()


def attempt(errand, *args):
    return errand("show", "--json", *args).ok().json()[0]["attempts"][-1]


def hold(errand, host, name, *args):
    errand("run", "--detach", "--name", name, "--cpus", "1", "--on", host.name, *args, "--", "sh", "-c",
           f"echo $CUDA_VISIBLE_DEVICES > ~/{name}; until [ -e ~/{name}.go ]; do sleep 0.02; done").ok()
    return until(lambda: (host.home / name).exists() and (host.home / name).read_text().strip(), 20, "the job to run")


def let_go(errand, host, *names):
    for name in names:
        (host.home / f"{name}.go").touch()
    errand("wait", *names).ok()


def test_without_gpus_a_job_sees_those_that_nobody_reserved(errand, box):
    host = box(IDLE, IDLE, IDLE)
    done = errand("run", "--on", host.name, *SEE).ok()
    assert done.text.strip() == "<0,1,2>"
    line, = [line for line in done.said.splitlines() if "GPU" in line]
    assert re.fullmatch(r"errand: \S+ sees GPU 0, 1, 2 \(shared\); --gpus N reserves N, --gpus 0 hides them", line)
    assert re.search(r"GPUs +0, 1, 2 \(shared\)$", errand("show").ok().text, re.M)
    row = attempt(errand)
    assert row["gpus"] == [0, 1, 2] and row["gpus_shared"] is True
    # Nobody knows whose load it was.
    assert row["gpu_percent"] is None and row["gpu_memory"] is None
    held = hold(errand, host, "held", "--gpus", "1")
    assert see(errand, host) == "<%s>" % ",".join(i for i in "012" if i != held)
    assert attempt(errand, "held")["gpus_shared"] is False
    let_go(errand, host, "held")


def test_when_all_are_reserved_that_is_said(errand, box):
    host = box(IDLE)
    hold(errand, host, "held", "--gpus", "1")
    done = errand("run", "--on", host.name, *SEE).ok()
    assert done.text.strip() == "<>" and "sees no GPU: all are reserved; --gpus N waits for N" in done.said
    assert re.search(r"GPUs +none: all were reserved$", errand("show").ok().text, re.M)
    let_go(errand, host, "held")


def test_gpus_0_hides_them(errand, box):
    host = box(IDLE, IDLE)
    done = errand("run", "--on", host.name, "--gpus", "0", *SEE).ok()
    assert done.text.strip() == "<>" and "GPU" not in done.said
    assert "no GPU" in errand("show").ok().text and errand("show", "--json").ok().json()[0]["gpus"] == 0
    errand.project("work", {"errand.yaml": "gpus: 0\n"})
    assert see(errand, host) == "<>"
    errand.project("work", {"errand.yaml": "cpus: 1\n"})
    assert see(errand, host) == "<0,1>"
    assert errand("show", "--json").ok().json()[0]["gpus"] is None


def test_a_machine_without_gpus_is_asked_nothing(errand, make_host):
    host = make_host("plain", programs={"nvidia-smi": SMI})
    done = errand("run", "--on", host.name, *SEE).ok()
    assert done.text.strip() == "<unset>" and "GPU" not in done.said and not asked(host)


def test_the_idle_one_is_given(errand, box):
    host = box(BUSY, IDLE, BUSY)
    assert see(errand, host, "--gpus", "1") == "<1>"
    gpus(host, IDLE, BUSY, BUSY)
    assert see(errand, host, "--gpus", "1") == "<0>"
    gpus(host, BUSY, BUSY, IDLE)
    assert see(errand, host, "--gpus", "2") in ("<0,2>", "<1,2>")


def test_of_shared_ones_the_idle_come_first(errand, box):
    host = box(BUSY, IDLE)
    assert see(errand, host) == "<1,0>"


def test_one_that_nobody_shares_is_reserved_first(errand, box):
    host = box(IDLE, IDLE)
    hold(errand, host, "a", "--gpus", "1")
    assert hold(errand, host, "b") == "1"
    let_go(errand, host, "a")
    assert hold(errand, host, "c", "--gpus", "1") == "0"
    assert hold(errand, host, "d", "--gpus", "1") == "1", "shared ones are given when no other is left"
    let_go(errand, host, "b", "c", "d")


@pytest.mark.parametrize("allowed,one,both", [
    ("1,2", "<1>", "<1,2>"), ("GPU-00000002-a3c3-367d-d69e-fcf6d6be0f3c", "<2>", "<2>"), ("2", "<2>", "<2>")])
def test_within_what_the_login_allows(errand, box, allowed, one, both):
    host = box(IDLE, IDLE, IDLE, login=f"CUDA_VISIBLE_DEVICES={allowed}")
    assert see(errand, host, "--gpus", "1") == one
    assert see(errand, host) == both
    refused = errand("run", "--on", host.name, "--gpus", "3", *SEE)
    assert refused.rc == NEVER and "CUDA_VISIBLE_DEVICES of the login there hides" in refused.said


def test_parts_of_gpus_are_given_by_uuid(errand, box):
    host = box("{0}, NVIDIA A100, 40536, 20, [N/A], GPU-aaaa, Enabled\n", IDLE)
    (host.home / "parts").write_text(
        "GPU 0: NVIDIA A100 (UUID: GPU-aaaa)\n  MIG 3g.20gb     Device  0: (UUID: MIG-1111)\n  MIG 3g.20gb     Device  1: (UUID: MIG-2222)\n"
        "GPU 1: NVIDIA H200 (UUID: GPU-00000001-a3c3-367d-d69e-fcf6d6be0f3c)\n")
    assert see(errand, host) == "<GPU-00000001-a3c3-367d-d69e-fcf6d6be0f3c,MIG-1111,MIG-2222>"
    names = see(errand, host, "--gpus", "3").strip("<>").split(",")
    assert sorted(names) == ["GPU-00000001-a3c3-367d-d69e-fcf6d6be0f3c", "MIG-1111", "MIG-2222"]


@pytest.mark.parametrize("count", ["0", "1"])
def test_two_words_on_which_ones_are_refused(errand, box, count):
    host = box(IDLE, IDLE)
    done = errand("run", "--on", host.name, "--gpus", count, "-e", "CUDA_VISIBLE_DEVICES=1", *SEE)
    assert done.rc not in (0, NEVER) and "CUDA_VISIBLE_DEVICES" in done.said and "leave out" in done.said and "<" not in done.text
    assert see(errand, host, "-e", "CUDA_VISIBLE_DEVICES=1") == "<1>"
    assert attempt(errand)["gpus"] == [1]


def test_one_that_appears_and_one_that_is_lost(errand, box):
    host = box(IDLE)
    assert see(errand, host, "--gpus", "1") == "<0>"
    gpus(host, IDLE, IDLE)
    assert see(errand, host, "--gpus", "2") == "<0,1>"
    gpus(host, "{0}, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [N/A]\n", IDLE)
    assert see(errand, host, "--gpus", "1") == "<1>"
    refused = errand("run", "--on", host.name, "--gpus", "2", *SEE)
    assert refused.rc == NEVER and "needs 2 GPUs" in refused.said


def test_what_is_not_known_is_not_0(errand, box):
    host = box(UNKNOWN, BUSY)
    errand("hosts", "add", "box2", host.name).ok()
    row = [row for row in errand("hosts", "--json").ok().json() if row["host"] == "box2"][0]
    first, second = row["gpus"]
    assert (first["percent"], first["memory"], first["memory_free"]) == (None, None, None)
    assert second["percent"] == 98 and second["memory_free"] == (143771 - 101100) << 20
    assert "?" in errand("hosts").ok().text
    text = errand("top", "--once", host.name).text
    assert re.search(r"gpu 0 +\? of \? +\? ", text), text


def test_use_is_sampled_often_by_one_program(errand, box):
    host = box(IDLE, IDLE)
    errand("run", "--detach", "--on", host.name, "--gpus", "1", "--", "sh", "-c", "until [ -e ~/go ]; do sleep 0.02; done").ok()
    rounds(host, 2)
    gpus(host, BUSY, BUSY)
    rounds(host, 3)
    gpus(host, IDLE, IDLE)
    rounds(host, 2)
    (host.home / "go").touch()
    errand("wait").ok()
    row = attempt(errand)
    assert row["gpu_percent_max"] == 98 and 0 < row["gpu_percent"] <= 98 and row["gpu_memory"] == 101100 << 20
    assert [line.partition("-lms ")[2] for line in asked(host) if "-lms" in line] == ["1000"]
    assert row["max_memory"] > 0
    shown = errand("show").ok().text
    assert re.search(r"GPUs +[01] at \d+% \(98% at most\), 98.7 GB memory at most", shown), shown


def test_nothing_measured_is_not_0(errand, box):
    host = box(UNKNOWN)
    errand("run", "--quiet", "--on", host.name, "--gpus", "1", "--", "sh", "-c", "until grep -q lms ~/asked; do sleep 0.02; done; sleep 0.5").ok()
    row = attempt(errand)
    assert (row["gpu_percent"], row["gpu_percent_max"], row["gpu_memory"]) == (None, None, None)
    assert "0 at ?%, ? memory at most" in errand("show").ok().text


def test_a_tool_that_hangs_holds_up_one_start_only(errand, make_host):
    host = make_host("box", programs={"nvidia-smi": "#!/bin/sh\necho asked >> ~/asked\nexec sleep 1000\n"}, before=DRIVER)
    assert errand("run", "--quiet", "--on", host.name, *SEE, timeout=40).ok().text.strip() == "<unset>"
    assert errand("run", "--quiet", "--on", host.name, *SEE, timeout=40).ok().text.strip() == "<unset>"
    assert len(asked(host)) == 1
    refused = errand("run", "--on", host.name, "--gpus", "1", *SEE, timeout=60)
    assert refused.rc == NEVER and "nvidia-smi of box gives no answer" in refused.said


def test_no_answer_does_not_fail_a_job_whose_turn_it_is(errand, box):
    """nvidia-smi is slow for once (a driver that is reset, a machine under load): the job waits for an answer."""
    host = box(IDLE)
    hold(errand, host, "first", "--gpus", "1")
    before = len(asked(host))
    errand("run", "--detach", "--name", "second", "--on", host.name, "--gpus", "1", *SEE).ok()
    errand.wait_state("queued", name="second.0")
    # The look that it makes when it joins the queue; one that is older than a second is made again before the start.
    until(lambda: len(asked(host)) > before, 20, "its first look")
    until(lambda: time.time() - (host.home / "asked").stat().st_mtime > 2, 20, "its last look to be old")
    (host.home / "hang").touch()
    let_go(errand, host, "first")
    errand("wait", "second", timeout=60).ok()
    assert errand("logs", "second").ok().text == "<0>\n"
    if (host.home / "hang").exists():
        pytest.skip("this machine is so slow that its turn came within a second of its look")


def test_a_command_beside_the_job_sees_what_the_job_sees(errand, box):
    host = box(IDLE, IDLE, IDLE)
    show = ["--", "sh", "-c", 'echo "<${CUDA_VISIBLE_DEVICES-unset}>"']
    own = hold(errand, host, "own", "--gpus", "2")
    assert errand("exec", "own.0", *show).ok().text.strip() == f"<{own}>"
    shared = hold(errand, host, "shared")
    assert errand("exec", "shared.0", *show).ok().text.strip() == f"<{shared}>"
    assert errand("exec", host.name, *show).ok().text.strip() == "<unset>"
    let_go(errand, host, "own", "shared")

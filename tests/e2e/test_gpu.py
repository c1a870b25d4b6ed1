"""GPUs, as told by a fake nvidia-smi."""
from helpers import until
from test_hosts import SMI

NEVER = 222  # the job failed without ever having started


def test_job_sees_exactly_its_gpus(errand, make_host):
    host = make_host("gpus", programs={"nvidia-smi": SMI % 4})
    seen = errand("run", "--quiet", "--on", host.name, "--gpus", "2", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES").ok().text.strip()
    assert len(seen.split(",")) == 2 and set(seen.split(",")) <= set("0123")


def test_job_that_asked_for_none_is_not_told_of_any(errand, make_host):
    host = make_host("gpus", programs={"nvidia-smi": SMI % 2})
    seen = errand("run", "--quiet", "--on", host.name, "--", "sh", "-c", 'echo "<${CUDA_VISIBLE_DEVICES-unset}>"').ok().text.strip()
    assert seen in ("<unset>", "<>", "<-1>")


def test_gpus_are_not_shared(errand, make_host):
    host = make_host("gpus", programs={"nvidia-smi": SMI % 4})
    for name in ("a", "b"):
        errand("run", "--detach", "--name", name, "--on", host.name, "--cpus", "1", "--gpus", "2", "--", "sh", "-c",
               f"echo $CUDA_VISIBLE_DEVICES > ~/{name}; until [ -e ~/go ]; do sleep 0.02; done").ok()
        until(lambda: (host.home / name).exists() and (host.home / name).read_text().strip(), 20, "the job to run")
    given = [(host.home / name).read_text().strip().split(",") for name in ("a", "b")]
    assert not set(given[0]) & set(given[1]) and set(given[0]) | set(given[1]) == set("0123")
    errand("run", "--detach", "--name", "c", "--on", host.name, "--gpus", "1", "--", "true").ok()
    errand.wait_state("queued", name="c.0")
    (host.home / "go").touch()
    errand("wait", "a", "b", "c").ok()


def test_more_gpus_than_there_are_is_said_at_once(errand, make_host):
    host = make_host("gpus", programs={"nvidia-smi": SMI % 2})
    done = errand("run", "--on", host.name, "--gpus", "3", "--", "true", timeout=30)
    assert done.rc == NEVER and "GPU" in done.said


def test_gpus_asked_of_a_host_without_any(errand, host):
    done = errand("run", "--on", host.name, "--gpus", "1", "--", "true", timeout=30)
    assert done.rc == NEVER and "GPU" in done.said


def test_broken_nvidia_smi_is_no_gpu(errand, make_host):
    host = make_host("gpus", programs={"nvidia-smi": "#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate'\nexit 9\n"})
    errand("run", "--quiet", "--on", host.name, "--", "true").ok()
    assert errand("run", "--on", host.name, "--gpus", "1", "--", "true").rc == NEVER


def test_nvidia_smi_that_hangs_does_not_hang_errand(errand, make_host):
    host = make_host("gpus", programs={"nvidia-smi": "#!/bin/sh\nexec sleep 1000\n"})
    errand("run", "--quiet", "--on", host.name, "--", "true", timeout=40).ok()


def test_gpu_of_a_job_is_shown(errand, make_host):
    host = make_host("gpus", programs={"nvidia-smi": SMI % 2})
    errand("run", "--quiet", "--on", host.name, "--gpus", "1", "--", "true").ok()
    shown = errand("show", "--json").ok().json()
    row = shown[0] if isinstance(shown, list) else shown
    assert len(row["attempts"][0]["gpus"]) == 1

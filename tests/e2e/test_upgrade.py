"""An older agent's jobs stay visible and can be ended after an upgrade: the build that started them has another name and
is gone from bin/, only its supervisor is left."""
from helpers import until


def test_jobs_of_another_build_go_on(errand, host):
    errand("run", "--detach", "--on", host.name, "--output", "o", "--", "sh", "-c", "echo begun; touch ~/begun; until [ -e ~/go ]; do sleep 0.02; done; echo yes > o").ok()
    until(lambda: (host.home / "begun").exists(), 20, "the job to begin")
    agents = list((host.home / ".errand" / "bin").glob("errand-agent-*"))
    assert len(agents) == 1
    agents[0].rename(agents[0].with_name("errand-agent-000000000000"))
    host.cut()
    assert errand("logs", "work-1").ok().out == b"begun\n"
    until(lambda: errand.job()["state"] == "running", 20, "the store to hear of it")
    (host.home / "go").touch()
    errand("wait", "work-1").ok()
    assert (errand.results("work-1.0") / "o").read_text() == "yes\n"


def test_jobs_of_another_build_can_be_cancelled(errand, host):
    errand("run", "--detach", "--on", host.name, "--", "sh", "-c", "touch ~/begun; sleep 1000").ok()
    until(lambda: (host.home / "begun").exists(), 20, "the job to begin")
    for agent in (host.home / ".errand" / "bin").glob("errand-agent-*"):
        agent.unlink()
    host.cut()
    errand("cancel", "work-1").ok()
    errand.wait_state("cancelled")
    until(lambda: not host.find("sleep 1000"), 10, "the job to be gone")


def test_agent_that_lost_its_execute_permission_is_mended(errand, host):
    errand("run", "--quiet", "--on", host.name, "--", "true").ok()
    for agent in (host.home / ".errand" / "bin").glob("errand-agent-*"):
        agent.chmod(0o600)
    errand("run", "--quiet", "--on", host.name, "--", "true").ok()


def test_damaged_agent_is_mended(errand, host):
    errand("run", "--quiet", "--on", host.name, "--", "true").ok()
    for agent in (host.home / ".errand" / "bin").glob("errand-agent-*"):
        agent.write_bytes(agent.read_bytes()[:1000])
    done = errand("run", "--quiet", "--on", host.name, "--", "true", timeout=40)
    assert done.rc == 0, done

"""What comes from elsewhere is not believed: a repository's files, a host's answers."""
import json
import os

import pytest

from helpers import until


@pytest.mark.parametrize("link, target", [("results", "../victim"), ("results/work-1.0", "../../victim"), ("results/work-1.0/out", "../../../victim")])
def test_outputs_do_not_go_through_a_link_of_the_project(errand, host, link, target):
    """A clone with a symlink in it, and an errand.yaml that says what comes back."""
    victim = errand.project("victim", {"precious": "mine", "out/precious": "mine"})
    project = errand.project("work", {"errand.yaml": "outputs: ['out/*']\n"})
    (project / link).parent.mkdir(parents=True, exist_ok=True)
    os.symlink(target, project / link)
    done = errand("run", "--on", host.name, "--", "sh", "-c", "mkdir out; echo evil > out/precious; echo evil > out/other")
    assert "link" in done.said and done.rc != 0
    assert (victim / "precious").read_text() == "mine" and sorted(os.listdir(victim)) == ["out", "precious"]
    assert (victim / "out" / "precious").read_text() == "mine" and os.listdir(victim / "out") == ["precious"]
    errand("pull", "work-1", "out/other", f"{errand.base}/elsewhere/").ok()  # and there is a way to have them


EVIL = "\x1b]0;evil\x07\x1b[31mred\r\u202eback\u2066"


def is_clean(data):
    return not any(byte in data for byte in (b"\x1b", b"\x07", b"\r", "\u202e".encode(), "\u2066".encode()))


def test_a_projects_words_do_not_reach_the_terminal(errand):
    """What errand.yaml of a stranger says is shown quoted, wherever it is shown."""
    value = json.dumps(EVIL)
    errand.project("work", {"errand.yaml": f"command: echo x\nworkdir: {value}\ncontainer: {value}\n"})
    for args in (["run", "--dry-run"], ["run", "--dry-run", "--container", EVIL], ["run", "--on", EVIL, "--", "true"],
                 ["env", "show", EVIL], ["logs", EVIL], ["hosts", "add", EVIL, "nowhere.invalid"], ["ssh", EVIL]):
        done = errand(*args)
        assert is_clean(done.out) and is_clean(done.err), done


def test_a_hosts_words_do_not_reach_the_terminal(errand, host):
    """A login shell that prints them, an agent that cannot be executed: what is said of it goes into messages and hints."""
    (host.home / ".bashrc").write_text("printf '%s\\n' '" + EVIL + "'; exit 1\n")
    host.sh("usermod -s /bin/bash root 2>/dev/null || true", check=False)
    host.sh("mkdir -p /root/.errand && : > /root/.errand/bin")
    for args in (["run", "--on", host.name, "--", "true"], ["doctor", host.name], ["hosts"], ["env", "list", host.name], ["gc", host.name]):
        done = errand(*args)
        assert is_clean(done.out) and is_clean(done.err), done


@pytest.mark.parametrize("master", [True, False])
def test_a_job_does_not_get_the_users_ssh_agent(errand, host, master):
    """ForwardAgent yes in ~/.ssh/config is for the user's own sessions."""
    with open(errand.ssh_config, "a") as file:
        file.write("Host *\n  ForwardAgent yes\n")
    keys = errand.start(argv=["ssh-agent", "-D", "-a", f"{errand.base}/agent"])
    until(lambda: os.path.exists(f"{errand.base}/agent"), 10, "ssh-agent's socket")
    env = {"SSH_AUTH_SOCK": f"{errand.base}/agent"}
    if not master:
        env["ERRAND_SSH_PERSIST"] = "0"
    done = errand("run", "--quiet", "--on", host.name, "--", "sh", "-c", "echo \"[$SSH_AUTH_SOCK]\"", env=env).ok()
    assert done.text == "[]\n"
    keys.kill()

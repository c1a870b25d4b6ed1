"""errand code: the project's files on the host, and the name by which VS Code reaches it."""
import subprocess

FAKE_CODE = '#!/bin/sh\nprintf "%s\\n" "$@" >"$HOME/code-args"\n'


def args_of(errand):
    return (errand.home / "code-args").read_text().splitlines()


def test_the_command_is_printed(errand, host):
    errand.project("work", {"a.txt": "one\n", "sub/b.txt": "two\n", ".gitignore": "junk\n"})
    done = errand("code", "--on", "box").ok()
    assert done.text == "code --remote ssh-remote+box /root/.errand/projects/work\n" and "not in PATH" in done.said
    there = host.home / ".errand/projects/work"
    assert (there / "a.txt").read_text() == "one\n" and (there / "sub/b.txt").read_text() == "two\n"
    # What is done there stays, whatever changes here.
    (there / "a.txt").write_text("edited there\n")
    (errand.cwd / "a.txt").write_text("edited here\n")
    assert "as you left it" in errand("code", "--on", "box").ok().said
    errand("run", "--quiet", "--on", "box", "--", "true").ok()
    assert (there / "a.txt").read_text() == "edited there\n"
    errand("code", "--on", "box", "--fresh").ok()
    assert (there / "a.txt").read_text() == "edited here\n"
    aside = [path for path in there.parent.iterdir() if path.name.startswith("work.")]
    assert len(aside) == 1 and (aside[0] / "a.txt").read_text() == "edited there\n"


def test_vs_code_is_started(errand, host):
    errand.program("code", FAKE_CODE)
    (errand.cwd / "errand.yaml").write_text("on: box\n")
    errand("code").ok()
    assert args_of(errand) == ["--remote", "ssh-remote+box", "/root/.errand/projects/work"]
    errand("code", "--on", "local").ok()
    assert args_of(errand) == [str(errand.cwd)]


def test_a_name_of_its_own(errand, host):
    """A host with a port: ssh has to learn its name from a file of ours, and the user's own is never written."""
    errand.program("code", FAKE_CODE)
    before = errand.ssh_config.read_text()
    errand("hosts", "add", "gpu", f"root@{host.address}:{host.port}", "--identity", str(errand.home / ".ssh/id_ed25519"))
    first = errand("code", "--on", "gpu")
    ours = errand.home / ".config/errand/ssh_config"
    assert first.rc == 202 and f"Include {ours}" in first.said and not (errand.home / "code-args").exists()
    assert first.text.startswith("code --remote ssh-remote+errand-gpu ")
    assert errand.ssh_config.read_text() == before
    text = ours.read_text()
    assert text.count(">>> errand errand-gpu") == 1 and f"port {host.port}" in text and f"hostname {host.address}" in text
    ours.write_text("Host mine\n  User me\n" + text)
    errand.ssh_config.write_text("Include ~/.config/errand/ssh_config\n" + before.replace("Host box", "Host box2"))
    errand("code", "--on", "gpu").ok()
    assert args_of(errand)[1] == "ssh-remote+errand-gpu"
    again = ours.read_text()
    assert again.count("Host errand-gpu") == 1 and again.startswith("Host mine\n  User me\n")
    # The name works for any ssh.
    done = subprocess.run(["/usr/bin/ssh", "-F", str(ours), "-o", f"UserKnownHostsFile={errand.known_hosts}", "errand-gpu", "echo there"],
                          env=errand.env, capture_output=True, text=True, check=False)
    assert done.stdout == "there\n", done


def test_no_host(errand):
    assert "no host given" in errand("code").ok(201).said

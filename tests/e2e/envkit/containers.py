"""podman for the tests' hosts: images and containers in the test's own directory, with a tiny image imported from a root
made of busybox; as root and as an ordinary user."""
import os
import pathlib
import shutil
import subprocess

import pytest

from helpers import command_of, end_process

CONF = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
"""


def need_podman():
    for program in ("podman", "runc"):
        if not shutil.which(program, path="/usr/bin:/usr/sbin:/bin:/sbin"):
            pytest.skip(f"{program} is not installed here (scripts/install-deps test)")
    if not pathlib.Path("/bin/busybox").exists():
        pytest.skip("busybox-static is not installed here")


def make_root(directory, files=None):
    """A root directory of busybox, with more files ({path: text})."""
    root = pathlib.Path(directory)
    for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "root"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    for applet in ("sh", "cat", "echo", "env", "id", "ls", "pwd", "sleep", "test", "true", "false", "mkdir", "rm", "grep", "head",
                   "uname", "hostname", "touch", "wc", "printf", "seq", "kill", "ps", "stat", "dd", "sed", "tr", "cp", "mv", "ln"):
        if not (root / "bin" / applet).is_symlink():
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    for path, text in (files or {}).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return root


def make_archive(directory, files=None):
    """The same as an archive that `podman import` takes."""
    directory = pathlib.Path(directory)
    root = make_root(directory / "image-root", files)
    archive = directory / "image.tar"
    subprocess.run(["tar", "-C", str(root), "--owner=0", "--group=0", "--numeric-owner", "-c", "-f", str(archive), "."], check=True)
    shutil.rmtree(root)
    return archive


def install(host, user=None, image="tiny:1", files=None):
    """podman on the host keeps everything below the host's own directory, and knows one image. user: (name, uid) of an
    ordinary user whose podman it is."""
    need_podman()
    base = host.dir / "podman"
    base.mkdir()
    (base / "containers.conf").write_text(CONF)
    driver = 'driver = "vfs"' if user else 'driver = "overlay"'
    (base / "storage.conf").write_text(f'[storage]\n{driver}\nrunroot = "{base}/run"\ngraphroot = "{base}/storage"\n'
                                       f'rootless_storage_path = "{base}/storage"\n')
    archive = make_archive(base, files)
    host.world.program("podman", "#!/bin/sh\n"
                       f"export CONTAINERS_CONF={base}/containers.conf CONTAINERS_STORAGE_CONF={base}/storage.conf\n"
                       f"echo \"$*\" >>{base}/calls\n"
                       'exec /usr/bin/podman "$@"\n', host.local_bin)
    (base / "calls").touch()
    command = f"/usr/local/bin/podman import {archive} {image}"
    if user:
        for path in [base] + sorted(base.rglob("*")):
            os.chown(path, user[1], user[1])
        command = f"cd / && HOME=/home/{user[0]} setpriv --reuid {user[1]} --regid {user[1]} --init-groups {command}"
    done = host.sh(f"({command}) >{base}/import.log 2>&1 || echo failed").strip()
    if done:
        text = (base / "import.log").read_text()
        pytest.skip(f"podman does not work here: {text.strip().splitlines()[-1] if text.strip() else 'no word'}")
    return base / "calls"


def end_pause(host):
    """An ordinary user's podman leaves a process that keeps its namespaces; it is no one's job."""
    for pid in host.find("podman"):
        if command_of(pid) in ("podman", "/usr/bin/podman"):
            end_process(pid)

"""Container engines for the tests' hosts: images and containers in the test's own directory, with a tiny image imported from a
root made of busybox. An engine has `calls` (a file with what it was asked), run(words) and image(name, changes)."""
import os
import pathlib
import shlex
import shutil
import subprocess

import pytest

from envkit import places, tools
from helpers import command_of, end_process

SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"  # /usr/local/bin is the host's own
CONF = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
"""


def need(*programs):
    for program in programs:
        if not shutil.which(program, path=SYSTEM):
            pytest.skip(f"{program} is not installed here (scripts/install-deps test)")
    if not pathlib.Path("/bin/busybox").exists():
        pytest.skip("busybox-static is not installed here")


def python_files():
    """The system's Python for an image, as {path: file here}, and what programs need that were built for its C library."""
    program = pathlib.Path(os.path.realpath("/usr/bin/python3"))
    library = pathlib.Path(f"/usr/lib/{program.name}")
    left_out = {"__pycache__", "test", "idlelib", "lib2to3", "tkinter", "dist-packages"}
    paths = [program] + [path for path in library.rglob("*") if path.is_file() and not left_out & set(path.parts)]
    found = {str(path).lstrip("/"): path for path in paths}
    found["usr/bin/python3"] = program
    linked = [str(path) for path in paths if path == program or path.suffix == ".so"] + [str(tools.uv())]
    for line in subprocess.run(["ldd", *linked], capture_output=True, text=True, check=False).stdout.splitlines():
        for word in line.split():
            if word.startswith("/") and ".so" in word and not word.endswith(":"):
                found[word.lstrip("/")] = pathlib.Path(word)
    return found


def make_root(directory, files=None):
    """A root directory of busybox, with more files ({path: text, or a file of this machine})."""
    root = pathlib.Path(directory)
    for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "root"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    for applet in ("sh", "cat", "echo", "env", "id", "ls", "pwd", "sleep", "test", "true", "false", "mkdir", "rm", "grep", "head", "tail", "find", "cut", "chmod",
                   "uname", "hostname", "touch", "wc", "printf", "seq", "kill", "ps", "stat", "dd", "sed", "tr", "cp", "mv", "ln"):
        if not (root / "bin" / applet).is_symlink():
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    for path, text in (files or {}).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, pathlib.Path):
            shutil.copyfile(text, target)
        else:
            target.write_text(text)
        target.chmod(0o755)
    return root


def make_archive(directory, files=None):
    """The same as an archive that `podman import` takes."""
    directory = pathlib.Path(directory)
    root = make_root(directory / "image-root", files)
    archive = directory / "image.tar"
    subprocess.run(["tar", "-C", str(root), "--owner=0", "--group=0", "--numeric-owner", "-c", "-f", str(archive), "."], check=True)
    shutil.rmtree(root)
    return archive


class Engine:
    """What podman and docker have in common. user: (name, uid) of an ordinary user whose jobs they run."""

    def __init__(self, host, name, user=None):
        self.host, self.user, self.dir = host, user, host.dir / name
        self.dir.mkdir()
        self.calls = self.dir / "calls"
        self.calls.touch()
        self.calls.chmod(0o666)

    def program(self, name, lines):
        """On the host's PATH: writes down what it was asked, then these lines."""
        self.host.world.program(name, f'#!/bin/sh\necho "$*" >>{self.calls}\n' + lines, self.host.local_bin)

    def run(self, *words):
        raise NotImplementedError

    def image(self, name, changes=(), files=None):
        """An image of busybox; changes: lines of a Dockerfile."""
        archive = make_archive(self.dir, files)
        archive.chmod(0o644)
        words = [word for change in changes for word in ("--change", change)]
        done = self.run("import", *words, str(archive), name)
        if done.returncode:
            said = (done.stderr + done.stdout).strip().splitlines()
            pytest.skip(f"{type(self).__name__.lower()} does not work here: {said[-1] if said else 'no word'}")

    def containers(self):
        return self.run("ps", "--all", "--format", "{{.Names}}").stdout.split()


class Podman(Engine):
    """Keeps everything below the host's own directory."""

    def __init__(self, host, user=None):
        need("podman", "runc")
        super().__init__(host, "podman", user)
        (self.dir / "containers.conf").write_text(CONF)
        driver = 'driver = "vfs"' if user else 'driver = "overlay"'
        (self.dir / "storage.conf").write_text(f'[storage]\n{driver}\nrunroot = "{self.dir}/run"\ngraphroot = "{self.dir}/storage"\n'
                                               f'rootless_storage_path = "{self.dir}/storage"\n')
        self.program("podman", f"export CONTAINERS_CONF={self.dir}/containers.conf CONTAINERS_STORAGE_CONF={self.dir}/storage.conf\n"
                     'exec /usr/bin/podman "$@"\n')
        # Not the machine's own docker, should it have one.
        self.program("docker", "echo 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
        if user:
            for path in [self.dir] + sorted(self.dir.rglob("*")):
                os.chown(path, user[1], user[1])
        self.image("tiny:1")

    def run(self, *words):
        line = shlex.join(["/usr/local/bin/podman", *words])
        if self.user:
            line = f"cd / && HOME=/home/{self.user[0]} setpriv --reuid {self.user[1]} --regid {self.user[1]} --init-groups {line}"
        return self.host.try_sh(line)

    def close(self):
        """An ordinary user's podman leaves a process that keeps its namespaces; it is no one's job."""
        for pid in self.host.find("podman"):
            if command_of(pid) in ("podman", "/usr/bin/podman"):
                end_process(pid)


ORDINARY = (places.USER, places.UID)

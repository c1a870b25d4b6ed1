"""docker for the tests' hosts: a daemon of the host's own. It is the first process of a process namespace, so that with it
ends all that it started: containerd, shims, containers."""
import os
import pathlib
import shlex
import socket
import subprocess

import pytest

from envkit.containers import SYSTEM, Engine, need
from helpers import end_process, is_alive, until

CGROUPS = pathlib.Path("/sys/fs/cgroup")


class Docker(Engine):
    """apart: nothing on the host sees the processes of the containers, as when the daemon is in a virtual machine."""

    def __init__(self, host, user=None, apart=False, options=()):
        need("dockerd", "docker")
        super().__init__(host, "docker", user)
        self.apart, self.options = apart, options
        self.socket, self.log = self.dir / "socket", self.dir / "log"
        self.group = f"errand-test-{os.getpid()}-{host.init}"
        self.env = {"PATH": SYSTEM, "HOME": "/root", "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.dir / "config")}
        self.program("docker", f"export DOCKER_HOST=unix://{self.socket} DOCKER_CONFIG={self.dir}/config\n"
                     'exec /usr/bin/docker "$@"\n')
        self.start()
        self.image("tiny:1")

    def start(self):
        words = ["dockerd", "--data-root", f"{self.dir}/data", "--exec-root", f"{self.dir}/run", "--pidfile", f"{self.dir}/pid",
                 "--host", f"unix://{self.socket}", "--iptables=false", "--ip6tables=false", "--bridge=none",
                 "--storage-driver=vfs", "--exec-opt", "native.cgroupdriver=cgroupfs", f"--cgroup-parent=/{self.group}", *self.options]
        # It has no options for some of the places it writes to: /run and /etc/docker are its own.
        lines = ["mount -t proc proc /proc", "mount -t tmpfs -o mode=0755 tmpfs /run", "mkdir -p /etc/docker",
                 "mount -t tmpfs tmpfs /etc/docker", f"exec {shlex.join(words)} >>{shlex.quote(str(self.log))} 2>&1"]
        self.popen = subprocess.Popen(["nsenter", "-t", str(self.host.init), "-m", "-u", *([] if self.apart else ["-p"]), "--",
                                       "unshare", "-m", "-p", "-f", "--kill-child", "sh", "-ec", "\n".join(lines)],
                                      env=self.env, stdin=subprocess.DEVNULL, start_new_session=True)
        until(lambda: self.answers() or self.popen.poll() is not None, 20, lambda: f"dockerd: {self.log.read_text()[-500:]}")
        if self.popen.poll() is not None:
            pytest.skip(f"dockerd does not start here: {(self.log.read_text().strip().splitlines() or ['no word'])[-1]}")
        if self.user:
            os.chown(self.socket, 0, self.user[1])
            self.socket.chmod(0o660)

    def answers(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            try:
                s.connect(str(self.socket))
                s.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in s.recv(100)
            except OSError:
                return False

    def run(self, *words):
        return subprocess.run(["/usr/bin/docker", *words], env=self.env, capture_output=True, text=True, check=False, timeout=60)

    def hide(self, hidden=True):
        """Nobody on the host can speak to the daemon; it and its containers go on."""
        away = self.socket.with_name("away")
        os.rename(*((self.socket, away) if hidden else (away, self.socket)))

    def stop(self):
        """As a power cut: nobody is asked."""
        # nsenter has a child in the other namespace, which is the one to end; or became it.
        children = pathlib.Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
        ours = int(children[0]) if children and not self.apart else self.popen.pid
        end_process(ours)
        self.popen.wait()
        until(lambda: not is_alive(ours), 10, "dockerd to end")

    def close(self):
        if self.popen.poll() is None:
            self.stop()
        for group in [*CGROUPS.glob(self.group), *CGROUPS.glob(f"*/{self.group}")]:
            for path in sorted((p for p in group.rglob("*") if p.is_dir()), reverse=True):
                until(lambda path=path: _removed(path), 10, f"{path} to be empty")
            until(lambda group=group: _removed(group), 10, f"{group} to be empty")


def _removed(path):
    try:
        path.rmdir()
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True

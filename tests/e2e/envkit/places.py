"""Hosts of special kinds, on top of hosts.SshHost: an ordinary user's, one without a network, one with programs."""
import ctypes
import os
import pathlib
import shlex
import socket
import threading

from envkit import tools
from helpers import until
from hosts import Proxy

USER, UID = "ordinary", 61234
CLONE_NEWNET = 0x40000000


def with_uv(host):
    """uv is on the host's PATH."""
    tools.link(tools.uv(), host.local_bin)
    return host


def with_pip_only(make_host):
    """A host where uv cannot be had: venv and pip do it. Its home is in memory: a venv with pip is a thousand files."""
    return make_host(more="SetEnv ERRAND_UV=none", home="1g")


def without(host, *programs):
    """Those programs are not on the host (an empty file that nobody may execute lies over each)."""
    hidden = host.dir / "hidden"
    hidden.touch()
    hidden.chmod(0)
    for program in programs:
        for path in sorted({os.path.realpath(found) for found in host.sh(f"command -v -p {program} || :").split()}):
            host.sh(f"mount --bind {shlex.quote(str(hidden))} {shlex.quote(path)}")
    return host


def user_lines(directory):
    """Lines of shell that give a host an ordinary user with a home, and subordinate ids for containers."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    lines = ["mount -t tmpfs -o mode=0755 tmpfs /home", f"mkdir /home/{USER}",
             # A user's own containers may mount /proc only where one is to be seen that nothing lies over (boot_id does).
             "mkdir /tmp/.proc", "mount -t proc proc /tmp/.proc"]
    home = directory / "home"
    home.mkdir(exist_ok=True)
    os.chown(home, UID, UID)
    lines.append(f"mount --bind {shlex.quote(str(home))} /home/{USER}")
    for name, line in (("passwd", f"{USER}:x:{UID}:{UID}::/home/{USER}:/bin/sh\n"), ("group", f"{USER}:x:{UID}:\n"),
                       ("subuid", f"{USER}:1000000:65536\n"), ("subgid", f"{USER}:1000000:65536\n")):
        system = pathlib.Path("/etc") / name
        if not system.exists():
            continue
        (directory / name).write_text(system.read_text() + line)
        lines.append(f"mount --bind {shlex.quote(str(directory / name))} {system}")
    return "\n".join(lines)


def make_ordinary(make_host, errand, name="plain", first="", before="", **options):
    """A host on which ssh ends at an ordinary user: no root, no sudo. first: lines of shell before the user is there."""
    host = make_host(name, before=f"{first}\n{user_lines(errand.base / f'user-{name}')}\n{before}", **options)
    host.user_home = errand.base / f"user-{name}" / "home"
    # In ssh's configuration the first word wins, and the general `User root` comes last.
    with open(errand.ssh_config, "a") as file:
        file.write(f"Host {name}\n  User {USER}\n")
    return host


class InnerProxy(Proxy):
    """A proxy whose connections are made in another network namespace."""

    def __init__(self, to, pid):
        self.namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        self.libc = ctypes.CDLL(None, use_errno=True)
        super().__init__(to)

    def _accept(self):
        # This thread lives in the other namespace; the listener it was given belongs to ours.
        if self.libc.setns(self.namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        super()._accept()

    def close(self):
        super().close()
        os.close(self.namespace)


def make_isolated(make_host, errand, name="island", before="", **options):
    """A host without a way out: a network namespace with nothing but its own loopback. ssh reaches it through a proxy that
    stands in both; not even the tests' index on 127.0.0.1 is there."""
    q = shlex.quote
    directory = errand.base / f"host-{name}"
    inner = f"ip link set lo up && exec /usr/sbin/sshd -D -E {q(str(directory / 'sshd.log'))} -f {q(str(directory / 'sshd_config'))}"
    host = make_host(name, before=f"{before or ':'}\nexec unshare -n sh -ec {q(inner)}", **options)
    proxy = InnerProxy((host.address, host.port), host.init)
    errand.proxies.append(proxy)
    host.relay = proxy
    text = errand.ssh_config.read_text()  # the host's own port answers only inside
    errand.ssh_config.write_text(text.replace(f"HostName {host.address}\n  Port {host.port}\n", f"HostName {host.address}\n  Port {proxy.port}\n"))
    return host


def reachable(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def in_thread(call):
    """Runs call() beside the test and gives a function that waits for what it gave."""
    box = {}

    def work():
        try:
            box["value"] = call()
        except BaseException as error:  # the test shall see it
            box["error"] = error
    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def result(timeout=60):
        until(lambda: not thread.is_alive(), timeout, "the other thread")
        if "error" in box:
            raise box["error"]
        return box["value"]
    return result

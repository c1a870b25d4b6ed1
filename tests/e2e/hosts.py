"""Hosts for the tests: a real sshd as init of its own namespaces, with a home, /tmp and /dev/shm of its own. Ending its
init is a power cut; starting it again with another boot id is a reboot. And a proxy that can cut, freeze and count."""
import os
import pathlib
import shlex
import shutil
import socket
import struct
import subprocess
import threading
import uuid

from helpers import command_of, end_process, is_alive, pid_namespace, pids, until

SSHD_CONFIG = """Port {port}
ListenAddress {address}
HostKey {key}
AuthorizedKeysFile {authorized}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
UseDNS no
Subsystem sftp internal-sftp
{limits}
{more}
"""
WIDE = "MaxSessions 100\nMaxStartups 200:30:400"
DEFAULTS = ""  # sshd's own: MaxSessions 10, MaxStartups 10:30:100


def free_port(address):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, 0))
        return s.getsockname()[1]


class SshHost:
    """
    limits   lines of sshd_config: WIDE, or DEFAULTS for what sshd does by itself
    home     "plain", "ro", "noexec" or a size for a tmpfs ("8m"): what lies on /root there
    before   lines of shell run as root in the namespaces before sshd starts
    busybox  a root with nothing but busybox
    """

    def __init__(self, world, name, keys, number, limits=WIDE, home="plain", before="", busybox=False, authorized=True,
                 known=True, more="", programs=None):
        self.world, self.name, self.keys = world, name, keys
        self.address = f"127.0.1.{number}"
        self.dir = world.base / f"host-{name}"
        self.home = self.dir / "root"
        self.home.mkdir(parents=True)
        self.local_bin = self.dir / "local-bin"  # lies on /usr/local/bin there: for a fake nvidia-smi
        self.local_bin.mkdir()
        for program, text in (programs or {}).items():
            world.program(program, text, self.local_bin)
        self.limits, self.home_kind, self.before, self.busybox, self.more = limits, home, before, busybox, more
        self.authorized = self.dir / "authorized_keys"
        self.authorized.write_bytes((keys / "client.pub").read_bytes() if authorized else b"")
        self.key = keys / f"host{number % 3}"
        self.boot_id = self.dir / "boot_id"
        self.popen = None
        self.port = free_port(self.address)
        if busybox:
            self._make_busybox()
        self.start()
        if known:
            self.trust(world.known_hosts)
        self.alias(name, self.port)

    @property
    def target(self):
        return f"root@{self.address}:{self.port}"

    def alias(self, name, port):
        with open(self.world.ssh_config, "a") as file:
            file.write(f"Host {name}\n  HostName {self.address}\n  Port {port}\n  HostKeyAlias [{self.address}]:{self.port}\n")

    def trust(self, known_hosts, key=None):
        public = (key or self.key).with_suffix(".pub").read_text().split()[:2]
        with open(known_hosts, "a") as file:
            file.write(f"[{self.address}]:{self.port} {' '.join(public)}\n")

    def _make_busybox(self):
        """A root directory with busybox and nothing else; sessions are put into it by sshd's ChrootDirectory."""
        root = self.root = self.dir / "busybox"
        for name in ("bin", "dev/shm", "etc", "proc", "root", "tmp"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for path in (self.dir, root):
            path.chmod(0o755)
        shutil.copy("/bin/busybox", root / "bin" / "busybox")
        for applet in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        (self.dir / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nsshd:x:105:65534::/run/sshd:/bin/false\n")
        shutil.copy(self.dir / "passwd", root / "etc" / "passwd")

    def start(self):
        config = self.dir / "sshd_config"
        more = self.more + (f"\nChrootDirectory /mnt\nSetEnv PATH=/bin" if self.busybox else "")
        config.write_text(SSHD_CONFIG.format(port=self.port, address=self.address, key=self.key, authorized=self.authorized,
                                             limits=self.limits, more=more))
        self.boot_id.write_text(str(uuid.uuid4()) + "\n")
        with open(self.dir / "sshd.log", "a") as log:
            log.write("--- reboot ---\n")  # what an earlier sshd said is not this one's word
        q = shlex.quote
        lines = ["mount --make-rprivate /", "mount -t proc proc /proc",
                 f"mount --bind {q(str(self.boot_id))} /proc/sys/kernel/random/boot_id",
                 "mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts /dev/pts",
                 "mount -t tmpfs tmpfs /dev/shm", "mount -t tmpfs tmpfs /tmp",
                 f"mount --bind {q(str(self.local_bin))} /usr/local/bin"]
        home = "/root"
        if self.busybox:
            home = "/mnt/root"  # sshd wants no directory above a chroot that others may write to
            lines += [f"mount --bind {q(str(self.dir / 'passwd'))} /etc/passwd", f"mount --bind {q(str(self.root))} /mnt",
                      "mount --rbind /proc /mnt/proc", "mount --rbind /dev /mnt/dev"]
        if self.home_kind == "plain":
            lines.append(f"mount --bind {q(str(self.home))} {q(home)}")
        elif self.home_kind in ("ro", "noexec"):
            lines += [f"mount --bind {q(str(self.home))} {q(home)}", f"mount -o remount,bind,{self.home_kind} {q(home)}"]
        else:
            lines.append(f"mount -t tmpfs -o size={self.home_kind} tmpfs {q(home)}")
        # Where sshd goes without rights, and it must be root's. Nothing in /run belongs to the root of a user namespace.
        sshd_dir = ("mkdir -p /run/sshd 2>/dev/null && [ $(stat -c %u /run/sshd) = 0 ] || "
                    "{ mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/sshd; }")
        lines += [f"hostname {q(self.name)}", sshd_dir, self.before or ":",
                  f"exec /usr/sbin/sshd -D -E {q(str(self.dir / 'sshd.log'))} -f {q(str(config))}"]
        # The tests' own environment must not reach the host; the process is known by its namespace.
        self.popen = subprocess.Popen(["unshare", "-m", "-p", "-u", "-f", "--kill-child", "/bin/sh", "-ec", "\n".join(lines)],
                                      env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}, stdin=subprocess.DEVNULL,
                                      start_new_session=True)
        until(self._listens, 20, lambda: f"sshd of {self.name}: {self.log()[-500:]}")
        self.init = until(self._find_init, 5, "init of the host")
        self.namespace = pid_namespace(self.init)

    def log(self):
        try:
            return (self.dir / "sshd.log").read_text(errors="replace")
        except OSError:
            return ""

    def _listens(self):
        assert self.popen.poll() is None, f"the host {self.name} did not start: {self.log()}"
        return f"Server listening on {self.address} port {self.port}" in self.log().rpartition("--- reboot ---")[2]

    def _find_init(self):
        children = pathlib.Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def power_cut(self):
        """Everything on the host ends at this moment."""
        self.popen.kill()
        self.popen.wait()
        until(lambda: not self.processes(), 10, "the host's processes to be gone")

    def reboot(self):
        self.power_cut()
        self.start()

    def processes(self):
        """Pids (ours) of every process on the host but sshd itself as init."""
        return [pid for pid in pids() if pid != self.init and pid_namespace(pid) == self.namespace and is_alive(pid)]

    def jobs(self):
        """The processes that are not sshd's."""
        return [pid for pid in self.processes() if not command_of(pid).startswith("sshd")]

    def find(self, text):
        """Pids of processes there whose command line holds the text."""
        return [pid for pid in self.processes() if text in command_of(pid)]

    def sessions(self):
        """Pids of sshd's processes of open connections."""
        return [pid for pid in self.processes() if command_of(pid).startswith("sshd")]

    def cut(self):
        """Ends every connection; the host goes on."""
        for pid in self.sessions():
            end_process(pid)

    def try_sh(self, line):
        """A shell line as root in the host's namespaces."""
        return subprocess.run(["nsenter", "-t", str(self.init), "-m", "-p", "-u", "sh", "-c", line], capture_output=True, text=True,
                              env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}, check=False, timeout=60)

    def sh(self, line, check=True):
        """The same, which should work; what it said."""
        done = self.try_sh(line)
        if check:
            assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    def proxy(self, alias=None):
        """The host once more, under another name, through a proxy."""
        proxy = Proxy((self.address, self.port))
        self.world.proxies.append(proxy)
        proxy.name = alias or f"{self.name}-proxy"
        self.alias(proxy.name, proxy.port)
        return proxy

    def close(self):
        """Powers it off; gives complaints about processes that nobody needs any more (connections have been ended)."""
        complaints = []
        if self.popen.poll() is None:
            left = []

            def quiet():
                left[:] = [f"{pid}: {command_of(pid)}" for pid in self.processes()]
                return not left
            try:
                until(quiet, 10)
            except AssertionError:
                complaints.append(f"processes left on {self.name}:\n  " + "\n  ".join(left))
            self.power_cut()
        return complaints


class Proxy:
    """A TCP proxy: cut() resets every connection, freeze() is silence (nothing moves, nothing closes), refuse() takes no
    new connection, cut_after(n) cuts once n bytes went to (or, up=False, came from) the host."""

    def __init__(self, to):
        self.to = to
        self.address = to[0]
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.address, 0))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.pairs, self.counts, self.limit = set(), {True: 0, False: 0}, None
        self.flowing, self.accepting, self.closed, self.connections, self.cuts = threading.Event(), True, False, 0, 0
        self.flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if not self.accepting or self.closed:
                self._reset(client)
                continue
            try:
                server = socket.create_connection(self.to)
            except OSError:
                self._reset(client)
                continue
            with self.lock:
                self.connections += 1
                self.pairs.add((client, server))
            for args in ((client, server, True), (server, client, False)):
                args[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(*args, (client, server)), daemon=True).start()

    def _pump(self, source, sink, up, pair):
        try:
            while True:
                data = source.recv(1 << 16)
                self.flowing.wait()
                if not data:
                    break
                with self.lock:
                    self.counts[up] += len(data)
                    cut = self.limit and self.limit[0] == up and self.counts[up] >= self.limit[1]
                    if cut:
                        self.limit = None
                if cut:
                    self.cut()
                    return
                sink.sendall(data)
        except OSError:
            pass
        self._end(pair)

    @staticmethod
    def _reset(s):
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()

    def _end(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for s in pair:
            self._reset(s)

    def cut(self):
        with self.lock:
            pairs = list(self.pairs)
            self.cuts += 1
        for pair in pairs:
            self._end(pair)

    def cut_after(self, count, up=True):
        with self.lock:
            self.counts[up] = 0
            self.limit = (up, count)

    def was_cut(self):
        return self.limit is None and self.cuts > 0

    def freeze(self):
        self.flowing.clear()

    def thaw(self):
        self.flowing.set()

    def refuse(self):
        self.accepting = False

    def accept(self):
        self.accepting = True

    def close(self):
        self.closed = True
        self.listener.close()
        self.flowing.set()
        self.cut()


def make_keys(path):
    path.mkdir(parents=True)
    for name in ("client", "host0", "host1", "host2", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path / name)], check=True)
    return path


"""What the end-to-end tests stand on: waiting for a condition, processes and what is left of them, the user's world."""
import ctypes
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("ERRAND_PROGRAM", TOP / "build" / "errand")).resolve()
PATIENCE = float(os.environ.get("ERRAND_TEST_PATIENCE", "1"))  # a slow machine (or ASan) says 3


def until(condition, timeout=20, what="the condition"):
    """Polls until condition() is true and returns what it gave. This is how tests wait: for a fact, never for a time."""
    end = time.monotonic() + timeout * PATIENCE
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout * PATIENCE:.0f} s for {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


CLONE_NEWNS, MS_PRIVATE_REC = 0x00020000, 0x40000 | 0x4000
_libc = ctypes.CDLL(None, use_errno=True)


def may_unshare():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "-p", "-u", "-f", "true"], capture_output=True).returncode == 0


def is_root_of_the_machine():
    """Not that of a user namespace, who may neither make devices nor write to what belongs to the machine's root."""
    return os.geteuid() == 0 and pathlib.Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def own_shm():
    """Gives this process (one worker of xdist) a /dev/shm of its own: the slots of `local` are counted there, and the
    tests beside this one must not take them."""
    if os.geteuid() != 0 or _libc.unshare(CLONE_NEWNS) != 0:
        return
    if _libc.mount(None, b"/", None, MS_PRIVATE_REC, None) == 0:
        _libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, None)


# --- processes -------------------------------------------------------------------------------------------------------

def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def read_proc(pid, name):
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def is_alive(pid):
    """Not gone, and not a zombie."""
    stat = read_proc(pid, "stat")
    return bool(stat) and stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def command_of(pid):
    return read_proc(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def is_master(pid):
    """An ssh that keeps a connection warm: meant to stay for a while."""
    line = read_proc(pid, "cmdline")  # -W: the way through a jump host, which ends with the connection it carries
    return read_proc(pid, "comm").strip() == b"ssh" and (b"[mux]" in line or b"\0-fNM\0" in line or b"\0-W\0" in line)


def pid_namespace(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def end_process(pid, sig=signal.SIGKILL):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


class Result:
    def __init__(self, args, rc, out, err, seconds):
        self.args, self.rc, self.out, self.err, self.seconds = args, rc, out, err, seconds

    @property
    def text(self):
        return self.out.decode(errors="replace")

    @property
    def said(self):
        return self.err.decode(errors="replace")

    def json(self):
        return json.loads(self.out)

    def ok(self, rc=0):
        assert self.rc == rc, f"exit status {self.rc}, not {rc}: {self}"
        return self

    def __repr__(self):
        def short(data):
            return data if len(data) <= 4000 else data[:2000] + b" ... " + data[-2000:]
        return f"{' '.join(map(str, self.args))}\nstdout: {short(self.out)!r}\nstderr: {short(self.err)!r}"


class Proc:
    """A started program whose output is read as it comes."""

    def __init__(self, args, popen, streams):
        self.args, self.popen, self.begin, self.hung_up = args, popen, time.monotonic(), False
        self.data = {name: bytearray() for name in streams}
        self.threads = [threading.Thread(target=self._read, args=(name, fd), daemon=True) for name, fd in streams.items()]
        for thread in self.threads:
            thread.start()

    def _read(self, name, fd):
        while True:
            try:
                # Not blocked in read(): that would keep a terminal open that hang_up() wants closed.
                while not select.select([fd], [], [], 0.05)[0]:
                    if self.hung_up:
                        break
                chunk = b"" if self.hung_up else os.read(fd, 1 << 16)
            except OSError:  # a terminal whose other end is gone
                chunk = b""
            if not chunk:
                os.close(fd)
                return
            self.data[name] += chunk

    @property
    def pid(self):
        return self.popen.pid

    @property
    def out(self):
        return bytes(self.data["out"])

    @property
    def err(self):
        return bytes(self.data.get("err", b""))

    def running(self):
        return self.popen.poll() is None

    def wait_for(self, text, stream="out", timeout=20):
        """Until the output holds these bytes (or matches this compiled expression)."""
        def there():
            data = bytes(self.data[stream])
            return text.search(data) if isinstance(text, re.Pattern) else text in data
        found = None

        def look():
            nonlocal found
            found = there()
            return found or not self.running()
        until(look, timeout, lambda: f"{text!r} from {self}")
        if not found:
            for thread in self.threads:
                thread.join(2)
            found = there()
        assert found, f"ended without {text!r}: {self}"
        return found

    def hang_up(self):
        """Closes the terminal the program runs in."""
        self.hung_up = True
        for thread in self.threads:
            thread.join(5)

    def signal(self, sig):
        self.popen.send_signal(sig)

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def wait(self, timeout=60):
        try:
            self.popen.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {timeout * PATIENCE:.0f} s: {self}") from None
        for thread in self.threads:
            thread.join(0.5)  # a background process may keep the pipe open: what is there is enough
        return Result(self.args, self.popen.returncode, self.out, self.err, time.monotonic() - self.begin)

    def __repr__(self):
        return f"{' '.join(map(str, self.args))}\nstdout: {self.out[-2000:]!r}\nstderr: {self.err[-2000:]!r}"


class World:
    """One user's own world: a home, a state directory, a PATH, ssh's configuration. Calling it runs errand."""

    def __init__(self, base, keys):
        self.base = pathlib.Path(base)
        self.home = self.base / "home"
        self.state = self.home / ".local" / "state" / "errand"  # where it is when nobody says otherwise
        self.root = self.home / ".errand"  # of this machine as a host
        self.bin = self.base / "bin"
        for path in (self.home / ".ssh", self.bin, self.base / "run"):
            path.mkdir(parents=True, mode=0o700)
        (self.home / ".ssh").chmod(0o700)
        self.ssh_config = self.home / ".ssh" / "config"
        self.known_hosts = self.home / ".ssh" / "known_hosts"
        shutil.copy(keys / "client", self.home / ".ssh" / "id_ed25519")
        shutil.copy(keys / "client.pub", self.home / ".ssh" / "id_ed25519.pub")
        self.known_hosts.touch()
        self.ssh_config.touch()
        # ssh takes its user's home from passwd, not from $HOME: the first `ssh` on PATH tells it where our files are.
        # Our own general settings come last: in ssh's configuration the first word wins.
        (self.base / "ssh_config").write_text(
            f"Include {self.ssh_config}\nHost *\n  User root\n  IdentityFile {self.home}/.ssh/id_ed25519\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n")
        self.program("ssh", f'#!/bin/sh\nexec /usr/bin/ssh -F {self.base}/ssh_config "$@"\n')
        self.env = {
            "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.base / "run"), "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LANG": "C.UTF-8", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh", "TERM": "xterm-256color",
            "E2E_WORLD": str(self.base), "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.procs, self.hosts, self.proxies = [], [], []
        self.cwd = self.project("work")

    def program(self, name, text, where=None):
        """A small program on this world's PATH."""
        path = (where or self.bin) / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def project(self, name, files=None):
        """A directory with files ({path: text or bytes})."""
        path = self.home / name
        path.mkdir(parents=True, exist_ok=True)
        for file, content in (files or {}).items():
            target = path / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    # -- running errand
    def _args(self, args):
        return [str(PROGRAM)] + [a if isinstance(a, bytes) else str(a) for a in args]

    def __call__(self, *args, stdin=b"", cwd=None, env=None, timeout=60):
        begin = time.monotonic()
        try:
            # Files, not pipes: a process errand leaves behind on purpose must not hold up the reader.
            with tempfile.TemporaryFile(dir=self.base) as out, tempfile.TemporaryFile(dir=self.base) as err:
                done = subprocess.run(self._args(args), input=stdin, stdout=out, stderr=err, cwd=cwd or self.cwd,
                                      env={**self.env, **(env or {})}, timeout=timeout * PATIENCE, check=False)
                out.seek(0), err.seek(0)
                return Result(args, done.returncode, out.read(), err.read(), time.monotonic() - begin)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"errand {args} still runs after {timeout * PATIENCE:.0f} s") from None

    def start(self, *args, cwd=None, env=None, argv=None, stdin=subprocess.DEVNULL, **more):
        """Starts errand (or argv) and comes back at once."""
        out_r, out_w = os.pipe()
        err_r, err_w = os.pipe()
        argv = argv or self._args(args)
        popen = subprocess.Popen(argv, stdin=stdin, stdout=out_w, stderr=err_w, cwd=cwd or self.cwd,
                                 env={**self.env, **(env or {})}, **more)
        os.close(out_w), os.close(err_w)
        proc = Proc(args or argv, popen, {"out": out_r, "err": err_r})
        self.procs.append(proc)
        return proc

    def start_tty(self, *args, cwd=None, env=None, argv=None, columns=100, lines=30):
        """The same with a terminal: stdin, stdout and stderr are one, as the controlling terminal of a new session."""
        import fcntl
        import struct
        import termios
        main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        argv = argv or self._args(args)

        def child():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        popen = subprocess.Popen(argv, stdin=side, stdout=side, stderr=side, cwd=cwd or self.cwd,
                                 env={**self.env, **(env or {})}, preexec_fn=child)
        os.close(side)
        proc = Proc(args or argv, popen, {"out": main})
        proc.terminal = main
        self.procs.append(proc)
        return proc

    # -- what errand knows
    def jobs(self, *args, **more):
        return self("jobs", "--all", "--json", *args, **more).ok().json()

    def job(self, name=None):
        """The row of a job in `errand jobs` (the latest without a name)."""
        rows = self.jobs()
        if name is None:
            return rows[0]
        return next(row for row in rows if row["job"] == name)

    def wait_state(self, *states, name=None, timeout=30):
        seen = []

        def look():
            rows = self.jobs()
            row = next((r for r in rows if name in (None, r["job"])), None)
            seen[:] = [row]
            return row and row["state"] in states and row
        return until(look, timeout, lambda: f"state {states}; it is {seen}")

    def results(self, job, project=None):
        return pathlib.Path(project or self.cwd) / "results" / job

    # -- what is left
    def processes(self):
        """Every process of this world on this machine (the hosts' are theirs), by its environment or its directory."""
        mark = str(self.base).encode()
        ours = pid_namespace("self")
        found = []
        for pid in pids():
            if pid == os.getpid() or pid_namespace(pid) != ours:
                continue
            if (mark + b"/" in read_proc(pid, "environ") + b"/" or mark in read_proc(pid, "cmdline")) and is_alive(pid):
                if read_proc(pid, "comm").strip() != b"unshare":
                    found.append(pid)
        return found

    def end_masters(self):
        for pid in self.processes():
            if is_master(pid):
                end_process(pid, signal.SIGTERM)

    def leftovers(self):
        return [f"{pid}: {command_of(pid)}" for pid in self.processes() if not is_master(pid)]

    def close(self):
        """Ends everything and gives a list of complaints: processes that should not have been there any more."""
        complaints = []
        for proc in self.procs:
            if proc.running():
                proc.kill()
        for proxy in self.proxies:
            proxy.thaw()
        left = []

        def gone():
            left[:] = self.leftovers()
            return not left
        try:
            until(gone, 8)
        except AssertionError:
            complaints.append("processes left here:\n  " + "\n  ".join(left))
        self.end_masters()
        for host in self.hosts:
            complaints += host.close()
        for proxy in self.proxies:
            proxy.close()
        until(lambda: not [end_process(pid) for pid in self.processes()], 10, "the processes of the world to die")
        return complaints

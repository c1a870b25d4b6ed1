"""Talks to errand-agent over a local pipe, frame by frame: its own small codec, so that the two sides are checked against
PROTOCOL.md and not against each other."""
import hashlib
import itertools
import os
import pathlib
import re
import select
import signal
import struct
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
MACHINE = os.uname().machine


def numbers(header, prefix):
    text = (SOURCE / "src/proto" / header).read_text()
    return {name: int(value) for name, value in re.findall(rf"\b{prefix}(\w+) = (\d+)", text)}


F = numbers("wire.h", "ER_F_")
T = numbers("wire.h", "ER_T_")
STATE = numbers("wire.h", "ER_STATE_")
END = numbers("wire.h", "ER_END_")
REASON = numbers("wire.h", "ER_REASON_")
CODE = numbers("../base/err.h", "ER_")
F_NAME = {value: name for name, value in F.items()}

S = dict(RUN=1, PROJECT=2, ARG=3, SHELL=4, WORKDIR=5, ENV=6, SECRET=7, OUTPUT=8, HOST=9, CPUS=10, MEMORY=11, GPUS=12,
         TIME_LIMIT=13, GRACE=14, RETRIES=15, SYNC=16, TREE=17, NO_GPUS=19)

TEXT = {"BUILD", "BOOT_ID", "HOSTNAME", "ROOT", "MESSAGE", "HINT", "KEY", "DETAIL", "PROJECT", "NAME", "ARCH", "KERNEL", "ABSENT",
        "USER", "OS", "PROVIDER_CODE", "OWNER"}
RAW = {"DATA", "TREE", "NEED", "PATH", "TARGET", "PATTERN", "GPU", "SPEC"}
T_NAME = {value: name for name, value in T.items()}


def field(tag, value):
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, int):
        value = struct.pack("<q" if value < 0 else "<Q", value)
    elif isinstance(value, str):
        value = os.fsencode(value)
    return struct.pack("<HI", tag, len(value)) + value


def fields(table, items):
    out = b""
    for name, value in items.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is not None:
                out += field(table[name], one)
    return out


def message(**items):
    return fields(T, items)


def frame(type_, id_, payload=b""):
    return struct.pack("<IBBHI", len(payload) + 8, F[type_] if isinstance(type_, str) else type_, 0, 0, id_) + payload


def parse(payload):
    at = 0
    while at < len(payload):
        tag, length = struct.unpack_from("<HI", payload, at)
        at += 6
        assert at + length <= len(payload), "a cut field"
        yield tag, payload[at:at + length]
        at += length


class Answer(dict):
    """Fields by name; each a value, those that repeat in .all(name)."""

    def __init__(self, type_, id_, payload):
        super().__init__()
        self.type, self.id, self.lists = F_NAME.get(type_, type_), id_, {}
        for tag, value in parse(payload):
            name = T_NAME.get(tag, tag)
            if name in TEXT:
                value = value.decode()
            elif name not in RAW and len(value) == 8:
                value = struct.unpack("<Q", value)[0]
            self[name] = value
            self.lists.setdefault(name, []).append(value)

    def all(self, name):
        return self.lists.get(name, [])

    def __repr__(self):
        return f"{self.type}#{self.id}{dict(self)}"


class AgentError(Exception):
    def __init__(self, answer):
        super().__init__(answer.get("MESSAGE"))
        self.code, self.provider_code, self.hint, self.answer = (answer.get("CODE"), answer.get("PROVIDER_CODE"), answer.get("HINT"),
                                                                 answer)


def spec(argv, **items):
    shell = isinstance(argv, str)
    items.setdefault("RUN", "test-1")
    items.setdefault("PROJECT", "test")
    items.setdefault("CPUS", 1)
    items.setdefault("SYNC", 0)
    return fields(S, dict(ARG=[argv] if shell else list(argv), SHELL=int(shell), **items))


def hash64(data):
    h = 0xcbf29ce484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    h ^= h >> 33
    h = h * 0xff51afd7ed558ccd & 0xffffffffffffffff
    h ^= h >> 33
    h = h * 0xc4ceb9fe1a85ec53 & 0xffffffffffffffff
    return h ^ h >> 33


class Tree:
    """A snapshot: {path: bytes}, or ('l', target), or 'd'; a path in `executable` is 0755."""

    def __init__(self, files, executable=()):
        self.entries = []
        for path in sorted(os.fsencode(p) for p in files):
            what = files[os.fsdecode(path)]
            if what == "d":
                kind, mode, size, digest, tail, data = b"d", 0o755, 0, bytes(32), b"", None
            elif isinstance(what, tuple):
                target = os.fsencode(what[1])
                kind, mode, size, digest, tail, data = b"l", 0o644, len(target), bytes(32), target, None
            else:
                mode = 0o755 if os.fsdecode(path) in executable else 0o644
                kind, size, digest, tail, data = b"f", len(what), hashlib.sha256(what).digest(), b"", what
            packed = struct.pack("<cBHIQ", kind, 0, mode, len(path), size) + digest + path + tail
            self.entries.append((path, packed, data))
        self.hash = hashlib.sha256(b"".join(e[1] for e in self.entries)).digest()
        self.checksum = sum(hash64(e[1]) for e in self.entries) & 0xffffffffffffffff


class Agent:
    def __init__(self, program, root, env=None, argv=(), stdin=subprocess.PIPE):
        self.program, self.root, self.env = program, root, env
        self.process = subprocess.Popen([*argv, program, "--root", root, "serve"], stdin=stdin, stdout=subprocess.PIPE,
                                        env=env, start_new_session=True)
        self.buffer, self.ids, self.kept = b"", itertools.count(1), []
        self.hello = None

    def greet(self):
        self.hello = self.call("HELLO", VERSION_MIN=1, VERSION_MAX=1, BUILD="test", NOW=int(time.time() * 1000))
        return self

    def send(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self.process.stdin.fileno(), view):]

    def request(self, type_, **items):
        id_ = next(self.ids)
        self.send(frame(type_, id_, message(**items)))
        return id_

    def read_frame(self, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= 4:
                size = struct.unpack_from("<I", self.buffer)[0] + 4
                if len(self.buffer) >= size:
                    type_, id_ = self.buffer[4], struct.unpack_from("<I", self.buffer, 8)[0]
                    payload, self.buffer = self.buffer[12:size], self.buffer[size:]
                    return Answer(type_, id_, payload)
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"no answer in {timeout} s")
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            if not data:
                raise EOFError("the agent closed the stream")
            self.buffer += data

    def next(self, id_, timeout=30):
        for i, kept in enumerate(self.kept):
            if kept.id == id_:
                return self._checked(self.kept.pop(i))
        while True:
            answer = self.read_frame(timeout)
            if answer.id == id_:
                return self._checked(answer)
            self.kept.append(answer)

    @staticmethod
    def _checked(answer):
        if answer.type == "ERROR":
            raise AgentError(answer)
        return answer

    def call(self, type_, timeout=30, **items):
        return self.next(self.request(type_, **items), timeout)

    def collect(self, id_, timeout=60):
        """All answers up to the closing one."""
        answers = []
        while True:
            answers.append(self.next(id_, timeout))
            if answers[-1].type in ("OK", "END", "PROBE_OK"):
                return answers

    def submit(self, key, argv, attempt=1, secrets=(), **items):
        return self.call("SUBMIT", KEY=key, ATTEMPT=attempt, SPEC=spec(argv, **items), SECRET=list(secrets))

    def watch(self, key, attempt=1, seq=0, offset=0, follow=1):
        return self.request("WATCH", KEY=key, ATTEMPT=attempt, SEQ=seq, OFFSET=offset, FOLLOW=follow)

    def until(self, id_, state, timeout=30):
        """Events of a watch up to one of this state."""
        while True:
            answer = self.next(id_, timeout)
            if answer.type == "EVENT" and answer["STATE"] >= STATE[state]:
                return answer

    def finish(self, id_, timeout=60):
        """(last event, log) of a watch."""
        answers = self.collect(id_, timeout)
        events = [a for a in answers if a.type == "EVENT"]
        log = b"".join(a["DATA"] for a in answers if a.type == "LOG_DATA")
        return events[-1] if events else None, log

    def run(self, key, argv, attempt=1, timeout=60, **items):
        self.submit(key, argv, attempt, **items)
        return self.finish(self.watch(key, attempt), timeout)

    def stat(self, key, attempt=1):
        return self.collect(self.request("STAT", KEY=key, ATTEMPT=attempt))[0]

    def put_tree(self, tree, project="test", base=None, stop_after=None):
        """Returns the (index, offset) pairs that were needed. stop_after: bytes of contents, then nothing more is sent."""
        entries, gone = tree.entries, []
        if base:
            old = {e[0]: e[1] for e in base.entries}
            new = {e[0] for e in entries}
            gone = sorted(p for p in old if p not in new)
            entries = [e for e in entries if old.get(e[0]) != e[1]]
        id_ = self.request("TREE_PUT", PROJECT=project, TREE=tree.hash, COUNT=len(tree.entries), CHECKSUM=tree.checksum,
                           BASE=base.hash if base else None)
        part = b""
        for entry in entries:
            part += entry[1]
            if len(part) > 200000:
                self.send(frame("TREE_PART", id_, message(ENTRIES=part)))
                part = b""
        self.send(frame("TREE_PART", id_, message(ENTRIES=part, GONE=b"".join(struct.pack("<I", len(p)) + p for p in gone))))
        self.send(frame("TREE_END", id_))
        pairs = []
        while True:
            answer = self.next(id_)
            assert answer.type == "NEED", answer
            need = answer.get("NEED", b"")
            pairs += [struct.unpack_from("<IQ", need, i) for i in range(0, len(need), 12)]
            if not answer.get("COUNT"):
                break
        left = stop_after
        for index, offset in pairs:
            data = entries[index][2]
            while offset < len(data):
                piece = data[offset:offset + 65536]
                if left is not None:
                    piece = piece[:left]
                    left -= len(piece)
                    if not piece:
                        return pairs
                self.send(frame("BLOB", id_, message(INDEX=index, OFFSET=offset, DATA=piece)))
                offset += len(piece)
        self.send(frame("BLOB_END", id_))
        assert self.next(id_).type == "OK"
        return pairs

    def close(self):
        if self.process.stdin:
            self.process.stdin.close()
        status = self.process.wait(timeout=20)
        self.process.stdout.close()
        return status

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

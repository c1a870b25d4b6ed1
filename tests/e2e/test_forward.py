"""errand forward: ports of a host on this machine, over real connections that break."""
import os
import re
import signal
import socket
import threading

import pytest

from envkit import places
from envkit.fixtures import island  # noqa: F401
from helpers import is_alive, until
from hosts import DEFAULTS, WIDE

# What a job serves: says what it got and closes; "half" answers only after the other side has said its last word.
SERVER = """
import socket, sys, threading
def serve(client):
    data = b''
    first = client.recv(4)
    if first == b'HALF':
        while chunk := client.recv(65536): data += chunk
        client.sendall(b'%d' % len(data))
    elif first == b'LAST':
        client.sendall(b'bye'); client.shutdown(socket.SHUT_WR)
        while chunk := client.recv(65536): data += chunk
        open('heard', 'w').write(str(len(data)))
    elif first == b'MANY':
        client.sendall(b'x' * 3000000)
    else:
        client.sendall(first)
        while chunk := client.recv(65536): client.sendall(chunk)
    client.close()
s = socket.socket(socket.AF_INET6 if sys.argv[1:] == ['six'] else socket.AF_INET)
s.bind(('::1' if sys.argv[1:] == ['six'] else '127.0.0.1', 0)); s.listen(100)
open('port.tmp', 'w').write(str(s.getsockname()[1]))
import os; os.rename('port.tmp', 'port')
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""


def start_server(errand, host, *words, on=None):
    """Starts the job; gives its port there."""
    errand.project("work", {"server.py": SERVER, "errand.yaml": "pip: none\n"})
    errand.start("run", "--quiet", "--on", on or host.name, "--name", "serve", "--", "python3", "server.py", *words)
    found = until(lambda: list(host.home.glob(".errand/jobs/*/1/work/port")), 30, "the server")
    return int(found[0].read_text()), found[0].parent


def forwarding(errand, *words):
    """Starts errand forward; gives it and the local ports."""
    proc = errand.start("forward", *words)
    count = len(words) - 1
    until(lambda: proc.out.count(b"\n") >= count or not proc.running(), 40, lambda: repr(proc))
    assert proc.running(), proc
    return proc, [int(line.rpartition(":")[2]) for line in proc.out.decode().split()]


def talk(port, data, shut=True, timeout=30):
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.sendall(data)
        if shut:
            s.shutdown(socket.SHUT_WR)
        got = b""
        while chunk := s.recv(65536):
            got += chunk
        return got


def refused(port):
    try:
        assert talk(port, b"ping") == b""
    except ConnectionResetError:
        pass


def end(proc):
    proc.signal(signal.SIGINT)
    return proc.wait().ok()


@pytest.mark.parametrize("limits", [WIDE, DEFAULTS + "AllowTcpForwarding no"], ids=["sshd forwards", "sshd forwards nothing"])
def test_many_connections_and_half_closed_ones(errand, make_host, limits):
    host = make_host("box", limits=limits)
    there, work = start_server(errand, host)
    proc, (here,) = forwarding(errand, "serve", f"{there}:0")
    proc.wait_for(b"port %d of box" % there, stream="err")
    assert here != there
    assert talk(here, b"ping more") == b"ping more"
    assert talk(here, b"HALF" + b"y" * 1000000) == b"1000000"
    assert len(talk(here, b"MANY", shut=False)) == 3000000
    with socket.create_connection(("127.0.0.1", here), 20) as s:  # the other side says its last word first
        s.sendall(b"LAST")
        assert s.recv(10) == b"bye" and s.recv(10) == b""
        if limits != WIDE:  # through ssh's control socket that ends both ways
            s.sendall(b"z" * 5000)
    heard = "0" if limits == WIDE else "5000"
    until(lambda: (work / "heard").exists() and (work / "heard").read_text() == heard, 10, "the last words")
    with places_threads(20, lambda i: talk(here, b"%04d" % i * 5000)) as answers:
        assert answers() == [b"%04d" % i * 5000 for i in range(20)]
    end(proc)
    with pytest.raises(ConnectionRefusedError):
        talk(here, b"ping")
    errand("cancel", "serve").ok()


class places_threads:
    """Runs call(i) for each i at once; what it gave, in order."""

    def __init__(self, count, call):
        self.results = [places.in_thread(lambda i=i: call(i)) for i in range(count)]

    def __enter__(self):
        return lambda: [result(60) for result in self.results]

    def __exit__(self, *_):
        pass


def test_only_the_host_sees_it(errand, island):
    """A host with a network of its own: nothing but the forwarding leads there."""
    there, _ = start_server(errand, island)
    proc, (here,) = forwarding(errand, "serve", str(there))
    assert here == there  # nobody has it on this machine
    assert talk(here, b"ping") == b"ping"
    again, (other,) = forwarding(errand, "island", str(there))  # the same number is taken now: the next one
    assert there < other <= there + 50 and talk(other, b"pong") == b"pong"
    taken = errand("forward", "serve", f"{there}:{here}")
    assert taken.rc == 207 and f"port {here} of this machine is taken" in taken.said
    third, (next_one,) = forwarding(errand, "serve", f"{there}:{here}+")
    assert here < next_one <= here + 50 and talk(next_one, b"more") == b"more"
    end(third)
    refused_one = errand("forward", "-d", "serve", f"{there}:{here}")
    assert f"port {here} of this machine is taken" in refused_one.said and "\\x0a" not in refused_one.said
    end(again)
    # The job's end is the forwarding's.
    errand("cancel", "serve").ok()
    done = proc.wait()
    assert done.rc == 0 and "forwarding ends with it" in done.said


def test_nobody_listens(errand, host):
    port = places_free()
    proc, (here,) = forwarding(errand, "box", f"{port}:0")
    proc.wait_for(b"nothing listens on port", "err")
    refused(here)
    refused(here)
    assert proc.err.count(b"nothing listens on port %d of box" % port) == 1  # said once
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port)), s.listen()
        answer = places.in_thread(lambda: talk(here, b"ping", shut=False))
        client, _ = s.accept()
        client.sendall(client.recv(4)), client.close()
        assert answer() == b"ping"
    end(proc)


def places_free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_on_ipv6_alone(errand, host):
    there, _ = start_server(errand, host, "six")
    proc, (here,) = forwarding(errand, "serve", f"{there}:0")
    assert talk(here, b"ping") == b"ping"
    end(proc)
    errand("cancel", "serve").ok()


def test_the_connection_breaks(errand, host):
    proxy = host.proxy("shaky")
    there, _ = start_server(errand, host, on="shaky")
    proc, (here,) = forwarding(errand, "serve", f"{there}:0")
    assert talk(here, b"ping") == b"ping"
    proxy.accepting = False
    proxy.cut()
    proc.wait_for(b"no contact with shaky", "err", 40)
    waiting = places.in_thread(lambda: talk(here, b"late"))
    proxy.accepting = True
    assert waiting(60) == b"late"  # it waited for the host
    proc.wait_for(b"shaky is back", "err")
    assert talk(here, b"ping") == b"ping"
    end(proc)
    errand("cancel", "serve").ok()


def test_in_the_background(errand, host):
    there, _ = start_server(errand, host)
    done = errand("forward", "-d", "serve", f"{there}:0")
    here = int(done.ok().text.rpartition(":")[2])
    assert talk(here, b"ping") == b"ping"
    pids = [pid for pid in errand.processes() if b"forward" in open(f"/proc/{pid}/cmdline", "rb").read()]
    assert pids
    errand("cancel", "serve").ok()
    until(lambda: not any(is_alive(pid) for pid in pids), 20, "the forwarder to end with its job")


def test_on_this_machine(errand):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0)), s.listen()
        port = s.getsockname()[1]
        said = errand("forward", "local", str(port)).ok()
        assert said.text == f"127.0.0.1:{port}\n" and "nothing to forward" in said.said
        proc, (here,) = forwarding(errand, "local", f"{port}:{places_free()}")
        threading.Thread(target=lambda: (lambda c: (c.sendall(c.recv(4)), c.close()))(s.accept()[0]), daemon=True).start()
        assert proc.running() and here != port
        # The first connection asked whether somebody listens.
        threading.Thread(target=lambda: (lambda c: (c.sendall(c.recv(4)), c.close()))(s.accept()[0]), daemon=True).start()
        assert talk(here, b"ping", shut=False) == b"ping"
        end(proc)


def test_invalid_arguments(errand, host):
    for text in ("x", "0", "70000", "80:", "80:x", "80:+", "80:90:100"):
        assert errand("forward", "box", text).rc == 201, text
    errand("run", "--quiet", "--on", "box", "--name", "over", "--no-sync", "--", "true").ok()
    over = errand("forward", "over", "80")
    assert over.rc == 212 and re.search("errand forward box 80", over.said)
    assert os.path.isdir(errand.home)

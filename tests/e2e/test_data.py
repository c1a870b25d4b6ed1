"""Data of a project: brought to hosts in every way, continued, checked, seen by the jobs."""
import hashlib
import http.server
import json
import os
import re
import socketserver
import threading

import pytest

from envkit import places
from envkit.fixtures import island, podman_host  # noqa: F401
from helpers import until


class Files:
    """A web server on loopback: ranges, HEAD; can hold a file back half way, cut it, or answer an error."""

    def __init__(self, address="127.0.0.1"):
        self.files, self.requests = {}, []
        self.halves, self.cuts, self.errors, self.ranges, self.heads = {}, {}, {}, True, True
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                self.answer(False)

            def do_GET(self):
                self.answer(True)

            def answer(self, body):
                path = self.path
                outer.requests.append((self.command, path, self.headers.get("Range")))
                if path in outer.errors or path not in outer.files or (not body and not outer.heads):
                    self.send_response(outer.errors.get(path, 404 if body or outer.heads else 405))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                data, begin = outer.files[path], 0
                found = re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) if outer.ranges else None
                if found:
                    begin = int(found[1])
                    if begin >= len(data):
                        self.send_response(416)
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                self.send_response(206 if found else 200)
                if found:
                    self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - begin))
                self.send_header("ETag", f'"{hashlib.md5(data).hexdigest()}"')
                self.end_headers()
                if not body:
                    return
                gate, cut = outer.halves.get(path), outer.cuts.get(path, 0)
                middle = (begin + len(data)) // 2
                self.wfile.write(data[begin:middle])
                self.wfile.flush()
                if cut:
                    outer.cuts[path] = cut - 1
                    self.close_connection = True
                    return
                if gate:
                    gate.wait(60)
                self.wfile.write(data[middle:])

            def log_message(self, *args):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass

        self.server = Server((address, 0), Handler)
        self.url = f"http://{address}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def put(self, path, size=200_000):
        self.files[path] = data = os.urandom(size) if isinstance(size, int) else size
        return data

    def gets(self, path):
        return [r for r in self.requests if r[0] == "GET" and r[1] == path]

    def close(self):
        for gate in self.halves.values():
            gate.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def web():
    server = Files()
    yield server
    server.close()


def data_dir(place, project="work"):
    return (place.home / ".errand" if hasattr(place, "init") else place.root) / "data" / project


def sha256(data):
    return "sha256=" + hashlib.sha256(data).hexdigest()


def test_a_host_downloads_it_once_and_jobs_see_it(errand, host, web):
    data = web.put("/train.bin")
    errand("data", f"{web.url}/train.bin", "--on", host.name).ok()
    assert (data_dir(host) / "train.bin").read_bytes() == data
    job = errand("run", "--on", host.name, "sha256sum < data/train.bin; ls $ERRAND_DATA; cd data/.. && pwd -P").ok()
    assert job.text.split()[0] == hashlib.sha256(data).hexdigest()
    assert "train.bin" in job.text
    again = errand("data", f"{web.url}/train.bin", "--on", host.name).ok()
    assert "already there" in again.said
    assert len(web.gets("/train.bin")) == 1
    rows = errand("data", "--list", "--on", host.name, "--json").ok().json()
    assert [(r["name"], r["size"], r["type"]) for r in rows] == [("train.bin", len(data), "file")]
    # Never part of a snapshot, nor of what comes back.
    dry = errand("run", "--dry-run", "--json", "true").ok().json()
    assert not any(f["path"].startswith("data") for f in dry["files"])


def test_a_project_with_its_own_data_keeps_it(errand, web):
    web.put("/x.bin")
    errand.project("work", {"data/own.txt": "mine\n"})
    errand("data", f"{web.url}/x.bin").ok()
    job = errand("run", "cat data/own.txt; ls $ERRAND_DATA").ok()
    assert job.text == "mine\nx.bin\n"


def test_checksums(errand, host, web):
    data = web.put("/a.bin")
    for kind in ("sha256", "sha512", "md5"):
        errand("data", f"{web.url}/a.bin#{kind}={hashlib.new(kind, data).hexdigest().upper()}", "--on", host.name).ok()
    assert len(web.gets("/a.bin")) == 1, "what has the right sum is not asked for again"
    wrong = sha256(b"something else")
    web.put("/b.bin")
    bad = errand("data", f"{web.url}/b.bin#{wrong}", "--on", host.name)
    assert bad.rc != 0
    assert wrong[7:] in bad.said and hashlib.sha256(web.files["/b.bin"]).hexdigest() in bad.said
    assert sorted(p.name for p in data_dir(host).iterdir()) == ["a.bin"]
    (data_dir(host) / "a.bin").write_bytes(b"damaged")
    errand("data", f"{web.url}/a.bin#{sha256(data)}", "--on", host.name).ok()
    assert (data_dir(host) / "a.bin").read_bytes() == data
    assert "not a checksum" in errand("data", f"{web.url}/a.bin#sha256=12").ok(201).said
    assert "sha1" in errand("data", f"{web.url}/a.bin#sha1=12").ok(201).said


@pytest.mark.parametrize("tool", ["curl", "wget", "python3"])
def test_every_program_that_downloads(errand, make_host, web, tool):
    host = places.without(make_host(), *({"curl", "wget", "python3"} - {tool}))
    web.cuts["/cut.bin"] = 1
    data = web.put("/cut.bin", 500_000)
    errand("data", f"{web.url}/cut.bin#{sha256(data)}", "--on", host.name).ok()
    assert (data_dir(host) / "cut.bin").read_bytes() == data
    assert any(r[2] for r in web.gets("/cut.bin")), "it went on where it was cut"
    missing = errand("data", f"{web.url}/none.bin", "--on", host.name).ok(206)
    assert "404" in missing.said
    web.errors["/secret.bin?token=geheim"] = 403
    refused = errand("data", f"{web.url}/secret.bin?token=geheim", "--on", host.name).ok(203)
    assert "403" in refused.said and "geheim" not in refused.said
    assert not list(data_dir(host).glob("*.errand-*"))


def half_done(errand, host, web):
    """A download of /big.bin whose second half waits for an event: (its process, the part that is there, the event)."""
    web.halves["/big.bin"] = gate = threading.Event()
    proc = errand.start("data", f"{web.url}/big.bin", "--on", host.name)
    part = data_dir(host) / "big.bin.errand-part"
    until(lambda: part.exists() and part.stat().st_size > 0, 20, "the first half")
    return proc, part, gate


def test_killed_download_continues(errand, host, web):
    data = web.put("/big.bin", 2_000_000)
    proc, part, gate = half_done(errand, host, web)
    proc.kill()
    until(lambda: not host.find("curl"), 20, "the download on the host to end")
    rows = errand("data", "--list", "--on", host.name, "--json").ok().json()
    assert [(r["name"], r["type"]) for r in rows] == [("big.bin", "part")]
    gate.set()
    errand("data", f"{web.url}/big.bin", "--on", host.name).ok()
    assert (data_dir(host) / "big.bin").read_bytes() == data
    assert web.gets("/big.bin")[-1][2], "the second half only"
    assert not part.exists()


def test_a_part_of_something_else_is_no_beginning(errand, host, web):
    web.put("/big.bin", 2_000_000)
    proc, part, gate = half_done(errand, host, web)
    proc.kill()
    until(lambda: not host.find("curl"), 20, "the download on the host to end")
    gate.set()
    data = web.put("/big.bin", 2_000_000)
    errand("data", f"{web.url}/big.bin", "--on", host.name).ok()
    assert (data_dir(host) / "big.bin").read_bytes() == data


def test_a_server_without_ranges_and_heads(errand, host, web):
    web.ranges = web.heads = False
    web.cuts["/x.bin"] = 1
    data = web.put("/x.bin", 300_000)
    errand("data", f"{web.url}/x.bin#{sha256(data)}", "--on", host.name).ok()
    assert (data_dir(host) / "x.bin").read_bytes() == data


def test_two_at_once_wait_for_each_other(errand, host, web):
    data = web.put("/big.bin", 1_000_000)
    first, _, gate = half_done(errand, host, web)
    second = errand.start("data", f"{web.url}/big.bin", "--on", host.name)
    until(lambda: len(host.find("errand-agent")) >= 4, 20, "the second to wait")
    assert "transferred at the moment" in errand("data", "--rm", "big.bin", "--on", host.name).ok(212).said
    gate.set()
    first.wait().ok()
    second.wait().ok()
    assert len(web.gets("/big.bin")) == 1
    assert (data_dir(host) / "big.bin").read_bytes() == data


def test_many_at_once_to_two_hosts(errand, make_host, web):
    hosts = [make_host("one"), make_host("two")]
    files = {f"f{i}.bin": web.put(f"/f{i}.bin", 50_000 + i) for i in range(6)}
    errand("data", *(f"{web.url}/{name}" for name in files), "--on", "one", "--on", "two").ok()
    for host in hosts:
        assert {p.name: p.read_bytes() for p in data_dir(host).iterdir()} == files


def test_host_without_a_downloader_gets_it_from_here(errand, make_host, web):
    host = places.without(make_host(), "curl", "wget", "python3")
    data = web.put("/x.bin")
    done = errand("data", f"{web.url}/x.bin#{sha256(data)}", "--on", host.name).ok()
    assert "downloading it here and sending it" in done.said
    assert (data_dir(host) / "x.bin").read_bytes() == data
    assert "already there" in errand("data", f"{web.url}/x.bin#{sha256(data)}", "--on", host.name).ok().said
    assert len(web.gets("/x.bin")) == 1


def test_host_without_a_network_gets_it_from_here(errand, island, web):
    data = web.put("/x.bin")
    done = errand("data", f"{web.url}/x.bin", "--on", island.name).ok()
    assert "downloading it here and sending it" in done.said
    assert (data_dir(island) / "x.bin").read_bytes() == data


@pytest.mark.release
def test_a_host_with_nothing_but_busybox(errand, make_host, web):
    host = make_host(busybox=True)
    data = web.put("/x.bin")
    errand("data", f"{web.url}/x.bin#{sha256(data)}", "--on", host.name).ok()
    assert "404" in errand("data", f"{web.url}/none", "--on", host.name).ok(206).said


def test_from_here_by_name_and_as_an_address(errand, host):
    errand.project("work", {"big.bin": os.urandom(300_000), "set/a.txt": "a\n", "set/b/c.txt": "c\n"})
    path = errand.cwd / "big.bin"
    errand("data", path, "--on", host.name).ok()
    errand("data", f"file://{path}#{sha256(path.read_bytes())}", "--to", "other name", "--on", host.name).ok()
    errand("data", "set", "--on", host.name).ok()
    there = data_dir(host)
    assert (there / "big.bin").read_bytes() == (there / "other name").read_bytes() == path.read_bytes()
    assert (there / "set" / "b" / "c.txt").read_text() == "c\n"
    assert "wrong checksum" in errand("data", f"big.bin#{sha256(b'')}", "--to", "bad", "--on", host.name).ok(211).said
    assert not (there / "bad").exists()
    assert "no such file" in errand("data", "nothing", "--on", host.name).ok(206).said


def test_from_another_host(errand, make_host):
    one, two = make_host("one"), make_host("two")
    (one.home / "files" / "set").mkdir(parents=True)
    (one.home / "files" / "x.bin").write_bytes(data := os.urandom(300_000))
    (one.home / "files" / "set" / "a b").write_text("a\n")
    errand("data", "one:files/x.bin", f"one:{'/root/files/set'}", "--on", "two").ok()
    assert (data_dir(two) / "x.bin").read_bytes() == data
    assert (data_dir(two) / "set" / "a b").read_text() == "a\n"
    errand("data", "one:~/files/x.bin", "--to", "y", "--on", "one").ok()
    errand("data", "one:files/set", "--on", "one").ok()
    assert (data_dir(one) / "y").read_bytes() == data
    assert (data_dir(one) / "set" / "a b").read_text() == "a\n"
    errand("data", "one:files/x.bin", "--on", "local").ok()
    assert (data_dir(errand) / "x.bin").read_bytes() == data
    assert errand("data", "one:files/none", "--on", "two").rc != 0


def test_odd_names(errand, host, web):
    for name in ("a b'c.txt", "-rf", "ä#1.txt", "x;y$(z)"):
        data = web.put("/" + "".join(f"%{b:02X}" for b in name.encode()), 1000)
        errand("data", f"{web.url}/" + "".join(f"%{b:02x}" for b in name.encode()).upper(), "--on", host.name).ok()
        assert (data_dir(host) / name).read_bytes() == data
    assert "--to" in errand("data", f"{web.url}/", "--on", host.name).ok(201).said
    assert errand("data", f"{web.url}/x", "--to", "../y", "--on", host.name).rc == 201
    assert "s3" in errand("data", "s3://bucket/x").ok(201).said
    assert "both" in errand("data", f"{web.url}/a/x", f"{web.url}/b/x").ok(201).said
    errand("data", "--rm", "-rf", "--on", host.name)  # an option's value may begin with a dash, or is refused: nothing else goes
    assert (data_dir(host) / "a b'c.txt").exists()


def test_a_full_disk(errand, make_host, web):
    host = make_host(home="16m")
    web.put("/big.bin", 40_000_000)
    full = errand("data", f"{web.url}/big.bin", "--on", host.name)
    assert full.rc == 214 and "does not fit" in full.said and "free" in full.said
    assert not web.gets("/big.bin"), "said before it began"
    web.heads = False
    full = errand("data", f"{web.url}/big.bin", "--on", host.name)
    assert full.rc == 214 and "free" in full.said
    assert "done" in errand("run", "--on", host.name, "echo ok").ok().said, "the disk is not left full"


def test_archives(errand, host, web, tmp_path):
    import io
    import tarfile
    import zipfile
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("set/a.txt")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"a\n"))
    web.put("/set.tar.gz", packed.getvalue())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("z/b.txt", "b\n")
    web.put("/z.zip", packed.getvalue())
    errand("data", f"{web.url}/set.tar.gz", f"{web.url}/z.zip", "--unpack", "--on", host.name).ok()
    there = data_dir(host)
    assert (there / "set" / "a.txt").read_text() == "a\n" and (there / "z" / "b.txt").read_text() == "b\n"
    assert "not an archive" in errand("data", f"{web.url}/z.zip", "--to", "z.bin", "--unpack", "--on", host.name).ok(201).said
    web.put("/bad.tar", b"no tar at all" * 1000)
    assert "unpacking bad.tar" in errand("data", f"{web.url}/bad.tar", "--unpack", "--on", host.name).ok(211).said


def test_errors_of_the_network_and_json(errand, web):
    data = web.put("/x.bin")
    refused = errand("data", "http://127.0.0.1:1/x").ok(208)
    assert "127.0.0.1:1" in refused.said
    both = errand("data", f"{web.url}/x.bin", f"{web.url}/none", "--json")
    assert both.rc == 206
    rows = {r["name"]: r for r in json.loads(both.out)}
    assert rows["x.bin"]["size"] == len(data) and rows["x.bin"]["error"] is None and "404" in rows["none"]["error"]
    freed = errand("data", "--rm", "x.bin").ok()
    assert "freed" in freed.said
    assert "--list" in errand("data", "--rm", "x.bin").ok(206).said


def test_a_connection_that_breaks_is_opened_again(errand, host, web):
    proxy = host.proxy()
    data = web.put("/big.bin", 2_000_000)
    web.halves["/big.bin"] = gate = threading.Event()
    proc = errand.start("data", f"{web.url}/big.bin#{sha256(data)}", "--on", proxy.name)
    part = data_dir(host) / "big.bin.errand-part"
    until(lambda: part.exists() and part.stat().st_size > 500_000, 20, "the first half")
    proxy.cut()
    until(lambda: len(web.gets("/big.bin")) == 2, 30, "it to be asked for again")
    gate.set()
    proc.wait().ok()
    assert (data_dir(host) / "big.bin").read_bytes() == data
    assert web.gets("/big.bin")[-1][2], "the second half only"


def test_a_container_sees_it(errand, podman_host):
    (errand.cwd / "x.txt").write_text("from the host\n")
    errand("data", "x.txt", "--on", podman_host.name).ok()
    (errand.cwd / "x.txt").unlink()
    done = errand("run", "--quiet", "--on", podman_host.name, "--container", "tiny:1", "cat data/x.txt $ERRAND_DATA/x.txt", timeout=120).ok()
    assert done.text == "from the host\n" * 2

"""A package index on loopback: the simple layout (PEP 503) with hashes, and the metadata beside the files (PEP 658).
It counts what is asked for, and can be slow, cut a download, answer an error, or hold a request until the test lets go."""
import base64
import hashlib
import http.server
import json
import pathlib
import socket
import socketserver
import struct
import threading
import time
import zipfile

from envkit.wheels import make_sdist, make_wheel, normal
from helpers import until


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256


class Index:
    def __init__(self, directory, address="127.0.0.1"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.projects = {}  # normal name -> {file name: (path, sha256, metadata or None)}
        self.requests = []  # (method, path) of every request
        self.lock = threading.Condition()
        self.waiting = []  # paths of requests that are held now
        self._held, self._rules = set(), {}
        self.lets_in = None  # (user, password): nobody else
        self.server = _Server((address, 0), self._handler())
        self.port = self.server.server_address[1]
        self.url = f"http://{address}:{self.port}/simple"  # without a slash: as people write it
        self.json_url = f"http://{address}:{self.port}/pypi/"  # what pipreqs asks: NAME/json
        self.static_url = f"http://{address}:{self.port}/static"  # any file of the directory
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    # -- what is in it
    def add(self, path, name=None):
        """Serves a wheel or a source distribution."""
        path = pathlib.Path(path)
        data = path.read_bytes()
        name = normal(name or path.name.split("-")[0])
        about = None
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                about = archive.read(next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA")))
        with self.lock:
            self.projects.setdefault(name, {})[path.name] = (path, hashlib.sha256(data).hexdigest(), about)
        return path

    def wheel(self, name, version="1.0", **more):
        """Makes a wheel (envkit.wheels) and serves it."""
        return self.add(make_wheel(self.directory, name, version, **more))

    def sdist(self, name, version="1.0", **more):
        return self.add(make_sdist(self.directory, name, version, **more))

    def sha256(self, path):
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()

    # -- trouble. `part` is part of the request's path: a project's name, a file's, "" for all.
    def slow(self, part, seconds):
        self._rules[part] = ("slow", seconds)

    def cut(self, part, after=100):
        """The connection ends after so many bytes of the answer's body."""
        self._rules[part] = ("cut", after)

    def answer(self, part, status):
        self._rules[part] = ("status", status)

    def well(self):
        """No more trouble."""
        self._rules.clear()
        self.release()

    def hold(self, part):
        """Requests for it wait until release()."""
        with self.lock:
            self._held.add(part)

    def release(self, part=None):
        with self.lock:
            self._held.discard(part) if part is not None else self._held.clear()
            self.lock.notify_all()

    def held(self, part, timeout=30):
        """Waits until a request for it is held: the build is in the middle."""
        until(lambda: any(part in path for path in list(self.waiting)), timeout, lambda: f"a request for {part}; {self.requests}")

    def count(self, part=""):
        return sum(part in path for _, path in list(self.requests))

    def url_for(self, user, url=None):
        """An address with "user:password" in it."""
        return (url or self.url).replace("://", f"://{user}@")

    def close(self):
        self.release()
        self.server.shutdown()
        self.server.server_close()

    # -- answers
    def _is_known(self, said):
        if not self.lets_in:
            return True
        return said == "Basic " + base64.b64encode(":".join(self.lets_in).encode()).decode()

    def _page(self, path):
        """(type, body) for a path, or None."""
        parts = [part for part in path.split("/") if part]
        with self.lock:
            if parts == ["simple"]:
                rows = [f'<a href="/simple/{name}/">{name}</a><br>' for name in sorted(self.projects)]
            elif len(parts) == 2 and parts[0] == "simple" and parts[1] in self.projects:
                rows = []
                for name, (_, digest, about) in sorted(self.projects[parts[1]].items()):
                    core = f' data-core-metadata="sha256={hashlib.sha256(about).hexdigest()}"' if about else ""
                    rows.append(f'<a href="/files/{name}#sha256={digest}"{core}>{name}</a><br>')
            elif len(parts) == 2 and parts[0] == "files":
                for files in self.projects.values():
                    if parts[1] in files:
                        return "application/octet-stream", files[parts[1]][0].read_bytes()
                    wheel = parts[1].removesuffix(".metadata")
                    if wheel != parts[1] and wheel in files and files[wheel][2]:
                        return "text/plain", files[wheel][2]
                return None
            elif len(parts) == 3 and parts[0] == "pypi" and parts[2] == "json" and normal(parts[1]) in self.projects:
                newest = sorted(self.projects[normal(parts[1])])[-1].split("-")[1]
                return "application/json", json.dumps({"info": {"name": parts[1], "version": newest, "package_url": parts[1]}, "releases": {newest: []}}).encode()
            elif parts[:1] == ["static"] and ".." not in parts and self.directory.joinpath(*parts[1:]).is_file():
                return "application/octet-stream", self.directory.joinpath(*parts[1:]).read_bytes()
            else:
                return None
        head = '<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"></head><body>\n'
        return "text/html", (head + "\n".join(rows) + "\n</body></html>\n").encode()

    def _handler(self):
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                path = self.path.partition("?")[0].partition("#")[0]
                with index.lock:
                    index.requests.append((self.command, path))
                    if any(part in path for part in index._held):
                        index.waiting.append(path)
                        while any(part in path for part in index._held):
                            index.lock.wait()
                        index.waiting.remove(path)
                kind, value = next((rule for part, rule in list(index._rules.items()) if part in path), (None, None))
                if not index._is_known(self.headers.get("Authorization", "")):
                    return self._send(401, "text/plain", b"who are you?\n")
                if kind == "slow":
                    time.sleep(value)
                if kind == "status":
                    return self._send(value, "text/plain", b"as the test wants\n")
                page = index._page(path)
                if page is None:
                    return self._send(404, "text/plain", b"not here\n")
                return self._send(200, *page, cut=value if kind == "cut" else None)

            def _send(self, status, type_, body, cut=None):
                begin, end = 0, len(body)
                wanted = self.headers.get("Range", "")
                if status == 200 and wanted.startswith("bytes=") and "," not in wanted:
                    first, _, last = wanted[6:].partition("-")
                    if first == "":
                        begin = max(0, end - int(last))
                    else:
                        begin, end = int(first), min(end, int(last) + 1 if last else end)
                    status = 206
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", type_)
                    self.send_header("Accept-Ranges", "bytes")
                    self.send_header("Content-Length", str(end - begin))
                    if status == 401:
                        self.send_header("WWW-Authenticate", 'Basic realm="index"')
                    if status == 206:
                        self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(body)}")
                    self.end_headers()
                    if self.command == "HEAD":
                        return
                    self.wfile.write(body[begin:end if cut is None else min(end, begin + cut)])
                    if cut is not None and end - begin > cut:
                        self.wfile.flush()
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        self.close_connection = True
                except OSError:  # who asked was killed
                    self.close_connection = True

        return Handler

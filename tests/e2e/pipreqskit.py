"""pipreqs, to be compared with: one of the tools of the tests. What it asks an index for (is there such a package, and in
which version) is answered on loopback, with yes for every name: so nothing that it maps is lost for want of a network."""
import http.server
import json
import threading

from envkit import tools


def program():
    """The program, or None where it could not be had."""
    base = tools.directory()
    path = base and base / "venv" / "bin" / "pipreqs"
    return path if path and path.exists() else None


class Yes(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.split("/")[1]
        body = json.dumps({"info": {"name": name, "version": "1.0", "package_url": name}, "releases": {"1.0": []}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Index:
    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Yes)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def arguments(program, index, directory):
    return [str(program), "--print", "--mode", "no-pin", "--pypi-server", index.url, str(directory)]

"""A real browser without a screen: Chromium, driven by chromedriver over its own small protocol (WebDriver)."""
import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from helpers import end_process, until

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server", "--window-size=1280,900"]


class Browser:
    def __init__(self, directory):
        driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
        if not driver or not chromium:
            pytest.skip("Chromium and its driver are not installed here (scripts/install-deps test)")
        self.profile = directory / "chromium"
        self.profile.mkdir()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        # A home and a session of its own: what is left of it can be found and ended.
        env = {"HOME": str(self.profile), "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "XDG_RUNTIME_DIR": str(self.profile)}
        self.driver = subprocess.Popen([driver, f"--port={self.port}", "--allowed-ips=127.0.0.1"], stdin=subprocess.DEVNULL, env=env,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.session = None
        until(self._ready, 30, "chromedriver")
        options = {"binary": chromium, "args": FLAGS + [f"--user-data-dir={self.profile}/data"]}
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}})
        self.session = f"/session/{answer['sessionId']}"

    def _ask(self, method, path, body=None, timeout=90):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"chromedriver: {error.read().decode(errors='replace')[:500]}") from None

    def _ready(self):
        assert self.driver.poll() is None, "chromedriver did not start"
        try:
            return self._ask("GET", "/status", timeout=5)["ready"]
        except OSError:
            return False

    def open(self, url):
        self._ask("POST", f"{self.session}/url", {"url": url})

    def run(self, script):
        """What the script returns in the page ("return document.title")."""
        return self._ask("POST", f"{self.session}/execute/sync", {"script": script, "args": []})

    def wait(self, condition, timeout=60):
        """Until the expression holds in the page; gives its value."""
        return until(lambda: self.run(f"return {condition}"), timeout,
                     lambda: f"{condition} in {self.run('return location.href')}: {self.run('return document.documentElement.outerHTML')[:1500]}")

    def close(self):
        if self.session:
            try:
                self._ask("DELETE", self.session, timeout=20)
            except (OSError, AssertionError):
                pass
        self.driver.terminate()
        try:
            self.driver.wait(10)
        except subprocess.TimeoutExpired:
            end_process(self.driver.pid)
            self.driver.wait()

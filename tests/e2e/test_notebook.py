"""errand notebook: Jupyter for real, in the project's environment, its page in a real browser through the forwarded port."""
import json
import os
import re
import signal
import urllib.parse
import urllib.request

import pytest

from envkit import places
from envkit.fixtures import browser, index, real_index, uv_host  # noqa: F401
from envkit.jobs import declare
from helpers import is_alive, read_proc, until

BOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def roomy(make_host, errand):
    """A host with uv, its home in memory: Jupyter is thousands of files."""
    return places.with_uv(make_host(home="1g"))


@pytest.fixture
def project(errand, real_index):
    errand.project("work", {"one.ipynb": json.dumps(BOOK), "notes.txt": "text\n"})
    declare(errand, pip=["declared-pkg"], index_url=real_index.url)
    real_index.wheel("declared-pkg", "1.0")


def address(errand, proc, token=rb"[0-9a-f]{48}"):
    """The address it prints, and the token in it."""
    line = re.compile(rb"http://127.0.0.1:(\d+)/lab\?token=(%b)" % token)
    until(lambda: line.search(proc.out) or not proc.running(), 240, lambda: repr(proc))
    found = line.search(proc.out)
    assert found, f"{proc}: {errand('logs', 'work-1')}"
    return found.group(0).decode(), found.group(2).decode()


def api(url, path, body=None, method=None):
    base, _, token = url.partition("/lab?token=")
    request = urllib.request.Request(f"{base}/api/{path}", None if body is None else json.dumps(body).encode(),
                                     {"Authorization": f"token {urllib.parse.unquote(token)}"}, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def everywhere(errand, host, token):
    """Where the token can be read that it must not be."""
    found = [pid for pid in errand.processes() + host.processes() if token.encode() in read_proc(pid, "cmdline")]
    found += [path for path in errand.state.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    log = errand("logs", "work-1")
    return found + (["log"] if token in log.text + log.said else [])


def test_its_page_in_a_browser(errand, roomy, project, browser):
    proc = errand.start("notebook", "--on", "box")
    url, token = address(errand, proc)
    browser.open(url)
    browser.wait("document.querySelector('.jp-Launcher') !== null || document.querySelector('.jp-DirListing-item') !== null", 120)
    assert "one.ipynb" in browser.wait("[...document.querySelectorAll('.jp-DirListing-itemText')].map(e => e.textContent).join()", 60)
    assert everywhere(errand, roomy, token) == []
    row = errand.job()
    assert row["state"] == "running" and row["host"] == "box" and "jupyter-lab" in row["command"]
    # Its kernels are the environment's, which has what the project declared beside Jupyter.
    assert errand("exec", row["job"], "--", "python3", "-c", "import declared_pkg, jupyterlab; print(declared_pkg.__name__)").ok().text == "declared_pkg\n"
    book = {**BOOK, "metadata": {"edited": True}}
    api(url, "contents/one.ipynb", {"type": "notebook", "content": book}, "PUT")
    # No terminal to ask on: the server goes on.
    proc.signal(signal.SIGINT)
    left = proc.wait()
    assert left.rc == 216 and "errand cancel work-1" in left.said
    assert errand.job()["state"] == "running"
    # It is reached again by its port, and its notebooks come when they are asked for.
    port = int(re.search(r"errand forward \S+ (\d+)", left.said).group(1))
    again = errand.start("forward", row["job"], f"{port}:0")
    here = int(again.wait_for(re.compile(rb"127.0.0.1:(\d+)\n")).group(1))
    assert api(f"http://127.0.0.1:{here}/lab?token={token}", "contents/one.ipynb")["content"]["metadata"]["edited"] is True
    errand("pull", "work-1", "**/*.ipynb", "back/").ok()
    assert json.loads((errand.cwd / "back/one.ipynb").read_text())["metadata"]["edited"] is True
    errand("cancel", "work-1").ok()
    assert again.wait().rc == 0


def test_ctrl_c_ends_the_server_if_the_user_agrees(errand, roomy, project):
    tty = errand.start_tty("notebook", "--on", "box", "--port", str(free()))
    url, _ = address(errand, tty)
    assert [item["name"] for item in api(url, "contents")["content"] if item["type"] == "notebook"] == ["one.ipynb"]
    api(url, "contents/two.ipynb", {"type": "notebook", "content": BOOK}, "PUT")
    os.write(tty.terminal, b"\x03")
    tty.wait_for(b"End the server too? [y/N]")
    os.write(tty.terminal, b"y\n")
    tty.wait(60).ok()
    assert errand.job()["state"] == "cancelled"
    results = errand.results("work-1.0")
    assert sorted(path.name for path in results.rglob("*.ipynb")) == ["one.ipynb", "two.ipynb"]


def free():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_detached(errand, roomy, project):
    import socket
    with socket.socket() as s:  # where it would like to be
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0)), s.listen()
        taken = errand("notebook", "--on", "box", "-d", "--port", str(s.getsockname()[1]), timeout=240)
        assert taken.rc not in (0, None) and "is taken" in taken.said and "errand cancel work-1" in taken.said, taken
    errand("cancel", "work-1").ok()
    done = errand("notebook", "--on", "box", "-d", timeout=240).ok()
    url = done.text.strip()
    assert [item["name"] for item in api(url, "contents")["content"] if item["type"] == "notebook"] == ["one.ipynb"]
    pids = [pid for pid in errand.processes() if b"\0forward\0" in read_proc(pid, "cmdline")]
    assert pids
    errand("cancel", "work-2").ok()
    until(lambda: not any(is_alive(pid) for pid in pids), 20, "the forwarder to end")


def test_its_host_vanishes(errand, roomy, project):
    proc = errand.start("notebook", "--on", "box")
    address(errand, proc)
    roomy.power_cut()
    proc.wait_for(b"no contact with box", "err", 60)
    assert b"errand cancel work-1" in proc.err
    roomy.start()
    done = proc.wait(90)
    assert done.rc == 221 and "errand notebook starts another" in done.said, done
    assert errand.job()["reason"] == "gone from the host"  # its home was in memory


def test_here_with_a_browser(errand, project):
    """On this machine there is nothing to forward; where there is a display the browser is started, without the token in its words."""
    from envkit import tools
    tools.link(tools.uv(), errand.bin)
    errand.program("xdg-open", '#!/bin/sh\necho "$@" >"$HOME/opened"; cat "$1" >"$HOME/page"\n')
    proc = errand.start("notebook", env={"DISPLAY": ":9", "JUPYTER_TOKEN": "my own <token>"})
    url, token = address(errand, proc, rb"my%20own%20%3Ctoken%3E")
    until(lambda: (errand.home / "page").exists() and url in (errand.home / "page").read_text(), 10, "the browser")
    assert token not in (errand.home / "opened").read_text()
    assert api(url, "contents")["type"] == "directory"
    errand("cancel", "work-1").ok()
    done = proc.wait()
    assert done.rc == 0 and errand.results("work-1.0").joinpath("one.ipynb").exists(), done
    assert not list((errand.base / "run").rglob("notebook-*.html"))


def test_it_does_not_start(errand, host, index):
    index.wheel("declared-pkg", "1.0")
    declare(errand, pip=["declared-pkg"], index_url=index.url)
    done = errand("notebook", "--on", "box", timeout=120)
    assert done.rc not in (0, None) and "jupyterlab" in done.said, done
    assert errand("notebook", "--lab", "--classic").rc == 201


def test_the_server_ends_at_once(errand, uv_host, index):
    index.wheel("jupyterlab", "1.0", scripts={"jupyter-lab": "jupyterlab:main"})
    declare(errand, pip=["jupyterlab"], index_url=index.url)
    done = errand("notebook", "--on", "box", timeout=120)
    assert done.rc == 1 and "jupyterlab 1.0" in done.said and "errand logs work-1.0" in done.said, done

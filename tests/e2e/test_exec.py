"""errand exec: a command at once, beside a job or on a host."""
import json
import os

import pytest

from envkit import places, tools
from envkit.fixtures import docker_host, index, island, podman_host, uv_host  # noqa: F401
from envkit.jobs import declare, ready
from helpers import until


def test_beside_a_job(errand, host):
    errand.project("work", {"data.txt": "hello\n", "sub/x": ""})
    errand.start("run", "--quiet", "--on", "box", "-e", "COLOUR=blue", "-C", "sub", "--name", "long", "--", "sh", "-c",
                 "echo here >made; exec sleep 300")
    until(lambda: (errand.wait_state("running"), list(host.home.glob(".errand/jobs/*/1/work/sub/made")))[1], 30, "the job at work")
    done = errand("exec", "long", "--", "sh", "-c", "cat made ../data.txt; echo $COLOUR $ERRAND_JOB; echo ${ERRAND_ATTEMPT_ID-none}; exit 7")
    assert done.ok(7).text.split() == ["here", "hello", "blue", "long.0", "none"], done
    assert errand("exec", "long", "cat | tr a-z A-Z", stdin=b"piped\n").ok().text == "PIPED\n"
    missing = errand("exec", "long", "no-such-program")
    assert missing.rc == 127 and "command not found" in missing.said
    # It is none of the job's: the end of the job is not its end, and it works after that too.
    beside = errand.start("exec", "long", "--", "sh", "-c", "echo up; read line; echo got $line", stdin=-1)
    beside.wait_for(b"up")
    errand("cancel", "long").ok()
    beside.popen.stdin.write(b"word\n")
    beside.popen.stdin.close()
    assert beside.wait().text.endswith("got word\n")
    assert errand("exec", "long", "--", "cat", "made").ok().text == "here\n"


def test_in_an_environment(errand, uv_host, index):
    index.wheel("alpha", "1.5", scripts={"alpha": "alpha:main"})
    declare(errand, pip=["alpha"], index_url=index.url, environments={"other": {"pip": ["alpha==1.5"]}})
    # On a host: built as errand run would, at once.
    done = errand("exec", "box", "--", "sh", "-c", "alpha; pwd; echo $VIRTUAL_ENV")
    assert done.ok().text.split()[:3] == ["alpha", "1.5", "/root"], done
    assert len(ready(uv_host)) == 1
    errand("run", "--quiet", "--on", "box", "--name", "job", "--", "alpha").ok()
    assert errand("exec", "job", "alpha").ok().text == "alpha 1.5\n"
    assert len(ready(uv_host)) == 1
    wrong = errand("exec", "--environment", "othr", "box", "alpha")
    assert wrong.rc == 202 and "othr" in wrong.said and "other" in wrong.said


def test_here(errand):
    (errand.cwd / "errand.yaml").write_text("pip: none\n")
    assert errand("exec", "local", "--", "sh", "-c", "pwd; echo $PATH; exit 3").ok(3).text.splitlines()[0] == str(errand.home)
    errand("run", "--quiet", "--name", "one", "--", "sh", "-c", "echo x >file").ok()
    assert errand("exec", "one", "ls").ok().text.split() == ["errand.yaml", "file"]


def test_a_terminal(errand, host):
    tty = errand.start_tty("exec", "box", "--", "sh", "-c", "test -t 0 && test -t 1 && echo a-terminal; stty size; read x; echo said $x; exit 5")
    tty.wait_for(b"a-terminal")
    tty.wait_for(b"30 100")
    os.write(tty.terminal, b"word\n")
    tty.wait_for(b"said word")
    tty.wait().ok(5)


def test_invalid_arguments(errand, host):
    assert "no command" in errand("exec", "box", "--").ok(201).said
    nothing = errand("exec", "box")
    assert nothing.rc == 201
    errand("run", "--quiet", "--on", "box", "--name", "gone", "--", "true").ok()
    for path in host.home.glob(".errand/jobs/*"):
        os.rename(path, path.with_name("x" + path.name))
    done = errand("exec", "gone", "true")
    assert done.rc == 206 and "no longer on this host" in done.said, done
    assert json.loads(errand("jobs", "--all", "--json").out)


@pytest.mark.parametrize("engine", ["podman_host", "docker_host"])
def test_in_a_container(errand, request, engine):
    request.getfixturevalue(engine)
    errand.project("work", {"data.txt": "hello\n", "errand.yaml": "container: tiny:1\n"})
    errand("run", "--quiet", "--on", "box", "--name", "boxed", "--", "sh", "-c", "echo here >made").ok()
    done = errand("exec", "boxed", "--", "sh", "-c", "cat made data.txt; test -e /etc/debian_version || echo inside; exit 4")
    assert done.ok(4).text.split() == ["here", "hello", "inside"], done
    assert errand("exec", "box", "--", "sh", "-c", "pwd; test -e /etc/debian_version || echo inside").ok().text.split()[1] == "inside"


def test_on_a_host_without_a_way_out(errand, island, index):
    places.with_uv(island)
    index.wheel("alpha", "1.5", scripts={"alpha": "alpha:main"})
    tools.link(tools.uv(), errand.bin)
    declare(errand, pip=["alpha"], index_url=index.url)
    done = errand("exec", "island", "alpha", timeout=120)
    assert done.ok().text == "alpha 1.5\n", done

"""The kit itself: what the tests of environments stand on holds."""
import json
import os
import subprocess

from envkit import places
from envkit.conda import install_micromamba
from envkit.fixtures import (apt_host, browser, channel, docker_user_host, index, island, plain_host, podman_host,  # noqa: F401
                             rootless_host, source, uv_host)


def ssh(errand, name, line):
    done = subprocess.run(["ssh", name, line], env=errand.env, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def test_uv_installs_from_the_index(errand, uv_host, index):
    index.wheel("Alpha.Pkg", "1.2", requires=["beta>=1"], extras={"more": ["gamma"]}, scripts={"alpha": "alpha_pkg:main"})
    index.wheel("beta", "1.0")
    index.wheel("beta", "2.0")
    index.wheel("gamma")
    index.sdist("delta", "3.1", requires=["beta<2"])
    said = ssh(errand, "box", f"uv venv -q v && uv pip install -q --python v/bin/python --index-url {index.url} 'alpha-pkg[more]' delta "
                              "&& v/bin/alpha && ls v/lib/python3*/site-packages")
    assert "alpha_pkg 1.2" in said and "beta-1.0.dist-info" in said and "gamma-1.0" in said and "delta-3.1" in said
    assert index.count("/files/") >= 4


def test_the_solver_solves_and_refuses(errand, channel):
    channel.package("lib", "1.2")
    channel.package("tool", "2.0", depends=["lib >=1.1"])
    channel.package("old", "1.0", depends=["lib <1"])
    micromamba = install_micromamba(errand.bin)
    env, prefix = {**errand.env, "HOME": str(errand.base)}, str(errand.base / "prefix")
    words = [str(micromamba), "create", "-y", "-p", prefix, "-c", channel.url, "--override-channels"]
    subprocess.run([*words, "tool"], env=env, check=True, capture_output=True)
    assert subprocess.run([f"{prefix}/bin/tool"], capture_output=True, text=True, check=True).stdout == "tool 2.0\n"
    rows = json.loads(subprocess.run([str(micromamba), "list", "-p", prefix, "--json"], env=env, capture_output=True, check=True).stdout)
    assert [(row["name"], row["version"]) for row in rows] == [("lib", "1.2"), ("tool", "2.0")]
    refused = subprocess.run([*words, "old"], env=env, capture_output=True, text=True, check=False)
    assert refused.returncode and "lib <1" in refused.stderr
    refused = subprocess.run([*words, "nosuch"], env=env, capture_output=True, text=True, check=False)
    assert refused.returncode and "nosuch =* * does not exist" in refused.stderr


def test_apt_installs_from_the_source(errand, apt_host, source):
    source.package("errand-hello", "1.5")
    said = ssh(errand, "box", "apt-get -qq update && apt-get -qq -y install errand-hello && errand-hello && dpkg-query -W errand-hello")
    assert "errand-hello 1.5" in said and "errand-hello\t1.5" in said, said
    assert not os.path.exists("/usr/local/bin/errand-hello")
    assert subprocess.run(["dpkg-query", "-W", "errand-hello"], capture_output=True, check=False).returncode


def test_an_ordinary_user(errand, plain_host):
    assert ssh(errand, "plain", "id -un; echo ~; touch here && ls").split() == [places.USER, f"/home/{places.USER}", "here"]


def test_no_network_on_the_island(errand, island, index):
    said = ssh(errand, "island", f"echo there; python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {index.port}))'")
    assert said.startswith("there") and "Connection refused" in said
    assert places.reachable("127.0.0.1", index.port)


def test_podman_as_root(errand, podman_host):
    assert "uid=0" in ssh(errand, "box", "podman run --rm tiny:1 id")


def test_podman_as_an_ordinary_user(errand, rootless_host):
    assert "uid=0" in ssh(errand, "plain", "podman run --rm tiny:1 id")
    assert "ordinary" in ssh(errand, "plain", "id -un")


def test_docker_for_an_ordinary_user(errand, docker_user_host):
    said = ssh(errand, "plain", "docker run --rm tiny:1 id; docker run --rm --detach tiny:1 sleep 1000")
    assert "uid=0" in said and len(docker_user_host.engine.containers()) == 1, said


def test_a_page_in_a_browser(index, browser):
    index.wheel("alpha")
    browser.open(index.url + "/")
    assert browser.wait("document.querySelector('a').textContent") == "alpha"

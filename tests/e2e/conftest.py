"""Fixtures: `errand` is one user's world with the built program in it; `host` and `make_host` are real sshds that can lose
power. After each test nothing may be left of it: not a process here, not one on a host."""
import itertools
import os
import pathlib
import shutil
import tempfile

import pytest

import helpers
import hosts


def pytest_configure(config):
    helpers.own_shm()


@pytest.fixture(scope="session")
def keys():
    # Short, because the path of a control socket may have 108 bytes; not below /tmp, which the hosts cover with their own.
    base = pathlib.Path(tempfile.mkdtemp(prefix="ee-", dir="/var/tmp"))
    base.chmod(0o755)
    yield hosts.make_keys(base / "keys")
    shutil.rmtree(base, ignore_errors=True)


_numbers = itertools.count(1)


@pytest.fixture
def errand(keys, request):
    if not os.access(helpers.PROGRAM, os.X_OK):
        pytest.fail(f"{helpers.PROGRAM} is not there: build it first, or name another one in ERRAND_PROGRAM")
    base = keys.parent / f"w{next(_numbers)}"
    base.mkdir(mode=0o755)
    world = helpers.World(base, keys)
    yield world
    complaints = world.close()
    shutil.rmtree(base, ignore_errors=True)
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="session")
def namespaces():
    if not helpers.may_unshare():
        pytest.skip("hosts of their own need root and unshare(1)")


@pytest.fixture
def make_host(errand, keys, namespaces):
    """make_host(name, ...) -> SshHost, known to ssh by that name."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])

    def make(name="box", **options):
        number = 1 + (worker * 40 + len(errand.hosts)) % 250
        host = hosts.SshHost(errand, name, keys, number, **options)
        errand.hosts.append(host)
        return host
    return make


@pytest.fixture
def host(make_host):
    return make_host()

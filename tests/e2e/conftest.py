"""Fixtures: `errand` is one user's world with the built program in it; `host` and `make_host` are real sshds that can lose
power. After each test nothing may be left of it: not a process here, not one on a host."""
import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import helpers
import hosts


def pytest_configure(config):
    helpers.own_shm()
    config.addinivalue_line("markers", "release: for the release build alone: it measures time or memory, is killed at every "
                            "step, or runs the agent where only a static one runs; CI runs all others under ASan and UBSan")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from longest_first import LongestFirst  # xdist is not there for who runs one test at a time
    return LongestFirst(config, log)


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


@pytest.fixture(scope="session")
def real_root(namespaces):
    if not helpers.is_root_of_the_machine():
        pytest.skip("needs the machine's root; that of a user namespace is not enough")


@pytest.fixture
def make_host(errand, keys, namespaces, request):
    """make_host(name, ...) -> SshHost, known to ssh by that name."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])

    def make(name="box", **options):
        if options.get("busybox"):
            request.getfixturevalue("real_root")  # sshd goes into no directory whose parents belong to anybody else
        number = 1 + (worker * 40 + len(errand.hosts)) % 250
        host = hosts.SshHost(errand, name, keys, number, **options)
        errand.hosts.append(host)
        return host
    return make


@pytest.fixture
def host(make_host):
    return make_host()


@pytest.fixture
def small(errand, namespaces):
    """small(path, size): a file system in memory on that path, in the tests' own namespace."""
    mounted = []

    def mount(path, size):
        path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(path)], check=True)
        mounted.append(path)
        return path
    yield mount
    for path in reversed(mounted):
        helpers.until(lambda: subprocess.run(["umount", str(path)], capture_output=True, check=False).returncode == 0, 20, f"umount {path}")


SKEW = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long skew(void) { const char *s = getenv("E2E_SKEW"); return s ? atol(s) : 0; }
int clock_gettime(clockid_t id, struct timespec *ts)
{
        static int (*real)(clockid_t, struct timespec *);
        if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
        int rc = real(id, ts);
        if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) ts->tv_sec += skew();
        return rc;
}
int gettimeofday(struct timeval *tv, void *tz)
{
        struct timespec ts;
        (void)tz;
        clock_gettime(CLOCK_REALTIME, &ts);
        tv->tv_sec = ts.tv_sec;
        tv->tv_usec = ts.tv_nsec / 1000;
        return 0;
}
time_t time(time_t *t)
{
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        if (t) *t = ts.tv_sec;
        return ts.tv_sec;
}
"""


@pytest.fixture(scope="session")
def skewed(keys):
    """skewed(hours) -> environment in which the clock is so many hours off."""
    source, library = keys / "skew.c", keys / "skew.so"
    source.write_text(SKEW)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    env = {"LD_PRELOAD": str(library)}
    if "ASAN_OPTIONS" in os.environ:  # its runtime wants to be first, and is content without
        env["ASAN_OPTIONS"] = os.environ["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
    return lambda hours: {**env, "E2E_SKEW": str(int(hours * 3600))}

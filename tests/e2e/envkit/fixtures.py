"""The kit as fixtures: `from envkit.fixtures import index, uv_host  # noqa: F401`."""
import pytest

from envkit import containers, debs, docker, places, tools
from envkit import index as index_
from envkit.browser import Browser
from envkit.conda import Channel, install_micromamba


@pytest.fixture
def index(errand):
    """An empty index on loopback; index.wheel("name", "1.0") fills it."""
    served = index_.Index(errand.base / "index")
    yield served
    served.close()


@pytest.fixture
def real_index(index):
    """The index with the wheels of the real world in it: pip, setuptools, wheel, uv, jupyterlab and all it needs."""
    for path in sorted(tools.wheelhouse().glob("*.whl")):
        index.add(path)
    return index


@pytest.fixture
def browser(errand):
    """Chromium, without a screen: browser.open(url), browser.wait("document.title")."""
    driven = Browser(errand.base)
    yield driven
    driven.close()


@pytest.fixture
def uv_host(make_host):
    """A host that has uv. Its home is in memory: thousands of small files are faster there, and gone with it."""
    return places.with_uv(make_host(home="1g"))


@pytest.fixture
def channel(errand):
    """An empty conda channel; channel.package("name", "1.0") fills it."""
    return Channel(errand.base / "channel")


@pytest.fixture
def conda_host(make_host):
    """A host that has micromamba's stand-in and uv."""
    host = places.with_uv(make_host(home="1g"))
    install_micromamba(host.local_bin)
    return host


@pytest.fixture
def source(errand):
    """An empty package source for apt; source.package("name") fills it."""
    return debs.Source(errand.base / "source")


@pytest.fixture
def apt_host(make_host, source, errand, real_root):
    """A host whose apt knows only that source; ssh ends at root."""
    return make_host(before=source.lines(errand.base / "apt"), home="1g")


@pytest.fixture
def plain_host(make_host, errand):
    """A host on which one is an ordinary user."""
    return places.make_ordinary(make_host, errand)


@pytest.fixture
def island(make_host, errand):
    """A host without a way to any network."""
    return places.make_isolated(make_host, errand, more="SetEnv UV_HTTP_RETRIES=0")


def _with_engine(host, make, **options):
    host.engine = make(host, **options)
    yield host
    host.engine.close()


@pytest.fixture
def podman_host(make_host, real_root):
    """A host with podman for root; it has the image tiny:1. So have the following."""
    yield from _with_engine(make_host(), containers.Podman)


@pytest.fixture
def rootless_host(make_host, errand, real_root):
    """podman for an ordinary user."""
    yield from _with_engine(places.make_ordinary(make_host, errand), containers.Podman, user=containers.ORDINARY)


@pytest.fixture
def docker_host(make_host, real_root):
    """docker for root."""
    yield from _with_engine(make_host(), docker.Docker)


@pytest.fixture
def docker_user_host(make_host, errand, real_root):
    """docker for an ordinary user who may use its socket."""
    yield from _with_engine(places.make_ordinary(make_host, errand), docker.Docker, user=containers.ORDINARY)


@pytest.fixture
def docker_apart_host(make_host, real_root):
    """docker for root, whose containers' processes the host does not see."""
    yield from _with_engine(make_host(), docker.Docker, apart=True)

"""envkit: what the tests of environments stand on. Real tools against a small world of the tests' own; nothing but loopback.

    tools       what scripts/install-test-tools fetched once: uv, the conda solver, wheels of the real world
    wheels      make_wheel(), make_sdist(): distributions with chosen names, versions, requirements, contents
    index       Index: a simple index (PEP 503, PEP 658) on loopback that counts, and can be slow, cut, hold, or lack things
    conda       Channel: a conda channel as a directory; micromamba.py beside it is the program in micromamba's place: the
                real solver and installer of py-rattler behind the few commands of micromamba that a script needs
    julia       a stand-in for julia 1.10: Pkg.add, Pkg.status and friends with a registry of the test's own
    julia_registry  packages and a registry for Julia itself
    debs        a package source of the tests' own, which a host's apt really installs from
    containers  podman with a tiny image, as root and as an ordinary user
    browser     Chromium without a screen
    jobs        running jobs that need an environment, and looking at what is on the host
    places      hosts of special kinds: without a network, with an ordinary user, with or without uv
    fixtures    all of it as fixtures: `from envkit.fixtures import index, channel  # noqa: F401`
"""

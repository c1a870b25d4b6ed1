"""The tools that scripts/install-test-tools fetched: where they are, or why a test has to be skipped."""
import functools
import os
import pathlib
import subprocess

import pytest

from helpers import TOP


@functools.cache
def directory():
    """Where the tools are; fetches them when nobody has."""
    done = subprocess.run([str(TOP / "scripts" / "install-test-tools")], capture_output=True, text=True, check=False)
    lines = done.stdout.split()
    return pathlib.Path(lines[-1]) if done.returncode == 0 and lines else None


def _need(path, what):
    base = directory()
    if base is None or not (base / path).exists():
        pytest.skip(f"{what} could not be had (scripts/install-test-tools says why)")
    return base / path


def uv():
    return _need("venv/bin/uv", "uv")


def python():
    """The Python of the private venv, which has the conda solver."""
    return _need("venv/bin/python", "a venv with the tools")


def program(name):
    return _need(f"venv/bin/{name}", name)


def julia():
    """Julia 1.5.3 itself."""
    return _need("julia.done", "Julia").parent / "julia" / "bin" / "julia"


def apptainer():
    """A tree with apptainer and the libraries it needs."""
    return _need("apptainer.done", "apptainer").parent / "apptainer"


def need_solver():
    if subprocess.run([str(python()), "-c", "import rattler"], capture_output=True, check=False).returncode:
        pytest.skip("the conda solver (py-rattler) could not be had from the package index")


def wheelhouse():
    """A directory with wheels of pip, setuptools, wheel, uv, jupyterlab and what they need."""
    return _need("wheels.done", "the wheels").parent / "wheels"


def wheels_of(*names):
    """Those wheels of the wheelhouse that are named (without what they need)."""
    found = []
    for name in names:
        found += [path for path in wheelhouse().iterdir() if path.name.split("-")[0].lower().replace("_", "-") == name]
    return found


def link(program_path, where, name=None):
    """A program in another directory of programs (a host's /usr/local/bin, a world's bin)."""
    target = pathlib.Path(where) / (name or pathlib.Path(program_path).name)
    os.symlink(program_path, target)
    return target

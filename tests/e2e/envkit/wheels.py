"""Wheels and source distributions with chosen names, versions, requirements and contents. Small: a millisecond each."""
import base64
import csv
import hashlib
import io
import re
import subprocess
import tarfile
import zipfile


def normal(name):
    """A distribution's name as an index has it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def module_of(name):
    return re.sub(r"[-.]+", "_", name).lower()


def metadata(name, version, requires=(), extras=None, requires_python=None):
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "Summary: made by a test"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Requires-Dist: {r}" for r in requires]
    for extra, needs in (extras or {}).items():
        lines.append(f"Provides-Extra: {extra}")
        for need in needs:
            requirement, _, marker = need.partition(";")
            also = f" and ({marker.strip()})" if marker else ""
            lines.append(f'Requires-Dist: {requirement.strip()}; extra == "{extra}"{also}')
    return "\n".join(lines) + "\n"


def wheel_bytes(name, version="1.0", requires=(), extras=None, scripts=None, files=None, requires_python=None, tag="py3-none-any"):
    """
    scripts  {"command": "module:function"}
    files    {path in site-packages: text or bytes}; without: one module of the distribution's name with __version__, and
             main(), which prints both
    """
    module = module_of(name)
    if files is None:
        files = {f"{module}.py": f'__version__ = "{version}"\n\n\ndef main():\n    print("{module}", __version__)\n'}
    info = f"{module}-{version}.dist-info"
    content = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
    content[f"{info}/METADATA"] = metadata(name, version, requires, extras, requires_python).encode()
    pure = "true" if tag.endswith("-any") else "false"
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: envkit\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
    if scripts:
        content[f"{info}/entry_points.txt"] = ("[console_scripts]\n" + "".join(f"{k} = {v}\n" for k, v in scripts.items())).encode()
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow([path, f"sha256={digest}", len(data)])
    rows.writerow([f"{info}/RECORD", "", ""])
    content[f"{info}/RECORD"] = record.getvalue().encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return out.getvalue()


def make_wheel(where, name, version="1.0", tag="py3-none-any", **more):
    """Writes the wheel into the directory and gives its path. More: see wheel_bytes."""
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{module_of(name)}-{version}-{tag}.whl"
    path.write_bytes(wheel_bytes(name, version, tag=tag, **more))
    return path


# Builds itself without needing anything (PEP 517, in-tree backend), after doing what a test wants done in the middle.
BACKEND = '''\
import base64
import os
import sys
import time

NAME, WHEEL = {name!r}, {wheel!r}
{before}

def build_wheel(directory, config_settings=None, metadata_directory=None):
    with open(os.path.join(directory, NAME), "wb") as file:
        file.write(base64.b64decode(WHEEL))
    return NAME


build_editable = build_wheel


def build_sdist(directory, config_settings=None):
    raise NotImplementedError
'''


def source_tree(name, version="1.0", before="", requires=(), **more):
    """{path: content} of a project that can be installed without anything else. before: Python that runs first when it is
    built ("sys.exit('no compiler here')")."""
    wheel = wheel_bytes(name, version, requires=requires, **more)
    backend = BACKEND.format(name=f"{module_of(name)}-{version}-py3-none-any.whl", wheel=base64.b64encode(wheel).decode(), before=before)
    project = (f'[build-system]\nrequires = []\nbuild-backend = "envkit_backend"\nbackend-path = ["."]\n\n'
               f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = [{", ".join(repr(r) for r in requires)}]\n')
    return {"pyproject.toml": project, "envkit_backend.py": backend,
            f"{module_of(name)}.py": f'__version__ = "{version}"\n'}


def make_sdist(where, name, version="1.0", **more):
    """A source distribution (NAME-VERSION.tar.gz). More: see source_tree."""
    where.mkdir(parents=True, exist_ok=True)
    base = f"{module_of(name)}-{version}"
    path = where / f"{base}.tar.gz"
    files = source_tree(name, version, **more)
    files["PKG-INFO"] = metadata(name, version, more.get("requires", ()))
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"{base}/{file}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def git_repository(directory, files):
    """A repository that a plain web server can serve."""
    work = directory / "git-work"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "GIT_CONFIG_GLOBAL": "/dev/null"}

    def git(*words, cwd=work):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *words], cwd=cwd, env=env, check=True, capture_output=True)
    work.mkdir(parents=True)
    for path, text in files.items():
        (work / path).write_text(text)
    git("init", "-q", "-b", "main")
    git("add", "."), git("commit", "-q", "-m", "first"), git("tag", "v1")
    git("clone", "-q", "--bare", str(work), str(directory / "repo.git"), cwd=directory)
    git("update-server-info", cwd=directory / "repo.git")
    return directory / "repo.git"

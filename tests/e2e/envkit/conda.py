"""A conda channel as a directory: packages made by the test, and the repodata a solver reads."""
import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile
import time
import zipfile

from envkit import tools

PROGRAM = pathlib.Path(__file__).with_name("micromamba.py")


class Channel:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.packages = {"noarch": {}, "linux-64": {}, "linux-aarch64": {}}
        for subdir in self.packages:
            (self.directory / subdir).mkdir(parents=True, exist_ok=True)
        self._write()

    @property
    def url(self):
        return f"file://{self.directory}"

    def package(self, name, version="1.0", depends=(), files=None, links=None, subdir="noarch", build="0"):
        """Makes a package. files: {path below the prefix: text, bytes, or (content, mode)}; without: bin/NAME, which prints
        the name and the version. links: {path: target}."""
        if files is None and links is None:
            files = {f"bin/{name}": (f"#!/bin/sh\necho {name} {version}\n", 0o755)}
        index = {"name": name, "version": version, "build": build, "build_number": 0, "depends": list(depends), "subdir": subdir,
                 "arch": None, "platform": None, "timestamp": int(time.time() * 1000) - 86400000}
        if subdir == "noarch":
            index["noarch"] = "generic"
        content, paths = {}, []
        for path, data in (files or {}).items():
            data, mode = data if isinstance(data, tuple) else (data, 0o644)
            data = data.encode() if isinstance(data, str) else data
            content[path] = (data, mode)
            paths.append({"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)})
        for path, target in (links or {}).items():
            content[path] = (target, None)
            paths.append({"_path": path, "path_type": "softlink", "sha256": hashlib.sha256(b"").hexdigest(), "size_in_bytes": 0})
        paths.sort(key=lambda entry: entry["_path"])
        content["info/index.json"] = (json.dumps(index).encode(), 0o644)
        content["info/paths.json"] = (json.dumps({"paths": paths, "paths_version": 1}).encode(), 0o644)
        content["info/files"] = ("".join(entry["_path"] + "\n" for entry in paths).encode(), 0o644)
        content["info/about.json"] = (b"{}", 0o644)
        file = f"{name}-{version}-{build}.tar.bz2"
        target = self.directory / subdir / file
        with tarfile.open(target, "w:bz2") as archive:
            for path, (data, mode) in content.items():
                entry = tarfile.TarInfo(path)
                if mode is None:
                    entry.type, entry.linkname = tarfile.SYMTYPE, data
                    archive.addfile(entry)
                else:
                    entry.size, entry.mode = len(data), mode
                    archive.addfile(entry, io.BytesIO(data))
        data = target.read_bytes()
        self.packages[subdir][file] = {**index, "md5": hashlib.md5(data).hexdigest(), "sha256": hashlib.sha256(data).hexdigest(),
                                       "size": len(data)}
        self._write()
        return target

    def python(self):
        """`python` (the system's, in a prefix of its own) and `pip`, as every conda channel has them."""
        system = "/usr/bin/python3"
        version = subprocess.run([system, "-c", "import platform; print(platform.python_version())"],
                                 capture_output=True, text=True, check=True).stdout.strip()
        short = ".".join(version.split(".")[:2])
        self.package("python", version, files={
            "pyvenv.cfg": f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n",
            f"lib/python{short}/site-packages/README.txt": "Packages go here.\n",
        }, links={"bin/python": system, "bin/python3": system, f"bin/python{short}": system}, build="0_cpython")
        wheel = tools.wheels_of("pip")[0]
        files = {"bin/pip": ('#!/bin/sh\nexec "${0%/*}/python" -m pip "$@"\n', 0o755)}
        with zipfile.ZipFile(wheel) as archive:
            for path in archive.namelist():
                files[f"lib/python{short}/site-packages/{path}"] = archive.read(path)
        self.package("pip", wheel.name.split("-")[1], depends=["python"], files=files)
        return version

    def _write(self):
        for subdir, packages in self.packages.items():
            data = {"info": {"subdir": subdir}, "packages": packages, "packages.conda": {}, "repodata_version": 1, "removed": []}
            new = self.directory / subdir / "repodata.json.new"
            new.write_text(json.dumps(data))
            os.replace(new, self.directory / subdir / "repodata.json")


def install_micromamba(where, name="micromamba"):
    """Puts the stand-in into a directory of programs."""
    tools.need_solver()
    path = pathlib.Path(where) / name
    program = path.with_name(f".{name}.py")  # where these sources lie need not be seen from a host
    program.write_bytes(PROGRAM.read_bytes())
    path.write_text(f'#!/bin/sh\nexec {tools.python()} {program} "$@"\n')
    path.chmod(0o755)
    return path

"""A package source of the tests' own. On a host made with source.lines(), apt and dpkg are the system's and really install,
into a database of the host's own, and know only what this source has. Packages put their files below /usr/local/bin, which
is the host's own as well."""
import hashlib
import pathlib
import shlex
import shutil
import subprocess

import pytest


class Source:
    def __init__(self, directory):
        for program in ("dpkg-deb", "apt-get"):
            if not shutil.which(program):
                pytest.skip(f"there is no {program} here")
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.stanzas = []
        self._write()

    def package(self, name, version="1.0", depends="", command=None, postinst=""):
        """A package with a command in /usr/local/bin that prints its name and version."""
        tree = self.directory / "tree"
        program = tree / "usr" / "local" / "bin" / (command or name)
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\necho {name} {version}\n")
        program.chmod(0o755)
        (tree / "DEBIAN").mkdir()
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: tests <tests@localhost>\n"
        if depends:
            control += f"Depends: {depends}\n"
        control += "Description: made by a test\n"
        (tree / "DEBIAN" / "control").write_text(control)
        if postinst:
            (tree / "DEBIAN" / "postinst").write_text("#!/bin/sh\n" + postinst)
            (tree / "DEBIAN" / "postinst").chmod(0o755)
        file = self.directory / f"{name}_{version}_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(tree), str(file)], check=True, capture_output=True)
        shutil.rmtree(tree)
        data = file.read_bytes()
        self.stanzas.append(f"{control}Filename: ./{file.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n")
        self._write()
        return file

    def _write(self):
        (self.directory / "Packages").write_text("\n".join(self.stanzas))

    def lines(self, own):
        """Lines of shell that give a host this source and a database of its own, kept in the directory `own`."""
        q, own = shlex.quote, pathlib.Path(own)
        own.mkdir(parents=True, exist_ok=True)
        (own / "sources.list").write_text(f"deb [trusted=yes] file:{self.directory} ./\n")
        for name in ("over", "work"):
            (own / name).mkdir(exist_ok=True)
        over = f"lowerdir=/var/lib/dpkg,upperdir={own}/over,workdir={own}/work"
        return "\n".join([
            # A copy of ten thousand small files would do as well, and takes seconds.
            f"mount -t overlay -o {q(over)} overlay /var/lib/dpkg || {{ cp -a /var/lib/dpkg {q(str(own))}/dpkg && "
            f"mount --bind {q(str(own))}/dpkg /var/lib/dpkg; }}",
            "[ ! -e /etc/apt/sources.list ] || mount --bind /dev/null /etc/apt/sources.list",
            "mount -t tmpfs -o mode=0755 tmpfs /etc/apt/sources.list.d",
            f"cp {q(str(own / 'sources.list'))} /etc/apt/sources.list.d/tests.list",
            "mount -t tmpfs -o mode=0755 tmpfs /var/lib/apt", "mkdir -p /var/lib/apt/lists/partial",
            "mount -t tmpfs -o mode=0755 tmpfs /var/cache/apt", "mkdir -p /var/cache/apt/archives/partial",
            "mkdir -p /var/log/apt", "mount -t tmpfs -o mode=0755 tmpfs /var/log/apt",
        ])

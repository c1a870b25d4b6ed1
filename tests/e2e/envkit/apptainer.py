"""apptainer for the tests' hosts: a newer release's (scripts/get-test-apptainer), with the C library it was built with, laid
over the host's /usr; and images made here."""
import hashlib
import io
import json
import os
import shlex
import tarfile

from envkit import tools
from envkit.containers import make_archive, make_root, need


class Apptainer:
    """before: lines of shell that give a host apptainer. Its images lie in a directory of their own."""

    def __init__(self, directory):
        need()
        self.tree, self.dir = tools.apptainer(), directory
        directory.mkdir()
        q = shlex.quote
        lines = [f"mount -t overlay -o lowerdir={self.tree}/{name}:/{name} overlay /{name}" for name in ("usr", "etc", "var/lib")]
        # It gives root every capability, also those that this machine's root has not.
        conf = directory / "apptainer.conf"
        text = (self.tree / "etc/apptainer/apptainer.conf").read_text()
        conf.write_text(text.replace("root default capabilities = full", "root default capabilities = no"))
        lines += [f"mount --bind {q(str(conf))} /etc/apptainer/apptainer.conf",
                  f"mknod -m 0666 {q(str(directory / 'fuse'))} c 10 229", f"mount --bind {q(str(directory / 'fuse'))} /dev/fuse"]
        self.before = "\n".join(lines)

    def sandbox(self):
        """An image that is a directory."""
        return make_root(self.dir / "sandbox")

    def sif(self, host):
        """One that is a file."""
        path = self.dir / "tiny.sif"
        host.sh(f"cd /tmp && apptainer --silent build {shlex.quote(str(path))} {shlex.quote(str(self.sandbox()))}")
        return path

    def docker_archive(self):
        """One as docker saves it, which apptainer makes its own of."""
        layer = make_archive(self.dir).read_bytes()
        config = {"architecture": "amd64" if os.uname().machine == "x86_64" else "arm64", "os": "linux",
                  "config": {"Env": ["PATH=/bin", "FROM_IMAGE=yes"]},
                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
        path = self.dir / "saved.tar"
        with tarfile.open(path, "w") as tar:
            for name, data in (("layer.tar", layer), ("config.json", json.dumps(config).encode()),
                               ("manifest.json", json.dumps([{"Config": "config.json", "RepoTags": ["tiny:1"],
                                                              "Layers": ["layer.tar"]}]).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

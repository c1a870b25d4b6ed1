"""Packages for Julia itself and a registry that names them, all of it git repositories on this machine, as somebody has them
who keeps a registry of his own:

    registry = Registry(directory)
    registry.package("Example", "0.5.3")
    registry.publish()
    registry.known_to(host)      as `pkg> registry add` there makes it known"""
import shlex
import subprocess
import uuid

from envkit import tools

IDENTITY = {"GIT_AUTHOR_NAME": "tests", "GIT_AUTHOR_EMAIL": "tests@localhost", "GIT_COMMITTER_NAME": "tests",
            "GIT_COMMITTER_EMAIL": "tests@localhost", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
            "PATH": "/usr/local/bin:/usr/bin:/bin"}


def uuid_of(name):
    return uuid.uuid5(uuid.NAMESPACE_DNS, name)


def git(where, *arguments):
    return subprocess.run(["git", *arguments], cwd=where, env=IDENTITY, check=True, capture_output=True, text=True).stdout.strip()


def commit(where, message):
    """The hash of the tree of a new commit of all there is."""
    git(where, "add", "--all")
    git(where, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(where, "rev-parse", "HEAD^{tree}")


class Registry:
    def __init__(self, directory):
        self.directory = directory / "registry"
        self.repositories = directory / "packages"
        self.packages = {}
        self.directory.mkdir(parents=True)
        git(self.directory, "init", "--quiet")

    def repository(self, name):
        return self.repositories / f"{name}.jl"

    def package(self, name, version, source="", **needs):
        """A package whose version() says its version. source: further lines of its module; needs: Other="0.5.3",
        as a registry writes the versions that go with it."""
        repository = self.repository(name)
        if name not in self.packages:
            (repository / "src").mkdir(parents=True)
            git(repository, "init", "--quiet")
        deps = "".join(f'{need} = "{uuid_of(need)}"\n' for need in needs)
        compat = "".join(f'{need} = "{wanted}"\n' for need, wanted in needs.items())
        (repository / "Project.toml").write_text(
            f'name = "{name}"\nuuid = "{uuid_of(name)}"\nversion = "{version}"\n' + (f"\n[deps]\n{deps}" if deps else ""))
        (repository / "src" / f"{name}.jl").write_text(f'module {name}\nversion() = "{version}"\n{source}\nend\n')
        self.packages.setdefault(name, []).append((version, commit(repository, version), deps, compat))

    def publish(self):
        """Everything up to now is in the registry."""
        lines = ['name = "Local"', f'uuid = "{uuid_of("a registry")}"', f'repo = "{self.directory}"', "", "[packages]"]
        for name, versions in sorted(self.packages.items()):
            where = self.directory / name[0] / name
            where.mkdir(parents=True, exist_ok=True)
            (where / "Package.toml").write_text(f'name = "{name}"\nuuid = "{uuid_of(name)}"\nrepo = "{self.repository(name)}"\n')
            (where / "Versions.toml").write_text("\n".join(f'["{version}"]\ngit-tree-sha1 = "{tree}"\n' for version, tree, *_ in versions))
            (where / "Deps.toml").write_text("\n".join(f'["{version}"]\n{deps}' for version, _, deps, _ in versions))
            (where / "Compat.toml").write_text("\n".join(f'["{version}"]\n{compat}' for version, *_, compat in versions))
            lines.append(f'{uuid_of(name)} = {{ name = "{name}", path = "{name[0]}/{name}" }}')
        (self.directory / "Registry.toml").write_text("\n".join(lines) + "\n")
        commit(self.directory, "packages")

    def known_to(self, host):
        ask(host, f'using Pkg; Pkg.Registry.add(RegistrySpec(url="{self.directory}"))')


def install(host):
    """Julia is on the host's PATH."""
    tools.link(tools.julia(), host.local_bin)
    return host


def ask(host, code):
    """What the user's own Julia, in the user's own depot, says to code."""
    return host.sh(f"julia --startup-file=no -e {shlex.quote(code)}")

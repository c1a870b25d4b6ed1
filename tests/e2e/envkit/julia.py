#!/usr/bin/python3
"""In the place of a Julia newer than the one that can be had (julia_registry.py): answers as 1.10 does by its sources, to the
few words of Pkg that setting up and verifying an environment needs. No Julia code is run. What it shows is that errand asks the right
things and understands the answers; not that Julia works.

    julia --version
    julia [--project=DIR] -e 'using Pkg; Pkg.add([Pkg.PackageSpec(name="X", version="1")])' | Pkg.instantiate() | Pkg.dependencies()
    julia FILE     checks that what the file uses is in the project, and prints what its println("...") say
JULIA_STANDIN names the registry: {"Name": ["1.0.0", ...]}."""
import difflib
import json
import os
import pathlib
import re
import sys

VERSION = "1.10.10"
STANDARD = {"Pkg", "Test", "Random", "LinearAlgebra", "Statistics", "Dates", "Printf"}


def install(where, registry):
    """Puts the stand-in into a directory of programs."""
    where = pathlib.Path(where)
    registry_file = where / ".julia-registry.json"
    registry_file.write_text(json.dumps(registry))
    path, program = where / "julia", where / ".julia.py"  # where these sources lie need not be seen from a host
    program.write_bytes(pathlib.Path(__file__).read_bytes())
    path.write_text(f'#!/bin/sh\nJULIA_STANDIN={registry_file} exec /usr/bin/python3 {program} "$@"\n')
    path.chmod(0o755)
    return path


def fail(*lines):
    print("\n".join(lines), file=sys.stderr)
    sys.exit(1)


def number(version):
    return [int(part) for part in re.findall(r"\d+", version)]


class Project:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.registry = json.loads(pathlib.Path(os.environ["JULIA_STANDIN"]).read_text())

    def read(self, name, section):
        try:
            text = (self.directory / name).read_text()
        except OSError:
            return {}
        found = re.search(rf"^\[{section}\]\n(.*?)(?=^\[|\Z)", text, re.M | re.S)
        return dict(re.findall(r'^(\w+)\s*=\s*"(.*?)"', found[1], re.M)) if found else {}

    def write(self, deps, versions):
        compat = self.read("Project.toml", "compat")
        text = "[deps]\n" + "".join(f'{name} = "{uuid}"\n' for name, uuid in sorted(deps.items()))
        if compat:
            text += "\n[compat]\n" + "".join(f'{name} = "{value}"\n' for name, value in compat.items())
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "Project.toml").write_text(text)
        (self.directory / "Manifest.toml").write_text(f'julia_version = "{VERSION}"\nmanifest_format = "2.0"\n\n[versions]\n'
                                                      + "".join(f'{name} = "{value}"\n' for name, value in sorted(versions.items())))

    def choose(self, name, wanted):
        have = sorted(self.registry[name], key=number)
        fitting = [v for v in have if not wanted or number(v)[:len(number(wanted))] == number(wanted)]
        if not fitting:
            fail(f"ERROR: Unsatisfiable requirements detected for package {name} [00000000]:", f" {name} [00000000] log:",
                 f" ├─possible versions are: {have[0]}-{have[-1]} or uninstalled",
                 f" └─restricted to versions {wanted} by an explicit requirement — no versions left")
        return fitting[-1]

    def add(self, specs):
        print("    Updating registry at `~/.julia/registries/General.toml`", file=sys.stderr)
        unknown = [name for name, _ in specs if name not in self.registry and name not in STANDARD]
        if unknown:
            lines = ["ERROR: The following package names could not be resolved:"]
            for name in unknown:
                lines.append(f" * {name} (not found in project, manifest or registry)")
                near = difflib.get_close_matches(name, self.registry, 5, 0.6)
                if near:
                    lines.append("   Suggestions: " + " ".join(near))
            fail(*lines)
        deps, versions = self.read("Project.toml", "deps"), self.read("Manifest.toml", "versions")
        for name, wanted in specs:
            deps[name] = "00000000-0000-0000-0000-000000000000"
            if name in self.registry:
                versions[name] = self.choose(name, wanted)
                print(f"   Installed {name} ─ v{versions[name]}", file=sys.stderr)
        self.write(deps, versions)

    def instantiate(self):
        deps, versions = self.read("Project.toml", "deps"), self.read("Manifest.toml", "versions")
        self.add([(name, versions.get(name) or self.read("Project.toml", "compat").get(name, "")) for name in deps])

    def dependencies(self):
        versions = self.read("Manifest.toml", "versions")
        for name in self.read("Project.toml", "deps"):
            print("have", name, versions.get(name, ""))


def main():
    project, code, words = os.environ.get("JULIA_PROJECT", ""), None, sys.argv[1:]
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("--version", "-v"):
            return print("julia version " + VERSION)
        if word.startswith("--project="):
            project = word[10:]
        elif word in ("-e", "--eval"):
            code = words.pop(0)
    where = Project(project or os.path.expanduser("~/.julia/environments/v1.10"))
    if code is None:
        text = pathlib.Path(words[0]).read_text()
        deps = set(where.read("Project.toml", "deps")) | STANDARD
        for names in re.findall(r"^\s*(?:using|import)\s+([\w, ]+)", text, re.M):
            for name in re.split(r"[,\s]+", names.strip()):
                if name not in deps:
                    fail(f"ERROR: LoadError: ArgumentError: Package {name} not found in current path.",
                         f'- Run `import Pkg; Pkg.add("{name}")` to install the {name} package.')
        return print("\n".join(re.findall(r'println\("(.*?)"\)', text)))
    if "Pkg.instantiate" in code:
        where.instantiate()
    if "Pkg.add" in code:
        where.add(re.findall(r'name="(\w+)"(?:, version="([^"]*)")?', code))
    if "Pkg.dependencies" in code:
        where.dependencies()
    return None


if __name__ == "__main__":
    main()

"""In micromamba's place where the tests have no network to get it from: the same words for what a script asks of it, done by
py-rattler's solver and installer. Not a part of errand.

    micromamba create|install|update -y -p PREFIX -c CHANNEL [--override-channels] [-f FILE] [SPEC...]
    micromamba env create|update ... -f environment.yml        micromamba list -p PREFIX [--json]
    micromamba run -p PREFIX COMMAND...                        micromamba --version | info | clean
Lines of a `pip:` section are installed by the prefix's own pip, as micromamba does it. MICROMAMBA_LOG names a file to which
every call is appended."""
import asyncio
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

WITH_VALUE = {"-p", "--prefix", "-n", "--name", "-c", "--channel", "-f", "--file", "-r", "--root-prefix", "--channel-priority",
              "--platform", "--rc-file", "--repodata-ttl", "--retry-clean-cache", "--cacert-path", "--ssl-verify", "--log-level"}
VERSION = "2.0.5"


def fail(*lines):
    print("\n".join(lines), file=sys.stderr)
    sys.exit(1)


def parse(args):
    options, words = {"-c": [], "-f": []}, []
    short = {"--prefix": "-p", "--name": "-n", "--channel": "-c", "--file": "-f", "--root-prefix": "-r"}
    while args:
        arg = args.pop(0)
        if arg.startswith("--") and "=" in arg:
            arg, _, value = arg.partition("=")
            args.insert(0, value)
        elif arg.startswith("-") and not arg.startswith("--") and arg[:2] in WITH_VALUE and len(arg) > 2:
            args.insert(0, arg[2:])
            arg = arg[:2]
        if arg in WITH_VALUE:
            if not args:
                fail(f"{arg} requires 1 argument")
            value = args.pop(0)
            arg = short.get(arg, arg)
            options[arg] = options[arg] + [value] if isinstance(options.get(arg), list) else value
        elif arg.startswith("-"):
            options[arg] = True
        else:
            words.append(arg)
            if words[0] == "run":
                words += args
                break
    return options, words


def read_file(path):
    """(channels, specs, lines for pip) of an environment.yml or a list of specs."""
    text = pathlib.Path(path).read_text()
    if not path.endswith((".yml", ".yaml")):
        return [], [line for line in (raw.partition("#")[0].strip() for raw in text.splitlines()) if line], []
    import yaml
    data = yaml.safe_load(text) or {}
    specs, pips = [], []
    for item in data.get("dependencies") or []:
        if isinstance(item, dict):
            pips += item.get("pip") or []
        else:
            specs.append(item)
    return data.get("channels") or [], specs, pips


def records_of(prefix):
    from rattler import PrefixRecord
    return [PrefixRecord.from_path(path) for path in sorted(pathlib.Path(prefix, "conda-meta").glob("*.json"))]


async def change(prefix, channels, specs, fresh):
    import rattler
    try:
        parsed = [rattler.MatchSpec(spec) for spec in specs]
    except Exception as error:
        fail(f"error    libmamba Invalid MatchSpec: {error}", "critical libmamba Could not solve for environment specs")
    installed = [] if fresh else records_of(prefix)
    root = os.environ.get("MAMBA_ROOT_PREFIX", os.path.expanduser("~/.local/share/mamba"))
    os.makedirs(os.path.join(root, "pkgs"), exist_ok=True)
    try:
        found = await rattler.solve(channels, parsed, gateway=rattler.Gateway(cache_dir=os.path.join(root, "pkgs", "cache")),
                                    platforms=[rattler.Subdir.current(), "noarch"], virtual_packages=rattler.VirtualPackage.detect(),
                                    locked_packages=installed)
    except Exception as error:
        text = str(error)
        missing = re.search(r"No candidates were found for (\S+)", text)
        if missing:  # in micromamba's words
            fail("error    libmamba Could not solve for environment specs", "    The following package could not be installed",
                 f"    └─ {missing[1]} =* * does not exist (perhaps a typo or a missing channel).",
                 "critical libmamba Could not solve for environment specs")
        if "annot solve" in text or "no candidates" in text:
            fail("error    libmamba Could not solve for environment specs", *("    " + line for line in text.splitlines()),
                 "critical libmamba Could not solve for environment specs")
        fail(*("error    libmamba " + line for line in text.splitlines()), "critical libmamba Download error")
    print("Transaction\n")
    for record in found:
        print(f"  + {record.name.normalized}  {record.version}  {record.build}  {record.channel}")
    print(flush=True)
    await rattler.install(found, prefix, cache_dir=os.path.join(root, "pkgs"), installed_packages=installed or None, show_progress=False)
    print("Transaction finished")


def named_channels(names):
    """Channels behind names of $CONDARC's custom_multichannels."""
    known, rc = {}, os.environ.get("CONDARC")
    if rc and os.path.exists(rc):
        import yaml
        known = (yaml.safe_load(pathlib.Path(rc).read_text()) or {}).get("custom_multichannels") or {}
    return [channel for name in names for channel in known.get(name, [name])]


def install(command, options, specs):
    prefix = options.get("-p") or os.environ.get("CONDA_PREFIX") or fail("No prefix given (-p)")
    channels, pips = named_channels(options["-c"]), []
    for path in options["-f"]:
        more_channels, more, more_pips = read_file(path)
        if "--override-channels" not in options or not options["-c"]:
            channels += [c for c in more_channels if c != "nodefaults" and c not in channels]
        specs, pips = specs + more, pips + more_pips
    if command == "create" and os.path.isdir(os.path.join(prefix, "conda-meta")) and not options.keys() & {"-y", "--yes"}:
        fail(f"error    libmamba Non-conda folder exists at prefix - {prefix}")
    if not channels:
        fail("error    libmamba No channels specified (and there is no network here)")
    os.makedirs(os.path.join(prefix, "conda-meta"), exist_ok=True)
    if specs:
        asyncio.run(change(prefix, channels, specs, command == "create"))
    pathlib.Path(prefix, "conda-meta", "history").touch()
    if pips:
        lines = pathlib.Path(prefix, "conda-meta", ".pip-requirements.txt")
        lines.write_text("\n".join(pips) + "\n")
        base = os.path.dirname(os.path.abspath(options["-f"][0]))
        if subprocess.run([f"{prefix}/bin/python", "-m", "pip", "install", "-r", str(lines), "--exists-action=b"], cwd=base, check=False).returncode:
            fail("error    libmamba pip failed to install packages")


def show(options):
    rows = [{"base_url": str(r.channel), "build_number": r.build_number, "build_string": str(r.build), "channel": str(r.channel),
             "dist_name": f"{r.name.normalized}-{r.version}-{r.build}", "name": r.name.normalized, "platform": str(r.subdir),
             "version": str(r.version)} for r in records_of(options.get("-p") or os.environ.get("CONDA_PREFIX", ""))]
    rows.sort(key=lambda row: row["name"])
    if "--json" in options:
        print(json.dumps(rows, indent=4))
    else:
        print("\n".join(["List of packages in environment", ""] + [f"  {r['name']}  {r['version']}  {r['build_string']}  {r['channel']}" for r in rows]))


def main():
    if "MICROMAMBA_LOG" in os.environ:
        with open(os.environ["MICROMAMBA_LOG"], "a") as log:
            log.write(shlex.join(sys.argv[1:]) + "\n")
    options, words = parse(sys.argv[1:])
    if "--version" in options:
        return print(VERSION)
    if not words:
        fail("Usage: micromamba COMMAND")
    command = words.pop(0)
    if command == "env" and words:
        command = words.pop(0)
    if command in ("create", "install", "update"):
        return install(command, options, words)
    if command == "list":
        return show(options)
    if command == "run":
        prefix = options.get("-p", "")
        env = {**os.environ, "CONDA_PREFIX": prefix, "PATH": f"{prefix}/bin:{os.environ.get('PATH', '')}"}
        os.execvpe(words[0], words, env)
    if command in ("info", "clean", "config"):
        return None
    return fail(f"The following argument was not expected: {command}")


if __name__ == "__main__":
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code or 0
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(status)  # the solver's threads and the end of the interpreter do not always agree

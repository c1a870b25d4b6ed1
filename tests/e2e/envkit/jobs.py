"""Running jobs that need an environment, and looking at what is on the host."""
import json
import pathlib

from envkit import places


def declare(errand, **keys):
    """errand.yaml with these keys (JSON is YAML)."""
    (errand.cwd / "errand.yaml").write_text(json.dumps(keys, indent=1) + "\n")


def run(errand, host, *command, flags=(), **more):
    """errand run --on HOST -- COMMAND. One word with spaces is a shell line."""
    more.setdefault("timeout", 180)  # venv and pip are slow beside other tests
    return errand("run", "--quiet", *flags, "--on", getattr(host, "name", host), "--", *command, **more)


def home_of(host):
    """Where ~ of the host's user lies for us, also when it is in the host's memory."""
    return pathlib.Path(f"/proc/{host.init}/root{'/home/' + places.USER if hasattr(host, 'user_home') else '/root'}")


def environments(host):
    """Directories of the environments on a host."""
    base = home_of(host) / ".errand" / "environments"
    return sorted(path for path in base.iterdir() if path.is_dir()) if base.is_dir() else []


def ready(host):
    return [path for path in environments(host) if (path / "activate").exists()]


def failed(done, errand, *words):
    """The job failed because of its environment, and the first line that is said of it holds these words."""
    assert done.rc not in (0, None), f"it should have failed: {done}"
    row = errand.job()
    assert (row["state"], row["reason"]) == ("failed", "environment"), row
    first = (row["detail"] or "").splitlines()[:1]
    text = first[0] if first else ""
    for word in words:
        assert word in text, f"{word!r} is not in the first line {text!r}; said: {done.said}"
    return row


def versions(errand, host, *names, **more):
    """{name: version} of what a job's own Python finds."""
    code = ("import importlib.metadata as m, json; "
            "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))")
    found = json.loads(run(errand, host, "python3", "-c", code, **more).ok().out)
    return {name: found.get(name) for name in names} if names else found

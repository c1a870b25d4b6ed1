"""Passwords in the addresses that packages come from: they reach the build, and are kept and shown nowhere."""
import json
import os
import subprocess

import pytest

from envkit import places, tools
from envkit.fixtures import channel, conda_host, index, island, podman_host, real_index, uv_host  # noqa: F401
from envkit.jobs import declare, failed, home_of, ready, run
from envkit.wheels import git_repository
from helpers import read_proc, until
from test_env_container import APT

TOKEN = "ab-1234567890abcdef"
SECRET = (b"geheim", TOKEN.encode())


def let_in(index):
    """An index that lets in only who knows the password; it has alpha. Its address with the password."""
    index.wheel("alpha", "1.0", scripts={"alpha": "alpha:main"})
    index.lets_in = ("someone", "geheim+9")
    return index.url_for("someone:geheim%2B9")


def declare_unseen(errand, **keys):
    """In an errand.yaml that does not travel: what is in the project is the user's own affair."""
    declare(errand, **keys)
    (errand.cwd / ".errandignore").write_text("errand.yaml\n")


def holding(errand, host):
    """Files of errand's, here and there, that hold what is secret."""
    found = []
    for directory in (errand.home / ".errand", errand.home / ".local", errand.home / ".cache", home_of(host) / ".errand"):
        for path in directory.rglob("*"):
            if path.is_file() and not path.is_symlink() and any(word in path.read_bytes() for word in SECRET):
                found.append(path)
    return found


def arguments_while(errand, host, index, part, *command):
    """What stands in arguments on the host while the index is asked for `part`, and what the command then says."""
    index.hold(part)
    running = errand.start("run", "--quiet", "--on", "box", "--", *command)
    index.held(part)
    words = b" ".join(read_proc(pid, "cmdline") for pid in host.jobs())
    index.release()
    return words, running.wait().ok().text


@pytest.fixture(params=["uv", "pip"])
def builder(request):
    if request.param == "uv":
        return request.getfixturevalue("uv_host")
    return places.with_pip_only(request.getfixturevalue("make_host"))


def test_a_password_reaches_the_build_and_stays_nowhere(errand, builder, index):
    declare_unseen(errand, pip=["alpha"], index_url=let_in(index))
    assert run(errand, builder, "sh", "-c", "alpha; env").ok().text.startswith("alpha 1.0\n")
    job = errand.job()["job"]
    name = ready(builder)[0].name[:8]
    done = [errand(*words).ok() for words in (("show", job), ("show", "--json", job), ("logs", job), ("env",), ("env", "list", "--on", "box"),
                                              ("env", "show", name, "--on", "box"))]
    said = "".join(one.text + one.said for one in done)
    assert "geheim" not in said and "http://***@127" in said
    assert holding(errand, builder) == []


def test_a_job_does_not_see_it(errand, uv_host, index):
    declare_unseen(errand, pip=["alpha"], index_url=let_in(index))
    for host in ("local", "box"):
        done = run(errand, host, "env", env={"ERRAND_UV": str(tools.uv())}).ok()
        assert "PATH=" in done.text and "geheim" not in done.text
    # Nor by asking what started it; and what stays behind of us, ssh's connection, does not hold it.
    seen = run(errand, "local", "tr '\\0' '\\n' </proc/$PPID/environ", env={"ERRAND_UV": str(tools.uv())}).ok().text
    assert "PATH=" in seen and "geheim" not in seen
    assert not any(b"geheim" in read_proc(pid, "environ") for pid in errand.processes())


@pytest.mark.parametrize("said", [
    {"pip": ["alpha @ git+%s x"]}, {"pip": ["-r %s/requirements.txt"]}, {"pip": ["--nothing %s"]}, {"conda": ["%s"]}, {"apt": ["%s"]},
    {"container": "%s/image.sif"}, {"conda": ["%s::tool"]}], ids=["requirement", "file", "option", "conda", "apt", "container", "channel"])
def test_what_is_declared_wrongly(errand, index, said):
    text = json.dumps(said).replace("%s", index.url_for("someone:geheim"))
    declare_unseen(errand, **json.loads(text))
    done = errand("run", "--dry-run", "--on", "local", "true")
    assert done.rc and "***@127" in done.said and "geheim" not in done.said


def test_a_variable_of_ours(errand, uv_host, index):
    """As pip reads it: here, where it is set; in a requirement too."""
    let_in(index)
    wheel = next(iter(index.projects["alpha"]))
    (errand.cwd / "requirements.txt").write_text("alpha @ " + index.url_for("${INDEX_USER}:${INDEX_PASSWORD}").replace("/simple", f"/files/{wheel}") + "\n")
    declare(errand, pip="requirements.txt", index_url=index.url_for("${INDEX_USER}:${INDEX_PASSWORD}"))
    given = {"INDEX_USER": "someone", "INDEX_PASSWORD": "geheim%2B9"}
    assert run(errand, uv_host, "sh", "-c", "alpha; echo ${INDEX_PASSWORD-none}", env=given).ok().text == "alpha 1.0\nnone\n"
    assert holding(errand, uv_host) == []
    # What is there already takes no password, and a run without it says so where it is not.
    assert run(errand, uv_host, "alpha").ok().text == "alpha 1.0\n"
    errand("env", "rm", ready(uv_host)[0].name[:8], "--on", "box").ok()
    failed(run(errand, uv_host, "alpha"), errand, "denies this host access")


def test_a_variable_of_the_host(errand, make_host, index):
    let_in(index)
    host = places.with_uv(make_host(more="SetEnv INDEX_AUTH=someone:geheim%2B9"))
    declare(errand, pip=["alpha"], index_url=index.url_for("${INDEX_AUTH}"))
    assert run(errand, host, "alpha").ok().text == "alpha 1.0\n"


def test_two_passwords_for_one_host(errand, builder, index):
    """The last of them is let in: its password is the one that is used for a file that lies below no index. Newer pips use the
    first. What is there already takes no password."""
    index.wheel("beta", "1.0")
    let_in(index)
    orders = [[index.url_for("nobody:sesam"), index.url_for("someone:geheim%2B9") + "/"],
              [index.url_for("someone:geheim%2B9"), index.url_for("nobody:sesam") + "/"]]
    newer = "import pip._internal.network.auth as it; assert hasattr(it, 'commonprefix')"
    if builder.try_sh(f'! command -v uv && python3 -c "{newer}"').returncode == 0:
        orders.reverse()
    for urls in orders:
        declare_unseen(errand, pip=["alpha", "beta"], index_url=urls[0], extra_index_urls=urls[1:])
        assert run(errand, builder, "alpha").ok().text == "alpha 1.0\n"
    assert holding(errand, builder) == []


def test_a_wrong_password(errand, builder, index):
    let_in(index)
    declare_unseen(errand, pip=["alpha"], index_url=index.url_for("someone:geheimnis"))
    row = failed(run(errand, builder, "alpha"), errand, "denies this host access")
    assert "geheim" not in str(row) and holding(errand, builder) == []


def test_a_job_that_goes_on_in_the_background(errand, uv_host, index):
    declare_unseen(errand, pip=["alpha"], index_url=let_in(index))
    index.hold("/simple/alpha")
    running = errand.start("run", "--quiet", "--detach", "--on", "box", "--", "alpha")
    index.held("/simple/alpha")
    (build,) = {pid for pid in uv_host.jobs() if read_proc(pid, "comm").strip() == b"errand-env"}
    index.release()
    job = running.wait().ok().text.strip()
    errand("wait", job).ok()
    until(lambda: not read_proc(build, "cmdline"), 20, "the builder to end")
    assert errand("logs", job).ok().text == "alpha 1.0\n" and holding(errand, uv_host) == []


def test_who_takes_over_without_it(errand, uv_host, index):
    """A job that waits for its host when its maestro is killed: the next cannot know the password, and says so. One that
    began before knows it, and rerun finds it in the project."""
    declare_unseen(errand, pip=["alpha"], index_url=let_in(index))
    running = errand.start("run", "--quiet", "--on", "box", "--", "alpha", env={"ERRAND_CRASH_AT": "environment"})
    assert running.wait().rc
    (errand.cwd / "errand.yaml").rename(errand.cwd / "away")
    errand("wait", errand.job()["job"], timeout=30)
    row = errand.job()
    assert (row["state"], row["reason"]) == ("failed", "missing secret") and "ERRAND_AUTH_127_0_0_1_" in row["detail"], row
    (errand.cwd / "away").rename(errand.cwd / "errand.yaml")
    assert errand("rerun", "--quiet").ok().text == "alpha 1.0\n"
    assert holding(errand, uv_host) == []


def test_what_a_build_says_of_it(errand, uv_host, index):
    """In whatever form: as it is written, as the server gets it, in parts; not of another client's either."""
    code = "import os, urllib.parse as u; print(u.unquote(' '.join(v for k, v in os.environ.items() if k.startswith('ERRAND_AUTH_'))))"
    lines = [f'env; python3 -c "{code}"; echo "$INDEX_USER $INDEX_PASSWORD"']
    given = {"INDEX_USER": "someone", "INDEX_PASSWORD": "someone-geheim", "ERRAND_AUTH_OTHER": "geheimnis", "ERRAND_UV": str(tools.uv())}
    let_in(index)
    more = [index.url_for("${INDEX_USER}:${INDEX_PASSWORD}") + "/x"]
    declare_unseen(errand, pip=["alpha"], setup=lines, index_url=let_in(index), extra_index_urls=more)
    for host in ("local", "box"):
        assert run(errand, host, "alpha", env=given).ok().text == "alpha 1.0\n"
    assert holding(errand, uv_host) == []
    log = (ready(uv_host)[0] / "log").read_text()
    assert "someone-" not in log and "***-" not in log and "ERRAND_MASKED=***\n***\n" in log


REPOSITORY = {
    "pyproject.toml": '[project]\nname = "beta"\nversion = "1.0"\n[build-system]\nrequires = []\nbuild-backend = "maker"\nbackend-path = ["."]\n',
    "maker.py": """import os, zipfile
def build_wheel(directory, *_):
    with zipfile.ZipFile(os.path.join(directory, "beta-1.0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("beta.py", "print('beta 1.0')")
        wheel.writestr("beta-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: beta\\nVersion: 1.0\\n")
        wheel.writestr("beta-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("beta-1.0.dist-info/RECORD", "")
    return "beta-1.0-py3-none-any.whl"
"""}


def repository(index, needs=""):
    """A git repository of a package `beta`, as plain files behind the index's password. Its address, without one."""
    git_repository(index.directory, {name: text.replace("requires = []", f"requires = [{needs}]") for name, text in REPOSITORY.items()})
    return f"{index.static_url}/repo.git"


def test_a_repository(errand, builder, index):
    """Git gets it in no argument, and what keeps passwords for the user on the host does not get it at all."""
    let_in(index)
    (home_of(builder) / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    declare_unseen(errand, pip=["beta @ git+" + index.url_for("someone:geheim%2B9", repository(index))], index_url=let_in(index))
    words, said = arguments_while(errand, builder, index, "repo.git/info/refs", "python", "-m", "beta")
    assert said == "beta 1.0\n"
    assert b"git" in words and b"geheim" not in words
    assert holding(errand, builder) == [] and not (home_of(builder) / ".git-credentials").exists()


def test_a_project_with_a_lock(errand, uv_host, index):
    """uv reads no variables in a pyproject.toml; a new password is no other environment."""
    url = let_in(index)
    project = errand.cwd / "pyproject.toml"
    project.write_text(f'[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["alpha"] # don\'t\n'
                       f'[[tool.uv.index]]\nname = "mine"\nurl = "{url}"\ndefault = true\n')
    subprocess.run([tools.uv(), "lock", "--quiet", "--project", errand.cwd], check=True, env={**os.environ, "UV_CACHE_DIR": str(errand.base / "uv")})
    (errand.cwd / ".errandignore").write_text("errand.yaml\npyproject.toml\n")
    declare(errand, pip="uv.lock")
    assert run(errand, uv_host, "alpha").ok().text == "alpha 1.0\n"
    index.lets_in = ("someone", "geheim-too")
    project.write_text(project.read_text().replace("geheim%2B9", "geheim-too"))
    assert run(errand, uv_host, "alpha").ok().text == "alpha 1.0\n" and len(ready(uv_host)) == 1
    assert holding(errand, uv_host) == []


def test_setup_lines(errand, uv_host, index):
    """They are the shell's: what is in quotes stays as it is, and nothing else is filled in."""
    urls = index.url_for("me:geheim"), index.url_for("some'one:geh$eim")
    declare_unseen(errand, setup=[f"""echo '{urls[0]}' "${{INDEX_USER-none}}" >out; cat <<'EOF' >>out\n{urls[1]}\nEOF""",
                                  "tr a-z A-Z <out >bin/out; rm out"])
    done = run(errand, uv_host, 'cat "$HOME"/.errand/environments/*/prefix/bin/out', env={"INDEX_USER": "me"}).ok()
    assert done.text.split() == [urls[0].upper(), "NONE", urls[1].upper()]
    shown = errand("env", "show", ready(uv_host)[0].name[:8], "--on", "box").ok().text
    assert "//***@127" in shown and "geh" not in shown and holding(errand, uv_host) == []


def test_what_building_a_package_needs(errand, builder, index):
    """For that pip starts itself once more, with the indexes in its arguments."""
    let_in(index)
    (home_of(builder) / ".netrc").write_text("machine elsewhere login me password mine\n")
    needs = "beta @ git+" + index.url_for("someone:geheim%2B9", repository(index, needs='"alpha"'))
    declare_unseen(errand, pip=[needs], index_url=index.url_for("someone:geheim%2B9"), extra_index_urls=[index.url_for("someone:geheim%2B9") + "/"])
    words, said = arguments_while(errand, builder, index, "/simple/alpha", "python", "-m", "beta")
    assert said == "beta 1.0\n"
    assert b"pip" in words and b"geheim" not in words
    assert holding(errand, builder) == []


def test_what_is_downloaded_here(errand, island, real_index):
    url = let_in(real_index)
    declare_unseen(errand, pip=["alpha"], index_url=url, fetch="here")
    assert run(errand, island, "alpha").ok().text == "alpha 1.0\n"
    assert holding(errand, island) == []


def test_conda_channels(errand, conda_host, channel, index):
    """A password, and a token in the path; in no argument either."""
    channel.package("tool", "1.0")
    mirror = index.directory / "t" / TOKEN
    mirror.mkdir(parents=True)
    (mirror / "mine").symlink_to(channel.directory)
    index.lets_in = ("someone", "geheim+9")
    declare_unseen(errand, conda=["tool"], channels=[index.url_for("someone:geheim%2B9", f"{index.static_url}/t/{TOKEN}/mine")])
    words, said = arguments_while(errand, conda_host, index, "/repodata", "tool")
    assert said == "tool 1.0\n"
    assert b"micromamba" in words and not any(secret in words for secret in SECRET)
    assert holding(errand, conda_host) == []
    record = next(ready(conda_host)[0].glob("prefix/conda/conda-meta/tool-*.json")).read_text()
    assert "/t/***/mine/" in record
    # What is in the cache serves the next; what fails leaves nothing there either.
    channel.package("other", "1.0")
    declare_unseen(errand, conda=["tool", "other"], channels=[index.url_for("someone:geheim%2B9", f"{index.static_url}/t/{TOKEN}/mine")])
    assert run(errand, "box", "sh", "-c", "tool; other").ok().text == "tool 1.0\nother 1.0\n"
    declare_unseen(errand, conda=["tool", "neither"], channels=[index.url_for("someone:geheim%2B9", f"{index.static_url}/t/{TOKEN}/mine")])
    failed(run(errand, "box", "tool"), errand, "neither")
    assert holding(errand, conda_host) == []


def test_in_a_container(errand, podman_host, index):
    """The build inside gets it by name: it is not among the engine's arguments. (The image has no Python: it gets no further.)"""
    declare_unseen(errand, container="tiny:1", pip=["alpha"], index_url=let_in(index))
    assert run(errand, podman_host, "true").rc
    calls = podman_host.engine.calls.read_text()
    assert "--env=ERRAND_AUTH_127_0_0_1" in calls and "geheim" not in calls


def test_an_image_made_for_it(errand, podman_host, index):
    """With apt packages an image is made from a container of the build: it would keep the variables, and jobs would see them."""
    podman_host.engine.image("apt:1", files=APT)
    declare_unseen(errand, container="apt:1", apt=["hello"], setup=[f"echo {index.url_for('someone:geheim')} | tr a-z A-Z >$ERRAND_PREFIX/made"])
    said = run(errand, podman_host, "sh", "-c", "hello; cat ~/../made; env").ok().text
    assert said.startswith("hello 1.0\nHTTP://SOMEONE:GEHEIM@") and "PATH=" in said
    assert "geheim" not in said and "ERRAND_SECRETS" not in said
    assert holding(errand, podman_host) == []

"""What travels to the job, and what comes back."""
import json
import os
import stat
import shutil
import subprocess

import pytest

from helpers import until

LIST = "find . -mindepth 1 -not -name '*.errand*' -printf '%y %m %P\\0' | sort -z"


def tree(path):
    """{relative name as bytes: what it is} of everything below a directory."""
    found = {}
    root = os.fsencode(path)
    for where, directories, files in os.walk(root):
        for name in directories + files:
            full = os.path.join(where, name)
            info = os.lstat(full)
            rel = os.path.relpath(full, root)
            if stat.S_ISLNK(info.st_mode):
                found[rel] = ("link", os.readlink(full))
            elif stat.S_ISDIR(info.st_mode):
                found[rel] = ("directory",)
            else:
                found[rel] = ("file", bool(info.st_mode & 0o100), open(full, "rb").read())
    return found


STRANGE = [b"with space", b"quote'", b'double"', b"new\nline", b"-dash", b"--rf", b"\xff\xfenot-utf8", b"back\\slash", b"$HOME", b"*",
           b"tab\t", b"\xc3\xbc", b";", b"a" * 200, b".hidden", b" ", b"~", b"#x", b"!x", b"[x]"]


def make_strange(root):
    root = os.fsencode(root)
    for name in STRANGE:
        with open(os.path.join(root, name), "wb") as file:
            file.write(b"content of " + name)
        os.makedirs(os.path.join(root, b"dir " + name), exist_ok=True)
        with open(os.path.join(root, b"dir " + name, name), "wb") as file:
            file.write(b"below " + name)
    os.mkdir(os.path.join(root, b"empty dir"))
    os.symlink(b"with space", os.path.join(root, b"link"))
    os.symlink(b"nowhere/at all", os.path.join(root, b"dangling"))
    os.symlink(b"empty dir", os.path.join(root, b"link to dir"))
    with open(os.path.join(root, b"tool"), "wb") as file:
        file.write(b"#!/bin/sh\necho ran\n")
    os.chmod(os.path.join(root, b"tool"), 0o755)
    with open(os.path.join(root, b"empty"), "wb"):
        pass


@pytest.mark.parametrize("where", ["local", "ssh"])
@pytest.mark.parametrize("git", [False, True])
def test_names_of_every_kind_travel_and_come_back(errand, request, where, git):
    host = request.getfixturevalue("host") if where == "ssh" else None
    make_strange(errand.cwd)
    if git:
        subprocess.run(["git", "init", "-q"], cwd=errand.cwd, env=errand.env, check=True)
    sent = tree(errand.cwd) if not git else {k: v for k, v in tree(errand.cwd).items() if not k.startswith(b".git")}
    done = errand("run", "--quiet", "--on", host.name if host else "local", "--output", "all", "--", "sh", "-c",
                  "./tool; mkdir /tmp/all.$$; cp -a . /tmp/all.$$/; mv /tmp/all.$$ all").ok()
    assert done.out == b"ran\n"
    back = tree(errand.results("work-1.0") / "all")
    assert {k for k in sent if k not in back} == set()
    for name, what in sent.items():
        assert back[name] == what, name


def test_git_ignored_files_stay_and_untracked_ones_travel(errand):
    errand.project("work", {".gitignore": "*.ckpt\nbig/\n", "tracked.py": "1", "untracked.py": "2", "x.ckpt": "3", "big/data": "4", "sub/y.ckpt": "5"})
    for command in (["init", "-q"], ["add", "tracked.py", ".gitignore"]):
        subprocess.run(["git", *command], cwd=errand.cwd, env=errand.env, check=True)
    names = errand("run", "--quiet", "--", "sh", "-c", "find . -type f | sort").ok().text.split()
    assert names == ["./.gitignore", "./tracked.py", "./untracked.py"]


def test_changed_and_deleted_files_of_git_are_as_in_the_directory(errand):
    errand.project("work", {"a": "old", "b": "gone", "c": "same"})
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=errand.cwd, env=errand.env, check=True)
    (errand.cwd / "a").write_text("new")
    (errand.cwd / "b").unlink()
    assert errand("run", "--quiet", "--", "sh", "-c", "ls; cat a").ok().text.split() == ["a", "c", "new"]


def test_usual_caches_stay_outside_git(errand):
    errand.project("work", {"train.py": "1", "__pycache__/x.pyc": "2", ".venv/lib": "3", "node_modules/m": "4", "results/old": "5", "src/__pycache__/y": "6"})
    assert errand("run", "--quiet", "--", "find", ".", "-type", "f").ok().text.split() == ["./train.py"]


@pytest.mark.parametrize("git", [False, True])
def test_errandignore(errand, git):
    errand.project("work", {".errandignore": "*.bin\n!keep.bin\n/data/\nsub/**/tmp\n", "x.bin": "1", "keep.bin": "2", "data/d": "3", "other/data/d": "4",
                            "sub/a/b/tmp": "5", "code.py": "6"})
    if git:
        for command in (["init", "-q"], ["add", "."]):
            subprocess.run(["git", *command], cwd=errand.cwd, env=errand.env, check=True)
    names = set(errand("run", "--quiet", "--", "find", ".", "-type", "f").ok().text.split())
    assert names - {"./.errandignore"} == {"./keep.bin", "./other/data/d", "./code.py"}


def test_second_run_sends_only_what_changed(errand, host):
    errand.project("work", {f"f{i}": os.urandom(5000) for i in range(50)})
    proxy = host.proxy()
    errand("run", "--on", proxy.name, "--", "true").ok()
    (errand.cwd / "f7").write_bytes(b"changed")
    proxy.counts[True] = 0
    assert errand("run", "--quiet", "--on", proxy.name, "--", "cat", "f7").ok().out == b"changed"
    assert proxy.counts[True] < 50000


def test_job_that_writes_in_place_does_not_spoil_the_snapshot(errand):
    errand.project("work", {"data": "original\n"})
    for _ in range(3):
        assert errand("run", "--quiet", "--", "sh", "-c", "cat data; echo spoiled > data; rm -f data").ok().out == b"original\n"


def test_executable_bit_and_content_change_are_noticed(errand):
    errand.project("work", {"tool": "#!/bin/sh\necho one\n"})
    (errand.cwd / "tool").chmod(0o755)
    assert errand("run", "--quiet", "--", "./tool").ok().out == b"one\n"
    (errand.cwd / "tool").write_text("#!/bin/sh\necho two\n")
    assert errand("run", "--quiet", "--", "./tool").ok().out == b"two\n"
    (errand.cwd / "tool").chmod(0o644)
    errand("run", "--quiet", "--", "./tool").ok(126)


def test_same_size_change_right_after_a_run_is_noticed(errand):
    for text in ("aaaa", "bbbb", "cccc", "dddd"):
        (errand.cwd / "f").write_text(text)
        assert errand("run", "--quiet", "--", "cat", "f").ok().text == text


def test_file_becomes_directory_and_back(errand):
    path = errand.cwd / "x"
    path.write_text("file")
    assert errand("run", "--quiet", "--", "cat", "x").ok().text == "file"
    path.unlink()
    path.mkdir()
    (path / "y").write_text("below")
    assert errand("run", "--quiet", "--", "cat", "x/y").ok().text == "below"
    (path / "y").unlink()
    path.rmdir()
    path.symlink_to("nowhere")
    assert errand("run", "--quiet", "--", "readlink", "x").ok().text == "nowhere\n"


def test_file_that_changes_while_it_is_read(errand):
    """A writer rewrites a large file all the time: what arrives is one of its versions, never a mixture."""
    path = errand.cwd / "moving"
    path.write_bytes(b"0" * 300000)
    go_on = errand.base / "go-on"
    go_on.touch()
    writer = errand.start(argv=["/usr/bin/python3", "-c", f"""
import os, time
n = 0
while os.path.exists({str(go_on)!r}):
    n += 1
    with open({str(path)!r}, 'r+b') as f:
        f.write(str(n % 10).encode() * 300000)
    time.sleep(0.05)
"""])
    done = errand("run", "--quiet", "--", "sh", "-c", "fold -w1 moving | sort -u | wc -l", timeout=90)
    go_on.unlink()
    writer.wait()
    if done.rc == 0:
        assert done.text.strip() == "1"
    else:
        assert "moving" in done.said and "chang" in done.said


def test_unreadable_file_is_named(errand):
    if os.geteuid() == 0:
        (errand.cwd / "pipe").write_text("x")
        os.unlink(errand.cwd / "pipe")
        os.mkfifo(errand.cwd / "pipe")  # root reads everything; a pipe cannot travel and must not hang
        done = errand("run", "--quiet", "--", "ls", timeout=20)
        assert done.rc == 0 and b"pipe" not in done.out or "pipe" in done.said


def test_too_large_asks_and_yes_answers(errand):
    with open(errand.cwd / "huge", "wb") as file:
        file.truncate(1100 << 20)
    errand.project("work", {"data/small": "x"})
    done = errand("run", "--", "true")
    assert done.rc not in (0, 1) and "--yes" in done.said and "GB" in done.said
    assert errand.jobs() == []


def test_too_large_on_a_terminal_asks(errand):
    with open(errand.cwd / "huge", "wb") as file:
        file.truncate(1100 << 20)
    proc = errand.start_tty("run", "--", "true")
    proc.wait_for(b"[y/N]")
    os.write(proc.terminal, b"n\n")
    assert proc.wait().rc != 0
    assert errand.jobs() == []


def test_too_many_files_says_which_directories(errand, small):
    many = small(errand.project("work/cache"), "1g")
    for i in range(100):
        (many / f"d{i}").mkdir()
        for j in range(1001):
            os.close(os.open(many / f"d{i}" / f"f{j}", os.O_CREAT | os.O_WRONLY))
    done = errand("run", "--", "true", timeout=120)
    assert done.rc != 0 and "cache" in done.said and "--yes" in done.said


# --- what comes back -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("where", ["local", "ssh"])
def test_outputs_come_back(errand, request, where):
    host = request.getfixturevalue("host") if where == "ssh" else None
    errand("run", "--on", host.name if host else "local", "--output", "out", "--output", "*.pt", "--output", "logs/**/*.csv", "--", "sh", "-c",
           "mkdir -p out/deep logs/a/b; echo 1 > out/x; echo 2 > out/deep/y; echo 3 > m.pt; echo 4 > logs/a/b/c.csv; echo no > other").ok()
    results = errand.results("work-1.0")
    assert {k: v[2] for k, v in tree(results).items() if v[0] == "file"} == {b"out/x": b"1\n", b"out/deep/y": b"2\n", b"m.pt": b"3\n", b"logs/a/b/c.csv": b"4\n"}
    assert errand.job()["state"] == "done"


def test_outputs_of_a_failed_job_come_back(errand):
    errand("run", "--output", "partial", "--", "sh", "-c", "echo half > partial; exit 4").ok(4)
    assert (errand.results("work-1.0") / "partial").read_text() == "half\n"


def test_missing_output_fails_the_job(errand):
    done = errand("run", "--output", "there", "--output", "not-there.*", "--", "sh", "-c", "echo x > there").ok(220)
    assert "not-there.*" in done.said
    row = errand.job()
    assert (row["state"], row["reason"]) == ("failed", "missing output")
    assert (errand.results("work-1.0") / "there").exists()


def test_results_directory_is_only_named_if_there_are_outputs(errand):
    assert "results/" not in errand("run", "--output", "not-there", "--", "true").ok(220).said
    assert "results/work-2.0/" in errand("run", "--output", "not-there", "-o", "a", "--", "touch", "a").ok(220).said


def test_output_that_was_there_before_and_leaves_the_directory_is_refused(errand):
    for pattern in ("../outside", "/etc/passwd"):
        assert errand("run", "--output", pattern, "--", "true").rc in (201, 202)


def test_outputs_that_are_links_do_not_lead_outside(errand):
    errand("run", "--output", "out", "--", "sh", "-c", "mkdir out; ln -s /etc/passwd out/abs; ln -s .. out/up; echo x > out/f").ok()
    results = errand.results("work-1.0")
    assert os.readlink(results / "out" / "abs") == "/etc/passwd"
    assert os.readlink(results / "out" / "up") == ".."


def test_results_do_not_travel_to_the_next_run(errand):
    errand("run", "--output", "o", "--", "sh", "-c", "echo 1 > o").ok()
    assert errand("run", "--quiet", "--", "ls").ok().out == b""


def test_two_runs_keep_their_results_apart(errand):
    for i in range(2):
        errand("run", "--env", f"I={i}", "--output", "o", "--", "sh", "-c", "echo $I > o").ok()
    assert [(errand.results(f"work-{i}.0") / "o").read_text() for i in (1, 2)] == ["0\n", "1\n"]


def test_pull_takes_any_path_of_a_job(errand, host):
    errand("run", "--on", host.name, "--", "sh", "-c", "mkdir d; echo 1 > d/a; echo 2 > 'd/b c'; echo 3 > e").ok()
    errand("pull", "work-1", "d", "e").ok()
    to = errand.cwd / "to"
    errand("pull", "work-1", "e", str(to) + "/").ok()
    assert (to / "e").read_text() == "3\n"
    found = [p for p in errand.home.rglob("b c")]
    assert found and found[0].read_text() == "2\n"


def test_pull_of_a_missing_file_names_it(errand):
    errand("run", "--", "true").ok()
    done = errand("pull", "work-1", "nothing-here")
    assert done.rc == 206 and "nothing-here" in done.said


def test_pull_of_a_pattern_that_matches_nothing_fails(errand):
    errand("run", "--", "sh", "-c", "mkdir empty; ln -s empty link; echo x > a.txt").ok()
    done = errand("pull", "work-1", "*.txt", "*.pt")
    assert done.rc == 206 and "nothing matches *.pt on local" in done.said
    assert (errand.cwd / "a.txt").exists()
    errand("pull", "work-1", "emp*").ok()  # a directory without files is something
    errand("pull", "work-1", "*.txt").ok()  # and so is what is here already


def test_pull_of_a_job_whose_files_are_gone_says_so(errand):
    errand("run", "--", "true").ok()
    shutil.rmtree(errand.root / "jobs")
    done = errand("pull", "work-1", "a", "b")
    assert done.rc == 206 and "its files on local have been removed" in done.said


def test_pull_from_a_running_job(errand):
    errand("run", "--detach", "--", "sh", "-c", f"echo early > checkpoint; until [ -e {errand.home}/go ]; do sleep 0.05; done").ok()
    errand.wait_state("running")
    until(lambda: errand("pull", "work-1", "checkpoint", str(errand.home / "got") + "/").rc == 0, 10, "the checkpoint to be there")
    assert (errand.home / "got" / "checkpoint").read_text() == "early\n"
    (errand.home / "go").touch()
    errand("wait", "work-1").ok()


def test_push_to_a_host(errand, host):
    errand.project("work", {"data/x": "1", "data/sub/y z": "2", "single": "3"})
    (errand.cwd / "data" / "link").symlink_to("x")
    errand("push", host.name, "data", "single", "incoming").ok()
    assert (host.home / "incoming" / "data" / "sub" / "y z").read_text() == "2"
    assert (host.home / "incoming" / "single").read_text() == "3"
    assert os.readlink(host.home / "incoming" / "data" / "link") == "x"


LINKS = """import os
os.makedirs("ckpt/3/deep"); os.makedirs("out")
open("ckpt/epoch3.pt", "w").write("three"); open("ckpt/3/model", "w").write("model"); open("ckpt/3/deep/x", "w").write("x")
open("out/best.pt", "w").write("best")
os.symlink("ckpt/epoch3.pt", "last.ckpt"); os.symlink("ckpt/3", "latest"); os.symlink("best.pt", "out/last.pt")
os.symlink(os.path.abspath("ckpt/epoch3.pt"), "absolute.ckpt"); os.symlink("../ckpt/epoch3.pt", "out/three.pt")
"""


def test_what_an_output_links_to_comes(errand, host):
    """last.ckpt -> ckpt/epoch3.pt: a dangling link here would be a lost checkpoint."""
    project = errand.project("work", {"make.py": LINKS})
    errand("run", "--on", host.name, "--output", "last.ckpt", "--output", "latest", "--output", "absolute.ckpt", "--output", "out", "--",
           "python3", "make.py").ok()
    results = project / "results" / "work-1.0"
    assert (results / "last.ckpt").read_text() == "three" and (results / "absolute.ckpt").read_text() == "three"
    assert (results / "latest" / "model").read_text() == "model" and (results / "latest" / "deep" / "x").read_text() == "x"
    assert (results / "out" / "last.pt").is_symlink() and (results / "out" / "last.pt").read_text() == "best"  # both come: the link stays one
    assert (results / "out" / "three.pt").read_text() == "three"
    errand("pull", "work-1", "last.ckpt", "latest", f"{errand.base}/elsewhere/").ok()
    assert (errand.base / "elsewhere" / "last.ckpt").read_text() == "three"
    assert (errand.base / "elsewhere" / "latest" / "model").read_text() == "model"


@pytest.mark.parametrize("target", ["/etc/hostname", "nowhere", "../../spec"])
def test_an_output_that_links_elsewhere_is_missing(errand, host, target):
    done = errand("run", "--on", host.name, "--output", "last.ckpt", "--", "ln", "-s", target, "last.ckpt")
    assert done.rc == 220 and "last.ckpt" in done.said and target in done.said


def dry(errand, *more):
    return json.loads(errand("run", "--dry-run", "--json", *more, "--", "true").ok().out)


def sent(errand):
    return {file["path"] for file in dry(errand)["files"] if file["type"] == "file"}


def ignored_project(errand, **more):
    errand.project("work", {".gitignore": "*.pt\n/weights/\n.env\n.venv/\nresults/\n", "train.py": "1", "weights/best.pt": "22", "weights/old/x": "4444",
                            "data/a.pt": "333", ".env": "A=1", ".venv/lib/best.pt": "5", "results/r": "6"} | more)
    for command in (["init", "-q"], ["add", "train.py", ".gitignore"]):
        subprocess.run(["git", *command], cwd=errand.cwd, env=errand.env, check=True)


def test_ignored_files_that_errandignore_brings(errand):
    ignored_project(errand, **{".errandignore": "!best.pt\n!/data/\n!.env\n"})
    assert sent(errand) == {".gitignore", ".errandignore", "train.py", "weights/best.pt", "data/a.pt", ".env"}
    (errand.cwd / ".errandignore").write_text("!/weights/\nold/\n")
    assert sent(errand) == {".gitignore", ".errandignore", "train.py", "weights/best.pt"}
    (errand.cwd / "weights" / "new").write_text("later")  # in a directory that git does not look into
    assert "weights/new" in sent(errand)
    names = set(errand("run", "--quiet", "--", "find", ".", "-type", "f").ok().text.split())
    assert {"./weights/best.pt", "./weights/new"} <= names and "./weights/old/x" not in names


def test_ignored_files_that_errand_yaml_brings(errand):
    ignored_project(errand)
    assert sent(errand) == {".gitignore", "train.py"}
    (errand.cwd / "errand.yaml").write_text("files:\n  include: [./weights/best.pt, '/data/*.pt', .venv/lib/]\n")
    assert sent(errand) == {".gitignore", "errand.yaml", "train.py", "weights/best.pt", "data/a.pt", ".venv/lib/best.pt"}
    (errand.cwd / "errand.yaml").write_text("files:\n  include: [nothing.pt]\n")
    done = errand("run", "--dry-run", "--", "true")
    assert done.rc != 0 and "errand.yaml:2:" in done.said and "nothing.pt" in done.said
    for wrong in ("files: [a]\n", "files: {exclude: [a]}\n", "files: {include: ['!a']}\n"):
        (errand.cwd / "errand.yaml").write_text(wrong)
        done = errand("run", "--dry-run", "--", "true")
        assert done.rc != 0 and "errand.yaml:1:" in done.said and "files" in done.said


def test_dry_run_says_what_git_keeps_out(errand):
    ignored_project(errand)
    (errand.cwd / "weights" / "best.pt").write_bytes(b"x" * 5000)
    assert dry(errand)["git_ignored"] == {"file_count": 5, "bytes": 5011, "largest": [
        {"path": "weights/", "file_count": 2, "bytes": 5004}, {"path": ".env", "file_count": 1, "bytes": 3},
        {"path": "data/", "file_count": 1, "bytes": 3}, {"path": ".venv/", "file_count": 1, "bytes": 1}]}
    text = errand("run", "--dry-run", "--", "true").ok().text
    assert "5 files, which git ignores" in text and "weights/  " in text and "errandignore" in text
    (errand.cwd / "errand.yaml").write_text("files: {include: [weights/, .env]}\n")
    assert dry(errand)["git_ignored"]["file_count"] == 2


def test_dry_run_marks_links_out_of_the_project(errand):
    errand.project("work", {"sub/a": "1", "b": "2"})
    for name, target in {"abs": "/data/sets", "up": "../other", "sub/up": "../../other", "sub/fine": "../b", "fine": "sub/a", "sub/back": "../sub/../../x"}.items():
        (errand.cwd / name).symlink_to(target)
    links = {file["path"]: file["leads_out"] for file in dry(errand)["files"] if file["type"] == "link"}
    assert links == {"abs": True, "up": True, "sub/up": True, "sub/fine": False, "fine": False, "sub/back": True}
    text = errand("run", "--dry-run", "--", "true").ok().text
    assert "link to ../../other, out of the project" in text and text.count("out of the project") == 4

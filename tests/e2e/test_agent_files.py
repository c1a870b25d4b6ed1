"""The agent: snapshots, and files by LIST, GET and PUT; full disks."""
import os
import random
import stat
import subprocess

import pytest

import helpers
from agentfix import agent, make_world, world  # noqa: F401
from agentlib import CODE, END, REASON, AgentError, Tree, frame, message, spec

RANDOM = random.Random(7)
ODD = {"a b": b"space", "q'\"": b"quote", "n\nl": b"newline", "-rf": b"dash", "d/x/y": b"deep", "d-x": b"before d/", "empty": b"",
       "dir/void": "d", "link": ("l", "a b"), "dangling": ("l", "../outside"), os.fsdecode(b"\xff\xfe"): b"bytes",
       "large": RANDOM.randbytes(300000)}


def contents(directory):
    found = {}
    for base, dirs, files in os.walk(os.fsencode(directory)):
        for name in files + dirs:
            path = os.path.join(base, name)
            relative = os.fsdecode(os.path.relpath(path, os.fsencode(directory)))
            if os.path.islink(path):
                found[relative] = ("l", os.fsdecode(os.readlink(path)))
            elif os.path.isfile(path):
                found[relative] = open(path, "rb").read()
            elif not os.listdir(path):
                found[relative] = "d"
    return found


def run_tree(agent, key, tree, line="true", **items):
    return agent.run(key, line, SYNC=1, TREE=tree.hash, **items)


def test_a_snapshot_arrives_as_it_is(agent, world):
    tree = Tree(ODD, executable=["a b"])
    assert len(agent.put_tree(tree)) == len([v for v in ODD.values() if isinstance(v, bytes) and v])
    assert run_tree(agent, "a.0.x", tree)[0]["END"] == END["DONE"]
    work = world.dir("a.0.x") / "work"
    assert contents(work) == ODD
    assert os.stat(work / "a b").st_mode & 0o111 and not os.stat(work / "-rf").st_mode & 0o111
    assert agent.put_tree(tree) == []
    assert agent.call("TREES", PROJECT="test").all("TREE") == [tree.hash]


def test_no_job_changes_the_snapshot(agent, world):
    tree = Tree(ODD)
    agent.put_tree(tree)
    run_tree(agent, "a.0.x", tree, "for f in *; do [ -f \"./$f\" ] && echo changed >> \"./$f\"; done; rm -f large d/x/y; exit 0")
    run_tree(agent, "a.1.x", tree)
    assert contents(world.dir("a.1.x") / "work") == ODD


def test_only_what_is_new_is_asked_for(agent, world):
    old = Tree({f"f{i}": b"content %d" % i for i in range(50)})
    agent.put_tree(old)
    files = {f"f{i}": b"content %d" % i for i in range(1, 50)} | {"f1": b"other", "moved": b"content 0", "twice": b"new", "again": b"new"}
    new = Tree(files)
    assert len(agent.put_tree(new, base=old)) == 2  # "other" and "new"
    run_tree(agent, "a.0.x", new)
    assert contents(world.dir("a.0.x") / "work") == files
    assert agent.call("TREES", PROJECT="test").all("TREE") == [new.hash, old.hash]
    same = Tree(dict(files, extra=b"content 7"))
    assert agent.put_tree(same) == []  # without a base too


def test_an_unknown_snapshot_or_base(agent):
    tree = Tree({"a": b"1"})
    with pytest.raises(AgentError) as caught:
        run_tree(agent, "a.0.x", tree)
    assert caught.value.code == CODE["NOT_FOUND"] and caught.value.provider_code == "snapshot"
    with pytest.raises(AgentError) as caught:
        agent.put_tree(Tree({"a": b"2"}), base=tree)
    assert caught.value.provider_code == "snapshot"


def test_a_difference_to_the_wrong_base_is_noticed(agent):
    base = Tree({"a": b"1", "b": b"2"})
    agent.put_tree(base)
    tree = Tree({"a": b"1", "b": b"3"})
    tree.checksum ^= 1
    with pytest.raises(AgentError):
        agent.put_tree(tree, base=base)
    assert agent.call("TREES", PROJECT="test").all("TREE") == [base.hash]


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../b", "a//b", "./a", "a/"])
def test_unsafe_paths_are_refused(agent, path):
    with pytest.raises(AgentError):
        agent.put_tree(Tree({path: b"x"}))


@pytest.mark.parametrize("after", [0, 1, 70000, 150000, 299999, 300100])
def test_an_interrupted_upload_is_resumed(world, after):
    tree = Tree(ODD)
    agent = world.start()
    agent.put_tree(tree, stop_after=after)
    agent.close()
    later = world.start()
    sent = sum(len(tree_data(tree, i)) - o for i, o in later.put_tree(tree))
    assert sent <= max(0, sum(len(v) for v in ODD.values() if isinstance(v, bytes)) - after)
    run_tree(later, "a.0.x", tree)
    assert contents(world.dir("a.0.x") / "work") == ODD


def test_what_a_reboot_may_have_eaten_is_sent_again(world):
    tree = Tree({f"f{i}": RANDOM.randbytes(40000) for i in range(20)})
    agent = world.start()
    agent.put_tree(tree, stop_after=400000)
    agent.close()
    # The size is there, the contents never got to the disk.
    for part in (world.root / "snapshots" / "test" / "packs").glob("*.part"):
        part.write_bytes(part.read_bytes()[:48] + bytes(part.stat().st_size - 48))
    later = world.start(ERRAND_BOOT_ID="another-boot")
    assert len(later.put_tree(tree)) == 20
    run_tree(later, "a.0.x", tree)
    assert contents(world.dir("a.0.x") / "work") == {os.fsdecode(e[0]): e[2] for e in tree.entries}


def tree_data(tree, index):
    return tree.entries[index][2]


def test_killed_in_the_middle_of_an_upload(world):
    tree = Tree({f"f{i}": RANDOM.randbytes(40000) for i in range(40)})
    for stop in (100000, 500000, 900000):
        agent = world.start()
        agent.put_tree(tree, stop_after=stop)
        agent.call("PING")
        agent.kill()
    agent = world.start()
    assert agent.call("TREES", PROJECT="test").all("TREE") == []
    agent.put_tree(tree)
    run_tree(agent, "a.0.x", tree)
    assert len(contents(world.dir("a.0.x") / "work")) == 40


def test_two_bring_the_same_snapshot(world):
    tree = Tree({f"f{i}": RANDOM.randbytes(40000) for i in range(20)})
    one, two = world.start(), world.start()
    one.put_tree(tree, stop_after=100000)
    id_ = two.request("TREE_PUT", PROJECT="test", TREE=tree.hash, COUNT=len(tree.entries), CHECKSUM=tree.checksum)
    two.send(frame("TREE_PART", id_, message(ENTRIES=b"".join(e[1] for e in tree.entries))) + frame("TREE_END", id_))
    two.call("PING")
    assert not two.kept  # it waits
    one.close()  # the second goes on with what the first brought
    answer = two.next(id_)
    assert answer.type == "NEED" and len(answer["NEED"]) < 12 * 20
    two.close()
    last = world.start()
    last.put_tree(tree)
    run_tree(last, "a.0.x", tree)


def test_damaged_lists_count_as_absent(agent, world):
    tree = Tree(ODD)
    agent.put_tree(tree)
    agent.close()
    path = world.root / "snapshots" / "test" / "trees" / tree.hash.hex()
    whole = path.read_bytes()
    for damaged in (b"", whole[:50], whole[:-1], b"\0" * len(whole)):
        path.chmod(0o600)
        path.write_bytes(damaged)
        later = world.start()
        with pytest.raises(AgentError) as caught:
            run_tree(later, "a.0.x", tree)
        assert caught.value.provider_code == "snapshot"
        later.close()
    later = world.start()
    later.put_tree(tree)
    assert run_tree(later, "a.0.x", tree)[0]["END"] == END["DONE"]


@pytest.mark.parametrize("how", ["short", "gone"])
def test_a_lost_pack(agent, world, how):
    """The list counts as absent, so that the snapshot is sent again."""
    tree = Tree(ODD)
    agent.put_tree(tree)
    for pack in (world.root / "snapshots" / "test" / "packs").glob("*.pack"):
        if how == "gone":
            pack.unlink()
        else:
            os.truncate(pack, pack.stat().st_size - 1)
    assert agent.call("TREES", PROJECT="test").all("TREE") == []
    with pytest.raises(AgentError) as caught:
        run_tree(agent, "a.0.x", tree)
    assert caught.value.provider_code == "snapshot"
    assert agent.put_tree(tree)
    assert run_tree(agent, "a.0.x", tree)[0]["END"] == END["DONE"]
    assert contents(world.dir("a.0.x") / "work") == ODD


def test_a_pack_lost_while_the_job_waits(agent, world):
    tree = Tree(ODD)
    agent.put_tree(tree)
    agent.submit("a.0.x", "sleep 1000", CPUS=4)
    agent.until(agent.watch("a.0.x"), "RUNNING")
    agent.submit("a.1.x", "true", CPUS=4, SYNC=1, TREE=tree.hash)
    for pack in (world.root / "snapshots" / "test" / "packs").glob("*.pack"):
        text = pack.read_bytes()
        pack.unlink()
    id_ = agent.watch("a.1.x")
    agent.call("CANCEL", KEY="a.0.x", ATTEMPT=1, GRACE=0)
    event, _ = agent.finish(id_)
    assert (event["END"], event["REASON"]) == (END["FAILED"], REASON["FILES"]) and event["DETAIL"]
    pack.write_bytes(text[:1000])
    assert agent.put_tree(tree)
    assert run_tree(agent, "a.2.x", tree)[0]["END"] == END["DONE"]


def test_only_packs_that_are_needed_are_named(agent, world):
    packs = world.root / "snapshots" / "test" / "packs"
    old = Tree({"a": b"first " * 20000, "b": b"second", "c": b"third"})
    agent.put_tree(old)
    old_pack = next(packs.glob("*.pack"))
    middle = Tree({"a": b"other " * 20000, "b": b"second", "c": b"third"})
    agent.put_tree(middle, base=old)
    files = {"a": b"other " * 20000, "b": b"fourth", "c": b"fifth"}
    new = Tree(files)
    agent.put_tree(new, base=middle)  # nothing of the first pack is left in it
    old_pack.unlink()
    assert agent.call("TREES", PROJECT="test").all("TREE") == [new.hash]
    run_tree(agent, "a.0.x", new)
    assert contents(world.dir("a.0.x") / "work") == files


def test_who_is_silent_keeps_nobody_waiting(world):
    tree = Tree({f"f{i}": RANDOM.randbytes(40000) for i in range(20)})
    one, two = world.start(ERRAND_SILENCE_MS="300"), world.start()
    one.put_tree(tree, stop_after=100000)  # and then its machine sleeps
    assert len(two.put_tree(tree)) < 20
    with pytest.raises(AgentError) as caught:
        one.next(next(one.ids) - 1)
    assert caught.value.code == CODE["TRANSPORT"] and caught.value.answer["RETRYABLE"] == 1
    assert one.put_tree(tree) == []
    run_tree(two, "a.0.x", tree)


def test_spares(agent, world):
    files = {f"d{i % 20}/f{i}": b"%d" % i for i in range(4000)}
    tree = Tree(files)
    agent.put_tree(tree)
    run_tree(agent, "a.0.x", tree)
    spare = world.root / "snapshots" / "test" / "spare"
    helpers.until(lambda: spare.exists() and any(p.name.startswith(tree.hash.hex()) for p in spare.iterdir()), what="the spare")
    inode = next(p for p in spare.iterdir() if p.name.startswith(tree.hash.hex())).stat().st_ino
    changed = dict(files, new=b"n", **{"d1/f1": b"changed"})
    del changed["d0/f0"]
    other = Tree(changed)
    agent.put_tree(other, base=tree)
    run_tree(agent, "a.1.x", other)
    work = world.dir("a.1.x") / "work"
    assert contents(work) == changed and work.stat().st_ino == inode
    run_tree(agent, "a.2.x", tree)
    assert contents(world.dir("a.2.x") / "work") == files


def test_garbage_of_snapshots(agent, world):
    trees = [Tree({"f": b"%d" % i * 100000}) for i in range(4)]
    for i, tree in enumerate(trees):
        agent.put_tree(tree)
        if i < 2:
            run_tree(agent, f"k{i}.0.me", tree)
    answer = agent.collect(agent.request("GC", KEY=["k1.0.me"]))[-1]
    assert answer.all("COUNT") == [1, 2, 2, 0] and answer["FREED"] >= 200000  # the newest, and what k0 needs, stay
    assert set(agent.call("TREES", PROJECT="test").all("TREE")) == {trees[0].hash, trees[3].hash}
    run_tree(agent, "r.0.me", trees[0])


# --- LIST, GET, PUT

def listed(agent, **items):
    answers = agent.collect(agent.request("LIST", **items))
    return {os.fsdecode(a["PATH"]): a for a in answers[:-1]}, answers[-1]


def get(agent, **items):
    answers = agent.collect(agent.request("GET", **items))
    return b"".join(a["DATA"] for a in answers[:-1]), answers[-1]


def test_results(agent, tmp_path):
    line = "mkdir -p out/deep; echo m > out/m.pt; echo n > out/deep/n.pt; ln -s m.pt out/link; ln -s /etc outside; mkdir out/void"
    agent.run("a.0.x", line)
    names, end = listed(agent, KEY="a.0.x", ATTEMPT=1, PATTERN=["out/*.pt", "out/**/*.pt", "nothing", "out/*.pt"])
    assert sorted(names) == ["out/deep/n.pt", "out/m.pt"] and end.all("PATTERN") == [b"nothing"] and end["COUNT"] == 2
    names, _ = listed(agent, KEY="a.0.x", ATTEMPT=1, PATTERN=["out"])
    assert sorted(names) == ["out", "out/deep", "out/deep/n.pt", "out/link", "out/m.pt", "out/void"]
    assert names["out/link"]["TYPE"] == ord("l") and names["out/link"]["TARGET"] == b"m.pt"
    names, end = listed(agent, KEY="a.0.x", ATTEMPT=1, PATTERN=["outside/*", "outside/passwd", "../*", "/etc/passwd"])
    assert names == {} and len(end.all("PATTERN")) == 4
    names, _ = listed(agent, KEY="a.0.x", ATTEMPT=1)
    assert "out/m.pt" in names and names["outside"]["TYPE"] == ord("l") and not any(n.startswith("outside/") for n in names)
    data, end = get(agent, KEY="a.0.x", ATTEMPT=1, PATH="out/m.pt")
    assert data == b"m\n" and end["SIZE"] == 2 and "CHANGED" not in end
    assert get(agent, KEY="a.0.x", ATTEMPT=1, PATH="out/m.pt", OFFSET=1)[0] == b"\n"


@pytest.mark.parametrize("path", ["../spec", "/etc/passwd", "outside/passwd", "out/link"])
def test_get_stays_inside(agent, path):
    agent.run("a.0.x", "mkdir out; ln -s /etc/passwd out/link; ln -s /etc outside")
    with pytest.raises(AgentError):
        get(agent, KEY="a.0.x", ATTEMPT=1, PATH=path)


def test_get_of_a_file_that_changes(agent, world, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(bytes(64 << 20))
    id_ = agent.request("GET", PATH=str(big))
    first = agent.next(id_)
    with open(big, "r+b") as file:
        file.truncate(1 << 20)
    answers = [first] + agent.collect(id_)
    assert answers[-1]["CHANGED"] == 1
    assert sum(len(a["DATA"]) for a in answers[:-1]) == 64 << 20  # what was announced came, as zeros


def test_put(agent, world, tmp_path):
    to = str(tmp_path / "to")
    agent.call("PUT", ROOT=to, PATH="a/b", SIZE=5, DATA=b"hello", MODE=0o755, MTIME=1700000000123)
    made = tmp_path / "to/a/b"
    assert made.read_bytes() == b"hello" and made.stat().st_mode & 0o777 == 0o755 and made.stat().st_mtime_ns == 1700000000123000000
    agent.call("PUT", ROOT=to, PATH="l", TYPE=ord("l"), TARGET=b"a/b")
    assert os.readlink(tmp_path / "to/l") == "a/b"
    agent.call("PUT", ROOT=to, PATH="d/e", TYPE=ord("d"))
    assert (tmp_path / "to/d/e").is_dir()
    agent.call("PUT", ROOT="in-home", PATH="x", SIZE=0)
    assert (world.home / "in-home/x").read_bytes() == b""
    with pytest.raises(AgentError):
        agent.call("PUT", ROOT=to, PATH="../x", SIZE=1, DATA=b"x")
    with pytest.raises(AgentError) as caught:
        agent.call("PUT", ROOT=to, PATH="a/b", SIZE=1, DATA=b"x", OVERWRITE=0)
    assert caught.value.code == CODE["EXISTS"] and made.read_bytes() == b"hello"


def test_put_of_a_large_file_resumes(world, tmp_path):
    data = RANDOM.randbytes(1 << 20)
    facts = dict(ROOT=str(tmp_path), PATH="big", SIZE=len(data), MTIME=1700000000000, MODE=0o644)
    agent = world.start()
    id_ = agent.request("PUT", **facts)
    assert agent.next(id_)["OFFSET"] == 0
    agent.send(frame("DATA_IN", id_, message(OFFSET=0, DATA=data[:400000])))
    agent.call("PING")
    assert agent.close() == 0 and not (tmp_path / "big").exists()
    later = world.start()
    id_ = later.request("PUT", **facts)
    offset = later.next(id_)["OFFSET"]
    assert offset == 400000
    later.send(frame("DATA_IN", id_, message(OFFSET=offset, DATA=data[offset:])) + frame("PUT_END", id_))
    assert later.next(id_).type == "OK" and (tmp_path / "big").read_bytes() == data
    id_ = later.request("PUT", **facts)
    assert later.next(id_)["OFFSET"] == len(data)
    later.send(frame("PUT_END", id_))
    assert later.next(id_).type == "OK"


# --- full, read-only

@pytest.fixture
def small(world):
    """The root on a small file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a tmpfs")
    world.root.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", world.root]).returncode != 0:
        pytest.skip("no tmpfs may be mounted here")
    yield world
    for agent in world.agents:
        if agent.process.poll() is None:
            agent.close()
    helpers.until(lambda: subprocess.run(["umount", world.root], capture_output=True).returncode == 0, what="umount")


def test_upload_to_a_full_disk(small):
    agent = small.start()
    tree = Tree({"big": RANDOM.randbytes(8 << 20)})
    with pytest.raises(AgentError) as caught:
        agent.put_tree(tree)
    assert caught.value.code == CODE["IO"] and caught.value.hint and "errand gc" in caught.value.hint
    assert agent.call("TREES", PROJECT="test").all("TREE") == []
    subprocess.run(["mount", "-o", "remount,size=64m", small.root], check=True)
    later = small.start()
    later.put_tree(tree)
    assert run_tree(later, "a.0.x", tree)[0]["END"] == END["DONE"]


def test_work_on_a_full_disk(small):
    agent = small.start()
    tree = Tree({"big": RANDOM.randbytes(3 << 20)})
    agent.put_tree(tree)
    event, _ = run_tree(agent, "a.0.x", tree)
    assert (event["END"], event["REASON"]) == (END["FAILED"], REASON["FILES"]) and "space" in event["DETAIL"].lower()


def test_log_on_a_full_disk(small, tmp_path):
    agent = small.start()
    agent.submit("a.0.x", f"head -c 10000000 /dev/zero; echo done > {tmp_path}/done; exit 3")
    event, log = agent.finish(agent.watch("a.0.x"))
    assert event["EXIT_CODE"] == 3 and (tmp_path / "done").exists()  # the job did not suffer
    assert 1 << 20 < len(log) < 10000000 and "could not be kept" in event["DETAIL"]
    assert event["LOG_SIZE"] == len(log)
    status = agent.stat("a.0.x")
    assert status["EXIT_CODE"] == 3


def test_submit_to_a_full_disk(small):
    with open(small.root / "fill", "wb") as file, pytest.raises(OSError):
        while True:
            file.write(bytes(65536))
            file.flush()
    agent = small.start()
    with pytest.raises(AgentError) as caught:
        agent.submit("a.0.x", ["true"])
    assert caught.value.code == CODE["IO"] and "free" in str(caught.value)
    (small.root / "fill").unlink()
    assert agent.run("a.0.x", ["true"])[0]["END"] == END["DONE"]


def test_a_root_that_cannot_be_written(small):
    subprocess.run(["mount", "-o", "remount,ro", small.root], check=True)
    agent = small.start()
    assert agent.call("PROBE")["WRITABLE"] == 0
    with pytest.raises(AgentError) as caught:
        agent.submit("a.0.x", ["true"])
    assert "--root" in caught.value.hint
    subprocess.run(["mount", "-o", "remount,rw,noexec", small.root], check=True)
    assert agent.call("PROBE")["MOUNT_NOEXEC"] == 1

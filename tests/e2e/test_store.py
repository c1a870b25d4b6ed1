"""The store: where it is, what happens to a newer or broken one."""
import os
import sqlite3

import pytest

from helpers import until


def db(errand):
    return errand.state / "store.db"


def test_state_dir_by_option_and_environment(errand):
    a, b = errand.base / "a", errand.base / "b"
    errand("--state-dir", a, "run", "--quiet", "--", "true").ok()
    assert (a / "store.db").exists() and not db(errand).exists()
    errand("run", "--quiet", "--", "true", env={"ERRAND_HOME": str(b)}).ok()
    assert list(b.rglob("store.db")) and not db(errand).exists()
    assert len(errand("--state-dir", a, "jobs", "--all", "--json").ok().json()) == 1


def test_state_dir_of_xdg(errand):
    errand("run", "--quiet", "--", "true", env={"XDG_STATE_HOME": str(errand.base / "xdg")}).ok()
    assert (errand.base / "xdg" / "errand" / "store.db").exists()


def test_store_is_private(errand):
    errand("run", "--quiet", "--", "true").ok()
    assert db(errand).stat().st_mode & 0o077 == 0
    assert errand.state.stat().st_mode & 0o077 == 0


def test_newer_store_is_refused(errand):
    errand("run", "--quiet", "--", "true").ok()
    with sqlite3.connect(db(errand)) as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    before = db(errand).read_bytes()
    for command in (["jobs"], ["run", "--", "true"]):
        done = errand(*command)
        assert done.rc == 212 and "9999" in done.said and "update" in done.said
    assert db(errand).read_bytes() == before


@pytest.mark.parametrize("damage", ["garbage", "header", "middle", "truncated"])
def test_corrupt_store_is_kept_aside(errand, damage):
    for _ in range(3):
        errand("run", "--quiet", "--", "true").ok()
    path = db(errand)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    if damage == "garbage":
        data = bytearray(os.urandom(len(data)))
    elif damage == "header":
        data[:100] = os.urandom(100)
    elif damage == "middle":
        for page in range(1, len(data) // 4096):
            data[page * 4096:page * 4096 + 200] = os.urandom(200)
    else:
        del data[5000:]
    for extra in errand.state.glob("store.db-*"):
        extra.unlink()
    path.write_bytes(data)
    done = errand("jobs", "--all")
    assert done.rc == 212 and "corrupt" in done.said
    kept = list(errand.state.glob("store.db.corrupt-*"))
    assert any(bytes(data)[:4096] == p.read_bytes()[:4096] for p in kept), "the broken store must not be lost"
    assert errand("run", "--quiet", "--", "echo", "again").ok().out == b"again\n"
    assert len(errand.jobs()) == 1


def test_empty_store_file_is_a_new_one(errand):
    errand.state.mkdir(parents=True)
    db(errand).touch()
    errand("run", "--quiet", "--", "true").ok()
    assert len(errand.jobs()) == 1


def test_state_directory_that_cannot_be_made(errand):
    (errand.base / "file").write_text("x")
    done = errand("--state-dir", errand.base / "file" / "x", "jobs")
    assert done.rc in (203, 206, 212, 214) and "--state-dir" in done.said


def test_many_processes_write_at_once(errand):
    procs = [errand.start("run", "--quiet", "--detach", "--", "true") for _ in range(16)]
    for proc in procs:
        proc.wait().ok()
    until(lambda: [r["state"] for r in errand.jobs()] == ["done"] * 16, 60, "all to be done")
    assert len({r["job"] for r in errand.jobs()}) == 16


def test_a_recipe_goes_with_the_last_job_that_needs_it(errand):
    def recipes():
        with sqlite3.connect(db(errand)) as connection:
            count = connection.execute("SELECT count(*) FROM environment").fetchone()[0]
        connection.close()
        return count

    def run(*command):
        errand("run", "--quiet", "--name", command[0], "--", *command).ok()

    errand.project("work", {"errand.yaml": "setup: 'true'\n"})
    run("true")
    run("echo", "again")
    errand.project("work", {"errand.yaml": "setup: ':'\n"})
    run("pwd")
    assert recipes() == 2
    errand("rm", "true").ok()
    assert recipes() == 2
    errand("rerun", "echo").ok()
    errand("rm", "echo").ok()
    assert recipes() == 2, "the rerun job needs it"
    errand("rm", "pwd").ok()
    assert recipes() == 1
    errand("rm", *[job["job"] for job in errand("jobs", "--all", "--json").ok().json()]).ok()
    assert recipes() == 0

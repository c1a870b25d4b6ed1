"""Names that come back, hosts that forget, hosts that are renamed under a running job: nothing of it may pass for the truth."""
import shutil

from helpers import until


def test_store_set_back_does_not_give_an_old_job_s_end(errand):
    errand("run", "--quiet", "--no-sync", "--", "true").ok()
    kept = errand.base / "kept"
    shutil.copytree(errand.state, kept)
    old = errand("run", "--quiet", "--no-sync", "--", "sh", "-c", "echo OLD; exit 7").ok(7)
    assert old.out == b"OLD\n"
    shutil.rmtree(errand.state)
    kept.rename(errand.state)
    new = errand("run", "--quiet", "--no-sync", "--", "echo", "NEW").ok()
    assert new.out == b"NEW\n"


def test_host_that_forgot_a_job_gets_no_second_one(errand):
    marks = errand.base / "marks"
    run = errand.start("run", "--no-sync", "--retries", "3", "--", "sh", "-c", f"echo begin >>{marks}; echo up; sleep 60")
    run.wait_for(b"up")
    shutil.rmtree(errand.root / "jobs")
    done = run.wait()
    assert done.rc == 221, done
    assert marks.read_text() == "begin\n"
    job = errand("jobs", "--json").ok().json()[0]
    assert job["state"] == "failed"


def test_host_with_open_jobs_is_not_given_another_place(errand, host):
    errand("hosts", "add", "box", host.name, "--no-check").ok()
    errand("run", "--detach", "--no-sync", "--on", "box", "--", "sleep", "60").ok()
    until(lambda: errand("jobs", "--json").json()[0]["state"] == "running")
    done = errand("hosts", "add", "box", host.name, "--root", "/root/other", "--no-check")
    assert done.rc == 212 and "open job" in done.said
    errand("hosts", "add", "box", host.name, "--no-check").ok()  # the same place is no change
    errand("cancel").ok()
    errand("hosts", "add", "box", host.name, "--root", "/root/other", "--no-check").ok()

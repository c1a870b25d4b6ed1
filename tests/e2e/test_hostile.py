"""What comes from elsewhere is not believed: a repository's files, a host's answers."""
import os

import pytest


@pytest.mark.parametrize("link, target", [("results", "../victim"), ("results/work-1.0", "../../victim"), ("results/work-1.0/out", "../../../victim")])
def test_outputs_do_not_go_through_a_link_of_the_project(errand, host, link, target):
    """A clone with a symlink in it, and an errand.yaml that says what comes back."""
    victim = errand.project("victim", {"precious": "mine", "out/precious": "mine"})
    project = errand.project("work", {"errand.yaml": "outputs: ['out/*']\n"})
    (project / link).parent.mkdir(parents=True, exist_ok=True)
    os.symlink(target, project / link)
    done = errand("run", "--on", host.name, "--", "sh", "-c", "mkdir out; echo evil > out/precious; echo evil > out/other")
    assert "link" in done.said and done.rc != 0
    assert (victim / "precious").read_text() == "mine" and sorted(os.listdir(victim)) == ["out", "precious"]
    assert (victim / "out" / "precious").read_text() == "mine" and os.listdir(victim / "out") == ["precious"]
    errand("pull", "work-1", "out/other", f"{errand.base}/elsewhere/").ok()  # and there is a way to have them

"""What must not happen behind the user's back: an error and yet a job that runs, a job twice, silence."""
import shutil

from helpers import PROGRAM


def test_too_few_descriptors_is_said_before_anything_is_stored(errand):
    times = errand.base / "times"
    for limit in (8, 10, 12, 13, 14, 18, 22, 26, 40):
        done = errand.start(argv=["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", str(PROGRAM), "run", "--quiet", "--no-sync",
                                  "--", "sh", "-c", f"echo ran >> {times}"]).wait()
        if done.rc == 0:
            assert times.read_text() == "ran\n", limit
            break
        assert "ulimit -n" in done.said, (limit, done)
        assert errand("jobs", "--json").ok().json() == [], (limit, done)
    else:
        raise AssertionError("never ran")
    assert len(errand("jobs", "--json").ok().json()) == 1
    assert times.read_text() == "ran\n"

"""The README's own tour, typed as it stands there: every line that begins with `errand` in its shell blocks is run, in
order, in a directory with a script and a data file, with a real host behind the name it uses."""
import re
import shlex
import subprocess

import pytest

from helpers import TOP, until

pytestmark = pytest.mark.release


def tour(kinds="sh|console"):
    """Lines with errand in the blocks of README.md that a reader types, without prompts and comments."""
    readme = TOP / "README.md"
    if not readme.exists():
        return []
    lines = []
    for block in re.findall(rf"```(?:{kinds})\n(.*?)```", readme.read_text(), re.S):
        for line in block.splitlines():
            line = re.sub(r"^\$ ", "", line.strip())
            if line.startswith("errand "):
                lines.append(re.sub(r"\s+#.*$", "", line))
    return lines


def test_every_errand_command_of_the_readme_is_understood(errand):
    """Its command exists and every option in it is one that the command has."""
    lines = tour()
    assert lines, "README.md has no shell lines with errand"
    for line in lines:
        words = shlex.split(line.split("|")[0].split(">")[0])
        text = errand(words[1], "--help").ok().text if not words[1].startswith("-") else errand("--help").ok().text
        for word in words[2:]:
            if word == "--":
                break
            if word.startswith("--"):
                assert word.split("=")[0] in text, f"{line}: {word}"


def example(errand):
    """examples/digits in the world's home."""
    project = errand.project("digits")
    for name in ("train.py", "digits.txt", "errand.yaml"):
        (project / name).write_bytes((TOP / "examples" / "digits" / name).read_bytes())
    return project


def test_the_tour_of_the_readme_works(errand, make_host):
    """Typed in order, in the example, with a host called box, after the run that `make run` did."""
    project, box = example(errand), make_host("box")
    errand("run", cwd=project, timeout=180).ok()
    lines = tour("console")
    assert len(lines) >= 5 and box
    for line in lines:
        done = errand(*shlex.split(line)[1:], cwd=project, timeout=180)
        assert done.rc == 0, f"{line}: {done}"


def test_a_new_users_first_day(errand, host):
    """A directory of one's own with a script and a data file, against a real sshd: run, detach, close the terminal, come
    back, follow, fetch, cancel, rerun."""
    errand.project("work", {"train.py": "import time, pathlib\nfor i in range(3):\n    print('step', i, flush=True)\n    time.sleep(0.1)\n"
                                        "pathlib.Path('model.txt').write_text(pathlib.Path('data.csv').read_text().upper())\n", "data.csv": "a,b\n"})
    assert b"step 2\n" in errand("run", "--on", host.name, "--output", "model.txt", "--", "/usr/bin/python3", "train.py").ok().out
    assert (errand.results("work-1.0") / "model.txt").read_text() == "A,B\n"
    terminal = errand.start_tty("run", "--detach", "--on", host.name, "--output", "model.txt", "--", "/usr/bin/python3", "train.py")
    terminal.wait(20)
    assert "step 2" in errand("logs", "-f").ok().text
    errand("wait").ok()
    until(lambda: (errand.results("work-2.0") / "model.txt").exists(), 20, "the results")
    errand("run", "--detach", "--on", host.name, "--", "sleep", "1000").ok()
    errand("cancel").ok()
    errand.wait_state("cancelled", name="work-3.0")
    assert b"step 2\n" in errand("rerun", "work-1").ok().out
    states = {row["job"]: row["state"] for row in errand.jobs()}
    assert states == {"work-1.0": "done", "work-2.0": "done", "work-3.0": "cancelled", "work-4.0": "done"}


def test_the_example_learns(errand):
    """What `make run` does, in a world of its own."""
    project = example(errand)
    done = errand("run", "--env", "PATH=/usr/bin:/bin", cwd=project, timeout=120).ok()
    accuracies = [float(a) for a in re.findall(r"test accuracy ([\d.]+)%", done.text)]
    assert len(accuracies) == 20 and accuracies[-1] > 94
    assert (errand.results("digits-1.0", project) / "out" / "model.json").stat().st_size > 10000
    assert '"test_accuracy"' in (errand.results("digits-1.0", project) / "out" / "metrics.json").read_text()


def test_other_systems_are_told_what_to_install(errand):
    """Neither dpkg nor a compiler on PATH."""
    for name in ("sh", "uname", "cat", "dirname"):
        (errand.bin / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(["/bin/sh", str(TOP / "scripts" / "install-deps"), "build"], env={"PATH": str(errand.bin)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and re.search(r"Missing:.* meson .*sqlite3", done.stderr)
    for command in ("dnf install", "pacman -S", "brew install"):
        assert command in done.stderr


def test_the_example_is_shown_by_its_script(errand):
    if not (TOP / "scripts" / "run-example").exists():
        pytest.skip("no script")
    done = subprocess.run([str(TOP / "scripts" / "run-example"), "--dry-run"], env={**errand.env, "ERRAND_PROGRAM": errand._args([])[0]},
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done
    assert done.stdout.rstrip().splitlines()[-3:] and all("errand" in line for line in done.stdout.rstrip().splitlines()[-3:])

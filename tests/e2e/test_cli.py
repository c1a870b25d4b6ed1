"""The command line itself: help, options, exit statuses, completion, the manual."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from helpers import TOP

BUILD = pathlib.Path(os.environ.get("ERRAND_BUILD", TOP / "build"))
COMMANDS = ["run", "rerun", "cancel", "jobs", "show", "logs", "wait", "pull", "push", "hosts", "ssh", "doctor", "rm", "gc", "completion", "help"]


def test_version(errand):
    assert re.fullmatch(r"errand \d+\.\d+\.\d+\n", errand("--version").ok().text)


def test_help_lists_every_command(errand):
    text = errand("--help").ok().text
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", text), command
    assert errand().rc in (0, 201)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(errand, command):
    done = errand(command, "--help").ok()
    assert done.text.startswith(("Usage", "usage", "errand")) and command in done.text
    assert not errand.state.exists()


def test_unknown_command_gets_the_nearest(errand):
    for args in (["jbos"], ["help", "jbos"], ["man", "jbos"]):
        done = errand(*args)
        assert done.rc == 201 and "did you mean jobs?" in done.said


def test_unknown_option_gets_the_nearest(errand):
    done = errand("run", "--detahc", "--", "true")
    assert done.rc == 201 and "--detach" in done.said


@pytest.mark.parametrize("args", [["--gpus", "x"], ["--gpus", "-1"], ["--memory", "lots"], ["--time-limit", "soon"], ["--cpus"], ["--env", "=x"], ["--gpus", "99999999999999999999"]])
def test_wrong_values_are_refused(errand, args):
    done = errand("run", *args, "--", "true") if len(args) == 2 else errand("run", *args)
    assert done.rc in (201, 202) and done.said.startswith("errand")
    assert errand.jobs() == []


def test_errors_go_to_stderr_alone(errand):
    done = errand("show", "nothing")
    assert done.out == b"" and done.err


def test_full_stdout_is_an_error(errand):
    errand("run", "--quiet", "--", "true").ok()
    with open("/dev/full", "wb") as full:
        done = subprocess.run(errand._args(["jobs", "--all"]), stdout=full, stderr=subprocess.PIPE, env=errand.env, cwd=errand.cwd, check=False)
    assert done.returncode == 214 and done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_sound_shell(errand, shell):
    text = errand("completion", shell).ok().text
    path = errand.base / f"completion.{shell}"
    path.write_text(text)
    subprocess.run([shell, "-n", str(path)], check=True)


def complete(errand, words):
    """What bash offers for these words (the last one is being typed)."""
    script = errand.base / "completion.bash"
    script.write_text(errand("completion", "bash").ok().text)
    errand.program("errand", f'#!/bin/sh\nexec {errand._args([])[0]} "$@"\n')
    line = f"""source {script}
COMP_WORDS=({' '.join(words)} ); [ -n '{words[-1]}' ] || COMP_WORDS+=('')
COMP_CWORD={len(words) - 1}; COMP_LINE='{' '.join(words)}'; COMP_POINT=${{#COMP_LINE}}
f=$(complete -p errand | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f errand '{words[-1]}' '{words[-2]}'; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=errand.env, cwd=errand.cwd, check=False)
    return [word.strip() for word in done.stdout.splitlines()]


def test_bash_completes_commands_options_and_jobs(errand):
    errand("run", "--quiet", "--name", "mnist-7", "--", "true").ok()
    assert "jobs" in complete(errand, ["errand", "jo"])
    assert "--gpus" in complete(errand, ["errand", "run", "--gp"])
    assert any(w.startswith("mnist-7") for w in complete(errand, ["errand", "logs", "mn"]))


def test_manual_pages_are_sound(errand):
    pages = list((BUILD / "man").glob("*.[15]"))  # elsewhere a version of CMake may end in .1
    if not pages:
        pytest.skip(f"the manual is not built in {BUILD}")
    for page in pages:
        done = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True, check=False, env={"MANWIDTH": "100", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"})
        assert done.returncode == 0 and "warning" not in done.stderr, (page, done.stderr)


def test_installed_files_work_and_are_in_place(errand):
    if not shutil.which("meson") or not (BUILD / "man" / "errand.1").exists():
        pytest.skip(f"{BUILD} is not built whole")
    subprocess.run(["meson", "install", "-C", str(BUILD), "--no-rebuild", "--quiet"], env={**os.environ, "DESTDIR": str(errand.base / "image")},
                   check=True, capture_output=True)
    root = next((errand.base / "image").rglob("bin/errand")).parent.parent
    share = root / "share"
    for path in ("man/man1/errand.1", "man/man1/errand-run.1", "man/man5/errand.yaml.5", "bash-completion/completions/errand",
                 "zsh/site-functions/_errand", "fish/vendor_completions.d/errand.fish"):
        assert (share / path).stat().st_size > 200, path
    assert (root / "include" / "errand" / "errand.h").exists() and list(root.rglob("liberrand.so")) and list(root.rglob("liberrand.a"))
    done = errand.start(argv=[str(root / "bin" / "errand"), "run", "--", "echo", "installed"]).wait().ok()
    assert done.out == b"installed\n"


def test_run_has_every_promised_option(errand):
    text = errand("run", "--help").ok().text
    for option in "on cpus memory gpus time-limit grace env env-file secret output name detach workdir no-sync json yes dry-run quiet".split():
        assert f"--{option}" in text, option


def test_closed_descriptors_do_no_harm(errand):
    done = subprocess.run(["sh", "-c", f'exec "{errand._args([])[0]}" run --quiet -- true <&- >&- 2>&-'], env=errand.env, cwd=errand.cwd, check=False, timeout=60)
    assert done.returncode == 0
    assert errand.job()["state"] == "done"

"""errand run on this machine: the command, its output, its exit status, its limits."""
import os
import re
import signal

import pytest

from helpers import until


def test_output_goes_where_it_belongs(errand):
    done = errand("run", "--", "sh", "-c", "echo to-out; echo to-err >&2").ok()
    assert done.out == b"to-out\n"
    assert b"to-err\n" in done.err


def test_quiet_says_nothing_of_its_own(errand):
    done = errand("run", "--quiet", "--", "sh", "-c", "echo out; echo err >&2").ok()
    assert (done.out, done.err) == (b"out\n", b"err\n")


@pytest.mark.parametrize("status", [1, 2, 42, 255])
def test_exit_status_is_the_jobs(errand, status):
    errand("run", "--", "sh", "-c", f"exit {status}").ok(status)


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV"])
def test_signal_is_128_and_its_number(errand, name):
    errand("run", "--", "sh", "-c", f"kill -{name} $$").ok(128 + getattr(signal, f"SIG{name}"))
    assert errand.job()["state"] == "failed"


def test_command_not_found_is_127(errand):
    done = errand("run", "--", "no-such-program-here").ok(127)
    assert "no-such-program-here" in done.said
    assert errand.job()["state"] == "failed"


def test_not_executable_is_126(errand):
    errand.project("work", {"data.txt": "not a program\n"})
    done = errand("run", "--", "./data.txt").ok(126)
    assert "data.txt" in done.said


def test_argv_is_passed_byte_for_byte(errand):
    words = ["", " ", "a b", "'", '"', "$HOME", "`id`", "*", "\\", "new\nline", "--flag", "-", "ü", b"\xff\xfe", "~", "#", "%s", "!"]
    done = errand("run", "--quiet", "--", "printf", "<%s>", *words).ok()
    assert done.out == b"".join(b"<" + (w if isinstance(w, bytes) else w.encode()) + b">" for w in words)


def test_single_argument_with_spaces_is_a_shell_line(errand):
    assert errand("run", "--quiet", "echo one two | tr a-z A-Z").ok().out == b"ONE TWO\n"


def test_single_word_is_a_program(errand):
    assert errand("run", "--quiet", "pwd").ok().out.strip()


def test_options_end_at_the_command(errand):
    assert errand("run", "--quiet", "echo", "--quiet", "--gpus", "7").ok().out == b"--quiet --gpus 7\n"


def test_job_has_its_own_directory(errand):
    errand.project("work", {"input": "x"})
    errand("run", "--", "sh", "-c", "rm input; echo y > new").ok()
    assert (errand.cwd / "input").read_text() == "x"
    assert not (errand.cwd / "new").exists()


def test_environment_variables(errand):
    errand.project("work", {"vars": "# a comment\nFROM_FILE=file value\nexport BOTH='quoted file'\nQUOTED=\"a b\"\n"})
    done = errand("run", "--quiet", "--env", "GIVEN=a=b c", "--env", "OURS", "--env", "BOTH=option", "--env-file", "vars", "--",
                  "sh", "-c", 'printf "%s\\n" "$GIVEN" "$OURS" "$FROM_FILE" "$BOTH" "$QUOTED"', env={"OURS": "own"}).ok()
    assert done.text.splitlines() == ["a=b c", "own", "file value", "option", "a b"]


def test_secret_reaches_the_job_and_nothing_else(errand):
    value = "s3cr3t-" + os.urandom(8).hex()
    done = errand("run", "--quiet", "--secret", "API_KEY", "--", "sh", "-c", 'printf %s "$API_KEY" | sha256sum; tr "\\0" " " < /proc/$PPID/cmdline',
                  env={"API_KEY": value}).ok()
    import hashlib
    assert hashlib.sha256(value.encode()).hexdigest() in done.text
    assert value not in done.text
    for root in (errand.state, errand.root):
        for path in root.rglob("*"):
            if path.is_file():
                assert value.encode() not in path.read_bytes(), f"the secret's value lies in {path}"


def test_unset_secret_is_reported_before_anything_starts(errand):
    done = errand("run", "--secret", "NOT_THERE", "--", "true")
    assert done.rc != 0 and "NOT_THERE" in done.said
    assert [row for row in errand.jobs() if row["state"] not in ("failed",)] == []


def test_workdir(errand):
    errand.project("work", {"sub/here": "found\n"})
    assert errand("run", "--quiet", "--workdir", "sub", "--", "cat", "here").ok().out == b"found\n"


def test_run_from_a_directory_below_the_project(errand):
    errand.project("work", {"errand.yaml": "name: deep\n", "a/b/here": "found\n"})
    done = errand("run", "--quiet", "--", "cat", "here", cwd=errand.cwd / "a" / "b").ok()
    assert done.out == b"found\n"
    assert errand.job()["job"].startswith("deep-")


def test_time_limit_ends_the_whole_tree(errand):
    done = errand("run", "--time-limit", "1s", "--", "sh", "-c", "sleep 1000 & sleep 1000; wait").ok(124)
    assert re.search("time limit", done.said)
    assert errand.job()["reason"] == "time limit"


def test_names_count_up_per_project(errand):
    for _ in range(2):
        errand("run", "--", "true").ok()
    other = errand.project("other")
    errand("run", "--", "true", cwd=other).ok()
    assert sorted(row["job"] for row in errand.jobs()) == ["other-1.0", "work-1.0", "work-2.0"]


def test_name_option(errand):
    errand("run", "--name", "first-try", "--", "true").ok()
    assert errand.job()["job"] == "first-try.0"


def test_errand_yaml_gives_command_and_options(errand):
    errand.project("work", {"errand.yaml": "name: trained\ncommand: [sh, -c, 'echo $GREETING > out.txt; echo $GREETING']\n"
                                           "env: {GREETING: hello}\noutputs: [out.txt]\n"})
    assert errand("run", "--quiet").ok().out == b"hello\n"
    assert (errand.results("trained-1.0") / "out.txt").read_text() == "hello\n"
    assert errand("run", "--quiet", "--env", "GREETING=bye").ok().out == b"bye\n"


def test_errand_yaml_with_a_wrong_key_is_refused_with_the_nearest(errand):
    errand.project("work", {"errand.yaml": "name: x\ncomand: true\n"})
    done = errand("run")
    assert done.rc == 202 and "errand.yaml:2" in done.said and "command" in done.said
    assert errand.jobs() == []


def test_errand_yaml_alias_bomb_is_an_error(errand):
    errand.project("work", {"errand.yaml": "env:\n  A: &a [x,x]\n  B: &b [*a,*a,*a]\n  C: [*b,*b,*b]\ncommand: true\n"})
    assert errand("run").rc == 202


def test_no_command_is_a_usage_error(errand):
    done = errand("run")
    assert done.rc == 201 and "command" in done.said


def test_dry_run_shows_and_does_nothing(errand):
    errand.project("work", {"train.py": "print(1)\n", "data/a.bin": b"x" * 1000})
    done = errand("run", "--dry-run", "--", "python3", "train.py").ok()
    assert "train.py" in done.text + done.said
    assert errand.jobs() == []


def test_run_json(errand):
    done = errand("run", "--json", "--", "sh", "-c", "echo hello; exit 3").ok(3)
    shown = done.json()
    row = shown[0] if isinstance(shown, list) else shown
    assert row["job"] == "work-1.0" and row["state"] == "failed" and row["exit"] == 3


def test_no_sync_sends_no_files(errand):
    errand.project("work", {"file": "x"})
    assert errand("run", "--quiet", "--no-sync", "--", "ls", "-A").ok().out == b""


def test_stdin_is_empty(errand):
    assert errand("run", "--quiet", "--", "cat", stdin=b"from the user").ok().out == b""


def test_reader_that_leaves_does_not_stop_the_job(errand):
    proc = errand.start(argv=["sh", "-c", f'"{errand._args([])[0]}" run --quiet -- sh -c "seq 100000; touch {errand.home}/ended" | head -1'])
    assert proc.wait().out == b"1\n"
    until(lambda: (errand.home / "ended").exists(), 20, "the job to go on to its end")
    errand.wait_state("done")


def test_child_left_behind_is_ended_with_the_job(errand):
    errand("run", "--", "sh", "-c", "setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; exit 0").ok()
    until(lambda: not errand.leftovers(), 10, lambda: f"the job's children to be gone: {errand.leftovers()}")


def test_job_that_closes_its_stdout_runs_on(errand):
    errand("run", "--output", "proof", "--", "sh", "-c", "exec >&- 2>&-; sleep 0.2; echo yes > proof; exit 5").ok(5)
    assert (errand.results("work-1.0") / "proof").read_text() == "yes\n"


def test_output_without_newline_nul_and_broken_utf8(errand):
    data = b"no newline \0 nul \xff\xfe\xc3 broken" + bytes(range(256))
    errand.project("work", {"data": data})
    assert errand("run", "--quiet", "--", "cat", "data").ok().out == data
    assert errand("logs").ok().out == data


def test_program_without_newline_is_shown_at_once(errand):
    proc = errand.start("run", "--quiet", "--", "sh", "-c", f"printf prompt; until [ -e {errand.home}/go ]; do sleep 0.02; done")
    proc.wait_for(b"prompt")
    (errand.home / "go").touch()
    proc.wait().ok()


def test_order_of_stdout_and_stderr_is_kept_in_the_log(errand):
    errand("run", "--quiet", "--", "sh", "-c", "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done").ok()
    done = errand("logs").ok()
    lines = (done.out + done.err).decode().split()
    assert sorted(lines) == sorted([f"{s}{i}" for s in "oe" for i in range(1, 6)])


def test_reason_of_the_end_is_shown(errand):
    errand("run", "--", "sh", "-c", "exit 9").ok(9)
    shown = errand("show").ok()
    assert "9" in shown.text and "failed" in shown.text


def test_job_that_never_fits_is_reported(errand):
    done = errand("run", "--cpus", "1000", "--", "true")
    assert done.rc != 0 and "1000" in done.said.replace(",", "") and errand.job()["state"] == "failed"


def test_many_arguments_and_a_large_environment(errand):
    done = errand("run", "--quiet", "--env", "BIG=" + "x" * 100000, "--", "sh", "-c", "echo ${#BIG} $#", "sh", *["a"] * 5000).ok()
    assert done.out == b"100000 5000\n"


def test_odd_project_names(errand):
    odd = errand.project("my project; rm -rf $HOME 'ü'")
    (odd / "f").write_text("x")
    errand("run", "--quiet", "--", "cat", "f", cwd=odd).ok()
    assert re.fullmatch(r"[A-Za-z0-9._-]+-1\.0", errand.job()["job"])


def test_rerun_is_the_same_command_and_the_same_files(errand):
    errand.project("work", {"input": "first\n"})
    errand("run", "--quiet", "--env", "A=b", "--output", "copy", "--", "sh", "-c", "cat input; echo $A; cp input copy").ok()
    errand.project("work", {"input": "second\n"})
    assert errand("rerun", "--quiet", "work-1").ok().out == b"first\nb\n"
    assert errand.job()["job"] == "work-2.0"
    assert (errand.results("work-2.0") / "copy").read_text() == "first\n"


def test_rm_forgets_here_and_on_the_host(errand):
    errand("run", "--", "true").ok()
    assert list((errand.root / "jobs").glob("work-1.0.*"))
    errand("rm", "work-1").ok()
    assert errand.jobs() == []
    assert not list((errand.root / "jobs").glob("work-1.0.*"))


def test_rm_of_a_running_job_is_refused(errand):
    errand("run", "--detach", "--", "sleep", "1000").ok()
    errand.wait_state("running")
    assert errand("rm", "work-1").rc == 212
    errand("cancel", "work-1").ok()
    errand("wait", "work-1")


def test_gc_says_how_much_it_freed(errand):
    errand.project("work", {"data": os.urandom(300000)})
    errand("run", "--", "true").ok()
    before = sum(p.stat().st_size for p in (errand.root).rglob("*") if p.is_file() and "bin" not in p.parts)
    errand("rm", "work-1").ok()
    done = errand("gc").ok()
    assert re.search(r"freed|[0-9]", done.text + done.said)
    after = sum(p.stat().st_size for p in (errand.root).rglob("*") if p.is_file() and "bin" not in p.parts)
    assert after < before - 250000


def test_a_script_that_cannot_be_executed_is_explained(errand, host):
    """ENOENT for a file that is there: what is missing is what its first bytes name."""
    elf = bytearray(open("/bin/true", "rb").read())
    loader = b"/lib64/ld-linux-x86-64.so.2"
    assert elf.count(loader) == 1
    foreign = bytearray(elf)
    foreign[18:20] = (0xf3).to_bytes(2, "little")  # RISC-V
    errand.project("work", {
        "dos.sh": b"#!/bin/bash\r\necho hello\r\n", "odd.sh": b"#! /opt/none/bash -e\necho hello\n",
        "plain": b"echo no first line\n", "elf": bytes(elf.replace(loader, b"/lib64/ld-nowhere-86-64.so.2"[:len(loader)])),
        "foreign": bytes(foreign)})
    for path in errand.cwd.iterdir():
        path.chmod(0o755)
    done = errand("run", "--on", host.name, "--", "./dos.sh")
    assert done.rc == 127 and "/bin/bash\\r" in done.said and "CR LF" in done.said and "sed -i" in done.said
    done = errand("run", "--on", host.name, "--", "./odd.sh")
    assert done.rc == 127 and "interpreter" in done.said and "/opt/none/bash" in done.said
    done = errand("run", "--on", host.name, "--", "./elf")
    assert done.rc == 127 and "loader" in done.said and "/lib64/ld-nowhere" in done.said
    done = errand("run", "--on", host.name, "--", "./foreign")
    assert done.rc == 126 and "another kind of machine" in done.said
    assert errand("run", "--quiet", "--on", host.name, "--", "./plain").ok().text == "no first line\n"
    errand("run", "--detach", "--on", host.name, "--", "sleep", "60").ok()
    job = errand.job()["job"]
    done = errand("exec", job, "--", "./dos.sh")
    assert done.rc == 127 and "CR LF" in done.said
    errand("cancel", job).ok()

"""The same project set up by recompute (`re init`, `re install`) and by errand, side by side on one host."""
import subprocess

from envkit import tools
from envkit.fixtures import index, uv_host  # noqa: F401
from envkit.jobs import declare, home_of, run

PROJECT = {"train.py": "import helper\nprint('trained with', helper.what())\n",
           "helper.py": "import alpha\nimport beta\n\n\ndef what():\n    return alpha.__version__, beta.__version__\n"}
SAYS = "trained with ('1.0', '2.0')\n"


def recompute(errand, index):
    """`re`, with what it needs around it: passwords are not asked for here, and pipreqs asks the test's index."""
    program = tools.program("re")
    errand.program("sshpass", '#!/bin/sh\nshift 2\nexec "$@"\n')
    errand.program("scp", f'#!/bin/sh\nexec /usr/bin/scp -q -S {errand.bin}/ssh "$@"\n')
    errand.program("pipreqs", f'#!/bin/sh\nexec {tools.program("pipreqs")} --pypi-server {index.json_url} "$@"\n')
    (errand.home / ".recompute.conf").write_text("[general]\ninstance = 0\nremote_home = projects/\n\n"
                                                 "[instance 0]\nusername = root\nhost = box\npassword = none\n")

    def call(*words):
        done = subprocess.run([str(program), *words], cwd=errand.cwd, env=errand.env, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, check=False)
        return done.stdout + done.stderr
    return call


def test_side_by_side(errand, uv_host, index):
    index.wheel("alpha", "1.0"), index.wheel("beta", "2.0")
    config = home_of(uv_host) / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text(f"[global]\nindex-url = {index.url}\nbreak-system-packages = true\n")
    errand.project("work", PROJECT)

    re = recompute(errand, index)
    said = re("init")
    theirs = uv_host.sh("cd /root/projects/work && python3 train.py", check=False)
    assert theirs == SAYS, f"recompute itself: {theirs!r} {said}"
    asked = index.count()
    re("install", "--force")
    assert index.count() > asked, "they ask again, every time"

    for path in list(errand.cwd.iterdir()):  # what re left in the project is not ours to use
        if path.name not in PROJECT:
            subprocess.run(["rm", "-rf", str(path)], check=True)
    uv_host.sh("rm -rf /root/.local/lib")
    declare(errand)
    assert run(errand, uv_host, "python3", "train.py").ok().text == SAYS
    asked = index.count()
    assert run(errand, uv_host, "python3", "train.py").ok().text == SAYS
    assert index.count() == asked, "a ready environment asks nobody"
    assert "No module named" in uv_host.sh("python3 -c 'import alpha' 2>&1 || :"), "the host's own Python is as it was"

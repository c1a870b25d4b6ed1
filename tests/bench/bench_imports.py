"""Finding the imports of 2,000 Python files of 80 lines: 50 ms. Peers: pipreqs, its questions to an index answered on loopback, and grep, which
only finds lines. Everything lies in memory, so that the disk is not measured."""
import json
import os
import pathlib
import shutil
import tempfile

from bench import median, row
import pipreqskit

FILES, LINES = 2000, 80
NAMES = ["os", "sys", "numpy as np", "torch", "pandas as pd", "yaml", "cv2", "requests", "json", "re", "sklearn.linear_model", "tqdm", "logging", "PIL"]
WANTED = {"numpy", "torch", "pandas", "pyyaml", "opencv-python", "requests", "scikit-learn", "tqdm", "pillow"}
BODY = '''
class Thing{n}:
    """What it does. Not this: import nothing_{n}"""

    def __init__(self, size={n}, name='thing "{n}"'):
        self.size, self.name = size, name
        self.table = {{key: [value * 2 for value in range(key)] for key in range(size)}}  # a table

    def step(self, x, y=None):
        if y is None and x > {n}:
            return f"{{x}} of {{self.size}}"
        for i in range(x):
            y = (y or 0) + i * self.size
        return y
'''


def make_tree(top):
    packages = 40
    for package in range(packages):
        directory = top / f"pkg{package:02}"
        directory.mkdir(parents=True)
        (directory / "__init__.py").write_text("")
        for number in range(FILES // packages - 1):
            n = package * 100 + number
            lines = [f"import {NAMES[(n + i) % len(NAMES)]}" for i in range(4)]
            lines += [f"from pkg{(package + 1) % packages:02}.m{number:03} import Thing{n}", "from . import m000"] if number else []
            while len(lines) < LINES:
                lines += BODY.format(n=n).split("\n")
            (directory / f"m{number:03}.py").write_text("\n".join(lines[:LINES]) + "\n")


def rows(bench):
    base = pathlib.Path(tempfile.mkdtemp(prefix="eb-imports-", dir="/dev/shm"))
    tree, env = base / "tree", base / "env"
    try:
        tree.mkdir()
        make_tree(tree)
        # An environment where nothing is installed: every name takes the longest way.
        (env / "lib/python3.11/site-packages").mkdir(parents=True)
        bench.world.env["VIRTUAL_ENV"] = str(env)
        os.chdir(tree)
        ours = [bench.errand, "env", "--json"]
        found = base / "found.json"
        bench.spawn(ours, stdout=str(found), check=True)
        names = {item["distribution"] for item in json.loads(found.read_text())}
        assert names == WANTED, names
        taken = bench.in_turn(lambda: bench.spawn(ours, check=True), lambda: bench.spawn(["/bin/grep", "-rhE", "^(import|from) ", "."]), pairs=15)
        rest = f"grep {median(taken[1]) * 1000:.0f} ms"
        peer = pipreqskit.program()
        if not peer:
            return [row(f"imports of {FILES} files of {LINES} lines", taken[0], f"({rest}; there is no pipreqs here)", None, 0.050)]
        with pipreqskit.Index() as index:
            theirs = bench.in_turn(lambda: bench.spawn(pipreqskit.arguments(peer, index, "."), check=True), pairs=3)[0]
        return [row(f"imports of {FILES} files of {LINES} lines", taken[0], f"({rest}, pipreqs {median(theirs):.2f} s)", None, 0.050)]
    finally:
        os.chdir("/")
        bench.world.env.pop("VIRTUAL_ENV", None)
        shutil.rmtree(base, ignore_errors=True)

#!/usr/bin/env python3
"""testsums.py BUILD...: what run-tests left of several builds, said together: the slowest tests, what passed only at a second
try, and the line of sums. Ends non-zero unless every build's tests came to their end and passed."""
import json
import os
import sys

SLOWEST = 20


class Sums:
    """Of the tests of one build."""

    def __init__(self, build):
        self.build, self.passed, self.failures, self.slow, self.again, self.twice = build, 0, [], [], [], []

    def add(self, kind, passed, failures, seconds):
        self.passed += passed
        self.failures += failures
        self.slow += [(value, f"{name} ({kind})") for name, value in seconds.items()]
        self.slow = sorted(self.slow, reverse=True)[:SLOWEST]

    @staticmethod
    def file(build):
        return os.path.join(build, "test-sums.json")

    def forget(self, build):
        if os.path.exists(self.file(build)):
            os.unlink(self.file(build))

    def keep(self, build):
        with open(self.file(build), "w") as file:
            json.dump(vars(self), file)

    @classmethod
    def read(cls, build):
        sums = cls(build)
        try:
            with open(cls.file(build)) as file:
                vars(sums).update(json.load(file))
        except (OSError, ValueError):
            sums.failures = ["the tests did not run to their end"]
        return sums


class Notes:
    """What one run of the tests tells the next, beside the other things that are kept outside the clone."""

    def __init__(self, cache, build):
        self.dir = os.path.join(cache, "test-notes")
        os.makedirs(self.dir, exist_ok=True)
        self.again_file = os.path.join(self.dir, build + "-again.json")
        self.seconds_file = os.path.join(self.dir, build + "-seconds.json")

    @staticmethod
    def _read(path, otherwise):
        try:
            with open(path) as file:
                return json.load(file)
        except (OSError, ValueError):
            return otherwise

    @staticmethod
    def _write(path, value):
        with open(f"{path}.{os.getpid()}", "w") as file:
            json.dump(value, file)
        os.replace(f"{path}.{os.getpid()}", path)

    def keep_seconds(self, seconds):
        """How long each test takes: the longest begin first the next time."""
        self._write(self.seconds_file, {**self._read(self.seconds_file, {}), **seconds})

    def second_tries(self, ran, again):
        """Notes which of the tests that ran needed a second try; returns those that also did the last time they ran."""
        before = self._read(self.again_file, [])
        self._write(self.again_file, sorted({name for name in before if name not in ran} | set(again)))
        return sorted(set(before) & set(again))


def say(all_sums):
    slow = sorted((item[0], f"{item[1]}, {sums.build}") for sums in all_sums for item in sums.slow)
    print("\nThe slowest tests:")
    for seconds, name in slow[:-SLOWEST - 1:-1]:
        print(f"  {seconds:6.1f} s  {name}")
    for sums in all_sums:
        for name in sums.failures:
            print(f"failed: {name} ({sums.build})")
        for name in sums.again:
            print(f"not at the first try: {name} ({sums.build}); it may be the machine, or a race that a user meets too")
        for name in sums.twice:
            print(f"failed: {name} ({sums.build}) needed a second try the last time as well")
    passed = sum(sums.passed for sums in all_sums)
    failed = sum(len(sums.failures) + len(sums.twice) for sums in all_sums)
    print(f"{passed} passed, {failed} failed", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(1 if say([Sums.read(build) for build in sys.argv[1:]]) else 0)

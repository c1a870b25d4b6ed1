"""How pytest-xdist hands out the tests: one to whoever is free, the longest first, so that none waits for another at the end.
How long each took the last time is in the file that ERRAND_TEST_SECONDS names (scripts/run-tests keeps it)."""
import json
import os

from xdist.scheduler import LoadScheduling

UNKNOWN = 5.0  # seconds: a new test does not come last
AT_ONCE = 2  # a worker begins a test when it knows the one after it


def known():
    try:
        with open(os.environ["ERRAND_TEST_SECONDS"]) as file:
            return json.load(file)
    except (KeyError, OSError, ValueError):
        return {}


def junit_name(nodeid):
    """tests/e2e/test_x.py::test_y[z] is tests.e2e.test_x.test_y[z] in the report."""
    path, _, name = nodeid.partition("::")
    return path.removesuffix(".py").replace("/", ".") + "." + name


class LongestFirst(LoadScheduling):
    def schedule(self):
        assert self.collection_is_completed
        if self.collection is not None:
            for node in self.nodes:
                self.check_schedule(node)
            return
        if not self._check_nodes_have_same_collection():
            return
        self.collection = next(iter(self.node2collection.values()))
        seconds = known()
        self.pending[:] = sorted(range(len(self.collection)),
                                 key=lambda i: -seconds.get(junit_name(self.collection[i]), UNKNOWN))
        for _ in range(AT_ONCE):
            for node in self.nodes:
                self._send_tests(node, 1)
        if not self.pending:
            for node in self.nodes:
                node.shutdown()

    def check_schedule(self, node, duration=0):
        if node.shutting_down:
            return
        if self.pending:
            self._send_tests(node, max(0, AT_ONCE - len(self.node2pending[node])))
        else:
            node.shutdown()

"""Runs one test module inside the process under test, and tells each outcome as it comes.

    [python] [-m dhagapatch] agent.py MODULE EVENTS DONE

It imports as little as it can, nothing of dhagapatch, and starts no thread: the tests are to see what a user's own start gives.
A line of JSON is appended to the file EVENTS when a test begins and when it ends; the tests named in the file DONE (a JSON
list) are left out, so that a run goes on behind a test that hung or crashed.
"""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside"))
import compat_tell

del sys.path[0]

RESOURCES = ["audio", "cpu", "curses", "decimal", "subprocess", "tzdata", "walltime"]  # no network, no large files
LOOPBACK = ("test_socketserver",)  # asks for the network, and stays on this machine
TEXT = compat_tell.TEXT


class Told(unittest.TestResult):
    """Outcomes, told as they come."""

    def __init__(self, module, tell):
        super().__init__()
        self.tell = tell
        self._seen = {}
        self._key = module
        self._began = 0.0
        self._outcome = None

    def startTest(self, test):
        super().startTest(test)
        self._key = compat_tell.numbered(test.id(), self._seen)
        self._outcome = None
        self.tell(begin=self._key)
        self._began = compat_tell.clock()

    def stopTest(self, test):
        super().stopTest(test)
        outcome, text = self._outcome or ("pass", "")
        self.tell(end=self._key, outcome=outcome, seconds=round(compat_tell.clock() - self._began, 4), text=text)
        self._outcome = None

    def _had(self, test, outcome, text):
        if isinstance(test, unittest.TestCase) or hasattr(test, "test_case"):
            if self._outcome is None or self._outcome[0] in ("pass", "skip"):
                self._outcome = (outcome, text[-TEXT:])
        else:  # a fixture of a class or a module
            self.tell(begin=str(test))
            self.tell(end=str(test), outcome=outcome, seconds=0.0, text=text[-TEXT:])

    def addError(self, test, error):
        super().addError(test, error)
        self._had(test, "error", self.errors[-1][1])

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._had(test, "fail", self.failures[-1][1])

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._had(subtest, "fail", self._exc_info_to_string(error, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._had(test, "skip", reason)

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self._had(test, "expected failure", "")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._had(test, "unexpected success", "")


def flat(tests):
    """The tests of a suite, one by one, in order."""
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def main(module, events, done):
    teller = compat_tell.Teller(events)
    with open(done) as stream:
        left_out = set(json.load(stream))

    from test import support

    support.use_resources = RESOURCES + (["network"] if module in LOOPBACK else [])
    support.record_original_stdout(sys.stdout)
    compat_tell.dump_on_signal()
    result = Told(module, teller.tell)
    result.tell(start=module)
    try:
        suite = unittest.defaultTestLoader.loadTestsFromName(f"test.{module}")
    except unittest.SkipTest as reason:
        result.tell(begin=module)
        result.tell(end=module, outcome="skip", seconds=0.0, text=str(reason))
        suite = unittest.TestSuite()
    seen = {}
    kept = unittest.TestSuite()
    for test in flat(suite):
        key = compat_tell.numbered(test.id(), seen)
        if key not in left_out:
            kept.addTest(test)
        else:
            result._seen[test.id()] = seen[test.id()]
    result.tell(loaded=kept.countTestCases())
    kept.run(result)
    result.tell(over=True, children=compat_tell.children())


if __name__ == "__main__":
    main(*sys.argv[1:])
